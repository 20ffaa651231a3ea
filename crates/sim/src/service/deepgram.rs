//! Deepgram's live transcription as its documents and its clients describe it: a WebSocket with all
//! settings in its query that takes sound and gives results, as long as something comes every few
//! seconds.

pub mod args;
mod doors;
mod message;
mod parameters;
mod session;
#[cfg(test)]
mod tests;

use std::time::Duration;

use self::doors::DeepgramDoors;
use super::running::{self, Running};
use super::settings::Settings;

/// The service; [`Deepgram::start`] is all there is to it.
#[derive(Debug)]
pub struct Deepgram;

/// How a service behaves while nothing goes wrong.
#[derive(Clone)]
pub struct Config {
    /// What all services are told.
    pub settings: Settings,
    /// The API key it wants, as `Token` or as `Bearer`.
    pub key: String,
    /// What it asks of its sessions.
    pub rules: Rules,
}

/// What a service asks of its sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A session without sound and without a `KeepAlive` for so long ends with 1011.
    pub idle_timeout: Duration,
    /// An utterance of more words is told in pieces, each final; only the last ends it. Zero:
    /// never.
    pub piece_words: usize,
    /// A longer WebSocket message ends the connection.
    pub message_bytes_max: usize,
}

impl Deepgram {
    /// Listens, and serves until [`Running::stop`] or the drop.
    ///
    /// # Errors
    /// The address is taken, or the TLS files are not usable.
    pub async fn start(config: Config) -> anyhow::Result<Running> {
        let Config {
            settings,
            key,
            rules,
        } = config;
        running::start(DeepgramDoors { key, rules }, settings).await
    }
}

impl From<Settings> for Config {
    fn from(settings: Settings) -> Self {
        Self {
            settings,
            key: "sim-api-key".to_owned(),
            rules: Rules::default(),
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
            idle_timeout: Duration::from_secs(10),
            piece_words: 0,
            message_bytes_max: 1 << 20,
        }
    }
}
