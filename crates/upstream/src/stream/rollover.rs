//! When a socket is replaced that its service is going to end, and where in the talk.

use std::time::Duration;

use tokio::time::Instant;

/// The end of one socket, as far as it is known beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rollover {
    /// When another is opened.
    pub(crate) open_at: Instant,
    /// When the service ends this one.
    end: Instant,
    /// How long a pause in the talk is waited for.
    window: Duration,
}

impl Rollover {
    /// A pause so long is as good as any.
    pub(crate) const PAUSE: Duration = Duration::from_millis(300);
    /// However short a socket's life, two thirds of it are lived before another is opened, and half
    /// of the rest is left for a pause to come.
    const LEAD_DIVISOR: u32 = 3;
    const WINDOW_DIVISOR: u32 = 2;

    /// For a socket that is ended `life` after it was opened.
    pub(crate) fn new(opened: Instant, life: Duration, lead: Duration, window: Duration) -> Self {
        let lead = lead.min(life / Self::LEAD_DIVISOR);
        Self {
            open_at: opened + (life - lead),
            end: opened + life,
            window: window.min(lead / Self::WINDOW_DIVISOR),
        }
    }

    /// Whether the talk goes over to the other socket now, which has been ready since `ready`;
    /// `pause` is how long nothing has been said. The longer it is waited for, the shorter a pause
    /// will do, until none is needed.
    pub(crate) fn is_time(&self, now: Instant, ready: Instant, pause: Duration) -> bool {
        let until = self.latest(ready);
        let left = until.saturating_duration_since(now);
        let whole = until.saturating_duration_since(ready);
        let needed = if whole.is_zero() {
            Duration::ZERO
        } else {
            Self::PAUSE.mul_f64(left.as_secs_f64() / whole.as_secs_f64())
        };
        pause >= needed
    }

    /// The earlier of two.
    pub(crate) fn earlier(self, other: Option<Self>) -> Self {
        other
            .filter(|other| other.open_at < self.open_at)
            .unwrap_or(self)
    }

    /// When no pause is waited for any longer: well before the service's own end.
    fn latest(&self, ready: Instant) -> Instant {
        let margin = self.window / Self::WINDOW_DIVISOR;
        (ready + self.window).min((self.end - margin).max(ready))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn three_hours_are_rolled_over_after_two_hours_and_fifty_five_minutes() {
        let start = Instant::now();
        let rollover = Rollover::new(start, 180 * MINUTE, 5 * MINUTE, MINUTE);
        assert_eq!(rollover.open_at, start + 175 * MINUTE);
        let ready = rollover.open_at + ms(200);
        assert!(!rollover.is_time(ready, ready, ms(299)));
        assert!(rollover.is_time(ready, ready, ms(300)));
        assert!(!rollover.is_time(ready + MINUTE / 2, ready, ms(149)));
        assert!(rollover.is_time(ready + MINUTE / 2, ready, ms(150)));
        assert!(!rollover.is_time(ready + MINUTE - ms(500), ready, ms(0)));
        assert!(rollover.is_time(ready + MINUTE, ready, ms(0)));
    }

    #[test]
    fn a_life_of_seconds_is_scaled() {
        let start = Instant::now();
        let rollover = Rollover::new(start, ms(6000), 5 * MINUTE, MINUTE);
        assert_eq!(rollover.open_at, start + ms(4000));
        assert!(!rollover.is_time(start + ms(4900), start + ms(4000), ms(0)));
        assert!(rollover.is_time(start + ms(5000), start + ms(4000), ms(0)));
    }

    #[test]
    fn a_socket_that_is_ready_late_is_taken_before_the_end() {
        let start = Instant::now();
        let rollover = Rollover::new(start, ms(6000), 5 * MINUTE, MINUTE);
        assert!(!rollover.is_time(start + ms(5400), start + ms(5000), ms(0)));
        assert!(rollover.is_time(start + ms(5500), start + ms(5000), ms(0)));
        let after_all = start + ms(7000);
        assert!(rollover.is_time(after_all, after_all, ms(0)));
    }

    #[test]
    fn of_two_ends_the_earlier_counts() {
        let start = Instant::now();
        let late = Rollover::new(start, ms(6000), MINUTE, MINUTE);
        let early = Rollover::new(start, ms(3000), MINUTE, MINUTE);
        assert_eq!(late.earlier(Some(early)), early);
        assert_eq!(early.earlier(Some(late)), early);
        assert_eq!(late.earlier(None), late);
    }
}
