//! What 20 ms of sound look like: the energy in a few bands of the telephone's range, in
//! logarithms.

use std::f32::consts::PI;
use std::sync::LazyLock;

/// Samples in a frame: 20 ms.
pub(super) const FRAME: usize = 160;

/// Bands of a spectrum.
pub(super) const BANDS: usize = 18;

/// Energies of a frame, as natural logarithms.
pub(super) type Bands = [f32; BANDS];

/// What silence looks like: nothing in any band. The value is that of a hiss of a few quantisation
/// steps, under which all sound looks alike.
pub(super) const SILENCE: f32 = 13.0;

/// Points of the Fourier transform; the frame is filled up with zeros.
const POINTS: usize = 256;

/// The tables for looking at frames.
pub(super) struct Spectrum {
    window: [f32; FRAME],
    /// e^(-2πik/POINTS) for the first half.
    roots: [(f32, f32); POINTS / 2],
    /// The Fourier points at which bands begin; the last entry ends the last band.
    edges: [usize; BANDS + 1],
}

impl Spectrum {
    /// The tables are the same for everybody.
    pub(super) fn shared() -> &'static Self {
        static SHARED: LazyLock<Spectrum> = LazyLock::new(Spectrum::new);
        &SHARED
    }

    /// Looks at one frame; what it lacks to [`FRAME`] samples is silence.
    pub(super) fn bands(&self, frame: &[i16]) -> Bands {
        let mut points = [(0.0_f32, 0.0_f32); POINTS];
        for (index, (&sample, &weight)) in frame.iter().zip(&self.window).enumerate() {
            points[mirrored(index)].0 = f32::from(sample) * weight;
        }
        self.transform(&mut points);
        let floor = SILENCE.exp();
        std::array::from_fn(|band| {
            let bins = &points[self.edges[band]..self.edges[band + 1]];
            let energy: f32 = bins.iter().map(|(re, im)| re * re + im * im).sum();
            (energy / bins.len() as f32 + floor).ln()
        })
    }

    fn new() -> Self {
        let turn = |index: usize, of: usize| 2.0 * PI * index as f32 / of as f32;
        Self {
            window: std::array::from_fn(|index| 0.5 - 0.5 * turn(index, FRAME).cos()),
            roots: std::array::from_fn(|index| {
                (turn(index, POINTS).cos(), -turn(index, POINTS).sin())
            }),
            edges: std::array::from_fn(edge),
        }
    }

    // In place, radix 2, over points in mirrored order.
    fn transform(&self, points: &mut [(f32, f32); POINTS]) {
        let mut half = 1;
        while half < POINTS {
            let stride = POINTS / (2 * half);
            for block in points.chunks_exact_mut(2 * half) {
                let (low, high) = block.split_at_mut(half);
                for (index, (a, b)) in low.iter_mut().zip(high).enumerate() {
                    let (re, im) = self.roots[index * stride];
                    let turned = (b.0 * re - b.1 * im, b.0 * im + b.1 * re);
                    *b = (a.0 - turned.0, a.1 - turned.1);
                    *a = (a.0 + turned.0, a.1 + turned.1);
                }
            }
            half *= 2;
        }
    }
}

// Bands as wide as the ear's, from 150 to 3,700 Hz.
fn edge(index: usize) -> usize {
    let mel = |hertz: f32| (1.0 + hertz / 700.0).ln();
    let (low, high) = (mel(150.0), mel(3700.0));
    let hertz = 700.0 * ((low + (high - low) * index as f32 / BANDS as f32).exp() - 1.0);
    (hertz / 8000.0 * POINTS as f32).round() as usize
}

fn mirrored(index: usize) -> usize {
    index.reverse_bits() >> (usize::BITS - POINTS.trailing_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_in_its_band_and_silence_in_none() {
        let spectrum = Spectrum::shared();
        assert!(
            spectrum.edges.windows(2).all(|pair| pair[0] < pair[1]),
            "{:?}",
            spectrum.edges
        );
        assert_eq!(spectrum.bands(&[0; FRAME]), [SILENCE; BANDS]);
        for (band, hertz) in [(0, 200.0), (8, 1200.0), (17, 3500.0)] {
            let tone: Vec<i16> = (0..FRAME)
                .map(|index| (8000.0 * (2.0 * PI * hertz * index as f32 / 8000.0).sin()) as i16)
                .collect();
            let bands = spectrum.bands(&tone);
            let loudest = (0..BANDS)
                .max_by(|&a, &b| bands[a].total_cmp(&bands[b]))
                .unwrap();
            assert!(loudest.abs_diff(band) <= 1, "{hertz} Hz: {bands:?}");
        }
    }
}
