//! What was sent over a socket and not confirmed yet by a final transcript: kept, within a limit,
//! to be sent again if the socket is lost.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use call::audio::{self, Chunk, Packed};
use call::budget::{Budget, Keep};

use super::stretches::{Stretches, is_loud, wipe};

/// What one socket carries away with it if it is lost.
#[derive(Debug)]
pub(crate) struct Replay {
    /// How many samples are kept once the service has accepted the stream.
    max: u64,
    kept: VecDeque<Kept>,
    /// Samples in `kept`.
    samples: u64,
    /// The same, of what all streams may keep and have waiting.
    share: Keep,
    /// The chunk that is being written.
    writing: Option<Sent>,
    /// What is too old to be sent again, or may not be.
    beyond: Stretches,
    /// Up to where finals have come, on the stream's clock.
    confirmed_to: Option<u64>,
}

/// A chunk that was handed to a socket.
#[derive(Debug)]
pub(crate) struct Sent {
    /// Without any padding.
    pub(crate) chunk: Chunk,
    /// How many of its samples, the last ones, had not been sent before.
    pub(crate) fresh: u64,
    /// Whether something may be said in it.
    pub(crate) is_loud: bool,
}

/// The same, written and kept small: most of what is kept is never wanted again.
#[derive(Debug)]
struct Kept {
    position: u64,
    sound: Packed,
    arrived: Instant,
    fresh: u64,
    is_loud: bool,
}

/// What is left of it when the socket is gone.
#[derive(Debug)]
pub(crate) struct Leavings {
    /// Sent and not confirmed.
    pub(crate) kept: VecDeque<Sent>,
    /// Perhaps not even sent.
    pub(crate) writing: Option<Sent>,
    /// Sent, not confirmed, and not to be sent again.
    pub(crate) beyond: Stretches,
    /// Up to where finals had come.
    pub(crate) confirmed_to: Option<u64>,
}

impl Replay {
    /// So much silence before a word is sent again with it.
    const LEAD_IN: Duration = Duration::from_millis(300);

    /// Keeps at most so much of what the service has accepted, and less when all streams together
    /// have no room for it.
    pub(crate) fn new(max: Duration, budget: &Budget) -> Self {
        Self {
            max: audio::samples(max),
            kept: VecDeque::new(),
            samples: 0,
            share: budget.keep(),
            writing: None,
            beyond: Stretches::default(),
            confirmed_to: None,
        }
    }

    /// A chunk is being written.
    pub(crate) fn write(&mut self, sent: Sent) {
        debug_assert!(self.writing.is_none(), "one chunk is written at a time");
        self.writing = Some(sent);
    }

    /// It is written. Tells when the last of its samples arrived, if that was sent for the first
    /// time.
    pub(crate) fn written(&mut self) -> Option<Instant> {
        let sent = self.writing.take()?;
        self.samples += sent.chunk.len();
        self.share.set(self.samples);
        let arrived = (sent.fresh > 0).then_some(sent.chunk.arrived);
        self.kept.push_back(sent.keep());
        arrived
    }

    /// Samples that are kept, that under way included.
    pub(crate) fn samples(&self) -> u64 {
        self.samples + self.writing.as_ref().map_or(0, |sent| sent.chunk.len())
    }

    /// Forgets the sound of what is too old or too much for all, and silence before the first of
    /// what may be words: a quiet side costs no memory. Only for what the service has accepted.
    pub(crate) fn age(&mut self) {
        while self.begins_quietly() {
            self.drop_oldest();
        }
        while self.samples > self.max || self.share.is_to_shed() {
            let Some(oldest) = self.drop_oldest() else {
                return;
            };
            oldest.note(&mut self.beyond);
        }
    }

    /// A final transcript reaches up to here.
    pub(crate) fn confirm(&mut self, to: u64) {
        let to = self.confirmed_to.map_or(to, |known| known.max(to));
        self.confirmed_to = Some(to);
        self.beyond.clip(to);
        while self.kept.front().is_some_and(|oldest| oldest.end() <= to) {
            self.drop_oldest();
        }
    }

    /// What stands before this was thrown away by order: it is not sent again.
    pub(crate) fn purge(&mut self, before: u64) {
        while self
            .kept
            .front()
            .is_some_and(|oldest| oldest.position < before)
            && let Some(mut oldest) = self.drop_oldest()
        {
            oldest.note(&mut self.beyond);
            oldest.sound.wipe();
        }
        let writing = self.writing.take_if(|sent| sent.chunk.position < before);
        if let Some(mut sent) = writing {
            sent.note(&mut self.beyond);
            wipe(&mut sent.chunk);
        }
    }

    /// The socket is gone.
    pub(crate) fn leave(mut self) -> Leavings {
        self.beyond.clip(self.confirmed_to.unwrap_or(0));
        Leavings {
            kept: self.kept.into_iter().map(Kept::give_back).collect(),
            writing: self.writing,
            beyond: self.beyond,
            confirmed_to: self.confirmed_to,
        }
    }

    /// Whether the oldest is silence, and so is all that a recogniser needs before a word.
    fn begins_quietly(&self) -> bool {
        let Some(oldest) = self.kept.front().filter(|oldest| !oldest.is_loud) else {
            return false;
        };
        let quiet = self.kept.iter().skip(1).take_while(|sent| !sent.is_loud);
        let lead_in = oldest.end() + audio::samples(Self::LEAD_IN);
        quiet.map(Kept::end).any(|end| end >= lead_in)
    }

    fn drop_oldest(&mut self) -> Option<Kept> {
        let oldest = self.kept.pop_front()?;
        self.samples -= oldest.sound.len();
        self.share.set(self.samples);
        Some(oldest)
    }
}

impl Sent {
    pub(crate) fn new(chunk: Chunk, fresh: u64) -> Self {
        let is_loud = is_loud(&chunk);
        Self {
            chunk,
            fresh,
            is_loud,
        }
    }

    /// Sample after its last, on the stream's clock.
    pub(crate) fn end(&self) -> u64 {
        self.chunk.position + self.chunk.len()
    }

    fn note(&self, stretches: &mut Stretches) {
        stretches.see(self.chunk.position, self.end(), self.is_loud);
    }

    fn keep(self) -> Kept {
        Kept {
            position: self.chunk.position,
            sound: Packed::new(&self.chunk.samples),
            arrived: self.chunk.arrived,
            fresh: self.fresh,
            is_loud: self.is_loud,
        }
    }
}

impl Kept {
    fn end(&self) -> u64 {
        self.position + self.sound.len()
    }

    fn note(&self, stretches: &mut Stretches) {
        stretches.see(self.position, self.end(), self.is_loud);
    }

    fn give_back(self) -> Sent {
        let chunk = Chunk {
            position: self.position,
            samples: self.sound.unpacked(),
            arrived: self.arrived,
        };
        Sent {
            chunk,
            fresh: self.fresh,
            is_loud: self.is_loud,
        }
    }
}

impl Leavings {
    /// Where somebody spoke, if none of it is sent again.
    pub(crate) fn forsaken(mut self) -> Stretches {
        for sent in self.kept.iter().chain(&self.writing) {
            sent.note(&mut self.beyond);
        }
        self.beyond.clip(self.confirmed_to.unwrap_or(0));
        self.beyond
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const LOUD: i16 = 1000;

    fn sent(position: u64, sample: i16) -> Sent {
        let chunk = Chunk {
            position,
            samples: vec![sample; 800],
            arrived: Instant::now(),
        };
        Sent::new(chunk, 800)
    }

    /// Ten written chunks of 100 ms, all loud, of which half a second is kept.
    fn ten() -> Replay {
        let mut replay = Replay::new(Duration::from_millis(500), &Budget::unlimited());
        for n in 0..10 {
            replay.write(sent(n * 800, LOUD));
            replay.written();
        }
        replay
    }

    fn kept(leavings: &Leavings) -> Vec<u64> {
        let positions = leavings.kept.iter().map(|sent| sent.chunk.position);
        positions.collect()
    }

    fn told(stretches: Stretches) -> Vec<(u64, u64)> {
        let gaps = stretches.unconfirmed();
        gaps.map(|gap| (gap.from, gap.to)).collect()
    }

    #[test]
    fn all_is_kept_until_it_may_age() {
        let mut replay = ten();
        assert_eq!(replay.samples(), 8000);
        replay.age();
        assert_eq!(replay.samples(), 4000);
        let leavings = replay.leave();
        assert_eq!(kept(&leavings), [4000, 4800, 5600, 6400, 7200]);
        assert_eq!(told(leavings.beyond), [(0, 4000)]);
    }

    #[test]
    fn what_all_streams_have_no_room_for_is_forgotten_the_oldest_first() {
        let budget = Budget::new(4 * 1600, Duration::ZERO);
        let mut replay = Replay::new(Duration::from_secs(15), &budget);
        for n in 0..10 {
            replay.write(sent(n * 800, LOUD));
            replay.written();
            replay.age();
        }
        assert_eq!((replay.samples(), budget.kept_bytes()), (3200, 6400));
        let leavings = replay.leave();
        assert_eq!(kept(&leavings), [4800, 5600, 6400, 7200]);
        assert_eq!(told(leavings.beyond), [(0, 4800)]);
        assert_eq!(budget.kept_bytes(), 0);
    }

    #[test]
    fn of_silence_only_what_leads_to_a_word_is_kept() {
        let mut replay = Replay::new(Duration::from_secs(15), &Budget::unlimited());
        for n in 0..20 {
            replay.write(sent(n * 800, if n < 15 { 100 } else { LOUD }));
            replay.written();
            replay.age();
            assert!(replay.samples() <= 8 * 800, "{n}");
        }
        let leavings = replay.leave();
        assert_eq!(kept(&leavings)[..4], [9600, 10400, 11200, 12000]);
        assert_eq!(told(leavings.forsaken()), [(12_000, 16_000)]);
    }

    #[test]
    fn what_a_final_reaches_is_not_kept() {
        let mut replay = ten();
        replay.confirm(5000);
        replay.confirm(100);
        let leavings = replay.leave();
        assert_eq!(kept(&leavings), [4800, 5600, 6400, 7200]);
        assert_eq!(told(leavings.forsaken()), [(5000, 8000)]);
    }

    #[test]
    fn what_is_being_written_is_never_confirmed_nor_too_old() {
        let mut replay = Replay::new(Duration::ZERO, &Budget::unlimited());
        replay.write(sent(0, LOUD));
        replay.confirm(8000);
        replay.age();
        assert_eq!(replay.leave().writing.unwrap().chunk.position, 0);
    }

    #[test]
    fn with_nothing_to_keep_only_places_are_remembered() {
        let mut replay = Replay::new(Duration::ZERO, &Budget::unlimited());
        for n in 0..3 {
            replay.write(sent(n * 800, if n == 1 { LOUD } else { 0 }));
            replay.written();
            replay.age();
            assert_eq!(replay.samples(), 0);
        }
        assert_eq!(told(replay.leave().forsaken()), [(800, 1600)]);
    }

    #[test]
    fn what_was_thrown_away_by_order_is_not_kept() {
        let mut replay = ten();
        replay.write(sent(8000, LOUD));
        replay.purge(8800);
        assert_eq!(replay.samples(), 0);
        replay.write(sent(8800, LOUD));
        let leavings = replay.leave();
        assert_eq!(leavings.writing.as_ref().unwrap().chunk.position, 8800);
        assert_eq!(told(leavings.beyond), [(0, 8800)]);
    }
}
