//! The four forms in which events come, read into one.

use serde_json::Value;

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// ASAPP's own body of a transcript.
    Asapp,
    /// One CloudEvent, structured.
    CloudEvents,
    /// Several CloudEvents.
    CloudEventsBatch,
    /// `type`, `timestamp`, `data`, as Standard Webhooks has it.
    Envelope,
}

/// One event out of a delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What it is told apart by: `webhook-id`; in a batch the event's own.
    pub id: String,
    /// `transcript.final`; of ASAPP's form `transcript`.
    pub kind: String,
    /// The call's guid.
    pub conversation: String,
    /// Its number in the conversation; ASAPP's form has none.
    pub seq: Option<u64>,
    /// `agent` or `customer`.
    pub role: Option<String>,
    /// What was said.
    pub text: Option<String>,
    /// Where on the stream's clock it was said, in milliseconds.
    pub span_ms: Option<(u64, u64)>,
    /// How it was written.
    pub format: Format,
    /// The event as it came.
    pub json: Value,
}

impl Event {
    /// Whether it is a final transcript.
    pub fn is_final(&self) -> bool {
        matches!(self.kind.as_str(), "transcript" | "transcript.final")
    }
}

/// Reads the events of a body; `id` is the delivery's. The error says what is wrong, without
/// anything of the body.
///
/// # Errors
/// It has none of the four forms.
pub fn read(content_type: &str, id: &str, body: &[u8]) -> Result<Vec<Event>, String> {
    let json: Value = serde_json::from_slice(body).map_err(|_| "it is not JSON".to_owned())?;
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    match media_type {
        "application/cloudevents-batch+json" => {
            let events = json.as_array().ok_or("a batch that is no array")?;
            let each = events.iter();
            each.map(|event| cloud_event(event, Format::CloudEventsBatch))
                .collect()
        }
        "application/cloudevents+json" => {
            cloud_event(&json, Format::CloudEvents).map(|event| vec![event])
        }
        "application/json" if json.get("autotranscribeResponse").is_some() => {
            asapp(&json, id).map(|event| vec![event])
        }
        "application/json" => envelope(&json, id).map(|event| vec![event]),
        other => Err(format!("it is of the type {other:?}")),
    }
}

fn asapp(json: &Value, id: &str) -> Result<Event, String> {
    let heard = &json["autotranscribeResponse"];
    Ok(Event {
        id: id.to_owned(),
        kind: text(json, "type")?,
        conversation: text(json, "externalConversationId")?,
        seq: None,
        role: Some(text(&json["sender"], "role")?),
        text: Some(text(&heard["utterance"][0], "text")?),
        span_ms: Some((number(heard, "start")?, number(heard, "end")?)),
        format: Format::Asapp,
        json: json.clone(),
    })
}

fn envelope(json: &Value, id: &str) -> Result<Event, String> {
    text(json, "timestamp")?;
    let data = &json["data"];
    let seq = number(data, "seq")?;
    let event = told(data, (id.to_owned(), text(json, "type")?, seq))?;
    Ok(Event {
        format: Format::Envelope,
        json: json.clone(),
        ..event
    })
}

fn cloud_event(json: &Value, format: Format) -> Result<Event, String> {
    if json["specversion"] != "1.0" {
        return Err("a CloudEvent that is not of version 1.0".to_owned());
    }
    for name in ["source", "time", "partitionkey"] {
        text(json, name)?;
    }
    let seq = text(json, "sequence")?;
    let seq = seq.parse().map_err(|_| "sequence is no number")?;
    let kind = text(json, "type")?;
    let kind = kind
        .strip_prefix("antiphon.")
        .and_then(|kind| kind.strip_suffix(".v1"))
        .ok_or("a CloudEvent of a type that is not ours")?;
    let event = told(&json["data"], (text(json, "id")?, kind.to_owned(), seq))?;
    Ok(Event {
        format,
        json: json.clone(),
        ..event
    })
}

/// The event as the API tells it, with its id, its kind and its number.
fn told(data: &Value, (id, kind, seq): (String, String, u64)) -> Result<Event, String> {
    let said = data["alternatives"][0]["text"].as_str();
    let span_ms = number(data, "startMs").ok().zip(number(data, "endMs").ok());
    let role = [&data["sender"]["role"], &data["role"]];
    let role = role.into_iter().find_map(Value::as_str);
    Ok(Event {
        id,
        kind,
        conversation: text(&data["conversation"], "guid")?,
        seq: Some(seq),
        role: role.map(str::to_owned),
        text: said.map(str::to_owned),
        span_ms,
        format: Format::Envelope,
        json: Value::Null,
    })
}

fn text(json: &Value, name: &str) -> Result<String, String> {
    let found = json[name].as_str().map(str::to_owned);
    found.ok_or_else(|| format!("{name} is missing, or no text"))
}

fn number(json: &Value, name: &str) -> Result<u64, String> {
    let found = json[name].as_u64();
    found.ok_or_else(|| format!("{name} is missing, or no number"))
}
