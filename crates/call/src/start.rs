//! What a start asks for, and what its streams report in the end.

use std::sync::Arc;
use std::time::Duration;

use crate::name::{CallName, Role, Side, StreamId};
use crate::private::Private;

/// A start, resolved to what each side's stream shall be.
#[derive(Clone, Debug)]
pub struct Start {
    /// The stream of the first side (Twilio: `inbound`).
    pub first: StreamSpec,
    /// The stream of the second side (Twilio: `outbound`).
    pub second: StreamSpec,
}

/// One upstream stream, as asked for.
#[derive(Clone, Debug)]
pub struct StreamSpec {
    /// New with every start.
    pub id: StreamId,
    /// The call it belongs to; the guid is the service's `externalId`.
    pub call: CallName,
    /// Who speaks on it.
    pub role: Role,
    /// The speaker's external id, `customerId` or `agentId`.
    pub sender: Private<String>,
    /// What both streams of a start share.
    pub options: Arc<StreamOptions>,
}

/// What a start asks of the recogniser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamOptions {
    /// IETF language tag, `en-US` by default.
    pub language: String,
    /// Word-level output.
    pub detailed_token: bool,
    /// Whether the service may keep the sound for training.
    pub audio_recording_allowed: bool,
    /// What of the text is redacted.
    pub redaction: Redaction,
    /// Phrases to boost, from configuration and from the start, in that order.
    pub vocabulary: Vec<Phrase>,
}

/// `redactionOutput` of the control API and of AutoTranscribe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Redaction {
    /// `redacted`
    #[default]
    Redacted,
    /// `redacted_and_unredacted`
    RedactedAndUnredacted,
    /// `unredacted`
    Unredacted,
}

/// One entry of a custom vocabulary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase {
    /// The phrase to boost.
    pub phrase: Private<String>,
    /// How it may be pronounced.
    pub sounds_like: Vec<Private<String>>,
    /// `address`, `name`, `number`, `company` or `currency`.
    pub category: Option<String>,
}

/// How one stream stands or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The stream.
    pub id: StreamId,
    /// Whose sound it carried.
    pub role: Role,
    /// The service's status, or 5000 with our words when it gave none.
    pub status: Status,
    /// What the service counted; unknown is not zero.
    pub summary: Option<Summary>,
}

/// An application status code and its description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// As in the contract's table; 1000 is OK.
    pub code: u16,
    /// A sentence for people.
    pub description: String,
}

/// `summary` of a `finalResponse`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Bytes of L16 the service received.
    pub audio_bytes: u64,
    /// How much sound it processed.
    pub audio: Duration,
    /// How long the stream lasted; the API shows whole seconds, rounded up.
    pub streaming: Duration,
    /// How many transcripts it sent.
    pub transcripts: u32,
}

impl Start {
    /// What the stream of one side shall be.
    pub fn side(&self, side: Side) -> &StreamSpec {
        match side {
            Side::First => &self.first,
            Side::Second => &self.second,
        }
    }
}

impl Redaction {
    /// All of them, in alphabetical order.
    pub const ALL: [Self; 3] = [
        Self::Redacted,
        Self::RedactedAndUnredacted,
        Self::Unredacted,
    ];

    /// The contract's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Redacted => "redacted",
            Self::RedactedAndUnredacted => "redacted_and_unredacted",
            Self::Unredacted => "unredacted",
        }
    }

    /// Reads that spelling; anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|redaction| redaction.as_str() == text)
    }
}

impl Status {
    /// 1000.
    pub fn ok() -> Self {
        Self {
            code: 1000,
            description: "OK".to_owned(),
        }
    }

    /// 5000, with words of ours: the service itself said nothing.
    pub fn internal(description: impl Into<String>) -> Self {
        Self {
            code: 5000,
            description: description.into(),
        }
    }

    /// Whether it is 1000.
    pub fn is_ok(&self) -> bool {
        self.code == 1000
    }
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            language: "en-US".to_owned(),
            detailed_token: false,
            audio_recording_allowed: false,
            redaction: Redaction::Redacted,
            vocabulary: Vec::new(),
        }
    }
}
