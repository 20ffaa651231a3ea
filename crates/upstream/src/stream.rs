//! One upstream stream: a leg's sound to a service and the transcripts back, through as many
//! sockets as it takes.
//!
//! ```text
//! opening → greeted → live ───────────────▶ finishing → done: Finished
//!    ╲         ╲        ╲  ╲─ next beside it ─▶ old, still heard
//!     ╲─────────╲────────╲──▶ lost ── pause, or another service ──▶ opening
//!                              ╲── never accepted, or refused for good ──▶ done: Failed
//! ```
//!
//! One task owns it, polls both directions of each socket independently and never waits in either:
//! a service that stops reading cannot make us deaf, and a chunk is taken from the leg only when
//! the one before it is written. While there is no socket, sound stays in the leg's backlog; what
//! was sent and not confirmed by a final transcript is kept, within a limit, and sent again.

mod account;
mod again;
mod choice;
mod conversation;
mod core;
mod cutter;
mod due;
mod life;
mod opening;
mod over;
mod replay;
mod rollover;
mod stretches;
mod supply;
mod timer;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use call::backlog::Gap;
use call::feed::ChunkSource;
use call::start::{Report, StreamSpec};
use call::transcript::Utterance;

use self::core::Core;
use self::life::Life;
use crate::metrics::Metrics;
use crate::retry::RetryConfig;
use crate::routes::Routes;
use crate::wire::Wire;

/// What all streams share.
pub struct Deps {
    /// The services they may speak with.
    pub routes: Routes,
    /// What opens their sockets.
    pub wire: Arc<Wire>,
    /// Who is told what happens.
    pub listener: Arc<dyn Listener>,
    /// Their deadlines.
    pub config: StreamConfig,
    /// What they count.
    pub metrics: Arc<Metrics>,
}

/// The deadlines and limits of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamConfig {
    /// How long a service may take to accept a stream once the socket is open. A stream that no
    /// service has accepted yet waits no longer for leave at a service that is left alone.
    pub response_timeout: Duration,
    /// How long a message may take to be written.
    pub stall_timeout: Duration,
    /// How long the last transcripts and the final message may take.
    pub drain_timeout: Duration,
    /// After so long a silence of the service it is pinged.
    pub ping_interval: Duration,
    /// How long it may take to show a sign of life then.
    pub pong_timeout: Duration,
    /// How much sound is sent, and kept to be sent again, before the service accepts the stream.
    pub unaccepted_max: Duration,
    /// How much of what was sent and is not confirmed by a final transcript is kept, to be sent
    /// again if the socket is lost. Zero: none, so that no sound is ever heard twice.
    pub replay: Duration,
    /// So long before a service ends a socket by its rules another is opened. A life of less than
    /// three times that is divided by three instead; where the service names the moment itself, no
    /// more than two minutes are taken.
    pub rollover_lead: Duration,
    /// How long a pause in the talk is then waited for, to change over in it; never longer than
    /// half of the lead.
    pub rollover_window: Duration,
    /// Whether a stream may have two sockets while it changes over. If not, or if the service
    /// refuses the second, the first is finished before the second is opened.
    pub overlap: bool,
    /// Whether a stream that was accepted by one service may turn to another when it is opened
    /// anew.
    pub fail_over_running: bool,
    /// How often a stream is tried again that was without a service for long.
    pub probe_interval: Duration,
    /// What follows a loss.
    pub retry: RetryConfig,
}

/// Who is told what happens to streams. Called from the streams' tasks: must not block.
pub trait Listener: Send + Sync {
    /// Something happened to a stream.
    fn tell(&self, stream: &StreamSpec, news: News);
}

/// What happens to a stream. Exactly one `Failed` or `Finished` comes, and it comes last.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// It has been without a service for so long that it is tried but slowly from here on; told
    /// once an outage. Its sound is kept as long as the backlog lasts.
    Degraded {
        /// A sentence's worth of reason.
        why: String,
    },
    /// It was given up.
    Failed(Report),
    /// It came to its end, or was cut off when only the end was missing.
    Finished(Report),
    /// A stretch of the stream's clock that the service does not hear, or of which nobody knows
    /// whether it did.
    Gap(Gap),
    /// The socket is lost, or could not be had; it is tried again.
    Interrupted {
        /// Counts the losses in a row, from 1.
        attempt: u32,
        /// A sentence's worth of reason.
        why: String,
    },
    /// The service confirmed another number of bytes than was sent to it.
    Mismatch {
        /// Bytes of sound sent, silence of ours included, over all sockets that it summed up.
        sent_bytes: u64,
        /// Bytes of sound the service says it received on those.
        confirmed_bytes: u64,
    },
    /// A service has accepted the stream; again after each interruption, and when a stream goes
    /// over to another service without any.
    Ready {
        /// The service's name.
        service: &'static str,
    },
    /// Somebody said something. Its times are on the stream's clock.
    Utterance(Utterance),
}

/// A stream from outside. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StreamHandle(Arc<Shared>);

/// A stream at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// `opening`, `ready`, `finishing`, `finished`, `failed`, `degraded`.
    pub state: &'static str,
    /// Bytes of the leg's sound sent, each counted once.
    pub sent_bytes: u64,
    /// Transcripts heard.
    pub transcripts: u64,
    /// Samples that waited to be sent when the stream last looked.
    pub waiting: u64,
}

/// A stream, to be run in a task of its own. Dropping it unfinished is failing.
pub struct Stream(Life);

#[derive(Debug, Default)]
struct Shared {
    state: AtomicU8,
    sent_bytes: AtomicU64,
    transcripts: AtomicU64,
    waiting: AtomicU64,
    abandon: CancellationToken,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Opening,
    Ready,
    Finishing,
    Finished,
    Failed,
    Degraded,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            response_timeout: Duration::from_secs(5),
            stall_timeout: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(20),
            pong_timeout: Duration::from_secs(10),
            unaccepted_max: Duration::from_secs(6),
            replay: Duration::from_secs(15),
            rollover_lead: Duration::from_secs(5 * 60),
            rollover_window: Duration::from_secs(60),
            overlap: true,
            fail_over_running: true,
            probe_interval: Duration::from_secs(30),
            retry: RetryConfig::default(),
        }
    }
}

impl StreamHandle {
    /// Ends the stream at once; its last news is `Failed`.
    pub fn abandon(&self) {
        self.0.abandon.cancel();
    }

    /// How it stands.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            state: State::name(self.0.state.load(Ordering::Relaxed)),
            sent_bytes: self.0.sent_bytes.load(Ordering::Relaxed),
            transcripts: self.0.transcripts.load(Ordering::Relaxed),
            waiting: self.0.waiting.load(Ordering::Relaxed),
        }
    }
}

impl Stream {
    /// A stream that will take its sound from `source`.
    pub fn new(deps: Arc<Deps>, spec: StreamSpec, source: ChunkSource) -> (StreamHandle, Self) {
        let shared = Arc::new(Shared::default());
        let core = Core::new(deps, spec, source, Arc::clone(&shared));
        (StreamHandle(shared), Self(Life::new(core)))
    }

    /// Lives until the stream is over.
    pub async fn run(self) {
        // All else is gone when the sockets are closed: nobody listens to the leg any more.
        for closing in self.0.run().await {
            closing.await;
        }
    }
}

impl State {
    fn name(state: u8) -> &'static str {
        [
            "opening",
            "ready",
            "finishing",
            "finished",
            "failed",
            "degraded",
        ][usize::from(state).min(5)]
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stream").field(&self.0.core.spec.id).finish()
    }
}

#[cfg(test)]
mod tests;
