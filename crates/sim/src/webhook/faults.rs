//! What goes wrong at a receiver, and when.

use std::time::Duration;

use crate::service::chaos::Dice;

/// What becomes of a delivery instead of a quick 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 410: never again.
    Gone,
    /// It is taken, and then the connection is reset in the middle of the answer.
    LoseAnswer,
    /// 307 to another place.
    Redirect,
    /// The connection is reset in the middle of an answer, and nothing was taken.
    Reset,
    /// There is no answer.
    Stall,
    /// This status.
    Status(u16),
    /// 429 with this Retry-After.
    TooMany(Duration),
}

/// What goes wrong from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// This.
    pub fault: Option<Fault>,
    /// Only to so many deliveries, then nothing more of it.
    pub times: Option<u32>,
    /// Only to this conversation, by its guid.
    pub only: Option<String>,
    /// Something, at random.
    pub random: Option<Random>,
    /// Bodies are read this slowly.
    pub slow_bytes_per_second: Option<u32>,
}

/// Random faults. What happens to the n-th delivery depends on the seed and on n, and on nothing
/// else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Random {
    /// Of a hundred deliveries, so many.
    pub percent: u8,
    /// Another seed is another sequence.
    pub seed: u64,
}

impl Faults {
    /// A fault until further notice.
    pub fn always(fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            ..Self::default()
        }
    }

    /// A fault so many times.
    pub fn times(fault: Fault, times: u32) -> Self {
        Self {
            times: Some(times),
            ..Self::always(fault)
        }
    }

    /// Anything at random.
    pub fn random(percent: u8, seed: u64) -> Self {
        Self {
            random: Some(Random { percent, seed }),
            ..Self::default()
        }
    }

    /// What happens to the n-th delivery, which is of this conversation.
    pub(super) fn next(&mut self, nth: u64, conversation: &str) -> Option<Fault> {
        if let Some(random) = self.random {
            return random.draw(nth);
        }
        if self
            .only
            .as_deref()
            .is_some_and(|only| only != conversation)
        {
            return None;
        }
        match &mut self.times {
            Some(0) => None,
            Some(times) => {
                *times -= 1;
                self.fault
            }
            None => self.fault,
        }
    }
}

impl Random {
    fn draw(self, nth: u64) -> Option<Fault> {
        let mut dice = Dice(self.seed);
        dice.0 = dice.next() ^ nth;
        if !dice.percent(self.percent) {
            return None;
        }
        Some(match dice.below(6) {
            0 => Fault::LoseAnswer,
            1 => Fault::Redirect,
            2 => Fault::Reset,
            3 => Fault::TooMany(Duration::ZERO),
            4 => Fault::Status(503),
            _ => Fault::Status(500),
        })
    }
}
