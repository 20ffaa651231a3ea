//! The task of one endpoint: reads what waits, has it carried, writes what became of it. It only
//! ever waits for whatever comes first; what blocks is done on threads that may.

mod desk;
mod flight;

use std::sync::Arc;
use std::time::Duration;

use store::outbox::{Outbox, Settled};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use self::desk::{Desk, Done, Task};
use self::flight::{Landing, fly};
use crate::client::Carrier;
use crate::clock::{Clock, millis};
use crate::dispatch::{Complaint, Route};
use crate::lanes::{Class, Lanes, Outcome, Standing};
use crate::limits::Limits;

pub(crate) struct Courier {
    route: Arc<Route>,
    carrier: Arc<dyn Carrier>,
    outbox: Arc<dyn Outbox>,
    limits: Limits,
    clock: Clock,
    lanes: Lanes,
    desk: Desk,
    flights: JoinSet<Landing>,
    standing: Standing,
    failures: Complaint,
    deaths: Complaint,
    /// The outbox could not be read or written, and that was told.
    outbox_fails: bool,
}

impl Courier {
    pub(crate) fn new(
        route: Arc<Route>,
        carrier: Arc<dyn Carrier>,
        outbox: Arc<dyn Outbox>,
        limits: Limits,
        seed: u64,
    ) -> Self {
        Self {
            lanes: Lanes::new(route.rules.clone(), seed),
            desk: Desk::new(Arc::clone(&route.name), Arc::clone(&outbox), &limits),
            route,
            carrier,
            outbox,
            limits,
            clock: Clock::new(),
            flights: JoinSet::new(),
            standing: Standing::Enabled,
            failures: Complaint::default(),
            deaths: Complaint::default(),
            outbox_fails: false,
        }
    }

    /// Until it is told to stop.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let route = Arc::clone(&self.route);
        self.show();
        loop {
            self.depart();
            self.consult();
            let wake = self.wake_at();
            tokio::select! {
                () = stop.cancelled() => break,
                Some(landing) = self.flights.join_next() => self.landed(expected(landing)),
                Some(done) = self.desk.done() => self.desk_done(done),
                () = route.wake.notified() => self.news(),
                () = sleep_until(wake) => {}
            }
        }
        self.drain().await;
    }

    /// Starts what may start.
    fn depart(&mut self) {
        let now = self.clock.now();
        while let Some(attempt) = self.lanes.next(now) {
            let outbox = Arc::clone(&self.outbox);
            let carrier = Arc::clone(&self.carrier);
            let format = self.route.format;
            self.flights.spawn(fly(outbox, carrier, format, attempt));
        }
        self.show();
    }

    /// Gives the desk what is most urgent, if it is free.
    fn consult(&mut self) {
        let now = Instant::now();
        if !self.desk.is_free(now) {
            return;
        }
        let unix = self.clock.now();
        if let Some(settled) = self.desk.to_settle(now) {
            self.desk.begin(Task::Settle(settled));
        } else if self.desk.is_upkeep_due(now) {
            let age_max = millis(self.limits.age_max);
            self.desk.begin(Task::Upkeep {
                bytes_max: self.limits.bytes_max,
                made_before: unix.saturating_sub(age_max),
            });
        } else if let Some(wish) = self.lanes.wish(unix) {
            self.desk.begin(Task::Read(wish));
        }
    }

    fn wake_at(&mut self) -> Instant {
        let now = Instant::now();
        let desk = self.desk.wake_at(now);
        let lanes = self.lanes.wake_at().map(|unix| self.clock.instant(unix));
        lanes.map_or(desk, |lanes| lanes.min(desk))
    }

    fn news(&mut self) {
        if self.route.is_to_be_enabled() && self.lanes.standing() != Standing::Enabled {
            info!(endpoint = %self.route.name, "A webhook is enabled again.");
            self.lanes.enable(self.clock.now());
        }
        self.lanes.news();
    }

    fn landed(&mut self, landing: Landing) {
        let Landing {
            ticket,
            vanished,
            outcome,
        } = landing;
        let now = self.clock.now();
        self.lanes.vanished(ticket, &vanished);
        // Nothing was left to be sent: that is no attempt.
        if let Some(outcome) = &outcome {
            self.told(outcome, now);
        }
        let outcome = outcome.unwrap_or_else(|| Outcome::new(Class::Unsent, "nothing to send"));
        let verdict = self.lanes.outcome(ticket, &outcome, now);
        for made in verdict.taken {
            let latency = Duration::from_millis(now.saturating_sub(made));
            self.route.metrics.delivered(latency);
        }
        self.note(verdict.settled);
        self.stand();
    }

    /// Counts and tells of an attempt's outcome.
    fn told(&mut self, outcome: &Outcome, now: u64) {
        self.route.metrics.attempted(outcome.class);
        if outcome.class == Class::Delivered {
            return;
        }
        self.route.state().last_error = Some((outcome.why.clone(), now));
        debug!(endpoint = %self.route.name, why = outcome.why, "A webhook failed.");
        if let Some(times) = self.failures.one_more(Instant::now()) {
            warn!(endpoint = %self.route.name, why = outcome.why, times, "A webhook fails.");
        }
    }

    /// Counts what became of parcels and has it written.
    fn note(&mut self, settled: Vec<Settled>) {
        for each in &settled {
            match each {
                Settled::Dead { why, .. } => self.died(1, why),
                Settled::Dropped { .. } => self.route.metrics.dropped(),
                Settled::Delivered { .. } | Settled::Later { .. } => {}
            }
        }
        self.desk.note(settled, Instant::now());
    }

    fn died(&mut self, events: u64, why: &str) {
        self.route.metrics.died(events);
        if let Some(times) = self.deaths.one_more(Instant::now()) {
            let endpoint = &*self.route.name;
            warn!(
                endpoint,
                why, events, times, "Events could not be delivered: dead letters."
            );
        }
    }

    /// Tells if the endpoint stands otherwise than before.
    fn stand(&mut self) {
        let standing = self.lanes.standing();
        if standing == self.standing {
            return;
        }
        let endpoint = &*self.route.name;
        match standing {
            Standing::Disabled => error!(
                endpoint,
                "A webhook is disabled: it answered 410. A SIGHUP or the API enables it."
            ),
            Standing::Enabled => info!(endpoint, "A webhook takes events again."),
            Standing::Resting => warn!(endpoint, "A webhook rests: it fails again and again."),
        }
        self.standing = standing;
    }

    fn desk_done(&mut self, done: Done) {
        let now = self.clock.now();
        let failed = match done {
            Done::Read(wish, Ok(found)) => {
                let dropped = self.lanes.load(wish, found, now);
                self.note(dropped);
                None
            }
            Done::Settled(settled, Ok(())) => {
                self.lanes.confirm(&settled);
                None
            }
            Done::Upkeep(Ok((trimmed, depth))) => {
                if trimmed > 0 {
                    self.died(trimmed, "too old, or too many bytes wait");
                }
                self.route.metrics.depth(&depth, now);
                let mut state = self.route.state();
                (state.waiting, state.dead) = (depth.waiting, depth.dead);
                drop(state);
                // Who wrote may have failed to wake us.
                self.lanes.compare(depth.waiting);
                None
            }
            Done::Read(_, Err(error)) => {
                self.lanes.news();
                Some(error)
            }
            Done::Settled(_, Err(error)) | Done::Upkeep(Err(error)) => Some(error),
        };
        let endpoint = &*self.route.name;
        match failed {
            Some(error) => {
                self.route.metrics.outbox_failed();
                if !self.outbox_fails {
                    error!(endpoint, %error, "A webhook's outbox fails; it is tried again.");
                }
                self.outbox_fails = true;
            }
            None if self.outbox_fails => {
                info!(endpoint, "A webhook's outbox works again.");
                self.outbox_fails = false;
            }
            None => {}
        }
    }

    /// Waits a little for what is under way, and writes what became of it. What is abandoned will
    /// be sent again.
    async fn drain(&mut self) {
        let until = Instant::now() + self.limits.drain;
        while let Ok(Some(landing)) = timeout_at(until, self.flights.join_next()).await {
            self.landed(expected(landing));
        }
        self.flights.abort_all();
        self.desk.finish(Instant::now() + self.limits.drain).await;
        self.route.metrics.in_flight(0);
        self.route.state().in_flight = 0;
    }

    fn show(&self) {
        let in_flight = self.lanes.in_flight();
        let standing = self.lanes.standing();
        let (disabled, resting) = (
            standing == Standing::Disabled,
            standing == Standing::Resting,
        );
        self.route.metrics.in_flight(in_flight);
        self.route.metrics.standing(disabled, resting);
        let mut state = self.route.state();
        state.in_flight = in_flight;
        state.standing = standing;
    }
}

/// A panic goes on up: who employs us begins anew.
fn expected<T>(joined: Result<T, tokio::task::JoinError>) -> T {
    joined.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

#[cfg(test)]
mod tests;
