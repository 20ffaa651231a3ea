//! When something is too much, and when it is not any more: between the two nothing changes, so
//! that what hovers about a bound is told once.

use std::time::{Duration, Instant};

use ingress::admission::{AdmissionLimits, Limit};

use super::lag::Lag;

/// What is too much; 0 is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Of calls and legs.
    pub admission: AdmissionLimits,
    /// Of sound that waits.
    pub backlog_bytes_max: u64,
    /// Of how late timers fire.
    pub lag_max: Duration,
    /// Of resident memory.
    pub memory_bytes_max: u64,
}

/// How the process is at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    /// Sound that waits.
    pub backlog_bytes: u64,
    /// Calls that are in.
    pub calls: usize,
    /// Legs that are in or expected.
    pub legs: usize,
    /// Resident memory, if the system tells.
    pub resident_bytes: Option<u64>,
}

/// There is too much of something, or not any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Of what.
    pub limit: Limit,
    /// How much there is: calls, legs, bytes, or microseconds.
    pub value: u64,
    /// From where it is too much.
    pub bound: u64,
    /// How long there was too much; `None`: there is now.
    pub lasted: Option<Duration>,
}

/// Remembers what there is too much of.
#[derive(Debug)]
pub struct Judge {
    bounds: [Option<Bound>; Limit::COUNT],
    since: [Option<Instant>; Limit::COUNT],
    lag: Lag,
}

/// Too much from `enter` on, until it is less than `leave`.
#[derive(Clone, Copy, Debug)]
struct Bound {
    enter: u64,
    leave: u64,
}

impl Judge {
    /// There is too much of nothing.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds: Limit::ALL
                .iter()
                .map(|limit| bounds.of(*limit))
                .collect::<Vec<_>>()
                .try_into()
                .expect("one bound a limit"),
            since: [None; Limit::COUNT],
            lag: Lag::default(),
        }
    }

    /// A timer was so late.
    pub fn late(&mut self, late: Duration) {
        self.lag.late(late);
    }

    /// How late the worst tenth of the last timers was.
    pub fn lag(&self) -> Duration {
        self.lag.p90()
    }

    /// What has changed.
    pub fn judge(&mut self, now: Instant, readings: &Readings) -> Vec<Change> {
        let changes = Limit::ALL.iter().filter_map(|&limit| {
            let bound = self.bounds[limit as usize]?;
            let value = match limit {
                Limit::Backlogs => readings.backlog_bytes,
                Limit::Calls => readings.calls as u64,
                Limit::Lag => micros(self.lag.p90()),
                Limit::Legs => readings.legs as u64,
                Limit::Memory => readings.resident_bytes?,
            };
            let since = &mut self.since[limit as usize];
            let lasted = match *since {
                None if value >= bound.enter => {
                    *since = Some(now);
                    None
                }
                Some(began) if value < bound.leave => {
                    *since = None;
                    Some(now.saturating_duration_since(began))
                }
                _ => return None,
            };
            Some(Change {
                limit,
                value,
                bound: bound.enter,
                lasted,
            })
        });
        changes.collect()
    }
}

impl Bounds {
    fn of(&self, limit: Limit) -> Option<Bound> {
        let parts = |max: u64, enter: u64, leave: u64| Bound {
            enter: (max / 100 * enter).max(1),
            leave: (max / 100 * leave).max(1),
        };
        // Of numbers that may be small each part counts.
        let nearly = |max: usize, room: usize| {
            let enter = (max + 1).saturating_sub(room).max(1) as u64;
            let leave = (max * 9 / 10).max(1) as u64;
            Bound {
                enter,
                leave: leave.min(enter),
            }
        };
        let AdmissionLimits {
            calls_max,
            legs_max,
        } = self.admission;
        match limit {
            Limit::Backlogs => some(self.backlog_bytes_max).map(|max| parts(max, 75, 50)),
            Limit::Calls => some(calls_max as u64).map(|_| nearly(calls_max, 1)),
            Limit::Lag => some(micros(self.lag_max)).map(|max| parts(max, 100, 50)),
            Limit::Legs => some(legs_max as u64).map(|_| nearly(legs_max, 2)),
            Limit::Memory => some(self.memory_bytes_max).map(|max| parts(max, 100, 90)),
        }
    }
}

fn some(max: u64) -> Option<u64> {
    (max > 0).then_some(max)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
