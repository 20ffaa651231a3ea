//! What goes wrong at random: a schedule that the same seed draws again, session by session.

use std::time::Duration;

use super::faults::{Cut, CutAfter, Faults, RestFault};

/// No draw of a session's life is longer than so many times the mean.
const LIVES_MAX: f64 = 10.0;

/// Statuses of an upgrade that is refused at random: too many, broken, not there.
const STATUSES: [u16; 3] = [429, 500, 503];

/// Close codes of a session that is closed at random: a clean one, going away, an error, later.
const CODES: [u16; 4] = [1000, 1001, 1011, 1013];

/// Random faults. What happens to the n-th WebSocket depends on the seed and on n, and on nothing
/// else.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chaos {
    /// Another seed is another schedule.
    pub seed: u64,
    /// How much sound a session takes until it is struck, on average.
    pub mean: Duration,
    /// The longest stall and the longest wait for the beginning.
    pub wait_max: Duration,
    /// Of a hundred WebSockets, so many are refused.
    pub refused_percent: u8,
    /// Of a hundred sessions, so many begin slowly.
    pub slow_percent: u8,
}

/// SplitMix64: short, and good enough to throw dice.
pub(crate) struct Dice(pub(crate) u64);

impl Chaos {
    /// Everybody is struck in the end, every fifth is refused and every fifth is slow.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            mean: Duration::from_secs(20),
            wait_max: Duration::from_secs(10),
            refused_percent: 20,
            slow_percent: 20,
        }
    }

    /// What goes wrong with the n-th WebSocket.
    pub fn draw(&self, nth: u64) -> Faults {
        let mut dice = Dice(self.seed);
        dice.0 = dice.next() ^ nth;
        if dice.percent(self.refused_percent) {
            let status = dice.one_of(STATUSES);
            let retry_after = (status == 429).then(|| Duration::from_secs(1));
            return Faults {
                upgrade: Some(RestFault {
                    status,
                    retry_after,
                }),
                ..Faults::default()
            };
        }
        let start_delay = match dice.percent(self.slow_percent) {
            true => self.wait_max.mul_f64(dice.share()),
            false => Duration::ZERO,
        };
        // Strikes that know nothing of what has been: the times between them are exponential.
        let life = (-(1.0 - dice.share()).ln()).min(LIVES_MAX);
        let cut = match dice.below(6) {
            0 => Cut::BlackHole,
            1 => Cut::Close(dice.one_of(CODES)),
            2 => Cut::Drop,
            3 => Cut::Reset,
            4 => Cut::Stall(self.wait_max.mul_f64(dice.share())),
            _ => Cut::Tear,
        };
        Faults {
            start_delay,
            cut: Some(CutAfter {
                audio: self.mean.mul_f64(life),
                cut,
            }),
            ..Faults::default()
        }
    }
}

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    // From 0 to just below 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn percent(&mut self, percent: u8) -> bool {
        self.below(100) < u64::from(percent)
    }

    fn one_of<const N: usize>(&mut self, all: [u16; N]) -> u16 {
        all[self.below(N as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MANY: u64 = 3000;

    fn drawn(seed: u64) -> Vec<Faults> {
        let chaos = Chaos::new(seed);
        (0..MANY).map(|nth| chaos.draw(nth)).collect()
    }

    #[test]
    fn the_same_seed_draws_the_same_in_any_order_and_another_draws_otherwise() {
        let chaos = Chaos::new(7);
        let mut backwards: Vec<_> = (0..MANY).rev().map(|nth| chaos.draw(nth)).collect();
        backwards.reverse();
        assert_eq!(drawn(7), backwards);
        assert_ne!(drawn(7), drawn(8));
    }

    #[test]
    fn as_many_are_refused_slow_and_struck_as_asked() {
        let share = |of: &dyn Fn(&Faults) -> bool| {
            drawn(1).iter().filter(|faults| of(faults)).count() as f64 / MANY as f64
        };
        let refused = share(&|faults| faults.upgrade.is_some());
        let slow = share(&|faults| faults.start_delay > Duration::ZERO);
        assert!((refused - 0.2).abs() < 0.03, "{refused}");
        assert!((slow - 0.8 * 0.2).abs() < 0.03, "{slow}");
        let cuts = |want: &str| {
            share(&|faults| {
                let name = faults.cut.map(|cut| cut.cut.to_string());
                name.is_some_and(|name| name.starts_with(want))
            })
        };
        for name in ["black-hole", "close", "drop", "reset", "stall", "tear"] {
            assert!(
                (cuts(name) - 0.8 / 6.0).abs() < 0.03,
                "{name}: {}",
                cuts(name)
            );
        }
    }

    #[test]
    fn a_session_lives_as_long_as_asked_on_average() {
        let cuts: Vec<f64> = drawn(3)
            .iter()
            .filter_map(|faults| faults.cut)
            .map(|cut| cut.audio.as_secs_f64())
            .collect();
        let mean = cuts.iter().sum::<f64>() / cuts.len() as f64;
        assert!((mean - 20.0).abs() < 1.5, "{mean}");
    }

    proptest! {
        #[test]
        fn whatever_the_seed_nothing_takes_longer_than_asked(seed: u64, nth: u64) {
            let chaos = Chaos::new(seed);
            let faults = chaos.draw(nth);
            prop_assert!(faults.start_delay <= chaos.wait_max);
            prop_assert_ne!(faults.upgrade.is_some(), faults.cut.is_some());
            if let Some(CutAfter { audio, cut }) = faults.cut {
                prop_assert!(audio <= chaos.mean.mul_f64(LIVES_MAX));
                if let Cut::Stall(long) = cut {
                    prop_assert!(long <= chaos.wait_max);
                }
            }
        }

        #[test]
        fn without_refusals_and_slowness_only_strikes_are_left(seed: u64, nth: u64) {
            let chaos = Chaos { refused_percent: 0, slow_percent: 0, ..Chaos::new(seed) };
            let faults = chaos.draw(nth);
            let only = Faults { cut: faults.cut, ..Faults::default() };
            prop_assert!(faults.cut.is_some());
            prop_assert_eq!(faults, only);
        }
    }
}
