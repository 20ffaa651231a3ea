//! How late timers fire: the one figure that shows that the processor cannot keep up, whatever
//! keeps it busy.

use std::collections::VecDeque;
use std::time::Duration;

/// How often a timer is set.
pub(super) const PERIOD: Duration = Duration::from_millis(100);

/// Timers looked back at: five seconds.
const WINDOW: usize = 50;

/// How late the last timers were.
#[derive(Debug, Default)]
pub(super) struct Lag(VecDeque<Duration>);

impl Lag {
    /// A timer was so late. Those that would have fired meanwhile were late too, each one period
    /// less than the one before it: a standstill counts for as long as it lasted.
    pub(super) fn late(&mut self, late: Duration) {
        let missed = (0..WINDOW as u32).map(|nth| late.checked_sub(PERIOD * nth));
        for late in missed.map_while(|late| late) {
            if self.0.len() == WINDOW {
                self.0.pop_front();
            }
            self.0.push_back(late);
        }
    }

    /// A tenth of the window was later than this.
    pub(super) fn p90(&self) -> Duration {
        let mut sorted: Vec<Duration> = self.0.iter().copied().collect();
        sorted.sort_unstable_by(|a, b| b.cmp(a));
        sorted.get(WINDOW / 10).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn lag(late: impl IntoIterator<Item = u64>) -> Duration {
        let mut lag = Lag::default();
        late.into_iter().for_each(|late| lag.late(ms(late)));
        lag.p90()
    }

    #[test]
    fn a_few_late_timers_are_nothing_and_a_tenth_of_them_is_lag() {
        assert_eq!(lag([]), ms(0));
        assert_eq!(lag([90; 5]), ms(0));
        assert_eq!(lag([90; 6]), ms(90));
        let few = (0..50).map(|nth| if nth % 10 == 0 { 99 } else { 1 });
        assert_eq!(lag(few), ms(1));
        let many = (0..50).map(|nth| if nth % 5 == 0 { 99 } else { 1 });
        assert_eq!(lag(many), ms(99));
    }

    #[test]
    fn a_standstill_counts_for_as_long_as_it_lasted() {
        // 400, 300, 200, 100, 0.
        assert_eq!(lag([400]), ms(0));
        assert_eq!(lag([1_000]), ms(500));
        assert_eq!(lag([3_600_000]), ms(3_600_000 - 500));
    }

    #[test]
    fn what_was_late_is_forgotten_after_the_window() {
        let late_then = |fine: usize| std::iter::repeat_n(99, 50).chain(vec![0; fine]);
        assert_eq!(lag(late_then(44)), ms(99));
        assert_eq!(lag(late_then(45)), ms(0));
    }
}
