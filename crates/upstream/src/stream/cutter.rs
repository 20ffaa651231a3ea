//! Cuts sound anew for a service that wants it longer or shorter than the one it was cut for.

use call::audio::{self, Chunk};

use crate::service::Limits;

/// Sound between the leg's chunks and a service's messages. What is too short for a message waits
/// for what follows it; only where nothing follows without a seam it is padded.
#[derive(Debug, Default)]
pub(crate) struct Cutter {
    rest: Option<Chunk>,
}

/// What goes into one message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) chunk: Chunk,
    /// Samples of silence to be put behind it, for it is too short alone.
    pub(crate) padding: u64,
}

impl Cutter {
    /// Takes what comes next, or gives it back if it does not follow without a seam.
    pub(crate) fn take(&mut self, chunk: Chunk) -> Result<(), Chunk> {
        match &mut self.rest {
            None => self.rest = Some(chunk),
            Some(rest) if rest.position + rest.len() == chunk.position => {
                rest.samples.extend_from_slice(&chunk.samples);
                rest.arrived = chunk.arrived;
            }
            Some(_) => return Err(chunk),
        }
        Ok(())
    }

    /// A message's worth of sound, if there is one.
    pub(crate) fn cut(&mut self, limits: &Limits) -> Option<Piece> {
        let rest = self.rest.as_mut()?;
        let [chunk, min, max] =
            [limits.chunk, limits.chunk_min, limits.chunk_max].map(audio::samples);
        if rest.len() < min {
            return None;
        }
        let chunk = if rest.len() > max.max(1) {
            split(rest, chunk.clamp(min.max(1), max.max(min).max(1)))
        } else {
            self.rest.take()?
        };
        Some(Piece { chunk, padding: 0 })
    }

    /// What is left, for nothing follows it.
    pub(crate) fn flush(&mut self, limits: &Limits) -> Option<Piece> {
        if let Some(piece) = self.cut(limits) {
            return Some(piece);
        }
        let chunk = self.rest.take()?;
        let padding = audio::samples(limits.chunk_min).saturating_sub(chunk.len());
        Some(Piece { chunk, padding })
    }

    /// Takes out what waits.
    pub(crate) fn empty(&mut self) -> Option<Chunk> {
        self.rest.take()
    }

    /// What waits.
    pub(crate) fn rest(&self) -> Option<&Chunk> {
        self.rest.as_ref()
    }
}

/// Cuts so many samples from a chunk's front. It has more.
pub(crate) fn split(chunk: &mut Chunk, samples: u64) -> Chunk {
    let behind = chunk.samples.split_off(samples as usize);
    let front = std::mem::replace(&mut chunk.samples, behind);
    let position = chunk.position;
    chunk.position += samples;
    Chunk {
        position,
        samples: front,
        arrived: chunk.arrived,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    fn limits(chunk: u64, min: u64, max: u64) -> Limits {
        let [chunk, chunk_min, chunk_max] = [chunk, min, max].map(Duration::from_millis);
        Limits {
            chunk,
            chunk_min,
            chunk_max,
            pace_percent: 120,
            burst: Duration::ZERO,
            idle: Duration::ZERO,
            session_max: Duration::ZERO,
            accepts_at_open: false,
            counts_bytes: true,
        }
    }

    fn chunk(position: u64, samples: u64) -> Chunk {
        Chunk {
            position,
            samples: (position..position + samples).map(|at| at as i16).collect(),
            arrived: Instant::now(),
        }
    }

    fn place(piece: Option<Piece>) -> Option<(u64, u64, u64)> {
        piece.map(|Piece { chunk, padding }| (chunk.position, chunk.len(), padding))
    }

    #[test]
    fn what_fits_goes_through_as_it_is() {
        let mut cutter = Cutter::default();
        for position in [0, 800, 9000] {
            cutter.take(chunk(position, 800)).unwrap();
            let cut = place(cutter.cut(&limits(100, 50, 1000)));
            assert_eq!(cut, Some((position, 800, 0)));
        }
        cutter.take(chunk(20_000, 3)).unwrap();
        let cut = place(cutter.cut(&limits(100, 0, 1000)));
        assert_eq!(cut, Some((20_000, 3, 0)));
    }

    #[test]
    fn what_is_too_short_waits_for_what_follows() {
        let (mut cutter, limits) = (Cutter::default(), limits(50, 50, 1000));
        for position in [0, 160] {
            cutter.take(chunk(position, 160)).unwrap();
            assert_eq!(cutter.cut(&limits), None);
        }
        cutter.take(chunk(320, 160)).unwrap();
        assert_eq!(place(cutter.cut(&limits)), Some((0, 480, 0)));
    }

    #[test]
    fn what_is_too_long_is_cut() {
        let (mut cutter, limits) = (Cutter::default(), limits(100, 50, 200));
        cutter.take(chunk(0, 4000)).unwrap();
        let mut pieces = Vec::new();
        while let Some(piece) = place(cutter.cut(&limits)) {
            pieces.push(piece);
        }
        let expected = [(0, 800, 0), (800, 800, 0), (1600, 800, 0), (2400, 1600, 0)];
        assert_eq!(pieces, expected);
    }

    #[test]
    fn what_nothing_follows_is_padded() {
        let (mut cutter, limits) = (Cutter::default(), limits(50, 50, 1000));
        cutter.take(chunk(0, 160)).unwrap();
        let behind_a_seam = cutter.take(chunk(8000, 160)).unwrap_err();
        assert_eq!(place(cutter.flush(&limits)), Some((0, 160, 240)));
        cutter.take(behind_a_seam).unwrap();
        assert_eq!(place(cutter.flush(&limits)), Some((8000, 160, 240)));
        assert_eq!(cutter.flush(&limits), None);
    }

    proptest! {
        /// Every sample comes out once, in order, in pieces that the service takes.
        #[test]
        fn nothing_is_lost_and_every_piece_is_taken(
            steps in prop::collection::vec((0u64..4, 1u64..3000), 1..40),
            (min, chunk_ms, more) in (0u64..80, 0u64..200, 0u64..300),
        ) {
            let limits = limits(min + chunk_ms, min, (min + chunk_ms + more).max(2 * min).max(1));
            let (min, max) = (min * 8, audio::samples(limits.chunk_max));
            let (mut cutter, mut at) = (Cutter::default(), 0);
            let (mut put, mut got) = (Vec::new(), Vec::new());
            let mut emit = |piece: Piece| {
                let length = piece.chunk.len() + piece.padding;
                assert!((min..=max).contains(&length), "{min} {length} {max}");
                got.extend(piece.chunk.position..piece.chunk.position + piece.chunk.len());
                let first = piece.chunk.position as i16;
                assert_eq!(piece.chunk.samples.first(), Some(&first));
            };
            for (jump, samples) in steps {
                at += if jump == 0 { 100 } else { 0 };
                put.extend(at..at + samples);
                let mut next = chunk(at, samples);
                while let Err(back) = cutter.take(next) {
                    next = back;
                    cutter.flush(&limits).into_iter().for_each(&mut emit);
                }
                while let Some(piece) = cutter.cut(&limits) {
                    emit(piece);
                }
                at += samples;
            }
            while let Some(piece) = cutter.flush(&limits) {
                emit(piece);
            }
            prop_assert_eq!(put, got);
        }
    }
}
