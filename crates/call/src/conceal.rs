//! Packet loss concealed: a short hole is filled with what the voice was doing before it.
//!
//! The method is that of G.711 Appendix I, in our own words: the pitch is where the last 20 ms fit
//! what was before them best; the hole repeats the last one, two, three periods; after 10 ms it
//! fades, and after 60 ms it is silent; where sound comes back the two are overlapped. Nothing is
//! delayed for it, so at the hole's beginning it is not overlapped with what has gone out already:
//! the step between the two fades over 3.75 ms instead.
//!
//! What it remembers is sound: it is kept behind an open gate only, and wiped when the gate shuts.

use std::fmt;

/// 48.75 ms: three of the longest periods and a quarter.
const HISTORY: usize = 3 * PITCH_MAX + PITCH_MAX / 4;

/// Periods of 5 to 15 ms: voices of 200 to 66 Hz, or multiples of theirs.
const PITCH_MIN: usize = 40;
const PITCH_MAX: usize = 120;

/// The last 20 ms are looked for.
const TEMPLATE: usize = 160;

/// 10 ms: full level, then a fifth less in each.
const STEP: usize = 80;

/// 60 ms: then it is silent.
pub(crate) const CONCEALED_MAX: usize = 6 * STEP;

/// 3.75 ms: the step at the beginning fades.
const ONSET: usize = 30;

/// One leg's memory of its sound. Under 1 KiB.
pub(crate) struct Concealer {
    /// The last samples that went out, the newest last.
    history: [i16; HISTORY],
    /// How many of them are there.
    held: usize,
    /// What would have come next, to be overlapped with what does.
    tail: [i16; STEP],
    tail_len: usize,
}

impl Concealer {
    pub(crate) fn new() -> Self {
        Self {
            history: [0; HISTORY],
            held: 0,
            tail: [0; STEP],
            tail_len: 0,
        }
    }

    /// Sound goes out: it is remembered, and its beginning overlapped with the end of a hole.
    pub(crate) fn hear(&mut self, sound: &mut [i16]) {
        let overlap = self.tail_len.min(sound.len());
        for (at, sample) in sound[..overlap].iter_mut().enumerate() {
            let weight = (at + 1) as f32 / (overlap + 1) as f32;
            *sample = mix(self.tail[at], *sample, weight);
        }
        self.tail_len = 0;
        self.remember(sound);
    }

    /// Puts up to `samples` in the place of lost ones at the end of `out`; how many. The rest is
    /// silence, and what was before it is forgotten.
    pub(crate) fn conceal(&mut self, samples: u64, max: u64, out: &mut Vec<i16>) -> u64 {
        let length = samples.min(max).min(CONCEALED_MAX as u64) as usize;
        if self.held < HISTORY || length == 0 {
            self.forget();
            return 0;
        }
        let voice = Voice::of(&self.history);
        let is_whole = length as u64 == samples;
        // The longer the hole, the longer the way back: 4 ms for each 10.
        self.tail_len = match is_whole {
            true => (voice.quarter() + 32 * (length / STEP)).min(STEP),
            false => 0,
        };
        let mut invented = [0; CONCEALED_MAX + STEP];
        let invented = &mut invented[..length + self.tail_len];
        for (at, sample) in invented.iter_mut().enumerate() {
            *sample = voice.sample(at);
        }
        let (hole, tail) = invented.split_at(length);
        self.tail[..tail.len()].copy_from_slice(tail);
        out.extend_from_slice(hole);
        if is_whole {
            self.remember(hole);
        } else {
            self.forget();
        }
        // The stack is nobody's to read, but it is not ours for long.
        invented.fill(0);
        std::hint::black_box(invented);
        length as u64
    }

    /// What comes next does not go on from what was before.
    pub(crate) fn forget(&mut self) {
        self.held = 0;
        self.tail_len = 0;
    }

    /// The gate is not open any more: nothing of what was said is kept.
    pub(crate) fn wipe(&mut self) {
        *self = Self::new();
        // So that no compiler finds that nobody reads these zeros.
        std::hint::black_box(&mut self.history);
        std::hint::black_box(&mut self.tail);
    }

    fn remember(&mut self, sound: &[i16]) {
        let newest = &sound[sound.len().saturating_sub(HISTORY)..];
        let kept = HISTORY - newest.len();
        self.history.copy_within(newest.len().., 0);
        self.history[kept..].copy_from_slice(newest);
        self.held = (self.held + newest.len()).min(HISTORY);
    }
}

impl fmt::Debug for Concealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Concealer({} samples)", self.held)
    }
}

/// The voice before a hole, going on.
struct Voice<'a> {
    history: &'a [i16; HISTORY],
    pitch: usize,
    /// By how much the last sample differs from the one that the repetition would have put there.
    step: f32,
}

impl<'a> Voice<'a> {
    fn of(history: &'a [i16; HISTORY]) -> Self {
        let pitch = pitch(history);
        let last = f32::from(history[HISTORY - 1]);
        Self {
            history,
            pitch,
            step: last - f32::from(history[HISTORY - 1 - pitch]),
        }
    }

    fn quarter(&self) -> usize {
        self.pitch / 4
    }

    /// The sample so far into the hole.
    fn sample(&self, at: usize) -> i16 {
        let periods = (at / STEP + 1).min(3);
        let into = at % STEP;
        let mut value = self.repeated(at, periods);
        // One period more is repeated from here on: the two ways are overlapped.
        if (1..3).contains(&(at / STEP)) && into < self.quarter() {
            let weight = (into + 1) as f32 / (self.quarter() + 1) as f32;
            value = value * weight + self.repeated(at, periods - 1) * (1.0 - weight);
        }
        let onset = 1.0 - (at + 1) as f32 / (ONSET + 1) as f32;
        let value = value + self.step * onset.max(0.0);
        rounded(value * level(at))
    }

    /// The last so many periods in a ring, whose end is led over to its beginning.
    fn repeated(&self, at: usize, periods: usize) -> f32 {
        let ring = self.pitch * periods;
        let at = at % ring;
        let read = |back: usize| f32::from(self.history[HISTORY - back]);
        let left = ring - at;
        let here = read(left);
        if left > self.quarter() {
            return here;
        }
        let weight = (self.quarter() - left + 1) as f32 / (self.quarter() + 1) as f32;
        here * (1.0 - weight) + read(left + ring) * weight
    }
}

/// How loud, so far into a hole.
fn level(at: usize) -> f32 {
    let fading = at.saturating_sub(STEP) as f32;
    (1.0 - fading * 0.2 / STEP as f32).max(0.0)
}

/// The shift at which the newest 20 ms fit best what was before them.
fn pitch(history: &[i16; HISTORY]) -> usize {
    let template = &history[HISTORY - TEMPLATE..];
    let fit = |lag: usize| {
        let before = &history[HISTORY - TEMPLATE - lag..HISTORY - lag];
        let product = |a: &[i16], b: &[i16]| -> f32 {
            let pairs = a.iter().zip(b);
            pairs.map(|(&a, &b)| f32::from(a) * f32::from(b)).sum()
        };
        let energy = product(before, before).max(1.0);
        product(template, before) / energy.sqrt()
    };
    let mut best = (PITCH_MAX, f32::MIN);
    for lag in PITCH_MIN..=PITCH_MAX {
        let fit = fit(lag);
        if fit > best.1 {
            best = (lag, fit);
        }
    }
    best.0
}

fn mix(from: i16, to: i16, weight: f32) -> i16 {
    rounded(f32::from(from) * (1.0 - weight) + f32::from(to) * weight)
}

/// A cast from a float stays within the bounds by itself.
fn rounded(value: f32) -> i16 {
    value.round() as i16
}

#[cfg(test)]
mod tests;
