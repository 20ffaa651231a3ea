//! The recorder's thread at work: it takes, projects, keeps, and looks after what it kept.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use store::StoreError;
use store::outbox::Parcel;

use super::backlog::Backlog;
use super::care::Care;
use super::keeping::{StoreState, Trouble};
use super::projection::Projection;
use super::{Opened, Recorder, shelf};
use crate::events::{Record, unix_ms};

/// The thread's own.
pub(super) struct Desk {
    parts: Recorder,
    projection: Projection,
    /// Taken, and not looked at yet.
    incoming: VecDeque<Arc<Record>>,
    backlog: Backlog,
    care: Care,
    /// What memory had no room for until now.
    dropped: u64,
    /// From when on the process ends, however much is left.
    last: Option<Instant>,
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
        if !taken.records.is_empty() && taken.records.len() < config.batch_max && !taken.is_over {
            // A little later there are more, and one transaction has them all.
            tap.gather(config.batch_max, config.commit_interval);
            let rest = tap.take(config.batch_max - taken.records.len(), Duration::ZERO);
            self.incoming.extend(taken.records);
            self.incoming.extend(rest.records);
            return rest.is_over;
        }
        self.incoming.extend(taken.records);
        if taken.is_over && !self.is_open() {
            thread::park_timeout(LAST_PAUSE);
        }
        taken.is_over
    }

    /// Turns what was taken into what is kept and delivered.
    fn project(&mut self) -> Result<(), StoreError> {
        let store = self.parts.keeping.store();
        while let Some(record) = self.incoming.front() {
            if !self.projection.knows(&record.call) {
                let seq = match &store {
                    Some(store) => shelf::events_of(&**store, &record.call)?,
                    None => 0,
                };
                self.projection.begin(&record.call, seq);
            }
            // From here on it is lost if this falls, so that it cannot fall over it forever.
            let Some(record) = self.incoming.pop_front() else {
                break;
            };
            let projected = self.projection.project(&record);
            let parcels = self.parts.delivery.parcels(&projected.fact(&record));
            if store.is_some() {
                self.backlog.push(projected.entry, parcels);
                continue;
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
        Ok(())
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

    /// Forgets what is past its time, a step at a time, and looks how big the files are.
    fn look_after(&mut self) {
        let now = Instant::now();
        if !self.care.is_time_to_tidy(now) {
            return;
        }
        let now_unix_ms = unix_ms();
        self.projection.forget(now_unix_ms);
        let Some(shelf) = &self.parts.shelf else {
            return;
        };
        self.parts.metrics.file_bytes(shelf.bytes());
        let Some(store) = self.parts.keeping.store() else {
            return;
        };
        let config = &self.parts.config;
        match store.expire(&config.expiry(now_unix_ms), config.expire_step) {
            Ok(expired) => {
                self.parts.metrics.expired(&expired);
                if expired.more {
                    self.care.tidy_on(now);
                }
                if self.backlog.is_empty() {
                    self.succeeded();
                }
            }
            Err(error) => self.failed(&error),
        }
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
        let lost = waits + self.incoming.len() + self.backlog.len();
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
