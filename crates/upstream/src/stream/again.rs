//! What a lost socket gave back, and what was taken before anybody could send it.

use std::collections::VecDeque;

use call::audio::Chunk;
use call::budget::{Budget, Keep};

/// Chunks in their order, counted towards what all streams may hold.
#[derive(Debug)]
pub(crate) struct Again {
    chunks: VecDeque<Chunk>,
    samples: u64,
    share: Keep,
}

impl Again {
    pub(crate) fn new(budget: &Budget) -> Self {
        Self {
            chunks: VecDeque::new(),
            samples: 0,
            share: budget.keep(),
        }
    }

    pub(crate) fn push_front(&mut self, chunk: Chunk) {
        self.count(self.samples + chunk.len());
        self.chunks.push_front(chunk);
    }

    pub(crate) fn push_back(&mut self, chunk: Chunk) {
        self.count(self.samples + chunk.len());
        self.chunks.push_back(chunk);
    }

    pub(crate) fn pop_front(&mut self) -> Option<Chunk> {
        let chunk = self.chunks.pop_front()?;
        self.count(self.samples - chunk.len());
        Some(chunk)
    }

    /// The oldest, if there is no room for it.
    pub(crate) fn shed(&mut self) -> Option<Chunk> {
        self.share.is_to_shed().then(|| self.pop_front()).flatten()
    }

    pub(crate) fn front(&self) -> Option<&Chunk> {
        self.chunks.front()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Chunk> {
        self.chunks.iter()
    }

    fn count(&mut self, samples: u64) {
        self.samples = samples;
        self.share.set(samples);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn what_there_is_no_room_for_goes_the_oldest_first() {
        let budget = Budget::new(2 * 1600, Duration::ZERO);
        let mut again = Again::new(&budget);
        for position in [800, 1600, 2400, 3200] {
            again.push_back(Chunk {
                position,
                samples: vec![0; 800],
                arrived: Instant::now(),
            });
        }
        let shed = std::iter::from_fn(|| again.shed());
        let shed: Vec<u64> = shed.map(|chunk| chunk.position).collect();
        assert_eq!((shed, budget.kept_bytes()), (vec![800, 1600], 3200));
        assert_eq!(again.front().map(|chunk| chunk.position), Some(2400));
        drop(again);
        assert_eq!(budget.kept_bytes(), 0);
    }
}
