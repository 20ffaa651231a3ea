//! What a client says on a WebSocket.

use serde::Deserialize;
use utoipa::ToSchema;

use super::CallReference;
use super::kinds::KindName;
use super::requests::{given, of_object};

/// What a client wants to be told from now on. Members that are not listed are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct SubscribeMessage {
    #[serde(deserialize_with = "of_object")]
    pub(crate) subscribe: Subscribe,
}

/// All that is given must hold.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Subscribe {
    /// Begin after the event with this id; 0: with the oldest of this process that is in memory.
    /// Without it the stream goes on where it is.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, pattern = "^(0|[0-9a-f]{1,16}-[0-9]{1,18})$")]
    pub(crate) after: Option<String>,
    /// Events of these kinds; without it, or with none, of all.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, value_type = Option<Vec<KindName>>)]
    pub(crate) kinds: Option<Vec<String>>,
    /// Events of these calls; without it, or with none, of all.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, max_items = 16)]
    pub(crate) calls: Option<Vec<CallReference>>,
    /// Whether partial transcripts are told as well as final ones; they are if it is not said.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    pub(crate) partials: Option<bool>,
}
