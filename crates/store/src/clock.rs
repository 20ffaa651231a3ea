//! The wall's clock, as it stands in rows and names of files.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Now, unix time in milliseconds.
pub(crate) fn unix_ms() -> u64 {
    millis(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default(),
    )
}

/// Whole milliseconds; what is beyond their range is the greatest.
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
