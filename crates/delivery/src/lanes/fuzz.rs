//! The fate of parcels, read from bytes: whatever it is, no parcel is lost, sent beside another of
//! its lane, or kept beyond the window.

use std::collections::BTreeSet;
use std::sync::Arc;

use store::outbox::{Settled, Waiting};

use super::{Attempt, Class, Lanes, Outcome, Rules};

const WINDOW: usize = 8;
const START: u64 = 1_700_000_000_000;

struct World {
    lanes: Lanes,
    waiting: Vec<Waiting>,
    flights: Vec<Attempt>,
    ended: BTreeSet<u64>,
    now: u64,
}

/// Each byte is something that happens.
pub(crate) fn fuzz(data: &[u8]) {
    let seed = data.len() as u64;
    let mut world = World {
        lanes: Lanes::new(rules(), seed),
        waiting: Vec::new(),
        flights: Vec::new(),
        ended: BTreeSet::new(),
        now: START,
    };
    let mut made = 0;
    for byte in data {
        let argument = u64::from(byte >> 3);
        match byte & 7 {
            0 | 1 => {
                made += 1;
                world.waiting.push(parcel(made, argument % 5, world.now));
                world.lanes.news();
            }
            2 => world.now += 1 << argument.min(26),
            3 => world.lanes.enable(world.now),
            4 => world.read(),
            _ => world.land(argument),
        }
        world.depart();
    }
    let found = world.ended.len() + world.waiting.len();
    assert_eq!(found as u64, made, "every parcel has ended or waits");
}

impl World {
    fn read(&mut self) {
        let Some(wish) = self.lanes.wish(self.now) else {
            return;
        };
        let behind = self
            .waiting
            .iter()
            .filter(|waiting| waiting.number > wish.after);
        let found = behind.take(wish.most).cloned().collect();
        let dropped = self.lanes.load(wish, found, self.now);
        assert!(dropped.is_empty(), "with retries nothing is dropped");
        assert!(self.lanes.known.len() <= WINDOW, "the window is bounded");
    }

    fn depart(&mut self) {
        while let Some(attempt) = self.lanes.next(self.now) {
            let lane = |number: u64| {
                let mut all = self.waiting.iter();
                let waiting = all.find(|waiting| waiting.number == number);
                &waiting.expect("what is sent waits").lane
            };
            let own = lane(attempt.ticket);
            let beside = self.flights.iter().any(|other| lane(other.ticket) == own);
            assert!(!beside, "one of a lane at a time");
            self.flights.push(attempt);
        }
    }

    fn land(&mut self, argument: u64) {
        if self.flights.is_empty() {
            return;
        }
        let index = argument as usize % self.flights.len();
        let ticket = self.flights.swap_remove(index).ticket;
        let class = Class::ALL[argument as usize % Class::ALL.len()];
        let mut outcome = Outcome::new(class, "fuzz");
        outcome.after = Some(argument << 40);
        let settled = self.lanes.outcome(ticket, &outcome, self.now).settled;
        for each in &settled {
            let (Settled::Delivered { number } | Settled::Dead { number, .. }) = each else {
                continue;
            };
            assert!(self.ended.insert(*number), "a parcel ends once");
            self.waiting.retain(|waiting| waiting.number != *number);
        }
        self.lanes.confirm(&settled);
    }
}

fn rules() -> Rules {
    Rules {
        schedule: Some(vec![1_000, 5_000]),
        concurrency: 3,
        batch_max: 2,
        batch_wait: 250,
        batch_bytes_max: 1000,
        skip_after: 1,
        give_up_after: 2,
        pending_max: None,
        window_max: WINDOW,
        rest_after: 3,
        rest_min: 1_000,
        rest_max: 60_000,
        retry_after_max: 3_600_000,
    }
}

fn parcel(number: u64, lane: u64, now: u64) -> Waiting {
    Waiting {
        number,
        lane: Arc::from(format!("twilio/{lane}")),
        id: format!("msg_{number}"),
        attempts: 0,
        refusals: 0,
        not_before_unix_ms: 0,
        at_unix_ms: now,
        bytes: 100,
    }
}
