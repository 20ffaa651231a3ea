//! How an endpoint is doing: well, asked for patience, resting after many failures, or gone.

use super::Rules;
use super::schedule::Chance;

/// How an endpoint stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// It said 410 and gets nothing more until somebody enables it.
    Disabled,
    /// All is well, or failures are few.
    #[default]
    Enabled,
    /// It failed so often that one parcel at a time is tried.
    Resting,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    standing: Standing,
    /// Failures in a row.
    streak: u32,
    /// Times in a row that it asked for patience without saying how much.
    throttles: u32,
    /// Nothing is sent before.
    quiet_until: u64,
    /// How long the present rest lasts.
    rest: u64,
}

impl Health {
    pub(super) fn standing(&self) -> Standing {
        self.standing
    }

    pub(super) fn quiet_until(&self) -> u64 {
        self.quiet_until
    }

    /// Something was taken.
    pub(super) fn succeeded(&mut self) {
        if self.standing != Standing::Disabled {
            let quiet_until = match self.standing {
                // The rest is over, whatever was asked for during it.
                Standing::Resting => 0,
                _ => self.quiet_until,
            };
            *self = Self {
                quiet_until,
                ..Self::default()
            };
        }
    }

    /// It is gone, and says so.
    pub(super) fn gone(&mut self) {
        self.standing = Standing::Disabled;
    }

    /// Something failed. Without retries there is no rest: each parcel has its one attempt.
    pub(super) fn failed(&mut self, rules: &Rules, now: u64, chance: &mut Chance) {
        self.streak = self.streak.saturating_add(1);
        let rests = rules.schedule.is_some() && self.streak >= rules.rest_after;
        if self.standing == Standing::Disabled || !rests {
            return;
        }
        self.rest = match self.standing {
            Standing::Resting => self.rest.saturating_mul(2).min(rules.rest_max),
            _ => rules.rest_min.min(rules.rest_max),
        };
        self.standing = Standing::Resting;
        self.quiet(now.saturating_add(chance.around(self.rest)));
    }

    /// It asked for patience, perhaps for how long.
    pub(super) fn throttled(&mut self, rules: &Rules, now: u64, after: Option<u64>) {
        let wait = after.unwrap_or_else(|| {
            let doublings = self.throttles.min(16);
            self.throttles = self.throttles.saturating_add(1);
            rules
                .rest_min
                .saturating_mul(1 << doublings)
                .min(rules.rest_max)
        });
        self.quiet(now.saturating_add(wait.min(rules.retry_after_max)));
    }

    fn quiet(&mut self, until: u64) {
        self.quiet_until = self.quiet_until.max(until);
    }
}
