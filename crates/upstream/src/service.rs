//! What a speech service must be: where it is, what is said over its socket, what it can bear.
//!
//! Reaching a service may need a request of its own, which waits; that is [`Service`]. What is then
//! said does not wait; that is [`Dialect`], a pure machine that literal messages can test.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::future::{self, BoxFuture};

use call::audio::Chunk;
use call::name::CallName;
use call::start::{Status, StreamSpec, Summary, Wish};
use call::transcript::Utterance;

/// The names of all services there are, in alphabetical order; none begins another.
pub const NAMES: [&str; 4] = ["assemblyai", "autotranscribe", "deepgram", "vosk"];

/// A speech service.
pub trait Service: Send + Sync {
    /// For plans, labels and logs: one of [`NAMES`].
    fn name(&self) -> &'static str;

    /// How its sound is cut and how fast it may come.
    fn limits(&self) -> Limits;

    /// Media of a call has appeared: whatever makes its start fast may be fetched now. May be
    /// called again; it only fills up what is missing.
    fn prepare<'a>(&'a self, _call: &'a CallName) -> BoxFuture<'a, ()> {
        Box::pin(future::ready(()))
    }

    /// A call is over: what was fetched for it is of no use any more.
    fn forget(&self, _call: &CallName) {}

    /// Where to open a socket for a stream. Must have a deadline of its own.
    fn locate<'a>(&'a self, spec: &'a StreamSpec) -> BoxFuture<'a, Result<Located, LocateError>>;

    /// What is said over one socket of a stream.
    fn dialect(&self, spec: &StreamSpec) -> Box<dyn Dialect>;

    /// The class of an HTTP status with which the service refuses to open a socket. 429 and 5xx are
    /// not asked for.
    fn refused(&self, status: u16) -> Retry {
        match status {
            401..=403 => Retry::Credential,
            _ => Retry::Session,
        }
    }

    /// Whether a stream may wish for these parameters.
    fn check(&self, wish: &Wish) -> Result<(), BadParameter> {
        wish.parameters.first().map_or(Ok(()), |(name, _)| {
            Err(BadParameter {
                name: name.to_string(),
                what: format!("is no parameter of {}", self.name()),
            })
        })
    }
}

/// A parameter that a service does not have, or not so. Says which, never its value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} {what}")]
pub struct BadParameter {
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub what: String,
}

/// What is said over one socket. Pure: no socket, no clock, no waiting.
pub trait Dialect: Send {
    /// What is said first, in this order; sound may follow at once.
    fn greet(&mut self) -> Vec<Message>;

    /// One message of sound, as long as [`Limits`] allow.
    fn say(&mut self, chunk: &Chunk) -> Message;

    /// A pause begins: what was said is to be transcribed now. `None` if the service has no such
    /// message.
    fn endpoint(&mut self) -> Option<Message> {
        None
    }

    /// What keeps a socket open that has had no sound for [`Limits::idle`]. `None`: silence does.
    fn keep_alive(&mut self) -> Option<Message> {
        None
    }

    /// Nothing more will be said.
    fn finish(&mut self) -> Vec<Message>;

    /// What the service means by a text message. Times are on the socket's clock, which is 0 at
    /// the first sample sent over it.
    fn hear(&mut self, text: &str) -> Result<Heard, Gibberish>;

    /// What the service means by closing the socket, with its close code and reason. `None` if that
    /// says nothing; after [`Dialect::finish`] it may be the service's way to say that all is well.
    fn closed(&mut self, _code: Option<u16>, _reason: &str) -> Option<Final> {
        None
    }

    /// The socket is gone: an utterance whose words were final and of which the service meant to
    /// send a better copy that will not come any more.
    fn leftover(&mut self) -> Option<Utterance> {
        None
    }
}

/// A WebSocket message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Sound, as a rule.
    Binary(Bytes),
    /// Control, as a rule.
    Text(String),
}

/// What a service's message means.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// The last message on this socket.
    Final(Final),
    /// Nothing that changes anything.
    Nothing,
    /// The stream is accepted. The service ends the socket at `expires`, if it says so.
    Ready {
        /// By the service's own clock.
        expires: Option<SystemTime>,
    },
    /// So much sound has arrived on this socket.
    Received(Duration),
    /// Somebody said something; what is not final yet replaces what was not final before.
    Transcript(Utterance),
    /// A message of a kind that nobody told us of.
    Unknown,
    /// The vocabulary was not taken; the stream goes on without.
    VocabularyRefused(Status),
    /// Something is not as it should be; the stream goes on.
    Warning(Status),
}

/// How a service ends a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Final {
    /// The service's own status, put into the control API's words.
    pub status: Status,
    /// What it allows if nobody had asked for the end.
    pub retry: Retry,
    /// What the service counted on this socket.
    pub summary: Option<Summary>,
}

/// A message that cannot be read. Says where, never what: it may hold what a caller said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message could not be read: {reason} at line {line}, column {column}")]
pub struct Gibberish {
    /// Which kind of mistake.
    pub reason: &'static str,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

/// What a failure allows: its class, in the words of the retry table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The service asks for patience; again not before this.
    After(Duration),
    /// Again after a random pause that grows.
    Backoff,
    /// The credential is refused; no stream will get further.
    Credential,
    /// As backoff, but only so many times in a row, then as for [`Retry::Session`].
    Few(u32),
    /// Again at once, spread over a second so that not all streams come back together.
    Now,
    /// The socket has reached the service's longest duration; a new one is welcome at once.
    Rollover,
    /// This stream, as asked for, will never be accepted.
    Session,
    /// The service was left without sound; again when there is some.
    Sound,
    /// The address was not accepted: a stored one may be stale, a fresh one means the credential.
    Token,
    /// Nobody told us of this failure; as backoff.
    Unknown,
}

/// How a service takes its sound, and what else is particular to it: a table, no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How much sound goes into one message.
    pub chunk: Duration,
    /// A shorter message is padded with silence; zero: none is too short.
    pub chunk_min: Duration,
    /// A longer message is cut.
    pub chunk_max: Duration,
    /// How fast a backlog may be sent, in percent of real time; at least 100.
    pub pace_percent: u32,
    /// How much sound may be sent at once before the pace counts.
    pub burst: Duration,
    /// After so long without sound the socket is kept alive.
    pub idle: Duration,
    /// How long a socket may live, if the service does not say so itself; it is rolled over before.
    /// Zero: for ever.
    pub session_max: Duration,
    /// Whether a stream is accepted as soon as its socket is open, without a word.
    pub accepts_at_open: bool,
    /// Whether bytes of sound that the service counts can be compared with those sent.
    pub counts_bytes: bool,
}

/// Where a socket is to be opened. Not `Debug`: the address may hold a token.
pub struct Located {
    /// Address and headers of the WebSocket request.
    pub request: http::Request<()>,
    /// Whether it was asked for just now, rather than ahead of time.
    pub fresh: bool,
}

/// Why there is no address. Holds neither address nor credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct LocateError {
    /// A sentence's worth of reason, fit for a report.
    pub reason: String,
    /// Its class.
    pub retry: Retry,
}

impl Retry {
    /// The labels of all classes, in alphabetical order; none begins another.
    pub const LABELS: [&str; 10] = [
        "after",
        "backoff",
        "credential",
        "few",
        "now",
        "rollover",
        "session",
        "sound",
        "token",
        "unknown",
    ];

    /// For labels and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::After(_) => "after",
            Self::Backoff => "backoff",
            Self::Credential => "credential",
            Self::Few(_) => "few",
            Self::Now => "now",
            Self::Rollover => "rollover",
            Self::Session => "session",
            Self::Sound => "sound",
            Self::Token => "token",
            Self::Unknown => "unknown",
        }
    }
}
