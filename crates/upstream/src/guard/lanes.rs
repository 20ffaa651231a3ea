//! Who waits for leave to open a socket, in the order in which they came.

use std::collections::BTreeMap;
use std::task::Waker;

use tokio::time::Instant;

use super::Purpose;

/// One line for each purpose.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    first: Lane,
    retry: Lane,
    rollover: Lane,
    issued: u64,
}

/// By number. Who was not asked to wait yet has no waker.
type Lane = BTreeMap<u64, Option<Waker>>;

/// A place in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    number: u64,
    pub(super) purpose: Purpose,
    /// When its holder's patience ends.
    pub(super) deadline: Instant,
}

impl Lanes {
    pub(super) fn len(&self) -> usize {
        self.first.len() + self.ahead(Purpose::Rollover)
    }

    /// How many go before one who comes now.
    pub(super) fn ahead(&self, purpose: Purpose) -> usize {
        match purpose {
            Purpose::First => self.len(),
            Purpose::Retry | Purpose::Rollover => self.retry.len() + self.rollover.len(),
        }
    }

    pub(super) fn retries(&self) -> usize {
        self.retry.len()
    }

    pub(super) fn enter(&mut self, purpose: Purpose, deadline: Instant) -> Ticket {
        self.issued += 1;
        let number = self.issued;
        self.lane(purpose).insert(number, None);
        Ticket {
            number,
            purpose,
            deadline,
        }
    }

    pub(super) fn holds(&self, ticket: Ticket) -> bool {
        self.seen(ticket.purpose).contains_key(&ticket.number)
    }

    /// Whether nobody of the same purpose goes before.
    pub(super) fn is_head(&self, ticket: Ticket) -> bool {
        let head = self.seen(ticket.purpose).first_key_value();
        head.is_some_and(|(number, _)| *number == ticket.number)
    }

    /// Whether it is this one's turn. A lost socket goes before a first one; a retry that may not
    /// be made yet holds nobody up.
    pub(super) fn is_next(&self, ticket: Ticket, may_retry: bool) -> bool {
        let number = |lane: &Lane| lane.first_key_value().map(|(number, _)| *number);
        let retry = number(&self.retry).filter(|_| may_retry);
        let urgent = number(&self.rollover).into_iter().chain(retry).min();
        urgent.or_else(|| number(&self.first)) == Some(ticket.number)
    }

    /// Its holder waits, and is to be woken by this.
    pub(super) fn park(&mut self, ticket: Ticket, waker: &Waker) {
        if let Some(parked) = self.lane(ticket.purpose).get_mut(&ticket.number) {
            match parked {
                Some(parked) => parked.clone_from(waker),
                None => *parked = Some(waker.clone()),
            }
        }
    }

    /// Its holder is gone. Whether he was still in line.
    pub(super) fn leave(&mut self, ticket: Ticket) -> bool {
        self.lane(ticket.purpose).remove(&ticket.number).is_some()
    }

    /// Sends away the last of those who never had a socket; `None` if there is none.
    pub(super) fn evict(&mut self) -> Option<Option<Waker>> {
        self.first.pop_last().map(|(_, waker)| waker)
    }

    /// Those whose turn may have come.
    pub(super) fn wake_heads(&mut self) -> impl Iterator<Item = Waker> {
        let lanes = [&mut self.rollover, &mut self.retry, &mut self.first];
        lanes
            .into_iter()
            .filter_map(|lane| lane.first_entry()?.get_mut().take())
    }

    pub(super) fn wake_all(&mut self) -> impl Iterator<Item = Waker> {
        let lanes = [&mut self.rollover, &mut self.retry, &mut self.first];
        lanes
            .into_iter()
            .flat_map(BTreeMap::values_mut)
            .filter_map(Option::take)
    }

    fn seen(&self, purpose: Purpose) -> &Lane {
        match purpose {
            Purpose::First => &self.first,
            Purpose::Retry => &self.retry,
            Purpose::Rollover => &self.rollover,
        }
    }

    fn lane(&mut self, purpose: Purpose) -> &mut Lane {
        match purpose {
            Purpose::First => &mut self.first,
            Purpose::Retry => &mut self.retry,
            Purpose::Rollover => &mut self.rollover,
        }
    }
}
