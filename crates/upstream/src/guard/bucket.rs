//! How many of something may happen in a time: a token bucket.

use std::time::Duration;

use tokio::time::Instant;

/// So many at once, and then one an interval. It is kept as the time at which all that was taken
/// would be through at the rate, which needs no refilling.
#[derive(Debug)]
pub(super) struct Bucket {
    /// What one takes; zero: there is no limit.
    interval: Duration,
    /// How far ahead of the clock the takers may be before the last one.
    ahead_max: Duration,
    through: Option<Instant>,
}

impl Bucket {
    /// `count` may happen in any time `per`, and `burst` of them at once. 0: any number.
    pub(super) fn new(count: u32, per: Duration, burst: u32) -> Self {
        let interval = match u128::from(count) {
            0 => 0,
            // Rounded up, lest it be a little more than was allowed.
            count => per.as_nanos().div_ceil(count),
        };
        let interval = Duration::from_nanos(u64::try_from(interval).unwrap_or(u64::MAX));
        Self {
            interval,
            ahead_max: interval.saturating_mul(burst.saturating_sub(1)),
            through: None,
        }
    }

    /// When there is one for whoever has so many before him; `now` if there is one already.
    pub(super) fn ready(&self, now: Instant, before: usize) -> Instant {
        let before = u32::try_from(before).unwrap_or(u32::MAX);
        let wait = self.interval.saturating_mul(before);
        let ready = self.through(now).checked_add(wait);
        let ready = ready.and_then(|ready| ready.checked_sub(self.ahead_max));
        ready.map_or(now, |ready| ready.max(now))
    }

    /// One is taken, whether there is one or not.
    pub(super) fn take(&mut self, now: Instant) {
        self.through = self.through(now).checked_add(self.interval);
    }

    /// So many hundredths of one are put in.
    pub(super) fn put(&mut self, percent: u32) {
        let worth = self.interval.saturating_mul(percent) / 100;
        self.through = self.through.and_then(|through| through.checked_sub(worth));
    }

    fn through(&self, now: Instant) -> Instant {
        self.through.map_or(now, |through| through.max(now))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let (mut bucket, start) = (Bucket::new(90, MINUTE, 20), Instant::now());
        let mut now = start;
        for _ in 0..20 {
            assert_eq!(bucket.ready(now, 0), now);
            bucket.take(now);
        }
        for _ in 0..90 {
            now = bucket.ready(now, 0);
            bucket.take(now);
        }
        assert_eq!((now - start).as_millis(), 60_000);
    }

    #[test]
    fn what_was_not_used_is_kept_up_to_the_burst() {
        let (mut bucket, start) = (Bucket::new(60, MINUTE, 3), Instant::now());
        bucket.take(start);
        let later = start + 100 * MINUTE;
        for _ in 0..3 {
            assert_eq!(bucket.ready(later, 0), later);
            bucket.take(later);
        }
        assert_eq!(bucket.ready(later, 0), later + Duration::from_secs(1));
    }

    #[test]
    fn nought_is_no_limit() {
        let (mut bucket, now) = (Bucket::new(0, MINUTE, 0), Instant::now());
        for _ in 0..100_000 {
            bucket.take(now);
        }
        assert_eq!(bucket.ready(now, 100_000), now);
    }

    #[test]
    fn ten_times_a_tenth_is_one() {
        let (mut bucket, now) = (Bucket::new(60, MINUTE, 1), Instant::now());
        bucket.take(now);
        for _ in 0..9 {
            bucket.put(10);
            assert!(bucket.ready(now, 0) > now);
        }
        bucket.put(10);
        assert_eq!(bucket.ready(now, 0), now);
    }

    proptest! {
        #[test]
        fn no_window_has_more_than_the_burst_and_the_rate(
            (count, burst) in (1u32..200, 1u32..30),
            gaps in prop::collection::vec(0u64..3000, 1..120),
        ) {
            let (mut bucket, mut now) = (Bucket::new(count, MINUTE, burst), Instant::now());
            let mut taken: Vec<Instant> = Vec::new();
            for gap in gaps {
                now = bucket.ready(now + Duration::from_millis(gap), 0);
                bucket.take(now);
                taken.push(now);
                for (index, from) in taken.iter().enumerate() {
                    let within = (taken.len() - index) as f64;
                    let rate = f64::from(count) / 60.0;
                    let allowed = f64::from(burst) + (now - *from).as_secs_f64() * rate;
                    prop_assert!(within <= allowed + 1e-6, "{within} in {:?}", now - *from);
                }
            }
        }

        #[test]
        fn the_turn_of_one_with_others_before_him_is_told_exactly(
            (count, burst) in (1u32..200, 1u32..30),
            (taken, before) in (0usize..50, 0usize..50),
            gap in 0u64..5000,
        ) {
            let (mut bucket, mut now) = (Bucket::new(count, MINUTE, burst), Instant::now());
            (0..taken).for_each(|_| bucket.take(now));
            now += Duration::from_millis(gap);
            let told = bucket.ready(now, before);
            for _ in 0..before {
                now = bucket.ready(now, 0);
                bucket.take(now);
            }
            prop_assert_eq!(bucket.ready(now, 0), told);
        }
    }
}
