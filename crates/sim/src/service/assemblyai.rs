//! AssemblyAI Streaming v3 as its documents and its clients describe it: a WebSocket with all
//! settings in its query that takes sound in messages of 50 to 1000 ms and gives turns; and the
//! REST call for a temporary token.

pub mod args;
mod doors;
mod message;
mod parameters;
mod session;
mod status;
#[cfg(test)]
mod tests;

use std::time::Duration;

use self::doors::AssemblyAiDoors;
use super::running::{self, Running};
use super::settings::Settings;
use super::tokens::Tokens;

/// The service; [`AssemblyAi::start`] is all there is to it.
#[derive(Debug)]
pub struct AssemblyAi;

/// How a service behaves while nothing goes wrong.
#[derive(Clone)]
pub struct Config {
    /// What all services are told.
    pub settings: Settings,
    /// The API key it wants.
    pub key: String,
    /// Its temporary tokens; the client says how long one lives. A bad key is refused as a bad
    /// token is.
    pub tokens: Tokens,
    /// What it asks of its sessions.
    pub rules: Rules,
}

/// What a service asks of its sessions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// A session that lasts longer ends with 3008; `Begin` tells when. A token may ask for less.
    pub duration_max: Duration,
    /// A session without a message for so long ends, whatever it asks for; `None` is what it asks
    /// for.
    pub inactivity_timeout: Option<Duration>,
    /// More sessions at once are refused.
    pub sessions_max: Option<usize>,
    /// More new sessions in a minute are refused.
    pub opens_per_minute: Option<usize>,
    /// The close code of these two refusals: documents say 1008 and 3009.
    pub refusal_code: u16,
    /// A message with less sound ends the session with 3007.
    pub chunk_min: Duration,
    /// A message with more sound ends the session with 3007.
    pub chunk_max: Duration,
    /// Sound that comes faster than this, in percent of the clock, ends the session with 3007.
    pub rate_max_percent: u32,
    /// So much sound may come at once before that.
    pub burst: Duration,
    /// The time between two `Heartbeat`s of a session that asks for them.
    pub heartbeat: Duration,
    /// A longer WebSocket message ends the connection.
    pub message_bytes_max: usize,
}

impl AssemblyAi {
    /// Listens, and serves until [`Running::stop`] or the drop.
    ///
    /// # Errors
    /// The address is taken, or the TLS files are not usable.
    pub async fn start(config: Config) -> anyhow::Result<Running> {
        let settings = config.settings.clone();
        running::start(AssemblyAiDoors::new(config), settings).await
    }
}

impl From<Settings> for Config {
    fn from(settings: Settings) -> Self {
        Self {
            settings,
            key: "sim-api-key".to_owned(),
            tokens: Tokens::default(),
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
            duration_max: Duration::from_secs(3 * 3600),
            inactivity_timeout: None,
            sessions_max: None,
            opens_per_minute: None,
            refusal_code: status::TOO_MANY,
            chunk_min: Duration::from_millis(50),
            chunk_max: Duration::from_secs(1),
            rate_max_percent: 125,
            burst: Duration::from_secs(5 * 60),
            heartbeat: Duration::from_secs(5),
            message_bytes_max: 1 << 20,
        }
    }
}
