//! How many retries there may be: a part of what else is opened, and a little more.

use std::time::Duration;

use tokio::time::Instant;

use super::GuardConfig;
use super::bucket::Bucket;

/// Without it the streams of a failing service open sockets as fast as their pauses allow, and most
/// when the service can bear it least.
#[derive(Debug)]
pub(super) struct Budget {
    bucket: Bucket,
    percent: u32,
}

impl Budget {
    pub(super) fn new(config: &GuardConfig) -> Self {
        let second = Duration::from_secs(1);
        Self {
            bucket: Bucket::new(config.retries_per_second, second, config.retries_burst),
            percent: config.retries_percent,
        }
    }

    /// A socket is opened for another reason.
    pub(super) fn opened(&mut self) {
        self.bucket.put(self.percent);
    }

    /// When a retry may be made that has so many before it.
    pub(super) fn ready(&self, now: Instant, before: usize) -> Instant {
        self.bucket.ready(now, before)
    }

    /// A retry is made.
    pub(super) fn retried(&mut self, now: Instant) {
        self.bucket.take(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent() -> (Budget, Instant) {
        let now = Instant::now();
        let mut budget = Budget::new(&GuardConfig {
            retries_burst: 5,
            ..GuardConfig::default()
        });
        for _ in 0..5 {
            assert_eq!(budget.ready(now, 0), now);
            budget.retried(now);
        }
        (budget, now)
    }

    #[test]
    fn a_spent_budget_grows_by_ten_a_second() {
        let (mut budget, start) = spent();
        let mut now = start;
        for _ in 0..20 {
            now = budget.ready(now, 0);
            budget.retried(now);
        }
        assert_eq!(now - start, Duration::from_secs(2));
    }

    #[test]
    fn a_spent_budget_grows_by_a_tenth_of_what_else_is_opened() {
        let (mut budget, now) = spent();
        (0..9).for_each(|_| budget.opened());
        assert!(budget.ready(now, 0) > now);
        budget.opened();
        assert_eq!(budget.ready(now, 0), now);
        budget.retried(now);
        assert!(budget.ready(now, 0) > now);
    }
}
