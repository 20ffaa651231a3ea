//! vosk-server's messages. Its replies have no kind: what they mean is told by what they hold.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use call::audio::SAMPLE_RATE;
use call::start::{Phrase, StreamSpec};
use call::transcript::{Alternative, Token, Utterance};

use crate::json::{self, Number, if_readable};
use crate::service::Gibberish;

/// No more sound will come. The service compares it letter by letter, blanks and all.
pub(super) const EOF: &str = r#"{"eof" : 1}"#;

/// In a grammar: whatever is none of its phrases.
const UNKNOWN_WORD: &str = "[unk]";

/// No socket lives longer: the bound of times that are beyond all bounds.
const TIME_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A reply to one message of sound.
pub(super) struct Reply {
    /// Whether the phrase is over.
    pub(super) is_final: bool,
    /// Empty if nothing was said.
    pub(super) text: String,
    words: Vec<Word>,
}

#[derive(Serialize)]
struct Greeting {
    config: Config,
}

#[derive(Serialize)]
struct Config {
    sample_rate: u32,
    words: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    phrase_list: Vec<String>,
}

#[derive(Deserialize)]
struct Given {
    partial: Option<String>,
    text: Option<String>,
    #[serde(default, deserialize_with = "if_readable")]
    result: Option<Vec<Word>>,
    /// In place of the others, if the server was started for several.
    alternatives: Option<Vec<Guess>>,
}

#[derive(Deserialize)]
struct Guess {
    #[serde(default)]
    text: String,
    #[serde(default, deserialize_with = "if_readable")]
    result: Option<Vec<Word>>,
}

#[derive(Deserialize)]
struct Word {
    #[serde(default)]
    word: String,
    #[serde(default)]
    start: Number,
    #[serde(default)]
    end: Number,
}

/// The first message on a socket.
pub(super) fn config(words: bool, phrases: &[Phrase]) -> String {
    // The words of a model are in lower case.
    let lower = |phrase: &Phrase| phrase.phrase.reveal().to_lowercase();
    let mut phrase_list: Vec<_> = phrases.iter().map(lower).collect();
    if !phrase_list.is_empty() {
        phrase_list.push(UNKNOWN_WORD.to_owned());
    }
    json::write(&Greeting {
        config: Config {
            sample_rate: SAMPLE_RATE,
            words,
            phrase_list,
        },
    })
}

/// Reads a reply; `None` if it is none.
pub(super) fn read(text: &str) -> Result<Option<Reply>, Gibberish> {
    let given: Given = json::read(text)?;
    let best = given.alternatives.map(|all| all.into_iter().next());
    let (is_final, text, words) = match (best, given.text, given.partial) {
        (Some(Some(best)), ..) => (true, best.text, best.result),
        (Some(None), ..) => (true, String::new(), None),
        (None, Some(text), _) => (true, text, given.result),
        (None, None, Some(partial)) => (false, partial, None),
        (None, None, None) => return Ok(None),
    };
    Ok(Some(Reply {
        is_final,
        text: text.trim().to_owned(),
        words: words.unwrap_or_default(),
    }))
}

/// What was said, with the times of its words, or else within `bounds`.
pub(super) fn utterance(
    reply: Reply,
    bounds: (Duration, Duration),
    spec: &StreamSpec,
) -> Utterance {
    let start = reply
        .words
        .first()
        .map_or(bounds.0, |word| seconds(word.start));
    let end = reply
        .words
        .last()
        .map_or(bounds.1, |word| seconds(word.end));
    let with_tokens = spec.options.detailed_token;
    let words = reply.words.into_iter().filter(|_| with_tokens);
    Utterance {
        call: spec.call.clone(),
        stream: spec.id.clone(),
        role: spec.role,
        sender: spec.sender.clone(),
        alternatives: vec![Alternative {
            text: reply.text.into(),
            tokens: words.map(Token::from).collect(),
        }],
        start,
        end: end.max(start),
        is_final: reply.is_final,
    }
}

fn seconds(number: Number) -> Duration {
    number.seconds().min(TIME_MAX)
}

impl From<Word> for Token {
    fn from(given: Word) -> Self {
        let start = seconds(given.start);
        Self {
            content: given.word.into(),
            start,
            end: seconds(given.end).max(start),
            punctuation_after: None,
            punctuation_before: None,
        }
    }
}
