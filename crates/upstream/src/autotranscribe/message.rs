//! AutoTranscribe's messages. Strict in what is said, tolerant in what is heard: unknown messages,
//! fields and codes are no reason to lose a transcript.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use call::audio::SAMPLE_RATE;
use call::start::{Phrase, Status, StreamSpec, Summary};
use call::transcript::{Alternative, Token, Utterance};

use crate::json::{self, Number, OneOrMany, if_readable, read};
use crate::service::{Final, Gibberish, Heard, Retry};

/// Says that no more sound will come. Anything but the final message after it is an error.
pub(super) const FINISH_STREAM: &str = r#"{"message":"finishStream"}"#;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StartStream<'a> {
    message: &'static str,
    sender: Sender<'a>,
    language: &'a str,
    sampling_rate: u32,
    encoding: &'static str,
    smart_formatting: bool,
    detailed_token: bool,
    audio_recording_allowed: bool,
    redaction_output: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sender<'a> {
    role: &'static str,
    external_id: &'a str,
}

#[derive(Serialize)]
struct UpdateVocabulary<'a> {
    message: &'static str,
    phrases: Vec<Boosted<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Boosted<'a> {
    phrase: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sounds_like: Vec<&'a str>,
}

/// Which message it is; the rest is read once that is known.
#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow)]
    message: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default, deserialize_with = "if_readable")]
    status: Option<GivenStatus>,
    #[serde(default, deserialize_with = "if_readable")]
    summary: Option<GivenSummary>,
}

#[derive(Deserialize)]
struct GivenStatus {
    /// A string in the contract; a number does as well.
    #[serde(default, deserialize_with = "if_readable")]
    code: Option<Number>,
    #[serde(default, deserialize_with = "if_readable")]
    description: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GivenSummary {
    total_audio_bytes: Number,
    #[serde(default)]
    audio_duration_ms: Number,
    #[serde(default)]
    streaming_seconds: Number,
    #[serde(default)]
    transcripts: Number,
}

#[derive(Deserialize)]
struct Transcript {
    #[serde(default, deserialize_with = "if_readable")]
    start: Option<Number>,
    #[serde(default, deserialize_with = "if_readable")]
    end: Option<Number>,
    utterance: OneOrMany<Spoken>,
}

#[derive(Deserialize)]
struct Spoken {
    #[serde(default)]
    text: String,
    /// The contract names the fields `token.…` and does not show what holds them.
    #[serde(default, deserialize_with = "if_readable")]
    token: Option<OneOrMany<GivenToken>>,
    #[serde(default, deserialize_with = "if_readable")]
    tokens: Option<OneOrMany<GivenToken>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GivenToken {
    #[serde(default)]
    content: String,
    #[serde(default)]
    start: Number,
    #[serde(default)]
    end: Number,
    punctuation_after: Option<String>,
    punctuation_before: Option<String>,
}

/// The first message on a socket.
pub(super) fn start_stream(spec: &StreamSpec) -> String {
    let options = &spec.options;
    json::write(&StartStream {
        message: "startStream",
        sender: Sender {
            // The contract knows the two parties only.
            role: spec.role.party().as_str(),
            external_id: spec.sender.reveal(),
        },
        language: &options.language,
        sampling_rate: SAMPLE_RATE,
        encoding: "L16",
        smart_formatting: true,
        detailed_token: options.detailed_token,
        audio_recording_allowed: options.audio_recording_allowed,
        redaction_output: options.redaction.as_str(),
    })
}

/// The phrases to boost, if there are any. They count for the present socket only.
pub(super) fn update_vocabulary(phrases: &[Phrase]) -> Option<String> {
    (!phrases.is_empty()).then(|| {
        let phrases = phrases.iter().map(Boosted::from).collect();
        json::write(&UpdateVocabulary {
            message: "updateVocabulary",
            phrases,
        })
    })
}

/// What a message means.
pub(super) fn hear(text: &str, spec: &StreamSpec) -> Result<Heard, Gibberish> {
    let kind: Kind<'_> = read(text)?;
    Ok(match &*kind.message {
        "transcript" => Heard::Transcript(utterance(read(text)?, spec)),
        "startResponse" => match status(read::<Answer>(text)?.status) {
            (status, _) if status.is_ok() => Heard::Ready { expires: None },
            (status, retry) => Heard::Final(Final {
                status,
                retry,
                summary: None,
            }),
        },
        "finalResponse" => {
            let answer: Answer = read(text)?;
            let (status, retry) = status(answer.status);
            Heard::Final(Final {
                status,
                retry,
                summary: answer.summary.map(Summary::from),
            })
        }
        "vocabularyResponse" => match status(read::<Answer>(text)?.status) {
            (status, _) if status.is_ok() => Heard::Nothing,
            (status, _) => Heard::VocabularyRefused(status),
        },
        _ => Heard::Unknown,
    })
}

/// The class of a status code, by the contract's table of codes.
pub(super) fn classify(code: u16) -> Retry {
    match code {
        1008 => Retry::Token,
        2002 => Retry::Few(2),
        4040 | 4050 | 4051 | 4053 | 4056 | 4082 | 4084 | 4091..=4094 => Retry::Session,
        4080 => Retry::Few(1),
        4083 => Retry::Sound,
        4090 => Retry::Rollover,
        1000 | 5000 | 5002 => Retry::Backoff,
        5001 => Retry::Now,
        _ => Retry::Unknown,
    }
}

fn status(given: Option<GivenStatus>) -> (Status, Retry) {
    let Some(GivenStatus { code, description }) = given else {
        return (
            Status::internal("the service gave no status"),
            Retry::Unknown,
        );
    };
    let Some(code) = code.and_then(|code| u16::try_from(code.count()).ok()) else {
        return (
            Status::internal("the service gave no readable status code"),
            Retry::Unknown,
        );
    };
    let description = json::description(&description.unwrap_or_default());
    (Status { code, description }, classify(code))
}

fn utterance(given: Transcript, spec: &StreamSpec) -> Utterance {
    let spoken = Vec::from(given.utterance);
    let start = given.start.unwrap_or_default().millis();
    let end = given.end.unwrap_or_default().millis();
    Utterance {
        call: spec.call.clone(),
        stream: spec.id.clone(),
        role: spec.role,
        sender: spec.sender.clone(),
        alternatives: spoken.into_iter().map(Alternative::from).collect(),
        start,
        end: end.max(start),
        is_final: true,
    }
}

impl<'a> From<&'a Phrase> for Boosted<'a> {
    fn from(phrase: &'a Phrase) -> Self {
        Self {
            phrase: phrase.phrase.reveal(),
            category: phrase.category.as_deref(),
            sounds_like: phrase
                .sounds_like
                .iter()
                .map(|sound| sound.reveal().as_str())
                .collect(),
        }
    }
}

impl From<GivenSummary> for Summary {
    fn from(given: GivenSummary) -> Self {
        Self {
            audio_bytes: given.total_audio_bytes.count(),
            audio: given.audio_duration_ms.millis(),
            streaming: Duration::from_secs(given.streaming_seconds.count()),
            transcripts: u32::try_from(given.transcripts.count()).unwrap_or(u32::MAX),
        }
    }
}

impl From<Spoken> for Alternative {
    fn from(spoken: Spoken) -> Self {
        let tokens = spoken
            .tokens
            .or(spoken.token)
            .map(Vec::from)
            .unwrap_or_default();
        Self {
            text: spoken.text.into(),
            tokens: tokens.into_iter().map(Token::from).collect(),
        }
    }
}

impl From<GivenToken> for Token {
    fn from(given: GivenToken) -> Self {
        Self {
            content: given.content.into(),
            start: given.start.millis(),
            end: given.end.millis().max(given.start.millis()),
            punctuation_after: given.punctuation_after,
            punctuation_before: given.punctuation_before,
        }
    }
}
