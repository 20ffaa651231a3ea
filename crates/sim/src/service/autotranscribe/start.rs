//! What a stream asks for when it begins.

use crate::speech::Role;

/// An accepted `startStream` with the defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartStream {
    /// `sender.role`
    pub role: Role,
    /// `sender.externalId`
    pub sender: String,
    /// `language`
    pub language: String,
    /// `smartFormatting`
    pub smart_formatting: bool,
    /// `detailedToken`
    pub detailed_token: bool,
    /// `audioRecordingAllowed`
    pub audio_recording_allowed: bool,
    /// `redactionOutput`
    pub redaction: RedactionOutput,
}

/// `redactionOutput`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedactionOutput {
    /// `redacted`
    Redacted,
    /// `redacted_and_unredacted`
    RedactedAndUnredacted,
    /// `unredacted`
    Unredacted,
}

impl RedactionOutput {
    /// Reads the wire's spelling.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "redacted" => Some(Self::Redacted),
            "redacted_and_unredacted" => Some(Self::RedactedAndUnredacted),
            "unredacted" => Some(Self::Unredacted),
            _ => None,
        }
    }
}
