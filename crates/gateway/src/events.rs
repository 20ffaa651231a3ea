//! The bus: what happens to calls, kept for a while for whoever wants to know. Publishing never
//! waits; a reader has a place in the ring and falls behind at its own expense.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use call::backlog::GapReason;
use call::ending::Ending;
use call::leg::LegStats;
use call::name::{CallName, LegId, Role, Side, StreamId};
use call::private::Private;
use call::start::Report;
use call::switchboard::StateName;
use call::transcript::Utterance;
use tokio::sync::watch;

use crate::clock::unix_ms;
use crate::metrics::Metrics;
use crate::switchboard_task::LegRole;

mod known;
mod ring;
pub mod tap;

use known::Known;
use ring::Ring;
use tap::Tap;

pub(crate) use store::entry::EventPlace as EventId;

/// Something that happened to a call.
#[derive(Clone, Debug)]
pub enum Event {
    /// What a service counted is not what it was sent.
    BytesMismatch {
        /// The stream.
        stream: StreamId,
        /// Who speaks on it.
        role: Role,
        /// Bytes of L16 sent.
        sent_bytes: u64,
        /// Bytes the service says it received.
        confirmed_bytes: u64,
    },
    /// A call's state changed.
    CallChanged(StateName),
    /// A call is over.
    CallEnded(Ending),
    /// A call began.
    CallStarted,
    /// Somebody asked for something, and was answered.
    Command(Command),
    /// A key was pressed while the leg's gate was open.
    Dtmf(Dtmf),
    /// A stretch of a stream's clock in which the service does not, or may not, hear what was said.
    Gap {
        /// The stream.
        stream: StreamId,
        /// Who speaks on it.
        role: Role,
        /// First millisecond, on the stream's clock.
        from_ms: u64,
        /// Millisecond after the last.
        to_ms: u64,
        /// Why.
        reason: GapReason,
    },
    /// A leg is over.
    LegEnded {
        /// The leg.
        leg: LegId,
        /// Which side it was.
        side: Side,
        /// Whose fault, and why.
        ending: Ending,
        /// What it had seen.
        stats: LegStats,
    },
    /// A leg came.
    LegOpened {
        /// The leg.
        leg: LegId,
        /// Which side it is.
        side: Side,
    },
    /// A leg has a role, or another one than before.
    LegRole {
        /// The leg.
        leg: LegId,
        /// Which side it is.
        side: Side,
        /// Who speaks, why it is that role, and how sure that is.
        role: LegRole,
    },
    /// A stream has been without a service for so long that it is tried but slowly from here on.
    StreamDegraded {
        /// The stream.
        stream: StreamId,
        /// Who speaks on it.
        role: Role,
        /// What stands against it, in words.
        why: String,
    },
    /// A stream is over, well or not.
    StreamEnded(Report),
    /// A stream lost its socket and tries again.
    StreamInterrupted {
        /// The stream.
        stream: StreamId,
        /// Who speaks on it.
        role: Role,
        /// Which attempt comes next, from 1.
        attempt: u32,
        /// What broke, in words.
        why: String,
    },
    /// A stream was opened; the service has not answered yet.
    StreamOpened {
        /// The stream.
        stream: StreamId,
        /// Who speaks on it.
        role: Role,
        /// The call's guid as the start wrote it.
        external: Arc<str>,
    },
    /// A service accepted a stream.
    StreamReady {
        /// The stream.
        stream: StreamId,
        /// Who speaks on it.
        role: Role,
        /// Which service.
        service: &'static str,
    },
    /// Something was said.
    Transcript(Utterance),
}

/// A command, who gave it, from where, and what became of it: the audit trail.
#[derive(Clone, Debug)]
pub struct Command {
    /// `start`, `stop`, `pause`, `resume`, `erase`.
    pub verb: &'static str,
    /// The API key's public half.
    pub key: Arc<str>,
    /// The address it came from. Readers of events are not told.
    pub from: Private<String>,
    /// `ok`, `not_ok`, or the code of the refusal: `409-201`.
    pub outcome: &'static str,
    /// The request's id, as the answer had it.
    pub request: String,
}

/// A key that was pressed while its leg's gate was open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dtmf {
    /// The leg.
    pub leg: LegId,
    /// Which side it is.
    pub side: Side,
    /// Who speaks on it, while that is transcribed.
    pub role: Option<Role>,
    /// Which: `0`–`9`, `*`, `#`, `A`–`D`.
    pub key: Private<char>,
    /// How long, if the platform says so.
    pub duration: Option<Duration>,
}

/// Where events go, and where they are read.
#[derive(Debug)]
pub struct Bus {
    boot: u64,
    ring: Mutex<Ring>,
    /// What is known of live calls beside what happens to them.
    known: Mutex<Known>,
    tap: OnceLock<Arc<Tap>>,
    tide: watch::Sender<Tide>,
    metrics: Option<Arc<Metrics>>,
}

/// An event with its time and its call.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) id: EventId,
    pub(crate) at_unix_ms: u64,
    pub(crate) call: CallName,
    /// The call's other names, as far as they were known.
    pub(crate) also: Option<Arc<[CallName]>>,
    /// Whose call it is, if it is a tenant's and that is known.
    pub(crate) tenant: Option<Arc<str>>,
    pub(crate) event: Event,
}

/// How far the bus is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tide {
    /// Number of the newest event; 0 before the first.
    pub(crate) newest: u64,
    /// No more will come.
    pub(crate) closed: bool,
}

/// What a reader finds.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// How many events the reader wanted that the ring no longer has, of any call.
    pub(crate) lost: u64,
    pub(crate) records: Vec<Arc<Record>>,
    /// Whether the reader has seen all that there is.
    pub(crate) drained: bool,
}

impl Event {
    /// The names of all kinds, in alphabetical order, as the events say them.
    pub const KINDS: [&'static str; 16] = [
        "bytesMismatch",
        "callChanged",
        "callEnded",
        "callStarted",
        "command",
        "dtmf",
        "gap",
        "legEnded",
        "legOpened",
        "legRole",
        "streamDegraded",
        "streamEnded",
        "streamInterrupted",
        "streamOpened",
        "streamReady",
        "transcript",
    ];

    /// Its kind's name.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BytesMismatch { .. } => "bytesMismatch",
            Self::CallChanged(_) => "callChanged",
            Self::CallEnded(_) => "callEnded",
            Self::CallStarted => "callStarted",
            Self::Command(_) => "command",
            Self::Dtmf(_) => "dtmf",
            Self::Gap { .. } => "gap",
            Self::LegEnded { .. } => "legEnded",
            Self::LegOpened { .. } => "legOpened",
            Self::LegRole { .. } => "legRole",
            Self::StreamDegraded { .. } => "streamDegraded",
            Self::StreamEnded(_) => "streamEnded",
            Self::StreamInterrupted { .. } => "streamInterrupted",
            Self::StreamOpened { .. } => "streamOpened",
            Self::StreamReady { .. } => "streamReady",
            Self::Transcript(_) => "transcript",
        }
    }

    pub(crate) fn is_partial(&self) -> bool {
        matches!(self, Self::Transcript(utterance) if !utterance.is_final)
    }

    /// Whether it may be kept and delivered: not a guess, which the next one replaces, and not a
    /// key, which may be a digit of a card.
    pub(crate) fn is_durable(&self) -> bool {
        !self.is_partial() && !matches!(self, Self::Dtmf(_))
    }
}

impl Record {
    /// Whether it is of the call that goes by this name.
    pub(crate) fn is_of(&self, name: &CallName) -> bool {
        let also = self.also.as_deref().unwrap_or_default();
        self.call == *name || also.contains(name)
    }
}

impl Bus {
    /// Keeps the newest `ring_max` events (at least one), and of them at most
    /// [`Bus::BYTES_MAX`] bytes.
    pub fn new(ring_max: usize) -> Arc<Self> {
        Self::make(ring_max, None)
    }

    /// As [`Bus::new`], and counts what is published.
    pub fn counted(ring_max: usize, metrics: Arc<Metrics>) -> Arc<Self> {
        Self::make(ring_max, Some(metrics))
    }

    /// How many bytes all kept events may take, roughly.
    pub const BYTES_MAX: usize = 32 * 1024 * 1024;

    /// Tells everybody who reads. Never waits.
    pub fn publish(&self, call: &CallName, event: Event) {
        if let Some(metrics) = &self.metrics {
            metrics.event_published(event.kind());
        }
        let (also, tenant) = self.known().of(call);
        let (boot, call, at_unix_ms) = (self.boot, call.clone(), unix_ms());
        let is_durable = event.is_durable();
        let newest = {
            let mut ring = self.ring();
            let record = ring.push(|number| Record {
                id: EventId { boot, number },
                at_unix_ms,
                call,
                also,
                tenant,
                event,
            });
            // Within the ring's lock, so that the tap has the events in their order.
            if let Some(tap) = self.tap.get().filter(|_| is_durable) {
                tap.push(record);
            }
            record.id.number
        };
        self.tide
            .send_modify(|tide| tide.newest = tide.newest.max(newest));
    }

    /// From here on `tap` is given every event but partials. There is one tap at most; whether
    /// this is it.
    pub(crate) fn give_to(&self, tap: Arc<Tap>) -> bool {
        self.tap.set(tap).is_ok()
    }

    /// From here on what is published of a call is published under these names too.
    pub fn also_known_as(&self, call: &CallName, names: &[CallName]) {
        self.known().also_known_as(call, names);
    }

    /// From here on what is published of a call is published as this tenant's, or for `None` as
    /// nobody's in particular, unless the call has an owner; whether it had none.
    pub fn belongs_to(&self, call: &CallName, tenant: Option<Arc<str>>) -> bool {
        self.known().belongs_to(call, tenant)
    }

    /// Takes [`Bus::belongs_to`] back.
    pub fn belongs_to_nobody(&self, call: &CallName) {
        self.known().belongs_to_nobody(call);
    }

    /// Whose call it is: `None` if nobody has started it, `Some(None)` if that was one of no
    /// tenant.
    pub fn owner_of(&self, call: &CallName) -> Option<Option<Arc<str>>> {
        self.known().owner_of(call)
    }

    /// The call is over; its names and its owner are forgotten.
    pub fn known_no_more(&self, call: &CallName) {
        self.known().forget(call);
    }

    /// Forgets what happened to a call.
    pub(crate) fn erase(&self, call: &CallName) {
        self.ring().erase(call);
    }

    /// Lets every reader go once it has read what there is. For the end of the process.
    pub fn close(&self) {
        self.tide.send_modify(|tide| tide.closed = true);
    }

    /// Nothing more is published: whoever keeps events comes to the end of them.
    pub(crate) fn seal(&self) {
        if let Some(tap) = self.tap.get() {
            tap.close();
        }
    }

    /// Where a reader stands that has seen event `id`; `None` if that was another process's.
    pub(crate) fn after(&self, id: EventId) -> Option<u64> {
        (id.boot == self.boot).then(|| id.number.min(self.newest()))
    }

    /// Where a reader stands that wants only what comes from now on.
    pub(crate) fn newest(&self) -> u64 {
        self.tide.borrow().newest
    }

    /// The name of a reader's place, to come back to it.
    pub(crate) fn id(&self, number: u64) -> EventId {
        EventId {
            boot: self.boot,
            number,
        }
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Tide> {
        self.tide.subscribe()
    }

    /// Reads on from `place`, which moves, what `wanted` says yes to.
    pub(crate) fn read(&self, place: &mut u64, wanted: impl Fn(&Record) -> bool) -> Batch {
        self.ring().read(place, wanted)
    }

    fn make(ring_max: usize, metrics: Option<Arc<Metrics>>) -> Arc<Self> {
        let ring = Mutex::new(Ring::new(ring_max, Self::BYTES_MAX));
        let (tide, _) = watch::channel(Tide::default());
        Arc::new(Self {
            boot: unix_ms(),
            ring,
            known: Mutex::default(),
            tap: OnceLock::new(),
            tide,
            metrics,
        })
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
