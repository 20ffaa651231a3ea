//! A queue of all that is to be kept, between those who publish and the one who writes.
//!
//! Publishing never waits: whoever holds the lock only moves pointers, and a queue that is full
//! loses its oldest, which is counted and told.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use call::name::CallName;

use super::Record;

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub struct TapLimits {
    /// Events.
    pub events_max: usize,
    /// Bytes of all of them, roughly.
    pub bytes_max: usize,
}

/// Who is told how full the queue is.
pub type Notice = dyn Fn(Level) + Send + Sync;

/// How full the queue is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Events that wait.
    pub events: usize,
    /// Bytes of them.
    pub bytes: usize,
    /// Events that were just lost, because there was no room.
    pub dropped: u64,
}

/// The queue.
pub struct Tap {
    limits: TapLimits,
    queue: Mutex<Queue>,
    filled: Condvar,
    notice: Box<Notice>,
}

#[derive(Debug, Default)]
struct Queue {
    records: VecDeque<Arc<Record>>,
    bytes: usize,
    is_closed: bool,
    /// Who waits is to go on.
    is_nudged: bool,
    /// What was lost since the last time that something was taken, call by call.
    lost: HashMap<CallName, u64>,
    /// Who waits is woken when so many are there.
    wake_at: usize,
    /// Losses of which the log does not know yet.
    untold: u64,
    told: Option<Instant>,
}

/// What was taken.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) records: Vec<Arc<Record>>,
    /// So many events of calls were lost before these.
    pub(crate) lost: Vec<(CallName, u64)>,
    /// No more will come, and nothing is left.
    pub(crate) is_over: bool,
}

impl Tap {
    /// A line in the log at most this often, however much is lost.
    const TOLD_EVERY: Duration = Duration::from_secs(60);

    /// Of so many calls at once it is known how much of each was lost.
    const LOST_CALLS_MAX: usize = 100_000;

    /// An empty queue.
    pub fn new(limits: TapLimits, notice: Box<Notice>) -> Arc<Self> {
        Arc::new(Self {
            limits,
            queue: Mutex::default(),
            filled: Condvar::new(),
            notice,
        })
    }

    /// Adds what happened; never waits.
    pub(super) fn push(&self, record: &Arc<Record>) {
        let (untold, wakes) = {
            let mut queue = self.queue();
            queue.bytes += record.bytes();
            queue.records.push_back(Arc::clone(record));
            let dropped = queue.trim(self.limits);
            (self.notice)(queue.level(dropped));
            (queue.untold(dropped), queue.records.len() >= queue.wake_at)
        };
        if wakes {
            self.filled.notify_one();
        }
        tell(untold);
    }

    /// No more will come: who waits goes on.
    pub(super) fn close(&self) {
        self.queue().is_closed = true;
        self.filled.notify_all();
    }

    /// Who waits goes on, though nothing happened, and does not wait again before it is calm.
    pub(crate) fn nudge(&self) {
        self.queue().is_nudged = true;
        self.filled.notify_all();
    }

    /// Whoever nudged will be attended to now.
    pub(crate) fn calm(&self) {
        self.queue().is_nudged = false;
    }

    /// Waits until there is something, no more will come, or `patience` is over; then takes the
    /// oldest, at most `most`.
    pub(crate) fn take(&self, most: usize, patience: Duration) -> Taken {
        let mut queue = self.until(1, patience);
        let count = most.min(queue.records.len());
        let records: Vec<_> = queue.records.drain(..count).collect();
        queue.bytes -= records.iter().map(|record| record.bytes()).sum::<usize>();
        let lost = std::mem::take(&mut queue.lost).into_iter().collect();
        let is_over = queue.is_closed && queue.records.is_empty();
        (self.notice)(queue.level(0));
        let untold = queue.untold(0);
        drop(queue);
        tell(untold);
        Taken {
            records,
            lost,
            is_over,
        }
    }

    /// Waits until no more will come, `most` wait, or `patience` is over.
    pub(crate) fn gather(&self, most: usize, patience: Duration) {
        drop(self.until(most, patience));
    }

    /// Waits until no more will come, or `patience` is over; whether no more will.
    pub(crate) fn rest(&self, patience: Duration) -> bool {
        self.until(usize::MAX, patience).is_closed
    }

    fn until(&self, most: usize, patience: Duration) -> MutexGuard<'_, Queue> {
        let mut queue = self.queue();
        queue.wake_at = most;
        let is_little =
            |queue: &mut Queue| queue.records.len() < most && !queue.is_closed && !queue.is_nudged;
        let waited = self.filled.wait_timeout_while(queue, patience, is_little);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Drops the oldest that are too much, but never the newest; how many.
    fn trim(&mut self, limits: TapLimits) -> u64 {
        let mut dropped = 0;
        while self.records.len() > limits.events_max.max(1)
            || (self.bytes > limits.bytes_max && self.records.len() > 1)
        {
            if let Some(oldest) = self.records.pop_front() {
                self.bytes -= oldest.bytes();
                self.miss(&oldest.call);
                dropped += 1;
            }
        }
        dropped
    }

    /// One more event of a call was lost.
    fn miss(&mut self, call: &CallName) {
        if let Some(lost) = self.lost.get_mut(call) {
            *lost += 1;
        } else if self.lost.len() < Tap::LOST_CALLS_MAX {
            self.lost.insert(call.clone(), 1);
        }
    }

    /// How many losses the log is to be told of now.
    fn untold(&mut self, dropped: u64) -> Option<u64> {
        self.untold += dropped;
        let is_due = self
            .told
            .is_none_or(|told| told.elapsed() >= Tap::TOLD_EVERY);
        (self.untold > 0 && is_due).then(|| {
            self.told = Some(Instant::now());
            std::mem::take(&mut self.untold)
        })
    }

    fn level(&self, dropped: u64) -> Level {
        Level {
            events: self.records.len(),
            bytes: self.bytes,
            dropped,
        }
    }
}

fn tell(untold: Option<u64>) {
    if let Some(events) = untold {
        tracing::warn!(
            events,
            "Events were lost: the store does not keep up with them."
        );
    }
}

impl std::fmt::Debug for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tap")
    }
}
