//! Deadlines in their order: what is due is found without looking at every session.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// At most one deadline a key.
#[derive(Debug)]
pub(crate) struct Deadlines<K> {
    order: BTreeSet<(Instant, K)>,
    at: BTreeMap<K, Instant>,
}

impl<K: Copy + Ord> Deadlines<K> {
    /// None.
    pub(crate) fn new() -> Self {
        Self {
            order: BTreeSet::new(),
            at: BTreeMap::new(),
        }
    }

    /// Sets the deadline of `key` anew.
    pub(crate) fn set(&mut self, key: K, at: Instant) {
        self.clear(key);
        self.at.insert(key, at);
        self.order.insert((at, key));
    }

    /// Forgets the deadline of `key`.
    pub(crate) fn clear(&mut self, key: K) {
        if let Some(at) = self.at.remove(&key) {
            self.order.remove(&(at, key));
        }
    }

    /// Whether `key` has a deadline.
    pub(crate) fn has(&self, key: K) -> bool {
        self.at.contains_key(&key)
    }

    /// The earliest.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes out one that is due.
    pub(crate) fn due(&mut self, now: Instant) -> Option<K> {
        let (at, key) = *self.order.first()?;
        if at > now {
            return None;
        }
        self.clear(key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test begins at some time")]
    fn deadlines_come_in_their_order_and_a_new_one_replaces_the_old() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut deadlines = Deadlines::new();
        deadlines.set('a', after(3));
        deadlines.set('b', after(2));
        deadlines.set('a', after(1));
        assert_eq!(deadlines.next(), Some(after(1)));
        assert_eq!(deadlines.due(after(0)), None);
        assert_eq!(deadlines.due(after(5)), Some('a'));
        assert!(!deadlines.has('a') && deadlines.has('b'));
        deadlines.clear('b');
        assert_eq!(deadlines.due(after(5)), None);
    }
}
