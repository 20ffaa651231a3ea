//! Messages as the contract's messages API tells them.

use serde::{Deserialize, Serialize};
use store::query::Message;
use utoipa::ToSchema;

use super::calls::timestamp;

/// What was said, the first said first.
#[derive(Serialize, ToSchema)]
pub(crate) struct MessageList {
    items: Vec<MessageShape>,
}

/// One final transcript.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Message)]
pub(crate) struct MessageShape {
    /// As the service heard it; redacted if the start asked for that.
    text: String,
    sender: MessageSender,
    /// ULID.
    #[schema(pattern = "^[0-9A-HJKMNP-TV-Z]{26}$")]
    message_id: String,
    /// When the transcript came.
    #[schema(format = DateTime)]
    created_timestamp: String,
    /// When it was said.
    #[schema(format = DateTime)]
    client_timestamp: String,
}

/// Who said it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageSender {
    #[schema(pattern = "^(agent|customer|system)$")]
    role: &'static str,
    /// `customerId` or `agentId` of the start.
    #[schema(required)]
    external_id: Option<String>,
}

/// Which conversation, when that is not in the query. Members that are not listed are ignored.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessagesRequest {
    /// The call's guid, or another identifier of its media session.
    #[schema(min_length = 1, max_length = 256)]
    pub(crate) external_id: String,
}

impl From<Vec<Message>> for MessageList {
    fn from(messages: Vec<Message>) -> Self {
        let items = messages.into_iter().map(MessageShape::from);
        Self {
            items: items.collect(),
        }
    }
}

impl From<Message> for MessageShape {
    fn from(message: Message) -> Self {
        Self {
            text: message.text.into_revealed(),
            sender: MessageSender {
                role: message.role.party().as_str(),
                external_id: message.sender.map(call::private::Private::into_revealed),
            },
            message_id: message.id,
            created_timestamp: timestamp(message.created_unix_ms),
            client_timestamp: timestamp(message.said_unix_ms),
        }
    }
}
