//! Webhooks and dead letters.

use delivery::{EndpointState, Standing};
use serde::Serialize;
use store::outbox::{DeadLetter, Depth};
use utoipa::ToSchema;

use super::calls::timestamp;

/// Webhooks in the order of the configuration.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookList {
    pub(crate) webhooks: Vec<WebhookShape>,
}

/// An endpoint that events are delivered to.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Webhook)]
pub(crate) struct WebhookShape {
    /// As the configuration names it.
    name: String,
    /// Where it is, without path and parameters.
    host: String,
    /// `enabled`; `resting`: it fails, and is tried now and then; `disabled`: it answered 410.
    #[schema(pattern = "^(disabled|enabled|resting)$")]
    state: &'static str,
    /// Attempts under way.
    in_flight: u64,
    /// What failed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    last_error: Option<Failure>,
    /// Deliveries that wait.
    waiting: u64,
    /// Bytes of their bodies.
    waiting_bytes: u64,
    /// When the oldest of them was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    oldest_at: Option<String>,
    /// Deliveries that were given up.
    dead_letters: u64,
}

/// What failed, and when.
#[derive(Serialize, ToSchema)]
pub(crate) struct Failure {
    why: String,
    #[schema(format = DateTime)]
    at: String,
}

/// Dead letters, the oldest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeadLetterList {
    dead_letters: Vec<DeadLetterShape>,
    /// There are more; ask again with `after` set to this.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<u64>,
}

/// A delivery that was given up.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeadLetter)]
pub(crate) struct DeadLetterShape {
    /// By which replay and burial name it.
    number: u64,
    /// `webhook-id` of its attempts.
    id: String,
    /// The kind of event.
    kind: String,
    /// The call: namespace and guid with a slash between.
    call: String,
    attempts: u32,
    #[schema(format = DateTime)]
    made_at: String,
    #[schema(format = DateTime)]
    dead_at: String,
    /// Why it was given up.
    why: String,
}

/// How many dead letters there were.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeadLetterCount {
    pub(crate) count: u64,
}

impl WebhookShape {
    pub(crate) fn new(state: EndpointState, depth: Depth) -> Self {
        let failure = |(why, at)| Failure {
            why,
            at: timestamp(at),
        };
        Self {
            host: state.host,
            state: match state.standing {
                Standing::Disabled => "disabled",
                Standing::Enabled => "enabled",
                Standing::Resting => "resting",
            },
            in_flight: state.in_flight as u64,
            last_error: state.last_error.map(failure),
            name: state.name,
            waiting: depth.waiting,
            waiting_bytes: depth.bytes,
            oldest_at: depth.oldest_unix_ms.map(timestamp),
            dead_letters: depth.dead,
        }
    }
}

impl DeadLetterList {
    /// The first `limit` of these.
    pub(crate) fn new(mut letters: Vec<DeadLetter>, limit: usize) -> Self {
        let are_more = letters.len() > limit;
        letters.truncate(limit);
        Self {
            next: letters.last().filter(|_| are_more).map(|last| last.number),
            dead_letters: letters.into_iter().map(DeadLetterShape::from).collect(),
        }
    }
}

impl From<DeadLetter> for DeadLetterShape {
    fn from(letter: DeadLetter) -> Self {
        Self {
            number: letter.number,
            id: letter.id,
            kind: letter.kind,
            call: letter.lane,
            attempts: letter.attempts,
            made_at: timestamp(letter.made_unix_ms),
            dead_at: timestamp(letter.dead_unix_ms),
            why: letter.why,
        }
    }
}
