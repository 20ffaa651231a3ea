//! A failure that comes again and again is told once, and then how often it came.

use tokio::time::{Duration, Instant};

/// Failures of one kind since they were told last.
#[derive(Debug, Default)]
pub(crate) struct Complaint {
    told: Option<Instant>,
    untold: u64,
}

impl Complaint {
    const INTERVAL: Duration = Duration::from_secs(60);

    /// One more; how many there were since the last time, if it is time to tell.
    pub(crate) fn one_more(&mut self, now: Instant) -> Option<u64> {
        self.untold += 1;
        if self.told.is_some_and(|told| now < told + Self::INTERVAL) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_and_then_one_a_minute_with_the_number_of_the_others() {
        let start = Instant::now();
        let mut complaint = Complaint::default();
        assert_eq!(complaint.one_more(start), Some(1));
        for seconds in 1..60 {
            let later = start + Duration::from_secs(seconds);
            assert_eq!(complaint.one_more(later), None);
        }
        assert_eq!(
            complaint.one_more(start + Duration::from_secs(60)),
            Some(60)
        );
    }
}
