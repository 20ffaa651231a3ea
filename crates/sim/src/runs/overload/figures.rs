//! The figures of an overload, and which of them are off.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::control::Answer;
use crate::histogram::Histogram;
use crate::load::ears::Sum;
use crate::load::figures::Micros;
use crate::load::fleet::Log;
use crate::load::meter::Reading;
use crate::report::{Table, count, ms};
use crate::runs::refusal::Refusal;
use crate::runs::verdict::{Verdict, mib};

/// The gateway may have so much more at the end of the wave than in the middle of it. Until then it
/// may grow: SIP remembers each refusal for 32 s, in case its answer was lost.
const GROWTH_BYTES_MAX: u64 = 16 << 20;

/// Who was offered.
#[derive(Debug, Default)]
pub(super) struct Wave {
    offered: u64,
    refused: BTreeMap<String, u64>,
    unclean: u64,
    answers: Histogram,
    /// A look at the gateway when half of it was over.
    pub(super) half: Option<Reading>,
}

/// What came out. Wide because it is a record, one member a fact.
#[derive(Debug, Default, Serialize)]
pub(super) struct Figures {
    pub(super) calls: usize,
    pub(super) seconds: u64,
    /// Calls that were offered beyond.
    offered: u64,
    /// How they were refused.
    refused: BTreeMap<String, u64>,
    /// Of them, those that were taken, or not refused with 503 and a Retry-After.
    unclean: u64,
    /// How long refusals took.
    answers: Micros,
    /// Frames that running calls sent in the meantime.
    stamped: u64,
    lost: u64,
    damaged: u64,
    /// Writes that had to wait for the gateway.
    stalls: u64,
    broken: u64,
    pub(super) kernel_drops: u64,
    /// From the last frame of a chunk to its arrival.
    latency: Micros,
    /// Bytes of sound that the service received.
    pub(super) bytes: u64,
    /// Bytes that the answers to stops confirm.
    confirmed_bytes: u64,
    stops_refused: u64,
    /// Stretches that the gateway told as lost.
    pub(super) gaps: u64,
    /// From the end of a running call to another one in its place.
    recovery_ms: u64,
    memory_before: u64,
    memory_half: u64,
    memory_after: u64,
    /// CPU time of the gateway while it was offered more, in percent of one core.
    cpu_percent: f64,
}

impl Wave {
    /// One was offered, and refused or not.
    pub(super) fn note(&mut self, refusal: Option<Refusal>, took: Duration) {
        self.offered += 1;
        self.answers.record(took);
        let is_clean = refusal.as_ref().is_some_and(Refusal::is_clean);
        self.unclean += u64::from(!is_clean);
        let told = refusal.map_or_else(|| "taken".to_owned(), |refusal| refusal.to_string());
        *self.refused.entry(told).or_default() += 1;
    }
}

impl Figures {
    /// Out of the wave.
    pub(super) fn of(wave: &Wave, recovery: Duration, [before, after]: [Reading; 2]) -> Self {
        let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
        let lasted = (after.at - before.at).as_secs_f64();
        Self {
            offered: wave.offered,
            refused: wave.refused.clone(),
            unclean: wave.unclean,
            answers: Micros::of(&wave.answers),
            recovery_ms: recovery.as_millis() as u64,
            memory_before: before.resident,
            memory_half: wave.half.map_or(before.resident, |half| half.resident),
            memory_after: after.resident,
            cpu_percent: cpu * 100.0 / lasted,
            ..Self::default()
        }
    }

    /// What became of the running calls.
    pub(super) fn heard(&mut self, sum: &Sum, stamped: &[u32], log: &Log, stopped: &[Answer]) {
        let counts = &sum.counts;
        self.stamped = stamped.iter().map(|&frames| u64::from(frames)).sum();
        self.lost = sum.lost(stamped);
        self.damaged = counts.damaged + counts.foreign + counts.misplaced;
        self.latency = Micros::of(&sum.latency);
        self.stalls = log.stalls;
        self.broken = log.broken;
        for answer in stopped {
            self.stops_refused += u64::from(!answer.is_ok());
            let bytes = ["agent", "customer"].map(|role| answer.confirmed_bytes(role));
            self.confirmed_bytes += bytes.into_iter().flatten().sum::<u64>();
        }
    }
}

impl Verdict for Figures {
    fn table(&self) -> Table {
        let mut table = Table::new(["figure", "value", "what it is"]);
        let mut row = |name: &str, value: String, what: &str| {
            table.row([name.to_owned(), value, what.to_owned()]);
        };
        row(
            "calls",
            count(self.calls as u64),
            "running, as many as there is room for",
        );
        row("offered", count(self.offered), "beyond");
        for (how, times) in &self.refused {
            row("  refused", count(*times), how);
        }
        row(
            "answer p50",
            ms(self.answers.p50_us),
            "to those who were refused",
        );
        row("answer p99", ms(self.answers.p99_us), "");
        row(
            "frames sent",
            count(self.stamped),
            "by running calls in the meantime",
        );
        row("frames lost", count(self.lost), "");
        row(
            "frames damaged",
            count(self.damaged),
            "changed, misplaced, wrong leg",
        );
        row("stalled writes", count(self.stalls), "not read in time");
        row("kernel drops", count(self.kernel_drops), "not read in time");
        row(
            "latency p50",
            ms(self.latency.p50_us),
            "last frame of a chunk → chunk received",
        );
        row("latency p99", ms(self.latency.p99_us), "");
        row("bytes received", count(self.bytes), "at the service");
        row(
            "bytes confirmed",
            count(self.confirmed_bytes),
            "answers to stop-streaming",
        );
        row(
            "recovery",
            format!("{} ms", self.recovery_ms),
            "until another call was taken",
        );
        let later = [self.memory_half, self.memory_after].map(mib);
        let later = format!("{} in the middle, {} after", later[0], later[1]);
        row("memory", mib(self.memory_before), &later);
        row(
            "CPU",
            format!("{:.0} %", self.cpu_percent),
            "of one core, the gateway's",
        );
        table
    }

    fn closing(&self) -> String {
        format!(
            "overload: {} calls running, {} offered in {} s: {} refused cleanly, {} not; {} frames \
             sent, {} lost, {} damaged; a new call {} ms after room; memory {} → {} → {}",
            self.calls,
            count(self.offered),
            self.seconds,
            count(self.offered - self.unclean),
            self.unclean,
            count(self.stamped),
            self.lost,
            self.damaged,
            self.recovery_ms,
            mib(self.memory_before),
            mib(self.memory_half),
            mib(self.memory_after),
        )
    }

    fn faults(&self) -> Vec<String> {
        let growth = self.memory_after.saturating_sub(self.memory_half);
        let counted = [
            (self.unclean, "calls were not refused cleanly"),
            (self.lost, "frames of running calls were lost"),
            (self.damaged, "frames of running calls were damaged"),
            (self.stalls, "writes had to wait for the gateway"),
            (self.broken, "sockets of running calls broke"),
            (self.kernel_drops, "packets were not read in time"),
            (
                self.bytes.abs_diff(self.confirmed_bytes),
                "bytes were not confirmed",
            ),
            (self.stops_refused, "stops failed"),
            (self.gaps, "gaps were told of running calls"),
            (
                growth.saturating_sub(GROWTH_BYTES_MAX),
                "bytes of memory too many",
            ),
            (u64::from(self.stamped == 0), "nothing was sent"),
            (u64::from(self.offered == 0), "nobody was offered"),
        ];
        let counted = counted.into_iter().filter(|(number, _)| *number > 0);
        counted
            .map(|(number, what)| format!("{number}: {what}"))
            .collect()
    }
}
