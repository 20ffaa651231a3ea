//! The JSON of the WebSocket, written by hand so that each rule of the documents is in sight.

use serde_json::{Value, json};

use crate::hearing::Heard;
use crate::service::dialect::a_megabyte;
use crate::service::words::{Word, words};
use crate::speech::redacted;

/// What an ear writes for what it does not understand.
const NONSENSE: &str = "???";

/// The payload is no sound.
pub(super) const NO_SOUND: u16 = 1008;
/// Nothing came for too long, or something went wrong in the service.
pub(super) const TIMEOUT: u16 = 1011;

/// A text message of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    CloseStream,
    Finalize,
    KeepAlive,
}

/// How a piece of an utterance is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Telling {
    pub(super) is_final: bool,
    pub(super) speech_final: bool,
    pub(super) from_finalize: bool,
}

/// An utterance in the words that a session asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spoken {
    pub(super) text: String,
    raw: String,
    start_ms: u64,
    end_ms: u64,
    confidence: f32,
}

/// Reads a text message.
pub(super) fn read(text: &str) -> Result<Said, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?;
    match value.get("type").and_then(Value::as_str) {
        Some("CloseStream") => Ok(Said::CloseStream),
        Some("Finalize") => Ok(Said::Finalize),
        Some("KeepAlive") => Ok(Said::KeepAlive),
        Some(other) => Err(format!("no type that a client sends: {other}")),
        None => Err("no type".to_owned()),
    }
}

impl Spoken {
    pub(super) fn of(heard: &Heard, formats: bool, redacts: bool) -> Self {
        let (text, raw) = match &heard.phrase {
            None => (NONSENSE.to_owned(), NONSENSE.to_owned()),
            Some(phrase) if redacts => (redacted(&phrase.text), redacted(&phrase.text)),
            Some(phrase) if formats => (phrase.text.to_string(), phrase.spoken.to_string()),
            Some(phrase) => (phrase.spoken.to_string(), phrase.spoken.to_string()),
        };
        Self {
            text,
            raw,
            start_ms: heard.start_ms,
            end_ms: heard.end_ms,
            confidence: heard.likeness.clamp(0.0, 1.0),
        }
    }

    /// The results of the utterance, in pieces of so many words if that is not zero.
    pub(super) fn results(&self, telling: Telling, piece_words: usize) -> Vec<String> {
        let all = words(&self.text, self.start_ms, self.end_ms);
        let size = if piece_words == 0 {
            all.len().max(1)
        } else {
            piece_words
        };
        let pieces: Vec<&[Word<'_>]> = all.chunks(size).collect();
        let count = pieces.len();
        let mut from_ms = self.start_ms;
        let mut results = Vec::new();
        for (index, piece) in pieces.into_iter().enumerate() {
            let is_last = index + 1 == count;
            let end = piece.last().map_or(self.end_ms, |word| word.end_ms);
            let to_ms = if is_last { self.end_ms } else { end };
            let telling = Telling {
                speech_final: telling.speech_final && is_last,
                ..telling
            };
            results.push(self.result(piece, (from_ms, to_ms), telling));
            from_ms = to_ms;
        }
        results
    }

    /// The utterance so far, which may still change: its first half.
    pub(super) fn interim(&self) -> String {
        let all = words(&self.raw, self.start_ms, self.end_ms);
        let half = &all[..all.len().div_ceil(2)];
        let end = half.last().map_or(self.end_ms, |word| word.end_ms);
        self.result(half, (self.start_ms, end), Telling::default())
    }

    fn result(&self, piece: &[Word<'_>], (from_ms, to_ms): (u64, u64), telling: Telling) -> String {
        let text: Vec<_> = piece.iter().map(|word| word.text).collect();
        let each = piece.iter().map(|word| {
            json!({
                "word": word.bare().to_lowercase(),
                "start": seconds(word.start_ms),
                "end": seconds(word.end_ms),
                "confidence": self.confidence,
                "punctuated_word": word.text,
            })
        });
        json!({
            "type": "Results",
            "channel_index": [0, 1],
            "duration": seconds(to_ms - from_ms),
            "start": seconds(from_ms),
            "is_final": telling.is_final,
            "speech_final": telling.speech_final,
            "from_finalize": telling.from_finalize,
            "channel": {"alternatives": [{
                "transcript": text.join(" "),
                "confidence": self.confidence,
                "words": each.collect::<Vec<_>>(),
            }]},
            "metadata": {
                "request_id": "00000000-0000-4000-8000-000000000000",
                "model_uuid": "00000000-0000-4000-8000-000000000001",
                "model_info": {"name": "sim", "version": "2026-01-01.0", "arch": "sim"},
            },
        })
        .to_string()
    }
}

/// A stretch without words.
pub(super) fn nothing(from_ms: u64, to_ms: u64, telling: Telling) -> String {
    let spoken = Spoken {
        text: String::new(),
        raw: String::new(),
        start_ms: from_ms,
        end_ms: to_ms,
        confidence: 0.0,
    };
    spoken.result(&[], (from_ms, to_ms), telling)
}

/// Somebody has begun to speak.
pub(super) fn speech_started(at_ms: u64) -> String {
    json!({ "type": "SpeechStarted", "channel": [0, 1], "timestamp": seconds(at_ms) }).to_string()
}

/// Nobody has spoken for the time that was asked for.
pub(super) fn utterance_end(at_ms: u64) -> String {
    json!({ "type": "UtteranceEnd", "channel": [0, 1], "last_word_end": seconds(at_ms) })
        .to_string()
}

/// The last message.
pub(super) fn metadata(request_id: &str, duration_ms: u64) -> String {
    json!({
        "type": "Metadata",
        "transaction_key": "deprecated",
        "request_id": request_id,
        "sha256": "",
        "created": "2026-01-01T00:00:00.000Z",
        "duration": seconds(duration_ms),
        "channels": 1,
    })
    .to_string()
}

/// Something was not right; a close follows.
pub(super) fn error(words: &str) -> String {
    json!({
        "type": "Error",
        "description": words,
        "message": words,
        "variant": "Error",
    })
    .to_string()
}

/// A transcript of a megabyte.
pub(super) fn huge() -> String {
    let mut message: Value =
        serde_json::from_str(&nothing(0, 0, Telling::default())).unwrap_or_default();
    message["channel"]["alternatives"][0]["transcript"] = a_megabyte().into();
    message.to_string()
}

/// A message of a type that no document knows.
pub(super) fn unknown() -> String {
    json!({ "type": "Sentiment", "channel": [0, 1] }).to_string()
}

/// The words beside a close code.
pub(super) fn reason(code: u16) -> &'static str {
    match code {
        NO_SOUND => "DATA-0000",
        TIMEOUT => "NET-0001",
        1013 => "Try again later",
        _ => "",
    }
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1e3
}
