//! What follows a loss: again, when, or not at all.
//!
//! This is the simple form: one stream looks after itself. Breaker, retry budget and open-rate
//! limit, which look at all streams of a credential, will be asked in `Retries::lost`.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

use crate::service::Retry;

/// How patient a stream is with its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryConfig {
    /// After so many losses in a row the stream is given up.
    pub retries_max: u32,
    /// After so long without an accepted socket the stream is given up.
    pub outage_max: Duration,
    /// A socket that lived so long makes earlier losses forgotten.
    pub healthy_after: Duration,
    /// The most the first pause lasts; it doubles with each loss in a row.
    pub backoff_base: Duration,
    /// The most any pause lasts.
    pub backoff_max: Duration,
    /// The least any pause lasts.
    pub backoff_min: Duration,
}

/// The losses of one stream.
#[derive(Debug)]
pub(crate) struct Retries {
    config: RetryConfig,
    in_a_row: u32,
    few: u32,
    relocated: bool,
    out_since: Option<Instant>,
}

/// One loss, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loss {
    pub(crate) retry: Retry,
    /// How long the socket lived; `None` if it was never opened.
    pub(crate) lived: Option<Duration>,
    /// Whether the address was asked for just then.
    pub(crate) fresh: bool,
}

/// What follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Try again after this pause.
    Again(Duration),
    /// Try again when there is sound.
    AgainWithSound,
    /// No more.
    GiveUp,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            retries_max: 8,
            outage_max: Duration::from_secs(60),
            healthy_after: Duration::from_secs(10),
            backoff_base: Duration::from_millis(250),
            backoff_max: Duration::from_secs(10),
            backoff_min: Duration::from_millis(100),
        }
    }
}

impl Retries {
    /// A socket that lived for less than this is a reason for more care.
    const BRIEF: Duration = Duration::from_secs(1);
    /// The least pause after such a one, and how far streams are spread that may come back at once.
    const BRIEF_PAUSE: Duration = Duration::from_millis(500);
    const SPREAD: Duration = Duration::from_secs(1);

    pub(crate) fn new(now: Instant, config: RetryConfig) -> Self {
        Self {
            config,
            in_a_row: 0,
            few: 0,
            relocated: false,
            out_since: Some(now),
        }
    }

    /// The service has accepted a socket.
    pub(crate) fn accepted(&mut self) {
        self.out_since = None;
    }

    /// How many losses there were in a row.
    pub(crate) fn in_a_row(&self) -> u32 {
        self.in_a_row
    }

    /// A loss. `chance` is random, from 0 to 1.
    pub(crate) fn lost(&mut self, now: Instant, loss: Loss, chance: f64) -> Verdict {
        if loss
            .lived
            .is_some_and(|lived| lived >= self.config.healthy_after)
        {
            (self.in_a_row, self.few, self.relocated) = (0, 0, false);
        }
        self.in_a_row += 1;
        let out_since = *self.out_since.get_or_insert(now);
        let Some(pause) = self.pause(loss, chance) else {
            return Verdict::GiveUp;
        };
        if self.in_a_row > self.config.retries_max
            || now + pause > out_since + self.config.outage_max
        {
            return Verdict::GiveUp;
        }
        match loss.retry {
            Retry::Sound => {
                // The wait for sound is not the service's outage.
                self.out_since = None;
                Verdict::AgainWithSound
            }
            _ => Verdict::Again(pause),
        }
    }

    /// How long to wait; `None` if there is nothing to wait for.
    fn pause(&mut self, loss: Loss, chance: f64) -> Option<Duration> {
        match loss.retry {
            Retry::Credential | Retry::Session => None,
            Retry::Token if loss.fresh || self.relocated => None,
            Retry::Token => {
                self.relocated = true;
                Some(Duration::ZERO)
            }
            Retry::Few(times) if self.few >= times => None,
            Retry::Few(_) => {
                self.few += 1;
                Some(self.backoff(loss.lived, chance))
            }
            Retry::After(least) => Some(least.max(self.backoff(loss.lived, chance))),
            Retry::Backoff | Retry::Unknown => Some(self.backoff(loss.lived, chance)),
            Retry::Now => Some(Self::SPREAD.mul_f64(chance)),
            Retry::Rollover | Retry::Sound => Some(Duration::ZERO),
        }
    }

    /// Full jitter: anything up to a bound that doubles, but never nothing.
    fn backoff(&self, lived: Option<Duration>, chance: f64) -> Duration {
        let doubled = 2u32.saturating_pow(self.in_a_row.saturating_sub(1).min(16));
        let bound = self
            .config
            .backoff_base
            .saturating_mul(doubled)
            .min(self.config.backoff_max);
        let least = match lived {
            Some(lived) if lived < Self::BRIEF && self.in_a_row > 1 => Self::BRIEF_PAUSE,
            _ => self.config.backoff_min,
        };
        bound
            .mul_f64(chance)
            .max(least.min(self.config.backoff_max))
    }
}

/// A random number from 0 to 1, good enough to keep streams from coming back together.
pub(crate) fn chance() -> f64 {
    RandomState::new().hash_one(()) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Option<Duration> = Some(Duration::from_secs(2));

    fn loss(retry: Retry) -> Loss {
        Loss {
            retry,
            lived: SHORT,
            fresh: true,
        }
    }

    fn retries() -> (Retries, Instant) {
        let now = Instant::now();
        let mut retries = Retries::new(now, RetryConfig::default());
        retries.accepted();
        (retries, now)
    }

    fn millis(verdict: Verdict) -> u128 {
        let Verdict::Again(pause) = verdict else {
            panic!("{verdict:?}")
        };
        pause.as_millis()
    }

    #[test]
    fn a_pause_is_random_and_its_bound_doubles() {
        let (mut retries, now) = retries();
        let bounds: Vec<_> = (0..8)
            .map(|_| millis(retries.lost(now, loss(Retry::Backoff), 1.0)))
            .collect();
        assert_eq!(bounds, [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        assert_eq!(
            retries.lost(now, loss(Retry::Backoff), 1.0),
            Verdict::GiveUp
        );
    }

    #[test]
    fn no_pause_is_shorter_than_the_least() {
        let (mut retries, now) = retries();
        assert_eq!(millis(retries.lost(now, loss(Retry::Backoff), 0.0)), 100);
        let brief = Loss {
            lived: Some(Duration::from_millis(10)),
            ..loss(Retry::Backoff)
        };
        assert_eq!(millis(retries.lost(now, brief, 0.0)), 500);
    }

    #[test]
    fn a_socket_that_lived_well_makes_losses_forgotten() {
        let (mut retries, now) = retries();
        for _ in 0..100 {
            for _ in 0..8 {
                retries.accepted();
                assert!(matches!(
                    retries.lost(now, loss(Retry::Backoff), 0.5),
                    Verdict::Again(_)
                ));
            }
            retries.accepted();
            let well = Loss {
                lived: Some(Duration::from_secs(10)),
                ..loss(Retry::Backoff)
            };
            assert_eq!(millis(retries.lost(now, well, 1.0)), 250);
            retries.in_a_row = 0;
        }
    }

    #[test]
    fn a_socket_that_was_only_opened_does_not() {
        let (mut retries, now) = retries();
        let accepted = |retries: &mut Retries| {
            retries.accepted();
            retries.lost(now, loss(Retry::Now), 0.5)
        };
        let verdicts: Vec<_> = (0..9).map(|_| accepted(&mut retries)).collect();
        assert_eq!(verdicts[8], Verdict::GiveUp);
        assert_eq!(millis(verdicts[7]), 500);
    }

    #[test]
    fn an_outage_ends_in_giving_up_however_few_the_losses() {
        let (mut retries, now) = retries();
        assert!(matches!(
            retries.lost(now, loss(Retry::Backoff), 1.0),
            Verdict::Again(_)
        ));
        let late = now + Duration::from_secs(60);
        assert_eq!(
            retries.lost(late, loss(Retry::Backoff), 1.0),
            Verdict::GiveUp
        );
    }

    #[test]
    fn the_wait_for_sound_is_no_outage() {
        let (mut retries, now) = retries();
        assert_eq!(
            retries.lost(now, loss(Retry::Sound), 0.5),
            Verdict::AgainWithSound
        );
        let late = now + Duration::from_secs(300);
        assert!(matches!(
            retries.lost(late, loss(Retry::Backoff), 0.5),
            Verdict::Again(_)
        ));
    }

    #[test]
    fn a_stream_never_accepted_is_out_since_its_beginning() {
        let now = Instant::now();
        let mut retries = Retries::new(now, RetryConfig::default());
        let late = now + Duration::from_secs(60);
        assert_eq!(retries.lost(late, loss(Retry::Now), 0.5), Verdict::GiveUp);
    }

    #[test]
    fn each_class_is_kept() {
        let cases = [
            (Retry::Credential, vec![Verdict::GiveUp]),
            (Retry::Session, vec![Verdict::GiveUp]),
            (Retry::Token, vec![Verdict::GiveUp]),
            (
                Retry::Sound,
                vec![Verdict::AgainWithSound, Verdict::AgainWithSound],
            ),
            (Retry::Rollover, vec![Verdict::Again(Duration::ZERO)]),
            (Retry::Now, vec![Verdict::Again(Duration::from_millis(500))]),
            (
                Retry::After(Duration::from_secs(7)),
                vec![Verdict::Again(Duration::from_secs(7))],
            ),
            (Retry::After(Duration::from_secs(61)), vec![Verdict::GiveUp]),
            (
                Retry::Few(1),
                vec![Verdict::Again(Duration::from_millis(125)), Verdict::GiveUp],
            ),
            (
                Retry::Unknown,
                vec![Verdict::Again(Duration::from_millis(125))],
            ),
        ];
        for (retry, verdicts) in cases {
            let (mut retries, now) = retries();
            for verdict in verdicts {
                assert_eq!(retries.lost(now, loss(retry), 0.5), verdict, "{retry:?}");
            }
        }
    }

    #[test]
    fn a_stored_address_that_is_refused_is_replaced_once() {
        let (mut retries, now) = retries();
        let stored = Loss {
            fresh: false,
            ..loss(Retry::Token)
        };
        assert_eq!(
            retries.lost(now, stored, 0.5),
            Verdict::Again(Duration::ZERO)
        );
        assert_eq!(retries.lost(now, stored, 0.5), Verdict::GiveUp);
    }

    #[test]
    fn chance_is_between_zero_and_one_and_not_constant() {
        let draws: Vec<_> = (0..100).map(|_| chance()).collect();
        assert!(draws.iter().all(|draw| (0.0..=1.0).contains(draw)));
        assert!(draws.iter().any(|draw| *draw < 0.5) && draws.iter().any(|draw| *draw > 0.5));
    }
}
