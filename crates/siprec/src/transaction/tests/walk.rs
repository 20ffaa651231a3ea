//! Random walks of a client of ours against a server of ours, over a network that loses, doubles,
//! delays, reorders and forks datagrams and cuts connections. `SEED=36` repeats one.

mod network;
mod users;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::Cell;
use super::scene::beginning;
use crate::transaction::machine::{self, Kind, Signal, State};
use crate::transaction::{Timers, Transactions};
use network::{Chance, Network};
use users::{Asker, Server};

const WALKS: u64 = 150;
const REQUESTS: u64 = 40;

/// Messages that one request and its answer may cost, repetitions and all.
const MESSAGES_MAX: u64 = 40;

struct World {
    seed: u64,
    chance: Chance,
    network: Network,
    near: Transactions,
    far: Transactions,
    asker: Asker,
    server: Server,
    /// The far end has fewer transactions than it would need.
    is_small: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let loss = [0, 10, 30, 60][chance.below(4) as usize];
        let is_small = chance.one_in(5);
        let transactions_max = if is_small { 4 } else { 1_000 };
        Self {
            seed,
            network: Network::new(beginning(), loss),
            near: Transactions::new(Timers::default(), 10),
            far: Transactions::new(Timers::default(), transactions_max),
            asker: Asker::default(),
            server: Server::default(),
            chance,
            is_small,
        }
    }

    /// Until nothing is to be done any more; how many steps that took.
    fn run(&mut self) -> u64 {
        let mut steps = 0;
        let mut next_request = self.network.now;
        while let Some(due) = self.next(next_request) {
            self.network.now = due;
            if self.asker.begun < REQUESTS && due >= next_request {
                self.begin();
                let pause = Duration::from_millis(self.chance.below(3_000));
                next_request = due + pause;
            }
            self.step();
            steps += 1;
            assert!(steps < 100_000, "it ends");
            let (servers, _) = self.far.counts();
            assert!(!self.is_small || servers <= 4, "no more than the limit");
        }
        steps
    }

    fn next(&self, next_request: Instant) -> Option<Instant> {
        let begins = (self.asker.begun < REQUESTS).then_some(next_request);
        let others = [
            self.network.next(),
            self.near.deadline(),
            self.far.deadline(),
            self.server.next(),
        ];
        let due = others.into_iter().flatten().chain(begins).min()?;
        Some(due.max(self.network.now))
    }

    fn begin(&mut self) {
        let now = self.network.now;
        if self.chance.one_in(15) {
            self.cut();
        }
        let flow = self.network.to_far(self.chance.one_in(4));
        self.asker
            .begin(now, flow, &mut self.near, &mut self.chance);
        self.drain();
        if self.chance.one_in(15) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let connection = self.network.cut();
        self.near.closed(self.network.now, connection);
        self.far.closed(self.network.now, connection);
        self.drain();
    }

    fn step(&mut self) {
        let now = self.network.now;
        while let Some((is_near, flow, message)) = self.network.arrived() {
            let end = if is_near {
                &mut self.near
            } else {
                &mut self.far
            };
            end.receive(now, flow, message);
            self.drain();
        }
        self.near.tick(now);
        self.far.tick(now);
        self.server.answer_due(now, &mut self.far);
        self.drain();
    }

    fn drain(&mut self) {
        let now = self.network.now;
        while let Some(event) = self.near.poll_event() {
            self.asker.hear(event, &mut self.near);
        }
        while let Some(event) = self.far.poll_event() {
            self.server.hear(now, event, &mut self.chance);
        }
        while let Some((flow, bytes)) = self.near.poll_transmit() {
            self.network.send(false, flow, bytes, &mut self.chance);
        }
        while let Some((flow, bytes)) = self.far.poll_transmit() {
            self.network.send(true, flow, bytes, &mut self.chance);
        }
    }

    fn check(&self) {
        let seed = self.seed;
        for (end, name) in [(&self.near, "near"), (&self.far, "far")] {
            assert_eq!(end.counts(), (0, 0), "SEED={seed}: {name} is empty");
            let left = (end.servers.by_key.len(), end.servers.by_merge.len());
            assert_eq!(left, (0, 0), "SEED={seed}: {name} has no key left");
            assert!(end.clients.by_key.is_empty(), "SEED={seed}: {name}");
            assert!(end.connections.is_empty(), "SEED={seed}: {name}");
            assert_eq!(
                end.deadlines.len(),
                0,
                "SEED={seed}: {name} has no timer left"
            );
        }
        let is_lossless = self.network.loss == 0;
        self.asker.check(seed, is_lossless, &self.server);
        let sent_max = self.asker.begun * MESSAGES_MAX;
        assert!(self.network.sent <= sent_max, "SEED={seed}: bounded");
    }
}

/// Every cell of the tables that does something.
fn cells() -> BTreeSet<Cell> {
    let kinds = [
        Kind::InviteClient,
        Kind::InviteServer,
        Kind::OtherClient,
        Kind::OtherServer,
    ];
    let states = [
        State::Accepted,
        State::Calling,
        State::Completed,
        State::Confirmed,
        State::Proceeding,
        State::Terminated,
        State::Trying,
    ];
    let signals = [
        Signal::Ack,
        Signal::Again,
        Signal::Begin,
        Signal::Failure,
        Signal::Lost,
        Signal::Over,
        Signal::Provisional,
        Signal::Repeat,
        Signal::Success,
    ];
    let mut cells = BTreeSet::new();
    for kind in kinds {
        for state in states {
            for signal in signals {
                let (next, acts) = machine::step(kind, state, signal);
                if next != state || !acts.is_empty() {
                    cells.insert((kind, state, signal));
                }
            }
        }
    }
    cells
}

fn walk(seed: u64) -> u64 {
    let mut world = World::new(seed);
    let steps = world.run();
    world.check();
    steps
}

#[test]
fn every_request_ends_once_and_is_seen_once_and_nothing_is_left() {
    #[expect(
        clippy::disallowed_methods,
        reason = "a failed walk is repeated by its seed"
    )]
    if let Ok(seed) = std::env::var("SEED") {
        walk(seed.parse().unwrap());
        return;
    }
    let wanted = cells();
    super::visited();
    let steps: u64 = (0..WALKS).map(walk).sum();
    let visited = super::visited();
    println!("{WALKS} walks, {steps} steps, {} cells", wanted.len());
    let missed: Vec<_> = wanted.difference(&visited).collect();
    assert!(missed.is_empty(), "the walks have not been in {missed:?}");
}
