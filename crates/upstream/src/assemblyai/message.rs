//! The service's messages: what they say, read so that no missing or odd part loses the words.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::json::{self, Number, if_readable, read};
use crate::service::Gibberish;

/// Ends the turn that is being spoken.
pub(super) const FORCE_ENDPOINT: &str = r#"{"type":"ForceEndpoint"}"#;

/// Sets the service's inactivity timer back.
pub(super) const KEEP_ALIVE: &str = r#"{"type":"KeepAlive"}"#;

/// Says that no more sound will come. Turns that are under way are still answered.
pub(super) const TERMINATE: &str = r#"{"type":"Terminate"}"#;

/// What the service says.
#[derive(Debug)]
pub(super) enum Said {
    Begin(Begin),
    Error(Error),
    Heartbeat(Duration),
    Termination(Termination),
    Turn(Turn),
    /// Something we know of and do not need.
    Unneeded,
    Unknown,
    Warning(String),
}

/// The stream is accepted.
#[derive(Debug)]
pub(super) struct Begin {
    pub(super) expires: Option<SystemTime>,
    /// Which model it is; older deployments do not say.
    pub(super) model: Option<String>,
    /// Whether it redacts; older deployments do not say.
    pub(super) redacts: Option<bool>,
}

/// The end is near. Older deployments give no code.
#[derive(Debug)]
pub(super) struct Error {
    pub(super) code: Option<u16>,
    pub(super) text: String,
}

/// The end.
#[derive(Debug)]
pub(super) struct Termination {
    /// To a second.
    pub(super) audio: Option<Duration>,
    pub(super) session: Option<Duration>,
}

/// What was said so far in one turn of one speaker.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// Counts turns of a socket from 0; the same turn is told again and again under it.
    pub(super) order: Option<u64>,
    pub(super) is_end: bool,
    /// `None`: no other copy of it will come.
    pub(super) is_formatted: Option<bool>,
    pub(super) transcript: String,
    pub(super) words: Vec<Word>,
}

/// One word, with times on the socket's clock.
#[derive(Debug)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) start: Duration,
    pub(super) end: Duration,
    pub(super) is_final: bool,
}

/// Which message it is; the rest is read once that is known.
#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct GivenBegin {
    #[serde(default, deserialize_with = "if_readable")]
    expires_at: Option<Number>,
    #[serde(default, deserialize_with = "if_readable")]
    configuration: Option<GivenConfiguration>,
}

#[derive(Default, Deserialize)]
struct GivenConfiguration {
    #[serde(default, deserialize_with = "if_readable")]
    model: Option<String>,
    #[serde(default, deserialize_with = "if_readable")]
    redact_pii: Option<bool>,
}

#[derive(Deserialize)]
struct GivenError {
    #[serde(default, deserialize_with = "if_readable")]
    error_code: Option<Number>,
    #[serde(default, deserialize_with = "if_readable")]
    error: Option<String>,
}

#[derive(Deserialize)]
struct GivenHeartbeat {
    #[serde(default, deserialize_with = "if_readable")]
    total_audio_received_ms: Option<Number>,
}

#[derive(Deserialize)]
struct GivenTermination {
    #[serde(default, deserialize_with = "if_readable")]
    audio_duration_seconds: Option<Number>,
    #[serde(default, deserialize_with = "if_readable")]
    session_duration_seconds: Option<Number>,
}

#[derive(Deserialize)]
struct GivenTurn {
    #[serde(default, deserialize_with = "if_readable")]
    turn_order: Option<Number>,
    #[serde(default, deserialize_with = "if_readable")]
    end_of_turn: Option<bool>,
    #[serde(default, deserialize_with = "if_readable")]
    turn_is_formatted: Option<bool>,
    #[serde(default, deserialize_with = "if_readable")]
    transcript: Option<String>,
    #[serde(default, deserialize_with = "if_readable")]
    words: Option<Vec<GivenWord>>,
}

#[derive(Deserialize)]
struct GivenWord {
    #[serde(default)]
    text: String,
    #[serde(default)]
    start: Number,
    #[serde(default)]
    end: Number,
    #[serde(default, deserialize_with = "if_readable")]
    word_is_final: Option<bool>,
}

#[derive(Deserialize)]
struct GivenWarning {
    #[serde(default, deserialize_with = "if_readable")]
    warning_code: Option<Number>,
    #[serde(default, deserialize_with = "if_readable")]
    warning: Option<String>,
}

/// What a message says.
pub(super) fn understand(text: &str) -> Result<Said, Gibberish> {
    let Kind { kind, error } = read(text)?;
    Ok(match kind.as_deref() {
        Some("Begin") => Said::Begin(read::<GivenBegin>(text)?.into()),
        Some("Error") => Said::Error(read::<GivenError>(text)?.into()),
        // Its older shape.
        None if error.is_some() => Said::Error(read::<GivenError>(text)?.into()),
        Some("Heartbeat") => match read::<GivenHeartbeat>(text)?.total_audio_received_ms {
            Some(received) => Said::Heartbeat(received.millis()),
            None => Said::Unneeded,
        },
        Some("LLMGatewayResponse" | "SpeakerRevision" | "SpeechStarted") => Said::Unneeded,
        Some("Termination") => Said::Termination(read::<GivenTermination>(text)?.into()),
        Some("Turn") => Said::Turn(read::<GivenTurn>(text)?.into()),
        Some("Warning") => Said::Warning(read::<GivenWarning>(text)?.told()),
        _ => Said::Unknown,
    })
}

impl From<GivenBegin> for Begin {
    fn from(given: GivenBegin) -> Self {
        let configuration = given.configuration.unwrap_or_default();
        Self {
            expires: given
                .expires_at
                .and_then(|at| UNIX_EPOCH.checked_add(at.seconds())),
            model: configuration.model,
            redacts: configuration.redact_pii,
        }
    }
}

impl From<GivenError> for Error {
    fn from(given: GivenError) -> Self {
        let code = given.error_code;
        Self {
            code: code.and_then(|code| u16::try_from(code.count()).ok()),
            text: json::description(&given.error.unwrap_or_default()),
        }
    }
}

impl From<GivenTermination> for Termination {
    fn from(given: GivenTermination) -> Self {
        Self {
            audio: given.audio_duration_seconds.map(Number::seconds),
            session: given.session_duration_seconds.map(Number::seconds),
        }
    }
}

impl From<GivenTurn> for Turn {
    fn from(given: GivenTurn) -> Self {
        let words = given.words.unwrap_or_default();
        Self {
            order: given.turn_order.map(Number::count),
            is_end: given.end_of_turn.unwrap_or_default(),
            is_formatted: given.turn_is_formatted,
            transcript: given.transcript.unwrap_or_default(),
            words: words.into_iter().map(Word::from).collect(),
        }
    }
}

impl From<GivenWord> for Word {
    fn from(given: GivenWord) -> Self {
        let start = given.start.millis();
        Self {
            text: given.text,
            start,
            end: given.end.millis().max(start),
            is_final: given.word_is_final.unwrap_or(true),
        }
    }
}

impl GivenWarning {
    fn told(self) -> String {
        let text = self.warning.unwrap_or_default();
        let code = self.warning_code.map(Number::count);
        json::description(&match code {
            Some(code) => format!("{text} (AssemblyAI warning {code})"),
            None => text,
        })
    }
}
