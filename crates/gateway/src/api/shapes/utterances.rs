//! Utterances as they are exported: a line of JSON each, or a row of text columns.

use serde::Serialize;
use store::query::ExportedUtterance;
use utoipa::ToSchema;

use super::calls::timestamp;
use super::events::TokenShape;

/// One final utterance.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ExportedUtterance)]
pub(crate) struct UtteranceRow {
    pub(crate) conversation_id: String,
    pub(crate) namespace: &'static str,
    /// The call's guid.
    pub(crate) external_conversation_id: String,
    pub(crate) stream_id: String,
    pub(crate) message_id: String,
    /// `agent`, `customer`, or `mixed` for a line that carries both.
    pub(crate) role: &'static str,
    /// `customerId` or `agentId` of the start.
    pub(crate) external_id: Option<String>,
    /// Beginning, in milliseconds on the stream's clock.
    pub(crate) start_ms: u64,
    /// End, likewise.
    pub(crate) end_ms: u64,
    /// When it was kept.
    pub(crate) created_timestamp: String,
    /// When it was said.
    pub(crate) client_timestamp: String,
    pub(crate) text: String,
    /// Further readings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    others: Vec<String>,
    /// Word by word, when the start asked for `detailedToken`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tokens: Vec<TokenShape>,
    #[serde(skip)]
    pub(crate) created_unix_ms: u64,
    #[serde(skip)]
    pub(crate) said_unix_ms: u64,
}

impl UtteranceRow {
    pub(crate) fn json(&self) -> String {
        super::json(self)
    }
}

impl From<ExportedUtterance> for UtteranceRow {
    fn from(said: ExportedUtterance) -> Self {
        let message = said.message;
        let others = said.others.into_iter();
        Self {
            conversation_id: said.conversation,
            namespace: said.call.namespace.as_str(),
            external_conversation_id: said.call.guid.as_str().to_owned(),
            stream_id: said.stream,
            message_id: message.id,
            role: message.role.as_str(),
            external_id: message.sender.map(call::private::Private::into_revealed),
            start_ms: said.start_ms,
            end_ms: said.end_ms,
            created_unix_ms: message.created_unix_ms,
            said_unix_ms: message.said_unix_ms,
            created_timestamp: timestamp(message.created_unix_ms),
            client_timestamp: timestamp(message.said_unix_ms),
            text: message.text.into_revealed(),
            others: others.map(call::private::Private::into_revealed).collect(),
            tokens: said.tokens.iter().map(TokenShape::from).collect(),
        }
    }
}
