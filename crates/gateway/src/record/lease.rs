//! An outbox for as long as it is in force.

use std::sync::{Arc, PoisonError, RwLock};

use store::StoreError;
use store::outbox::{Carried, DeadLetter, DeadLetters, Depth, Outbox, Settled, Waiting};

/// An outbox that answers nothing and takes nothing once its term has ended.
pub(super) struct Lease {
    outbox: Arc<dyn Outbox>,
    term: Term,
}

/// How long leases hold. Clones are one term.
#[derive(Clone, Default)]
pub(super) struct Term(Arc<RwLock<bool>>);

impl Lease {
    pub(super) fn new(outbox: Arc<dyn Outbox>, term: Term) -> Self {
        Self { outbox, term }
    }

    fn ask<T: Default>(
        &self,
        question: impl FnOnce(&dyn Outbox) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let has_ended = self.term.0.read().unwrap_or_else(PoisonError::into_inner);
        if *has_ended {
            return Ok(T::default());
        }
        question(&*self.outbox)
    }
}

impl Term {
    /// Ends it, once nothing is being asked any more.
    pub(super) fn end(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = true;
    }
}

impl Outbox for Lease {
    fn waiting(&self, endpoint: &str, after: u64, most: usize) -> Result<Vec<Waiting>, StoreError> {
        self.ask(|outbox| outbox.waiting(endpoint, after, most))
    }

    fn parcel(&self, number: u64) -> Result<Option<Carried>, StoreError> {
        self.ask(|outbox| outbox.parcel(number))
    }

    fn settle(&self, settled: &[Settled]) -> Result<(), StoreError> {
        self.ask(|outbox| outbox.settle(settled))
    }

    fn depth(&self, endpoint: &str) -> Result<Depth, StoreError> {
        self.ask(|outbox| outbox.depth(endpoint))
    }

    fn trim(
        &self,
        endpoint: &str,
        bytes_max: u64,
        made_before_unix_ms: u64,
    ) -> Result<u64, StoreError> {
        self.ask(|outbox| outbox.trim(endpoint, bytes_max, made_before_unix_ms))
    }

    fn dead_letters(&self, which: &DeadLetters) -> Result<Vec<DeadLetter>, StoreError> {
        self.ask(|outbox| outbox.dead_letters(which))
    }

    fn replay(&self, which: &DeadLetters) -> Result<u64, StoreError> {
        self.ask(|outbox| outbox.replay(which))
    }

    fn bury(&self, which: &DeadLetters) -> Result<u64, StoreError> {
        self.ask(|outbox| outbox.bury(which))
    }
}

#[cfg(test)]
mod tests {
    use store::memory::{MemoryLimits, MemoryOutbox};
    use store::outbox::Parcel;

    use super::*;

    #[test]
    fn a_lease_that_has_ended_settles_nothing() {
        let memory = Arc::new(MemoryOutbox::new(MemoryLimits::default()));
        memory.append(&[Parcel {
            endpoint: "crm".into(),
            lane: "twilio/1".into(),
            id: "msg_1".to_owned(),
            kind: "transcript",
            content_type: "application/json",
            body: Vec::new().into(),
            at_unix_ms: 1,
        }]);
        let term = Term::default();
        let lease = Lease::new(Arc::<MemoryOutbox>::clone(&memory), term.clone());
        let waiting = lease.waiting("crm", 0, 10).unwrap();
        let number = waiting[0].number;
        term.end();
        lease.settle(&[Settled::Delivered { number }]).unwrap();
        assert_eq!(lease.waiting("crm", 0, 10).unwrap(), []);
        assert_eq!(lease.parcel(number).unwrap(), None);
        assert_eq!(memory.depth("crm").unwrap().waiting, 1);
    }
}
