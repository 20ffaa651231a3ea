//! What all backlogs of a process may hold together.
//!
//! One dead service may leave a thousand streams with long backlogs. Each is bounded by itself;
//! this bounds their sum. Who holds no more than a fair floor never loses anything by it, so the
//! sum is at most the budget and a floor for each stream.

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
    bytes: AtomicU64,
}

/// What one backlog holds of it; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
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

impl Drop for Share {
    fn drop(&mut self) {
        self.give_back(self.samples);
    }
}
