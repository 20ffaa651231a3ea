//! Where on the stream's clock somebody spoke, remembered without the sound.

use std::collections::VecDeque;

use call::audio::{self, Chunk};
use call::backlog::{Gap, GapReason};

use std::time::Duration;

/// A chunk whose loudest sample is below this (about -42 dBFS) holds nothing that was said.
const QUIET: u16 = 260;

/// Stretches of sound that is not quiet, in their order. A pause between two words belongs to the
/// stretch, its quiet edges do not.
#[derive(Debug, Default)]
pub(crate) struct Stretches {
    all: VecDeque<Stretch>,
    /// How far sound was looked at without a hole.
    seen_to: u64,
    /// Whether there was a hole behind the newest stretch.
    is_torn: bool,
    /// Up to where finals have come, if any has.
    final_to: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Stretch {
    from: u64,
    to: u64,
}

impl Stretches {
    /// A longer silence parts two stretches.
    const PAUSE: Duration = Duration::from_secs(1);
    /// What ends this near to the end of a final transcript is the end of what it tells: services
    /// put it where the last word ends, a little before the last sound.
    pub(crate) const TAIL: Duration = Duration::from_millis(150);
    /// How many are kept apart; beyond that the two oldest become one.
    const MAX: usize = 64;

    /// The next piece of sound: samples from `from` to `to`.
    pub(crate) fn see(&mut self, from: u64, to: u64, is_loud: bool) {
        self.is_torn |= from != self.seen_to;
        self.seen_to = to;
        if !is_loud || from >= to {
            return;
        }
        let pause = audio::samples(Self::PAUSE);
        match self.all.back_mut() {
            Some(last) if !self.is_torn && from - last.to <= pause => last.to = to,
            _ => self.all.push_back(Stretch { from, to }),
        }
        self.is_torn = false;
        if self.all.len() > Self::MAX
            && let Some(oldest) = self.all.pop_front()
            && let Some(next) = self.all.front_mut()
        {
            next.from = oldest.from;
        }
    }

    /// Nothing is to be said of what lies before this, for a final transcript reaches up to it; 0
    /// if none has come.
    pub(crate) fn clip(&mut self, before: u64) {
        self.final_to = self.final_to.max(Some(before).filter(|before| *before > 0));
        while self.all.front().is_some_and(|first| first.to <= before) {
            self.all.pop_front();
        }
        if let Some(first) = self.all.front_mut() {
            first.from = first.from.max(before);
        }
    }

    /// What is to be told of them when nobody knows whether they were heard.
    pub(crate) fn unconfirmed(self) -> impl Iterator<Item = Gap> {
        let tail_to = self
            .final_to
            .map_or(0, |to| to.saturating_add(audio::samples(Self::TAIL)));
        let all = self.all.into_iter().filter(move |last| last.to > tail_to);
        all.map(|Stretch { from, to }| Gap {
            from,
            to,
            reason: GapReason::Unconfirmed,
        })
    }
}

/// Whether something may have been said in a chunk.
pub(crate) fn is_loud(chunk: &Chunk) -> bool {
    let peak = chunk.samples.iter().map(|sample| sample.unsigned_abs());
    peak.max().unwrap_or(0) >= QUIET
}

/// Leaves nothing of a chunk's sound behind.
pub(crate) fn wipe(chunk: &mut Chunk) {
    chunk.samples.fill(0);
    // So that no compiler finds that nobody reads these zeros.
    std::hint::black_box(&mut chunk.samples);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretches(pieces: &[(u64, u64, bool)]) -> Stretches {
        let mut stretches = Stretches::default();
        for &(from, to, is_loud) in pieces {
            stretches.see(from, to, is_loud);
        }
        stretches
    }

    fn told(stretches: Stretches) -> Vec<(u64, u64)> {
        let gaps = stretches.unconfirmed();
        gaps.map(|gap| (gap.from, gap.to)).collect()
    }

    #[test]
    fn quiet_edges_are_cut_off_and_a_short_pause_is_not() {
        let pieces = [
            (0, 800, false),
            (800, 1600, true),
            (1600, 2400, false),
            (2400, 3200, true),
            (3200, 4000, false),
        ];
        assert_eq!(told(stretches(&pieces)), [(800, 3200)]);
    }

    #[test]
    fn silence_alone_is_not_worth_a_word() {
        assert_eq!(told(stretches(&[(0, 80_000, false)])), []);
    }

    #[test]
    fn a_long_pause_and_a_hole_part_two_stretches() {
        let pieces = [
            (0, 800, true),
            (800, 8_801, false),
            (8_801, 9_000, true),
            (9_100, 9_200, true),
        ];
        let expected = [(0, 800), (8_801, 9_000), (9_100, 9_200)];
        assert_eq!(told(stretches(&pieces)), expected);
    }

    #[test]
    fn what_is_clipped_is_not_told() {
        let mut stretches = stretches(&[(0, 800, true), (10_000, 10_800, true)]);
        stretches.clip(10_100);
        stretches.see(10_800, 12_000, true);
        assert_eq!(told(stretches), [(10_100, 12_000)]);
    }

    #[test]
    fn the_last_sound_of_what_a_final_tells_is_no_loss_and_a_word_behind_it_is() {
        let tail_of = |to: u64| {
            let mut stretches = stretches(&[(0, 8000, true), (8000, to, true)]);
            stretches.clip(7600);
            told(stretches)
        };
        assert_eq!(tail_of(8800), []);
        assert_eq!(tail_of(8801), [(7600, 8801)]);
        // Without a final the shortest word counts.
        assert_eq!(told(stretches(&[(0, 400, true)])), [(0, 400)]);
    }

    #[test]
    fn ever_so_many_stretches_stay_few_and_none_is_forgotten() {
        let mut stretches = Stretches::default();
        for n in 0..1_000 {
            stretches.see(n * 10_000, n * 10_000 + 800, true);
        }
        let told = told(stretches);
        assert_eq!(told.len(), Stretches::MAX);
        assert_eq!((told[0].0, told[63].1), (0, 9_990_800));
    }

    #[test]
    fn a_voice_is_loud_and_the_noise_of_a_line_is_not() {
        let chunk = |sample: i16| Chunk {
            position: 0,
            samples: vec![0, sample, 0],
            arrived: std::time::Instant::now(),
        };
        assert!(is_loud(&chunk(-300)) && is_loud(&chunk(i16::MIN)));
        assert!(!is_loud(&chunk(259)));
    }
}
