//! What happens to frames on their way: some are lost, some are late, some overtake others, some
//! come in a heap. A pure machine: the same seed and the same frames give the same deliveries.

/// What a network does to frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    /// The part of the frames that is lost, 0 to 1.
    pub loss: f64,
    /// How many frames are lost in a row, on average; 1 and less: each for itself.
    pub loss_run: f64,
    /// The most a frame is delayed. Order is kept; see `reorder`.
    pub jitter_ms: u64,
    /// The part of the frames that is held back until [`Conditions::REORDER_MS`] later and so
    /// overtaken.
    pub reorder: f64,
    /// Frames are held and delivered together, once in so many milliseconds; 0: each for itself.
    pub burst_ms: u64,
    /// The part of the frames that arrives twice, where they are sent by [`Network::copies`].
    pub duplicate: f64,
}

/// A network between a sender and a receiver.
#[derive(Clone, Debug)]
pub struct Network {
    conditions: Conditions,
    seed: u64,
    /// Whether the frame before was lost.
    losing: bool,
    /// What was delivered last, but for what was held back.
    delivered_ms: u64,
    counts: Counts,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames that were sent.
    pub sent: u64,
    /// Frames that were lost.
    pub lost: u64,
    /// Frames that were held back.
    pub held_back: u64,
    /// Frames that arrived twice.
    pub duplicated: u64,
}

impl Conditions {
    /// A network that does nothing.
    pub const PERFECT: Self = Self {
        loss: 0.0,
        loss_run: 1.0,
        jitter_ms: 0,
        reorder: 0.0,
        burst_ms: 0,
        duplicate: 0.0,
    };

    /// How long a frame is held back that is to be overtaken: two frames and a half.
    pub const REORDER_MS: u64 = 50;
}

impl Default for Conditions {
    fn default() -> Self {
        Self::PERFECT
    }
}

impl Network {
    /// A network whose chance is decided by `seed`.
    pub fn new(seed: u64, conditions: Conditions) -> Self {
        Self {
            conditions,
            seed,
            losing: false,
            delivered_ms: 0,
            counts: Counts::default(),
        }
    }

    /// Sends a frame; gives when it arrives, or `None` when it is lost. Send times must not go
    /// back. Arrivals do go back where a frame was held back: whoever delivers sorts by them, and
    /// keeps the order of equals.
    pub fn send(&mut self, at_ms: u64) -> Option<u64> {
        self.counts.sent += 1;
        if self.loses() {
            self.counts.lost += 1;
            return None;
        }
        let jitter = self.below(self.conditions.jitter_ms + 1);
        let held_back = self.happens(self.conditions.reorder);
        let due = self.released(at_ms + jitter).max(self.delivered_ms);
        if held_back {
            self.counts.held_back += 1;
            return Some(due + Conditions::REORDER_MS);
        }
        self.delivered_ms = due;
        Some(due)
    }

    /// Sends a frame; gives every time at which it arrives, as datagrams may twice.
    pub fn copies(&mut self, at_ms: u64) -> Vec<u64> {
        let Some(arrives_ms) = self.send(at_ms) else {
            return Vec::new();
        };
        if self.conditions.duplicate > 0.0 && self.happens(self.conditions.duplicate) {
            self.counts.duplicated += 1;
            let later = self.below(Conditions::REORDER_MS);
            return vec![arrives_ms, arrives_ms + later];
        }
        vec![arrives_ms]
    }

    /// Sends frames with their send times; gives those that arrive with their arrival times, in
    /// order of arrival.
    pub fn deliver<T>(&mut self, frames: impl IntoIterator<Item = (u64, T)>) -> Vec<(u64, T)> {
        let arriving = frames
            .into_iter()
            .filter_map(|(at_ms, frame)| Some((self.send(at_ms)?, frame)));
        let mut arriving: Vec<_> = arriving.collect();
        arriving.sort_by_key(|(at_ms, _)| *at_ms);
        arriving
    }

    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    // Two states (Gilbert): runs end with the chance that makes them as long as asked, and begin
    // with the chance that makes the whole loss as large as asked.
    fn loses(&mut self) -> bool {
        let Conditions { loss, loss_run, .. } = self.conditions;
        if loss >= 1.0 {
            return true;
        }
        self.losing = if loss_run <= 1.0 {
            self.happens(loss)
        } else if self.losing {
            self.happens(1.0 - 1.0 / loss_run)
        } else {
            self.happens((loss / (1.0 - loss) / loss_run).min(1.0))
        };
        self.losing
    }

    fn released(&self, at_ms: u64) -> u64 {
        match self.conditions.burst_ms {
            0 => at_ms,
            burst_ms => at_ms.div_ceil(burst_ms) * burst_ms,
        }
    }

    fn happens(&mut self, chance: f64) -> bool {
        ((self.random() >> 11) as f64 / (1_u64 << 53) as f64) < chance
    }

    fn below(&mut self, end: u64) -> u64 {
        self.random() % end
    }

    // SplitMix64.
    fn random(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// A part of all frames as a command line has it: `0.05` or `5%`.
///
/// # Errors
/// In words, when it is neither or not between 0 and 1.
pub fn share(text: &str) -> Result<f64, String> {
    let (number, scale) = text
        .strip_suffix('%')
        .map_or((text, 1.0), |number| (number, 100.0));
    let share = number.parse::<f64>().map_err(|error| error.to_string())? / scale;
    if (0.0..=1.0).contains(&share) {
        Ok(share)
    } else {
        Err("not between 0 and 1".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(count: u64) -> impl Iterator<Item = (u64, u64)> {
        (0..count).map(|index| (index * 20, index))
    }

    fn after(conditions: Conditions) -> (Network, Vec<(u64, u64)>) {
        let mut network = Network::new(36, conditions);
        let delivered = network.deliver(frames(50_000));
        (network, delivered)
    }

    #[test]
    fn a_perfect_network_delivers_everything_at_once() {
        let (_, delivered) = after(Conditions::PERFECT);
        assert!(delivered.into_iter().eq(frames(50_000)));
    }

    #[test]
    fn as_much_is_lost_as_asked_and_in_runs_as_long_as_asked() {
        for loss_run in [1.0, 4.0, 10.0] {
            let (network, delivered) = after(Conditions {
                loss: 0.1,
                loss_run,
                ..Conditions::PERFECT
            });
            let lost = network.counts().lost as f64;
            assert!(
                (0.08..0.12).contains(&(lost / 50_000.0)),
                "{lost} lost in runs of {loss_run}"
            );
            let runs = delivered
                .windows(2)
                .filter(|pair| pair[1].1 > pair[0].1 + 1)
                .count() as f64;
            let run = lost / runs;
            assert!(
                (0.85..1.25).contains(&(run / loss_run)),
                "runs of {run}, wanted {loss_run}"
            );
        }
    }

    #[test]
    fn jitter_delays_but_keeps_the_order() {
        let (_, delivered) = after(Conditions {
            jitter_ms: 60,
            ..Conditions::PERFECT
        });
        assert!(delivered.iter().map(|(_, index)| *index).eq(0..50_000));
        assert!(
            delivered
                .iter()
                .all(|(at, index)| (0..=60).contains(&(at - index * 20)))
        );
        assert!(delivered.iter().any(|(at, index)| at - index * 20 > 50));
    }

    #[test]
    fn what_is_held_back_is_overtaken() {
        let (network, delivered) = after(Conditions {
            reorder: 0.05,
            ..Conditions::PERFECT
        });
        let overtaken = delivered
            .windows(2)
            .filter(|pair| pair[1].1 < pair[0].1)
            .count() as f64;
        let held_back = network.counts().held_back as f64;
        assert!(
            (0.04..0.06).contains(&(held_back / 50_000.0)),
            "{held_back}"
        );
        assert!(overtaken / held_back > 0.9, "{overtaken} of {held_back}");
    }

    #[test]
    fn as_many_arrive_twice_as_asked() {
        let conditions = Conditions {
            duplicate: 0.1,
            ..Conditions::PERFECT
        };
        let mut network = Network::new(36, conditions);
        let copies: usize = (0..50_000).map(|at| network.copies(at * 20).len()).sum();
        assert_eq!(copies as u64, 50_000 + network.counts().duplicated);
        assert!((54_500..55_500).contains(&copies), "{copies}");
    }

    #[test]
    fn a_burst_brings_everything_since_the_last_one() {
        let (_, delivered) = after(Conditions {
            burst_ms: 200,
            ..Conditions::PERFECT
        });
        assert!(delivered.iter().all(|(at, _)| at % 200 == 0));
        assert_eq!(delivered.iter().filter(|(at, _)| *at == 2000).count(), 10);
    }

    proptest! {
        #[test]
        fn whatever_the_conditions_every_frame_arrives_once_or_is_counted_as_lost(
            seed: u64, loss in 0.0..=1.0, loss_run in 0.0..20.0, jitter_ms in 0_u64..500,
            reorder in 0.0..=1.0, burst_ms in 0_u64..1000,
        ) {
            let conditions =
                Conditions { loss, loss_run, jitter_ms, reorder, burst_ms, duplicate: 0.0 };
            let mut network = Network::new(seed, conditions);
            let delivered = network.deliver(frames(500));
            let mut indices: Vec<_> = delivered.iter().map(|(_, index)| *index).collect();
            indices.sort_unstable();
            indices.dedup();
            prop_assert_eq!(indices.len(), delivered.len());
            prop_assert_eq!(delivered.len() as u64 + network.counts().lost, 500);
            prop_assert!(delivered.iter().all(|(at, index)| *at >= index * 20));
            prop_assert_eq!(Network::new(seed, conditions).deliver(frames(500)), delivered);
        }
    }
}
