//! The figures of a load run, and what they are worth.

use serde::Serialize;

use super::beside::Aside;
use super::ear::Counts;
use super::fleet::Log;
use super::meter::Reading;
use crate::histogram::Histogram;
use crate::report::{Table, count, ms};

/// A generator that is later than this has not made the load it claims.
const LATE_P99_MAX_US: u64 = 1_000;

/// What came out. Wide because it is a record for other programs, one member a fact.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// Two-track calls.
    pub calls: usize,
    /// Legs.
    pub legs: u64,
    /// How long it was measured.
    pub seconds: f64,
    /// How fast calls were set up; missing where the platform does not ask for them.
    pub setup: Option<Setup>,
    /// What the callers did.
    pub sent: Sent,
    /// What the service received.
    pub heard: Heard,
    /// From the write of the last frame of a chunk into the gateway's socket to the moment at which
    /// the service's task has the chunk's message: all that the gateway adds beyond chunking, and
    /// both loopback hops.
    pub latency: Micros,
    /// What the gateway's process cost; missing without its process id.
    pub cost: Option<Cost>,
    /// What came of store and webhook; missing where the gateway is not ours.
    pub aside: Option<Aside>,
    /// Commands that were refused, in words.
    pub refused: Vec<String>,
}

/// How calls were set up.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Setup {
    /// Calls a second, from the first INVITE to the last 200.
    pub calls_per_second: f64,
    /// From INVITE to 200.
    pub answered: Micros,
}

/// What the callers did.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Sent {
    /// Frames, silence before and after the measurement included.
    pub frames: u64,
    /// Measured frames.
    pub stamped: u64,
    /// How late measured frames were.
    pub late: Micros,
    /// Writes that had to wait for the gateway to read.
    pub stalls: u64,
    /// Sockets that broke.
    pub broken: u64,
}

/// What the service received.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Heard {
    /// WebSockets that carried sound.
    pub streams: u64,
    /// Binary messages.
    pub messages: u64,
    /// Bytes of L16 that arrived.
    pub bytes: u64,
    /// Bytes of L16 that the answers to stop-streaming confirm.
    pub confirmed_bytes: u64,
    /// Measured frames that never came.
    pub lost: u64,
    /// Datagrams that the kernel took for the gateway and dropped before it read them.
    pub kernel_drops: u64,
    /// Frames that are not the sound that was sent.
    pub damaged: u64,
    /// Frames of one leg on another leg's stream.
    pub foreign: u64,
    /// Frames out of order or twice.
    pub misplaced: u64,
}

/// A distribution in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Micros {
    /// How many.
    pub count: u64,
    /// Half of them are shorter.
    pub p50_us: u64,
    /// One in a hundred is longer.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

/// What the gateway's process cost.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Cost {
    /// CPU time, user and system, of one second of one leg.
    pub cpu_ms_per_leg_second: f64,
    /// Legs that one core could carry at that price.
    pub legs_per_core: f64,
    /// Resident memory beyond idle, shared out among the legs.
    pub memory_bytes_per_leg: i64,
    /// Resident memory before the first call.
    pub idle_bytes: u64,
    /// The most resident memory seen while measuring.
    pub loaded_bytes: u64,
}

/// A figure, its value, and what it is.
type Row = (&'static str, String, &'static str);

impl Figures {
    /// The table for people.
    pub fn table(&self) -> Table {
        let mut table = Table::new(["figure", "value", "what it is"]);
        let setup = self.setup.iter().flat_map(Setup::rows);
        let cost = self.cost.iter().flat_map(Cost::rows);
        for (name, value, what) in setup.chain(self.rows()).chain(cost) {
            table.row([name.to_owned(), value, what.to_owned()]);
        }
        table
    }

    fn rows(&self) -> [Row; 15] {
        let (sent, heard, latency) = (&self.sent, &self.heard, &self.latency);
        let misplaced = heard.misplaced + heard.foreign;
        [
            ("legs", count(self.legs), "two a call"),
            (
                "measured",
                format!("{:.1} s", self.seconds),
                "all legs at once",
            ),
            ("frames sent", count(sent.stamped), "of 20 ms"),
            (
                "late p99",
                ms(sent.late.p99_us),
                "behind the time it was due",
            ),
            ("late max", ms(sent.late.max_us), ""),
            ("stalled writes", count(sent.stalls), "not read in time"),
            ("broken sockets", count(sent.broken), ""),
            ("bytes received", count(heard.bytes), "L16 at the service"),
            (
                "bytes confirmed",
                count(heard.confirmed_bytes),
                "answers to stop-streaming",
            ),
            ("frames lost", count(heard.lost), ""),
            (
                "kernel drops",
                count(heard.kernel_drops),
                "taken by the kernel, not read in time",
            ),
            (
                "frames damaged",
                count(heard.damaged + misplaced),
                "changed, misplaced, wrong leg",
            ),
            (
                "latency p50",
                ms(latency.p50_us),
                "last frame of a chunk → chunk received",
            ),
            ("latency p99", ms(latency.p99_us), ""),
            ("latency max", ms(latency.max_us), ""),
        ]
    }

    /// What was lost, spoilt or refused: the gateway's failures.
    pub fn faults(&self) -> Vec<String> {
        let Heard {
            bytes,
            confirmed_bytes,
            lost,
            damaged,
            foreign,
            misplaced,
            ..
        } = self.heard;
        let counted = [
            (lost, "frames were lost"),
            (damaged, "frames were damaged"),
            (foreign, "frames came on another leg's stream"),
            (misplaced, "frames came out of order"),
            (self.sent.broken, "sockets broke"),
            (
                bytes.abs_diff(confirmed_bytes),
                "bytes were received but not confirmed, or the reverse",
            ),
        ];
        let counted = counted.into_iter().filter(|(number, _)| *number > 0);
        let mut faults: Vec<String> = counted
            .map(|(number, what)| format!("{} {what}", count(number)))
            .collect();
        if self.sent.stamped == 0 {
            faults.push("nothing was measured".to_owned());
        }
        faults.extend(self.refused.iter().cloned());
        faults
    }

    /// Why the run is not to be trusted, though the gateway may have done nothing wrong.
    pub fn doubts(&self) -> Vec<String> {
        let late = self.sent.late.p99_us;
        let doubt = format!("frames were sent late by {} (p99)", ms(late));
        (late > LATE_P99_MAX_US)
            .then_some(doubt)
            .into_iter()
            .collect()
    }
}

impl Sent {
    /// Out of the fleet's log.
    pub(crate) fn of(log: &Log) -> Self {
        let Log {
            stamped,
            frames,
            stalls,
            broken,
            ..
        } = *log;
        Self {
            frames,
            stamped,
            late: Micros::of(&log.lateness),
            stalls,
            broken,
        }
    }
}

impl Heard {
    /// Out of what all ears have noticed.
    pub(crate) fn of(streams: u64, counts: Counts, confirmed_bytes: u64, lost: u64) -> Self {
        let Counts {
            samples,
            messages,
            damaged,
            foreign,
            misplaced,
            ..
        } = counts;
        let bytes = samples * 2;
        Self {
            streams,
            messages,
            bytes,
            confirmed_bytes,
            lost,
            kernel_drops: 0,
            damaged,
            foreign,
            misplaced,
        }
    }
}

impl Micros {
    /// Out of a histogram.
    pub fn of(histogram: &Histogram) -> Self {
        Self {
            count: histogram.count(),
            p50_us: histogram.quantile_us(0.5),
            p99_us: histogram.quantile_us(0.99),
            max_us: histogram.max_us(),
        }
    }
}

impl Setup {
    fn rows(&self) -> [Row; 3] {
        let rate = format!("{:.1} / s", self.calls_per_second);
        let Micros { p50_us, p99_us, .. } = self.answered;
        [
            ("calls set up", rate, "first INVITE to last 200"),
            ("answered p50", ms(p50_us), "INVITE → 200"),
            ("answered p99", ms(p99_us), ""),
        ]
    }
}

impl Cost {
    fn rows(&self) -> [Row; 4] {
        let kib = |bytes: f64| format!("{:.1} KiB", bytes / 1_024.0);
        let cpu = format!("{:.3} ms", self.cpu_ms_per_leg_second);
        [
            ("CPU", cpu, "of the gateway, for a second of a leg"),
            (
                "legs a core",
                count(self.legs_per_core as u64),
                "at that price",
            ),
            (
                "memory a leg",
                kib(self.memory_bytes_per_leg as f64),
                "resident, over idle",
            ),
            (
                "memory idle",
                kib(self.idle_bytes as f64),
                "before the first call",
            ),
        ]
    }

    /// Out of readings before the first call, and at both ends of the measurement.
    pub(crate) fn of(
        legs: u64,
        idle: Reading,
        [from, to]: [Reading; 2],
        loaded_bytes: u64,
    ) -> Self {
        let leg_seconds = legs as f64 * to.at.duration_since(from.at).as_secs_f64();
        let cpu_ms_per_leg_second = (to.cpu - from.cpu).as_secs_f64() * 1_000.0 / leg_seconds;
        let grown = loaded_bytes as i64 - idle.resident as i64;
        Self {
            cpu_ms_per_leg_second,
            legs_per_core: 1_000.0 / cpu_ms_per_leg_second,
            memory_bytes_per_leg: grown / legs.max(1) as i64,
            idle_bytes: idle.resident,
            loaded_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn clean() -> Figures {
        let sent = Sent {
            stamped: 100,
            ..Sent::default()
        };
        let heard = Heard {
            bytes: 320,
            confirmed_bytes: 320,
            ..Heard::default()
        };
        Figures {
            sent,
            heard,
            ..Figures::default()
        }
    }

    #[test]
    fn a_clean_run_has_no_faults() {
        assert!(clean().faults().is_empty() && clean().doubts().is_empty());
    }

    #[test]
    fn one_lost_frame_or_one_unconfirmed_byte_is_a_fault() {
        let mut figures = clean();
        figures.heard.lost = 1;
        figures.heard.confirmed_bytes = 319;
        assert_eq!(figures.faults().len(), 2);
        assert_eq!(Figures::default().faults(), ["nothing was measured"]);
    }

    #[test]
    fn a_late_generator_is_a_doubt() {
        let mut figures = clean();
        figures.sent.late.p99_us = 1_001;
        assert_eq!(figures.doubts().len(), 1);
    }

    #[test]
    fn cost_is_shared_out_among_legs_and_seconds() {
        let at = Instant::now();
        let reading = |seconds, cpu_ms, resident| Reading {
            at: at + Duration::from_secs(seconds),
            cpu: Duration::from_millis(cpu_ms),
            resident,
        };
        let measured = [reading(10, 1_000, 0), reading(30, 5_000, 0)];
        let cost = Cost::of(1_000, reading(0, 0, 10_000_000), measured, 42_000_000);
        assert!((cost.cpu_ms_per_leg_second - 0.2).abs() < 1e-9);
        assert!((cost.legs_per_core - 5_000.0).abs() < 1e-6);
        assert_eq!(cost.memory_bytes_per_leg, 32_000);
    }
}
