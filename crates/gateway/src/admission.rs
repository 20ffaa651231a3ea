//! Measures how the process is, and says when there is too much of something for new calls.
//!
//! Ten times a second: how late is it, how much sound waits. Once a second: how much memory. What
//! is over its bound is told to [`AdmissionControl`], which every adapter asks; running calls are
//! never asked to give way here.

mod judge;
mod lag;
mod memory;

use std::time::Duration;

use call::budget::Budget;
use ingress::admission::{AdmissionControl, Limit};
use tokio::time::{Instant, sleep_until};

pub use judge::{Bounds, Change, Judge, Readings};

use crate::metrics::admission::AdmissionMetrics;

/// How often memory is looked at, in periods of [`lag::PERIOD`].
const MEMORY_PERIODS: u32 = 10;

/// The one who measures.
#[derive(Debug)]
pub struct Watch {
    judge: Judge,
    control: AdmissionControl,
    backlogs: Budget,
    metrics: AdmissionMetrics,
    resident_bytes: Option<u64>,
}

impl Watch {
    /// Measures nothing before [`Watch::run`].
    pub fn new(
        bounds: Bounds,
        control: AdmissionControl,
        backlogs: Budget,
        metrics: AdmissionMetrics,
    ) -> Self {
        Self {
            judge: Judge::new(bounds),
            control,
            backlogs,
            metrics,
            resident_bytes: None,
        }
    }

    /// Measures for ever.
    pub async fn run(mut self) {
        for period in (0..MEMORY_PERIODS).cycle() {
            if period == 0 {
                self.resident_bytes = memory::resident_bytes().await;
            }
            let due = Instant::now() + lag::PERIOD;
            sleep_until(due).await;
            self.look(due.elapsed());
        }
    }

    /// A timer fired so late.
    fn look(&mut self, late: Duration) {
        self.metrics.lag(late);
        self.judge.late(late);
        let readings = Readings {
            backlog_bytes: self.backlogs.bytes(),
            calls: self.control.calls(),
            legs: self.control.legs(),
            resident_bytes: self.resident_bytes,
        };
        self.metrics.readings(&readings, self.judge.lag());
        for change in self.judge.judge(Instant::now().into_std(), &readings) {
            self.tell(change);
        }
    }

    fn tell(&self, change: Change) {
        let Change { limit, lasted, .. } = change;
        let is_exceeded = lasted.is_none();
        self.metrics.overloaded(limit, is_exceeded);
        // Calls and legs are counted exactly where they come in.
        if !matches!(limit, Limit::Calls | Limit::Legs) {
            self.control.set_exceeded(limit, is_exceeded);
        }
        let (reason, value, bound) = (limit.as_str(), change.value, change.bound);
        match lasted {
            None => tracing::warn!(reason, value, bound, "Overloaded; new calls are refused."),
            Some(lasted) => {
                let seconds = lasted.as_secs_f64();
                tracing::info!(reason, value, bound, seconds, "Not overloaded any more.");
            }
        }
    }
}

#[cfg(test)]
mod tests;
