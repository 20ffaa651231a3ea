//! The figures of a chaos run, and which of them are off.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Arguments;
use super::audit::Audit;
use crate::load::figures::Micros;
use crate::load::fleet::Log;
use crate::load::meter::Meter;
use crate::load::stamp::FRAME;
use crate::report::{Table, count, ms};
use crate::runs::account::Tally;
use crate::runs::phrasebook::Phrasebook;
use crate::runs::takes::{Counts, Diary};
use crate::runs::verdict::{Verdict, mib, percent};
use crate::runs::witness::Seen;

/// What waits for a service, and what is kept to be sent again: by default 30 s and 15 s of 16-bit
/// sound a leg.
const KEPT_BYTES_A_CALL: u64 = 2 * 45 * 16_000;

/// Beside that the gateway may have so much more at the end than after the ramp-up, and than when
/// half of the run was over: memory that was used once is not given back at once.
const GROWTH_BYTES_MAX: u64 = 32 << 20;

/// What came out. Wide because it is a record for other programs, one member a fact.
#[derive(Debug, Default, Serialize)]
pub(super) struct Figures {
    calls: usize,
    minutes: f64,
    seed: u64,
    service: String,
    /// What became of the words.
    words: Tally,
    /// What was commanded.
    commands: Counts,
    /// Secret words that were said in pauses and while nothing ran.
    secret_words: u64,
    /// Frames of those that arrived at the service.
    stamps_leaked: u64,
    /// What the service saw.
    audit: Audit,
    /// Streams that were cut off, each time.
    interrupted: u64,
    /// Streams by the status code of their end.
    streams: BTreeMap<String, u64>,
    /// Streams of which the service counted other bytes than it was sent. A session that the
    /// service ends has often not read all.
    mismatches: u64,
    /// Calls by how they ended.
    endings: BTreeMap<String, u64>,
    all_ended: bool,
    /// Events that were lost on the way to us.
    events_lost: u64,
    media: Media,
    pub(super) memory: Memory,
}

/// Whether media was sent and read on time.
#[derive(Debug, Default, Serialize)]
struct Media {
    /// Frames that callers sent.
    frames: u64,
    /// How late they were.
    late: Micros,
    /// Writes that the kernel did not take at once.
    stalls: u64,
    /// Callers whose sockets broke.
    broken: u64,
    /// Packets that the kernel took for the gateway and dropped.
    kernel_drops: u64,
    /// Samples that callers sent.
    sent: u64,
    /// Samples that the gateway says it received.
    received: u64,
    /// Samples that the gateway held for lost, late or out of place, by what.
    lost: BTreeMap<String, u64>,
}

/// The gateway's memory, in bytes.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Memory {
    #[serde(skip)]
    meter: Option<Meter>,
    /// After the ramp-up.
    ramped: u64,
    /// When half of the run was over.
    half: u64,
    /// The most there was.
    most: u64,
    /// At the last look, when all calls were over.
    last: u64,
}

impl Figures {
    /// Out of what was said and what was told.
    pub(super) fn of(diaries: &[Diary], seen: &Seen, book: &Phrasebook) -> Self {
        let mut figures = Self {
            interrupted: seen.interrupted,
            mismatches: seen.mismatches,
            endings: seen.endings.clone(),
            events_lost: seen.lost,
            ..Self::default()
        };
        for diary in diaries {
            figures.words += diary.settle(book, seen);
            figures.commands += diary.counts;
            figures.secret_words += diary.secret_words;
            figures.media.sent += diary.frames * FRAME as u64;
            for stream in diary.streams() {
                let ended = seen.streams.get(stream).and_then(|told| told.ended);
                let ended = ended.map_or_else(|| "none".to_owned(), |code| code.to_string());
                *figures.streams.entry(ended).or_default() += 1;
            }
        }
        let lost = ["filled", "late", "skipped"].map(|what| (what.to_owned(), seen.legs(what)));
        figures.media.lost = lost.into();
        figures.media.received = seen.legs("received");
        figures
    }

    /// What the run was.
    pub(super) fn called(&mut self, arguments: &Arguments, all_ended: bool) {
        self.calls = arguments.calls;
        self.minutes = arguments.minutes;
        self.seed = arguments.seed;
        self.service = format!("{:?}", arguments.service).to_lowercase();
        self.all_ended = all_ended;
    }

    /// What the callers did.
    pub(super) fn sent(&mut self, log: &Log, kernel_drops: u64) {
        self.media.frames = log.frames;
        self.media.late = Micros::of(&log.lateness);
        self.media.stalls = log.stalls;
        self.media.broken = log.broken;
        self.media.kernel_drops = kernel_drops;
    }

    /// What the service saw.
    pub(super) fn audited(&mut self, audit: Audit, stamps: u64) {
        self.audit = audit;
        self.stamps_leaked = stamps;
    }

    /// Calls that ended by a fault of the gateway's, or by nobody knows what. That a call's last
    /// stream had no service to end with is the service's doing.
    fn bad_endings(&self) -> u64 {
        let good = |ending: &str| {
            let faults = ["client/", "nobody/", "upstream/"];
            faults.iter().any(|fault| ending.starts_with(fault))
        };
        let bad = self.endings.iter().filter(|(ending, _)| !good(ending));
        bad.map(|(_, calls)| calls).sum()
    }

    /// Samples that were lost. Where a gate opens in the middle of a frame, its first part comes
    /// too late for the stream: that is none.
    fn lost(&self) -> u64 {
        let openings = self.commands.starts + self.commands.pauses;
        let cut = openings * 2 * FRAME as u64;
        let lost = self
            .media
            .lost
            .iter()
            .map(|(what, samples)| match what.as_str() {
                "late" => samples.saturating_sub(cut),
                _ => *samples,
            });
        lost.sum()
    }

    fn word_rows(&self, table: &mut Table) {
        let words = &self.words;
        let part = |part: u64| percent(part, words.planted);
        let rows = [
            ("words planted", words.planted, String::new()),
            ("heard", words.heard, part(words.heard)),
            ("told as lost", words.told, part(words.told)),
            ("neither", words.missing, part(words.missing)),
            ("heard twice", words.twice, part(words.twice)),
            (
                "heard in a pause",
                words.leaked,
                format!("{} were said", count(self.secret_words)),
            ),
            ("heard at the wrong role", words.foreign, String::new()),
            ("heard, never said", words.unplanted, String::new()),
            ("heard out of place", words.misplaced, String::new()),
            (
                "heard, told as perhaps lost",
                words.heard_and_told,
                part(words.heard_and_told),
            ),
            (
                "finals",
                words.finals,
                format!("{} pieces of phrases", count(words.nonsense)),
            ),
        ];
        for (name, number, what) in rows {
            table.row([name.to_owned(), count(number), what]);
        }
        for (reason, ms) in &words.gap_ms {
            table.row([
                format!("gaps: {reason}"),
                format!("{} s", ms / 1_000),
                String::new(),
            ]);
        }
    }

    fn service_rows(&self, table: &mut Table) {
        let (audit, storms) = (&self.audit, &self.audit.storms);
        let faults = audit
            .faults
            .iter()
            .map(|(fault, times)| format!("{fault} {times}"));
        let faults = faults.collect::<Vec<_>>().join(", ");
        table.row(["sessions".to_owned(), count(audit.sessions), faults]);
        table.row([
            "refused".to_owned(),
            count(audit.refused),
            "at random".to_owned(),
        ]);
        let storms = format!(
            "{} kills, {} resets, {} stalls, {} refusals, {} delays, of all at once",
            storms.kills, storms.resets, storms.stalls, storms.refusals, storms.delays
        );
        table.row(["interruptions".to_owned(), count(self.interrupted), storms]);
        for (ended, streams) in &self.streams {
            table.row([
                format!("streams ended: {ended}"),
                count(*streams),
                String::new(),
            ]);
        }
        for (ending, calls) in &self.endings {
            table.row([
                format!("calls ended: {ending}"),
                count(*calls),
                String::new(),
            ]);
        }
        for (complaint, times) in &audit.complaints {
            table.row([complaint.clone(), count(*times), "complaint".to_owned()]);
        }
    }

    fn other_rows(&self, table: &mut Table) {
        let (done, media, memory) = (&self.commands, &self.media, &self.memory);
        let lost = media
            .lost
            .iter()
            .map(|(what, samples)| format!("{samples} {what}"));
        let lost = lost.collect::<Vec<_>>().join(", ");
        let rows = [
            (
                "starts",
                done.starts,
                format!("{} refused", done.starts_refused),
            ),
            (
                "stops",
                done.stops,
                format!("{} not acknowledged", done.stops_unacknowledged),
            ),
            (
                "pauses",
                done.pauses,
                format!("{} refused", done.pauses_refused),
            ),
            ("streams given up", done.streams_given_up, String::new()),
            (
                "frames",
                media.frames,
                format!("late p99 {}", ms(media.late.p99_us)),
            ),
            (
                "stalled writes",
                media.stalls,
                "not read in time".to_owned(),
            ),
            (
                "kernel drops",
                media.kernel_drops,
                "not read in time".to_owned(),
            ),
            ("samples sent", media.sent, String::new()),
            ("samples received", media.received, lost),
        ];
        for (name, number, what) in rows {
            table.row([name.to_owned(), count(number), what]);
        }
        let [half, most, last] = [memory.half, memory.most, memory.last].map(mib);
        let rss = format!("{half} at half-time, {most} at most, {last} at the end");
        table.row(["memory".to_owned(), mib(memory.ramped), rss]);
    }
}

impl Verdict for Figures {
    fn table(&self) -> Table {
        let mut table = Table::new(["figure", "value", "what it is"]);
        self.word_rows(&mut table);
        self.service_rows(&mut table);
        self.other_rows(&mut table);
        table
    }

    fn closing(&self) -> String {
        let (words, memory) = (&self.words, &self.memory);
        format!(
            "chaos: {} calls, {} min, {}, seed {}: {} words planted = {} heard + {} told as lost \
             + {} missing; {} twice, {} in a pause, {} at the wrong role; {} interruptions; \
             memory {} → {} → {}",
            self.calls,
            self.minutes,
            self.service,
            self.seed,
            count(words.planted),
            count(words.heard),
            count(words.told),
            count(words.missing),
            words.twice,
            words.leaked + self.stamps_leaked,
            words.foreign + self.audit.foreign,
            count(self.interrupted),
            mib(memory.ramped),
            mib(memory.half),
            mib(memory.last),
        )
    }

    fn faults(&self) -> Vec<String> {
        let (media, memory, audit) = (&self.media, &self.memory, &self.audit);
        let may_keep = KEPT_BYTES_A_CALL * self.calls as u64 + GROWTH_BYTES_MAX;
        let growth = memory.last.saturating_sub(memory.ramped + may_keep);
        let creep = memory.last.saturating_sub(memory.half + GROWTH_BYTES_MAX);
        let complaints: u64 = audit.complaints.values().sum();
        let is_calm = audit.faults.is_empty() && audit.refused == 0;
        let mismatches = if is_calm { self.mismatches } else { 0 };
        let counted = [
            (
                self.stamps_leaked,
                "frames of a pause arrived at the service",
            ),
            (audit.leaked, "secret phrases were heard by the service"),
            (
                audit.foreign,
                "phrases came on the stream of the other party",
            ),
            (
                complaints,
                "things were done wrong on sessions that were well",
            ),
            (
                self.commands.streams_given_up,
                "streams ended though nobody had asked",
            ),
            (
                self.commands.pauses_refused,
                "pauses or resumes were refused",
            ),
            (
                self.streams.get("none").copied().unwrap_or(0),
                "streams have no end",
            ),
            (mismatches, "streams have sums that differ"),
            (self.bad_endings(), "calls did not end well"),
            (
                u64::from(!self.all_ended),
                "wait for the calls' ends was in vain",
            ),
            (self.events_lost, "events were lost"),
            (media.stalls, "writes had to wait for the gateway"),
            (media.broken, "callers' sockets broke"),
            (media.kernel_drops, "packets were not read in time"),
            (self.lost(), "samples were lost or late"),
            (
                media.sent.abs_diff(media.received),
                "samples differ between sent and received",
            ),
            (growth, "bytes of memory more than what may be kept"),
            (creep, "bytes of memory too many in the second half"),
        ];
        let counted = counted.into_iter().filter(|(number, _)| *number > 0);
        let mut faults = self.words.faults();
        faults.extend(counted.map(|(number, what)| format!("{number} {what}")));
        faults
    }

    fn complaints(&self) -> &[String] {
        &self.words.complaints
    }
}

impl Memory {
    /// Looks for the first time, after the ramp-up.
    pub(super) fn new(meter: Meter) -> anyhow::Result<Self> {
        let mut memory = Self {
            meter: Some(meter),
            ..Self::default()
        };
        memory.look()?;
        memory.ramped = memory.last;
        Ok(memory)
    }

    /// Looks again.
    pub(super) fn look(&mut self) -> anyhow::Result<()> {
        if let Some(meter) = self.meter {
            self.last = meter.read()?.resident;
            self.most = self.most.max(self.last);
        }
        Ok(())
    }

    /// Half of the run is over.
    pub(super) fn halve(&mut self) {
        self.half = self.last;
    }

    /// The last look, in words.
    pub(super) fn last(&self) -> String {
        mib(self.last)
    }
}
