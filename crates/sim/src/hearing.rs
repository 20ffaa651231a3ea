//! An ear: hears which of the phrases it knows was said, from the sound alone. It never sees a
//! script, so a wrong codec, byte order or rate, and sound that was cut or moved, are heard as
//! nonsense.
//!
//! Loudness finds the utterances (`endpoint`), a spectrum every 20 ms describes them (`spectrum`),
//! and the description is laid over those of the known phrases, rigidly, without bending time
//! (`lexicon`).

mod endpoint;
#[cfg(test)]
pub(crate) mod law;
mod lexicon;
mod spectrum;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::speech::{Phrase, SAMPLES_PER_MS};

use self::endpoint::{Endpointer, Utterance};
pub use self::lexicon::Lexicon;
use self::spectrum::FRAME;

/// Listens to one stream of 8 kHz mono sound. The same samples give the same answers, however they
/// are cut.
#[derive(Debug)]
pub struct Hearing {
    lexicon: Arc<Lexicon>,
    endpointer: Endpointer,
    /// Samples that are not a whole frame yet.
    rest: Vec<i16>,
}

/// One utterance.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Its first sample, in milliseconds from the beginning of the stream.
    pub start_ms: u64,
    /// Its last.
    pub end_ms: u64,
    /// Which phrase it was; `None` for nonsense.
    pub phrase: Option<Phrase>,
    /// How alike the nearest phrase is: 1 is the same.
    pub likeness: f32,
}

impl Hearing {
    /// Begins at the stream's first sample.
    pub fn new(lexicon: Arc<Lexicon>) -> Self {
        Self {
            lexicon,
            endpointer: Endpointer::new(),
            rest: Vec::with_capacity(FRAME),
        }
    }

    /// Takes the next samples, as many as there are, and gives the utterances that ended in them.
    pub fn hear(&mut self, mut samples: &[i16]) -> Vec<Heard> {
        let mut heard = Vec::new();
        if !self.rest.is_empty() {
            let missing = (FRAME - self.rest.len()).min(samples.len());
            let (head, tail) = samples.split_at(missing);
            self.rest.extend_from_slice(head);
            samples = tail;
            if self.rest.len() < FRAME {
                return heard;
            }
            let frame = std::mem::take(&mut self.rest);
            heard.extend(
                self.endpointer
                    .push(&frame)
                    .map(|utterance| self.understand(&utterance)),
            );
        }
        let mut frames = samples.chunks_exact(FRAME);
        for frame in &mut frames {
            heard.extend(
                self.endpointer
                    .push(frame)
                    .map(|utterance| self.understand(&utterance)),
            );
        }
        self.rest.extend_from_slice(frames.remainder());
        heard
    }

    /// The stream is over: gives the utterance that was being said.
    pub fn finish(&mut self) -> Option<Heard> {
        let utterance = self.endpointer.finish()?;
        Some(self.understand(&utterance))
    }

    /// When what is being said began, in milliseconds from the beginning of the stream.
    pub fn speaking_since_ms(&self) -> Option<u64> {
        let first_sample = self.endpointer.speaking_since()?;
        Some(first_sample / SAMPLES_PER_MS)
    }

    fn understand(&self, utterance: &Utterance) -> Heard {
        let (found, likeness) = self.lexicon.find(utterance);
        let (phrase, first_sample, samples) = match found {
            Some(found) => {
                let phrase = found.phrase.clone();
                let first = utterance
                    .first_sample()
                    .saturating_add_signed(found.shift_samples);
                let samples = phrase.samples.len() as u64;
                (Some(phrase), first, samples)
            }
            None => (None, utterance.first_sample(), utterance.samples()),
        };
        let start_ms = first_sample / SAMPLES_PER_MS;
        let end_ms = (first_sample + samples) / SAMPLES_PER_MS;
        Heard {
            start_ms,
            end_ms,
            phrase,
            likeness,
        }
    }
}
