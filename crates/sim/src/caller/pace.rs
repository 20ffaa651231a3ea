//! When a frame is due: absolute deadlines, so that no delay adds to the next one.

use std::time::Duration;

use tokio::time::Instant;

/// Maps the media clock of a stream to the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    begun: Instant,
    burst: Duration,
    speed: f64,
}

impl Pace {
    /// A stream that begins at `begun`. Its first `burst` of sound is due at once: a platform has
    /// been listening while it connected. `speed` is media seconds a second; 0 never waits.
    pub fn new(begun: Instant, burst: Duration, speed: f64) -> Self {
        Self {
            begun,
            burst,
            speed,
        }
    }

    /// When sound that lies `media` after the first frame is due.
    pub fn due(&self, media: Duration) -> Instant {
        if self.speed <= 0.0 {
            return self.begun;
        }
        self.begun + media.saturating_sub(self.burst).div_f64(self.speed)
    }

    /// Waits until it is due and tells how much too late that was.
    pub async fn wait(&self, media: Duration) -> Duration {
        if self.speed <= 0.0 {
            return Duration::ZERO;
        }
        let due = self.due(media);
        tokio::time::sleep_until(due).await;
        due.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn pace(speed: f64) -> (Pace, Instant) {
        let begun = Instant::now();
        (Pace::new(begun, 130 * MS, speed), begun)
    }

    #[tokio::test]
    async fn the_opening_burst_is_due_at_once_and_the_rest_in_its_own_time() {
        let (pace, begun) = pace(1.0);
        assert_eq!(pace.due(Duration::ZERO), begun);
        assert_eq!(pace.due(120 * MS), begun);
        assert_eq!(pace.due(140 * MS), begun + 10 * MS);
        assert_eq!(pace.due(10_130 * MS), begun + 10_000 * MS);
    }

    #[tokio::test]
    async fn twice_the_speed_is_half_the_time() {
        let (pace, begun) = pace(2.0);
        assert_eq!(pace.due(1_130 * MS), begun + 500 * MS);
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_frame_does_not_delay_the_next_one() {
        let (pace, begun) = pace(1.0);
        tokio::time::advance(500 * MS).await;
        assert_eq!(pace.wait(330 * MS).await, 300 * MS);
        assert_eq!(pace.wait(1_130 * MS).await, Duration::ZERO);
        assert_eq!(Instant::now(), begun + 1_000 * MS);
    }

    #[tokio::test(start_paused = true)]
    async fn speed_nought_never_waits() {
        let (pace, begun) = pace(0.0);
        assert_eq!(pace.wait(Duration::from_secs(3_600)).await, Duration::ZERO);
        assert_eq!(Instant::now(), begun);
    }
}
