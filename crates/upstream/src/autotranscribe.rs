//! ASAPP AutoTranscribe: an HTTP request for an address, then one WebSocket a leg.

mod locate;
mod message;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use url::Url;

use call::audio::Chunk;
use call::name::CallName;
use call::private::Private;
use call::start::StreamSpec;

use self::locate::Locator;
use crate::metrics::Metrics;
use crate::service::{
    Dialect, Gibberish, Heard, Limits, LocateError, Located, Message, Retry, Service,
};
use crate::sound;
use crate::trust::Trust;

/// Where the service is, who we are to it, and our limits towards it.
#[derive(Clone, Debug)]
pub struct AutoTranscribeConfig {
    /// Scheme, host and port of the HTTP API: `https://api.sandbox.asapp.com`.
    pub base_url: Url,
    /// `asapp-api-id`
    pub api_id: String,
    /// `asapp-api-secret`
    pub api_secret: Private<String>,
    /// How much sound goes into one message; the service recommends 20 or 100 ms.
    pub chunk: Duration,
    /// How fast a backlog may be sent, in percent of real time.
    pub pace_percent: u32,
    /// How much sound may be sent at once before the pace counts.
    pub burst: Duration,
    /// How long the request for an address may take.
    pub locate_timeout: Duration,
    /// A longer answer to it is refused.
    pub answer_bytes_max: usize,
    /// How many addresses are fetched ahead for a call; 0 fetches none.
    pub urls_per_call: usize,
    /// For how many calls at once addresses are kept.
    pub url_calls_max: usize,
    /// An older address is not used; the service lets them live for 5 minutes.
    pub url_age_max: Duration,
    /// After so long without sound it is sent silence; the service allows 60 s.
    pub idle: Duration,
    /// How long it lets a socket live: 3 h.
    pub session_max: Duration,
    /// Whether `http://` may lead to another machine. To this one it always may.
    pub allow_plain: bool,
}

/// Why the service cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum AutoTranscribeError {
    /// The base URL is not one, or is without TLS.
    #[error("base_url must begin with https:// (or http:// for this machine) and have a host")]
    BaseUrl,
    /// No HTTP client could be made.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
    /// The chunk is too short or too long.
    #[error("chunk must be from 20ms to 1s")]
    Chunk,
    /// The id or the secret cannot be sent as a header.
    #[error("api_id and api_secret must be visible ASCII")]
    Credential,
}

/// The service.
pub struct AutoTranscribe {
    locator: Locator,
    limits: Limits,
}

/// What is said over one socket.
struct AutoTranscribeDialect {
    spec: StreamSpec,
}

impl AutoTranscribeConfig {
    /// With the defaults for all that has one.
    pub fn new(base_url: Url, api_id: String, api_secret: Private<String>) -> Self {
        Self {
            base_url,
            api_id,
            api_secret,
            chunk: Duration::from_millis(100),
            pace_percent: 120,
            burst: Duration::from_millis(500),
            locate_timeout: Duration::from_secs(5),
            answer_bytes_max: 64 << 10,
            urls_per_call: 2,
            url_calls_max: 4096,
            url_age_max: Duration::from_secs(240),
            idle: Duration::from_secs(20),
            session_max: Duration::from_secs(3 * 60 * 60),
            allow_plain: false,
        }
    }
}

impl AutoTranscribe {
    const CHUNK_MIN: Duration = Duration::from_millis(20);
    const CHUNK_MAX: Duration = Duration::from_secs(1);

    /// Checks the configuration; opens nothing yet.
    pub fn new(
        config: &AutoTranscribeConfig,
        trust: &Trust,
        metrics: Arc<Metrics>,
    ) -> Result<Self, AutoTranscribeError> {
        if !(Self::CHUNK_MIN..=Self::CHUNK_MAX).contains(&config.chunk) {
            return Err(AutoTranscribeError::Chunk);
        }
        let limits = Limits {
            chunk: config.chunk,
            chunk_min: Duration::ZERO,
            chunk_max: Self::CHUNK_MAX,
            pace_percent: config.pace_percent,
            burst: config.burst,
            idle: config.idle,
            session_max: config.session_max,
            accepts_at_open: false,
            counts_bytes: true,
        };
        Ok(Self {
            locator: Locator::new(config, trust, metrics)?,
            limits,
        })
    }
}

impl Service for AutoTranscribe {
    fn name(&self) -> &'static str {
        "autotranscribe"
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn prepare<'a>(&'a self, call: &'a CallName) -> BoxFuture<'a, ()> {
        Box::pin(self.locator.prepare(call))
    }

    fn forget(&self, call: &CallName) {
        self.locator.forget(call);
    }

    fn locate<'a>(&'a self, spec: &'a StreamSpec) -> BoxFuture<'a, Result<Located, LocateError>> {
        Box::pin(self.locator.locate(&spec.call, &spec.external))
    }

    fn dialect(&self, spec: &StreamSpec) -> Box<dyn Dialect> {
        Box::new(AutoTranscribeDialect { spec: spec.clone() })
    }

    /// The address holds the token, so that a refusal means the address.
    fn refused(&self, _status: u16) -> Retry {
        Retry::Token
    }
}

impl Dialect for AutoTranscribeDialect {
    fn greet(&mut self) -> Vec<Message> {
        let mut greetings = vec![Message::Text(message::start_stream(&self.spec))];
        greetings
            .extend(message::update_vocabulary(&self.spec.options.vocabulary).map(Message::Text));
        greetings
    }

    fn say(&mut self, chunk: &Chunk) -> Message {
        Message::Binary(sound::l16(chunk))
    }

    fn finish(&mut self) -> Vec<Message> {
        vec![Message::Text(message::FINISH_STREAM.to_owned())]
    }

    fn hear(&mut self, text: &str) -> Result<Heard, Gibberish> {
        message::hear(text, &self.spec)
    }
}

/// The body of the fuzz target: whatever a service sends, it is understood or refused.
pub fn fuzz(data: &[u8]) {
    let spec = crate::example::stream(call::start::StreamOptions::default());
    let (Ok(text), Some(spec)) = (std::str::from_utf8(data), spec) else {
        return;
    };
    let heard = message::hear(text, &spec);
    if let Ok(Heard::Transcript(mut utterance)) = heard {
        crate::timeline::TimeLine::default().place(&mut utterance);
        assert!(
            utterance.start <= utterance.end,
            "an utterance ends before it begins"
        );
    }
}

#[cfg(test)]
mod tests;
