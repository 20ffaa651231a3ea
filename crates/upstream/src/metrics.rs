//! What the streams count. Labels come from closed sets only, one a metric.
//! The only file that names prometheus.

use std::time::Duration;

use call::backlog::GapReason;
use prometheus::core::Collector;
use prometheus::{
    Counter, CounterVec, Error, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge,
    Opts, Registry,
};

use crate::service::Retry;

/// From the arrival of a chunk's last sample to its write: half a millisecond to half a minute.
const SOUND_BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];
/// Answers of a service: 5 ms to a minute.
const ANSWER_BUCKETS: [f64; 12] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0,
];

/// The crate's metrics. One for all streams.
#[derive(Debug)]
pub struct Metrics {
    byte_mismatches: IntCounter,
    chunk_latency: Histogram,
    final_latency: Histogram,
    gap_seconds: [Counter; GapReason::ALL.len()],
    open_latency: Histogram,
    prefetch_failures: IntCounter,
    retries: [IntCounter; Retry::LABELS.len()],
    sent_bytes: IntCounter,
    start_response_latency: Histogram,
    streams_ended: [IntCounter; Outcome::ALL.len()],
    streams_open: IntGauge,
    transcripts: IntCounter,
    unknown_messages: [IntCounter; Unknown::ALL.len()],
    url_lookups: [IntCounter; Lookup::ALL.len()],
    vocabulary_refusals: IntCounter,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// By our own order, before the service accepted it.
    Abandoned,
    /// It was given up.
    Failed,
    /// It came to its end.
    Finished,
}

/// What cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// Binary, where only text is expected.
    Binary,
    /// Not a message at all.
    Gibberish,
    /// A message of another kind.
    Kind,
}

/// How an address was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// It was fetched ahead of time.
    Hit,
    /// It had to be asked for.
    Miss,
}

impl Metrics {
    /// Makes them and registers them.
    pub fn register(registry: &Registry) -> Result<Self, Error> {
        let new = Maker(registry);
        Ok(Self {
            byte_mismatches: new.counter(
                "antiphon_upstream_byte_mismatches_total",
                "Finished streams of which the service confirmed not as many bytes as were sent.",
            )?,
            chunk_latency: new.histogram(
                "antiphon_upstream_chunk_latency_seconds",
                "From the arrival of a chunk's last sample until the chunk is written.",
                &SOUND_BUCKETS,
            )?,
            final_latency: new.histogram(
                "antiphon_upstream_final_latency_seconds",
                "From the end of a stream's sound until the service's final message.",
                &ANSWER_BUCKETS,
            )?,
            gap_seconds: new.gap_seconds()?,
            open_latency: new.histogram(
                "antiphon_upstream_open_latency_seconds",
                "From the wish for a socket until it is open, its address included.",
                &ANSWER_BUCKETS,
            )?,
            prefetch_failures: new.counter(
                "antiphon_upstream_prefetch_failures_total",
                "Addresses that could not be fetched ahead of time.",
            )?,
            retries: new.retries()?,
            sent_bytes: new.counter(
                "antiphon_upstream_sent_bytes_total",
                "Bytes of sound written to services.",
            )?,
            start_response_latency: new.histogram(
                "antiphon_upstream_start_response_latency_seconds",
                "From the opening of a socket until the service accepts the stream.",
                &ANSWER_BUCKETS,
            )?,
            streams_ended: new.streams_ended()?,
            streams_open: new.streams_open()?,
            transcripts: new.counter(
                "antiphon_upstream_transcripts_total",
                "Transcripts heard from services.",
            )?,
            unknown_messages: new.unknown_messages()?,
            url_lookups: new.url_lookups()?,
            vocabulary_refusals: new.counter(
                "antiphon_upstream_vocabulary_refusals_total",
                "Custom vocabularies that a service did not take.",
            )?,
        })
    }

    pub(crate) fn byte_mismatch(&self) {
        self.byte_mismatches.inc();
    }

    pub(crate) fn chunk_written(&self, bytes: u64, latency: Duration) {
        self.sent_bytes.inc_by(bytes);
        self.chunk_latency.observe(latency.as_secs_f64());
    }

    pub(crate) fn final_heard(&self, latency: Duration) {
        self.final_latency.observe(latency.as_secs_f64());
    }

    pub(crate) fn gap(&self, reason: GapReason, length: Duration) {
        let of_reason = GapReason::ALL.iter().zip(&self.gap_seconds);
        for (_, counter) in of_reason.filter(|(each, _)| **each == reason) {
            counter.inc_by(length.as_secs_f64());
        }
    }

    pub(crate) fn opened(&self, latency: Duration) {
        self.open_latency.observe(latency.as_secs_f64());
    }

    pub(crate) fn prefetch_failed(&self) {
        self.prefetch_failures.inc();
    }

    pub(crate) fn retried(&self, retry: Retry) {
        let of_class = Retry::LABELS.iter().zip(&self.retries);
        for (_, counter) in of_class.filter(|(label, _)| **label == retry.as_str()) {
            counter.inc();
        }
    }

    pub(crate) fn accepted(&self, latency: Duration) {
        self.start_response_latency.observe(latency.as_secs_f64());
    }

    pub(crate) fn stream_began(&self) {
        self.streams_open.inc();
    }

    pub(crate) fn stream_ended(&self, outcome: Outcome) {
        self.streams_open.dec();
        self.streams_ended[outcome as usize].inc();
    }

    pub(crate) fn transcript(&self) {
        self.transcripts.inc();
    }

    pub(crate) fn unknown(&self, unknown: Unknown) {
        self.unknown_messages[unknown as usize].inc();
    }

    pub(crate) fn looked_up(&self, lookup: Lookup) {
        self.url_lookups[lookup as usize].inc();
    }

    pub(crate) fn vocabulary_refused(&self) {
        self.vocabulary_refusals.inc();
    }
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Abandoned, Self::Failed, Self::Finished];

    fn as_str(self) -> &'static str {
        match self {
            Self::Abandoned => "abandoned",
            Self::Failed => "failed",
            Self::Finished => "finished",
        }
    }
}

impl Unknown {
    const ALL: [Self; 3] = [Self::Binary, Self::Gibberish, Self::Kind];

    fn as_str(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Gibberish => "gibberish",
            Self::Kind => "kind",
        }
    }
}

impl Lookup {
    const ALL: [Self; 2] = [Self::Hit, Self::Miss];

    fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
        }
    }
}

/// Makes metrics and registers each.
struct Maker<'a>(&'a Registry);

impl Maker<'_> {
    fn gap_seconds(&self) -> Result<[Counter; GapReason::ALL.len()], Error> {
        let options = Opts::new(
            "antiphon_upstream_gap_seconds_total",
            "Sound that no service heard, in seconds of its length, by reason.",
        );
        let all = self.registered(CounterVec::new(options, &["reason"])?)?;
        Ok(GapReason::ALL.map(|reason| all.with_label_values(&[reason.as_str()])))
    }

    fn retries(&self) -> Result<[IntCounter; Retry::LABELS.len()], Error> {
        let options = Opts::new(
            "antiphon_upstream_retries_total",
            "Streams that lost their socket or got none and tried again, by class of failure.",
        );
        self.counters(options, "class", Retry::LABELS)
    }

    fn streams_ended(&self) -> Result<[IntCounter; Outcome::ALL.len()], Error> {
        let options = Opts::new(
            "antiphon_upstream_streams_ended_total",
            "Streams that ended, by outcome.",
        );
        self.counters(options, "outcome", Outcome::ALL.map(Outcome::as_str))
    }

    fn streams_open(&self) -> Result<IntGauge, Error> {
        self.registered(IntGauge::new(
            "antiphon_upstream_streams_open",
            "Streams that have not ended, whether they have a socket or not.",
        )?)
    }

    fn unknown_messages(&self) -> Result<[IntCounter; Unknown::ALL.len()], Error> {
        let options = Opts::new(
            "antiphon_upstream_unknown_messages_total",
            "Messages from services that were not understood, by what they were.",
        );
        self.counters(options, "kind", Unknown::ALL.map(Unknown::as_str))
    }

    fn url_lookups(&self) -> Result<[IntCounter; Lookup::ALL.len()], Error> {
        let options = Opts::new(
            "antiphon_upstream_url_lookups_total",
            "Addresses needed for a stream, by whether one had been fetched ahead of time.",
        );
        self.counters(options, "outcome", Lookup::ALL.map(Lookup::as_str))
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, Error> {
        self.registered(IntCounter::new(name, help)?)
    }

    fn counters<const N: usize>(
        &self,
        options: Opts,
        label: &str,
        values: [&str; N],
    ) -> Result<[IntCounter; N], Error> {
        let all = self.registered(IntCounterVec::new(options, &[label])?)?;
        Ok(values.map(|value| all.with_label_values(&[value])))
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, Error> {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.registered(Histogram::with_opts(options)?)
    }

    fn registered<T: Collector + Clone + 'static>(&self, metric: T) -> Result<T, Error> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_registered_once_and_every_label_has_its_series() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        assert!(Metrics::register(&registry).is_err());
        let families = registry.gather();
        let series = |name: &str| {
            let family = families
                .iter()
                .find(|family| family.name() == name)
                .unwrap();
            family.get_metric().len()
        };
        assert_eq!(families.len(), 15);
        assert_eq!(
            series("antiphon_upstream_retries_total"),
            Retry::LABELS.len()
        );
        assert_eq!(
            series("antiphon_upstream_gap_seconds_total"),
            GapReason::ALL.len()
        );
        metrics.gap(GapReason::Outage, Duration::from_millis(1500));
        metrics.retried(Retry::After(Duration::ZERO));
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap();
        assert!(text.contains("antiphon_upstream_gap_seconds_total{reason=\"outage\"} 1.5"));
        assert!(text.contains("antiphon_upstream_retries_total{class=\"after\"} 1"));
    }

    #[test]
    fn no_class_label_begins_another() {
        for one in Retry::LABELS {
            let begun = Retry::LABELS
                .iter()
                .filter(|other| other.starts_with(one))
                .count();
            assert_eq!(begun, 1, "{one}");
        }
    }

    #[test]
    fn outcomes_are_indexed_in_their_order() {
        for (index, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index);
        }
        for (index, unknown) in Unknown::ALL.into_iter().enumerate() {
            assert_eq!(unknown as usize, index);
        }
        for (index, lookup) in Lookup::ALL.into_iter().enumerate() {
            assert_eq!(lookup as usize, index);
        }
    }
}
