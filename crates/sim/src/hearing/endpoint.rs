//! Where utterances begin and end: by loudness against a threshold that follows the noise.

use super::spectrum::{Bands, FRAME, Spectrum};

/// Silence that ends an utterance: 300 ms. Shorter pauses are part of it.
const HANGOVER_FRAMES: usize = 15;

/// Sound shorter than 100 ms is a click, not an utterance.
const VOICED_FRAMES_MIN: usize = 5;

/// An utterance that goes on for 20 s is cut; so steady noise takes bounded memory.
const UTTERANCE_FRAMES_MAX: usize = 1000;

/// What is quieter than 50 dB below full scale is never speech.
const LOUDNESS_MIN: f32 = 100.0;

/// What is 28 dB below an utterance's loudest frame is clearly part of it.
const CLEAR: f32 = 0.04;

/// How far speech stands out from the noise: 10 dB.
const OVER_NOISE: f32 = 3.2;

/// Cuts a stream of frames into utterances.
#[derive(Debug)]
pub(super) struct Endpointer {
    /// Frames since the stream began.
    frames: u64,
    /// Loudness of what is not speech.
    noise: f32,
    /// What is being said.
    speech: Option<Utterance>,
}

/// One utterance: its place in the stream and its spectra.
#[derive(Debug)]
pub(super) struct Utterance {
    first_frame: u64,
    /// One for each frame; once it is over, from the first that is clearly part of it to the last.
    pub(super) spectra: Vec<Bands>,
    loudness: Vec<f32>,
    /// Up to here, and not further, it was loud.
    voiced_end: usize,
}

impl Endpointer {
    pub(super) fn new() -> Self {
        Self {
            frames: 0,
            noise: 0.0,
            speech: None,
        }
    }

    /// Takes one frame; gives the utterance that ended with it.
    pub(super) fn push(&mut self, frame: &[i16]) -> Option<Utterance> {
        let loudness = loudness(frame);
        let at = self.frames;
        self.frames += 1;
        let loud = loudness > (self.noise * OVER_NOISE).max(LOUDNESS_MIN);
        match &mut self.speech {
            None if loud => self.speech = Some(Utterance::begin(at, loudness, frame)),
            None => self.learn(loudness),
            Some(speech) => {
                speech.push(loud, loudness, frame);
                if speech.spectra.len() >= UTTERANCE_FRAMES_MAX {
                    // It never paused: it is noise, or as good as noise.
                    self.noise = speech.quietest() * 1.2;
                    return self.finish();
                }
                if speech.spectra.len() - speech.voiced_end >= HANGOVER_FRAMES {
                    return self.finish();
                }
            }
        }
        None
    }

    /// Ends the utterance that is being said.
    pub(super) fn finish(&mut self) -> Option<Utterance> {
        self.speech.take()?.trimmed()
    }

    /// The first sample of the utterance that is being said, once it is no click.
    pub(super) fn speaking_since(&self) -> Option<u64> {
        let speech = self.speech.as_ref()?;
        (speech.voiced_end >= VOICED_FRAMES_MIN).then(|| speech.first_sample())
    }

    // Digital silence says nothing of the noise: it is what fills a gap.
    fn learn(&mut self, loudness: f32) {
        if loudness > 0.0 {
            let weight = if loudness < self.noise { 0.5 } else { 0.05 };
            self.noise += weight * (loudness - self.noise);
        }
    }
}

impl Utterance {
    /// Its place in the stream.
    pub(super) fn first_sample(&self) -> u64 {
        self.first_frame * FRAME as u64
    }

    /// Its length.
    pub(super) fn samples(&self) -> u64 {
        (self.spectra.len() * FRAME) as u64
    }

    fn begin(first_frame: u64, loudness: f32, frame: &[i16]) -> Self {
        let mut begun = Self {
            first_frame,
            spectra: Vec::new(),
            loudness: Vec::new(),
            voiced_end: 0,
        };
        begun.push(true, loudness, frame);
        begun
    }

    fn push(&mut self, loud: bool, loudness: f32, frame: &[i16]) {
        self.spectra.push(Spectrum::shared().bands(frame));
        self.loudness.push(loudness);
        if loud {
            self.voiced_end = self.spectra.len();
        }
    }

    // The quietest frame that was not digital silence.
    fn quietest(&self) -> f32 {
        self.loudness
            .iter()
            .copied()
            .filter(|&loudness| loudness > 0.0)
            .fold(f32::MAX, f32::min)
    }

    // Cut to what stands out from its own loudest frame, so that it is the same however loud it is.
    fn trimmed(mut self) -> Option<Self> {
        let loudest = self.loudness.iter().copied().fold(0.0, f32::max);
        let clear = |loudness: &f32| *loudness >= loudest * CLEAR;
        let first = self.loudness.iter().position(clear)?;
        let end = self.loudness[..self.voiced_end].iter().rposition(clear)? + 1;
        let voiced = self.loudness[first..end]
            .iter()
            .filter(|loudness| clear(loudness))
            .count();
        self.spectra.truncate(end);
        self.spectra.drain(..first);
        self.first_frame += first as u64;
        (voiced >= VOICED_FRAMES_MIN).then_some(self)
    }
}

// Root mean square about the mean: a constant offset is not sound.
fn loudness(frame: &[i16]) -> f32 {
    let (sum, squares) = frame
        .iter()
        .fold((0_i64, 0_i64), |(sum, squares), &sample| {
            let sample = i64::from(sample);
            (sum + sample, squares + sample * sample)
        });
    let count = frame.len() as f32;
    let mean = sum as f32 / count;
    (squares as f32 / count - mean * mean).max(0.0).sqrt()
}
