//! Durations counted into logarithmic buckets: small, mergeable, exact to about 1.5 %.

use std::time::Duration;

/// Buckets an octave.
const STEPS: u64 = 64;
const OCTAVES: u64 = 36;

/// A histogram of microseconds.
#[derive(Clone, Debug)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max_us: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: vec![0; (OCTAVES * STEPS) as usize],
            count: 0,
            max_us: 0,
        }
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&mut self, duration: Duration) {
        self.record_us(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// Counts one duration of so many microseconds.
    pub fn record_us(&mut self, us: u64) {
        let last = self.buckets.len() - 1;
        self.buckets[bucket(us).min(last)] += 1;
        self.count += 1;
        self.max_us = self.max_us.max(us);
    }

    /// Adds all that another one counted.
    pub fn merge(&mut self, other: &Self) {
        for (ours, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *ours += theirs;
        }
        self.count += other.count;
        self.max_us = self.max_us.max(other.max_us);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest, exactly.
    pub fn max_us(&self) -> u64 {
        self.max_us
    }

    /// The value that a share of them (0 to 1) does not exceed; 0 of none.
    pub fn quantile_us(&self, share: f64) -> u64 {
        let wanted = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted && index + 1 < self.buckets.len() {
                return upper(index as u64).min(self.max_us);
            }
        }
        self.max_us
    }
}

/// Linear up to `STEPS`, then `STEPS` buckets for each doubling.
fn bucket(us: u64) -> usize {
    let octave = u64::from(us.max(STEPS).ilog2()) - u64::from(STEPS.ilog2());
    (octave * STEPS + (us >> octave)) as usize
}

/// The largest value of a bucket.
fn upper(index: u64) -> u64 {
    let octave = (index / STEPS).saturating_sub(1);
    ((index - octave * STEPS + 1) << octave) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_exact_to_a_sixty_fourth() {
        let mut histogram = Histogram::default();
        (1..=100_000).for_each(|us| histogram.record_us(us));
        for share in [0.01, 0.5, 0.9, 0.99, 1.0] {
            let exact = 100_000.0 * share;
            let found = histogram.quantile_us(share) as f64;
            assert!(
                (found - exact).abs() <= exact / 64.0 + 1.0,
                "{share}: {found}"
            );
        }
        assert_eq!((histogram.count(), histogram.max_us()), (100_000, 100_000));
    }

    #[test]
    fn every_value_lies_in_the_bucket_that_claims_it() {
        for us in (0..5_000).chain([65_535, 65_536, 1_000_000, 86_400_000_000]) {
            let index = bucket(us);
            assert!(us <= upper(index as u64), "{us}");
            assert!(index == 0 || us > upper(index as u64 - 1), "{us}");
        }
    }

    #[test]
    fn merging_is_counting_together() {
        let (mut one, mut other) = (Histogram::default(), Histogram::default());
        one.record(Duration::from_micros(10));
        other.record(Duration::from_millis(10));
        one.merge(&other);
        assert_eq!(
            (one.count(), one.max_us(), one.quantile_us(0.5)),
            (2, 10_000, 10)
        );
    }

    #[test]
    fn nothing_and_the_absurd_do_not_panic() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile_us(0.99), 0);
        histogram.record_us(u64::MAX);
        assert_eq!(histogram.quantile_us(0.5), u64::MAX);
    }
}
