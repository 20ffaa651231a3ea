//! What is kept, how fast, and what could not be.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use store::query::Expired;

use crate::events::tap::Level;
use crate::record::Trouble;

/// What the recorder tells.
#[derive(Debug)]
pub struct StoreMetrics {
    batches: IntCounter,
    dropped: IntCounter,
    errors: IntCounterVec,
    events: IntCounter,
    expired: IntCounterVec,
    file_bytes: IntGauge,
    moved_aside: IntCounter,
    panics: IntCounter,
    parcels: IntCounter,
    parcels_dropped: IntCounter,
    parcels_retired: IntCounter,
    queue_bytes: IntGauge,
    queue_events: IntGauge,
    unusable: IntCounter,
    up: IntGauge,
    write_seconds: Histogram,
}

/// Seconds; one of these writes is a sync to the disk.
const WRITE_BUCKETS: [f64; 11] = [
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0,
];

impl StoreMetrics {
    /// Makes them and registers them.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| super::kept(registry, IntCounter::new(name, help));
        let counters = |name: &str, help: &str, label: &str| {
            super::kept(
                registry,
                IntCounterVec::new(Opts::new(name, help), &[label]),
            )
        };
        let gauge = |name: &str, help: &str| super::kept(registry, IntGauge::new(name, help));
        let metrics = Self {
            batches: counter("antiphon_store_batches_total", "Batches that were kept.")?,
            dropped: counter(
                "antiphon_store_events_dropped_total",
                "Events that were neither kept nor delivered, because too many waited.",
            )?,
            errors: counters(
                "antiphon_store_errors_total",
                "Failures of the store, by kind. What was to be kept is tried again.",
                "kind",
            )?,
            events: counter("antiphon_store_events_total", "Events that were kept.")?,
            expired: counters(
                "antiphon_store_expired_total",
                "What was removed: past its time, or (room) because the files had grown too big.",
                "what",
            )?,
            file_bytes: gauge("antiphon_store_file_bytes", "Size of the store's files.")?,
            moved_aside: counter(
                "antiphon_store_moved_aside_total",
                "Files that could not be read and were moved aside, to begin anew.",
            )?,
            panics: counter(
                "antiphon_store_panics_total",
                "Falls of the thread that writes. Anything but 0 is a defect.",
            )?,
            parcels: counter(
                "antiphon_store_parcels_total",
                "Deliveries that were kept until they are made.",
            )?,
            parcels_dropped: counter(
                "antiphon_store_parcels_dropped_total",
                "Deliveries that were lost because too many waited in memory.",
            )?,
            parcels_retired: counter(
                "antiphon_store_parcels_retired_total",
                "Deliveries that became dead letters because their webhook is no longer configured.",
            )?,
            queue_bytes: gauge(
                "antiphon_store_queue_bytes",
                "Bytes of the events that wait to be kept, roughly.",
            )?,
            queue_events: gauge(
                "antiphon_store_queue_events",
                "Events that wait to be kept.",
            )?,
            unusable: counter(
                "antiphon_store_events_unusable_total",
                "Events that the store refused to keep while it kept others. A defect.",
            )?,
            up: gauge(
                "antiphon_store_up",
                "1 while the store is open and takes what it is given.",
            )?,
            write_seconds: super::kept(registry, write_seconds())?,
        };
        metrics.show_from_the_start();
        Ok(metrics)
    }

    pub(crate) fn dropped(&self, events: u64) {
        self.dropped.inc_by(events);
    }

    pub(crate) fn expired(&self, expired: &Expired) {
        for (what, count) in told(expired) {
            self.expired.with_label_values(&[what]).inc_by(count);
        }
    }

    pub(crate) fn failed(&self, trouble: Trouble) {
        self.errors.with_label_values(&[trouble.as_str()]).inc();
    }

    pub(crate) fn file_bytes(&self, bytes: u64) {
        self.file_bytes
            .set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(crate) fn kept(&self, events: usize, parcels: usize, took: Duration) {
        self.batches.inc();
        self.events.inc_by(events as u64);
        self.parcels.inc_by(parcels as u64);
        self.write_seconds.observe(took.as_secs_f64());
    }

    /// What waits to be kept is this much now.
    pub fn level(&self, level: Level) {
        let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.queue_events.set(whole(level.events));
        self.queue_bytes.set(whole(level.bytes));
        self.dropped.inc_by(level.dropped);
    }

    pub(crate) fn moved_aside(&self) {
        self.moved_aside.inc();
    }

    pub(crate) fn panicked(&self) {
        self.panics.inc();
    }

    pub(crate) fn parcels_dropped(&self, parcels: u64) {
        self.parcels_dropped.inc_by(parcels);
    }

    pub(crate) fn retired(&self, parcels: u64) {
        self.parcels_retired.inc_by(parcels);
    }

    pub(crate) fn unusable(&self, events: usize) {
        self.unusable.inc_by(events as u64);
    }

    pub(crate) fn up(&self, is_up: bool) {
        self.up.set(i64::from(is_up));
    }

    fn show_from_the_start(&self) {
        for trouble in Trouble::ALL {
            self.errors.with_label_values(&[trouble.as_str()]);
        }
        for (what, _) in told(&Expired::default()) {
            self.expired.with_label_values(&[what]);
        }
    }
}

fn write_seconds() -> Result<Histogram, prometheus::Error> {
    let write_seconds = HistogramOpts::new(
        "antiphon_store_write_seconds",
        "How long it took to keep a batch, until it was on the disk.",
    );
    Histogram::with_opts(write_seconds.buckets(WRITE_BUCKETS.to_vec()))
}

fn told(expired: &Expired) -> [(&'static str, u64); 4] {
    [
        ("conversations", expired.conversations),
        ("dead_letters", expired.dead_letters),
        ("events", expired.events),
        ("room", expired.for_room),
    ]
}
