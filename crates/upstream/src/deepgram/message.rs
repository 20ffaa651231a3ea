//! Deepgram's messages. Strict in what is said, tolerant in what is heard: unknown messages and
//! fields are no reason to lose a transcript.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;

use call::audio;
use call::start::{Status, Summary};
use call::transcript::Token;

use crate::json::{self, Number, if_readable};
use crate::service::{Gibberish, Retry};

/// No more sound will come: all is transcribed, summed up, and the socket closed.
pub(super) const CLOSE_STREAM: &str = r#"{"type":"CloseStream"}"#;
/// All sound so far is to be transcribed now.
pub(super) const FINALIZE: &str = r#"{"type":"Finalize"}"#;
/// Keeps a socket open for another 10 s. Not answered.
pub(super) const KEEP_ALIVE: &str = r#"{"type":"KeepAlive"}"#;

/// Marks that the service puts behind a word, or before it in Spanish.
const MARKS_AFTER: [char; 7] = ['.', ',', '?', '!', ';', ':', '…'];
const MARKS_BEFORE: [char; 2] = ['¿', '¡'];

/// No socket lives longer: the bound of times that are beyond all bounds.
const TIME_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A message of the service.
pub(super) enum Told {
    /// An error; if it ends the stream the close follows.
    Error(Status),
    /// Of a kind that nobody told us of.
    Unknown,
    /// So much sound was heard in all; the last message if the end was asked for.
    Metadata(Option<Duration>),
    /// What was said, or that nothing was.
    Results(Results),
    /// Somebody begins to speak.
    SpeechStarted,
    /// Nobody has spoken for the time that was asked for.
    UtteranceEnd,
}

/// What was said in a piece of sound.
pub(super) struct Results {
    /// The piece's end, on the socket's clock.
    pub(super) end: Duration,
    /// Whether it will not be told again.
    pub(super) is_final: bool,
    /// Whether a phrase ends with it.
    pub(super) is_over: bool,
    /// Whether it answers a [`FINALIZE`].
    pub(super) from_finalize: bool,
    /// `None` if nothing was said.
    pub(super) segment: Option<Segment>,
}

/// A piece of a phrase.
#[derive(Clone)]
pub(super) struct Segment {
    pub(super) text: String,
    pub(super) tokens: Vec<Token>,
    pub(super) start: Duration,
    pub(super) end: Duration,
}

/// Which message it is; the rest is read once that is known.
#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct GivenResults {
    #[serde(default, deserialize_with = "if_readable")]
    start: Option<Number>,
    #[serde(default, deserialize_with = "if_readable")]
    duration: Option<Number>,
    #[serde(default, deserialize_with = "if_readable")]
    is_final: Option<bool>,
    #[serde(default, deserialize_with = "if_readable")]
    speech_final: Option<bool>,
    #[serde(default, deserialize_with = "if_readable")]
    from_finalize: Option<bool>,
    channel: Channel,
}

#[derive(Deserialize)]
struct Channel {
    #[serde(default)]
    alternatives: Vec<Spoken>,
}

#[derive(Deserialize)]
struct Spoken {
    #[serde(default)]
    transcript: String,
    #[serde(default, deserialize_with = "if_readable")]
    words: Option<Vec<Word>>,
}

#[derive(Deserialize)]
struct Word {
    word: String,
    #[serde(default)]
    start: Number,
    #[serde(default)]
    end: Number,
    #[serde(default)]
    punctuated_word: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default, deserialize_with = "if_readable")]
    duration: Option<Number>,
}

#[derive(Deserialize)]
struct Trouble {
    #[serde(default, deserialize_with = "if_readable")]
    description: Option<String>,
    #[serde(default, deserialize_with = "if_readable")]
    message: Option<String>,
    #[serde(default, deserialize_with = "if_readable")]
    err_msg: Option<String>,
}

/// Reads a message; words become tokens if they are wanted.
pub(super) fn read(text: &str, with_tokens: bool) -> Result<Told, Gibberish> {
    let kind: Kind<'_> = json::read(text)?;
    Ok(match &*kind.kind {
        "Error" => Told::Error(trouble(json::read(text)?)),
        "Metadata" => {
            let duration = json::read::<Metadata>(text)?.duration;
            Told::Metadata(duration.map(seconds))
        }
        "Results" => Told::Results(results(json::read(text)?, with_tokens)),
        "SpeechStarted" => Told::SpeechStarted,
        "UtteranceEnd" => Told::UtteranceEnd,
        _ => Told::Unknown,
    })
}

/// What a close means, by its code and by the words around it: the reason and an error before it.
/// `has_said` is whether the socket has had any sound. `None` if they say nothing.
pub(super) fn closed(code: Option<u16>, words: &str, has_said: bool) -> Option<(Status, Retry)> {
    // `DATA-0000` in the reference, `https://dpgr.am/data0000` on the wire.
    let words = words.to_lowercase().replace('-', "");
    let says = |what: &str| words.contains(what);
    let (code, description, retry) = match code {
        _ if says("data0000") => (4082, "the service could not read the sound", Retry::Session),
        // What it heard was too little to say anything of.
        _ if says("net0001") || says("net0000") && !has_said => {
            (4083, "the service had no sound for too long", Retry::Sound)
        }
        _ if says("net0000") => (
            5000,
            "the service had nothing to say in time",
            Retry::Backoff,
        ),
        Some(1001 | 1012) => (5001, "the service is shutting down", Retry::Now),
        Some(1011) => (5000, "the service had an internal error", Retry::Backoff),
        Some(1013) => (5002, "the service has no room at present", Retry::Backoff),
        _ => return None,
    };
    let description = description.to_owned();
    Some((Status { code, description }, retry))
}

/// What the service summed up. It tells seconds of sound only: the bytes are those of L16, and that
/// it streamed for longer is not known.
pub(super) fn summary(audio: Duration, transcripts: u32) -> Summary {
    Summary {
        audio_bytes: audio::samples(audio) * 2,
        audio,
        streaming: audio,
        transcripts,
    }
}

fn results(given: GivenResults, with_tokens: bool) -> Results {
    let start = seconds(given.start.unwrap_or_default());
    let end = start + seconds(given.duration.unwrap_or_default());
    let from_finalize = given.from_finalize.unwrap_or_default();
    let spoken = given.channel.alternatives.into_iter().next();
    Results {
        end,
        is_final: given.is_final.unwrap_or_default(),
        is_over: given.speech_final.unwrap_or_default() || from_finalize,
        from_finalize,
        segment: spoken.and_then(|spoken| segment(spoken, start, end, with_tokens)),
    }
}

fn segment(spoken: Spoken, start: Duration, end: Duration, with_tokens: bool) -> Option<Segment> {
    let text = spoken.transcript.trim();
    if text.is_empty() {
        return None;
    }
    let words = spoken.words.unwrap_or_default();
    // A segment has silence at its ends; its words have not.
    let start = words.first().map_or(start, |word| seconds(word.start));
    let end = words.last().map_or(end, |word| seconds(word.end));
    let words = words.into_iter().filter(|_| with_tokens);
    Some(Segment {
        text: text.to_owned(),
        tokens: words.map(Token::from).collect(),
        start,
        end: end.max(start),
    })
}

fn trouble(given: Trouble) -> Status {
    let words = [given.description, given.message, given.err_msg];
    let words = words.into_iter().flatten().find(|words| !words.is_empty());
    let words = words.as_deref().unwrap_or("the service reported an error");
    Status::internal(json::description(words))
}

fn seconds(number: Number) -> Duration {
    number.seconds().min(TIME_MAX)
}

impl Segment {
    /// What was said next.
    pub(super) fn join(&mut self, next: Self) {
        self.text.push(' ');
        self.text.push_str(&next.text);
        self.tokens.extend(next.tokens);
        self.end = self.end.max(next.end);
    }
}

impl From<Word> for Token {
    fn from(given: Word) -> Self {
        let written = given.punctuated_word.as_deref().unwrap_or(&given.word);
        let content = written.trim_start_matches(MARKS_BEFORE);
        let before = &written[..written.len() - content.len()];
        let bare = content.trim_end_matches(MARKS_AFTER);
        // A mark that is part of the word stays: `a.m.`
        let is_own = bare.is_empty() || given.word.ends_with(MARKS_AFTER);
        let (content, after) = if is_own {
            (content, "")
        } else {
            content.split_at(bare.len())
        };
        let mark = |mark: &str| (!mark.is_empty()).then(|| mark.to_owned());
        let start = seconds(given.start);
        Self {
            start,
            end: seconds(given.end).max(start),
            punctuation_after: mark(after),
            punctuation_before: mark(before),
            content: content.to_owned().into(),
        }
    }
}
