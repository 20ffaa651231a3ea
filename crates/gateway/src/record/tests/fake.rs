//! A store that keeps everything in memory, or fails as it is told to.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use call::name::CallName;
use store::entry::{Batch, EventPlace, Kept};
use store::outbox::{Carried, DeadLetter, DeadLetters, Depth, Outbox, Parcel, Settled, Waiting};
use store::query::{
    ByName, Conversation, EventSearch, Expired, Expiry, Export, ExportedUtterance, Message, Page,
    Scope, Search,
};
use store::{Store, StoreError};

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Corrupt,
    Failing,
    Falling,
    Fine,
    Full,
    /// A write does not return before it is in another mood.
    Hanging,
    Locked,
    /// Refuses a batch with this event.
    Picky(u64),
}

pub(super) struct Fake {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    mood: Mood,
    tried: usize,
    entries: Vec<u64>,
    parcels: Vec<Parcel>,
    known: HashMap<CallName, u64>,
    left_over: u64,
    expires: u64,
    expired: u64,
}

/// What a store has been given.
pub(super) struct Given {
    entries: Vec<u64>,
    parcels: Vec<Parcel>,
}

impl Fake {
    pub(super) fn new(mood: Mood) -> Arc<Self> {
        let state = State {
            mood,
            tried: 0,
            entries: Vec::new(),
            parcels: Vec::new(),
            known: HashMap::new(),
            left_over: 0,
            expires: 0,
            expired: 0,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        })
    }

    pub(super) fn be(&self, mood: Mood) {
        self.state().mood = mood;
        self.changed.notify_all();
    }

    /// So many deliveries wait for a webhook that is gone.
    pub(super) fn leaves_over(&self, parcels: u64) {
        self.state().left_over = parcels;
    }

    /// Has had so many events of a call.
    pub(super) fn knows(&self, call: &CallName, events: u64) {
        self.state().known.insert(call.clone(), events);
    }

    /// Has so many more steps to go.
    pub(super) fn expires(&self, steps: u64) {
        self.state().expires = steps;
    }

    /// Waits until it was written to, or tried to be, so many times.
    pub(super) fn tried(&self, times: usize) {
        self.until("attempts", |state| state.tried >= times);
    }

    /// Waits until it has so many events.
    pub(super) fn has(&self, events: usize) {
        self.until("events", |state| state.entries.len() >= events);
    }

    /// Waits until so many steps of removing were made.
    pub(super) fn expired(&self, steps: u64) {
        self.until("steps", |state| state.expired >= steps);
    }

    pub(super) fn kept(&self) -> Given {
        let state = self.state();
        Given {
            entries: state.entries.clone(),
            parcels: state.parcels.clone(),
        }
    }

    fn until(&self, what: &str, is_so: impl Fn(&State) -> bool) {
        let patience = Duration::from_secs(30);
        let waits = |state: &mut State| !is_so(state);
        let waited = self
            .changed
            .wait_timeout_while(self.state(), patience, waits);
        assert!(!waited.unwrap().1.timed_out(), "waited for {what} in vain");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Given {
    /// The numbers of the events, in their order.
    pub(super) fn numbers(&self) -> Vec<u64> {
        self.entries.clone()
    }

    /// The numbers that what is to be delivered has in its conversation.
    pub(super) fn seqs(&self) -> Vec<u64> {
        let seq = |parcel: &Parcel| {
            let body: serde_json::Value = serde_json::from_slice(parcel.body.reveal()).unwrap();
            body["data"]["seq"].as_u64().unwrap()
        };
        self.parcels.iter().map(seq).collect()
    }
}

impl Store for Fake {
    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut state = self.state();
        state.tried += 1;
        self.changed.notify_all();
        while state.mood == Mood::Hanging {
            state = self.changed.wait(state).unwrap();
        }
        match state.mood {
            Mood::Corrupt => return Err(StoreError::Corrupt("a page is torn".into())),
            Mood::Failing => return Err(StoreError::Other("disk I/O error".into())),
            Mood::Falling => {
                drop(state);
                panic!("a defect, as was asked for");
            }
            Mood::Full => return Err(StoreError::Full),
            Mood::Locked => return Err(StoreError::Locked),
            Mood::Picky(number) => {
                if batch
                    .entries
                    .iter()
                    .any(|entry| entry.place.number == number)
                {
                    return Err(StoreError::Other("constraint failed".into()));
                }
            }
            Mood::Fine | Mood::Hanging => {}
        }
        let numbers = batch.entries.iter().map(|entry| entry.place.number);
        state.entries.extend(numbers);
        state.parcels.extend(batch.parcels.iter().cloned());
        self.changed.notify_all();
        Ok(())
    }

    fn messages(
        &self,
        _: &ByName,
        _: &Scope,
        _: usize,
    ) -> Result<Option<Vec<Message>>, StoreError> {
        Ok(None)
    }

    fn find(&self, _: &Search, _: &Scope) -> Result<Page, StoreError> {
        Ok(Page::default())
    }

    fn conversation(&self, _: &ByName, _: &Scope) -> Result<Option<Conversation>, StoreError> {
        Ok(None)
    }

    fn events(&self, _: &EventSearch, _: &Scope) -> Result<Vec<Kept>, StoreError> {
        Ok(Vec::new())
    }

    fn newest_seq(&self, call: &CallName) -> Result<u64, StoreError> {
        Ok(self.state().known.get(call).copied().unwrap_or(0))
    }

    fn newest_event(&self) -> Result<Option<EventPlace>, StoreError> {
        Ok(None)
    }

    fn export(&self, _: &Export, _: &Scope) -> Result<Vec<ExportedUtterance>, StoreError> {
        Ok(Vec::new())
    }

    fn erase(&self, _: &ByName, _: &Scope) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn retire(&self, endpoints: &[String], most: usize) -> Result<u64, StoreError> {
        assert_eq!(endpoints, ["crm"]);
        let mut state = self.state();
        let retired = state.left_over.min(most as u64);
        state.left_over -= retired;
        Ok(retired)
    }

    fn expire(&self, _: &Expiry, most: usize) -> Result<Expired, StoreError> {
        assert!(most > 0, "a step that removes nothing never ends");
        let mut state = self.state();
        state.expired += 1;
        let more = state.expires > 0;
        state.expires = state.expires.saturating_sub(1);
        self.changed.notify_all();
        Ok(Expired {
            events: 1,
            more,
            ..Expired::default()
        })
    }
}

impl Outbox for Fake {
    fn waiting(&self, _: &str, _: u64, _: usize) -> Result<Vec<Waiting>, StoreError> {
        Ok(Vec::new())
    }

    fn parcel(&self, _: u64) -> Result<Option<Carried>, StoreError> {
        Ok(None)
    }

    fn settle(&self, _: &[Settled]) -> Result<(), StoreError> {
        Ok(())
    }

    fn depth(&self, _: &str) -> Result<Depth, StoreError> {
        Ok(Depth::default())
    }

    fn trim(&self, _: &str, _: u64, _: u64) -> Result<u64, StoreError> {
        Ok(0)
    }

    fn dead_letters(&self, _: &DeadLetters) -> Result<Vec<DeadLetter>, StoreError> {
        Ok(Vec::new())
    }

    fn replay(&self, _: &DeadLetters) -> Result<u64, StoreError> {
        Ok(0)
    }

    fn bury(&self, _: &DeadLetters) -> Result<u64, StoreError> {
        Ok(0)
    }
}
