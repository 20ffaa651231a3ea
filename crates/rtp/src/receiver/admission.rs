//! Which source a line is locked to, and what of it belongs to the line.

use std::time::Instant;

use super::sequence::{Sequence, Standing};
use super::{Discarded, PayloadKind, Receiver, timeline};
use crate::packet::Header;

/// The source that the line is locked to.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) ssrc: u32,
    pub(super) sequence: Sequence,
    pub(super) heard: Instant,
    /// Packets since the lock, and since the last report of ours.
    pub(super) packets: u64,
    pub(super) unreported: u64,
}

/// A source that wants the line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) ssrc: u32,
    pub(super) next: u16,
    pub(super) in_a_row: u16,
}

impl Receiver {
    /// Whether a packet belongs to the line's source, or makes another one the line's.
    pub(super) fn admit(
        &mut self,
        now: Instant,
        wall: i64,
        header: &Header,
        kind: PayloadKind,
    ) -> Result<Standing, Discarded> {
        let Some(source) = &self.source else {
            return Ok(self.adopt(now, header));
        };
        let mut refusal = Discarded::Foreign;
        if source.ssrc == header.ssrc {
            let standing = source.sequence.judge(header.sequence);
            let is_out_of_place = self.is_out_of_place(header, kind);
            match standing {
                Standing::Ahead(_) => return Ok(self.accept(now, standing)),
                Standing::Behind(_) if !is_out_of_place => return Ok(self.accept(now, standing)),
                Standing::Duplicate if !is_out_of_place => return Err(Discarded::Duplicate),
                Standing::Far(number) if self.is_outage(wall, header, number) => {
                    return Ok(self.accept(now, Standing::Ahead(number)));
                }
                Standing::Far(_) if self.agrees(wall, header) => {
                    return Ok(self.adopt(now, header));
                }
                Standing::Old => refusal = Discarded::Late,
                Standing::Behind(_) | Standing::Duplicate | Standing::Far(_) => {}
            }
        }
        if self.gives_way(now, header) {
            return Ok(self.adopt(now, header));
        }
        Err(refusal)
    }

    /// Locks the line to the packet's source.
    fn adopt(&mut self, now: Instant, header: &Header) -> Standing {
        if let Some(before) = &self.source {
            self.stats.lost += before.sequence.lost();
            match before.ssrc == header.ssrc {
                true => self.stats.jumps += 1,
                false => self.stats.sources += 1,
            }
        }
        let sequence = Sequence::begin(header.sequence);
        let standing = Standing::Ahead(sequence.highest());
        self.source = Some(Source {
            ssrc: header.ssrc,
            sequence,
            heard: now,
            packets: 1,
            unreported: 1,
        });
        self.candidate = None;
        self.renewal = 0;
        self.timeline.part();
        self.jitter.part();
        standing
    }

    fn accept(&mut self, now: Instant, standing: Standing) -> Standing {
        self.candidate = None;
        self.renewal = self.renewal.saturating_sub(1);
        if let (Some(source), Standing::Ahead(number) | Standing::Behind(number)) =
            (&mut self.source, standing)
        {
            source.sequence.take(number);
            source.heard = now;
            source.packets += 1;
            source.unreported += 1;
        }
        standing
    }

    /// Whether the line's source has to give way to the packet's.
    fn gives_way(&mut self, now: Instant, header: &Header) -> bool {
        let Some(source) = &self.source else {
            return true;
        };
        let silent = now.saturating_duration_since(source.heard);
        if self.renewal > 0 && source.ssrc != header.ssrc || silent >= self.config.silent_after {
            return true;
        }
        let in_a_row = match self.candidate {
            Some(it) if (it.ssrc, it.next) == (header.ssrc, header.sequence) => it.in_a_row + 1,
            _ => 1,
        };
        self.candidate = Some(Candidate {
            ssrc: header.ssrc,
            next: header.sequence.wrapping_add(1),
            in_a_row,
        });
        let wanted = source.packets.saturating_add(1);
        u64::from(in_a_row) >= wanted.min(u64::from(self.config.probation))
            && silent >= self.config.probation_silence
    }

    /// Whether a packet with an old number has a timestamp that is not old: then the source counts
    /// anew.
    fn is_out_of_place(&self, header: &Header, kind: PayloadKind) -> bool {
        matches!(kind, PayloadKind::Sound { .. })
            && self
                .timeline
                .since(header.timestamp)
                .is_some_and(|(elapsed, _)| elapsed > 0)
    }

    /// Whether so many packets were really lost: the time for them has passed on both clocks.
    fn is_outage(&self, wall: i64, header: &Header, number: u64) -> bool {
        let (Some(source), Some((elapsed, samples))) =
            (&self.source, self.timeline.since(header.timestamp))
        else {
            return false;
        };
        let missed = (number - source.sequence.highest()) as i64 * samples;
        let agreement = timeline::samples(self.config.agreement);
        (missed - elapsed).abs() <= agreement && self.agrees(wall, header)
    }

    fn agrees(&self, wall: i64, header: &Header) -> bool {
        let arrived = self.arrived(wall, header, 0);
        self.timeline.agrees(&self.config, &arrived)
    }

    /// A payload number that means nothing has a sequence number all the same: it is not lost.
    pub(super) fn tick(&mut self, header: &Header) {
        let Some(source) = &mut self.source else {
            return;
        };
        if source.ssrc == header.ssrc
            && let Standing::Ahead(number) | Standing::Behind(number) =
                source.sequence.judge(header.sequence)
        {
            source.sequence.take(number);
        }
    }
}
