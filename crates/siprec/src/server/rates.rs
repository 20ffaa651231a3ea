//! How many INVITEs a source may send: a token bucket each, in a table that cannot grow.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// A bucket that has rested so long is full again and need not be kept.
const REFILL: Duration = Duration::from_secs(1);

/// Buckets of one second's INVITEs.
pub(super) struct Rates {
    per_second: u32,
    sources_max: usize,
    buckets: HashMap<IpAddr, Bucket>,
}

struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Rates {
    /// `per_second` 0: no limit.
    pub(super) fn new(per_second: u32, sources_max: usize) -> Self {
        Self {
            per_second,
            sources_max,
            buckets: HashMap::new(),
        }
    }

    /// Whether one more is allowed. With more sources in a second than the table holds, unknown
    /// ones are not.
    pub(super) fn take(&mut self, now: Instant, source: IpAddr) -> bool {
        if self.per_second == 0 {
            return true;
        }
        let rate = f64::from(self.per_second);
        if !self.buckets.contains_key(&source) && self.buckets.len() >= self.sources_max {
            let is_fresh = |bucket: &Bucket| now.saturating_duration_since(bucket.at) < REFILL;
            self.buckets.retain(|_, bucket| is_fresh(bucket));
            if self.buckets.len() >= self.sources_max {
                return false;
            }
        }
        let bucket = self.buckets.entry(source).or_insert(Bucket {
            tokens: rate,
            at: now,
        });
        let rested = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + rested * rate).min(rate);
        bucket.at = now;
        let may = bucket.tokens >= 1.0;
        if may {
            bucket.tokens -= 1.0;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const TWO: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test begins at some time")]
    fn a_source_gets_its_rate_and_others_are_not_concerned() {
        let start = Instant::now();
        let mut rates = Rates::new(2, 8);
        assert!(rates.take(start, ONE) && rates.take(start, ONE));
        assert!(!rates.take(start, ONE) && rates.take(start, TWO));
        assert!(rates.take(start + Duration::from_millis(500), ONE));
        assert!(!rates.take(start + Duration::from_millis(500), ONE));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test begins at some time")]
    fn a_full_table_takes_no_new_source_until_one_has_rested() {
        let start = Instant::now();
        let mut rates = Rates::new(5, 1);
        assert!(rates.take(start, ONE));
        assert!(!rates.take(start, TWO));
        assert!(rates.take(start + REFILL, TWO));
        assert_eq!(rates.buckets.len(), 1);
    }
}
