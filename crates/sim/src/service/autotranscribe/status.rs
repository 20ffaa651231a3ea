//! AutoTranscribe's application status codes, as its guide lists them.

/// All is well.
pub(super) const OK: u16 = 1000;
/// A message is not what it should be.
pub(super) const FORMAT: u16 = 4040;
/// The language is not supported.
pub(super) const LANGUAGE: u16 = 4050;
/// The encoding is not supported.
pub(super) const ENCODING: u16 = 4051;
/// The sample rate is not supported.
pub(super) const RATE: u16 = 4053;
/// A message comes at the wrong time.
pub(super) const ORDER: u16 = 4056;
/// Nothing came for too long.
pub(super) const IDLE: u16 = 4083;
/// A vocabulary is too large.
pub(super) const VOCABULARY_LIMIT: u16 = 4084;
/// The stream lasts too long.
pub(super) const DURATION: u16 = 4090;
/// A vocabulary is not what it should be.
pub(super) const VOCABULARY: u16 = 4091;
/// Redaction without smart formatting.
pub(super) const REDACT_PLAIN: u16 = 4092;
/// Redaction with detailed tokens.
pub(super) const REDACT_TOKENS: u16 = 4093;
/// Unredacted text where all is redacted.
pub(super) const ALWAYS_REDACT: u16 = 4094;
/// The service is going away.
pub(super) const SHUTTING_DOWN: u16 = 5001;

/// The guide's words for a code.
pub(super) fn description(code: u16) -> &'static str {
    match code {
        OK => "OK",
        1008 => "Invalid or expired access token",
        2002 => "Error in fetching conversationId",
        FORMAT => "Message format incorrect",
        LANGUAGE => "Language not supported",
        ENCODING => "Encoding not supported",
        RATE => "Sample rate not supported",
        ORDER => "Wrong message order or missing required message",
        4080 => "Unable to transcribe the audio",
        4082 => "Audio decode failure",
        IDLE => "Connection idle timeout. Try streaming audio in real-time",
        VOCABULARY_LIMIT => "Custom vocabulary phrase exceeds limit",
        DURATION => "Streaming duration over limit",
        VOCABULARY => "Invalid vocabulary format",
        REDACT_PLAIN => "Redact only smart formatted text",
        REDACT_TOKENS => "Redaction only supported if detailedTokens in True",
        ALWAYS_REDACT => {
            "RedactionOutput cannot be unredacted or redacted_and_unredacted because of global \
             config being to always redact"
        }
        5000 => "Internal service error",
        SHUTTING_DOWN => "Service shutting down",
        5002 => "No instances available",
        _ => "Unknown",
    }
}
