//! The body of the fuzz target for identifiers.

use super::{CHARS_MAX, DEFAULT_ORDER, IDENTIFIERS_MAX, OTHER_HEADER, extract, normal};
use crate::message::Headers;
use crate::metadata::Recording;

/// Lines of text; each is a value of every carrier.
pub fn fuzz(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut headers = Headers::default();
    let mut recording = Recording::default();
    let carriers = [
        "User-to-User",
        "Cisco-Guid",
        "Session-ID",
        "From",
        "X-Own",
        "Call-ID",
    ];
    for (line, carrier) in text.lines().zip(carriers.iter().cycle()).take(64) {
        let once = normal(line);
        assert_eq!(
            normal(&once),
            once,
            "the normal form of a normal form is itself"
        );
        assert!(once.len() <= line.len().max(44));
        headers.push(carrier, line);
        recording.identifiers.push(("session_id", line.to_owned()));
        recording
            .vendor_headers
            .push(("X-Own".to_owned(), line.to_owned()));
    }
    let found = extract(
        &headers,
        &recording,
        &["X-Own".to_owned(), "Call-ID".to_owned()],
    );
    assert!(found.len() <= IDENTIFIERS_MAX);
    for (at, identifier) in found.iter().enumerate() {
        let is_known = DEFAULT_ORDER.contains(&identifier.source);
        assert!(is_known || identifier.source == OTHER_HEADER);
        assert!(identifier.raw.len() <= CHARS_MAX && !identifier.normal.is_empty());
        assert_eq!(identifier.normal, normal(&identifier.raw));
        let same = |other: &super::Identifier| other.normal == identifier.normal;
        assert!(!found[..at].iter().any(same), "each only once");
    }
}
