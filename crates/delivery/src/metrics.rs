//! What the delivery counts, endpoint by endpoint. Endpoints are those of the configuration; the
//! other labels come from closed sets. Nothing but this file names prometheus.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Error, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry,
};

use crate::lanes::Class;

/// From the event until it is taken: 10 ms to four days.
const LATENCY_BUCKETS: [f64; 16] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 43_200.0,
    345_600.0,
];

const ENDPOINT: &[&str] = &["endpoint"];

/// The crate's metrics.
#[derive(Debug)]
pub struct Metrics {
    attempts: IntCounterVec,
    dead: IntCounterVec,
    dead_letters: IntGaugeVec,
    delivered: IntCounterVec,
    disabled: IntGaugeVec,
    dropped: IntCounterVec,
    in_flight: IntGaugeVec,
    latency: HistogramVec,
    oldest_seconds: IntGaugeVec,
    outbox_errors: IntCounterVec,
    panics: IntCounterVec,
    resting: IntGaugeVec,
    token_fetches: IntCounterVec,
    waiting: IntGaugeVec,
    waiting_bytes: IntGaugeVec,
}

/// The metrics of one endpoint. A field a fact.
#[derive(Debug)]
pub(crate) struct EndpointMetrics {
    attempts: [IntCounter; Class::ALL.len()],
    dead: IntCounter,
    dead_letters: IntGauge,
    delivered: IntCounter,
    disabled: IntGauge,
    dropped: IntCounter,
    in_flight: IntGauge,
    latency: Histogram,
    oldest_seconds: IntGauge,
    outbox_errors: IntCounter,
    panics: IntCounter,
    resting: IntGauge,
    token_fetches: [IntCounter; 2],
    waiting: IntGauge,
    waiting_bytes: IntGauge,
}

impl Metrics {
    /// Makes them and registers them.
    pub fn register(registry: &Registry) -> Result<Self, Error> {
        let new = Maker(registry);
        let counter = |name, help| new.counter(name, help, ENDPOINT);
        let gauge = |name, help| new.gauge(name, help);
        Ok(Self {
            attempts: new.counter(
                "antiphon_delivery_attempts_total",
                "Requests to webhook endpoints, by what came of them.",
                &["endpoint", "outcome"],
            )?,
            dead: counter(
                "antiphon_delivery_dead_total",
                "Events that became dead letters.",
            )?,
            dead_letters: gauge(
                "antiphon_delivery_dead_letters",
                "Dead letters that are kept.",
            )?,
            delivered: counter(
                "antiphon_delivery_delivered_total",
                "Events that were taken.",
            )?,
            disabled: gauge(
                "antiphon_delivery_disabled",
                "1 if the endpoint answered 410 and gets nothing more.",
            )?,
            dropped: counter(
                "antiphon_delivery_dropped_total",
                "Events that were thrown away, at endpoints without retries.",
            )?,
            in_flight: gauge(
                "antiphon_delivery_in_flight",
                "Requests that are under way.",
            )?,
            latency: new.histogram(
                "antiphon_delivery_latency_seconds",
                "From an event until it was taken.",
                &LATENCY_BUCKETS,
            )?,
            oldest_seconds: gauge(
                "antiphon_delivery_oldest_seconds",
                "Age of the oldest event that waits.",
            )?,
            outbox_errors: counter(
                "antiphon_delivery_outbox_errors_total",
                "Failures to read or write what waits.",
            )?,
            panics: counter(
                "antiphon_delivery_panics_total",
                "Panics of an endpoint's task; it is started again.",
            )?,
            resting: gauge(
                "antiphon_delivery_resting",
                "1 if the endpoint failed so often that it is tried but slowly.",
            )?,
            token_fetches: new.counter(
                "antiphon_delivery_token_fetches_total",
                "Requests for OAuth 2.0 tokens, by outcome.",
                &["endpoint", "outcome"],
            )?,
            waiting: gauge("antiphon_delivery_waiting", "Events that wait.")?,
            waiting_bytes: gauge(
                "antiphon_delivery_waiting_bytes",
                "Bytes of the events that wait.",
            )?,
        })
    }

    /// The metrics of one endpoint; every series is there from now on.
    pub(crate) fn of(&self, endpoint: &str) -> EndpointMetrics {
        let counter = |all: &IntCounterVec| all.with_label_values(&[endpoint]);
        let gauge = |all: &IntGaugeVec| all.with_label_values(&[endpoint]);
        let fetches = |outcome| self.token_fetches.with_label_values(&[endpoint, outcome]);
        EndpointMetrics {
            attempts: Class::ALL
                .map(|class| self.attempts.with_label_values(&[endpoint, class.as_str()])),
            dead: counter(&self.dead),
            dead_letters: gauge(&self.dead_letters),
            delivered: counter(&self.delivered),
            disabled: gauge(&self.disabled),
            dropped: counter(&self.dropped),
            in_flight: gauge(&self.in_flight),
            latency: self.latency.with_label_values(&[endpoint]),
            oldest_seconds: gauge(&self.oldest_seconds),
            outbox_errors: counter(&self.outbox_errors),
            panics: counter(&self.panics),
            resting: gauge(&self.resting),
            token_fetches: ["failed", "ok"].map(fetches),
            waiting: gauge(&self.waiting),
            waiting_bytes: gauge(&self.waiting_bytes),
        }
    }
}

impl EndpointMetrics {
    /// A request came to its end.
    pub(crate) fn attempted(&self, class: Class) {
        self.attempts[class as usize].inc();
    }

    /// An event was taken, so long after it happened.
    pub(crate) fn delivered(&self, latency: Duration) {
        self.delivered.inc();
        self.latency.observe(latency.as_secs_f64());
    }

    pub(crate) fn died(&self, events: u64) {
        self.dead.inc_by(events);
    }

    pub(crate) fn dropped(&self) {
        self.dropped.inc();
    }

    pub(crate) fn in_flight(&self, requests: usize) {
        self.in_flight.set(requests.try_into().unwrap_or(i64::MAX));
    }

    pub(crate) fn standing(&self, disabled: bool, resting: bool) {
        self.disabled.set(disabled.into());
        self.resting.set(resting.into());
    }

    pub(crate) fn outbox_failed(&self) {
        self.outbox_errors.inc();
    }

    pub(crate) fn panicked(&self) {
        self.panics.inc();
    }

    pub(crate) fn token_fetched(&self, ok: bool) {
        self.token_fetches[usize::from(ok)].inc();
    }

    /// What the outbox says.
    pub(crate) fn depth(&self, depth: &store::outbox::Depth, now_unix_ms: u64) {
        let set = |gauge: &IntGauge, value: u64| gauge.set(value.try_into().unwrap_or(i64::MAX));
        let age = depth
            .oldest_unix_ms
            .map_or(0, |oldest| now_unix_ms.saturating_sub(oldest) / 1000);
        set(&self.waiting, depth.waiting);
        set(&self.waiting_bytes, depth.bytes);
        set(&self.dead_letters, depth.dead);
        set(&self.oldest_seconds, age);
    }
}

/// Makes metrics and registers each.
struct Maker<'a>(&'a Registry);

impl Maker<'_> {
    fn counter(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, Error> {
        self.registered(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGaugeVec, Error> {
        self.registered(IntGaugeVec::new(Opts::new(name, help), ENDPOINT)?)
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<HistogramVec, Error> {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.registered(HistogramVec::new(options, ENDPOINT)?)
    }

    fn registered<T: Collector + Clone + 'static>(&self, metric: T) -> Result<T, Error> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}
