//! What must be unpredictable, or differ: tags, branches, waits.

use crate::server::{Server, digest};

impl Server {
    /// 16 hexadecimal digits.
    pub(super) fn token(&mut self) -> String {
        let mut bytes = [0; 8];
        (self.random)(&mut bytes);
        digest::hex(&bytes)
    }

    /// RFC 3261 §8.1.1.7.
    pub(super) fn branch(&mut self) -> String {
        format!("z9hG4bK{}", self.token())
    }

    /// A number of 0 to `most`.
    pub(super) fn draw(&mut self, most: u32) -> u32 {
        let mut bytes = [0; 4];
        (self.random)(&mut bytes);
        u32::from_le_bytes(bytes) % most.saturating_add(1).max(1)
    }
}
