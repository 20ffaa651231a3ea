//! CloudEvents 1.0 in JSON, structured mode, with the extensions `sequence` and `partitionkey`.

use std::fmt::Write;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Fact, written};

#[derive(Serialize)]
struct CloudEvent {
    specversion: &'static str,
    id: String,
    source: String,
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    time: String,
    datacontenttype: &'static str,
    /// Compared as text, so of one width.
    sequence: String,
    partitionkey: String,
    data: Map<String, Value>,
}

pub(super) fn body(fact: &Fact<'_>) -> Vec<u8> {
    let data = fact.data();
    let call = fact.call;
    written(&CloudEvent {
        specversion: "1.0",
        id: fact.delivery_id(),
        source: format!(
            "/antiphon/{}/{}",
            call.namespace,
            segment(call.guid.as_str())
        ),
        r#type: format!("antiphon.{}.v1", fact.dotted()),
        subject: data
            .get("streamId")
            .and_then(Value::as_str)
            .map(str::to_owned),
        time: fact.timestamp(),
        datacontenttype: "application/json",
        sequence: format!("{:020}", fact.seq),
        partitionkey: call.to_string(),
        data,
    })
}

/// As one segment of a URI's path, RFC 3986 section 3.3.
fn segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) {
            segment.push(byte.into());
        } else {
            write!(segment, "%{byte:02X}").expect("writing to a String does not fail");
        }
    }
    segment
}
