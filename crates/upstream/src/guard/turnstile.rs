//! Whose turn it is to open a socket, and whether anybody's: everything a guard decides, with the
//! time as an argument.

use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use super::breaker::{Attempt, Breaker, Stage};
use super::bucket::Bucket;
use super::budget::Budget;
use super::lanes::{Lanes, Ticket};
use super::{Blocked, Cause, GuardConfig, Purpose};
use crate::service::Retry;

/// The line of those who wait, and what lets them through.
#[derive(Debug)]
pub(super) struct Turnstile {
    config: GuardConfig,
    breaker: Breaker,
    opens: Bucket,
    retries: Budget,
    /// The service has asked for patience until then.
    held_until: Option<Instant>,
    lanes: Lanes,
    /// Who is to be woken, once nobody is in here.
    woken: Vec<Waker>,
}

/// What one who asks is told.
#[derive(Debug)]
pub(super) enum Turn {
    Blocked(Blocked),
    Go(Attempt),
    /// Ask again when woken, and not later than then.
    Wait(Instant, Cause),
}

impl Turnstile {
    /// Nobody who is sent away comes back sooner than this.
    const AFTER_MIN: Duration = Duration::from_secs(1);

    pub(super) fn new(config: GuardConfig) -> Self {
        let minute = Duration::from_secs(60);
        Self {
            config,
            breaker: Breaker::new(config),
            opens: Bucket::new(config.opens_per_minute, minute, config.opens_burst),
            retries: Budget::new(&config),
            held_until: None,
            lanes: Lanes::default(),
            woken: Vec::new(),
        }
    }

    /// A place in line; none if the turn cannot come while patience lasts.
    pub(super) fn enter(
        &mut self,
        now: Instant,
        purpose: Purpose,
        patience: Duration,
    ) -> Result<Ticket, Blocked> {
        self.check(now)?;
        let deadline = now + patience;
        let (soonest, cause) = self.soonest(now, purpose);
        if soonest > deadline {
            return Err(self.blocked(now, purpose, cause));
        }
        if self.lanes.len() >= self.config.waiting_max.max(1) && !self.made_room(purpose) {
            return Err(self.blocked(now, purpose, Cause::Full));
        }
        Ok(self.lanes.enter(purpose, deadline))
    }

    /// Whether it is the turn of one in line.
    pub(super) fn turn(&mut self, now: Instant, ticket: Ticket, waker: &Waker) -> Turn {
        let turn = self.decided(now, ticket);
        if let Turn::Wait(..) = turn {
            self.lanes.park(ticket, waker);
        } else {
            self.leave(ticket);
        }
        turn
    }

    /// One in line is gone; whoever is next is to know.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        if self.lanes.leave(ticket) {
            self.woken.extend(self.lanes.wake_heads());
        }
    }

    pub(super) fn accepted(&mut self, now: Instant, attempt: Attempt) {
        self.breaker.accepted(now, &attempt);
    }

    /// `chance` is random, from 0 to 1.
    pub(super) fn failed(&mut self, now: Instant, attempt: Attempt, class: Retry, chance: f64) {
        if let Retry::After(patience) = class {
            let until = now + patience.min(self.config.hold_max);
            self.held_until = self.held_until.max(Some(until));
        }
        self.breaker.failed(now, &attempt, class, chance);
        if self.breaker.stage() != Stage::Closed || matches!(class, Retry::After(_)) {
            // They need not wait for what will not come in time.
            self.woken.extend(self.lanes.wake_all());
        }
    }

    pub(super) fn untold(&mut self, now: Instant, attempt: Attempt) {
        self.breaker.untold(now, &attempt);
    }

    pub(super) fn renewed(&mut self, now: Instant) {
        self.breaker.renewed(now);
    }

    /// Who is to be woken.
    pub(super) fn woken(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.woken)
    }

    pub(super) fn waiting(&self) -> usize {
        self.lanes.len()
    }

    pub(super) fn stage(&self) -> Stage {
        self.breaker.stage()
    }

    pub(super) fn openings(&self) -> u64 {
        self.breaker.openings()
    }

    fn decided(&mut self, now: Instant, ticket: Ticket) -> Turn {
        let purpose = ticket.purpose;
        if !self.lanes.holds(ticket) {
            return Turn::Blocked(self.blocked(now, purpose, Cause::Full));
        }
        if let Err(blocked) = self.check(now) {
            return Turn::Blocked(blocked);
        }
        let (ready, cause) = self.ready(now, purpose, (0, 0));
        let may_retry = self.retries.ready(now, 0) <= now;
        if ready <= now && self.lanes.is_next(ticket, may_retry) {
            return Turn::Go(self.go(now, purpose));
        }
        let deadline = ticket.deadline;
        if now >= deadline || self.held_until.is_some_and(|held| held > deadline) {
            return Turn::Blocked(self.blocked(now, purpose, cause));
        }
        // Who is not at the head of his line is woken when he is.
        let is_timed = ready > now && self.lanes.is_head(ticket);
        let until = if is_timed {
            ready.min(deadline)
        } else {
            deadline
        };
        Turn::Wait(until, cause)
    }

    fn go(&mut self, now: Instant, purpose: Purpose) -> Attempt {
        self.opens.take(now);
        match purpose {
            Purpose::First | Purpose::Rollover => self.retries.opened(),
            Purpose::Retry => self.retries.retried(now),
        }
        self.breaker.attempt()
    }

    /// Whether the breaker lets anybody through.
    fn check(&self, now: Instant) -> Result<(), Blocked> {
        match self.breaker.wait(now) {
            None => Ok(()),
            Some(until) => Err(Blocked {
                why: self.breaker.why(),
                ..Blocked::new(Cause::Breaker, until - now)
            }),
        }
    }

    /// Sends one away who has less to lose, if there is one.
    fn made_room(&mut self, purpose: Purpose) -> bool {
        if purpose == Purpose::First {
            return false;
        }
        let Some(waker) = self.lanes.evict() else {
            return false;
        };
        self.woken.extend(waker);
        true
    }

    /// When one who comes now has his turn, if all before him take theirs, and what he waits for.
    fn soonest(&self, now: Instant, purpose: Purpose) -> (Instant, Cause) {
        let before = (self.lanes.ahead(purpose), self.lanes.retries());
        self.ready(now, purpose, before)
    }

    /// When there is leave for one who has so many before him, and so many of them retries.
    fn ready(&self, now: Instant, purpose: Purpose, before: (usize, usize)) -> (Instant, Cause) {
        let (all, retries) = before;
        let open = self.opens.ready(now, all);
        let open = self.held_until.map_or(open, |held| open.max(held));
        let retry = match purpose {
            Purpose::First | Purpose::Rollover => now,
            Purpose::Retry => self.retries.ready(now, retries),
        };
        if retry > open {
            (retry, Cause::Budget)
        } else {
            (open, Cause::Rate)
        }
    }

    /// Who is sent away comes back while half of those before him still wait, so that the line
    /// never runs dry; but not before there can be leave at all.
    fn blocked(&self, now: Instant, purpose: Purpose, cause: Cause) -> Blocked {
        let (soonest, _) = self.soonest(now, purpose);
        let (ready, _) = self.ready(now, purpose, (0, 0));
        let after = (ready - now).max((soonest - now) / 2);
        Blocked::new(cause, after.max(Self::AFTER_MIN))
    }
}

#[cfg(test)]
mod tests;
