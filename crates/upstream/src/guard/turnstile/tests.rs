//! The turnstile walked at random, in a time of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// The same seed gives the same numbers: splitmix64.
struct Chance(u64);

/// A waker that is looked at.
#[derive(Default)]
struct Flag(AtomicBool);

/// One in line, as an executor sees it.
struct Waiter {
    ticket: Ticket,
    flag: Arc<Flag>,
    timer: Instant,
}

/// An attempt that is under way.
struct Pending {
    attempt: Attempt,
    is_probe: bool,
    /// Whether the breaker changed since it was begun.
    is_stale: bool,
}

struct Walk {
    seed: u64,
    chance: Chance,
    now: Instant,
    config: GuardConfig,
    turnstile: Turnstile,
    waiting: Vec<Waiter>,
    pending: Vec<Pending>,
    opened: Vec<(Instant, Purpose)>,
    held_until: Instant,
    /// No probe may be made before this.
    shut_until: Instant,
    closings: u32,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % end
    }

    fn one_of<T: Copy>(&mut self, things: &[T]) -> T {
        things[self.below(things.len() as u64) as usize]
    }
}

impl Walk {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed);
        let mut number = |end: u64| chance.below(end) as u32 + 1;
        let config = GuardConfig {
            opens_burst: number(20),
            opens_per_minute: [0, 30, 90, 600][number(4) as usize - 1],
            retries_burst: number(10),
            retries_percent: 10,
            retries_per_second: number(10),
            waiting_max: number(40) as usize,
            patience: SECOND * number(30),
            hold_max: SECOND * number(60),
            window: SECOND * 30,
            attempts_min: number(20),
            failures_percent: 50,
            probe_after_min: SECOND * 3,
            probe_after_max: SECOND * 6,
        };
        let now = Instant::now();
        Self {
            seed,
            chance,
            now,
            config,
            turnstile: Turnstile::new(config),
            waiting: Vec::new(),
            pending: Vec::new(),
            opened: Vec::new(),
            held_until: now,
            shut_until: now,
            closings: 0,
        }
    }

    fn step(&mut self) {
        match self.chance.below(10) {
            0..=4 => self.ask(),
            5 if !self.waiting.is_empty() => self.give_up(),
            _ if !self.pending.is_empty() => self.tell(),
            _ => self.ask(),
        }
        self.settle();
        let pause = self.chance.one_of(&[0, 0, 1, 10, 100, 1_000]);
        let pause = self.chance.below(2 * pause + 1);
        self.pass(Duration::from_millis(pause));
    }

    fn ask(&mut self) {
        let purposes = [Purpose::First, Purpose::Retry, Purpose::Rollover];
        let purpose = self.chance.one_of(&purposes);
        let (now, patience) = (self.now, self.config.patience);
        match self.turnstile.enter(now, purpose, patience) {
            Ok(ticket) => self.waiting.push(Waiter {
                ticket,
                flag: Arc::new(Flag(AtomicBool::new(true))),
                timer: now + patience,
            }),
            Err(blocked) => {
                assert!(blocked.after > Duration::ZERO, "{}", self.name());
                let is_shut = self.turnstile.breaker.wait(now).is_some();
                assert_eq!(blocked.cause == Cause::Breaker, is_shut, "{}", self.name());
            }
        }
        let line = self.turnstile.waiting();
        assert!(line <= self.config.waiting_max, "{}", self.name());
    }

    fn give_up(&mut self) {
        let index = self.chance.below(self.waiting.len() as u64) as usize;
        let waiter = self.waiting.remove(index);
        self.turnstile.leave(waiter.ticket);
    }

    fn tell(&mut self) {
        let index = self.chance.below(self.pending.len() as u64) as usize;
        let Pending {
            attempt,
            is_probe,
            is_stale,
        } = self.pending.remove(index);
        let before = self.turnstile.stage();
        match self.chance.below(8) {
            0..=3 => {
                self.turnstile.accepted(self.now, attempt);
                if is_probe {
                    assert_eq!(self.turnstile.stage(), Stage::Closed, "{}", self.name());
                    self.closings += 1;
                }
            }
            4 => self.turnstile.untold(self.now, attempt),
            _ => self.fail(attempt),
        }
        let after = self.turnstile.stage();
        if is_stale {
            assert_eq!(before, after, "{}", self.name());
        }
        if before != after {
            let all = self.pending.iter_mut();
            all.for_each(|pending| pending.is_stale = true);
        }
    }

    fn fail(&mut self, attempt: Attempt) {
        let patience = SECOND * self.chance.below(90) as u32;
        let class = self.chance.one_of(&[
            Retry::After(patience),
            Retry::Backoff,
            Retry::Backoff,
            Retry::Credential,
            Retry::Session,
            Retry::Unknown,
        ]);
        if let Retry::After(patience) = class {
            let until = self.now + patience.min(self.config.hold_max);
            self.held_until = self.held_until.max(until);
        }
        let openings = self.turnstile.openings();
        let chance = self.chance.below(1_001) as f64 / 1_000.0;
        self.turnstile.failed(self.now, attempt, class, chance);
        if self.turnstile.openings() > openings {
            self.shut_until = self.now + self.config.probe_after_min;
        }
    }

    /// Lets time pass, from timer to timer.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let timers = self.waiting.iter().map(|waiter| waiter.timer);
            let Some(next) = timers.min().filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            self.settle();
        }
        self.now = end;
    }

    /// Polls, in any order, whoever was woken or whose timer is due, until nobody is.
    fn settle(&mut self) {
        loop {
            self.turnstile.woken().into_iter().for_each(Waker::wake);
            let now = self.now;
            let is_due =
                |waiter: &Waiter| waiter.flag.0.load(Ordering::Relaxed) || waiter.timer <= now;
            let due = self.waiting.iter().enumerate();
            let due: Vec<_> = due.filter(|(_, waiter)| is_due(waiter)).collect();
            let due: Vec<_> = due.iter().map(|(index, _)| *index).collect();
            if due.is_empty() {
                break;
            }
            let index = self.chance.one_of(&due);
            self.poll(index);
        }
        self.nobody_sleeps_through_his_turn();
    }

    fn poll(&mut self, index: usize) {
        let (ticket, flag) = {
            let waiter = &self.waiting[index];
            (waiter.ticket, Arc::clone(&waiter.flag))
        };
        flag.0.store(false, Ordering::Relaxed);
        assert!(self.now <= ticket.deadline, "{}", self.name());
        let stage = self.turnstile.stage();
        let may_retry = self.turnstile.retries.ready(self.now, 0) <= self.now;
        match self.turnstile.turn(self.now, ticket, &Waker::from(flag)) {
            Turn::Wait(until, _) => {
                assert!(
                    until > self.now && until <= ticket.deadline,
                    "{}",
                    self.name()
                );
                self.waiting[index].timer = until;
            }
            Turn::Blocked(blocked) => {
                self.waiting.remove(index);
                self.refused(ticket, blocked);
            }
            Turn::Go(attempt) => {
                self.waiting.remove(index);
                self.went(ticket, stage, may_retry);
                self.pending.push(Pending {
                    attempt,
                    is_probe: stage == Stage::Open,
                    is_stale: false,
                });
            }
        }
    }

    fn refused(&self, ticket: Ticket, blocked: Blocked) {
        assert!(blocked.after > Duration::ZERO, "{}", self.name());
        let is_fair = match blocked.cause {
            Cause::Breaker => self.turnstile.stage() != Stage::Closed,
            Cause::Full => ticket.purpose == Purpose::First,
            Cause::Budget | Cause::Rate => {
                self.now == ticket.deadline || self.held_until > ticket.deadline
            }
            Cause::Nowhere => false,
        };
        assert!(is_fair, "{} {ticket:?} {blocked:?}", self.name());
    }

    fn went(&mut self, ticket: Ticket, stage: Stage, may_retry: bool) {
        let (name, purpose) = (self.name(), ticket.purpose);
        assert!(self.now >= self.held_until, "{name}: held");
        assert!(self.now >= self.shut_until, "{name}: shut");
        assert_ne!(stage, Stage::HalfOpen, "{name}: a second probe");
        let is_within_budget = purpose != Purpose::Retry || may_retry;
        assert!(is_within_budget, "{name}: a retry too many");
        // Those in line stand in the order in which they came.
        let rivals = self.waiting.iter().map(|waiter| waiter.ticket);
        for rival in rivals.filter(|rival| self.turnstile.lanes.holds(*rival)) {
            let is_later = rival.deadline >= ticket.deadline;
            let is_fair = match (purpose, rival.purpose) {
                (Purpose::First, Purpose::Rollover) => false,
                (_, Purpose::Retry) if !may_retry => true,
                (Purpose::First, Purpose::Retry) => false,
                (Purpose::Retry | Purpose::Rollover, Purpose::First) => true,
                _ => is_later,
            };
            assert!(is_fair, "{name}: {ticket:?} before {rival:?}");
        }
        self.opened.push((self.now, purpose));
    }

    fn nobody_sleeps_through_his_turn(&self) {
        let (now, turnstile) = (self.now, &self.turnstile);
        let may_retry = turnstile.retries.ready(now, 0) <= now;
        for Waiter { ticket, .. } in &self.waiting {
            let (ready, _) = turnstile.ready(now, ticket.purpose, (0, 0));
            let is_turn = turnstile.lanes.is_next(*ticket, may_retry) && ready <= now;
            assert!(!is_turn, "{}: {ticket:?} sleeps", self.name());
            let is_shut = turnstile.breaker.wait(now).is_some();
            let is_hopeless = is_shut || self.held_until > ticket.deadline;
            assert!(!is_hopeless, "{}: {ticket:?} hopes", self.name());
        }
    }

    /// In no stretch of time were there more than may be.
    fn check_rates(&self) {
        let GuardConfig {
            opens_burst,
            opens_per_minute,
            retries_burst,
            retries_per_second,
            ..
        } = self.config;
        for (index, (from, _)) in self.opened.iter().enumerate() {
            let (mut all, mut retries) = (0.0, 0.0);
            for (at, purpose) in &self.opened[index..] {
                let time = (*at - *from).as_secs_f64();
                all += 1.0;
                retries += f64::from(u8::from(*purpose == Purpose::Retry));
                let rate = f64::from(opens_per_minute) / 60.0;
                let most = f64::from(opens_burst) + time * rate + 1e-6;
                assert!(opens_per_minute == 0 || all <= most, "{}", self.name());
                let rate = f64::from(retries_per_second);
                let most = f64::from(retries_burst) + time * rate + (all - retries) / 10.0;
                assert!(retries <= most + 1e-6, "{}", self.name());
            }
        }
    }

    fn name(&self) -> String {
        format!("SEED={}", self.seed)
    }
}

#[test]
fn a_random_walk_keeps_every_promise() {
    let (mut opened, mut openings, mut closings) = (0, 0, 0);
    for seed in 0..300 {
        let mut walk = Walk::new(seed);
        (0..300).for_each(|_| walk.step());
        walk.pass(walk.config.patience);
        assert!(walk.waiting.is_empty(), "{}: somebody waits", walk.name());
        assert_eq!(walk.turnstile.waiting(), 0, "{}: a ghost", walk.name());
        walk.check_rates();
        opened += walk.opened.len();
        openings += walk.turnstile.openings();
        closings += walk.closings;
    }
    // It went where there was something to see.
    assert!(opened > 10_000, "{opened}");
    assert!(openings > 300, "{openings}");
    assert!(closings > 100, "{closings}");
}

#[test]
fn a_lost_socket_sends_away_the_last_of_those_who_never_had_one_when_the_line_is_full() {
    let now = Instant::now();
    let mut turnstile = Turnstile::new(GuardConfig {
        opens_burst: 1,
        opens_per_minute: 60,
        waiting_max: 2,
        ..GuardConfig::default()
    });
    let mut enter = |purpose| turnstile.enter(now, purpose, 30 * SECOND);
    let (one, two) = (
        enter(Purpose::First).unwrap(),
        enter(Purpose::First).unwrap(),
    );
    let refused = enter(Purpose::First).unwrap_err();
    assert_eq!(refused.cause, Cause::Full);
    enter(Purpose::Retry).unwrap();
    let mut turn = |ticket| turnstile.turn(now, ticket, Waker::noop());
    assert!(matches!(turn(two), Turn::Blocked(blocked) if blocked.cause == Cause::Full));
    assert!(matches!(turn(one), Turn::Wait(..)));
}

#[test]
fn who_is_sent_away_comes_back_while_half_of_the_line_still_waits() {
    let now = Instant::now();
    let mut turnstile = Turnstile::new(GuardConfig {
        opens_burst: 1,
        opens_per_minute: 60,
        ..GuardConfig::default()
    });
    let mut enter = || turnstile.enter(now, Purpose::First, 30 * SECOND);
    (0..31).for_each(|_| {
        enter().unwrap();
    });
    let refused = enter().unwrap_err();
    assert_eq!(
        (refused.cause, refused.after),
        (Cause::Rate, 15_500 * SECOND / 1_000)
    );
}
