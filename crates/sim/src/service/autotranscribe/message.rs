//! The JSON of the WebSocket, read and written by hand so that each rule of the guide is in sight.

use serde_json::{Map, Value, json};

use super::Rules;
use super::start::{RedactionOutput, StartStream};
use super::status;
use crate::hearing::Heard;
use crate::service::dialect::a_megabyte;
use crate::service::words::{Word, words};
use crate::speech::{Role, redacted};

/// What an ear writes for what it does not understand.
const NONSENSE: &str = "???";

/// The fields a `startStream` may have.
const START_FIELDS: [&str; 9] = [
    "message",
    "sender",
    "language",
    "samplingRate",
    "encoding",
    "smartFormatting",
    "detailedToken",
    "audioRecordingAllowed",
    "redactionOutput",
];

/// The categories of vocabulary phrases.
const CATEGORIES: [&str; 5] = ["address", "name", "number", "company", "currency"];

/// A text message of a client.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    /// `finishStream`
    Finish,
    /// `startStream`, not judged yet.
    Start(Map<String, Value>),
    /// `updateVocabulary`, not judged yet.
    Vocabulary(Map<String, Value>),
}

/// A message that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The application status code.
    pub(super) code: u16,
    /// What was wrong, in words that are not on the wire.
    pub(super) why: String,
}

/// What a `finalResponse` sums up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) audio_bytes: u64,
    pub(super) streaming_seconds: u64,
    pub(super) transcripts: u64,
}

/// Reads a text message as far as its kind.
pub(super) fn read(text: &str) -> Result<Said, Refusal> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| format_error(format!("not JSON: {error}")))?;
    let Value::Object(fields) = value else {
        return Err(format_error("not a JSON object"));
    };
    match fields.get("message").and_then(Value::as_str) {
        Some("finishStream") => Ok(Said::Finish),
        Some("startStream") => Ok(Said::Start(fields)),
        Some("updateVocabulary") => Ok(Said::Vocabulary(fields)),
        Some(other) => Err(format_error(format!("unknown message {other:?}"))),
        None => Err(format_error("no message field")),
    }
}

/// Judges a `startStream`; the second value complains about what is ignored.
pub(super) fn read_start(
    fields: &Map<String, Value>,
    rules: &Rules,
) -> Result<(StartStream, Vec<String>), Refusal> {
    let sender = fields
        .get("sender")
        .and_then(Value::as_object)
        .ok_or_else(|| format_error("no sender"))?;
    let role = string(sender, "role", None)?;
    let role = Role::parse(&role)
        .ok_or_else(|| format_error("sender.role is neither agent nor customer"))?;
    let start = StartStream {
        role,
        sender: string(sender, "externalId", None)?,
        language: string(fields, "language", Some("en-US"))?,
        smart_formatting: boolean(fields, "smartFormatting", true)?,
        detailed_token: boolean(fields, "detailedToken", false)?,
        audio_recording_allowed: boolean(fields, "audioRecordingAllowed", false)?,
        redaction: RedactionOutput::parse(&string(fields, "redactionOutput", Some("redacted"))?)
            .ok_or_else(|| format_error("unknown redactionOutput"))?,
    };
    if start.sender.is_empty() {
        return Err(format_error("sender.externalId is empty"));
    }
    judge_audio(fields)?;
    judge_options(&start, rules)?;
    let unknown = fields
        .keys()
        .filter(|field| !START_FIELDS.contains(&field.as_str()));
    let complaints = unknown
        .map(|field| format!("startStream has an unknown field {field:?}"))
        .collect();
    Ok((start, complaints))
}

/// Judges an `updateVocabulary`, which comes after `present` phrases.
pub(super) fn read_vocabulary(
    fields: &Map<String, Value>,
    present: usize,
    rules: &Rules,
) -> Result<Vec<Value>, Refusal> {
    let wrong = |why: &str| Refusal {
        code: status::VOCABULARY,
        why: why.to_owned(),
    };
    let over = |why: &str| Refusal {
        code: status::VOCABULARY_LIMIT,
        why: why.to_owned(),
    };
    let phrases = fields
        .get("phrases")
        .and_then(Value::as_array)
        .ok_or_else(|| wrong("no phrases"))?;
    for entry in phrases {
        let phrase = entry
            .get("phrase")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if phrase.is_empty() {
            return Err(wrong("an entry without a phrase"));
        }
        if phrase.chars().count() > rules.vocabulary_chars_max {
            return Err(over("a phrase is too long"));
        }
        let sounds = entry.get("soundsLike");
        let all_strings = |list: &Vec<Value>| list.iter().all(Value::is_string);
        if sounds.is_some_and(|sounds| !sounds.as_array().is_some_and(all_strings)) {
            return Err(wrong("soundsLike is not a list of strings"));
        }
        let category = entry.get("category");
        let known = |category: &Value| {
            category
                .as_str()
                .is_some_and(|category| CATEGORIES.contains(&category))
        };
        if category.is_some_and(|category| !known(category)) {
            return Err(wrong("an unknown category"));
        }
    }
    if present + phrases.len() > rules.vocabulary_phrases_max {
        return Err(over("too many phrases"));
    }
    Ok(phrases.clone())
}

/// `startResponse`; its id is spelt `streamID`.
pub(super) fn start_response(stream_id: &str) -> String {
    json!({ "message": "startResponse", "streamID": stream_id, "status": status(status::OK) })
        .to_string()
}

/// `vocabularyResponse`
pub(super) fn vocabulary_response(code: u16) -> String {
    json!({ "message": "vocabularyResponse", "status": status(code) }).to_string()
}

/// `finalResponse`; its id is spelt `streamId`.
pub(super) fn final_response(stream_id: &str, code: u16, summary: Summary) -> String {
    json!({
        "message": "finalResponse",
        "streamId": stream_id,
        "status": status(code),
        "summary": {
            "totalAudioBytes": summary.audio_bytes,
            "audioDurationMs": summary.audio_bytes / 16,
            "streamingSeconds": summary.streaming_seconds,
            "transcripts": summary.transcripts,
        },
    })
    .to_string()
}

/// The alternatives of an utterance, the way the stream wants them written. A phrase in the voice
/// of the other party is nonsense: the legs are swapped.
pub(super) fn alternatives(heard: &Heard, start: &StartStream) -> Vec<String> {
    let phrase = heard
        .phrase
        .as_ref()
        .filter(|phrase| phrase.role == start.role);
    let Some(phrase) = phrase else {
        return vec![NONSENSE.to_owned()];
    };
    if !start.smart_formatting {
        return vec![phrase.spoken.to_string()];
    }
    match start.redaction {
        RedactionOutput::Redacted => vec![redacted(&phrase.text)],
        RedactionOutput::RedactedAndUnredacted => {
            vec![redacted(&phrase.text), phrase.text.to_string()]
        }
        RedactionOutput::Unredacted => vec![phrase.text.to_string()],
    }
}

/// `transcript`
pub(super) fn transcript(heard: &Heard, texts: &[String], detailed: bool) -> String {
    let utterance: Vec<Value> = texts
        .iter()
        .map(|text| match detailed {
            true => json!({ "text": text, "token": tokens(text, heard.start_ms, heard.end_ms) }),
            false => json!({ "text": text }),
        })
        .collect();
    json!({
        "message": "transcript",
        "start": heard.start_ms,
        "end": heard.end_ms,
        "utterance": utterance,
    })
    .to_string()
}

/// A message that no document knows.
pub(super) fn unknown() -> String {
    json!({ "message": "weatherReport", "status": status(status::OK), "degrees": 21 }).to_string()
}

/// A transcript of a megabyte.
pub(super) fn huge() -> String {
    let utterance = [json!({ "text": a_megabyte() })];
    json!({ "message": "transcript", "start": 0, "end": 1, "utterance": utterance }).to_string()
}

fn tokens(text: &str, start_ms: u64, end_ms: u64) -> Vec<Value> {
    let token = |word: Word<'_>| {
        let content = word.bare();
        let mut token = json!({ "content": content, "start": word.start_ms, "end": word.end_ms });
        if content.len() < word.text.len() {
            token["punctuationAfter"] = word.text[content.len()..].into();
        }
        token
    };
    words(text, start_ms, end_ms)
        .into_iter()
        .map(token)
        .collect()
}

fn judge_audio(fields: &Map<String, Value>) -> Result<(), Refusal> {
    let refuse = |code, why: &str| {
        Err(Refusal {
            code,
            why: why.to_owned(),
        })
    };
    match string(fields, "language", Some("en-US"))?.as_str() {
        "en-US" | "es-US" => {}
        _ => return refuse(status::LANGUAGE, "an unknown language"),
    }
    match fields.get("samplingRate") {
        None => {}
        Some(Value::Number(rate)) if rate.as_u64() == Some(8000) => {}
        Some(Value::Number(_)) => return refuse(status::RATE, "samplingRate is not 8000"),
        Some(_) => return refuse(status::FORMAT, "samplingRate is not a number"),
    }
    match string(fields, "encoding", Some("L16"))?.as_str() {
        "L16" => Ok(()),
        _ => refuse(status::ENCODING, "encoding is not L16"),
    }
}

fn judge_options(start: &StartStream, rules: &Rules) -> Result<(), Refusal> {
    let refuse = |code, why: &str| {
        Err(Refusal {
            code,
            why: why.to_owned(),
        })
    };
    if start.redaction != RedactionOutput::Redacted && rules.always_redact {
        return refuse(status::ALWAYS_REDACT, "everything is redacted here");
    }
    if start.redaction != RedactionOutput::Unredacted && !start.smart_formatting {
        return refuse(status::REDACT_PLAIN, "redaction without smartFormatting");
    }
    // By the table of fields; the words of the status code say the opposite.
    if start.redaction != RedactionOutput::Unredacted && start.detailed_token {
        return refuse(
            status::REDACT_TOKENS,
            "redaction, which is the default, with detailedToken",
        );
    }
    Ok(())
}

fn string(
    fields: &Map<String, Value>,
    name: &str,
    default: Option<&str>,
) -> Result<String, Refusal> {
    match (fields.get(name), default) {
        (Some(Value::String(text)), _) => Ok(text.clone()),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(format_error(format!("no {name}"))),
        (Some(_), _) => Err(format_error(format!("{name} is not a string"))),
    }
}

fn boolean(fields: &Map<String, Value>, name: &str, default: bool) -> Result<bool, Refusal> {
    match fields.get(name) {
        Some(Value::Bool(value)) => Ok(*value),
        None => Ok(default),
        Some(_) => Err(format_error(format!("{name} is not true or false"))),
    }
}

fn status(code: u16) -> Value {
    json!({ "code": code.to_string(), "description": status::description(code) })
}

fn format_error(why: impl Into<String>) -> Refusal {
    Refusal {
        code: status::FORMAT,
        why: why.into(),
    }
}
