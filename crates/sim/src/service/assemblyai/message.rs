//! The JSON of the WebSocket, written by hand so that each rule of the documents is in sight.

use serde_json::{Map, Value, json};

use super::parameters::{Parameters, Refusal};
use super::status;
use crate::hearing::Heard;
use crate::service::dialect::a_megabyte;
use crate::service::words::{Word, words};
use crate::speech::redacted;

/// What an ear writes for what it does not understand.
const NONSENSE: &str = "???";

/// A text message of a client.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    ForceEndpoint,
    KeepAlive,
    Terminate,
    /// Not judged yet.
    UpdateConfiguration(Map<String, Value>),
}

/// What was said in one turn, raw and formatted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spoken {
    pub(super) raw: String,
    pub(super) formatted: String,
    start_ms: u64,
    end_ms: u64,
    confidence: f32,
}

/// How a turn is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Telling {
    pub(super) order: u64,
    pub(super) formatted: bool,
    /// Whether it says so.
    pub(super) flagged: bool,
    pub(super) language: bool,
}

/// What a session has received, and in which time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Received {
    pub(super) audio_ms: u64,
    pub(super) session_ms: u64,
}

/// Reads a text message.
pub(super) fn read(text: &str) -> Result<Said, Refusal> {
    let invalid = |error: String| Refusal {
        code: status::INVALID,
        error,
    };
    let value: Value =
        serde_json::from_str(text).map_err(|error| invalid(format!("Invalid JSON: {error}")))?;
    let Value::Object(fields) = value else {
        return Err(invalid("Invalid Message: not an object".to_owned()));
    };
    match fields.get("type").and_then(Value::as_str) {
        Some("ForceEndpoint") => Ok(Said::ForceEndpoint),
        Some("KeepAlive") => Ok(Said::KeepAlive),
        Some("Terminate") => Ok(Said::Terminate),
        Some("UpdateConfiguration") => Ok(Said::UpdateConfiguration(fields)),
        Some(other) => Err(invalid(format!("Invalid Message Type: {other}"))),
        None => Err(invalid("Invalid Message: no type".to_owned())),
    }
}

impl Spoken {
    /// What was heard, in the words a session asked for.
    pub(super) fn of(heard: &Heard, redact: bool) -> Self {
        let (raw, formatted) = match &heard.phrase {
            None => (NONSENSE.to_owned(), NONSENSE.to_owned()),
            // A number in words is one all the same.
            Some(phrase) if redact => (redacted(&phrase.text), redacted(&phrase.text)),
            Some(phrase) => (phrase.spoken.to_string(), phrase.text.to_string()),
        };
        Self {
            raw,
            formatted,
            start_ms: heard.start_ms,
            end_ms: heard.end_ms,
            confidence: heard.likeness.clamp(0.0, 1.0),
        }
    }

    /// A final `Turn`.
    pub(super) fn turn(&self, telling: Telling) -> String {
        let transcript = if telling.formatted {
            &self.formatted
        } else {
            &self.raw
        };
        let all = words(transcript, self.start_ms, self.end_ms);
        let words = all.iter().map(|word| self.word(word, true)).collect();
        let mut turn = turn(telling, transcript, words);
        turn["end_of_turn"] = true.into();
        turn["utterance"] = transcript.as_str().into();
        turn["end_of_turn_confidence"] = self.confidence.into();
        turn.to_string()
    }

    /// `Turn`s that are not final: of half the words, and of all but the end. The newest word of
    /// each may still change, and is not in the transcript.
    pub(super) fn partials(&self, telling: Telling) -> Vec<String> {
        let all = words(&self.raw, self.start_ms, self.end_ms);
        let mut lengths = vec![all.len().div_ceil(2), all.len()];
        lengths.dedup();
        let partial = |length: usize| {
            let (newest, settled) = all[..length].split_last()?;
            let mut words: Vec<_> = settled.iter().map(|word| self.word(word, true)).collect();
            words.push(self.word(newest, false));
            let transcript: Vec<_> = settled.iter().map(|word| word.text).collect();
            Some(turn(telling, &transcript.join(" "), words).to_string())
        };
        lengths.into_iter().filter_map(partial).collect()
    }

    fn word(&self, word: &Word<'_>, is_final: bool) -> Value {
        json!({
            "text": word.text,
            "start": word.start_ms,
            "end": word.end_ms,
            "confidence": self.confidence,
            "word_is_final": is_final,
        })
    }
}

/// `Begin`
pub(super) fn begin(id: &str, expires_at: u64, parameters: &Parameters, version: &str) -> String {
    json!({
        "type": "Begin",
        "id": id,
        "expires_at": expires_at,
        "configuration": {
            "model": parameters.model,
            "mode": null,
            "api_version": version,
            "redact_pii": parameters.redact,
        },
    })
    .to_string()
}

/// `SpeechStarted`
pub(super) fn speech_started(timestamp_ms: u64) -> String {
    json!({ "type": "SpeechStarted", "timestamp": timestamp_ms, "confidence": 0.9 }).to_string()
}

/// `Heartbeat`
pub(super) fn heartbeat(received: Received) -> String {
    let factor = received.audio_ms as f64 / received.session_ms.max(1) as f64;
    json!({
        "type": "Heartbeat",
        "total_audio_received_ms": received.audio_ms,
        "total_duration_ms": received.session_ms,
        "realtime_factor": factor,
        "max_speech_probability": 0.5,
    })
    .to_string()
}

/// `Termination`
pub(super) fn termination(received: Received) -> String {
    json!({
        "type": "Termination",
        "audio_duration_seconds": received.audio_ms / 1000,
        "session_duration_seconds": received.session_ms / 1000,
    })
    .to_string()
}

/// `Error`
pub(super) fn error(code: u16, error: &str) -> String {
    json!({ "type": "Error", "error_code": code, "error": error }).to_string()
}

/// `Warning`
pub(super) fn warning() -> String {
    let warning = "The audio is quiet.";
    json!({ "type": "Warning", "warning_code": 4001, "warning": warning }).to_string()
}

/// A message that no document knows.
pub(super) fn unknown() -> String {
    json!({ "type": "WeatherReport", "degrees": 21 }).to_string()
}

/// A turn of a megabyte.
pub(super) fn huge() -> String {
    let telling = Telling {
        order: 0,
        formatted: false,
        flagged: true,
        language: false,
    };
    turn(telling, &a_megabyte(), Vec::new()).to_string()
}

fn turn(telling: Telling, transcript: &str, words: Vec<Value>) -> Value {
    let mut turn = json!({
        "type": "Turn",
        "turn_order": telling.order,
        "end_of_turn": false,
        "transcript": transcript,
        "utterance": "",
        "end_of_turn_confidence": 0.1,
        "words": words,
    });
    if telling.flagged {
        turn["turn_is_formatted"] = telling.formatted.into();
    }
    if telling.language {
        turn["language_code"] = "en".into();
        turn["language_confidence"] = 0.99.into();
    }
    turn
}
