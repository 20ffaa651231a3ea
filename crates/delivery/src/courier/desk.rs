//! Where the outbox is asked and told, one thing at a time. Never two: what is read must be what is
//! left after all that was written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use store::StoreError;
use store::outbox::{Depth, Outbox, Settled, Waiting};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::expected;
use crate::lanes::Wish;
use crate::limits::Limits;

pub(super) struct Desk {
    endpoint: Arc<str>,
    outbox: Arc<dyn Outbox>,
    settle_max: usize,
    settle_wait: Duration,
    retry_min: Duration,
    retry_max: Duration,
    upkeep_interval: Duration,
    /// At most one.
    at_work: JoinSet<Done>,
    /// What is to be written, by place: of one parcel only the newest is true.
    pending: BTreeMap<u64, Settled>,
    /// When the first of it came.
    pending_since: Option<Instant>,
    upkeep_at: Instant,
    /// After a failure nothing is asked before.
    not_before: Option<Instant>,
    retry: Duration,
}

/// Something to do.
pub(super) enum Task {
    Read(Wish),
    Settle(Vec<Settled>),
    Upkeep { bytes_max: u64, made_before: u64 },
}

/// What came of it.
pub(super) enum Done {
    Read(Wish, Result<Vec<Waiting>, StoreError>),
    Settled(Vec<Settled>, Result<(), StoreError>),
    /// How many are dead letters now, and how much waits.
    Upkeep(Result<(u64, Depth), StoreError>),
}

impl Desk {
    pub(super) fn new(endpoint: Arc<str>, outbox: Arc<dyn Outbox>, limits: &Limits) -> Self {
        Self {
            endpoint,
            outbox,
            settle_max: limits.settle_max.max(1),
            settle_wait: limits.settle_wait,
            retry_min: limits.outbox_retry_min,
            retry_max: limits.outbox_retry_max,
            upkeep_interval: limits.upkeep_interval,
            at_work: JoinSet::new(),
            pending: BTreeMap::new(),
            pending_since: None,
            upkeep_at: Instant::now(),
            not_before: None,
            retry: limits.outbox_retry_min,
        }
    }

    /// What is to be written when there is enough of it, or it has waited long enough.
    pub(super) fn note(&mut self, settled: Vec<Settled>, now: Instant) {
        for each in settled {
            self.pending.insert(number(&each), each);
            self.pending_since.get_or_insert(now);
        }
    }

    pub(super) fn is_free(&self, now: Instant) -> bool {
        self.at_work.is_empty() && self.not_before.is_none_or(|at| now >= at)
    }

    /// What is to be written now.
    pub(super) fn to_settle(&self, now: Instant) -> Option<Vec<Settled>> {
        let since = self.pending_since?;
        let is_due = self.pending.len() >= self.settle_max || now >= since + self.settle_wait;
        is_due.then(|| self.page())
    }

    pub(super) fn is_upkeep_due(&self, now: Instant) -> bool {
        now >= self.upkeep_at
    }

    /// When there is something to do again, apart from reading.
    pub(super) fn wake_at(&self, now: Instant) -> Instant {
        if let Some(at) = self.not_before.filter(|at| now < *at) {
            return at;
        }
        if !self.at_work.is_empty() {
            return now + self.upkeep_interval;
        }
        let settle = self.pending_since.map(|since| since + self.settle_wait);
        settle.map_or(self.upkeep_at, |at| at.min(self.upkeep_at))
    }

    pub(super) fn begin(&mut self, task: Task) {
        let outbox = Arc::clone(&self.outbox);
        let endpoint = Arc::clone(&self.endpoint);
        self.at_work.spawn_blocking(move || match task {
            Task::Read(wish) => Done::Read(wish, outbox.waiting(&endpoint, wish.after, wish.most)),
            Task::Settle(settled) => {
                let result = outbox.settle(&settled);
                Done::Settled(settled, result)
            }
            Task::Upkeep {
                bytes_max,
                made_before,
            } => {
                let trimmed = outbox.trim(&endpoint, bytes_max, made_before);
                Done::Upkeep(trimmed.and_then(|trimmed| {
                    let depth = outbox.depth(&endpoint)?;
                    Ok((trimmed, depth))
                }))
            }
        });
    }

    /// What came of what was begun; `None` at once if nothing was.
    pub(super) async fn done(&mut self) -> Option<Done> {
        let done = expected(self.at_work.join_next().await?);
        self.book(&done);
        Some(done)
    }

    /// Writes what is left, if that can be done until then.
    pub(super) async fn finish(&mut self, until: Instant) {
        loop {
            if self.at_work.is_empty() {
                if self.pending.is_empty() {
                    return;
                }
                self.begin(Task::Settle(self.page()));
            }
            match timeout_at(until, self.done()).await {
                Ok(Some(Done::Settled(_, Err(_))) | None) | Err(_) => return,
                Ok(Some(_)) => {}
            }
        }
    }

    fn page(&self) -> Vec<Settled> {
        self.pending
            .values()
            .take(self.settle_max)
            .cloned()
            .collect()
    }

    fn book(&mut self, done: &Done) {
        let now = Instant::now();
        let ok = match done {
            Done::Read(_, result) => result.is_ok(),
            Done::Settled(settled, result) => {
                if result.is_ok() {
                    self.written(settled, now);
                }
                result.is_ok()
            }
            Done::Upkeep(result) => {
                self.upkeep_at = now + self.upkeep_interval;
                result.is_ok()
            }
        };
        if ok {
            self.not_before = None;
            self.retry = self.retry_min;
        } else {
            self.not_before = Some(now + self.retry);
            self.retry = (self.retry * 2).min(self.retry_max);
        }
    }

    /// What came meanwhile of the same parcels stays.
    fn written(&mut self, settled: &[Settled], now: Instant) {
        for each in settled {
            let number = number(each);
            if self.pending.get(&number) == Some(each) {
                self.pending.remove(&number);
            }
        }
        self.pending_since = (!self.pending.is_empty()).then_some(now);
    }
}

fn number(settled: &Settled) -> u64 {
    match settled {
        Settled::Delivered { number }
        | Settled::Later { number, .. }
        | Settled::Dead { number, .. }
        | Settled::Dropped { number } => *number,
    }
}
