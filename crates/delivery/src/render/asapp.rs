//! ASAPP's body: one final utterance, its response exactly as the service's `transcript` message.

use call::transcript::{Alternative, Token, Utterance};
use serde::Serialize;

use super::{Fact, written};
use crate::clock::millis;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    r#type: &'static str,
    external_conversation_id: &'a str,
    stream_id: &'a str,
    sender: Sender<'a>,
    autotranscribe_response: Transcript<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sender<'a> {
    external_id: &'a str,
    role: &'static str,
}

#[derive(Serialize)]
struct Transcript<'a> {
    message: &'static str,
    start: u64,
    end: u64,
    utterance: Vec<Spoken<'a>>,
}

#[derive(Serialize)]
struct Spoken<'a> {
    text: &'a str,
    /// The contract names the fields `token.…` and does not show what holds them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    token: Vec<Word<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Word<'a> {
    content: &'a str,
    start: u64,
    end: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    punctuation_after: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    punctuation_before: Option<&'a str>,
}

/// `None` unless something was said.
pub(super) fn body(fact: &Fact<'_>) -> Option<Vec<u8>> {
    let said = fact.said?;
    Some(written(&Body {
        r#type: "transcript",
        external_conversation_id: fact.external,
        stream_id: said.stream.as_str(),
        sender: Sender {
            external_id: said.sender.reveal(),
            // The contract knows the two parties only.
            role: said.role.party().as_str(),
        },
        autotranscribe_response: transcript(said),
    }))
}

fn transcript(said: &Utterance) -> Transcript<'_> {
    Transcript {
        message: "transcript",
        start: millis(said.start),
        end: millis(said.end),
        utterance: said.alternatives.iter().map(spoken).collect(),
    }
}

fn spoken(reading: &Alternative) -> Spoken<'_> {
    Spoken {
        text: reading.text.reveal(),
        token: reading.tokens.iter().map(word).collect(),
    }
}

fn word(token: &Token) -> Word<'_> {
    Word {
        content: token.content.reveal(),
        start: millis(token.start),
        end: millis(token.end),
        punctuation_after: token.punctuation_after.as_deref(),
        punctuation_before: token.punctuation_before.as_deref(),
    }
}
