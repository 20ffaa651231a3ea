//! What is said over one socket: what of the service's messages matters to a stream.

use std::collections::VecDeque;
use std::time::Duration;

use call::audio::{Chunk, SAMPLE_RATE};
use call::start::{Status, StreamSpec, Summary};
use call::transcript::Utterance;

use super::message::{self, Begin, Error, Said, Termination};
use super::parameters::Asked;
use super::turns::Turns;
use super::{Encoding, codes};
use crate::service::{Dialect, Final, Gibberish, Heard, Message, Retry};
use crate::sound;

/// What is said over one socket.
pub(super) struct AssemblyAiDialect {
    encoding: Encoding,
    turns: Turns,
    /// What the service is to say of itself when it accepts the stream.
    model: String,
    redacts: bool,
    left_out: usize,
    keeps_alive: bool,
    /// Whether there was sound since the turn was last ended by us.
    has_sound: bool,
    /// As the service counted it last.
    received: Option<Duration>,
    /// The service's last words, if they alone do not say what they mean.
    complaint: Option<String>,
    /// What is still to be told, as soon as a message comes that means nothing else.
    owed: VecDeque<Heard>,
}

impl AssemblyAiDialect {
    pub(super) fn new(
        encoding: Encoding,
        partials: bool,
        asked: &Asked,
        spec: &StreamSpec,
    ) -> Self {
        let partials = partials && asked.may_guess();
        Self {
            encoding,
            turns: Turns::new(spec.clone(), partials, asked.formats_turns()),
            model: asked.model().to_owned(),
            redacts: asked.redacts(),
            left_out: asked.left_out,
            keeps_alive: asked.times_out(),
            has_sound: false,
            received: None,
            complaint: None,
            owed: VecDeque::new(),
        }
    }

    /// It may tell how it understood us. What it did not understand it does not refuse.
    fn begin(&mut self, begin: Begin) -> Heard {
        if self.redacts && begin.redacts == Some(false) {
            return Heard::Final(Final {
                status: Status {
                    code: 4092,
                    description: "the service does not redact, as it was asked to".to_owned(),
                },
                retry: Retry::Session,
                summary: None,
            });
        }
        if let Some(model) = begin.model.filter(|model| *model != self.model) {
            let model: String = model.chars().take(64).collect();
            let asked = &self.model;
            let what = format!("the service uses its model {model} instead of {asked}");
            self.owed.push_back(Heard::Warning(Status {
                code: 4040,
                description: what,
            }));
        }
        if self.left_out > 0 {
            let left_out = self.left_out;
            let what = format!("{left_out} phrases of the vocabulary do not fit and are left out");
            self.owed.push_back(Heard::VocabularyRefused(Status {
                code: 4084,
                description: what,
            }));
        }
        Heard::Ready {
            expires: begin.expires,
        }
    }

    /// How many turns were told.
    pub(super) fn told(&self) -> u32 {
        self.turns.told()
    }

    /// A close will follow, whose code may say what this does not.
    fn complain(&mut self, error: Error) -> Heard {
        let Error { code, text } = error;
        match codes::last(code, &text) {
            Some(last) if code.is_some() || codes::is_known(&text) => Heard::Final(last),
            _ => {
                self.complaint = Some(text.clone());
                Heard::Warning(Status::internal(text))
            }
        }
    }

    fn terminate(&mut self, termination: &Termination) -> Heard {
        let audio = match (termination.audio, self.received) {
            // It tells whole seconds; if they are the same as what it counted, that is better.
            (Some(told), Some(counted)) if told.abs_diff(counted) < Duration::from_secs(1) => {
                Some(counted)
            }
            (Some(told), _) => Some(told),
            (None, counted) => counted,
        };
        let summary = audio.map(|audio| Summary {
            audio_bytes: bytes(audio),
            audio,
            streaming: termination.session.unwrap_or_default(),
            transcripts: self.turns.told(),
        });
        Heard::Final(Final {
            status: Status::ok(),
            retry: Retry::Backoff,
            summary,
        })
    }

    /// Nothing that is owed waits for longer than the next message that means little.
    fn instead(&mut self, heard: Heard) -> Heard {
        if !matches!(heard, Heard::Nothing | Heard::Received(_)) {
            return heard;
        }
        let due = self.turns.due().map(Heard::Transcript);
        due.or_else(|| self.owed.pop_front()).unwrap_or(heard)
    }
}

impl Dialect for AssemblyAiDialect {
    fn greet(&mut self) -> Vec<Message> {
        Vec::new()
    }

    fn say(&mut self, chunk: &Chunk) -> Message {
        self.has_sound = true;
        Message::Binary(match self.encoding {
            Encoding::Mulaw => sound::mulaw(chunk),
            Encoding::Linear => sound::l16(chunk),
        })
    }

    fn endpoint(&mut self) -> Option<Message> {
        self.has_sound = false;
        Some(Message::Text(message::FORCE_ENDPOINT.to_owned()))
    }

    /// Where the service does not wait for ever it can be told to. Elsewhere silence does no harm,
    /// and every deployment understands it.
    fn keep_alive(&mut self) -> Option<Message> {
        self.keeps_alive
            .then(|| Message::Text(message::KEEP_ALIVE.to_owned()))
    }

    fn finish(&mut self) -> Vec<Message> {
        let endpoint = self.has_sound.then_some(message::FORCE_ENDPOINT);
        let last = endpoint.into_iter().chain([message::TERMINATE]);
        last.map(|text| Message::Text(text.to_owned())).collect()
    }

    fn hear(&mut self, text: &str) -> Result<Heard, Gibberish> {
        let heard = match message::understand(text)? {
            Said::Begin(begin) => self.begin(begin),
            Said::Error(error) => self.complain(error),
            Said::Heartbeat(received) => {
                self.received = Some(received);
                Heard::Received(received)
            }
            Said::Termination(termination) => self.terminate(&termination),
            Said::Turn(turn) => match self.turns.hear(&turn) {
                Some(utterance) => Heard::Transcript(utterance),
                None => Heard::Nothing,
            },
            Said::Unknown => Heard::Unknown,
            Said::Unneeded => Heard::Nothing,
            Said::Warning(text) => Heard::Warning(Status::internal(text)),
        };
        Ok(self.instead(heard))
    }

    fn closed(&mut self, code: Option<u16>, reason: &str) -> Option<Final> {
        let complaint = self.complaint.take();
        codes::last(code, complaint.as_deref().unwrap_or(reason))
    }

    fn leftover(&mut self) -> Option<Utterance> {
        self.turns.leftover()
    }
}

/// As the summary counts: bytes of L16.
fn bytes(audio: Duration) -> u64 {
    let bytes = audio.as_millis() * u128::from(SAMPLE_RATE) * 2 / 1000;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
