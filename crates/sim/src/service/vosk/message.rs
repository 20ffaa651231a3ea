//! The JSON of the WebSocket, written by hand so that each rule is in sight.

use serde_json::{Value, json};

use crate::hearing::Heard;
use crate::service::dialect::a_megabyte;
use crate::service::words::words;

/// Nothing more will be said. The server compares byte for byte, blanks included.
const END: &str = r#"{"eof" : 1}"#;

/// What an ear writes for what it does not understand: a model always hears some word.
const NONSENSE: &str = "huh";

/// A text message of a client.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    /// Settings; what is not said stays as it is.
    Config {
        sample_rate: Option<f64>,
        words: Option<bool>,
        phrases: Vec<Value>,
        /// Names that no setting has.
        unknown: Vec<String>,
    },
    End,
}

/// Reads a text message; whatever else comes is taken for sound, which text cannot be.
pub(super) fn read(text: &str) -> Result<Said, String> {
    if text == END {
        return Ok(Said::End);
    }
    let value: Value = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?;
    let Some(Value::Object(config)) = value.get("config") else {
        return Err("neither a config nor the end, byte for byte".to_owned());
    };
    let known = [
        "sample_rate",
        "words",
        "phrase_list",
        "max_alternatives",
        "model",
    ];
    let unknown = config.keys().filter(|name| !known.contains(&name.as_str()));
    let phrases = config.get("phrase_list").and_then(Value::as_array);
    Ok(Said::Config {
        sample_rate: config.get("sample_rate").and_then(Value::as_f64),
        words: config.get("words").and_then(Value::as_bool),
        phrases: phrases.cloned().unwrap_or_default(),
        unknown: unknown.cloned().collect(),
    })
}

/// The words of what was heard: lower case, without punctuation.
pub(super) fn text(heard: &Heard) -> String {
    let spoken = heard.phrase.as_ref().map(|phrase| &phrase.spoken);
    let text = spoken.map_or(NONSENSE, |spoken| spoken);
    text.to_lowercase().replace(['.', ',', '?', '!'], "")
}

/// What was said since the last one.
pub(super) fn result(heard: &[Heard], with_words: bool) -> String {
    let texts: Vec<String> = heard.iter().map(text).collect();
    let mut message = json!({ "text": texts.join(" ") });
    if with_words && !heard.is_empty() {
        let each = heard.iter().zip(&texts).flat_map(|(heard, text)| {
            let conf = heard.likeness.clamp(0.0, 1.0);
            words(text, heard.start_ms, heard.end_ms)
                .into_iter()
                .map(move |word| {
                    json!({
                        "conf": conf,
                        "start": seconds(word.start_ms),
                        "end": seconds(word.end_ms),
                        "word": word.text,
                    })
                })
        });
        message["result"] = each.collect();
    }
    message.to_string()
}

/// Nothing is complete yet.
pub(super) fn partial(is_speaking: bool) -> String {
    let text = if is_speaking { NONSENSE } else { "" };
    json!({ "partial": text }).to_string()
}

/// A transcript of a megabyte.
pub(super) fn huge() -> String {
    json!({ "text": a_megabyte() }).to_string()
}

/// A message that no version of the server sends.
pub(super) fn unknown() -> String {
    json!({ "spk_frames": 12 }).to_string()
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1e3
}
