//! What was said, in which stream, when.

use std::time::Duration;

use crate::name::{CallName, Role, StreamId};
use crate::private::Private;

/// One utterance, or with `is_final` false the service's present guess at one.
#[derive(Clone, Debug, PartialEq)]
pub struct Utterance {
    /// The call it was said in.
    pub call: CallName,
    /// The stream that heard it.
    pub stream: StreamId,
    /// Who said it.
    pub role: Role,
    /// The speaker's external id, `customerId` or `agentId` of the start.
    pub sender: Private<String>,
    /// What the service wrote; AutoTranscribe gives one alternative, or two with
    /// `redacted_and_unredacted`.
    pub alternatives: Vec<Alternative>,
    /// Beginning, on the stream's clock, which is 0 where the start opened the gate.
    pub start: Duration,
    /// End, on the stream's clock.
    pub end: Duration,
    /// Whether the service will not change it any more.
    pub is_final: bool,
}

/// One reading of an utterance.
#[derive(Clone, Debug, PartialEq)]
pub struct Alternative {
    /// The words.
    pub text: Private<String>,
    /// Word by word, when the start asked for `detailedToken`.
    pub tokens: Vec<Token>,
}

/// One word or mark of an utterance.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// The word or mark.
    pub content: Private<String>,
    /// Beginning, on the stream's clock.
    pub start: Duration,
    /// End, on the stream's clock; the next token may begin later.
    pub end: Duration,
    /// A mark that follows without a blank.
    pub punctuation_after: Option<String>,
    /// A mark that precedes without a blank.
    pub punctuation_before: Option<String>,
}
