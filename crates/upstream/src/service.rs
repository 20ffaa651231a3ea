//! What a speech service must be: where it is, what is said over its socket, what it can bear.
//!
//! Reaching a service may need a request of its own, which waits; that is [`Service`]. What is then
//! said does not wait; that is [`Dialect`], a pure machine that literal messages can test.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{self, BoxFuture};

use call::audio::Chunk;
use call::name::CallName;
use call::start::{Status, StreamSpec, Summary};
use call::transcript::Utterance;

/// A speech service.
pub trait Service: Send + Sync {
    /// For logs: `autotranscribe`.
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
}

/// What is said over one socket. Pure: no socket, no clock, no waiting.
pub trait Dialect: Send {
    /// What is said first, in this order; sound may follow at once.
    fn greet(&mut self) -> Vec<Message>;

    /// One chunk of sound.
    fn say(&mut self, chunk: &Chunk) -> Message;

    /// Nothing more will be said.
    fn finish(&mut self) -> Message;

    /// What the service means by a text message. Times are on the socket's clock, which is 0 at
    /// the first sample sent over it.
    fn hear(&mut self, text: &str) -> Result<Heard, Gibberish>;
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
    /// The last message on this socket. `retry` says what to do if nobody had asked for the end.
    Final {
        /// The service's own status.
        status: Status,
        /// The class of that status.
        retry: Retry,
        /// What the service counted on this socket.
        summary: Option<Summary>,
    },
    /// Nothing that changes anything.
    Nothing,
    /// The stream is accepted.
    Ready,
    /// Somebody said something.
    Transcript(Utterance),
    /// A message of a kind that nobody told us of.
    Unknown,
    /// The vocabulary was not taken; the stream goes on without.
    VocabularyRefused(Status),
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

/// How a service takes its sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How much sound goes into one message.
    pub chunk: Duration,
    /// How fast a backlog may be sent, in percent of real time; at least 100.
    pub pace_percent: u32,
    /// How much sound may be sent at once before the pace counts.
    pub burst: Duration,
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
