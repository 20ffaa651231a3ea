//! The wall's clock, as events, calls and tokens tell it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Now, unix time in milliseconds.
pub(crate) fn unix_ms() -> u64 {
    millis(since_1970())
}

/// Now, unix time in seconds.
pub(crate) fn unix_seconds() -> u64 {
    since_1970().as_secs()
}

/// Whole milliseconds; what is beyond their range is the greatest.
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn since_1970() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}
