//! What is particular to a service: its routes, its refusals, and what its sessions say.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;

use super::ear::Ear;
use super::reception::Reception;

/// A service besides its sessions.
pub(super) trait Dialect: Send + Sync + Sized + 'static {
    /// What it is called where people read: `AssemblyAI`.
    const NAME: &'static str;

    /// What can be asked over HTTP. A handler of a WebSocket's route judges keys and tokens and
    /// leaves the rest to [`Reception::receive`].
    fn routes() -> Router<Arc<House<Self>>>;

    /// The answer to a request that is refused.
    fn refusal(status: StatusCode) -> Response;

    /// The words beside a close code.
    fn reason(_code: u16) -> &'static str {
        ""
    }
}

/// What a request finds.
pub(super) struct House<D> {
    pub(super) dialect: D,
    pub(super) reception: Arc<Reception>,
}

/// One session without its socket: what each message does to it and what is answered. It does not
/// wait and has no clock; whoever drives it brings the time.
pub(super) trait Session: Send {
    /// The socket is open; what the service says first.
    fn open(&mut self, _now: Instant) -> Vec<Answer> {
        Vec::new()
    }

    /// Whether it takes sound: from then on it can be refused, delayed or broken.
    fn has_begun(&self) -> bool;

    /// A text message.
    fn text(&mut self, now: Instant, text: &str) -> Vec<Answer>;

    /// A binary message.
    fn binary(&mut self, now: Instant, bytes: &[u8]) -> Vec<Answer>;

    /// When [`Session::tick`] has something to do; never again the same after that.
    fn deadline(&self) -> Option<Instant>;

    /// The time has come.
    fn tick(&mut self, now: Instant) -> Vec<Answer>;

    /// Ends the session with an error of the service's own, in its words.
    fn fail(&mut self, now: Instant, code: u16) -> Vec<Answer>;

    /// Ends the session because the service stops.
    fn stop(&mut self, now: Instant) -> Vec<Answer>;

    /// The faults that are the session's own to commit.
    fn go_wrong(&mut self, faults: Lapses);

    /// A message out of the ordinary; `None` where the service has none of that kind.
    fn oddity(&self, kind: Oddity) -> Option<String>;

    /// What it hears with.
    fn ear(&self) -> &Ear;
}

/// What shall be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Close the socket with this code and these words; nothing follows.
    Close(u16, String),
    /// The session's last message: 1000 and what acknowledges a good end, or an error.
    Final(u16, String),
    /// Any other message.
    Text(String),
    /// What was said, for good.
    Transcript(String),
}

/// Faults in what a session says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lapses {
    /// So many more bytes, or fewer, are in its sums than came.
    pub(super) bytes_off: i64,
    /// Transcripts do not say whether they are formatted.
    pub(super) unflagged: bool,
}

/// Messages out of the ordinary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Oddity {
    /// A transcript of a megabyte.
    Huge,
    /// A type that no document knows.
    Unknown,
    /// A warning.
    Warning,
}

impl Oddity {
    /// As its switch is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Huge => "huge-message",
            Self::Unknown => "unknown-message",
            Self::Warning => "warning",
        }
    }
}

/// The end of a session that ended well.
pub(super) const GOOD_END: u16 = 1000;

/// The text of a transcript of a megabyte.
pub(super) fn a_megabyte() -> String {
    "blah ".repeat((1 << 20) / 5)
}
