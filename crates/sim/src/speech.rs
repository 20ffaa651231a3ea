//! What the simulated parties say: recorded phrases and conversations built from them. Nothing here
//! plays or hears.
//!
//! The built-in phrases are flite voices (`speech/make.sh`). They have been through μ-law once, so
//! that one more round trip gives the same samples and a digest may be compared across a Twilio
//! call.

pub mod conversation;
mod samples;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use self::conversation::{Channel, Conversation};

/// Samples a second of all speech.
pub const SAMPLE_RATE: u32 = 8000;

/// Samples in a millisecond.
pub const SAMPLES_PER_MS: u64 = 8;

/// The phrases a world of callers and services knows.
#[derive(Clone, Debug)]
pub struct Script {
    phrases: Vec<Phrase>,
}

/// One recorded phrase. Cloning shares the recording.
#[derive(Clone)]
pub struct Phrase {
    /// Unique in its script: `customer-card`.
    pub id: Arc<str>,
    /// Whose voice it is.
    pub role: Role,
    /// As a service with smart formatting writes it, digits as digits.
    pub text: Arc<str>,
    /// Word by word, lower case, numbers in words.
    pub spoken: Arc<str>,
    /// Whether it may not be heard by anybody, like the digits of a card.
    pub secret: bool,
    /// 8 kHz mono.
    pub samples: Arc<[i16]>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// `agent`
    Agent,
    /// `customer`
    Customer,
}

/// An entry of `phrases.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    role: Role,
    secret: bool,
    text: String,
    spoken: String,
}

impl Script {
    /// The phrases that come with the program.
    pub fn standard() -> &'static Self {
        static STANDARD: LazyLock<Script> = LazyLock::new(|| {
            Script::parse(samples::INDEX, |id| {
                let found = samples::WAVS.iter().find(|(name, _)| *name == id);
                found
                    .map(|(_, wav)| wav.to_vec())
                    .with_context(|| format!("no recording of {id}"))
            })
            .expect("the built-in phrases are complete, as a test shows")
        });
        &STANDARD
    }

    /// Reads a directory with a `phrases.json` and an 8 kHz mono 16-bit `<id>.wav` for each of its
    /// entries.
    ///
    /// # Errors
    /// A file is missing, is not what it should be, or an id occurs twice.
    pub fn load(directory: &Path) -> anyhow::Result<Self> {
        let read = |name: &str| {
            let path = directory.join(name);
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let index =
            String::from_utf8(read("phrases.json")?).context("phrases.json is not UTF-8")?;
        Self::parse(&index, |id| read(&format!("{id}.wav")))
    }

    /// All of them, in the order of the index.
    pub fn phrases(&self) -> &[Phrase] {
        &self.phrases
    }

    /// The phrase with that id.
    pub fn phrase(&self, id: &str) -> Option<&Phrase> {
        self.phrases.iter().find(|phrase| &*phrase.id == id)
    }

    /// A call in three parts: the parties meet, the customer reads a card aloud, they part. Only
    /// for scripts that have the phrases of the built-in one; `None` otherwise.
    pub fn payment_call(&self) -> Option<Conversation> {
        const LINES: [&str; 16] = [
            "agent-greeting",
            "customer-greeting",
            "agent-sorry",
            "customer-account",
            "agent-balance",
            "customer-pay",
            "agent-pause",
            "customer-card",
            "customer-code",
            "agent-read-back",
            "agent-paid",
            "customer-relieved",
            "agent-anything-else",
            "customer-receipt",
            "agent-goodbye",
            "customer-goodbye",
        ];
        let mut conversation = Conversation::new();
        let mut secret = false;
        for id in LINES {
            let phrase = self.phrase(id)?;
            // Room for the commands that stop and start the transcription around what is secret.
            let pause_ms = if phrase.secret == secret { 700 } else { 2000 };
            secret = phrase.secret;
            conversation.say_after(pause_ms, phrase, Channel::of(phrase.role));
        }
        Some(conversation)
    }

    fn parse(index: &str, wav: impl Fn(&str) -> anyhow::Result<Vec<u8>>) -> anyhow::Result<Self> {
        let entries: Vec<Entry> = serde_json::from_str(index).context("phrases.json")?;
        let mut script = Self {
            phrases: Vec::with_capacity(entries.len()),
        };
        for entry in entries {
            ensure!(
                script.phrase(&entry.id).is_none(),
                "the phrase {} occurs twice",
                entry.id
            );
            let samples = decode(&wav(&entry.id)?)
                .with_context(|| format!("the recording of {}", entry.id))?;
            script.phrases.push(Phrase {
                id: entry.id.into(),
                role: entry.role,
                text: entry.text.into(),
                spoken: entry.spoken.into(),
                secret: entry.secret,
                samples,
            });
        }
        Ok(script)
    }
}

impl Phrase {
    /// How long it takes to say, rounded down.
    pub fn duration_ms(&self) -> u64 {
        self.samples.len() as u64 / SAMPLES_PER_MS
    }

    /// The text as a service writes it that redacts: each digit a `#`.
    pub fn redacted(&self) -> String {
        redacted(&self.text)
    }
}

/// Each digit a `#`.
pub fn redacted(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_ascii_digit() { '#' } else { letter })
        .collect()
}

impl Role {
    /// AutoTranscribe's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Customer => "customer",
        }
    }

    /// Reads that spelling; anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Agent, Self::Customer]
            .into_iter()
            .find(|role| role.as_str() == text)
    }
}

impl fmt::Debug for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn decode(wav: &[u8]) -> anyhow::Result<Arc<[i16]>> {
    let mut reader = hound::WavReader::new(wav)?;
    let spec = reader.spec();
    let format = (
        spec.channels,
        spec.sample_rate,
        spec.bits_per_sample,
        spec.sample_format,
    );
    if format != (1, SAMPLE_RATE, 16, hound::SampleFormat::Int) {
        bail!("is not 8 kHz mono 16-bit but {spec:?}");
    }
    Ok(reader
        .samples::<i16>()
        .collect::<Result<Vec<_>, _>>()?
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::ulaw;

    #[test]
    fn every_built_in_phrase_has_a_recording_and_every_recording_a_phrase() {
        let script = Script::standard();
        assert_eq!(script.phrases().len(), samples::WAVS.len());
        let secret: Vec<_> = script
            .phrases()
            .iter()
            .filter(|phrase| phrase.secret)
            .map(|phrase| &*phrase.id)
            .collect();
        assert_eq!(
            secret,
            ["agent-read-back", "customer-card", "customer-code"]
        );
        assert_eq!(
            script.phrase("customer-card").unwrap().redacted(),
            "#### #### #### ####."
        );
    }

    #[test]
    fn mu_law_changes_no_built_in_sample() {
        for phrase in Script::standard().phrases() {
            let again: Vec<i16> = phrase
                .samples
                .iter()
                .map(|&sample| ulaw::decode(ulaw::encode(sample)))
                .collect();
            assert_eq!(&*phrase.samples, again, "{}", phrase.id);
        }
    }

    #[test]
    fn a_directory_is_read_like_the_built_in_phrases() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("speech");
        let script = Script::load(&directory).unwrap();
        assert_eq!(script.phrases().len(), Script::standard().phrases().len());
        assert!(
            Script::load(&directory.join("nowhere"))
                .unwrap_err()
                .to_string()
                .contains("phrases.json")
        );
    }

    #[test]
    fn the_payment_call_says_everything_and_keeps_its_secrets_together() {
        let call = Script::standard().payment_call().unwrap();
        assert_eq!(call.segments().len(), Script::standard().phrases().len());
        let secret = call.secret_span_ms().unwrap();
        for segment in call.segments() {
            let inside = secret.contains(&segment.at_ms);
            assert_eq!(inside, segment.phrase.secret, "{:?}", segment.phrase);
        }
    }
}
