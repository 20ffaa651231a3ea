//! What was sent over a socket and not confirmed yet by a final transcript: kept, within a limit,
//! to be sent again if the socket is lost.

use std::collections::VecDeque;
use std::time::Duration;

use call::audio::{self, Chunk};

use super::stretches::{Stretches, is_loud, wipe};

/// What one socket carries away with it if it is lost.
#[derive(Debug)]
pub(crate) struct Replay {
    /// How many samples are kept once the service has accepted the stream.
    max: u64,
    kept: VecDeque<Sent>,
    /// Samples in `kept`.
    samples: u64,
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

    /// Keeps at most so much of what the service has accepted.
    pub(crate) fn new(max: Duration) -> Self {
        Self {
            max: audio::samples(max),
            kept: VecDeque::new(),
            samples: 0,
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

    /// It is written. Gives back what was, to be counted.
    pub(crate) fn written(&mut self) -> Option<&Sent> {
        let sent = self.writing.take()?;
        self.samples += sent.chunk.len();
        self.kept.push_back(sent);
        self.kept.back()
    }

    /// Samples that are kept, that under way included.
    pub(crate) fn samples(&self) -> u64 {
        self.samples + self.writing.as_ref().map_or(0, |sent| sent.chunk.len())
    }

    /// Forgets the sound of what is too old, and silence before the first of what may be words: a
    /// quiet side costs no memory. Only for what the service has accepted.
    pub(crate) fn age(&mut self) {
        while self.begins_quietly() {
            self.drop_oldest();
        }
        while self.samples > self.max {
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
        let is_before = |sent: &Sent| sent.chunk.position < before;
        while self.kept.front().is_some_and(is_before)
            && let Some(oldest) = self.drop_oldest()
        {
            self.forsake(oldest);
        }
        if let Some(sent) = self.writing.take_if(|sent| is_before(sent)) {
            self.forsake(sent);
        }
    }

    /// The socket is gone.
    pub(crate) fn leave(mut self) -> Leavings {
        self.beyond.clip(self.confirmed_to.unwrap_or(0));
        Leavings {
            kept: self.kept,
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
        quiet.map(Sent::end).any(|end| end >= lead_in)
    }

    fn drop_oldest(&mut self) -> Option<Sent> {
        let oldest = self.kept.pop_front()?;
        self.samples -= oldest.chunk.len();
        Some(oldest)
    }

    fn forsake(&mut self, mut sent: Sent) {
        sent.note(&mut self.beyond);
        wipe(&mut sent.chunk);
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
        let mut replay = Replay::new(Duration::from_millis(500));
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
    fn of_silence_only_what_leads_to_a_word_is_kept() {
        let mut replay = Replay::new(Duration::from_secs(15));
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
        let mut replay = Replay::new(Duration::ZERO);
        replay.write(sent(0, LOUD));
        replay.confirm(8000);
        replay.age();
        assert_eq!(replay.leave().writing.unwrap().chunk.position, 0);
    }

    #[test]
    fn with_nothing_to_keep_only_places_are_remembered() {
        let mut replay = Replay::new(Duration::ZERO);
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
