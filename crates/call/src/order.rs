//! Puts frames that overtook each other back into order, without delaying those that did not.

use crate::audio::Codec;

/// Frames that came before their predecessors, copied, oldest position first.
#[derive(Debug)]
pub struct Order {
    held: Vec<Held>,
    frames_max: usize,
}

/// One frame held back.
#[derive(Debug)]
pub struct Held {
    /// Samples at 8 kHz since the leg's clock began.
    pub position: u64,
    /// How the payload is encoded.
    pub codec: Codec,
    /// The encoded sound.
    pub payload: Vec<u8>,
}

impl Order {
    /// Holds back at most so many frames; 0 holds none.
    pub fn new(frames_max: usize) -> Self {
        Self {
            held: Vec::new(),
            frames_max,
        }
    }

    /// Whether another frame may be held.
    pub fn has_room(&self) -> bool {
        self.held.len() < self.frames_max
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Where the last frame that is held ends.
    pub fn end(&self) -> Option<u64> {
        let last = self.held.last()?;
        let samples = last.codec.samples(last.payload.len());
        Some(last.position.saturating_add(samples))
    }

    /// Whether a frame that belongs behind one at `position` is held.
    pub fn is_overtaken(&self, position: u64) -> bool {
        self.held
            .last()
            .is_some_and(|held| held.position > position)
    }

    /// Keeps a frame; false if one of the same position is held already.
    pub fn hold(&mut self, frame: Held) -> bool {
        match self
            .held
            .binary_search_by_key(&frame.position, |held| held.position)
        {
            Ok(_) => false,
            Err(at) => {
                self.held.insert(at, frame);
                true
            }
        }
    }

    /// The earliest frame, if it begins at or before `position`.
    pub fn due(&mut self, position: u64) -> Option<Held> {
        (self.held.first()?.position <= position).then(|| self.held.remove(0))
    }

    /// The earliest frame, whatever is missing before it.
    pub fn first(&mut self) -> Option<Held> {
        (!self.held.is_empty()).then(|| self.held.remove(0))
    }
}
