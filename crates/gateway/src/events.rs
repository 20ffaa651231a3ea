//! The bus: what happens to calls, kept for a while for whoever wants to know. Publishing never
//! waits; a reader has a place in the ring and falls behind at its own expense.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use call::backlog::GapReason;
use call::ending::Ending;
use call::leg::LegStats;
use call::name::{CallName, LegId, Role, Side, StreamId};
use call::start::Report;
use call::switchboard::StateName;
use call::transcript::Utterance;
use tokio::sync::watch;

use crate::metrics::Metrics;

mod ring;

use ring::Ring;

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

/// Where events go, and where they are read.
#[derive(Debug)]
pub struct Bus {
    boot: u64,
    ring: Mutex<Ring>,
    /// By which names live calls go beside their own.
    names: Mutex<HashMap<CallName, Arc<[CallName]>>>,
    tide: watch::Sender<Tide>,
    metrics: Option<Arc<Metrics>>,
}

/// An event's place in the order of all events of one process, and which process that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventId {
    boot: u64,
    number: u64,
}

/// An event with its time and its call.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) id: EventId,
    pub(crate) at_unix_ms: u64,
    pub(crate) call: CallName,
    /// The call's other names, as far as they were known.
    pub(crate) also: Option<Arc<[CallName]>>,
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
    pub const KINDS: [&'static str; 13] = [
        "bytesMismatch",
        "callChanged",
        "callEnded",
        "callStarted",
        "gap",
        "legEnded",
        "legOpened",
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
            Self::Gap { .. } => "gap",
            Self::LegEnded { .. } => "legEnded",
            Self::LegOpened { .. } => "legOpened",
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
        let also = self.names().get(call).cloned();
        let (boot, call, at_unix_ms) = (self.boot, call.clone(), unix_ms());
        let newest = self.ring().push(|number| Record {
            id: EventId { boot, number },
            at_unix_ms,
            call,
            also,
            event,
        });
        self.tide
            .send_modify(|tide| tide.newest = tide.newest.max(newest));
    }

    /// From here on what is published of a call is published under these names too.
    pub fn also_known_as(&self, call: &CallName, names: &[CallName]) {
        self.names().insert(call.clone(), names.into());
    }

    /// The call is over, and its names with it.
    pub fn known_no_more(&self, call: &CallName) {
        self.names().remove(call);
    }

    /// Lets every reader go once it has read what there is. For the end of the process.
    pub fn close(&self) {
        self.tide.send_modify(|tide| tide.closed = true);
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
            names: Mutex::default(),
            tide,
            metrics,
        })
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn names(&self) -> MutexGuard<'_, HashMap<CallName, Arc<[CallName]>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.boot, self.number)
    }
}

impl FromStr for EventId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (boot, number) = text.split_once('-').ok_or(())?;
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let boot_is_good = (1..=16).contains(&boot.len()) && boot.bytes().all(is_hex);
        let is_digit = |byte: u8| byte.is_ascii_digit();
        let number_is_good = (1..=18).contains(&number.len()) && number.bytes().all(is_digit);
        if !boot_is_good || !number_is_good {
            return Err(());
        }
        let boot = u64::from_str_radix(boot, 16).map_err(|_| ())?;
        Ok(Self {
            boot,
            number: number.parse().map_err(|_| ())?,
        })
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use call::name::{Guid, Namespace};

    use super::*;

    fn call(guid: &str) -> CallName {
        CallName {
            namespace: Namespace::Twilio,
            guid: Guid::parse(guid).unwrap(),
        }
    }

    #[test]
    fn a_reader_sees_what_came_after_its_place_and_is_told_what_is_gone() {
        let bus = Bus::new(4);
        let mut place = bus.newest();
        for guid in ["1", "2", "3"] {
            bus.publish(&call(guid), Event::CallStarted);
        }
        let batch = bus.read(&mut place, |_| true);
        let guids: Vec<_> = batch
            .records
            .iter()
            .map(|record| record.call.guid.as_str())
            .collect();
        assert_eq!((batch.lost, guids, place), (0, vec!["1", "2", "3"], 3));
        for guid in ["4", "5", "6", "7", "8", "9"] {
            bus.publish(&call(guid), Event::CallStarted);
        }
        let batch = bus.read(&mut place, |record| record.call.guid.as_str() != "7");
        let guids: Vec<_> = batch
            .records
            .iter()
            .map(|record| record.call.guid.as_str())
            .collect();
        assert_eq!((batch.lost, guids, place), (2, vec!["6", "8", "9"], 9));
        assert!(batch.drained);
    }

    #[test]
    fn what_is_told_of_a_call_is_told_under_each_of_its_names() {
        let bus = Bus::new(4);
        bus.publish(&call("1"), Event::CallStarted);
        bus.also_known_as(&call("1"), &[call("2"), call("3")]);
        bus.publish(&call("1"), Event::CallStarted);
        bus.known_no_more(&call("1"));
        bus.publish(&call("1"), Event::CallStarted);
        let told = |name: &str| {
            let batch = bus.read(&mut 0, |record| record.is_of(&call(name)));
            let numbers = batch.records.iter().map(|record| record.id.number);
            numbers.collect::<Vec<_>>()
        };
        assert_eq!(told("1"), [1, 2, 3]);
        assert_eq!(told("3"), [2]);
        assert_eq!(told("4"), [0; 0]);
    }

    #[test]
    fn an_id_of_another_process_is_recognised() {
        let bus = Bus::new(4);
        bus.publish(&call("1"), Event::CallStarted);
        let mine: EventId = bus.id(1).to_string().parse().unwrap();
        assert_eq!(bus.after(mine), Some(1));
        let other = EventId {
            boot: mine.boot - 1,
            number: 1,
        };
        assert_eq!(bus.after(other), None);
    }

    #[test]
    fn an_id_from_the_future_is_taken_as_the_newest() {
        let bus = Bus::new(4);
        bus.publish(&call("1"), Event::CallStarted);
        assert_eq!(bus.after(bus.id(700)), Some(1));
    }

    #[test]
    fn nonsense_is_not_an_id() {
        for text in [
            "", "-", "1", "1-", "-1", "g-1", "1-+1", "+1-1", "1-1-1", "1-1 ", "A-1",
        ] {
            assert!(text.parse::<EventId>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_kind_has_its_name_in_the_list() {
        assert!(Event::KINDS.contains(&Event::CallStarted.kind()));
        assert!(Event::KINDS.is_sorted());
    }
}
