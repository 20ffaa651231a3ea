//! The figures of a drain, and which of them are off.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::Arguments;
use crate::load::ears::{LegHeard, Sum};
use crate::report::{Table, count};
use crate::runs::caller::Caller;
use crate::runs::refusal::Refusal;
use crate::runs::verdict::Verdict;
use crate::runs::witness::Seen;
use crate::service::record::Recorded;

/// One leg.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leg {
    /// So many stamped frames must have been heard at least.
    pub(super) due: u64,
    pub(super) heard: LegHeard,
}

/// Who came while the gateway drained, and how they were sent away.
#[derive(Debug, Default, Serialize)]
pub(super) struct Strangers {
    /// By refusal, in words.
    refused: BTreeMap<String, u64>,
    /// Not as they should be.
    badly: u64,
}

/// What came out. Wide because it is a record, one member a fact.
#[derive(Debug, Default, Serialize)]
pub(super) struct Figures {
    calls: usize,
    service: String,
    drain_seconds: u64,
    /// From SIGTERM to the process's end.
    took_ms: u64,
    /// The process did not end well.
    bad_end: Option<String>,
    /// What readiness answered during the drain.
    pub(super) ready_while_draining: u16,
    pub(super) strangers: Strangers,
    /// Calls that hung up by themselves.
    left: usize,
    /// How the others were said goodbye to.
    goodbyes: BTreeMap<String, u64>,
    /// Stamped frames that had to arrive.
    due: u64,
    /// Of them, those that have not.
    lost: u64,
    /// Stamped frames that arrived.
    heard: u64,
    /// Holes in what arrived.
    holes: u64,
    damaged: u64,
    /// Bytes of sound that the service received.
    bytes: u64,
    /// Bytes of sound that the gateway says it passed on.
    passed_bytes: u64,
    sessions: u64,
    /// Sessions that were not ended by the client and acknowledged.
    sessions_cut: u64,
    mismatches: u64,
    /// Streams by the status code of their end, as events told.
    streams: BTreeMap<String, u64>,
    /// Calls by how they ended, as events told.
    endings: BTreeMap<String, u64>,
}

impl Strangers {
    /// One has tried.
    pub(super) fn note(&mut self, dialled: anyhow::Result<Caller>) {
        let (told, is_clean) = match dialled {
            Ok(_) => ("taken".to_owned(), false),
            Err(error) => {
                let refusal = Refusal::of(&error);
                (refusal.to_string(), refusal.is_clean())
            }
        };
        *self.refused.entry(told).or_default() += 1;
        self.badly += u64::from(!is_clean);
    }
}

impl Figures {
    /// What the service saw.
    pub(super) fn heard(streams: &[Recorded], sum: &Sum) -> Self {
        let cut =
            |stream: &&Recorded| stream.finished_at.is_none() || stream.final_code != Some(1000);
        Self {
            sessions: streams.len() as u64,
            sessions_cut: streams.iter().filter(cut).count() as u64,
            bytes: streams.iter().map(|stream| stream.audio_samples * 2).sum(),
            damaged: sum.counts.damaged + sum.counts.foreign + sum.counts.misplaced,
            ..Self::default()
        }
    }

    /// What the gateway told.
    pub(super) fn told(&mut self, seen: &Seen) {
        self.mismatches = seen.mismatches;
        self.endings = seen.endings.clone();
        for told in seen.streams.values() {
            let ended = told.ended;
            let ended = ended.map_or_else(|| "none".to_owned(), |code| code.to_string());
            *self.streams.entry(ended).or_default() += 1;
        }
        let passed = ["passed", "filled", "quiet", "paused"];
        self.passed_bytes = 2 * passed.iter().map(|name| seen.legs(name)).sum::<u64>();
    }

    /// What the run was.
    pub(super) fn run(&mut self, of: &Arguments, took: Duration, bad: Option<anyhow::Error>) {
        self.calls = of.calls;
        self.service = format!("{:?}", of.service).to_lowercase();
        self.drain_seconds = of.drain_seconds;
        self.took_ms = took.as_millis() as u64;
        self.bad_end = bad.map(|error| format!("{error:#}"));
    }

    /// What became of the calls.
    pub(super) fn parted(&mut self, legs: &[Leg], goodbyes: &[String], left: usize) {
        self.left = left;
        for goodbye in goodbyes {
            *self.goodbyes.entry(goodbye.clone()).or_default() += 1;
        }
        for leg in legs {
            self.due += leg.due;
            self.heard += leg.heard.frames;
            self.lost += leg.due.saturating_sub(leg.heard.frames);
            self.holes += leg.heard.reached.saturating_sub(leg.heard.frames);
        }
    }

    fn unsaid(&self) -> u64 {
        let none = self
            .goodbyes
            .iter()
            .filter(|(how, _)| how.starts_with("none"));
        none.map(|(_, calls)| calls).sum()
    }

    fn bad_streams(&self) -> u64 {
        let good = self.streams.get("1000").copied().unwrap_or(0);
        self.streams.values().sum::<u64>() - good
    }
}

impl Verdict for Figures {
    fn table(&self) -> Table {
        let list = |map: &BTreeMap<String, u64>| {
            let all = map.iter().map(|(what, times)| format!("{what}: {times}"));
            all.collect::<Vec<_>>().join(", ")
        };
        let mut table = Table::new(["figure", "value", "what it is"]);
        let rows = [
            (
                "calls",
                self.calls as u64,
                format!("{} hung up by themselves", self.left),
            ),
            (
                "said goodbye to",
                self.goodbyes.values().sum(),
                list(&self.goodbyes),
            ),
            (
                "calls ended",
                self.endings.values().sum(),
                list(&self.endings),
            ),
            (
                "streams ended",
                self.streams.values().sum(),
                list(&self.streams),
            ),
            (
                "sent away",
                self.strangers.refused.values().sum(),
                list(&self.strangers.refused),
            ),
            (
                "readiness",
                u64::from(self.ready_while_draining),
                "while draining".to_owned(),
            ),
            (
                "took",
                self.took_ms,
                "ms from SIGTERM to the end".to_owned(),
            ),
            ("frames due", self.due, "sent before the goodbye".to_owned()),
            (
                "frames heard",
                self.heard,
                format!("{} of those due lost", self.lost),
            ),
            (
                "frames damaged",
                self.damaged,
                format!("{} holes", self.holes),
            ),
            ("bytes received", self.bytes, "at the service".to_owned()),
            (
                "bytes passed on",
                self.passed_bytes,
                "as legs counted".to_owned(),
            ),
            (
                "sessions",
                self.sessions,
                format!("{} not ended well", self.sessions_cut),
            ),
        ];
        for (name, number, what) in rows {
            table.row([name.to_owned(), count(number), what]);
        }
        table
    }

    fn closing(&self) -> String {
        format!(
            "drain: {} calls, {}: {} hung up, {} were said goodbye to, {} were not; {} frames due, \
             {} lost; {} bytes passed on, {} received; {} of {} sessions not ended well; over \
             {:.1} s after SIGTERM ({} s allowed)",
            self.calls,
            self.service,
            self.left,
            self.goodbyes.values().sum::<u64>() - self.unsaid(),
            self.unsaid(),
            count(self.due),
            self.lost,
            count(self.passed_bytes),
            count(self.bytes),
            self.sessions_cut,
            self.sessions,
            self.took_ms as f64 / 1_000.0,
            self.drain_seconds,
        )
    }

    fn faults(&self) -> Vec<String> {
        let ended: u64 = self.endings.values().sum();
        let counted = [
            (self.lost, "frames that were sent in time did not arrive"),
            (self.holes, "frames are missing between others"),
            (
                self.damaged,
                "frames are damaged, misplaced or on the wrong leg",
            ),
            (
                self.bytes.abs_diff(self.passed_bytes),
                "bytes differ between gateway and service",
            ),
            (self.sessions_cut, "sessions were not ended well"),
            (self.bad_streams(), "streams did not end well"),
            (self.unsaid(), "calls were not said goodbye to"),
            (self.mismatches, "streams have sums that differ"),
            (self.strangers.badly, "strangers were not sent away cleanly"),
            (
                ended.abs_diff(self.calls as u64),
                "calls have no end, or more than one",
            ),
            (
                u64::from(self.ready_while_draining != 503),
                "readiness was not 503",
            ),
            (u64::from(self.due == 0), "nothing was sent"),
        ];
        let counted = counted.into_iter().filter(|(number, _)| *number > 0);
        let mut faults: Vec<String> = counted
            .map(|(number, what)| format!("{number}: {what}"))
            .collect();
        faults.extend(self.bad_end.clone());
        faults
    }
}
