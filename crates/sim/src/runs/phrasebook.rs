//! The phrases that are said in a run, as sound and as the texts they may come back as.

use std::sync::Arc;

use crate::caller::ulaw;
use crate::speech::{Role, SAMPLES_PER_MS, Script};

/// Samples of a frame: 20 ms.
const FRAME: usize = 160;

/// All phrases, in the order of the script.
#[derive(Debug)]
pub(super) struct Phrasebook {
    entries: Vec<Entry>,
}

/// One phrase.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: Arc<str>,
    pub(super) role: Role,
    pub(super) secret: bool,
    /// As many as are spoken.
    pub(super) words: u64,
    pub(super) length_ms: u64,
    /// μ-law, filled up to whole frames with silence.
    pub(super) codes: Vec<u8>,
    /// The texts it may come back as, in [`plain`] form.
    texts: [String; 2],
}

/// A phrase in a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mention {
    /// Its place in the book.
    pub(super) phrase: usize,
    /// Where it begins, as a part of the text from 0 to 1.
    pub(super) at: f64,
}

impl Phrasebook {
    /// Of a script's phrases.
    pub(super) fn new(script: &Script) -> Self {
        let entries = script.phrases().iter().map(|phrase| {
            let mut codes = ulaw::encode_all(&phrase.samples);
            codes.resize(codes.len().next_multiple_of(FRAME), ulaw::SILENCE);
            Entry {
                id: phrase.id.clone(),
                role: phrase.role,
                secret: phrase.secret,
                words: phrase.spoken.split_whitespace().count() as u64,
                length_ms: phrase.samples.len() as u64 / SAMPLES_PER_MS,
                codes,
                texts: [plain(&phrase.text), plain(&phrase.spoken)],
            }
        });
        Self {
            entries: entries.collect(),
        }
    }

    /// A phrase, by its place.
    pub(super) fn entry(&self, phrase: usize) -> &Entry {
        &self.entries[phrase]
    }

    /// The places of a role's phrases, the secret ones or the others.
    pub(super) fn of(&self, role: Role, secret: bool) -> Vec<usize> {
        let all = self.entries.iter().enumerate();
        let wanted = all.filter(|(_, entry)| entry.role == role && entry.secret == secret);
        wanted.map(|(place, _)| place).collect()
    }

    /// The phrases that a text is made of, in its order. Whatever a service writes between them, or
    /// instead of them, is passed over.
    pub(super) fn read(&self, text: &str) -> Vec<Mention> {
        let text = format!(" {} ", plain(text));
        let mut found: Vec<(usize, usize)> = Vec::new();
        for (phrase, entry) in self.entries.iter().enumerate() {
            let [written, spoken] = &entry.texts;
            let mut forms = vec![written];
            forms.extend((written != spoken).then_some(spoken));
            for form in forms {
                let wanted = format!(" {form} ");
                found.extend(text.match_indices(&wanted).map(|(at, _)| (at, phrase)));
            }
        }
        found.sort_unstable();
        let length = text.len() as f64;
        let mentions = found.into_iter().map(|(at, phrase)| Mention {
            phrase,
            at: at as f64 / length,
        });
        mentions.collect()
    }
}

/// Letters in lower case with single blanks between words, each digit a `#`, and nothing else: the
/// same whether or not a service formats and redacts.
fn plain(text: &str) -> String {
    let letters = text.chars().filter_map(|letter| match letter {
        '0'..='9' | '#' => Some('#'),
        _ if letter.is_alphabetic() => Some(letter.to_ascii_lowercase()),
        _ if letter.is_whitespace() => Some(' '),
        _ => None,
    });
    let letters: String = letters.collect();
    letters.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        let book = Phrasebook::new(Script::standard());
        let found = book.read(text).into_iter();
        let ids = found.map(|mention| book.entry(mention.phrase).id.to_string());
        ids.collect()
    }

    #[test]
    fn a_phrase_is_read_however_a_service_writes_it() {
        for text in [
            "My account number is 5527.",
            "My account number is ####.",
            "my account number is five five two seven",
            "??? my account number is ####",
        ] {
            assert_eq!(read(text), ["customer-account"], "{text}");
        }
        assert_eq!(read("My account number is 55."), [""; 0]);
        assert_eq!(read("#### #### #### ####."), ["customer-card"]);
    }

    #[test]
    fn several_phrases_in_one_text_are_read_in_their_order() {
        let text = "Good, that is a weight off my mind. My account number is 5527. \
            Good, that is a weight off my mind.";
        let ids = ["customer-relieved", "customer-account", "customer-relieved"];
        assert_eq!(read(text), ids);
        let book = Phrasebook::new(Script::standard());
        let places: Vec<f64> = book.read(text).iter().map(|found| found.at).collect();
        assert!(
            places[0] == 0.0 && places[1] > 0.3 && places[2] > 0.6,
            "{places:?}"
        );
    }

    #[test]
    fn every_phrase_is_told_from_every_other() {
        let book = Phrasebook::new(Script::standard());
        for (place, phrase) in Script::standard().phrases().iter().enumerate() {
            for text in [&*phrase.text, &*phrase.spoken, &phrase.redacted()] {
                let found: Vec<_> = book.read(text).iter().map(|found| found.phrase).collect();
                assert_eq!(found, [place], "{text}");
            }
        }
        assert_eq!(book.entry(0).words, 12);
        assert!(book.entry(0).codes.len().is_multiple_of(FRAME));
    }
}
