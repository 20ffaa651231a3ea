//! What is counted service by service.

use std::time::Duration;

use prometheus::core::{Atomic, GenericCounterVec};
use prometheus::{
    Counter, CounterVec, Error, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry,
};

use super::maker::Maker;
use crate::guard::{Cause, Stage};
use crate::service::Retry;

/// What a service has received lags behind what was sent: a hundredth of a second to half a minute.
const LAG_BUCKETS: [f64; 10] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

const SERVICE: &[&str] = &["service"];

/// The metrics of one service. A field a fact.
#[derive(Debug)]
pub struct ServiceMetrics {
    breaker_openings: IntCounter,
    breaker_state: IntGauge,
    end_acks_missed: IntCounter,
    failovers: IntCounter,
    keep_alives: IntCounter,
    opens_accepted: IntCounter,
    opens_attempted: IntCounter,
    opens_failed: [IntCounter; Retry::LABELS.len()],
    opens_held_back: [IntCounter; Cause::HELD_BACK.len()],
    opens_waiting: IntGauge,
    padded_seconds: Counter,
    received_lag: Histogram,
    repeated_finals: IntCounter,
    replayed_seconds: Counter,
    rollovers: IntCounter,
    warnings: IntCounter,
}

/// The same, for all services.
pub(super) struct ServiceFamilies {
    breaker_openings: IntCounterVec,
    breaker_state: IntGaugeVec,
    end_acks_missed: IntCounterVec,
    failovers: IntCounterVec,
    keep_alives: IntCounterVec,
    opens_accepted: IntCounterVec,
    opens_attempted: IntCounterVec,
    opens_failed: IntCounterVec,
    opens_held_back: IntCounterVec,
    opens_waiting: IntGaugeVec,
    padded_seconds: CounterVec,
    received_lag: HistogramVec,
    repeated_finals: IntCounterVec,
    replayed_seconds: CounterVec,
    rollovers: IntCounterVec,
    warnings: IntCounterVec,
}

impl ServiceMetrics {
    /// Metrics that are shown nowhere: for a service that [`crate::service::NAMES`] does not list.
    pub fn unregistered() -> Self {
        let registry = Registry::new();
        let families = ServiceFamilies::register(&Maker(&registry));
        families.expect("an empty registry takes all").of("none")
    }

    /// How its breaker stands.
    pub(crate) fn breaker(&self, stage: Stage) {
        self.breaker_state.set(stage as i64);
    }

    /// Its breaker has opened.
    pub(crate) fn breaker_opened(&self) {
        self.breaker_openings.inc();
    }

    /// Leave was given to open a socket.
    pub(crate) fn attempted(&self) {
        self.opens_attempted.inc();
    }

    /// It has accepted a stream.
    pub(crate) fn accepted(&self) {
        self.opens_accepted.inc();
    }

    /// A socket was not had, or a stream not accepted.
    pub(crate) fn failed(&self, class: Retry) {
        let of_class = Retry::LABELS.iter().zip(&self.opens_failed);
        for (_, counter) in of_class.filter(|(label, _)| **label == class.as_str()) {
            counter.inc();
        }
    }

    /// A stream has to wait for leave, or gets none.
    pub(crate) fn held_back(&self, cause: Cause) {
        let of_cause = Cause::HELD_BACK.iter().zip(&self.opens_held_back);
        for (_, counter) in of_cause.filter(|(each, _)| **each == cause) {
            counter.inc();
        }
    }

    /// So many streams wait for leave.
    pub(crate) fn waiting(&self, streams: usize) {
        self.opens_waiting
            .set(i64::try_from(streams).unwrap_or(i64::MAX));
    }

    /// A stream turned to it because a better one gave no leave.
    pub(crate) fn failed_over(&self) {
        self.failovers.inc();
    }

    /// No answer came to our last word.
    pub(crate) fn end_ack_missed(&self) {
        self.end_acks_missed.inc();
    }

    /// A socket without sound was kept open.
    pub(crate) fn kept_alive(&self) {
        self.keep_alives.inc();
    }

    /// So much silence was added to a message too short.
    pub(crate) fn padded(&self, silence: Duration) {
        self.padded_seconds.inc_by(silence.as_secs_f64());
    }

    /// What it says it has received lags so far behind what was sent.
    pub(crate) fn received(&self, lag: Duration) {
        self.received_lag.observe(lag.as_secs_f64());
    }

    /// It said again what it had said of sound sent twice.
    pub(crate) fn repeated(&self) {
        self.repeated_finals.inc();
    }

    /// So much sound was sent again.
    pub(crate) fn replayed(&self, sound: Duration) {
        self.replayed_seconds.inc_by(sound.as_secs_f64());
    }

    /// A socket was replaced before the service would have ended it.
    pub(crate) fn rolled_over(&self) {
        self.rollovers.inc();
    }

    /// It says that something is not as it should be.
    pub(crate) fn warned(&self) {
        self.warnings.inc();
    }
}

impl ServiceFamilies {
    pub(super) fn register(new: &Maker<'_>) -> Result<Self, Error> {
        Ok(Self {
            breaker_openings: new.by_service(
                "antiphon_upstream_breaker_openings_total",
                "Times a service's breaker opened: no socket but a probe from then on.",
            )?,
            breaker_state: new.gauges_by_service(
                "antiphon_upstream_breaker_state",
                "A service's breaker: 0 closed, 1 half-open (a probe is under way), 2 open.",
            )?,
            end_acks_missed: new.by_service(
                "antiphon_upstream_end_acks_missed_total",
                "Sockets whose service did not answer our last word in time.",
            )?,
            failovers: new.by_service(
                "antiphon_upstream_failovers_total",
                "Sockets opened at a service because a better one gave no leave.",
            )?,
            keep_alives: new.by_service(
                "antiphon_upstream_keep_alives_total",
                "Messages that only kept a socket without sound open.",
            )?,
            opens_accepted: new.by_service(
                "antiphon_upstream_opens_accepted_total",
                "Attempts to open a socket that ended with an accepted stream.",
            )?,
            opens_attempted: new.by_service(
                "antiphon_upstream_opens_attempted_total",
                "Attempts to open a socket that were given leave.",
            )?,
            opens_failed: new.vector(
                "antiphon_upstream_opens_failed_total",
                "Attempts to open a socket that failed, by class of failure.",
                &["service", "class"],
            )?,
            opens_held_back: new.vector(
                "antiphon_upstream_opens_held_back_total",
                "Attempts to open a socket that had to wait or were refused, and why.",
                &["service", "cause"],
            )?,
            opens_waiting: new.gauges_by_service(
                "antiphon_upstream_opens_waiting",
                "Streams that wait for leave to open a socket.",
            )?,
            padded_seconds: new.vector(
                "antiphon_upstream_padded_seconds_total",
                "Silence added to messages shorter than the service takes, in seconds.",
                SERVICE,
            )?,
            received_lag: new.lags()?,
            repeated_finals: new.by_service(
                "antiphon_upstream_repeated_finals_total",
                "Transcripts dropped because they repeat what was heard before a replay.",
            )?,
            replayed_seconds: new.vector(
                "antiphon_upstream_replayed_seconds_total",
                "Sound sent again after a loss, in seconds of its length.",
                SERVICE,
            )?,
            rollovers: new.by_service(
                "antiphon_upstream_rollovers_total",
                "Sockets replaced before the service would have ended them.",
            )?,
            warnings: new.by_service(
                "antiphon_upstream_warnings_total",
                "Messages in which a service says that something is not as it should be.",
            )?,
        })
    }

    pub(super) fn of(&self, service: &str) -> ServiceMetrics {
        let name = [service];
        let failed = |class| self.opens_failed.with_label_values(&[service, class]);
        let held_back = |cause: Cause| {
            let labels = [service, cause.as_str()];
            self.opens_held_back.with_label_values(&labels)
        };
        ServiceMetrics {
            breaker_openings: self.breaker_openings.with_label_values(&name),
            breaker_state: self.breaker_state.with_label_values(&name),
            end_acks_missed: self.end_acks_missed.with_label_values(&name),
            failovers: self.failovers.with_label_values(&name),
            keep_alives: self.keep_alives.with_label_values(&name),
            opens_accepted: self.opens_accepted.with_label_values(&name),
            opens_attempted: self.opens_attempted.with_label_values(&name),
            opens_failed: Retry::LABELS.map(failed),
            opens_held_back: Cause::HELD_BACK.map(held_back),
            opens_waiting: self.opens_waiting.with_label_values(&name),
            padded_seconds: self.padded_seconds.with_label_values(&name),
            received_lag: self.received_lag.with_label_values(&name),
            repeated_finals: self.repeated_finals.with_label_values(&name),
            replayed_seconds: self.replayed_seconds.with_label_values(&name),
            rollovers: self.rollovers.with_label_values(&name),
            warnings: self.warnings.with_label_values(&name),
        }
    }
}

impl Maker<'_> {
    fn by_service(&self, name: &str, help: &str) -> Result<IntCounterVec, Error> {
        self.vector(name, help, SERVICE)
    }

    fn gauges_by_service(&self, name: &str, help: &str) -> Result<IntGaugeVec, Error> {
        let options = Opts::new(name, help);
        self.registered(IntGaugeVec::new(options, SERVICE)?)
    }

    fn vector<P: Atomic + 'static>(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<GenericCounterVec<P>, Error> {
        let options = Opts::new(name, help);
        self.registered(GenericCounterVec::new(options, labels)?)
    }

    fn lags(&self) -> Result<HistogramVec, Error> {
        let options = HistogramOpts::new(
            "antiphon_upstream_received_lag_seconds",
            "How far what a service says it has received lags behind what was sent.",
        );
        let options = options.buckets(LAG_BUCKETS.to_vec());
        self.registered(HistogramVec::new(options, SERVICE)?)
    }
}
