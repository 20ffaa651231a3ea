//! What to send next. Parcels of one call are a lane: they go one at a time and in their order,
//! while other lanes go on. Has no clock and no task: it is given the time, in unix milliseconds,
//! and what came of each attempt.
//!
//! Only a window of what waits is here; the rest is in the outbox and is read when there is room.
//! A lane that finds no room leaves a mark where its parcels were passed over, and is read again
//! from there once it is through with what it has.

mod fuzz;
mod health;
mod lane;
mod outcome;
mod schedule;
mod window;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use store::outbox::Settled;

pub(crate) use self::fuzz::fuzz;
use self::health::Health;
pub use self::health::Standing;
use self::lane::{Held, Lane};
pub(crate) use self::outcome::{Class, Outcome, Verdict};
use self::schedule::Chance;
pub(crate) use self::schedule::Rules;

/// All lanes of one endpoint.
pub(crate) struct Lanes {
    rules: Rules,
    lanes: HashMap<Arc<str>, Lane>,
    /// Lanes that have something and nothing under way, by when it may go and its place.
    ready: BTreeMap<(u64, u64), Arc<str>>,
    /// Under way, by ticket.
    flights: HashMap<u64, Flight>,
    /// Every parcel of the window with its lane, until the outbox has it that it is settled.
    known: BTreeMap<u64, Arc<str>>,
    /// What the outbox has up to here was read, but for what lanes have marked.
    cursor: u64,
    /// The outbox may have something behind the cursor.
    more: bool,
    health: Health,
    chance: Chance,
}

/// One request to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// The place of its first parcel, under which its outcome is told.
    pub(crate) ticket: u64,
    /// The places of all of them, in order.
    pub(crate) numbers: Vec<u64>,
    /// Later parcels of its lane went before it.
    pub(crate) late: bool,
}

struct Flight {
    lane: Arc<str>,
    parcels: Vec<Held>,
    late: bool,
}

/// What is to be read of the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    /// Behind this place.
    pub(crate) after: u64,
    /// At most so many.
    pub(crate) most: usize,
}

impl Lanes {
    /// With nothing read yet.
    pub(crate) fn new(rules: Rules, seed: u64) -> Self {
        Self {
            rules,
            lanes: HashMap::new(),
            ready: BTreeMap::new(),
            flights: HashMap::new(),
            known: BTreeMap::new(),
            cursor: 0,
            more: true,
            health: Health::default(),
            chance: Chance::new(seed),
        }
    }

    /// What to send now, if anything.
    pub(crate) fn next(&mut self, now: u64) -> Option<Attempt> {
        if now < self.may_go_at()? {
            return None;
        }
        let lane = match self.health.standing() {
            Standing::Disabled => None,
            Standing::Enabled => {
                let ((due, _), lane) = self.ready.first_key_value()?;
                (*due <= now).then(|| Arc::clone(lane))
            }
            Standing::Resting => self.longest_untried(),
        }?;
        Some(self.begin(&lane))
    }

    /// When [`Lanes::next`] is worth asking again; `None`: not before something happens.
    pub(crate) fn wake_at(&self) -> Option<u64> {
        let open = self.may_go_at()?;
        let ((due, _), _) = self.ready.first_key_value()?;
        match self.health.standing() {
            // A probe does not wait for its own time.
            Standing::Resting => Some(open),
            _ => Some(open.max(*due)),
        }
    }

    /// What came of an attempt.
    pub(crate) fn outcome(&mut self, ticket: u64, outcome: &Outcome, now: u64) -> Verdict {
        let Some(flight) = self.flights.remove(&ticket) else {
            return Verdict::default();
        };
        let name = Arc::clone(&flight.lane);
        if let Some(lane) = self.lanes.get_mut(&name) {
            lane.tried_at = now;
            lane.flying = false;
        }
        let before = self.health.standing();
        let verdict = self.judge(flight, outcome, now);
        self.reindex(&name);
        if before == Standing::Resting && self.health.standing() == Standing::Enabled {
            self.release(now);
        }
        verdict
    }

    /// These parcels are no longer in the outbox: removed by somebody else.
    pub(crate) fn vanished(&mut self, ticket: u64, numbers: &[u64]) {
        let Some(flight) = self.flights.get_mut(&ticket) else {
            return;
        };
        flight
            .parcels
            .retain(|held| !numbers.contains(&held.number));
        for number in numbers {
            self.known.remove(number);
        }
    }

    /// The outbox has it that these are settled.
    pub(crate) fn confirm(&mut self, settled: &[Settled]) {
        for settled in settled {
            match settled {
                Settled::Later { number, .. } => self.mark(*number),
                Settled::Delivered { number }
                | Settled::Dead { number, .. }
                | Settled::Dropped { number } => {
                    self.known.remove(number);
                }
            }
        }
    }

    /// Begins anew with an endpoint that was disabled or rests.
    pub(crate) fn enable(&mut self, now: u64) {
        self.health = Health::default();
        self.release(now);
    }

    pub(crate) fn standing(&self) -> Standing {
        self.health.standing()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.flights.len()
    }

    fn mark(&mut self, number: u64) {
        let Some(name) = self.known.get(&number).map(Arc::clone) else {
            return;
        };
        if let Some(lane) = self.lanes.get_mut(&name) {
            lane.mark(number);
        }
        self.reindex(&name);
    }

    /// When the endpoint may be sent to; `None`: not before something comes back.
    fn may_go_at(&self) -> Option<u64> {
        let most = match self.health.standing() {
            Standing::Disabled => 0,
            Standing::Enabled => self.rules.concurrency,
            Standing::Resting => 1,
        };
        (self.flights.len() < most).then(|| self.health.quiet_until())
    }

    fn longest_untried(&self) -> Option<Arc<str>> {
        let tried_at = |name: &Arc<str>| self.lanes.get(name).map(|lane| lane.tried_at);
        let idle = self.ready.iter();
        let first = idle.min_by_key(|((_, number), name)| (tried_at(name), *number));
        first.map(|(_, name)| Arc::clone(name))
    }

    /// Puts a lane where it belongs among those that are ready, or away if there is nothing left.
    fn reindex(&mut self, name: &Arc<str>) {
        let Some(lane) = self.lanes.get_mut(name) else {
            return;
        };
        if let Some(entry) = lane.entry.take() {
            self.ready.remove(&entry);
        }
        if lane.flying {
            return;
        }
        if lane.queue.is_empty()
            && let Some(mark) = lane.beyond.take()
        {
            self.cursor = self.cursor.min(mark - 1);
            self.more = true;
        }
        if let Some(entry) = lane.candidate(&self.rules) {
            lane.entry = Some(entry);
            self.ready.insert(entry, Arc::clone(name));
        } else if lane.len() == 0 {
            self.lanes.remove(name);
        }
    }

    fn begin(&mut self, name: &Arc<str>) -> Attempt {
        let lane = self.lanes.get_mut(name).expect("what is ready has a lane");
        let (parcels, late) = lane.depart(&self.rules);
        let numbers: Vec<u64> = parcels.iter().map(|held| held.number).collect();
        let ticket = numbers[0];
        let flight = Flight {
            lane: Arc::clone(name),
            parcels,
            late,
        };
        self.flights.insert(ticket, flight);
        self.reindex(name);
        Attempt {
            ticket,
            numbers,
            late,
        }
    }

    /// What waits for a time of its own need not: the endpoint is back.
    fn release(&mut self, now: u64) {
        let names: Vec<Arc<str>> = self.ready.values().map(Arc::clone).collect();
        for name in names {
            if let Some(lane) = self.lanes.get_mut(&name) {
                lane.hurry(now);
            }
            self.reindex(&name);
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod walk;
