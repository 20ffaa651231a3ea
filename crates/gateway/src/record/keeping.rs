//! What others have of the store: it, once it is open, and how it is.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use store::memory::MemoryOutbox;
use store::outbox::Outbox;
use store::query::{ByName, Scope};
use store::{Store, StoreError};
use tokio::sync::watch;

use super::erasure::{Erasure, Erasures};
use super::lease::{Lease, Term};
use crate::events::tap::Tap;

/// The store as everybody else sees it: it may be opened late, fail, and be begun anew.
pub struct Keeping {
    current: Mutex<Current>,
    /// How often another store, or none, came into force.
    changes: watch::Sender<u64>,
    state: RwLock<StoreState>,
    memory: Arc<MemoryOutbox>,
    erasures: Erasures,
}

/// The store that is in force, and for how long what it says of deliveries holds.
#[derive(Default)]
struct Current {
    store: Option<Arc<dyn Store>>,
    term: Term,
}

/// How the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreState {
    /// It has failed, and is tried again.
    Failing(Trouble),
    /// None is wanted.
    Off,
    /// It is open and takes what it is given.
    Open,
    /// It has not been opened yet.
    Opening,
}

/// What is wrong with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The file cannot be read.
    Corrupt,
    /// There is no room.
    Full,
    /// The file was written with another key.
    Key,
    /// Another program holds the lock.
    Locked,
    /// Anything else; the log says what.
    Other,
    /// The file was written by a newer version.
    TooNew,
}

impl Keeping {
    /// With no store yet; `is_wanted` says whether there is to be one. Until then `memory` has what
    /// is to be delivered.
    pub fn new(is_wanted: bool, memory: MemoryOutbox) -> Arc<Self> {
        let state = if is_wanted {
            StoreState::Opening
        } else {
            StoreState::Off
        };
        Arc::new(Self {
            current: Mutex::default(),
            changes: watch::Sender::new(0),
            state: RwLock::new(state),
            memory: Arc::new(memory),
            erasures: Erasures::default(),
        })
    }

    /// The store, while it is open. Its calls block.
    pub fn store(&self) -> Option<Arc<dyn Store>> {
        self.current().store.clone()
    }

    /// Erases a conversation, once all that has happened until now is kept: nothing of it follows.
    /// Whether there was one. Blocks.
    pub fn erase(&self, by: &ByName, scope: &Scope) -> Result<bool, StoreError> {
        let other = |what: &str| StoreError::Other(what.to_owned());
        let store = self.store().ok_or_else(|| other("there is no store"))?;
        match self.erasures.ask(by, scope) {
            None => store.erase(by, scope),
            Some(answer) => {
                let answered = answer.recv();
                answered.unwrap_or_else(|_| Err(other("what happens is not kept any more")))
            }
        }
    }

    pub(super) fn to_erase(&self) -> Vec<Erasure> {
        self.erasures.take()
    }

    /// Who reads this tap writes, and erases, from now on.
    pub(super) fn written_by(&self, tap: Arc<Tap>) {
        self.erasures.begin(tap);
    }

    /// And nobody does from now on.
    pub(super) fn written_by_nobody(&self) {
        self.erasures.end();
    }

    /// How the store is.
    pub fn state(&self) -> StoreState {
        *self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where deliveries wait: in the store, or in memory while it is not open. Its calls block.
    pub fn outbox(&self) -> Arc<dyn Outbox> {
        self.outbox_of(&self.current())
    }

    /// The same until another store is in force: then what is asked of it has no answer and what
    /// it is told has no effect, for numbers of one outbox mean nothing to the next.
    pub(super) fn lease(&self) -> Lease {
        let current = self.current();
        Lease::new(self.outbox_of(&current), current.term.clone())
    }

    fn outbox_of(&self, current: &Current) -> Arc<dyn Outbox> {
        match &current.store {
            Some(store) => Arc::<dyn Store>::clone(store),
            None => Arc::<MemoryOutbox>::clone(&self.memory),
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn memory(&self) -> &MemoryOutbox {
        &self.memory
    }

    /// Tells when another store, or none, is in force.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// From now on this store is in force, or none. Waits for what is being asked of the one
    /// before.
    pub(crate) fn opened(&self, store: Option<Arc<dyn Store>>) {
        let term = Term::default();
        let before = std::mem::replace(&mut *self.current(), Current { store, term });
        before.term.end();
        self.changes.send_modify(|changes| *changes += 1);
    }

    pub(super) fn is(&self, state: StoreState) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

impl StoreState {
    /// In a word, for whoever looks after the gateway.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failing(trouble) => trouble.as_str(),
            Self::Off => "off",
            Self::Open => "open",
            Self::Opening => "opening",
        }
    }
}

impl Trouble {
    /// All of them, in alphabetical order.
    pub const ALL: [Self; 6] = [
        Self::Corrupt,
        Self::Full,
        Self::Key,
        Self::Locked,
        Self::Other,
        Self::TooNew,
    ];

    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Corrupt => "corrupt",
            Self::Full => "full",
            Self::Key => "key",
            Self::Locked => "locked",
            Self::Other => "failing",
            Self::TooNew => "too_new",
        }
    }
}

impl From<&StoreError> for Trouble {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Corrupt(_) => Self::Corrupt,
            StoreError::Full => Self::Full,
            StoreError::Locked => Self::Locked,
            StoreError::Other(_) => Self::Other,
            StoreError::TooNew { .. } => Self::TooNew,
            StoreError::WrongKey => Self::Key,
        }
    }
}

impl fmt::Debug for Keeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keeping").field(&self.state()).finish()
    }
}
