//! Random walks: parcels, outcomes and restarts as chance will have them, in virtual time, and what
//! must be true of all of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use proptest::prelude::*;
use store::outbox::{Settled, Waiting};

use super::{Attempt, Class, Lanes, Outcome, Rules, Standing, Wish};

/// An outbox as simple as can be.
#[derive(Default)]
struct Box {
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
}

/// What the receiver has seen, and what is known of each parcel.
struct World {
    rules: Rules,
    lanes: Lanes,
    outbox: Box,
    now: u64,
    chance: Lot,
    /// By ticket, with the time at which they land.
    flights: BTreeMap<u64, (u64, Attempt)>,
    unwritten: Vec<Settled>,
    /// What was found when it was read, and when it will be here.
    reading: Option<(u64, Wish, Vec<Waiting>)>,
    /// Every parcel that there was, with its lane.
    made: BTreeMap<u64, u64>,
    /// In the order in which they were taken for the first time.
    taken: Vec<u64>,
    dead: BTreeSet<u64>,
    dropped: BTreeSet<u64>,
    late: BTreeSet<u64>,
    attempts: HashMap<u64, u32>,
}

struct Lot(u64);

impl Lot {
    fn draw(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % below
    }
}

pub(super) fn rules() -> Rules {
    Rules {
        schedule: Some(crate::Retries::DEFAULT.iter().map(|s| s * 1000).collect()),
        concurrency: 4,
        batch_max: 1,
        batch_wait: 0,
        batch_bytes_max: 1 << 20,
        skip_after: 0,
        give_up_after: 8,
        pending_max: None,
        window_max: 40,
        rest_after: 5,
        rest_min: 1000,
        rest_max: 60_000,
        retry_after_max: 3_600_000,
    }
}

impl Box {
    fn put(&mut self, lane: u64, now: u64) -> u64 {
        self.next += 1;
        let waiting = Waiting {
            number: self.next,
            lane: Arc::from(format!("twilio/{lane}")),
            id: format!("msg_{}", self.next),
            attempts: 0,
            refusals: 0,
            not_before_unix_ms: 0,
            at_unix_ms: now,
            bytes: 100,
        };
        self.waiting.insert(self.next, waiting);
        self.next
    }

    fn settle(&mut self, settled: &Settled) {
        match settled {
            Settled::Delivered { number }
            | Settled::Dead { number, .. }
            | Settled::Dropped { number } => {
                self.waiting.remove(number);
            }
            Settled::Later {
                number,
                attempts,
                refusals,
                not_before_unix_ms,
            } => {
                if let Some(waiting) = self.waiting.get_mut(number) {
                    (waiting.attempts, waiting.refusals) = (*attempts, *refusals);
                    waiting.not_before_unix_ms = *not_before_unix_ms;
                }
            }
        }
    }
}

impl World {
    fn new(rules: Rules, seed: u64) -> Self {
        Self {
            lanes: Lanes::new(rules.clone(), seed),
            rules,
            outbox: Box::default(),
            now: 1_700_000_000_000,
            chance: Lot(seed),
            flights: BTreeMap::new(),
            unwritten: Vec::new(),
            reading: None,
            made: BTreeMap::new(),
            taken: Vec::new(),
            dead: BTreeSet::new(),
            dropped: BTreeSet::new(),
            late: BTreeSet::new(),
            attempts: HashMap::new(),
        }
    }

    fn publish(&mut self, lanes: u64) {
        let lane = self.chance.draw(lanes);
        let number = self.outbox.put(lane, self.now);
        self.made.insert(number, lane);
        self.lanes.news();
    }

    /// Takes in what was read, reads on, and starts whatever may be started.
    fn turn(&mut self) {
        if let Some((_, wish, found)) = self.reading.take_if(|(at, ..)| *at <= self.now) {
            let dropped = self.lanes.load(wish, found, self.now);
            self.note(dropped);
        }
        if self.reading.is_none()
            && let Some(wish) = self.lanes.wish(self.now)
        {
            let behind = self.outbox.waiting.range(wish.after + 1..);
            let found = behind.take(wish.most).map(|(_, waiting)| waiting.clone());
            let at = self.now + self.chance.draw(3) * 100;
            self.reading = Some((at, wish, found.collect()));
        }
        while let Some(attempt) = self.lanes.next(self.now) {
            self.depart(attempt);
        }
        assert!(
            self.lanes.known.len() <= self.rules.window_max,
            "the window is bounded"
        );
    }

    fn depart(&mut self, attempt: Attempt) {
        let lane = |number: &u64| self.made[number];
        let own = lane(&attempt.numbers[0]);
        assert!(
            attempt.numbers.iter().all(|number| lane(number) == own),
            "one lane a request"
        );
        assert!(attempt.numbers.len() <= self.rules.batch_max);
        assert!(attempt.numbers.is_sorted());
        for (_, other) in self.flights.values() {
            assert_ne!(
                lane(&other.numbers[0]),
                own,
                "never two of a lane under way"
            );
        }
        if attempt.late {
            self.late.extend(&attempt.numbers);
        }
        for number in &attempt.numbers {
            *self.attempts.entry(*number).or_default() += 1;
        }
        let lands = self.now + 10 + self.chance.draw(2_000);
        self.flights.insert(attempt.ticket, (lands, attempt));
        let most = match self.lanes.standing() {
            Standing::Resting => 1,
            _ => self.rules.concurrency,
        };
        assert!(self.flights.len() <= most, "never more than concurrency");
    }

    /// Goes on to the next thing that happens, by at most `most` milliseconds.
    fn advance(&mut self, most: u64, class: impl Fn(&mut Lot) -> Class) {
        let landing = self.flights.values().map(|(lands, _)| *lands).min();
        let read = self.reading.as_ref().map(|(at, ..)| *at);
        let next = self
            .lanes
            .wake_at()
            .into_iter()
            .chain(landing)
            .chain(read)
            .min();
        let next = next.unwrap_or(u64::MAX).min(self.now + most);
        self.now = self.now.max(next);
        let now = self.now;
        let landed = self.flights.extract_if(.., |_, (lands, _)| *lands <= now);
        let landed: Vec<(u64, Attempt)> = landed.map(|(ticket, (_, it))| (ticket, it)).collect();
        for (ticket, attempt) in landed {
            let class = class(&mut self.chance);
            let outcome = Outcome {
                class,
                why: class.as_str().to_owned(),
                after: (class == Class::Busy).then(|| self.chance.draw(20_000)),
            };
            if class == Class::Delivered {
                let new = |number: &&u64| !self.taken.contains(*number);
                let new: Vec<u64> = attempt.numbers.iter().filter(new).copied().collect();
                self.taken.extend(new);
            }
            let verdict = self.lanes.outcome(ticket, &outcome, self.now);
            self.note(verdict.settled);
        }
        // What became of them is written now and then.
        if self.chance.draw(4) == 0 {
            self.write();
        }
        self.turn();
    }

    fn note(&mut self, settled: Vec<Settled>) {
        for each in &settled {
            match each {
                Settled::Dead { number, .. } => assert!(self.dead.insert(*number), "died twice"),
                Settled::Dropped { number } => assert!(self.dropped.insert(*number)),
                Settled::Delivered { .. } | Settled::Later { .. } => {}
            }
        }
        self.unwritten.extend(settled);
    }

    /// Never while something is being read.
    fn write(&mut self) {
        if self.reading.is_some() {
            return;
        }
        for each in &self.unwritten {
            self.outbox.settle(each);
        }
        self.lanes.confirm(&std::mem::take(&mut self.unwritten));
    }

    /// kill -9: what was not written is not known, what was under way may have been taken.
    fn restart(&mut self) {
        for (_, attempt) in std::mem::take(&mut self.flights).into_values() {
            if self.chance.draw(2) == 0 {
                let new = |number: &&u64| !self.taken.contains(*number);
                let new: Vec<u64> = attempt.numbers.iter().filter(new).copied().collect();
                self.taken.extend(new);
            }
        }
        for each in std::mem::take(&mut self.unwritten) {
            if let Settled::Dead { number, .. } = each {
                self.dead.remove(&number);
            }
            if let Settled::Dropped { number } = each {
                self.dropped.remove(&number);
            }
        }
        self.reading = None;
        self.lanes = Lanes::new(self.rules.clone(), self.chance.draw(u64::MAX));
    }

    fn run_dry(&mut self, class: impl Fn(&mut Lot) -> Class) {
        for _ in 0..200_000 {
            self.write();
            if self.outbox.waiting.is_empty() && self.flights.is_empty() {
                return;
            }
            self.advance(100_000_000, &class);
        }
        panic!("{} parcels still wait", self.outbox.waiting.len());
    }

    fn everything_came_to_an_end(&self) {
        for number in self.made.keys() {
            let ends = [
                self.taken.contains(number),
                self.dead.contains(number),
                self.dropped.contains(number),
            ];
            assert!(ends.iter().any(|end| *end), "parcel {number} is lost");
        }
    }

    /// Of each lane, first deliveries are in order but for those that are marked.
    fn lanes_are_in_order(&self) {
        let mut last: HashMap<u64, u64> = HashMap::new();
        for number in self
            .taken
            .iter()
            .filter(|number| !self.late.contains(number))
        {
            let before = last.insert(self.made[number], *number);
            assert!(
                before.is_none_or(|before| before < *number),
                "{number} after {before:?}"
            );
        }
    }
}

fn any_class(lot: &mut Lot) -> Class {
    match lot.draw(12) {
        0..=5 => Class::Delivered,
        6 => Class::Busy,
        7 => Class::Overloaded,
        8 => Class::Refused,
        9 => Class::Unsent,
        _ => Class::Failed,
    }
}

fn walk(mut world: World, parcels: u64, lanes: u64, restarts: bool) -> World {
    for _ in 0..parcels {
        world.publish(lanes);
        world.turn();
        for _ in 0..world.chance.draw(4) {
            world.advance(500, any_class);
        }
        if restarts && world.chance.draw(40) == 0 {
            world.restart();
        }
    }
    world.run_dry(any_class);
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_parcel_is_taken_in_order_or_dead_whatever_happens(
        seed in any::<u64>(),
        lanes in 1_u64..30,
        window in 8_usize..60,
        batch in 1_usize..5,
        restarts in any::<bool>(),
    ) {
        let rules = Rules { window_max: window, batch_max: batch, ..rules() };
        let world = walk(World::new(rules, seed), 300, lanes, restarts);
        world.everything_came_to_an_end();
        world.lanes_are_in_order();
        prop_assert!(world.late.is_empty());
        prop_assert!(world.dropped.is_empty());
    }

    #[test]
    fn a_lane_that_may_skip_keeps_the_order_of_what_is_not_marked(
        seed in any::<u64>(),
        lanes in 1_u64..12,
        skip_after in 1_u32..4,
        restarts in any::<bool>(),
    ) {
        let rules = Rules { skip_after, ..rules() };
        let world = walk(World::new(rules, seed), 300, lanes, restarts);
        world.everything_came_to_an_end();
        world.lanes_are_in_order();
    }

    #[test]
    fn without_retries_nothing_has_a_second_attempt(
        seed in any::<u64>(),
        lanes in 1_u64..12,
    ) {
        let rules = Rules { schedule: None, pending_max: Some(10), ..rules() };
        let world = walk(World::new(rules, seed), 300, lanes, false);
        world.everything_came_to_an_end();
        world.lanes_are_in_order();
        prop_assert!(world.dead.is_empty());
        // What was not sent, by our own doing, may be.
        let sent: Vec<_> = world.attempts.values().filter(|attempts| **attempts > 9).collect();
        prop_assert!(sent.is_empty());
    }

    #[test]
    fn a_receiver_that_is_down_for_ten_minutes_loses_nothing(
        seed in any::<u64>(),
        lanes in 1_u64..100,
        restarts in any::<bool>(),
    ) {
        let mut world = World::new(rules(), seed);
        let up_again = world.now + 600_000;
        while world.now < up_again {
            world.publish(lanes);
            world.turn();
            world.advance(2_000, |lot| match lot.draw(3) {
                0 => Class::Overloaded,
                _ => Class::Failed,
            });
            if restarts && world.chance.draw(100) == 0 {
                world.restart();
            }
        }
        let began = world.now;
        world.run_dry(|_| Class::Delivered);
        world.lanes_are_in_order();
        prop_assert!(world.dead.is_empty());
        prop_assert_eq!(world.taken.len(), world.made.len());
        // One probe, and then everything that waited, without waiting for times of its own.
        let took = world.now - began;
        prop_assert!(restarts || took < 60_000 * 6 / 5 + 2_010 * world.made.len() as u64);
    }
}
