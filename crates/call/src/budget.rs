//! What all backlogs of a process may hold together.
//!
//! One dead service may leave a thousand streams with long backlogs. Each is bounded by itself;
//! this bounds their sum. Who holds no more than a fair floor never loses anything by it, so the
//! sum is at most the budget and a floor for each stream.
//!
//! What streams keep of sent sound, to send it again, counts too, but never at the cost of what
//! waits: it has what room the backlogs leave, and is what goes first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::audio;

/// Bytes of a sample in a backlog.
const SAMPLE_BYTES: u64 = size_of::<i16>() as u64;

/// One number that all backlogs share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bytes_max: u64,
    floor_samples: u64,
    /// What waits.
    bytes: AtomicU64,
    /// What is kept of what was sent.
    kept_bytes: AtomicU64,
}

/// What one backlog holds of it; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    samples: u64,
}

/// What one holder of sent sound has of it; given back when dropped.
#[derive(Debug)]
pub struct Keep {
    budget: Budget,
    samples: u64,
}

impl Budget {
    /// So many bytes of sound in whole chunks; 0 is no limit. A backlog that holds `floor` or less
    /// is spared.
    pub fn new(bytes_max: u64, floor: Duration) -> Self {
        Self(Arc::new(Shared {
            bytes_max: if bytes_max == 0 { u64::MAX } else { bytes_max },
            floor_samples: audio::samples(floor),
            bytes: AtomicU64::new(0),
            kept_bytes: AtomicU64::new(0),
        }))
    }

    /// Without a limit, and shared with nobody else.
    pub fn unlimited() -> Self {
        Self::new(0, Duration::ZERO)
    }

    /// What all backlogs hold in whole chunks. The chunk that each is filling is not counted.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// What all streams keep of what was sent.
    pub fn kept_bytes(&self) -> u64 {
        self.0.kept_bytes.load(Ordering::Relaxed)
    }

    /// For one who keeps sent sound; of none yet.
    pub fn keep(&self) -> Keep {
        Keep {
            budget: self.clone(),
            samples: 0,
        }
    }

    fn is_exceeded(&self) -> bool {
        self.bytes() > self.0.bytes_max
    }

    pub(crate) fn share(&self) -> Share {
        Share {
            budget: self.clone(),
            samples: 0,
        }
    }
}

impl Share {
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    pub(crate) fn samples(&self) -> u64 {
        self.samples
    }

    pub(crate) fn add(&mut self, samples: u64) {
        self.samples += samples;
        let bytes = samples * SAMPLE_BYTES;
        self.budget.0.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn give_back(&mut self, samples: u64) {
        self.samples -= samples;
        let bytes = samples * SAMPLE_BYTES;
        self.budget.0.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether the budget is exceeded and this backlog holds more than its fair floor.
    pub(crate) fn is_to_shed(&self) -> bool {
        self.samples > self.budget.0.floor_samples && self.budget.is_exceeded()
    }
}

impl Keep {
    /// Keeps so much from now on.
    pub fn set(&mut self, samples: u64) {
        let kept_bytes = &self.budget.0.kept_bytes;
        let more = samples.saturating_sub(self.samples) * SAMPLE_BYTES;
        let less = self.samples.saturating_sub(samples) * SAMPLE_BYTES;
        kept_bytes.fetch_add(more, Ordering::Relaxed);
        kept_bytes.fetch_sub(less, Ordering::Relaxed);
        self.samples = samples;
    }

    /// Whether it holds something for which there is no room.
    pub fn is_to_shed(&self) -> bool {
        let held = self.budget.bytes().saturating_add(self.budget.kept_bytes());
        self.samples > 0 && held > self.budget.0.bytes_max
    }
}

impl Drop for Keep {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give_back(self.samples);
    }
}
