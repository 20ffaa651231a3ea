//! What the streams count. Labels come from closed sets only. Nothing but this file and those below
//! it names prometheus.

mod maker;
mod service;

use std::sync::Arc;
use std::time::Duration;

use call::backlog::GapReason;
use prometheus::{Counter, Error, Histogram, IntCounter, IntGauge, Registry};

use self::maker::Maker;
use self::service::ServiceFamilies;
pub use self::service::ServiceMetrics;
use crate::service::{NAMES, Retry};

/// From the arrival of a chunk's last sample to its write: half a millisecond to half a minute.
const SOUND_BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];
/// Answers of a service: 5 ms to a minute.
const ANSWER_BUCKETS: [f64; 12] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0,
];

/// The crate's metrics. One for all streams; a field a fact.
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
    services: [Arc<ServiceMetrics>; NAMES.len()],
    start_response_latency: Histogram,
    streams_degraded: IntGauge,
    streams_ended: [IntCounter; Outcome::ALL.len()],
    streams_open: IntGauge,
    transcripts: IntCounter,
    /// What no label of the closed set stands for; it is shown nowhere.
    unlisted: Arc<ServiceMetrics>,
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
        let families = ServiceFamilies::register(&new)?;
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
            services: NAMES.map(|name| Arc::new(families.of(name))),
            start_response_latency: new.histogram(
                "antiphon_upstream_start_response_latency_seconds",
                "From the opening of a socket until the service accepts the stream.",
                &ANSWER_BUCKETS,
            )?,
            streams_degraded: new.streams_degraded()?,
            streams_ended: new.streams_ended()?,
            streams_open: new.streams_open()?,
            transcripts: new.counter(
                "antiphon_upstream_transcripts_total",
                "Transcripts heard from services.",
            )?,
            unlisted: Arc::new(ServiceMetrics::unregistered()),
            unknown_messages: new.unknown_messages()?,
            url_lookups: new.url_lookups()?,
            vocabulary_refusals: new.counter(
                "antiphon_upstream_vocabulary_refusals_total",
                "Custom vocabularies that a service did not take.",
            )?,
        })
    }

    /// What is counted of one service, by its name.
    pub fn of(&self, service: &str) -> &Arc<ServiceMetrics> {
        let mut known = NAMES.iter().zip(&self.services);
        let found = known.find(|(name, _)| **name == service);
        found.map_or(&self.unlisted, |(_, of_service)| of_service)
    }

    pub(crate) fn byte_mismatch(&self) {
        self.byte_mismatches.inc();
    }

    pub(crate) fn chunk_written(&self, latency: Duration) {
        self.chunk_latency.observe(latency.as_secs_f64());
    }

    pub(crate) fn sound_written(&self, bytes: u64) {
        self.sent_bytes.inc_by(bytes);
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

    /// A stream has begun, or ceased, to be without a service for longer than its backlog lasts.
    pub(crate) fn degraded(&self, is_degraded: bool) {
        if is_degraded {
            self.streams_degraded.inc();
        } else {
            self.streams_degraded.dec();
        }
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

#[cfg(test)]
mod tests;
