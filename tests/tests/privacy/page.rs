//! The log of this process, and what may not be in it.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::{LazyLock, Mutex, Once};

use gateway::config::words::{LogFormat, LogLevel};
use serde_json::Value;
use sim::speech::Script;

/// Who calls, as the start names them.
pub(crate) const CUSTOMER: &str = "+15551234567";
/// Who answers.
pub(crate) const AGENT: &str = "agent.smith@example.com";
/// A word of the vocabulary, and of whatever else may not be logged.
pub(crate) const WORD: &str = "zanzibar";
/// A key that was pressed.
pub(crate) const DIGIT: char = '8';

static PAGE: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Whatever is like one of these is private, wherever it stands.
const FRAGMENTS: [&str; 11] = [
    "5551234567",
    "agent.smith",
    WORD,
    rig::API_SECRET,
    rig::AUTH_TOKEN,
    rig::TOKEN_SECRET,
    "wrong-secret",
    "sim-api-secret",
    "eyJ",
    "?token=",
    "twilio-media/",
];

/// Words of the script that no sentence of ours needs.
const WORDS: [&str; 14] = [
    "harbor",
    "reminder",
    "wonderful",
    "lovely",
    "evening",
    "receipt",
    "dollars",
    "goodbye",
    "weight",
    "5527",
    "4111",
    "1111",
    "982",
    "8",
];

/// Members whose values are ids, in which any digits may stand.
const IDS: [&str; 7] = [
    "timestamp",
    "request_id",
    "stream",
    "guid",
    "call",
    "callSid",
    "streamSid",
];

struct Pen;

impl Write for Pen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        PAGE.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// From now on everything is logged as the program does it, at level debug.
pub(crate) fn open() {
    static OPENED: Once = Once::new();
    OPENED.call_once(|| {
        let mut log = rig::config("http://127.0.0.1:9", "").log;
        (log.format, log.level) = (LogFormat::Json, LogLevel::Debug);
        let subscriber = gateway::log::subscriber(&log, || Pen, false).unwrap();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

/// What the gateway has logged until now; not what the simulators have.
pub(crate) fn lines() -> Vec<String> {
    let page = String::from_utf8(PAGE.lock().unwrap().clone()).unwrap();
    let whole = page.rfind('\n').map_or("", |end| &page[..end]);
    let ours = |line: &&str| !line.contains("\"target\":\"sim");
    whole.lines().filter(ours).map(str::to_owned).collect()
}

/// What of a line is private.
pub(crate) fn leak(line: &str) -> Option<String> {
    let fragment = FRAGMENTS.iter().find(|fragment| line.contains(**fragment));
    if let Some(fragment) = fragment {
        return Some((*fragment).to_owned());
    }
    let mut texts = Vec::new();
    collect(&serde_json::from_str(line).unwrap(), &mut texts);
    texts.iter().find_map(|text| spoken(text))
}

/// All texts of a line but ids. Numbers are counts and times, and cannot be told from digits.
fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect(value, texts)),
        Value::Object(members) => {
            let telling = members
                .iter()
                .filter(|(name, _)| !IDS.contains(&name.as_str()));
            telling.for_each(|(_, value)| collect(value, texts));
        }
        Value::String(text) => texts.push(text.clone()),
        Value::Bool(_) | Value::Null | Value::Number(_) => {}
    }
}

/// A word of the script that stands out, or any three of them in a row.
fn spoken(text: &str) -> Option<String> {
    static THREES: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
        let said = |phrase: &sim::speech::Phrase| [phrase.text.clone(), phrase.spoken.clone()];
        let texts = Script::standard().phrases().iter().flat_map(said);
        texts.flat_map(|text| threes(&text)).collect()
    });
    let word = words(text)
        .into_iter()
        .find(|word| WORDS.contains(&word.as_str()));
    word.or_else(|| {
        threes(text)
            .into_iter()
            .find(|three| THREES.contains(three))
    })
}

fn threes(text: &str) -> Vec<String> {
    words(text)
        .windows(3)
        .map(|three| three.join(" "))
        .collect()
}

fn words(text: &str) -> Vec<String> {
    let words = text.split(|letter: char| !letter.is_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}
