//! What one stream has yet to send: whole chunks, on the stream's clock, within a limit.

use std::collections::VecDeque;
use std::time::Instant;

use crate::audio::Chunk;
use crate::budget::{Budget, Share};

/// Sound between a leg and its stream. The leg appends, the stream takes; what overflows is the
/// oldest, and is recorded as a [`Gap`].
#[derive(Debug)]
pub struct Backlog {
    chunk_samples: usize,
    chunks_max: usize,
    ready: VecDeque<Chunk>,
    /// What `ready` holds, of what all backlogs may hold together.
    share: Share,
    /// A pause was ordered at this place of the stream's clock, and the stream is yet to hear of
    /// it.
    endpoint: Option<u64>,
    filling: Vec<i16>,
    /// Where `filling` begins, on the stream's clock.
    filling_at: u64,
    /// What stands before this, on the stream's clock, was thrown away by order, and what was taken
    /// of it may not come back.
    discarded_to: u64,
    gaps: VecDeque<Gap>,
    counts: BacklogCounts,
    ended: bool,
}

/// A stretch of the stream's clock in which the service does not, or may not, hear what was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// First sample, on the stream's clock.
    pub from: u64,
    /// Sample after the last.
    pub to: u64,
    /// Why.
    pub reason: GapReason,
}

/// Why a stretch of sound is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GapReason {
    /// `pci.discard_backlog`: thrown away unsent by a stop or a pause.
    Discarded,
    /// The platform's clock jumped by more than is filled; times after it are on the new place.
    Discontinuity,
    /// The platform lost it; silence was sent in its place.
    Lost,
    /// The stream could not send as fast as sound came.
    Overflow,
    /// The stream was cut off before it could send it.
    Outage,
    /// A pause: silence was sent in its place.
    Paused,
    /// It was sent, and lost with its socket before the service had told what it heard: nobody
    /// knows whether it was heard.
    Unconfirmed,
}

/// What went through a backlog, in samples. `appended == taken + dropped + waiting`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BacklogCounts {
    /// Put in, silence included.
    pub appended: u64,
    /// Taken out by the stream.
    pub taken: u64,
    /// Dropped unsent, for lack of room or by order.
    pub dropped: u64,
    /// Jumped over without any sound.
    pub skipped: u64,
}

/// What the stream finds in a backlog.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// A chunk to send.
    Chunk(Chunk),
    /// Nothing yet.
    Nothing,
    /// Nothing is left and nothing more will come.
    Ended,
}

impl Backlog {
    /// Cuts into chunks of `chunk_samples`, keeps at most `chunks_max` of them (at least one).
    pub fn new(chunk_samples: usize, chunks_max: usize) -> Self {
        Self::within(chunk_samples, chunks_max, &Budget::unlimited())
    }

    /// The same, and what it holds counts towards a budget that it shares with others.
    pub fn within(chunk_samples: usize, chunks_max: usize, budget: &Budget) -> Self {
        Self {
            chunk_samples: chunk_samples.max(1),
            chunks_max: chunks_max.max(1),
            ready: VecDeque::new(),
            share: budget.share(),
            endpoint: None,
            filling: Vec::with_capacity(chunk_samples + chunk_samples / 4),
            filling_at: 0,
            discarded_to: 0,
            gaps: VecDeque::new(),
            counts: BacklogCounts::default(),
            ended: false,
        }
    }

    /// Where the next sample will stand, on the stream's clock.
    pub fn end(&self) -> u64 {
        self.filling_at + self.filling.len() as u64
    }

    /// Appends what `write` puts at the end of the vector it is given. True if a chunk became
    /// ready.
    pub fn append(&mut self, now: Instant, write: impl FnOnce(&mut Vec<i16>)) -> bool {
        let before = self.filling.len();
        write(&mut self.filling);
        self.counts.appended += (self.filling.len() - before) as u64;
        let mut ready = false;
        while self.filling.len() >= self.chunk_samples {
            self.cut(now);
            ready = true;
        }
        ready
    }

    /// Appends digital silence.
    pub fn append_silence(&mut self, now: Instant, samples: u64) -> bool {
        let mut ready = false;
        let mut left = samples;
        while left > 0 {
            let piece = left.min(self.chunk_samples as u64);
            ready |= self.append(now, |out| out.resize(out.len() + piece as usize, 0));
            left -= piece;
        }
        ready
    }

    /// Jumps over `samples` of the stream's clock without any sound. What is in hand is cut short
    /// first.
    pub fn skip(&mut self, now: Instant, samples: u64) {
        self.flush(now);
        self.filling_at += samples;
        self.counts.skipped += samples;
    }

    /// A pause begins here: what is in hand becomes a short chunk.
    pub fn endpoint(&mut self, now: Instant) {
        self.flush(now);
        self.endpoint = Some(self.filling_at);
    }

    /// Makes a last, short chunk of what is in hand.
    pub fn flush(&mut self, now: Instant) {
        if !self.filling.is_empty() {
            self.cut(now);
        }
    }

    /// Throws away all that is unsent and records it as a gap.
    pub fn discard(&mut self) {
        let from = self
            .ready
            .front()
            .map_or(self.filling_at, |chunk| chunk.position);
        let to = self.end();
        let waiting = self.waiting();
        self.ready.clear();
        self.share.give_back(self.share.samples());
        self.filling.clear();
        self.filling_at = to;
        self.discarded_to = to;
        self.counts.dropped += waiting;
        if waiting > 0 {
            self.note(Gap {
                from,
                to,
                reason: GapReason::Discarded,
            });
        }
    }

    /// No more will be appended; what is in hand becomes a last, short chunk.
    pub fn finish(&mut self, now: Instant) {
        self.flush(now);
        self.ended = true;
    }

    /// What the stream may send next.
    pub fn take(&mut self) -> Taken {
        match (self.ready.pop_front(), self.ended) {
            (Some(chunk), _) => {
                self.counts.taken += chunk.len();
                self.share.give_back(chunk.len());
                Taken::Chunk(chunk)
            }
            (None, true) => Taken::Ended,
            (None, false) => Taken::Nothing,
        }
    }

    /// Whether all that was said before the newest pause has been taken. True once a pause: then
    /// the service need not wait for more of it.
    pub fn take_endpoint(&mut self) -> bool {
        let front = self.ready.front();
        let next = front.map_or(self.filling_at, |chunk| chunk.position);
        self.endpoint
            .take_if(|endpoint| *endpoint <= next)
            .is_some()
    }

    /// What stands before this, on the stream's clock, was thrown away by order: what was taken of
    /// it is not to be sent again.
    pub fn discarded_to(&self) -> u64 {
        self.discarded_to
    }

    /// Puts back a chunk that was taken and could not be sent. False if something was dropped:
    /// there was no room, or it was thrown away by order meanwhile.
    pub fn untake(&mut self, chunk: Chunk) -> bool {
        self.counts.taken -= chunk.len();
        if chunk.position < self.discarded_to {
            self.counts.dropped += chunk.len();
            let (from, to) = (chunk.position, chunk.position + chunk.len());
            self.note(Gap {
                from,
                to,
                reason: GapReason::Discarded,
            });
            return false;
        }
        self.share.add(chunk.len());
        self.ready.push_front(chunk);
        let dropped = self.counts.dropped;
        self.shed();
        self.counts.dropped == dropped
    }

    /// Records a stretch that is missing. Stretches of one reason that touch become one, whatever
    /// was recorded between: what is dropped at the front and what a pause fills at the end come in
    /// turns.
    pub fn note(&mut self, gap: Gap) {
        let has_room = self.gaps.len() < Self::GAPS_MAX;
        let mut newest = self.gaps.iter_mut().rev();
        match newest.find(|known| known.reason == gap.reason) {
            Some(last) if last.to == gap.from => last.to = gap.to,
            // The list is full: the newest of its reason grows over what lies between them, so no
            // stretch goes unreported.
            Some(last) if !has_room => {
                last.from = last.from.min(gap.from);
                last.to = last.to.max(gap.to);
            }
            _ => self.gaps.push_back(gap),
        }
    }

    /// The next recorded gap.
    pub fn take_gap(&mut self) -> Option<Gap> {
        self.gaps.pop_front()
    }

    /// What went through, in samples.
    pub fn counts(&self) -> BacklogCounts {
        self.counts
    }

    /// Samples not yet taken.
    pub fn waiting(&self) -> u64 {
        self.share.samples() + self.filling.len() as u64
    }

    /// What its sound counts towards.
    pub fn budget(&self) -> &Budget {
        self.share.budget()
    }

    /// Whether a chunk is ready to be taken.
    pub fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether nothing more will be appended.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// How many gaps may wait to be told; and one of each reason that none of them has.
    pub const GAPS_MAX: usize = 64;

    fn cut(&mut self, now: Instant) {
        let length = self.filling.len().min(self.chunk_samples);
        let mut next = Vec::with_capacity(self.chunk_samples + self.chunk_samples / 4);
        next.extend_from_slice(&self.filling[length..]);
        let mut samples = std::mem::replace(&mut self.filling, next);
        samples.truncate(length);
        self.ready.push_back(Chunk {
            position: self.filling_at,
            samples,
            arrived: now,
        });
        self.filling_at += length as u64;
        self.share.add(length as u64);
        self.shed();
    }

    /// Drops the oldest while there is too much of its own, or of all while it has more than its
    /// fair floor.
    fn shed(&mut self) {
        while (self.ready.len() > self.chunks_max || self.share.is_to_shed())
            && let Some(chunk) = self.ready.pop_front()
        {
            self.share.give_back(chunk.len());
            self.counts.dropped += chunk.len();
            let to = chunk.position + chunk.len();
            self.note(Gap {
                from: chunk.position,
                to,
                reason: GapReason::Overflow,
            });
        }
    }
}

impl GapReason {
    /// All of them, in alphabetical order.
    pub const ALL: [Self; 7] = [
        Self::Discarded,
        Self::Discontinuity,
        Self::Lost,
        Self::Overflow,
        Self::Outage,
        Self::Paused,
        Self::Unconfirmed,
    ];

    /// For labels and events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Discarded => "discarded",
            Self::Discontinuity => "discontinuity",
            Self::Lost => "lost",
            Self::Overflow => "overflow",
            Self::Outage => "outage",
            Self::Paused => "paused",
            Self::Unconfirmed => "unconfirmed",
        }
    }
}

#[cfg(test)]
mod tests;
