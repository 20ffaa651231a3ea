//! A Vosk server as its own program is: a WebSocket without a key that takes L16 sound and answers
//! each binary message with exactly one text, and the end of the sound with the last.

pub mod args;
mod doors;
mod message;
mod session;
#[cfg(test)]
mod tests;

use self::doors::VoskDoors;
use super::running::{self, Running};
use super::settings::Settings;

/// The service; [`Vosk::start`] is all there is to it.
#[derive(Debug)]
pub struct Vosk;

/// How a service behaves while nothing goes wrong.
#[derive(Clone)]
pub struct Config {
    /// What all services are told.
    pub settings: Settings,
    /// What it asks of its sessions.
    pub rules: Rules,
}

/// What a service asks of its sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The rate at which it listens to those who name none, in samples a second.
    pub sample_rate: u32,
    /// A longer WebSocket message ends the connection.
    pub message_bytes_max: usize,
}

impl Vosk {
    /// Listens, and serves until [`Running::stop`] or the drop.
    ///
    /// # Errors
    /// The address is taken, or the TLS files are not usable.
    pub async fn start(config: Config) -> anyhow::Result<Running> {
        let doors = VoskDoors {
            rules: config.rules,
        };
        running::start(doors, config.settings).await
    }
}

impl From<Settings> for Config {
    fn from(settings: Settings) -> Self {
        Self {
            settings,
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
            sample_rate: 8000,
            message_bytes_max: 1 << 20,
        }
    }
}
