//! The phrases an ear knows, and which of them an utterance is.

use anyhow::ensure;

use crate::speech::Phrase;

use super::endpoint::{Endpointer, Utterance};
use super::spectrum::{BANDS, Bands, FRAME, SILENCE, Spectrum};

/// An utterance less like a phrase than this is not that phrase. `tests` shows the margins on both
/// sides.
pub(super) const LIKENESS_MIN: f32 = 0.93;

/// Phrases are described at four times the rate of utterances, so that they can be laid a quarter
/// of a frame apart.
const STEPS_PER_FRAME: usize = 4;

/// Samples between two descriptions of a phrase: 5 ms.
const STEP: usize = FRAME / STEPS_PER_FRAME;

/// How far an utterance's beginning or length may be off: 100 ms, for faint and for lost first and
/// last sounds.
const SLACK_FRAMES: usize = 5;

/// The same in steps.
const SLACK_STEPS: usize = SLACK_FRAMES * STEPS_PER_FRAME;

/// A phrase is not silent where one of its bands has more than this.
const LOUD: f32 = SILENCE + 2.0;

/// One frame in so many may be a hole, as a gap leaves it, and is passed over.
const HOLES_PART: usize = 16;

/// Silence on both sides of a phrase, so that it can be laid anywhere within the slack.
const MARGIN: usize = 400 * 8;

/// The phrases an ear can hear.
#[derive(Debug)]
pub struct Lexicon {
    templates: Vec<Template>,
}

/// Where a phrase was found.
pub(super) struct Found<'a> {
    pub(super) phrase: &'a Phrase,
    /// From the utterance's first frame to the phrase's first sample.
    pub(super) shift_samples: i64,
}

/// What a phrase sounds like.
#[derive(Debug)]
struct Template {
    phrase: Phrase,
    /// One every [`STEP`], over the phrase and the margins.
    spectra: Vec<Bands>,
    /// The step at which an ear hears it begin.
    first_step: usize,
    /// How many frames long an ear hears it.
    frames: usize,
}

impl Lexicon {
    /// Learns phrases.
    ///
    /// # Errors
    /// A phrase is too faint to be heard, or has a pause in it so long that it is heard as two.
    pub fn new<'a>(phrases: impl IntoIterator<Item = &'a Phrase>) -> anyhow::Result<Self> {
        let templates = phrases
            .into_iter()
            .map(Template::new)
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { templates })
    }

    /// The phrase an utterance is, if it is any, and how alike the nearest is.
    pub(super) fn find(&self, utterance: &Utterance) -> (Option<Found<'_>>, f32) {
        let mut best = (None, 0.0);
        for template in &self.templates {
            let (step, likeness) = template.compare(&utterance.spectra);
            if likeness > best.1 {
                let shift_samples = MARGIN as i64 - (step * STEP) as i64;
                best = (
                    Some(Found {
                        phrase: &template.phrase,
                        shift_samples,
                    }),
                    likeness,
                );
            }
        }
        if best.1 < LIKENESS_MIN {
            (None, best.1)
        } else {
            best
        }
    }
}

impl Template {
    fn new(phrase: &Phrase) -> anyhow::Result<Self> {
        let mut padded = vec![0; MARGIN];
        padded.extend_from_slice(&phrase.samples);
        padded.resize((padded.len() + MARGIN).next_multiple_of(FRAME), 0);

        let mut endpointer = Endpointer::new();
        let mut heard: Vec<_> = padded
            .chunks(FRAME)
            .filter_map(|frame| endpointer.push(frame))
            .collect();
        heard.extend(endpointer.finish());
        ensure!(
            heard.len() == 1,
            "the phrase {} is heard as {} utterances",
            phrase.id,
            heard.len()
        );

        let starts = (0..=padded.len() - FRAME).step_by(STEP);
        let spectra = starts
            .map(|start| Spectrum::shared().bands(&padded[start..start + FRAME]))
            .collect();
        let first_step = heard[0].first_sample() as usize / STEP;
        Ok(Self {
            phrase: phrase.clone(),
            spectra,
            first_step,
            frames: heard[0].spectra.len(),
        })
    }

    /// The best place for an utterance, as the step of its first frame, and how alike it is there.
    fn compare(&self, utterance: &[Bands]) -> (usize, f32) {
        let mut best = (0, 0.0);
        if utterance.len().abs_diff(self.frames) > SLACK_FRAMES {
            return best;
        }
        let first = self.first_step.saturating_sub(SLACK_STEPS);
        for step in first..=self.first_step + SLACK_STEPS {
            let likeness = self.likeness(utterance, step);
            if likeness > best.1 {
                best = (step, likeness);
            }
        }
        best
    }

    // The correlation of the two pictures. Loudness is in the means and drops out.
    fn likeness(&self, utterance: &[Bands], step: usize) -> f32 {
        let known = self.spectra[step..].iter().step_by(STEPS_PER_FRAME);
        let mut holes = utterance.len() / HOLES_PART;
        correlation(utterance.iter().zip(known).filter(|(heard, known)| {
            let hole = **heard == [SILENCE; BANDS] && known.iter().any(|&band| band > LOUD);
            holes = if hole { holes.saturating_sub(1) } else { holes };
            !hole || holes == 0
        }))
    }
}

fn correlation<'a>(pairs: impl Iterator<Item = (&'a Bands, &'a Bands)>) -> f32 {
    let (mut x, mut y, mut xx, mut yy, mut xy) = (0.0_f32, 0.0_f32, 0.0_f32, 0.0_f32, 0.0_f32);
    let mut count = 0.0;
    for (heard, known) in pairs {
        count += BANDS as f32;
        for (a, b) in heard.iter().zip(known) {
            x += a;
            y += b;
            xx += a * a;
            yy += b * b;
            xy += a * b;
        }
    }
    let spread = (xx - x * x / count) * (yy - y * y / count);
    if spread > 0.0 {
        (xy - x * y / count) / spread.sqrt()
    } else {
        0.0
    }
}
