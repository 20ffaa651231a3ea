//! The body of the fuzz target for metadata.

use super::{Applied, BadMetadata, MetadataLimits, Recording};
use crate::multipart::Metadata;

/// Documents between zero bytes, applied one after the other.
pub fn fuzz(data: &[u8]) {
    let limits = MetadataLimits::default();
    let mut recording = Recording::default();
    for document in data.split(|&byte| byte == 0).take(8) {
        let metadata = Metadata {
            bytes: document.to_vec(),
            charset: None,
        };
        let before = recording.clone();
        match recording.apply(&metadata) {
            Ok(Applied::Complete) => check_repeatable(&recording, &metadata),
            Ok(Applied::Partial | Applied::StateLost) => {}
            Err(BadMetadata::NotRecording | BadMetadata::TooLarge | BadMetadata::Unreadable(_)) => {
                assert!(
                    recording == before,
                    "a document that is refused changes nothing"
                );
            }
        }
        check_bounds(&recording, &limits);
        let minimal = recording.minimised(&[]);
        let is_silent = |one: &super::Participant| one.aor.is_none() && one.name.is_none();
        assert!(minimal.participants.iter().all(is_silent));
        assert!(minimal.vendor_headers.is_empty());
    }
}

/// A snapshot says the same whatever was known before.
fn check_repeatable(recording: &Recording, metadata: &Metadata) {
    let mut again = Recording::default();
    assert_eq!(again.apply(metadata), Ok(Applied::Complete));
    assert!(again == *recording);
}

fn check_bounds(recording: &Recording, limits: &MetadataLimits) {
    assert!(recording.participants.len() <= limits.participants_max);
    assert!(recording.streams.len() <= limits.streams_max);
    assert!(recording.identifiers.len() <= limits.identifiers_max);
    assert!(recording.vendor_headers.len() <= limits.identifiers_max);
    for participant in &recording.participants {
        assert!(participant.sends.len() <= limits.streams_max);
        assert!(participant.receives.len() <= limits.streams_max);
        let texts = [participant.aor.as_deref(), participant.name.as_deref()];
        for text in texts.into_iter().flatten().chain([participant.id.as_str()]) {
            assert!(text.chars().count() <= limits.text_chars_max);
        }
    }
}
