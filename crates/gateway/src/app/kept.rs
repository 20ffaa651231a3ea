//! What is kept and delivered, put together: the tap, the recorder, the store, the webhooks.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use delivery::Delivery;
use prometheus::Registry;
use store::memory::MemoryOutbox;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{LAST_WORDS, StartError};
use crate::config::Config;
use crate::events::Bus;
use crate::events::tap::Tap;
use crate::metrics::store::StoreMetrics;
use crate::record::{self, Keeping, Recorder, Recording, Shelf};

/// What is kept and delivered, and not begun yet.
pub(super) struct Kept {
    pub(super) keeping: Arc<Keeping>,
    pub(super) delivery: Arc<Delivery>,
    metrics: Arc<StoreMetrics>,
    bus: Arc<Bus>,
    recorder: Option<Recorder>,
    goodbye: Duration,
    drain: Duration,
}

/// The same, at work.
pub(super) struct AtWork {
    keeping: Arc<Keeping>,
    bus: Arc<Bus>,
    recording: Option<Recording>,
    webhooks: Vec<String>,
    carriers: TaskTracker,
    stop: CancellationToken,
    goodbye: Duration,
    drain: Duration,
}

impl Kept {
    pub(super) fn new(
        config: &Config,
        registry: &Registry,
        bus: &Arc<Bus>,
    ) -> Result<Self, StartError> {
        let metrics = Arc::new(StoreMetrics::register(registry)?);
        let counters = Arc::new(delivery::metrics::Metrics::register(registry)?);
        let limits = config.delivery.limits();
        let delivery = Delivery::new(config.endpoints(), limits, counters)?;
        let is_kept = config.store.enabled;
        let memory = MemoryOutbox::new(config.delivery.memory());
        let keeping = Keeping::new(is_kept, memory);
        let goodbye = config.shutdown.goodbye_timeout;
        let is_of_use = is_kept || !config.webhooks.is_empty();
        let recorder = is_of_use.then(|| {
            let noticed = Arc::clone(&metrics);
            let notice = Box::new(move |level| noticed.level(level));
            let tap = Tap::new(config.store.queue(), notice);
            let is_first = bus.give_to(Arc::clone(&tap));
            debug_assert!(is_first, "a bus has one recorder");
            Recorder {
                config: config.store.recorder(goodbye),
                tap,
                shelf: is_kept.then(|| Shelf::sqlite(config.sqlite())),
                keeping: Arc::clone(&keeping),
                delivery: Arc::clone(&delivery),
                metrics: Arc::clone(&metrics),
            }
        });
        Ok(Self {
            keeping,
            delivery,
            metrics,
            bus: Arc::clone(bus),
            recorder,
            goodbye,
            drain: limits.drain,
        })
    }

    /// Begins to keep and to deliver.
    pub(super) fn start(self) -> Result<AtWork, StartError> {
        let recording = self.recorder.map(Recorder::start).transpose();
        let recording = recording.map_err(StartError::Recorder)?;
        let stop = CancellationToken::new();
        let carriers = TaskTracker::new();
        let states = self.delivery.states();
        let webhooks: Vec<_> = states.into_iter().map(|state| state.name).collect();
        if !webhooks.is_empty() {
            let (delivery, keeping) = (self.delivery, Arc::clone(&self.keeping));
            carriers.spawn(record::carry(delivery, keeping, self.metrics, stop.clone()));
        }
        Ok(AtWork {
            keeping: self.keeping,
            bus: self.bus,
            recording,
            webhooks,
            carriers,
            stop,
            goodbye: self.goodbye,
            drain: self.drain,
        })
    }
}

impl AtWork {
    /// Nothing happens any more: what happened is kept, and delivered as far as there is time.
    pub(super) async fn end(mut self, force: &CancellationToken) {
        self.bus.seal();
        let forced = async {
            force.cancelled().await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        tokio::select! {
            () = forced => {}
            () = self.finish() => {}
        }
    }

    async fn finish(&mut self) {
        if let Some(recording) = &mut self.recording {
            // It gives up by itself within this, but for a disk that does not answer.
            let patience = self.goodbye + self.goodbye;
            if tokio::time::timeout(patience, recording.ended())
                .await
                .is_err()
            {
                tracing::error!("The store did not take everything in time.");
            }
        }
        // What waits in the store is delivered by the next process, what waits in memory is not.
        if self.keeping.store().is_none() && !self.webhooks.is_empty() {
            drop(tokio::time::timeout(self.drain, self.emptied()).await);
        }
        self.stop.cancel();
        self.carriers.close();
        drop(tokio::time::timeout(self.drain + self.goodbye, self.carriers.wait()).await);
    }

    /// Waits until nothing waits in memory.
    async fn emptied(&self) {
        let mut look = tokio::time::interval(Duration::from_millis(20));
        let outbox = self.keeping.outbox();
        let waits = |name: &String| outbox.depth(name).is_ok_and(|depth| depth.waiting > 0);
        while self.webhooks.iter().any(waits) {
            look.tick().await;
        }
    }
}

impl Config {
    /// Where and how the store is opened.
    fn sqlite(&self) -> store::sqlite::StoreConfig {
        let folder = self.file.parent().unwrap_or_else(|| Path::new(""));
        self.store.sqlite(folder)
    }
}
