//! Deepgram's live transcription (`/v1/listen`): one WebSocket a leg, all settings in its address.

mod conversation;
mod fuzz;
mod message;
mod query;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{self, BoxFuture};
use http::header::{AUTHORIZATION, HeaderValue};
use url::Url;

use call::audio::Chunk;
use call::private::Private;
use call::start::{StreamSpec, Wish};
use call::transcript::Utterance;

pub use self::fuzz::{fuzz, fuzz_parameters};
pub use self::query::PARAMETERS;

use self::conversation::Conversation;
use crate::base::socket_url;
use crate::metrics::Metrics;
use crate::parameters::Parameters;
use crate::service::{
    BadParameter, Dialect, Final, Gibberish, Heard, Limits, LocateError, Located, Message, Retry,
    Service,
};
use crate::sound;

/// Where the service is, who we are to it, and our limits towards it. Many fields, for it is what
/// a section of the configuration says.
#[derive(Clone, Debug)]
pub struct DeepgramConfig {
    /// Scheme, host and port: `wss://api.deepgram.com`, `wss://api.eu.deepgram.com`, or
    /// `ws://127.0.0.1:8080` for an engine of one's own. `https://` and `http://` mean the same as
    /// `wss://` and `ws://`.
    pub base_url: Url,
    /// What is sent as `Authorization`; an engine of one's own takes anything.
    pub api_key: Private<String>,
    /// Which kind of credential it is.
    pub auth: Auth,
    /// How sound goes over the wire.
    pub encoding: Encoding,
    /// The model: `nova-3`. Always sent, for the service's own default may change.
    pub model: String,
    /// All other parameters, as read by [`read_parameters`]; a wish goes over them.
    pub parameters: Parameters,
    /// Whether guesses at what is being said are asked for and passed on.
    pub partials: bool,
    /// Final segments are joined to one utterance until it is so long; zero: each is one.
    pub utterance_max: Duration,
    /// How many phrases of a vocabulary are sent at most.
    pub vocabulary_max: usize,
    /// How much sound goes into one message.
    pub chunk: Duration,
    /// How fast a backlog may be sent, in percent of real time; the service takes up to 125.
    pub pace_percent: u32,
    /// How much sound may be sent at once before the pace counts.
    pub burst: Duration,
    /// After so long without sound the socket is kept alive; the service allows 10 s.
    pub idle: Duration,
    /// Whether `ws://` may lead to another machine. To this one it always may.
    pub allow_plain: bool,
}

/// The kind of a credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// A temporary access token (JWT).
    Bearer,
    /// An API key.
    #[default]
    Token,
}

/// How sound goes over the wire, at 8 kHz.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// 16-bit linear.
    #[default]
    Linear,
    /// G.711 μ-law: half the bytes.
    Mulaw,
}

/// Why the service cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum DeepgramError {
    /// The base URL is not one, or is without TLS.
    #[error(
        "base_url must begin with wss:// (or ws:// for this machine) and have a host, but neither \
         user nor query"
    )]
    BaseUrl,
    /// The chunk is too short or too long.
    #[error("chunk must be from 20ms to 250ms")]
    Chunk,
    /// The key cannot be sent as a header.
    #[error("api_key must be visible ASCII, and not empty")]
    Credential,
    /// The service would end an idle socket.
    #[error("idle must be from 1s to 8s")]
    Idle,
    /// No model, or one that is no name.
    #[error("model must be letters, digits, dots and hyphens, at most 64")]
    Model,
    /// Faster than the service takes sound.
    #[error("pace_percent must be from 100 to 125")]
    Pace,
    /// A parameter that is set in two places.
    #[error("parameters: {0}")]
    Parameter(BadParameter),
}

/// The service.
pub struct Deepgram {
    config: DeepgramConfig,
    url: Url,
    credential: HeaderValue,
    metrics: Arc<Metrics>,
}

/// What is said over one socket.
struct DeepgramDialect {
    encoding: Encoding,
    conversation: Conversation,
}

/// Reads parameters of a configuration, as pairs of name and text. What may be set, and to what, is
/// [`PARAMETERS`].
pub fn read_parameters<'a>(
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Parameters, BadParameter> {
    PARAMETERS.read(pairs)
}

impl DeepgramConfig {
    /// With the defaults for all that has one.
    pub fn new(api_key: Private<String>) -> Self {
        Self {
            base_url: Url::parse("wss://api.deepgram.com").expect("a literal"),
            api_key,
            auth: Auth::Token,
            encoding: Encoding::Linear,
            model: "nova-3".to_owned(),
            parameters: Parameters::default(),
            partials: false,
            utterance_max: Duration::from_secs(15),
            vocabulary_max: 100,
            chunk: Duration::from_millis(100),
            pace_percent: 120,
            burst: Duration::from_millis(500),
            idle: Duration::from_secs(5),
            allow_plain: false,
        }
    }
}

impl Auth {
    /// As it is written in a header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Token => "Token",
        }
    }
}

impl Encoding {
    /// The service's name of it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Linear => "linear16",
            Self::Mulaw => "mulaw",
        }
    }
}

impl Deepgram {
    const PATH: &'static str = "/v1/listen";
    const CHUNK_MIN: Duration = Duration::from_millis(20);
    const CHUNK_MAX: Duration = Duration::from_millis(250);
    const IDLE_MIN: Duration = Duration::from_secs(1);
    const IDLE_MAX: Duration = Duration::from_secs(8);
    const MODEL_CHARS_MAX: usize = 64;

    /// Checks the configuration; opens nothing yet.
    pub fn new(config: &DeepgramConfig, metrics: Arc<Metrics>) -> Result<Self, DeepgramError> {
        let url = socket_url(&config.base_url, Self::PATH, config.allow_plain);
        let url = url.ok_or(DeepgramError::BaseUrl)?;
        check(config)?;
        let key = config.api_key.reveal();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(DeepgramError::Credential);
        }
        let header = HeaderValue::from_str(&format!("{} {key}", config.auth.as_str()));
        let mut credential = header.map_err(|_| DeepgramError::Credential)?;
        credential.set_sensitive(true);
        Ok(Self {
            config: config.clone(),
            url,
            credential,
            metrics,
        })
    }

    fn request(&self, spec: &StreamSpec) -> Result<http::Request<()>, LocateError> {
        let (url, left_out) = query::address(&self.url, &self.config, spec);
        if left_out > 0 {
            self.metrics.vocabulary_refused();
            tracing::warn!(left_out, "The vocabulary is longer than the service takes.");
        }
        let request = http::Request::get(url.as_str()).header(AUTHORIZATION, &self.credential);
        request.body(()).map_err(|_| LocateError {
            reason: "the parameters do not fit into an address".to_owned(),
            retry: Retry::Session,
        })
    }
}

impl Service for Deepgram {
    fn name(&self) -> &'static str {
        PARAMETERS.service
    }

    fn limits(&self) -> Limits {
        Limits {
            chunk: self.config.chunk,
            chunk_min: Duration::ZERO,
            chunk_max: Self::CHUNK_MAX,
            pace_percent: self.config.pace_percent,
            burst: self.config.burst,
            idle: self.config.idle,
            // None is documented.
            session_max: Duration::ZERO,
            accepts_at_open: true,
            // It tells seconds, rounded in a way that is not documented.
            counts_bytes: false,
        }
    }

    fn locate<'a>(&'a self, spec: &'a StreamSpec) -> BoxFuture<'a, Result<Located, LocateError>> {
        let located = self.request(spec).map(|request| Located {
            request,
            fresh: true,
        });
        Box::pin(future::ready(located))
    }

    fn dialect(&self, spec: &StreamSpec) -> Box<dyn Dialect> {
        Box::new(DeepgramDialect {
            encoding: self.config.encoding,
            conversation: Conversation::new(spec, &self.config),
        })
    }

    /// 402 is an account without credit, 403 one without the model.
    fn refused(&self, status: u16) -> Retry {
        match status {
            401..=403 => Retry::Credential,
            408 => Retry::Backoff,
            _ => Retry::Session,
        }
    }

    fn check(&self, wish: &Wish) -> Result<(), BadParameter> {
        PARAMETERS.check(wish)
    }
}

impl Dialect for DeepgramDialect {
    /// The address has said it all.
    fn greet(&mut self) -> Vec<Message> {
        Vec::new()
    }

    fn say(&mut self, chunk: &Chunk) -> Message {
        if chunk.is_empty() {
            // A binary message of no bytes would end the stream.
            return Message::Text(message::KEEP_ALIVE.to_owned());
        }
        self.conversation.said();
        Message::Binary(match self.encoding {
            Encoding::Linear => sound::l16(chunk),
            Encoding::Mulaw => sound::mulaw(chunk),
        })
    }

    fn endpoint(&mut self) -> Option<Message> {
        self.conversation.asked();
        Some(Message::Text(message::FINALIZE.to_owned()))
    }

    /// Only a socket that has had sound is kept open by words.
    fn keep_alive(&mut self) -> Option<Message> {
        let is_kept = self.conversation.has_said();
        is_kept.then(|| Message::Text(message::KEEP_ALIVE.to_owned()))
    }

    fn finish(&mut self) -> Vec<Message> {
        self.conversation.finish();
        vec![Message::Text(message::CLOSE_STREAM.to_owned())]
    }

    fn hear(&mut self, text: &str) -> Result<Heard, Gibberish> {
        self.conversation.hear(text)
    }

    fn closed(&mut self, code: Option<u16>, reason: &str) -> Option<Final> {
        self.conversation.closed(code, reason)
    }

    fn leftover(&mut self) -> Option<Utterance> {
        self.conversation.leftover()
    }
}

fn check(config: &DeepgramConfig) -> Result<(), DeepgramError> {
    if !(Deepgram::CHUNK_MIN..=Deepgram::CHUNK_MAX).contains(&config.chunk) {
        return Err(DeepgramError::Chunk);
    }
    if !(Deepgram::IDLE_MIN..=Deepgram::IDLE_MAX).contains(&config.idle) {
        return Err(DeepgramError::Idle);
    }
    if !(100..=125).contains(&config.pace_percent) {
        return Err(DeepgramError::Pace);
    }
    let mut chars = config.model.chars();
    let is_name = chars.all(|char| char.is_ascii_alphanumeric() || "-._".contains(char));
    let length = config.model.len();
    if !is_name || !(1..=Deepgram::MODEL_CHARS_MAX).contains(&length) {
        return Err(DeepgramError::Model);
    }
    if config.parameters.has(query::MODEL) {
        return Err(DeepgramError::Parameter(BadParameter {
            name: query::MODEL.to_owned(),
            what: "has a setting of its own".to_owned(),
        }));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
