//! What an answer's headers say.

use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use http::header::RETRY_AFTER;
use jiff::fmt::rfc2822::DateTimeParser;

/// `Retry-After`, RFC 9110 section 10.2.3, in milliseconds: whole seconds, or a date.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<u64> {
    parse(headers.get(RETRY_AFTER)?.to_str().ok()?.trim(), now)
}

pub(super) fn parse(text: &str, now: SystemTime) -> Option<u64> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.parse().unwrap_or(u64::MAX).saturating_mul(1000));
    }
    let date = DateTimeParser::new().parse_timestamp(text).ok()?;
    let now = now.duration_since(UNIX_EPOCH).ok()?.as_millis();
    let wait = i128::from(date.as_millisecond()) - i128::try_from(now).ok()?;
    // A date that is past: at once.
    Some(u64::try_from(wait).unwrap_or(0))
}
