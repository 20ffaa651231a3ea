//! When a service is left alone: a circuit breaker.
//!
//! ```text
//! closed ── credential refused, or half of the attempts fail ──▶ open
//!   ▲                                                             │ after a while, one attempt
//!   └── accepted ── half-open ◀────────────────────────────────────┘
//!                       └── failed ──▶ open
//! ```
//!
//! Another credential closes one that a refused credential has opened.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::GuardConfig;
use crate::service::Retry;

/// Whether sockets are opened, by how the last ones fared.
#[derive(Debug)]
pub(super) struct Breaker {
    config: GuardConfig,
    state: State,
    recent: Recent,
    /// Whether it has opened last because a credential was refused.
    is_refused: bool,
    /// Counts the changes of state that make what was begun before of no account.
    epoch: u64,
    openings: u64,
}

/// How a breaker stands, as its gauge shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Closed = 0,
    HalfOpen = 1,
    Open = 2,
}

/// One attempt to open a socket.
#[derive(Debug)]
pub(super) struct Attempt {
    epoch: u64,
    is_probe: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed,
    /// A probe is under way.
    HalfOpen,
    /// The next attempt is a probe, and not before this.
    Open(Instant),
}

/// What a failure says of the service.
enum Sign {
    /// It works, or it is not known.
    None,
    /// It may be failing.
    Failure,
    /// It will refuse everybody.
    Refusal,
}

/// The attempts of the last while, in slices of it.
#[derive(Debug, Default)]
struct Recent(VecDeque<Slice>);

#[derive(Debug)]
struct Slice {
    began: Instant,
    attempts: u32,
    failures: u32,
}

impl Breaker {
    /// While a probe is under way, when to ask how it went.
    const PROBE_TIME: Duration = Duration::from_secs(1);

    pub(super) fn new(config: GuardConfig) -> Self {
        Self {
            config,
            state: State::Closed,
            recent: Recent::default(),
            is_refused: false,
            epoch: 0,
            openings: 0,
        }
    }

    pub(super) fn stage(&self) -> Stage {
        match self.state {
            State::Closed => Stage::Closed,
            State::HalfOpen => Stage::HalfOpen,
            State::Open(_) => Stage::Open,
        }
    }

    /// Why nobody is let through, for reports.
    pub(super) fn why(&self) -> &'static str {
        if self.is_refused {
            "the service refuses the credential and is left alone for a while"
        } else {
            "the service fails and is left alone for a while"
        }
    }

    /// How often it has opened.
    pub(super) fn openings(&self) -> u64 {
        self.openings
    }

    /// Until when no attempt may be made; `None` if one may be made now.
    pub(super) fn wait(&self, now: Instant) -> Option<Instant> {
        match self.state {
            State::Closed => None,
            State::HalfOpen => Some(now + Self::PROBE_TIME),
            State::Open(until) => Some(until).filter(|until| *until > now),
        }
    }

    /// An attempt is made.
    pub(super) fn attempt(&mut self) -> Attempt {
        let is_probe = matches!(self.state, State::Open(_));
        if is_probe {
            self.state = State::HalfOpen;
        }
        Attempt {
            epoch: self.epoch,
            is_probe,
        }
    }

    pub(super) fn accepted(&mut self, now: Instant, attempt: &Attempt) {
        if attempt.epoch != self.epoch {
            return;
        }
        if attempt.is_probe {
            self.state = State::Closed;
            self.recent = Recent::default();
            self.epoch += 1;
        } else {
            self.recent.add(now, self.config.window, false);
        }
    }

    /// `chance` is random, from 0 to 1.
    pub(super) fn failed(&mut self, now: Instant, attempt: &Attempt, class: Retry, chance: f64) {
        if attempt.epoch != self.epoch {
            return;
        }
        match Sign::of(class) {
            Sign::None => self.untold(now, attempt),
            Sign::Refusal => {
                self.is_refused = true;
                self.open(now, chance);
            }
            Sign::Failure => {
                self.recent.add(now, self.config.window, true);
                if attempt.is_probe || self.is_failing(now) {
                    self.is_refused = false;
                    self.open(now, chance);
                }
            }
        }
    }

    /// It will never be known how the attempt ended.
    pub(super) fn untold(&mut self, now: Instant, attempt: &Attempt) {
        if attempt.is_probe && attempt.epoch == self.epoch {
            self.state = State::Open(now);
        }
    }

    /// The credential is another: what was begun with the old one is of no account, and an attempt
    /// may be made at once if it was the old one that was refused.
    pub(super) fn renewed(&mut self, now: Instant) {
        self.epoch += 1;
        match self.state {
            State::HalfOpen | State::Open(_) if self.is_refused => {
                self.state = State::Closed;
                self.recent = Recent::default();
            }
            // Whatever becomes of the probe under way is not heard any more.
            State::HalfOpen => self.state = State::Open(now),
            State::Closed | State::Open(_) => {}
        }
    }

    fn is_failing(&mut self, now: Instant) -> bool {
        let (attempts, failures) = self.recent.sum(now, self.config.window);
        let percent = u64::from(self.config.failures_percent);
        attempts >= u64::from(self.config.attempts_min) && failures * 100 >= attempts * percent
    }

    fn open(&mut self, now: Instant, chance: f64) {
        let (least, most) = (self.config.probe_after_min, self.config.probe_after_max);
        let pause = least + most.saturating_sub(least).mul_f64(chance);
        self.state = State::Open(now + pause);
        self.recent = Recent::default();
        self.epoch += 1;
        self.openings += 1;
    }
}

impl Sign {
    fn of(class: Retry) -> Self {
        match class {
            Retry::Backoff | Retry::Now | Retry::Unknown => Self::Failure,
            Retry::Credential => Self::Refusal,
            Retry::After(_)
            | Retry::Few(_)
            | Retry::Rollover
            | Retry::Session
            | Retry::Sound
            | Retry::Token => Self::None,
        }
    }
}

impl Recent {
    /// So many slices make the whole.
    const SLICES: u32 = 30;

    fn add(&mut self, now: Instant, window: Duration, is_failure: bool) {
        let length = window / Self::SLICES;
        let is_new = |slice: &Slice| now.saturating_duration_since(slice.began) >= length;
        if self.0.back().is_none_or(is_new) {
            self.forget(now, window);
            self.0.push_back(Slice {
                began: now,
                attempts: 0,
                failures: 0,
            });
        }
        if let Some(slice) = self.0.back_mut() {
            slice.attempts += 1;
            slice.failures += u32::from(is_failure);
        }
    }

    /// Attempts and failures.
    fn sum(&mut self, now: Instant, window: Duration) -> (u64, u64) {
        self.forget(now, window);
        self.0.iter().fold((0, 0), |(attempts, failures), slice| {
            let attempts = attempts + u64::from(slice.attempts);
            (attempts, failures + u64::from(slice.failures))
        })
    }

    fn forget(&mut self, now: Instant, window: Duration) {
        let is_old = |slice: &Slice| now.saturating_duration_since(slice.began) >= window;
        while self.0.front().is_some_and(is_old) {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
