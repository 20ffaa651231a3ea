//! What was heard on one socket. The service cuts speech into segments that become final one by
//! one; some of them end a phrase. Segments of a phrase are joined to one utterance.
//!
//! What is held until then is never lost: it is let go by the end of the phrase, by silence, by its
//! length, by the end of the stream and by the end of the socket.

use std::time::Duration;

use call::start::{Status, StreamSpec, Summary};
use call::transcript::{Alternative, Utterance};

use super::DeepgramConfig;
use super::message::{self, Results, Segment, Told};
use crate::service::{Final, Gibberish, Heard, Retry};

/// One socket's.
pub(super) struct Conversation {
    spec: StreamSpec,
    partials: bool,
    utterance_max: Duration,
    held: Option<Held>,
    /// Whether the service was asked to make all final, and has made nothing final since.
    is_asked: bool,
    has_said: bool,
    is_finishing: bool,
    transcripts: u32,
    summary: Option<Summary>,
    trouble: Option<Status>,
}

/// Final segments of one phrase.
struct Held {
    whole: Segment,
    segments: u32,
    /// Whether the phrase is over, so that nothing is to be joined to it.
    is_over: bool,
}

impl Conversation {
    /// More segments are not joined, whatever their times say.
    const SEGMENTS_MAX: u32 = 64;

    pub(super) fn new(spec: &StreamSpec, config: &DeepgramConfig) -> Self {
        Self {
            spec: spec.clone(),
            partials: config.partials,
            utterance_max: config.utterance_max,
            held: None,
            is_asked: false,
            has_said: false,
            is_finishing: false,
            transcripts: 0,
            summary: None,
            trouble: None,
        }
    }

    /// Sound was said.
    pub(super) fn said(&mut self) {
        self.has_said = true;
    }

    pub(super) fn has_said(&self) -> bool {
        self.has_said
    }

    /// The service was asked to make all final.
    pub(super) fn asked(&mut self) {
        self.is_asked = true;
    }

    /// Nothing more will be said.
    pub(super) fn finish(&mut self) {
        self.is_finishing = true;
    }

    pub(super) fn hear(&mut self, text: &str) -> Result<Heard, Gibberish> {
        let told = message::read(text, self.spec.options.detailed_token)?;
        Ok(match told {
            Told::Error(status) => {
                self.trouble = Some(status.clone());
                Heard::Warning(status)
            }
            Told::Metadata(audio) => self.summed_up(audio),
            Told::Results(results) => self.results(results),
            Told::SpeechStarted => Heard::Nothing,
            Told::Unknown => Heard::Unknown,
            Told::UtteranceEnd => self.let_go().unwrap_or(Heard::Nothing),
        })
    }

    /// What a close means. Before the end was asked for a clean one says nothing: it is a loss.
    pub(super) fn closed(&mut self, code: Option<u16>, reason: &str) -> Option<Final> {
        if self.is_finishing && (code == Some(1000) || self.summary.is_some()) {
            return Some(self.all_is_well());
        }
        let trouble = self.trouble.take();
        let words = match &trouble {
            Some(trouble) => format!("{reason} {}", trouble.description),
            None => reason.to_owned(),
        };
        let told = trouble.map(|trouble| (trouble, Retry::Backoff));
        let (status, retry) = message::closed(code, &words, self.has_said).or(told)?;
        Some(Final {
            status,
            retry,
            summary: None,
        })
    }

    /// What is held.
    pub(super) fn leftover(&mut self) -> Option<Utterance> {
        let held = self.held.take()?;
        Some(self.utterance(held.whole, true))
    }

    fn results(&mut self, results: Results) -> Heard {
        let received = Heard::Received(results.end);
        let Results { is_over, .. } = results;
        let heard = match (results.segment, results.is_final) {
            // Silence ends every phrase.
            (None, true) => self.let_go(),
            (None, false) => None,
            (Some(segment), true) => {
                // What was asked for before a pause is answered with what belongs before it.
                let is_apart = self.is_asked && !results.from_finalize;
                self.take(segment, is_apart, is_over)
            }
            (Some(segment), false) => self.guess(segment),
        };
        self.is_asked &= !results.is_final;
        heard.unwrap_or(received)
    }

    /// Takes in a final segment, and gives back what is to be told now. One message lets go of one
    /// utterance; where two are over, the second waits for the next message.
    fn take(&mut self, segment: Segment, is_apart: bool, is_over: bool) -> Option<Heard> {
        let before = if is_apart || self.is_over() {
            self.let_go()
        } else {
            None
        };
        let (whole, segments) = match self.held.take() {
            Some(mut held) => {
                held.whole.join(segment);
                (held.whole, held.segments + 1)
            }
            None => (segment, 1),
        };
        let length = whole.end.saturating_sub(whole.start);
        let is_full = segments >= Self::SEGMENTS_MAX || length >= self.utterance_max;
        self.held = Some(Held {
            whole,
            segments,
            is_over: is_over || is_full,
        });
        if before.is_some() {
            before
        } else if self.is_over() {
            self.let_go()
        } else {
            self.held
                .as_ref()
                .and_then(|held| self.partial(&held.whole))
        }
    }

    /// What is being said, behind what of the phrase is final already.
    fn guess(&mut self, segment: Segment) -> Option<Heard> {
        if self.is_over() {
            return self.let_go();
        }
        match &self.held {
            Some(held) => {
                let mut whole = held.whole.clone();
                whole.join(segment);
                self.partial(&whole)
            }
            None => self.partial(&segment),
        }
    }

    fn partial(&self, whole: &Segment) -> Option<Heard> {
        let is_wanted = self.partials;
        is_wanted.then(|| Heard::Transcript(self.utterance(whole.clone(), false)))
    }

    fn is_over(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.is_over)
    }

    fn let_go(&mut self) -> Option<Heard> {
        let utterance = self.leftover()?;
        self.transcripts = self.transcripts.saturating_add(1);
        Some(Heard::Transcript(utterance))
    }

    /// The service has summed up.
    fn summed_up(&mut self, audio: Option<Duration>) -> Heard {
        if !self.is_finishing {
            return Heard::Nothing;
        }
        let last = self.let_go();
        self.summary = audio.map(|audio| message::summary(audio, self.transcripts));
        // Where words are to be told first, the close that follows says that all is well.
        last.unwrap_or_else(|| Heard::Final(self.all_is_well()))
    }

    fn all_is_well(&self) -> Final {
        Final {
            status: Status::ok(),
            retry: Retry::Backoff,
            summary: self.summary,
        }
    }

    fn utterance(&self, whole: Segment, is_final: bool) -> Utterance {
        Utterance {
            call: self.spec.call.clone(),
            stream: self.spec.id.clone(),
            role: self.spec.role,
            sender: self.spec.sender.clone(),
            alternatives: vec![Alternative {
                text: whole.text.into(),
                tokens: whole.tokens,
            }],
            start: whole.start,
            end: whole.end,
            is_final,
        }
    }
}
