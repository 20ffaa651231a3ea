//! What happened, in the shape in which an endpoint wants it. The bytes are made once and stay
//! the same over all attempts.

mod asapp;
mod cloudevents;
mod envelope;

use std::fmt;

use call::name::{CallName, Role};
use call::private::Private;
use call::transcript::Utterance;
use serde_json::{Map, Value};

use crate::endpoint::{Filter, Format};

/// Something that happened, for whoever wants to know.
#[derive(Clone, Copy)]
pub struct Fact<'a> {
    /// Its ULID.
    pub id: &'a str,
    /// Its number in its conversation, from 1.
    pub seq: u64,
    /// When, unix time in milliseconds.
    pub at_unix_ms: u64,
    /// The call.
    pub call: &'a CallName,
    /// The call's name as the start wrote it.
    pub external: &'a str,
    /// Whose call it is, once that is known.
    pub tenant: Option<&'a str>,
    /// The kind of event as the API tells it.
    pub kind: &'static str,
    /// Whose event it is.
    pub role: Option<Role>,
    /// The event as the API tells it, a JSON object.
    pub json: &'a str,
    /// What was said, if it is that.
    pub said: Option<&'a Utterance>,
}

/// Kinds of events that an endpoint can ask for, as the API names them, each with its `type` in
/// the formats that have one. In alphabetical order.
pub const KINDS: [(&str, &str); 15] = [
    ("bytesMismatch", "stream.bytes.mismatch"),
    ("callChanged", "call.changed"),
    ("callEnded", "call.ended"),
    ("callStarted", "call.started"),
    ("command", "command"),
    ("gap", "gap"),
    ("legEnded", "leg.ended"),
    ("legOpened", "leg.opened"),
    ("legRole", "leg.role"),
    ("streamDegraded", "stream.degraded"),
    ("streamEnded", "stream.ended"),
    ("streamInterrupted", "stream.interrupted"),
    ("streamOpened", "stream.opened"),
    ("streamReady", "stream.ready"),
    ("transcript", "transcript.final"),
];

/// A fact in one shape.
pub(crate) struct Rendered {
    pub(crate) content_type: &'static str,
    pub(crate) body: Private<Vec<u8>>,
}

impl Fact<'_> {
    /// The id under which it is delivered: `webhook-id`.
    pub(crate) fn delivery_id(&self) -> String {
        format!("msg_{}", self.id)
    }

    /// Whether an endpoint asked for it. What may still change is nobody's.
    pub(crate) fn passes(&self, filter: &Filter) -> bool {
        let is_kind = filter.kinds.iter().any(|kind| kind == self.kind);
        let is_settled = self.said.is_none_or(|utterance| utterance.is_final);
        let of_platform =
            filter.namespaces.is_empty() || filter.namespaces.contains(&self.call.namespace);
        let of_speaker =
            filter.roles.is_empty() || self.role.is_none_or(|role| filter.roles.contains(&role));
        let of_tenant = filter.tenant.is_none() || filter.tenant.as_deref() == self.tenant;
        is_kind && is_settled && of_platform && of_speaker && of_tenant
    }

    /// Its bytes; `None` if the format has no shape for it.
    pub(crate) fn render(&self, format: Format) -> Option<Rendered> {
        let (content_type, body) = match format {
            Format::Asapp => ("application/json", asapp::body(self)?),
            Format::CloudEvents => ("application/cloudevents+json", cloudevents::body(self)),
            Format::CloudEventsBatch => (
                "application/cloudevents-batch+json",
                cloudevents::body(self),
            ),
            Format::Envelope => ("application/json", envelope::body(self)),
        };
        Some(Rendered {
            content_type,
            body: body.into(),
        })
    }

    /// `transcript.final`, `call.started`.
    fn dotted(&self) -> &'static str {
        let known = KINDS.iter().find(|(kind, _)| *kind == self.kind);
        known.map_or(self.kind, |(_, dotted)| dotted)
    }

    /// The event as our own formats tell it: what the API tells of it, named as deliveries are.
    fn data(&self) -> Map<String, Value> {
        let mut data: Map<String, Value> = serde_json::from_str(self.json).unwrap_or_default();
        // Said by what is around it, or by the members below.
        for told_elsewhere in ["at", "call", "type"] {
            data.remove(told_elsewhere);
        }
        data.insert("id".to_owned(), self.id.into());
        data.insert("seq".to_owned(), self.seq.into());
        let conversation = [
            ("namespace", self.call.namespace.as_str()),
            ("guid", self.call.guid.as_str()),
        ];
        let conversation = conversation.map(|(key, value)| (key.to_owned(), value.into()));
        data.insert(
            "conversation".to_owned(),
            Value::Object(conversation.into_iter().collect()),
        );
        data
    }

    /// RFC 3339 in UTC, with milliseconds.
    fn timestamp(&self) -> String {
        let millis = i64::try_from(self.at_unix_ms).unwrap_or(i64::MAX);
        let timestamp = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
        format!("{timestamp:.3}")
    }
}

impl fmt::Debug for Fact<'_> {
    /// The JSON may tell what was said.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fact")
            .field("id", &self.id)
            .field("seq", &self.seq)
            .field("call", &self.call)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Shapes of ours have text as their only keys, and no number that JSON lacks.
fn written(shape: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(shape).expect("a shape that is always JSON")
}

/// Several events as one JSON array.
pub(crate) fn batch(events: &[Private<Vec<u8>>]) -> Private<Vec<u8>> {
    let mut all = vec![b'['];
    for (index, event) in events.iter().enumerate() {
        if index > 0 {
            all.push(b',');
        }
        all.extend_from_slice(event.reveal());
    }
    all.push(b']');
    all.into()
}

#[cfg(test)]
mod tests;
