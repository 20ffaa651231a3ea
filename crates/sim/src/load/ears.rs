//! All ears of a run, one a stream, and what they have heard together.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::ear::{Counts, Ear};
use crate::histogram::Histogram;
use crate::service::{Arrival, Observer};

/// All ears, one a stream.
pub(crate) struct Ears {
    clock: Instant,
    streams: Mutex<Vec<Ear>>,
}

/// What all ears have heard.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    /// Streams that carried sound.
    pub(crate) streams: u64,
    pub(crate) counts: Counts,
    pub(crate) latency: Histogram,
    /// By leg.
    pub(crate) legs: Vec<LegHeard>,
}

/// What was heard of one leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LegHeard {
    /// Stamped frames.
    pub(crate) frames: u64,
    /// How many there were until the newest that was heard.
    pub(crate) reached: u64,
}

impl Ears {
    /// Ears that know when frames were sent: stamps count microseconds from `clock`.
    pub(crate) fn new(clock: Instant) -> Arc<Self> {
        Arc::new(Self {
            clock,
            streams: Mutex::default(),
        })
    }

    /// Puts them to a service.
    pub(crate) fn observer(self: &Arc<Self>) -> Observer {
        let ears = Arc::clone(self);
        Arc::new(move |arrival| ears.hear(&arrival))
    }

    /// What so many legs were heard to say.
    pub(crate) fn sum(&self, legs: usize) -> Sum {
        let streams = self.lock();
        let mut sum = Sum {
            streams: streams.len() as u64,
            legs: vec![LegHeard::default(); legs],
            ..Sum::default()
        };
        for ear in streams.iter() {
            sum.counts += ear.counts();
            sum.latency.merge(ear.latency());
            if let Some(heard) = ear.leg().and_then(|leg| sum.legs.get_mut(usize::from(leg))) {
                heard.frames += ear.counts().frames;
                heard.reached = heard.reached.max(u64::from(ear.reached()));
            }
        }
        sum
    }

    fn hear(&self, arrival: &Arrival<'_>) {
        let now_us = arrival.at.duration_since(self.clock).as_micros() as u64;
        let mut streams = self.lock();
        if streams.len() <= arrival.stream {
            streams.resize_with(arrival.stream + 1, Ear::default);
        }
        streams[arrival.stream].hear(arrival.sound, now_us);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Ear>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sum {
    /// Stamped frames that were sent and never came.
    pub(crate) fn lost(&self, stamped: &[u32]) -> u64 {
        let legs = stamped.iter().zip(&self.legs);
        legs.map(|(&sent, heard)| u64::from(sent).saturating_sub(heard.frames))
            .sum()
    }
}
