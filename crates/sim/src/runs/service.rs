//! The speech service of a run: which one, with what limits, and how the gateway is told of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::toml::Toml;
use crate::load::ears::Ears;
use crate::service::{
    Keep, Protocol, Running, Settings, assemblyai, autotranscribe, deepgram, vosk,
};

/// `--service`
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Which {
    Assemblyai,
    Autotranscribe,
    Deepgram,
    Vosk,
}

/// What the gateway must know of a service.
#[derive(Clone, Debug)]
pub(super) struct Upstream {
    /// Its name, and that of its section.
    pub(super) name: &'static str,
    /// Its keys.
    pub(super) keys: Vec<(&'static str, String)>,
}

impl Which {
    /// What it speaks.
    pub(super) fn protocol(self) -> Protocol {
        match self {
            Self::Assemblyai => Protocol::AssemblyAi,
            Self::Autotranscribe => Protocol::AutoTranscribe,
            Self::Deepgram => Protocol::Deepgram,
            Self::Vosk => Protocol::Vosk,
        }
    }
}

impl Upstream {
    /// Of a service at `host:port`, without TLS.
    pub(super) fn of(protocol: Protocol, at: &str) -> Self {
        let sim = Settings::default;
        let http = || format!("http://{at}");
        let socket = || format!("ws://{at}");
        let (name, keys) = match protocol {
            Protocol::AssemblyAi => {
                let key = assemblyai::Config::from(sim()).key;
                ("assemblyai", vec![("base_url", socket()), ("api_key", key)])
            }
            Protocol::AutoTranscribe => {
                let known = autotranscribe::Config::from(sim());
                let keys = [("api_id", known.api_id), ("api_secret", known.api_secret)];
                let base = [("base_url", http())];
                ("autotranscribe", base.into_iter().chain(keys).collect())
            }
            Protocol::Deepgram => {
                let key = deepgram::Config::from(sim()).key;
                ("deepgram", vec![("base_url", socket()), ("api_key", key)])
            }
            Protocol::Vosk => ("vosk", vec![("base_url", socket())]),
        };
        Self { name, keys }
    }
}

/// A service that only listens: nothing is recognised, and no sound is kept.
pub(super) fn all_ears(ears: &Arc<Ears>) -> Settings {
    Settings {
        lexicon: None,
        keep: Keep::no_sound(),
        observer: Some(ears.observer()),
        ..Settings::default()
    }
}

/// Starts a service as [`start`] does, and begins the configuration of a gateway that knows it.
pub(super) async fn open(
    which: Which,
    settings: Settings,
    session_max: Option<Duration>,
) -> anyhow::Result<(Running, Toml)> {
    let protocol = which.protocol();
    let running = start(protocol, settings, session_max).await?;
    let at = address(&running)?;
    let toml = Toml::gateway(&Upstream::of(protocol, &at.to_string()));
    Ok((running, toml))
}

/// Starts a service that lets a session live so long, where it has such a limit.
pub(super) async fn start(
    protocol: Protocol,
    settings: Settings,
    session_max: Option<Duration>,
) -> anyhow::Result<Running> {
    match protocol {
        Protocol::AssemblyAi => {
            let mut config = assemblyai::Config::from(settings);
            config.rules.duration_max = session_max.unwrap_or(config.rules.duration_max);
            assemblyai::AssemblyAi::start(config).await
        }
        Protocol::AutoTranscribe => {
            let mut config = autotranscribe::Config::from(settings);
            config.rules.duration_max = session_max.unwrap_or(config.rules.duration_max);
            autotranscribe::AutoTranscribe::start(config).await
        }
        Protocol::Deepgram => deepgram::Deepgram::start(settings.into()).await,
        Protocol::Vosk => vosk::Vosk::start(settings.into()).await,
    }
}

/// Where a service listens, as `host:port`.
pub(super) fn address(running: &Running) -> anyhow::Result<SocketAddr> {
    let url = running.url();
    let at = url.rsplit('/').next().unwrap_or_default();
    Ok(at.parse()?)
}
