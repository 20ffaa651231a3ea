//! How a metric is made: with all its series at once, so that each is seen before it moves.

use call::backlog::GapReason;
use prometheus::core::Collector;
use prometheus::{
    Counter, CounterVec, Error, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge,
    Opts, Registry,
};

use super::{Lookup, Outcome, Unknown};
use crate::service::Retry;

/// Makes metrics and registers each.
pub(super) struct Maker<'a>(pub(super) &'a Registry);

impl Maker<'_> {
    pub(super) fn gap_seconds(&self) -> Result<[Counter; GapReason::ALL.len()], Error> {
        let options = Opts::new(
            "antiphon_upstream_gap_seconds_total",
            "Sound that no service heard, in seconds of its length, by reason.",
        );
        let all = self.registered(CounterVec::new(options, &["reason"])?)?;
        Ok(GapReason::ALL.map(|reason| all.with_label_values(&[reason.as_str()])))
    }

    pub(super) fn retries(&self) -> Result<[IntCounter; Retry::LABELS.len()], Error> {
        let options = Opts::new(
            "antiphon_upstream_retries_total",
            "Streams that lost their socket or got none and tried again, by class of failure.",
        );
        self.counters(options, "class", Retry::LABELS)
    }

    pub(super) fn streams_degraded(&self) -> Result<IntGauge, Error> {
        self.registered(IntGauge::new(
            "antiphon_upstream_streams_degraded",
            "Streams that live on without a service, and try again slowly.",
        )?)
    }

    pub(super) fn streams_ended(&self) -> Result<[IntCounter; Outcome::ALL.len()], Error> {
        let options = Opts::new(
            "antiphon_upstream_streams_ended_total",
            "Streams that ended, by outcome.",
        );
        self.counters(options, "outcome", Outcome::ALL.map(Outcome::as_str))
    }

    pub(super) fn streams_open(&self) -> Result<IntGauge, Error> {
        self.registered(IntGauge::new(
            "antiphon_upstream_streams_open",
            "Streams that have not ended, whether they have a socket or not.",
        )?)
    }

    pub(super) fn unknown_messages(&self) -> Result<[IntCounter; Unknown::ALL.len()], Error> {
        let options = Opts::new(
            "antiphon_upstream_unknown_messages_total",
            "Messages from services that were not understood, by what they were.",
        );
        self.counters(options, "kind", Unknown::ALL.map(Unknown::as_str))
    }

    pub(super) fn url_lookups(&self) -> Result<[IntCounter; Lookup::ALL.len()], Error> {
        let options = Opts::new(
            "antiphon_upstream_url_lookups_total",
            "Addresses needed for a stream, by whether one had been fetched ahead of time.",
        );
        self.counters(options, "outcome", Lookup::ALL.map(Lookup::as_str))
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> Result<IntCounter, Error> {
        self.registered(IntCounter::new(name, help)?)
    }

    pub(super) fn counters<const N: usize>(
        &self,
        options: Opts,
        label: &str,
        values: [&str; N],
    ) -> Result<[IntCounter; N], Error> {
        let all = self.registered(IntCounterVec::new(options, &[label])?)?;
        Ok(values.map(|value| all.with_label_values(&[value])))
    }

    pub(super) fn histogram(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
    ) -> Result<Histogram, Error> {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.registered(Histogram::with_opts(options)?)
    }

    pub(super) fn registered<T: Collector + Clone + 'static>(&self, metric: T) -> Result<T, Error> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}
