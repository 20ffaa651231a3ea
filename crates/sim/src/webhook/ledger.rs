//! What a receiver took: each event once, and whether those of a conversation came in order.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::event::Event;
use super::signature::Signed;
use crate::changes;

/// Events that are remembered; more are only counted.
const TAKEN_MAX: usize = 1_000_000;

/// Complaints that are remembered.
const COMPLAINTS_MAX: usize = 100;

/// An event with how it came.
#[derive(Clone, Debug)]
pub struct Taken {
    /// What it says.
    pub event: Event,
    /// Who signed it.
    pub signed: Signed,
    /// The delivery's headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The delivery's body, byte for byte.
    pub body: Vec<u8>,
    /// When it was taken first.
    pub at: Instant,
}

/// How much of what there was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Deliveries that came, whatever became of them.
    pub deliveries: u64,
    /// Events that were taken, each once.
    pub taken: u64,
    /// Events that were taken once more.
    pub twice: u64,
    /// Deliveries without a good signature, header or parameter.
    pub forged: u64,
    /// Deliveries that could not be read.
    pub unreadable: u64,
    /// Events that came behind a later one of their conversation.
    pub out_of_order: u64,
    /// Deliveries that met a fault.
    pub faults: u64,
    /// Requests at the place that redirects name. Nobody should follow them.
    pub followed: u64,
    /// Bearer tokens that were given.
    pub tokens: u64,
    /// Requests for one that were not answered with one.
    pub tokens_refused: u64,
    /// Deliveries with a bearer token that was no longer good.
    pub revoked: u64,
}

/// All of it.
#[derive(Default)]
pub(super) struct Ledger {
    book: Mutex<Book>,
    changed: Notify,
}

#[derive(Default)]
struct Book {
    taken: Vec<Taken>,
    ids: HashSet<String>,
    /// The last of each conversation: its number and its id.
    last: HashMap<String, (Option<u64>, String)>,
    counts: Counts,
    complaints: Vec<String>,
}

impl Taken {
    /// A header of the delivery.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Ledger {
    /// Looks at what was taken.
    pub(super) fn with<T>(&self, look: impl FnOnce(&[Taken]) -> T) -> T {
        look(&self.lock().taken)
    }

    pub(super) fn counts(&self) -> Counts {
        self.lock().counts
    }

    pub(super) fn complaints(&self) -> Vec<String> {
        self.lock().complaints.clone()
    }

    /// Counts something.
    pub(super) fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.lock().counts);
        self.changed.notify_waiters();
    }

    /// Remembers that something was not as documented.
    pub(super) fn complain(&self, of: String) {
        self.lock().complain(of);
        self.changed.notify_waiters();
    }

    /// Keeps an event, unless it is there already.
    pub(super) fn take(&self, taken: Taken) {
        self.lock().take(taken);
        self.changed.notify_waiters();
    }

    /// Looks after each change until it is so.
    pub(super) async fn wait_until(&self, so: impl FnMut() -> bool) {
        changes::wait_until(&self.changed, so).await;
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn take(&mut self, taken: Taken) {
        let event = &taken.event;
        if event.id.is_empty() {
            self.complain("an event without an id".to_owned());
        } else if !self.ids.insert(event.id.clone()) {
            self.counts.twice += 1;
            return;
        }
        self.counts.taken += 1;
        let place = (event.seq, event.id.clone());
        if let Some(last) = self.last.get(&event.conversation)
            && !is_behind(&place, last)
        {
            let complaint = format!("{} came behind {}", place.1, last.1);
            self.counts.out_of_order += 1;
            self.complain(complaint);
        } else {
            self.last.insert(event.conversation.clone(), place);
        }
        if self.taken.len() < TAKEN_MAX {
            self.taken.push(taken);
        }
    }

    fn complain(&mut self, of: String) {
        if self.complaints.len() < COMPLAINTS_MAX {
            self.complaints.push(of);
        }
    }
}

/// By their numbers where both have one. Ids are ULIDs, which sort by time.
fn is_behind(one: &(Option<u64>, String), other: &(Option<u64>, String)) -> bool {
    match (one.0, other.0) {
        (Some(one), Some(other)) => one > other,
        _ => one.1 > other.1,
    }
}
