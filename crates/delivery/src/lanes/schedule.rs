//! When to try again, and the chance that spreads it.

use crate::clock::millis;
use crate::endpoint::{Endpoint, Format, Retries};
use crate::limits::Limits;

/// What the lanes go by. Times are in milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// `None`: there are no second attempts.
    pub(crate) schedule: Option<Vec<u64>>,
    pub(crate) concurrency: usize,
    pub(crate) batch_max: usize,
    pub(crate) batch_wait: u64,
    pub(crate) batch_bytes_max: usize,
    /// 0: never.
    pub(crate) skip_after: u32,
    /// 0: never.
    pub(crate) give_up_after: u32,
    /// Only without retries.
    pub(crate) pending_max: Option<usize>,
    pub(crate) window_max: usize,
    pub(crate) rest_after: u32,
    pub(crate) rest_min: u64,
    pub(crate) rest_max: u64,
    pub(crate) retry_after_max: u64,
}

/// Numbers that look drawn by lot; splitmix64.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Rules {
    pub(crate) fn new(endpoint: &Endpoint, limits: &Limits) -> Self {
        let together = endpoint.format == Format::CloudEventsBatch;
        let mut window_max = limits.window_max.max(Limits::WINDOW_MIN);
        let (schedule, pending_max) = match &endpoint.retries {
            Retries::Off => {
                // All that may wait is seen, what is under way, and what is being thrown away.
                window_max = window_max.max(endpoint.pending_max.saturating_mul(2));
                (None, Some(endpoint.pending_max))
            }
            Retries::Schedule(delays) => (Some(delays.iter().copied().map(millis).collect()), None),
        };
        Self {
            schedule,
            concurrency: endpoint.concurrency.max(1),
            batch_max: if together {
                endpoint.batch_max.max(1)
            } else {
                1
            },
            batch_wait: if together {
                millis(endpoint.batch_wait)
            } else {
                0
            },
            batch_bytes_max: limits.batch_bytes_max,
            skip_after: endpoint.skip_after,
            give_up_after: endpoint.give_up_after,
            pending_max,
            window_max,
            rest_after: limits.rest_after.max(1),
            rest_min: millis(limits.rest_min).max(1),
            rest_max: millis(limits.rest_max).max(1),
            retry_after_max: millis(limits.retry_after_max),
        }
    }

    /// How many parcels of one lane the window may hold.
    pub(super) fn lane_max(&self) -> usize {
        // Without retries what waits is to be seen whole, so that the oldest can go.
        match self.pending_max {
            Some(_) => self.window_max,
            None => (self.window_max / 4).max(self.batch_max).max(1),
        }
    }

    /// How long to wait after the `attempts`th failure; `None`: no longer.
    pub(super) fn delay(&self, attempts: u32, chance: &mut Chance) -> Option<u64> {
        let index = usize::try_from(attempts).ok()?.checked_sub(1)?;
        let delay = *self.schedule.as_ref()?.get(index)?;
        Some(chance.around(delay))
    }

    /// No parcel waits longer for a time of its own.
    pub(super) fn delay_max(&self) -> u64 {
        let longest = self.schedule.iter().flatten().copied().max();
        let longest = longest.unwrap_or(0);
        longest.saturating_add(longest / 5)
    }

    /// Whether its lane no longer waits for a parcel that failed so often.
    pub(super) fn is_late(&self, attempts: u32) -> bool {
        self.skip_after > 0 && attempts >= self.skip_after
    }

    /// Whether a parcel that was refused so often is given up.
    pub(super) fn is_hopeless(&self, refusals: u32) -> bool {
        self.give_up_after > 0 && refusals >= self.give_up_after
    }
}

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A time a fifth longer or shorter.
    pub(super) fn around(&mut self, time: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let fifth = time / 5;
        let span = fifth.saturating_mul(2).saturating_add(1);
        (time - fifth).saturating_add(mixed % span)
    }
}
