//! How fast a backlog may be sent. Sound that comes in real time is never delayed.

use std::time::Duration;

use tokio::time::Instant;

use crate::service::Limits;

/// Counts sent sound against the time it may take, as a token bucket does. One a socket.
#[derive(Debug)]
pub(crate) struct Pacer {
    percent: u32,
    burst: Duration,
    /// When all that was sent would be through at the pace.
    through: Option<Instant>,
}

impl Pacer {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            percent: limits.pace_percent.max(100),
            burst: limits.burst,
            through: None,
        }
    }

    /// Until when nothing may be sent; `None` if something may be sent now.
    pub(crate) fn wait(&self, now: Instant) -> Option<Instant> {
        self.through
            .filter(|&through| through > now + self.burst)
            .map(|through| through - self.burst)
    }

    /// So much sound was sent at `now`.
    pub(crate) fn sent(&mut self, now: Instant, sound: Duration) {
        let from = self.through.map_or(now, |through| through.max(now));
        self.through = Some(from + sound * 100 / self.percent);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHUNK: Duration = Duration::from_millis(100);

    fn pacer() -> Pacer {
        Pacer::new(Limits {
            chunk: CHUNK,
            chunk_min: Duration::ZERO,
            chunk_max: CHUNK,
            pace_percent: 120,
            burst: Duration::from_millis(300),
            idle: Duration::ZERO,
            session_max: Duration::ZERO,
            accepts_at_open: false,
            counts_bytes: true,
        })
    }

    #[test]
    fn sound_in_real_time_is_never_delayed() {
        let (mut pacer, start) = (pacer(), Instant::now());
        for n in 0..10_000 {
            let now = start + n * CHUNK;
            assert_eq!(pacer.wait(now), None);
            pacer.sent(now, CHUNK);
        }
    }

    #[test]
    fn a_backlog_goes_out_at_the_pace_after_the_burst() {
        let (mut pacer, start) = (pacer(), Instant::now());
        let mut now = start;
        for _ in 0..100 {
            now = pacer.wait(now).unwrap_or(now);
            pacer.sent(now, CHUNK);
        }
        // 10 s of sound at 1.2 times real time, less the burst and the chunk that exceeds it.
        let took = (now - start).as_secs_f64();
        assert!(
            (took - (100.0 * 0.1 / 1.2 - 0.3 - 0.1 / 1.2)).abs() < 0.01,
            "{took}"
        );
    }

    proptest! {
        #[test]
        fn no_window_has_more_than_it_may(gaps in prop::collection::vec(0u64..250, 1..200)) {
            let (mut pacer, start) = (pacer(), Instant::now());
            let (mut now, mut sent, mut times) = (start, Duration::ZERO, Vec::new());
            for gap in gaps {
                now += Duration::from_millis(gap);
                now = pacer.wait(now).unwrap_or(now);
                pacer.sent(now, CHUNK);
                times.push((now, sent));
                sent += CHUNK;
                for &(from, before) in &times {
                    let allowed = (now - from).mul_f64(1.2) + Duration::from_millis(360) + CHUNK;
                    prop_assert!(sent - before <= allowed + Duration::from_micros(10));
                }
            }
        }
    }
}
