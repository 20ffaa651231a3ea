//! The protocol of vosk-server, which anyone can run without an account: one WebSocket a leg, a
//! reply for every message of sound.

mod message;

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::future::{self, BoxFuture};
use url::Url;

use call::audio::{self, Chunk};
use call::start::{Status, StreamSpec};

use crate::base::socket_url;
use crate::service::{
    Dialect, Final, Gibberish, Heard, Limits, LocateError, Located, Message, Retry, Service,
};
use crate::sound;

/// Where the service is, and our limits towards it.
#[derive(Clone, Debug)]
pub struct VoskConfig {
    /// Scheme, host and port: `ws://127.0.0.1:2700`, where the server listens by default.
    pub base_url: Url,
    /// Whether the service tells each word and its time. Without them the times of utterances are
    /// only as exact as messages of sound are long.
    pub words: bool,
    /// Whether guesses at what is being said are passed on; the service makes them in any case.
    pub partials: bool,
    /// Whether the vocabulary of a start becomes a closed grammar: nothing but its phrases is then
    /// ever heard. Needs a model that can do it.
    pub phrase_list: bool,
    /// How much sound goes into one message.
    pub chunk: Duration,
    /// How fast a backlog may be sent, in percent of real time; the service sets no limit.
    pub pace_percent: u32,
    /// How much sound may be sent at once before the pace counts.
    pub burst: Duration,
    /// After so long without sound it is sent silence, which ends a phrase.
    pub idle: Duration,
    /// Whether `ws://` may lead to another machine. To this one it always may.
    pub allow_plain: bool,
}

/// Why the service cannot be used as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VoskError {
    /// The base URL is not one, or is without TLS.
    #[error(
        "base_url must begin with ws:// for this machine, or wss://, and have a host, but neither \
         user nor query"
    )]
    BaseUrl,
    /// The chunk is too short or too long.
    #[error("chunk must be from 20ms to 1s")]
    Chunk,
    /// Silence would be all it hears, or never come.
    #[error("idle must be from 1s to 60s")]
    Idle,
    /// Slower than sound comes, or faster than anything recognises.
    #[error("pace_percent must be from 100 to 1000")]
    Pace,
}

/// The service.
#[derive(Debug)]
pub struct Vosk {
    config: VoskConfig,
    url: Url,
}

/// What is said over one socket.
struct VoskDialect {
    spec: StreamSpec,
    words: bool,
    partials: bool,
    phrase_list: bool,
    /// Where the sound of each message ends that is not replied to yet, in samples.
    awaited: VecDeque<u64>,
    /// Samples said.
    said: u64,
    /// Samples that were replied to.
    heard: u64,
    /// Where the last utterance ended, in samples.
    told: u64,
    is_finishing: bool,
    /// Whether the reply to the last message has come.
    is_answered: bool,
}

impl Default for VoskConfig {
    fn default() -> Self {
        Self {
            base_url: Url::parse("ws://127.0.0.1:2700").expect("a literal"),
            words: true,
            partials: false,
            phrase_list: false,
            chunk: Duration::from_millis(200),
            pace_percent: 200,
            burst: Duration::from_millis(500),
            idle: Duration::from_secs(5),
            allow_plain: false,
        }
    }
}

impl Vosk {
    const CHUNK_MIN: Duration = Duration::from_millis(20);
    const CHUNK_MAX: Duration = Duration::from_secs(1);
    const IDLE_MIN: Duration = Duration::from_secs(1);
    const IDLE_MAX: Duration = Duration::from_secs(60);

    /// Checks the configuration; opens nothing yet.
    pub fn new(config: &VoskConfig) -> Result<Self, VoskError> {
        let url = socket_url(&config.base_url, "", config.allow_plain);
        let url = url.ok_or(VoskError::BaseUrl)?;
        if !(Self::CHUNK_MIN..=Self::CHUNK_MAX).contains(&config.chunk) {
            return Err(VoskError::Chunk);
        }
        if !(Self::IDLE_MIN..=Self::IDLE_MAX).contains(&config.idle) {
            return Err(VoskError::Idle);
        }
        if !(100..=1000).contains(&config.pace_percent) {
            return Err(VoskError::Pace);
        }
        Ok(Self {
            config: config.clone(),
            url,
        })
    }
}

impl Service for Vosk {
    fn name(&self) -> &'static str {
        "vosk"
    }

    fn limits(&self) -> Limits {
        Limits {
            chunk: self.config.chunk,
            chunk_min: Duration::ZERO,
            chunk_max: Self::CHUNK_MAX,
            pace_percent: self.config.pace_percent,
            burst: self.config.burst,
            idle: self.config.idle,
            session_max: Duration::ZERO,
            accepts_at_open: true,
            counts_bytes: false,
        }
    }

    fn locate<'a>(&'a self, _spec: &'a StreamSpec) -> BoxFuture<'a, Result<Located, LocateError>> {
        let request = http::Request::get(self.url.as_str()).body(());
        let located = request.map(|request| Located {
            request,
            fresh: true,
        });
        Box::pin(future::ready(located.map_err(|_| LocateError {
            reason: "base_url is too long for an address".to_owned(),
            retry: Retry::Session,
        })))
    }

    fn dialect(&self, spec: &StreamSpec) -> Box<dyn Dialect> {
        Box::new(VoskDialect::new(spec, &self.config))
    }

    /// It knows no credentials; something before it might.
    fn refused(&self, status: u16) -> Retry {
        match status {
            401..=403 => Retry::Credential,
            408 => Retry::Backoff,
            _ => Retry::Session,
        }
    }
}

impl VoskDialect {
    /// If more replies are awaited the newest are counted as one: their times lose exactness, not
    /// their words.
    const AWAITED_MAX: usize = 1024;

    fn new(spec: &StreamSpec, config: &VoskConfig) -> Self {
        Self {
            spec: spec.clone(),
            words: config.words,
            partials: config.partials,
            phrase_list: config.phrase_list,
            awaited: VecDeque::new(),
            said: 0,
            heard: 0,
            told: 0,
            is_finishing: false,
            is_answered: false,
        }
    }

    /// A reply has come: one for each message, in their order.
    fn replied(&mut self, is_settled: bool) {
        match self.awaited.pop_front() {
            Some(end) => self.heard = end,
            None => {
                self.heard = self.said;
                self.is_answered |= self.is_finishing && is_settled;
            }
        }
    }
}

impl Dialect for VoskDialect {
    fn greet(&mut self) -> Vec<Message> {
        let vocabulary = &self.spec.options.vocabulary;
        let phrases = if self.phrase_list {
            vocabulary
        } else {
            &[][..]
        };
        vec![Message::Text(message::config(self.words, phrases))]
    }

    fn say(&mut self, chunk: &Chunk) -> Message {
        self.said += chunk.len();
        if self.awaited.len() >= Self::AWAITED_MAX {
            self.awaited.pop_back();
        }
        self.awaited.push_back(self.said);
        Message::Binary(sound::l16(chunk))
    }

    fn finish(&mut self) -> Vec<Message> {
        self.is_finishing = true;
        vec![Message::Text(message::EOF.to_owned())]
    }

    fn hear(&mut self, text: &str) -> Result<Heard, Gibberish> {
        let Some(reply) = message::read(text)? else {
            return Ok(Heard::Unknown);
        };
        self.replied(reply.is_final);
        let received = Heard::Received(audio::duration(self.heard));
        if reply.text.is_empty() {
            // Nothing was said since the last utterance.
            self.told = if reply.is_final {
                self.heard
            } else {
                self.told
            };
            return Ok(received);
        }
        let bounds = (audio::duration(self.told), audio::duration(self.heard));
        if reply.is_final {
            self.told = self.heard;
        } else if !self.partials {
            return Ok(received);
        }
        Ok(Heard::Transcript(message::utterance(
            reply, bounds, &self.spec,
        )))
    }

    /// After the last reply the service closes; a clean close before it is a loss.
    fn closed(&mut self, code: Option<u16>, _reason: &str) -> Option<Final> {
        let is_well = self.is_finishing && (code == Some(1000) || self.is_answered);
        let (code, description, retry) = match code {
            _ if is_well => (1000, "OK", Retry::Backoff),
            Some(1001 | 1012) => (5001, "the service is shutting down", Retry::Now),
            // A model that knows no grammar does this, as does any other failure.
            Some(1011) => (5000, "the service had an internal error", Retry::Backoff),
            Some(1013) => (5002, "the service has no room at present", Retry::Backoff),
            _ => return None,
        };
        let description = description.to_owned();
        Some(Final {
            status: Status { code, description },
            retry,
            summary: None,
        })
    }
}

/// The body of the fuzz target: whatever a service sends, a message a line, it is understood or
/// refused.
pub fn fuzz(data: &[u8]) {
    let spec = crate::example::stream(call::start::StreamOptions::default());
    let (Ok(text), Some(spec)) = (std::str::from_utf8(data), spec) else {
        return;
    };
    let mut dialect = VoskDialect::new(&spec, &VoskConfig::default());
    for line in text.lines() {
        if let Ok(Heard::Transcript(mut utterance)) = dialect.hear(line) {
            assert!(utterance.start <= utterance.end, "it ends before it begins");
            assert!(utterance.is_final, "nobody asked for guesses");
            crate::timeline::TimeLine::default().place(&mut utterance);
        }
    }
}

#[cfg(test)]
mod tests;
