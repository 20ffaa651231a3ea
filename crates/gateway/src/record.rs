//! The recorder: a thread of its own that takes what happened from the bus, keeps it, and gives it
//! to the delivery.
//!
//! Only here something waits for the disk. What is before it never does: the bus's tap is a queue
//! that drops its oldest, and what has been taken from it is held until it is kept.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use delivery::Delivery;
use store::{Store, StoreError};
use tokio::sync::watch;

use crate::events::tap::{Tap, TapLimits};
use crate::metrics::store::StoreMetrics;

mod backlog;
mod care;
mod courier;
mod desk;
mod erasure;
mod keeping;
mod lease;
mod projection;
mod shelf;
#[cfg(test)]
mod tests;

pub use courier::carry;
pub use keeping::{Keeping, StoreState, Trouble};

use desk::Desk;

/// How the recorder works. Defaults: `store.*` of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct RecorderConfig {
    /// What happens in this time is kept in one transaction.
    pub commit_interval: Duration,
    /// Or so many events at most.
    pub batch_max: usize,
    /// How much is held for a store that is not open.
    pub backlog: TapLimits,
    /// The longest pause before a store is tried again.
    pub retry_max: Duration,
    /// How long conversations are kept.
    pub retention: Duration,
    /// How long events are kept.
    pub events_retention: Duration,
    /// How long dead letters are kept.
    pub dead_letters_retention: Duration,
    /// How big all dead letters may be.
    pub dead_letters_bytes_max: u64,
    /// How big the files may become.
    pub bytes_max: u64,
    /// How often what is past its time is looked for.
    pub expire_interval: Duration,
    /// How many rows are removed at once.
    pub expire_step: usize,
    /// How long writing may take at the end of the process.
    pub goodbye: Duration,
}

/// Where the store is.
pub struct Shelf {
    /// Opens it, or begins it anew if it cannot be read.
    pub open: Box<Open>,
    /// Its main file; the others are named after it.
    pub file: PathBuf,
}

/// Opens a store.
pub type Open = dyn Fn() -> Result<Opened, StoreError> + Send;

/// A store that was opened.
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Where a file that could not be read is now.
    pub moved_aside: Option<PathBuf>,
    /// The schema that it had, if that was an older one.
    pub migrated_from: Option<u32>,
}

/// What the recorder works with.
pub struct Recorder {
    /// How.
    pub config: RecorderConfig,
    /// Where events come from.
    pub tap: Arc<Tap>,
    /// Where they go; `None`: to the delivery only.
    pub shelf: Option<Shelf>,
    /// What others have of the store.
    pub keeping: Arc<Keeping>,
    /// Who makes deliveries of them.
    pub delivery: Arc<Delivery>,
    /// Counters.
    pub metrics: Arc<StoreMetrics>,
}

/// A recorder at work.
#[derive(Debug)]
pub struct Recording {
    ended: watch::Receiver<bool>,
}

impl Recorder {
    /// Begins to record.
    pub fn start(self) -> io::Result<Recording> {
        let (told, ended) = watch::channel(false);
        let keeping = Arc::clone(&self.keeping);
        keeping.written_by(Arc::clone(&self.tap));
        let mut desk = Desk::new(self);
        let thread = thread::Builder::new().name("recorder".to_owned());
        // It is not joined: its end is told, and nobody may wait for it forever.
        drop(thread.spawn(move || {
            while catch_unwind(AssertUnwindSafe(|| desk.run())).is_err() {
                desk.fell();
            }
            keeping.written_by_nobody();
            told.send_replace(true);
        })?);
        Ok(Recording { ended })
    }
}

impl Recording {
    /// Waits until everything is kept, after the tap was closed.
    pub async fn ended(&mut self) {
        // A sender that is gone has ended too.
        drop(self.ended.wait_for(|ended| *ended).await);
    }
}
