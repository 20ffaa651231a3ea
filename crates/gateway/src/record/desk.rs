//! The recorder's thread at work: it takes, projects, keeps, and looks after what it kept.

mod tidy;

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use call::name::CallName;
use store::StoreError;
use store::outbox::Parcel;

use super::backlog::Backlog;
use super::care::Care;
use super::keeping::{StoreState, Trouble};
use super::projection::Projection;
use super::{Opened, Recorder};
use crate::events::Record;
use crate::events::tap::Taken;

/// The thread's own.
pub(super) struct Desk {
    parts: Recorder,
    projection: Projection,
    /// Taken, and not looked at yet.
    incoming: VecDeque<Incoming>,
    backlog: Backlog,
    care: Care,
    /// What memory had no room for until now.
    dropped: u64,
    /// From when on the process ends, however much is left.
    last: Option<Instant>,
}

/// What came of the bus.
enum Incoming {
    Happened(Arc<Record>),
    /// So many events of a call did not come.
    Lost(CallName, u64),
}

impl Desk {
    pub(super) fn new(parts: Recorder) -> Self {
        Self {
            projection: Projection::new(),
            incoming: VecDeque::new(),
            backlog: Backlog::new(parts.config.backlog),
            care: Care::new(&parts.config),
            dropped: 0,
            last: None,
            parts,
        }
    }

    /// Until the tap is closed and everything is kept.
    pub(super) fn run(&mut self) {
        loop {
            self.open();
            let is_over = self.fetch();
            if let Err(error) = self.project() {
                self.failed(&error);
            } else if let Err(error) = self.keep() {
                self.failed(&error);
            }
            self.erase();
            self.look_after();
            if is_over && self.is_done() {
                return self.leave();
            }
        }
    }

    /// Opens the store, if it is time to.
    fn open(&mut self) {
        let Some(shelf) = &self.parts.shelf else {
            return;
        };
        if self.is_open() || !self.care.pause(Instant::now()).is_zero() {
            return;
        }
        match (shelf.open)() {
            Ok(opened) => self.opened(opened),
            Err(error) => self.failed(&error),
        }
    }

    fn opened(&mut self, opened: Opened) {
        let Opened {
            store,
            moved_aside,
            migrated_from,
        } = opened;
        if let Some(file) = moved_aside {
            let file = file.display();
            self.parts.metrics.moved_aside();
            tracing::error!(%file, "The store could not be read and is begun anew; the old one is \
                                    kept aside.");
        }
        if let Some(schema) = migrated_from {
            tracing::info!(
                schema,
                "The store had an older schema and was brought up to date."
            );
        }
        // What waits in memory goes before all that is delivered from now on.
        let waiting = self.parts.keeping.memory().take_all();
        if !waiting.is_empty() {
            self.backlog.push_first(waiting);
        }
        self.projection.doubt();
        self.parts.keeping.opened(Some(store));
        self.succeeded();
    }

    /// Takes what happened, after waiting for it; whether no more will come.
    fn fetch(&mut self) -> bool {
        let (tap, config) = (Arc::clone(&self.parts.tap), self.parts.config);
        let is_stuck = self.is_open() && !(self.backlog.is_empty() && self.incoming.is_empty());
        if is_stuck {
            // The store takes nothing; until it does, events are held where the oldest is dropped.
            let pause = self.care.pause(Instant::now());
            if !tap.rest(pause) {
                return false;
            }
            // Nobody wakes this thread any more.
            thread::park_timeout(pause.min(LAST_PAUSE));
            return Instant::now() >= self.last();
        }
        let wait = self.care.idle(Instant::now());
        let taken = tap.take(config.batch_max, wait);
        let (count, is_over) = (taken.records.len(), taken.is_over);
        self.receive(taken);
        if count > 0 && count < config.batch_max && !is_over {
            // A little later there are more, and one transaction has them all.
            tap.gather(config.batch_max, config.commit_interval);
            let rest = tap.take(config.batch_max - count, Duration::ZERO);
            let is_over = rest.is_over;
            self.receive(rest);
            return is_over;
        }
        if is_over && !self.is_open() {
            thread::park_timeout(LAST_PAUSE);
        }
        is_over
    }

    fn receive(&mut self, taken: Taken) {
        let lost = taken.lost.into_iter();
        self.incoming
            .extend(lost.map(|(call, events)| Incoming::Lost(call, events)));
        self.incoming
            .extend(taken.records.into_iter().map(Incoming::Happened));
    }

    /// Turns what was taken into what is kept and delivered.
    fn project(&mut self) -> Result<(), StoreError> {
        let store = self.parts.keeping.store();
        while let Some(next) = self.incoming.front() {
            let call = match next {
                Incoming::Happened(record) => &record.call,
                Incoming::Lost(call, _) => call,
            };
            if !self.projection.knows(call) {
                let seq = match &store {
                    Some(store) => store.newest_seq(call)?,
                    None => 0,
                };
                self.projection.begin(call, seq);
            }
            // From here on it is lost if this falls, so that it cannot fall over it forever.
            match self.incoming.pop_front() {
                None => break,
                Some(Incoming::Happened(record)) => self.enter(&record, store.is_some()),
                Some(Incoming::Lost(call, events)) => self.projection.skip(&call, events),
            }
        }
        Ok(())
    }

    /// What happened waits to be kept, or without a store to be delivered.
    fn enter(&mut self, record: &Record, is_open: bool) {
        let projected = self.projection.project(record);
        let parcels = self.parts.delivery.parcels(&projected.fact(record));
        if is_open {
            self.backlog.push(projected.entry, parcels);
            return;
        }
        if !parcels.is_empty() {
            self.carry(&parcels);
        }
        if self.parts.shelf.is_some() {
            self.backlog.push(projected.entry, Vec::new());
            let dropped = self.backlog.trim();
            self.lost(dropped);
        }
    }

    /// Erases what is to go. All that happened before is kept first, so that nothing of it follows.
    fn erase(&mut self) {
        loop {
            // In this order, or somebody would wait whom nobody has seen.
            self.parts.tap.calm();
            let asked = self.parts.keeping.to_erase();
            if asked.is_empty() {
                return;
            }
            let taken = self.parts.tap.take(usize::MAX, Duration::ZERO);
            self.receive(taken);
            let kept = self.project().and_then(|()| self.keep());
            let store = self.parts.keeping.store();
            for erasure in asked {
                erasure.carry_out(&kept, store.as_deref());
            }
            if let Err(error) = kept {
                self.failed(&error);
            }
        }
    }

    /// Has deliveries wait in memory.
    fn carry(&mut self, parcels: &[Parcel]) {
        let memory = self.parts.keeping.memory();
        memory.append(parcels);
        let dropped = memory.dropped() - std::mem::replace(&mut self.dropped, memory.dropped());
        self.parts.metrics.parcels_dropped(dropped);
        if let Some(parcels) = self.care.lost(dropped, Instant::now()) {
            tracing::warn!(parcels, "Deliveries were lost: too many wait in memory.");
        }
        self.parts.delivery.wake();
    }

    fn is_open(&self) -> bool {
        self.parts.keeping.store().is_some()
    }

    /// Whether the process may end: nothing is left, or there is no time or no store for it.
    fn is_done(&mut self) -> bool {
        let is_all = self.incoming.is_empty() && self.backlog.is_empty();
        is_all || !self.is_open() || Instant::now() >= self.last()
    }

    /// Until when what is left may be written, once no more comes.
    fn last(&mut self) -> Instant {
        let goodbye = self.parts.config.goodbye;
        *self.last.get_or_insert_with(|| Instant::now() + goodbye)
    }

    fn leave(&mut self) {
        let waits = self
            .parts
            .tap
            .take(usize::MAX, Duration::ZERO)
            .records
            .len();
        let incoming = self.incoming.iter();
        let taken = incoming.filter(|next| matches!(next, Incoming::Happened(_)));
        let lost = waits + taken.count() + self.backlog.len();
        if lost > 0 {
            self.parts.metrics.dropped(lost as u64);
            tracing::error!(
                events = lost,
                "Events were lost: the process ends and the store did not take them."
            );
        }
    }

    /// Writes what waits, until all of it is kept.
    fn keep(&mut self) -> Result<(), StoreError> {
        let Some(store) = self.parts.keeping.store() else {
            return Ok(());
        };
        while !self.backlog.is_empty() {
            let batch = self.backlog.batch(self.parts.config.batch_max);
            let (events, parcels) = (batch.entries.len(), batch.parcels.len());
            let began = Instant::now();
            match store.write(batch) {
                Ok(()) => {
                    self.parts.metrics.kept(events, parcels, began.elapsed());
                    self.kept();
                    if parcels > 0 {
                        self.parts.delivery.wake();
                    }
                }
                Err(StoreError::Other(_)) if self.backlog.try_next() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn kept(&mut self) {
        self.backlog.written();
        let unusable = self.backlog.given_up();
        if unusable > 0 {
            self.parts.metrics.unusable(unusable);
            tracing::error!(
                events = unusable,
                "The store refused events, and they are lost."
            );
        }
        self.succeeded();
    }

    fn succeeded(&mut self) {
        if self.care.succeeded() {
            tracing::info!("The store takes what it is given again.");
        }
        self.parts.keeping.is(StoreState::Open);
        self.parts.metrics.up(true);
    }

    fn failed(&mut self, error: &StoreError) {
        let trouble = Trouble::from(error);
        let now = Instant::now();
        self.parts.metrics.failed(trouble);
        self.parts.metrics.up(false);
        self.parts.keeping.is(StoreState::Failing(trouble));
        if self.care.failed(trouble, now) {
            tracing::error!(%error, "The store fails; what happens is held back and tried again.");
        }
        if trouble == Trouble::Corrupt && self.is_open() {
            // It is begun anew, and what is at hand is the first that it keeps.
            self.parts.keeping.opened(None);
            self.care.at_once();
        } else if self.care.suspects() {
            self.backlog.write_singly();
        }
    }

    /// So many events will not be kept.
    fn lost(&mut self, events: u64) {
        self.parts.metrics.dropped(events);
        if let Some(events) = self.care.lost(events, Instant::now()) {
            tracing::warn!(events, "Events were lost: the store cannot be had.");
        }
    }

    /// A defect: what was being done is not done again if it was that.
    pub(super) fn fell(&mut self) {
        self.parts.metrics.panicked();
        tracing::error!("The recorder fell, and goes on; a defect.");
        if self.care.fell() {
            let dropped = self.backlog.give_up();
            self.lost(dropped as u64);
        }
        thread::park_timeout(LAST_PAUSE);
    }
}

/// Between two attempts when the process ends, or after a fall.
const LAST_PAUSE: Duration = Duration::from_millis(20);
