//! What follows a loss: again, when, or not at all.
//!
//! Here one stream looks after itself. What all streams of a service have in common is looked after
//! by its guard.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

use crate::service::Retry;

/// How patient a stream is with its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryConfig {
    /// After so many losses in a row a stream that no service has ever accepted is given up, and
    /// any other tried again but slowly.
    pub retries_max: u32,
    /// The same after so long without an accepted socket.
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
    /// The credential is refused: nothing but another service, or time, will help.
    Credential,
    /// It was tried often enough, or long enough. The service asks for this pause at least.
    Exhausted(Duration),
    /// This service will never accept this stream.
    Never,
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

impl Loss {
    /// What it means for all streams of the service: an address that is refused although it was
    /// asked for just then is the credential's doing.
    pub(crate) fn blame(self) -> Retry {
        match self.retry {
            Retry::Token if self.fresh => Retry::Credential,
            retry => retry,
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

    /// A socket did its duty to the end: what was before it is forgotten.
    pub(crate) fn lived_well(&mut self) {
        (self.in_a_row, self.few, self.relocated) = (0, 0, false);
    }

    /// A loss. `chance` is random, from 0 to 1.
    pub(crate) fn lost(&mut self, now: Instant, loss: Loss, chance: f64) -> Verdict {
        if loss
            .lived
            .is_some_and(|lived| lived >= self.config.healthy_after)
        {
            self.lived_well();
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        let out_since = *self.out_since.get_or_insert(now);
        let pause = match self.pause(loss, chance) {
            Ok(pause) => pause,
            Err(verdict) => return verdict,
        };
        if self.in_a_row > self.config.retries_max
            || now + pause > out_since + self.config.outage_max
        {
            return Verdict::Exhausted(pause);
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

    /// No service gave leave to open a socket before `after`. That is no loss, but the outage goes
    /// on.
    pub(crate) fn blocked(&mut self, now: Instant, after: Duration, chance: f64) -> Verdict {
        let out_since = *self.out_since.get_or_insert(now);
        // Not all streams that were told the same come back together.
        let pause = after
            + self
                .config
                .backoff_base
                .mul_f64(chance)
                .max(self.config.backoff_min);
        if now + pause > out_since + self.config.outage_max {
            return Verdict::Exhausted(pause);
        }
        Verdict::Again(pause)
    }

    /// How long to wait, or what there is to wait for instead.
    fn pause(&mut self, loss: Loss, chance: f64) -> Result<Duration, Verdict> {
        Ok(match loss.retry {
            Retry::Credential => return Err(Verdict::Credential),
            Retry::Session => return Err(Verdict::Never),
            Retry::Token if loss.fresh || self.relocated => return Err(Verdict::Credential),
            Retry::Token => {
                self.relocated = true;
                Duration::ZERO
            }
            Retry::Few(times) if self.few >= times => return Err(Verdict::Never),
            Retry::Few(_) => {
                self.few += 1;
                self.backoff(loss.lived, chance)
            }
            Retry::After(least) => least.max(self.backoff(loss.lived, chance)),
            Retry::Backoff | Retry::Unknown => self.backoff(loss.lived, chance),
            Retry::Now => Self::SPREAD.mul_f64(chance),
            Retry::Rollover | Retry::Sound => Duration::ZERO,
        })
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
            Verdict::Exhausted(Duration::from_secs(10))
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
            retries.lived_well();
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
        assert_eq!(verdicts[8], Verdict::Exhausted(Duration::from_millis(500)));
        assert_eq!(millis(verdicts[7]), 500);
    }

    #[test]
    fn an_outage_exhausts_patience_however_few_the_losses() {
        let (mut retries, now) = retries();
        assert!(matches!(
            retries.lost(now, loss(Retry::Backoff), 1.0),
            Verdict::Again(_)
        ));
        let late = now + Duration::from_secs(60);
        assert_eq!(
            retries.lost(late, loss(Retry::Backoff), 1.0),
            Verdict::Exhausted(Duration::from_millis(500))
        );
    }

    #[test]
    fn to_be_given_no_leave_is_no_loss_but_part_of_the_outage() {
        let (mut retries, now) = retries();
        let second = Duration::from_secs(1);
        let verdict = retries.blocked(now, 30 * second, 0.0);
        assert_eq!(millis(verdict), 30_100);
        assert_eq!(retries.in_a_row(), 0);
        let verdict = retries.blocked(now + 30 * second, 30 * second, 1.0);
        assert_eq!(verdict, Verdict::Exhausted(Duration::from_millis(30_250)));
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
        assert_eq!(
            retries.lost(late, loss(Retry::Now), 0.5),
            Verdict::Exhausted(Duration::from_millis(500))
        );
    }

    #[test]
    fn each_class_is_kept() {
        let cases = [
            (Retry::Credential, vec![Verdict::Credential]),
            (Retry::Session, vec![Verdict::Never]),
            (Retry::Token, vec![Verdict::Credential]),
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
            (
                Retry::After(Duration::from_secs(61)),
                vec![Verdict::Exhausted(Duration::from_secs(61))],
            ),
            (
                Retry::Few(1),
                vec![Verdict::Again(Duration::from_millis(125)), Verdict::Never],
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
        assert_eq!(retries.lost(now, stored, 0.5), Verdict::Credential);
    }

    #[test]
    fn chance_is_between_zero_and_one_and_not_constant() {
        let draws: Vec<_> = (0..100).map(|_| chance()).collect();
        assert!(draws.iter().all(|draw| (0.0..=1.0).contains(draw)));
        assert!(draws.iter().any(|draw| *draw < 0.5) && draws.iter().any(|draw| *draw > 0.5));
    }
}
