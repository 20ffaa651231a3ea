//! Packets of one media line, put on the line's clock: SSRC, order, loss, jumps, wrap.
//!
//! Samples are counted at 8 kHz. RFC 3550 §6.4, appendix A.1, A.8.
//!
//! A line is locked to one source. Another one has to come in a row while the old one is silent, so
//! neither a stray packet nor a burst from elsewhere takes the line. Its port is expected to have
//! been drained of what was sent to an earlier session.

use std::time::{Duration, Instant};

use crate::packet::{Header, Packet};
use crate::rtcp::ReportBlock;

mod admission;
mod fuzz;
mod reports;
mod sequence;
mod timeline;

use admission::{Candidate, Source};
pub use fuzz::fuzz;
pub use reports::NtpReference;
use reports::{Jitter, Reports};
use sequence::{Sequence, Standing};
use timeline::{Arrived, Spot, Timeline};

/// What a payload number means on this line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadKind {
    /// Comfort noise: silence of unknown length, never decoded. RFC 3389.
    ComfortNoise,
    /// A key pressed, at this clock rate. RFC 4733.
    Events(u32),
    /// Sound at 8 kHz: bytes a sample (G.711: 1, L16: 2).
    Sound {
        /// 1 or 2.
        bytes_per_sample: u8,
    },
}

/// What is to be done with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// Sound at this position of the line's clock, in samples.
    Sound {
        /// Samples since the line's clock began.
        position: u64,
    },
    /// The stream began anew elsewhere (SSRC change, jump): sound at this position, and what lies
    /// before it is a discontinuity, not loss.
    Restarted {
        /// Samples since the line's clock began.
        position: u64,
    },
    /// A packet of comfort noise or of key events, whose payload may be looked at; or one of sound
    /// without any, which keeps the line alive.
    Event,
    /// Not used, and why. Counted.
    Discarded(Discarded),
}

/// Why a packet is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Discarded {
    /// It was here already.
    Duplicate,
    /// From an earlier session on this port, or a source that is not locked.
    Foreign,
    /// Too old to be placed.
    Late,
    /// Its payload number means nothing on this line.
    WrongType,
}

/// Counts of one line, RFC 3550 §6.4.1 and ours. Each packet is one of `received`, `duplicates`,
/// `late` and `discarded`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiverStats {
    /// Packets that were placed.
    pub received: u64,
    /// Sequence numbers that never came, as known now.
    pub lost: u64,
    /// Those of them that are among the newest 64 and may only have been overtaken.
    pub pending: u64,
    /// Came again.
    pub duplicates: u64,
    /// Came after their successors and were placed all the same.
    pub reordered: u64,
    /// Came too late.
    pub late: u64,
    /// Other discards.
    pub discarded: u64,
    /// SSRC changes after the first.
    pub sources: u64,
    /// Jumps of the timestamp or the sequence number.
    pub jumps: u64,
    /// Interarrival jitter in timestamp units.
    pub jitter: u32,
}

/// Limits of one [`Receiver`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiverConfig {
    /// A source that was silent for so long gives way to another at once. Default 500 ms.
    pub silent_after: Duration,
    /// So many packets in a row of another source, with none of the old one between, make it the
    /// line's source; fewer if the old one itself has not sent so many. Default 3.
    pub probation: u16,
    /// But not before the old source was silent for so long. Default 50 ms.
    pub probation_silence: Duration,
    /// So many packets of the old source after [`Receiver::renew`] or [`Receiver::goodbye`], and
    /// it keeps the line after all. Default 50.
    pub renewal: u16,
    /// Timestamps and arrival may disagree by so much between two packets; by more is a jump.
    /// Default 1 s.
    pub agreement: Duration,
    /// A sender report may come so much earlier or later than the reference says; else the lines
    /// have no NTP clock in common. Default 250 ms.
    pub ntp_agreement: Duration,
    /// After so long without sound a line may be put right. Default 200 ms.
    pub spurt_gap: Duration,
}

/// One line's receiver.
#[derive(Clone, Debug, Default)]
pub struct Receiver {
    config: ReceiverConfig,
    stats: ReceiverStats,
    source: Option<Source>,
    candidate: Option<Candidate>,
    /// While not 0 another source is taken at once.
    renewal: u16,
    timeline: Timeline,
    jitter: Jitter,
    reports: Reports,
}

impl Default for ReceiverConfig {
    fn default() -> Self {
        Self {
            silent_after: Duration::from_millis(500),
            probation: 3,
            probation_silence: Duration::from_millis(50),
            renewal: 50,
            agreement: Duration::from_secs(1),
            ntp_agreement: Duration::from_millis(250),
            spurt_gap: Duration::from_millis(200),
        }
    }
}

impl Receiver {
    /// Before the first packet, with the default limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Before the first packet.
    pub fn with_config(config: ReceiverConfig) -> Self {
        Self {
            config,
            ..Self::default()
        }
    }

    /// Places one packet. `wall` is the session's clock by arrival, in samples at 8 kHz since the
    /// session began: it anchors the first packet, and those after an SSRC change or a jump. All
    /// lines of a session share it, so what is silent at first keeps its place.
    pub fn place(
        &mut self,
        now: Instant,
        wall: u64,
        packet: &Packet<'_>,
        kind: Option<PayloadKind>,
    ) -> Placed {
        self.place_header(now, wall, &packet.header(), kind)
    }

    /// As [`Receiver::place`], of a packet whose payload nobody may look at.
    pub fn place_header(
        &mut self,
        now: Instant,
        wall: u64,
        header: &Header,
        kind: Option<PayloadKind>,
    ) -> Placed {
        let wall = clock(wall);
        let placed = match kind {
            Some(kind) => self.admit(now, wall, header, kind).and_then(|standing| {
                let placed = self.settle(wall, header, kind, standing)?;
                self.stats.reordered += u64::from(matches!(standing, Standing::Behind(_)));
                Ok(placed)
            }),
            None => {
                self.tick(header);
                Err(Discarded::WrongType)
            }
        };
        self.count(placed)
    }

    /// An RTCP sender report says: this RTP timestamp is this NTP time (RFC 3550 §6.4.1). Lines of
    /// one session with the same NTP clock are aligned by it, after a silence or where a line
    /// begins anew, never in the middle of speech.
    pub fn sender_report(&mut self, ssrc: u32, ntp: u64, timestamp: u32, wall: u64) {
        let is_ours = self
            .source
            .as_ref()
            .is_none_or(|source| source.ssrc == ssrc);
        let is_next = self.candidate.is_some_and(|next| next.ssrc == ssrc);
        if is_ours || is_next {
            self.reports.hear(ssrc, ntp, timestamp, clock(wall));
        }
    }

    /// What this line's sender reports say of the session's clock; give it to the other lines.
    pub fn ntp_reference(&self) -> Option<NtpReference> {
        self.reports.reference()
    }

    /// Takes over another line's reference; used only while this line's own reports agree with it.
    pub fn refer_to(&mut self, reference: NtpReference) {
        self.reports.refer_to(reference);
    }

    /// The source said goodbye (RTCP BYE): the next SSRC is taken at once.
    pub fn goodbye(&mut self, ssrc: u32) {
        if self.ssrc() == Some(ssrc) {
            self.renew();
        }
    }

    /// Signalling says that the source may change (re-INVITE, resume, transfer): the next SSRC is
    /// taken at once.
    pub fn renew(&mut self) {
        self.renewal = self.config.renewal;
    }

    /// The source that the line is locked to.
    pub fn ssrc(&self) -> Option<u32> {
        self.source.as_ref().map(|source| source.ssrc)
    }

    /// For our next RTCP report; `None` if nothing came since the last one. `wall` as in
    /// [`Receiver::place`]. RFC 3550 §6.4.1, appendix A.3.
    pub fn report(&mut self, wall: u64) -> Option<ReportBlock> {
        let source = self.source.as_mut()?;
        if std::mem::take(&mut source.unreported) == 0 {
            return None;
        }
        let (last_report, delay) = self.reports.last(source.ssrc, clock(wall));
        Some(ReportBlock {
            ssrc: source.ssrc,
            fraction_lost: source.sequence.fraction_lost(),
            lost: source.sequence.lost().min(0x7f_ffff) as i32,
            // Cycle 1 is the first, see `Sequence`.
            highest: (source.sequence.highest() - (1 << 16)) as u32,
            jitter: self.jitter.units(),
            last_report,
            delay,
        })
    }

    /// What it has seen.
    pub fn stats(&self) -> ReceiverStats {
        let sequence = self.source.as_ref().map(|source| &source.sequence);
        ReceiverStats {
            lost: self.stats.lost + sequence.map_or(0, Sequence::lost),
            pending: sequence.map_or(0, Sequence::pending),
            jitter: self.jitter.units(),
            ..self.stats
        }
    }

    /// Finds the place of what the line's source sent.
    fn settle(
        &mut self,
        wall: i64,
        header: &Header,
        kind: PayloadKind,
        standing: Standing,
    ) -> Result<Placed, Discarded> {
        let samples = match kind {
            PayloadKind::Sound { bytes_per_sample } => {
                header.payload_len / usize::from(bytes_per_sample.max(1))
            }
            PayloadKind::ComfortNoise | PayloadKind::Events(_) => 0,
        };
        if samples == 0 {
            return Ok(Placed::Event);
        }
        let arrived = self.arrived(wall, header, samples as i64);
        let begins = self.timeline.since(header.timestamp).is_none();
        let spot = self.timeline.place(&self.config, standing, &arrived);
        if let Spot::Anew(_) = spot {
            self.stats.jumps += u64::from(!begins);
            self.jitter.part();
        }
        self.jitter.hear(header.timestamp, wall);
        match spot {
            Spot::At(position) => Ok(Placed::Sound {
                position: position as u64,
            }),
            Spot::Anew(position) => Ok(Placed::Restarted {
                position: position as u64,
            }),
            Spot::Late => Err(Discarded::Late),
        }
    }

    fn arrived(&self, wall: i64, header: &Header, samples: i64) -> Arrived {
        let Header {
            ssrc, timestamp, ..
        } = *header;
        Arrived {
            timestamp,
            samples,
            wall,
            reported: self.reports.position(&self.config, ssrc, timestamp),
        }
    }

    fn count(&mut self, placed: Result<Placed, Discarded>) -> Placed {
        match placed {
            Ok(_) => self.stats.received += 1,
            Err(Discarded::Duplicate) => self.stats.duplicates += 1,
            Err(Discarded::Late) => self.stats.late += 1,
            Err(Discarded::Foreign | Discarded::WrongType) => self.stats.discarded += 1,
        }
        placed.unwrap_or_else(Placed::Discarded)
    }
}

/// The session's clock with room to count beyond it.
fn clock(wall: u64) -> i64 {
    wall.min(1 << 60) as i64
}

#[cfg(test)]
mod tests;
