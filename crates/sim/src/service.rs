//! Speech services that are not real. They speak a vendor's protocol with code of their own, hold
//! their clients to it, and misbehave when asked to.
//!
//! A service is a `dialect` (its routes, how it refuses) and its sessions (what each message does
//! and what is answered). All else is the same for all of them: the connections and how they break
//! (`door`, `driver`), what goes wrong and when ([`faults`], [`chaos`]), what is heard (`ear`) and
//! what is kept of it ([`record`]).

pub mod args;
pub mod assemblyai;
pub mod autotranscribe;
pub mod chaos;
#[cfg(test)]
mod client;
pub mod deepgram;
mod dialect;
pub(crate) mod door;
mod driver;
mod ear;
pub mod faults;
mod knock;
mod reception;
pub mod record;
mod running;
mod settings;
mod tokens;
pub mod vosk;
mod words;

pub use self::running::Running;
pub use self::settings::{Arrival, Keep, Observer, Settings, TlsFiles};
pub use self::tokens::{TokenRefusal, Tokens};

/// What a service speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// AssemblyAI Streaming v3.
    AssemblyAi,
    /// ASAPP AutoTranscribe.
    AutoTranscribe,
    /// Deepgram's live transcription.
    Deepgram,
    /// A Vosk server.
    Vosk,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::AssemblyAi,
        Self::AutoTranscribe,
        Self::Deepgram,
        Self::Vosk,
    ];

    /// Starts a service with its own limits and keys as they are by default.
    ///
    /// # Errors
    /// The address is taken, or the TLS files are not usable.
    pub async fn start(self, settings: Settings) -> anyhow::Result<Running> {
        match self {
            Self::AssemblyAi => assemblyai::AssemblyAi::start(settings.into()).await,
            Self::AutoTranscribe => autotranscribe::AutoTranscribe::start(settings.into()).await,
            Self::Deepgram => deepgram::Deepgram::start(settings.into()).await,
            Self::Vosk => vosk::Vosk::start(settings.into()).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_protocol_is_started_and_asked_in_the_same_way() {
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let mut names = std::collections::BTreeSet::new();
        for protocol in Protocol::ALL {
            let settings = Settings {
                lexicon: None,
                ..Settings::default()
            };
            let running = protocol.start(settings).await.unwrap();
            let answer = reqwest::get(running.url()).await.unwrap();
            assert!(answer.status().is_client_error(), "there is no such page");
            assert!(running.streams().is_empty() && running.knocks().is_empty());
            names.insert(running.name());
            running.stop().await;
        }
        assert_eq!(names.len(), Protocol::ALL.len());
    }
}
