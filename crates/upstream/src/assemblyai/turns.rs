//! Turns of one socket, each told as one utterance.
//!
//! A turn is told again and again until its end, each time as a whole: by its number, never by its
//! times, which move. Where turns are formatted its end comes twice, raw and then formatted. The
//! raw one is held until then, so that it is told at most once, and told it is: by its better copy,
//! or itself as soon as that can no longer come.

use std::time::Duration;

use call::start::StreamSpec;
use call::transcript::{Alternative, Token, Utterance};

use super::message::{Turn, Word};

/// The turns of one socket.
pub(super) struct Turns {
    spec: StreamSpec,
    /// Whether guesses are told.
    partials: bool,
    /// Whether ends come twice.
    formats: bool,
    held: Option<Held>,
    /// The newest turn whose end is told, or waits only for that.
    ended: Option<u64>,
    /// Where the last told one ended: a turn without words has no times of its own.
    end: Duration,
    /// How many ends were told.
    told: u32,
}

/// A turn's end that is not told yet. Its utterance is final.
struct Held {
    order: Option<u64>,
    utterance: Utterance,
    /// Whether it waits only for its turn to be told.
    is_due: bool,
}

impl Turns {
    pub(super) fn new(spec: StreamSpec, partials: bool, formats: bool) -> Self {
        Self {
            spec,
            partials,
            formats,
            held: None,
            ended: None,
            end: Duration::ZERO,
            told: 0,
        }
    }

    /// What is to be told because of what the service says of a turn.
    pub(super) fn hear(&mut self, turn: &Turn) -> Option<Utterance> {
        if turn.order.is_some() && turn.order <= self.ended {
            return None;
        }
        let first = self.held.take_if(|held| held.gives_way_to(turn));
        let now = self.understand(turn);
        let Some(first) = first else {
            return now.map(|utterance| self.tell(utterance));
        };
        self.ended = self.ended.max(first.order);
        if let Some(utterance) = now.filter(|utterance| utterance.is_final) {
            self.held = Some(Held {
                order: turn.order,
                utterance,
                is_due: true,
            });
        }
        Some(self.tell(first.utterance))
    }

    /// What waits only for its turn to be told.
    pub(super) fn due(&mut self) -> Option<Utterance> {
        let held = self.held.take_if(|held| held.is_due)?;
        Some(self.tell(held.utterance))
    }

    /// What will not get better because nothing more will come.
    pub(super) fn leftover(&mut self) -> Option<Utterance> {
        let held = self.held.take()?;
        Some(self.tell(held.utterance))
    }

    /// How many ends were told.
    pub(super) fn told(&self) -> u32 {
        self.told
    }

    /// A guess, or an end that is not to be held.
    fn understand(&mut self, turn: &Turn) -> Option<Utterance> {
        let is_held = |held: &&mut Held| held.order == turn.order;
        let utterance = self.utterance(turn);
        if !turn.is_end {
            return utterance.filter(|_| self.partials);
        }
        let held = self.held.as_mut();
        let awaits = self.formats && turn.is_formatted == Some(false);
        // Only one is held; the service does not interleave turns.
        if awaits && held.as_ref().is_none_or(is_held) {
            let utterance = utterance?;
            let guess = Utterance {
                is_final: false,
                ..utterance.clone()
            };
            self.held = Some(Held {
                order: turn.order,
                utterance,
                is_due: false,
            });
            return Some(guess).filter(|_| self.partials);
        }
        let raw = self.held.take_if(|held| held.order == turn.order);
        // An empty copy is no better one.
        let utterance = utterance.or_else(|| raw.map(|held| held.utterance))?;
        self.ended = self.ended.max(turn.order);
        Some(utterance)
    }

    fn tell(&mut self, utterance: Utterance) -> Utterance {
        if utterance.is_final {
            self.end = utterance.end;
            self.told = self.told.saturating_add(1);
        }
        utterance
    }

    fn utterance(&self, turn: &Turn) -> Option<Utterance> {
        let text = text(turn)?;
        let detailed = self.spec.options.detailed_token;
        let tokens = turn.words.iter().filter(|_| detailed).map(Token::from);
        let starts = turn.words.iter().map(|word| word.start);
        let ends = turn.words.iter().map(|word| word.end);
        Some(Utterance {
            call: self.spec.call.clone(),
            stream: self.spec.id.clone(),
            role: self.spec.role,
            sender: self.spec.sender.clone(),
            alternatives: vec![Alternative {
                text: text.into(),
                tokens: tokens.collect(),
            }],
            start: starts.min().unwrap_or(self.end),
            end: ends.max().unwrap_or(self.end),
            is_final: turn.is_end,
        })
    }
}

impl Held {
    /// A turn that comes later, or without a number, means that this one's copy will not come.
    fn gives_way_to(&self, turn: &Turn) -> bool {
        self.is_due || turn.order.is_none() || self.order < turn.order
    }
}

impl From<&Word> for Token {
    /// Marks are part of the service's words.
    fn from(word: &Word) -> Self {
        let text = word.text.as_str();
        let content = text.trim_end_matches(['.', ',', '?', '!', ';', ':', '…']);
        let after = &text[content.len()..];
        let bare = content.trim_start_matches(['¿', '¡']);
        let before = &content[..content.len() - bare.len()];
        let (content, after, before) = match bare {
            "" => (text, "", ""),
            bare => (bare, after, before),
        };
        let mark = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Self {
            content: content.to_owned().into(),
            start: word.start,
            end: word.end,
            punctuation_after: mark(after),
            punctuation_before: mark(before),
        }
    }
}

/// The words of a turn, if there are any. Some models leave the last word of a guess out of its
/// transcript as long as that word may change.
fn text(turn: &Turn) -> Option<String> {
    let transcript = turn.transcript.trim();
    let is_whole = turn.is_end || turn.words.iter().all(|word| word.is_final);
    let text = if is_whole && !transcript.is_empty() {
        transcript.to_owned()
    } else {
        let words = turn.words.iter().map(|word| word.text.trim());
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        if words.is_empty() {
            transcript.to_owned()
        } else {
            words.join(" ")
        }
    };
    (!text.is_empty()).then_some(text)
}
