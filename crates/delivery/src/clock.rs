//! The time of one task, in unix milliseconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// The wall's clock as it was at the beginning, and then without its leaps.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    unix_ms: u64,
    since: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            unix_ms: millis(unix.unwrap_or_default()),
            since: Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> u64 {
        self.unix_ms.saturating_add(millis(self.since.elapsed()))
    }

    pub(crate) fn instant(&self, unix_ms: u64) -> Instant {
        self.since + Duration::from_millis(unix_ms.saturating_sub(self.unix_ms))
    }
}

/// Whole milliseconds; what is beyond their range is the greatest.
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
