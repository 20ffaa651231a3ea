//! ASAPP AutoTranscribe as its documents describe it: a REST call for a short-lived URL, and a
//! WebSocket that takes L16 sound and gives transcripts. It hears (`hearing`), it is strict about
//! the order and the fields of messages, it keeps what it got, and it fails on request (`faults`).

pub mod args;
mod doors;
mod message;
mod session;
pub mod start;
mod status;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use self::doors::AutoTranscribeDoors;
use super::chaos::Chaos;
use super::faults::Faults;
use super::running;
pub use super::running::Running;
pub use super::settings::{Arrival, Keep, Observer, Settings, TlsFiles};
pub use super::tokens::{TokenRefusal, Tokens};
pub use super::{faults, record};
use crate::hearing::Lexicon;

/// The service; [`AutoTranscribe::start`] is all there is to it.
#[derive(Debug)]
pub struct AutoTranscribe;

/// How a service behaves while nothing goes wrong.
#[derive(Clone)]
pub struct Config {
    /// Where it listens; port 0 takes any.
    pub listen: SocketAddr,
    /// TLS, if any.
    pub tls: Option<TlsFiles>,
    /// The `asapp-api-id` it wants.
    pub api_id: String,
    /// The `asapp-api-secret` it wants.
    pub api_secret: String,
    /// Its access tokens.
    pub tokens: Tokens,
    /// What it asks of streams.
    pub rules: Rules,
    /// What it can hear; `None` listens to nothing and transcribes nothing.
    pub lexicon: Option<Arc<Lexicon>>,
    /// What it keeps.
    pub keep: Keep,
    /// The socket's receive buffer in bytes, so that a stall is felt soon; `None` is the system's.
    pub receive_buffer_bytes: Option<u32>,
    /// What goes wrong from the beginning.
    pub faults: Faults,
    /// What goes wrong at random, where `faults` do nothing.
    pub chaos: Option<Chaos>,
    /// Is told of each binary message as it arrives, on the task that read it.
    pub observer: Option<Observer>,
}

/// What a service asks of its streams.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// A stream without a message for so long ends with 4083.
    pub idle_timeout: Duration,
    /// A stream that lasts longer ends with 4090.
    pub duration_max: Duration,
    /// Whether unredacted text is refused with 4094.
    pub always_redact: bool,
    /// More phrases in a stream's vocabulary are refused with 4084.
    pub vocabulary_phrases_max: usize,
    /// A longer vocabulary phrase is refused with 4084.
    pub vocabulary_chars_max: usize,
    /// Whether a refused vocabulary ends the stream, or is only refused in the
    /// `vocabularyResponse`; the documents can be read both ways.
    pub vocabulary_refusal_ends: bool,
    /// For so much sound it writes something, whatever it heard, so that transcripts come as often
    /// as of talk; zero: only for what it hears.
    pub remark_every: Duration,
    /// A longer WebSocket message ends the connection.
    pub message_bytes_max: usize,
}

impl AutoTranscribe {
    /// Listens, and serves until [`Running::stop`] or the drop.
    ///
    /// # Errors
    /// The address is taken, or the TLS files are not usable.
    pub async fn start(config: Config) -> anyhow::Result<Running> {
        let (doors, settings) = AutoTranscribeDoors::new(config);
        running::start(doors, settings).await
    }
}

impl From<Settings> for Config {
    fn from(settings: Settings) -> Self {
        Self {
            listen: settings.listen,
            tls: settings.tls,
            api_id: "sim-api-id".to_owned(),
            api_secret: "sim-api-secret".to_owned(),
            tokens: Tokens::default(),
            rules: Rules::default(),
            lexicon: settings.lexicon,
            keep: settings.keep,
            receive_buffer_bytes: settings.receive_buffer_bytes,
            faults: settings.faults,
            chaos: settings.chaos,
            observer: settings.observer,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Settings::default().into()
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(60),
            duration_max: Duration::from_secs(3 * 3600),
            always_redact: false,
            vocabulary_phrases_max: 1000,
            vocabulary_chars_max: 100,
            vocabulary_refusal_ends: true,
            remark_every: Duration::ZERO,
            message_bytes_max: 1 << 20,
        }
    }
}
