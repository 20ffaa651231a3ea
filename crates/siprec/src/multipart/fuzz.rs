//! The body of the fuzz target for bodies.

use super::{BodyLimits, split};

/// The first line is the content type (empty: none), the rest is the body.
pub fn fuzz(data: &[u8]) {
    let end = data.iter().position(|&byte| byte == b'\n');
    let (line, body) = match end {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &[][..]),
    };
    let line = String::from_utf8_lossy(line);
    let content_type = (!line.trim().is_empty()).then_some(line.as_ref());
    let Ok(parts) = split(content_type, body) else {
        return;
    };
    let limits = BodyLimits::default();
    assert!(parts.skipped.len() <= limits.parts_max.max(1));
    assert!(parts.skipped.iter().all(|shown| shown.len() <= 64));
    let metadata = parts.metadata.map_or(0, |metadata| metadata.bytes.len());
    let sdp = parts.sdp.map_or(0, |sdp| sdp.len());
    assert!(
        sdp + metadata <= body.len(),
        "a part is never larger than its body"
    );
    assert!(parts.gtd.is_none_or(|gci| gci.len() == 32));
}
