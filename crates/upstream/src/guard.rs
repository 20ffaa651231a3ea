//! What all streams of one service and one credential share: leave to open a socket.
//!
//! Opening sockets is what is scarce, and what hurts a service that is unwell; holding them is
//! cheap. So whoever wants one asks here first. Three machines decide, all of them without a clock
//! of their own: the breaker leaves a failing service alone, a bucket keeps to the rate at which
//! the service takes new sockets, and a budget keeps retries a small part of what is opened. Who
//! has to wait waits in line, and no longer than patience lasts; there is no task behind it.

mod breaker;
mod bucket;
mod budget;
mod lanes;
mod turnstile;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker, ready};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use self::breaker::Attempt;
pub(crate) use self::breaker::Stage;
use self::lanes::Ticket;
use self::turnstile::{Turn, Turnstile};
use crate::metrics::ServiceMetrics;
use crate::retry::chance;
use crate::service::Retry;

/// How careful streams are with one service, all together. Each field is a line of the
/// configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardConfig {
    /// How many sockets may be opened at once before the rate counts.
    pub opens_burst: u32,
    /// How many sockets may be opened a minute; 0: any number.
    pub opens_per_minute: u32,
    /// How many streams may retry at once before the retries' rate counts. As many as a gateway has
    /// legs: one blip that costs all their sockets is mended at once.
    pub retries_burst: u32,
    /// How many retries are allowed for every hundred sockets opened for other reasons.
    pub retries_percent: u32,
    /// How many retries a second are allowed whatever else is opened; 0: any number.
    pub retries_per_second: u32,
    /// How many streams may wait for leave; 0 is taken as 1.
    pub waiting_max: usize,
    /// How long a stream waits for leave. As long as its backlog keeps all sound.
    pub patience: Duration,
    /// When the service asks for patience, it is given no more than this.
    pub hold_max: Duration,
    /// Attempts as old as this say nothing about the service any more.
    pub window: Duration,
    /// Fewer attempts within the window say nothing about it either.
    pub attempts_min: u32,
    /// When so many of a hundred attempts fail, the service is left alone.
    pub failures_percent: u32,
    /// It is left alone for a random time, at least so long, before it is probed.
    pub probe_after_min: Duration,
    /// And at most so long.
    pub probe_after_max: Duration,
}

/// Why a socket is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// For a stream that asks for the first time.
    First,
    /// For a stream that lost its own, or failed to get one.
    Retry,
    /// For a stream whose own is about to be ended by the service.
    Rollover,
}

/// What stands against opening a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The service fails, and is left alone.
    Breaker,
    /// Too many retries.
    Budget,
    /// Too many streams wait.
    Full,
    /// There is no service left that the stream may go to.
    Nowhere,
    /// The service takes sockets only so fast, or has asked for patience.
    Rate,
}

/// Leave to open a socket is not given. That is no attempt, and no loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Ask again then, not before.
    pub after: Duration,
    /// What stands against it.
    pub cause: Cause,
    /// The same, for reports.
    pub why: &'static str,
}

/// The guard of one service and credential. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Guard(Arc<Shared>);

/// Leave to open one socket. To be told what became of it. Dropped untold it says nothing of the
/// service, but if it was a probe another may be made.
#[derive(Debug)]
pub struct Permit {
    shared: Arc<Shared>,
    attempt: Option<Attempt>,
}

#[derive(Debug)]
struct Shared {
    config: GuardConfig,
    turnstile: Mutex<Turnstile>,
    metrics: Arc<ServiceMetrics>,
}

/// A stream in line. Dropped, it gives its turn on.
struct Waiting<'a> {
    shared: &'a Shared,
    purpose: Purpose,
    patience: Duration,
    ticket: Option<Ticket>,
    /// What it was counted as held back by.
    counted: Option<Cause>,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self {
            opens_burst: 20,
            opens_per_minute: 0,
            retries_burst: 1_000,
            retries_percent: 10,
            retries_per_second: 10,
            waiting_max: 4_096,
            patience: Duration::from_secs(30),
            hold_max: Duration::from_secs(5 * 60),
            window: Duration::from_secs(30),
            attempts_min: 20,
            failures_percent: 50,
            probe_after_min: Duration::from_secs(30),
            probe_after_max: Duration::from_secs(60),
        }
    }
}

impl GuardConfig {
    /// The defaults for one of [`crate::service::NAMES`]. Only AssemblyAI counts sockets by the
    /// minute: 100 for whoever pays and has not asked for more.
    pub fn of(service: &str) -> Self {
        let opens_per_minute = if service == "assemblyai" { 90 } else { 0 };
        Self {
            opens_per_minute,
            ..Self::default()
        }
    }
}

impl Cause {
    /// Those that one service's guard may have.
    pub(crate) const HELD_BACK: [Self; 4] = [Self::Breaker, Self::Budget, Self::Full, Self::Rate];

    /// For labels and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Breaker => "breaker",
            Self::Budget => "budget",
            Self::Full => "full",
            Self::Nowhere => "nowhere",
            Self::Rate => "rate",
        }
    }
}

impl Blocked {
    pub(crate) fn new(cause: Cause, after: Duration) -> Self {
        let why = match cause {
            Cause::Breaker => "the service fails and is left alone for a while",
            Cause::Budget => "too many streams try the service again",
            Cause::Full => "too many streams wait for the service",
            Cause::Nowhere => "no service is left for the stream",
            Cause::Rate => "the service takes no more streams for the moment",
        };
        Self { after, cause, why }
    }
}

impl Guard {
    /// A guard that has seen nothing yet, and whose counts are shown nowhere.
    pub fn new(config: GuardConfig) -> Self {
        Self::counted(config, Arc::new(ServiceMetrics::unregistered()))
    }

    /// A guard that has seen nothing yet and counts what it sees.
    pub fn counted(config: GuardConfig, metrics: Arc<ServiceMetrics>) -> Self {
        Self(Arc::new(Shared {
            config,
            turnstile: Mutex::new(Turnstile::new(config)),
            metrics,
        }))
    }

    /// Waits its turn for leave to open a socket; [`Blocked`] if the turn does not come within the
    /// guard's patience, and at once if it cannot. Streams that lost a socket go before those that
    /// never had one.
    pub async fn admit(&self, purpose: Purpose) -> Result<Permit, Blocked> {
        self.admit_within(purpose, self.0.config.patience).await
    }

    /// As [`Guard::admit`], with less patience.
    pub(crate) async fn admit_within(
        &self,
        purpose: Purpose,
        patience: Duration,
    ) -> Result<Permit, Blocked> {
        let mut waiting = Waiting {
            shared: &self.0,
            purpose,
            patience: patience.min(self.0.config.patience),
            ticket: None,
            counted: None,
        };
        let mut timer = pin!(sleep(Duration::ZERO));
        poll_fn(|context| {
            loop {
                match waiting.turn(context.waker()) {
                    Turn::Blocked(blocked) => return Poll::Ready(Err(blocked)),
                    Turn::Go(attempt) => return Poll::Ready(Ok(self.permit(attempt))),
                    Turn::Wait(until, _) => {
                        timer.as_mut().reset(until);
                        ready!(timer.as_mut().poll(context));
                    }
                }
            }
        })
        .await
    }

    /// The service is shown another credential from here on: that the one before was refused says
    /// nothing any more.
    pub(crate) fn renewed(&self) {
        self.0.locked(|turnstile, now| turnstile.renewed(now));
    }

    /// What it counts of its service.
    pub(crate) fn metrics(&self) -> &Arc<ServiceMetrics> {
        &self.0.metrics
    }

    fn permit(&self, attempt: Attempt) -> Permit {
        Permit {
            shared: Arc::clone(&self.0),
            attempt: Some(attempt),
        }
    }
}

impl Permit {
    /// The service has accepted a stream on the socket.
    pub fn accepted(mut self) {
        if let Some(attempt) = self.attempt.take() {
            self.shared.metrics.accepted();
            let accept = |turnstile: &mut Turnstile, now| turnstile.accepted(now, attempt);
            self.shared.locked(accept);
        }
    }

    /// The socket was not had, or the stream not accepted. An address that was refused although it
    /// had been asked for just before is told as [`Retry::Credential`]: [`Retry::Token`] may mean
    /// that it was merely old, and says nothing of the service.
    pub fn failed(mut self, class: Retry) {
        if let Some(attempt) = self.attempt.take() {
            self.shared.metrics.failed(class);
            let fail = |turnstile: &mut Turnstile, now| {
                turnstile.failed(now, attempt, class, chance());
            };
            self.shared.locked(fail);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(attempt) = self.attempt.take() {
            let forget = |turnstile: &mut Turnstile, now| turnstile.untold(now, attempt);
            self.shared.locked(forget);
        }
    }
}

impl Waiting<'_> {
    fn turn(&mut self, waker: &Waker) -> Turn {
        let (purpose, patience) = (self.purpose, self.patience);
        let ticket = &mut self.ticket;
        let turn = self.shared.locked(|turnstile, now| {
            let entered = match *ticket {
                Some(ticket) => Ok(ticket),
                None => turnstile.enter(now, purpose, patience),
            };
            match entered {
                Err(blocked) => Turn::Blocked(blocked),
                Ok(entered) => {
                    *ticket = Some(entered);
                    turnstile.turn(now, entered, waker)
                }
            }
        });
        match &turn {
            Turn::Blocked(blocked) => self.held_back(blocked.cause),
            Turn::Go(_) => self.shared.metrics.attempted(),
            Turn::Wait(_, cause) if self.counted.is_none() => self.held_back(*cause),
            Turn::Wait(..) => {}
        }
        turn
    }

    fn held_back(&mut self, cause: Cause) {
        if self.counted.replace(cause) != Some(cause) {
            self.shared.metrics.held_back(cause);
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.shared.locked(|turnstile, _| turnstile.leave(ticket));
        }
    }
}

impl Shared {
    /// Does something to the turnstile, shows how it stands then, and wakes those whose turn may
    /// have come.
    fn locked<T>(&self, act: impl FnOnce(&mut Turnstile, Instant) -> T) -> T {
        let (result, woken) = {
            let turnstile = self.turnstile.lock();
            let mut turnstile = turnstile.unwrap_or_else(PoisonError::into_inner);
            let openings = turnstile.openings();
            let result = act(&mut turnstile, Instant::now());
            if turnstile.openings() != openings {
                self.metrics.breaker_opened();
            }
            self.metrics.breaker(turnstile.stage());
            self.metrics.waiting(turnstile.waiting());
            (result, turnstile.woken())
        };
        woken.into_iter().for_each(Waker::wake);
        result
    }
}

#[cfg(test)]
mod tests;
