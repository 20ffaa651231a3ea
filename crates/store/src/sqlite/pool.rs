//! The connections that read: so many, and who finds none free waits a while.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::StoreError;
use crate::seal::Vault;

/// The connections that read.
pub(super) struct Pool {
    state: Mutex<State>,
    returned: Condvar,
    patience: Duration,
}

/// A connection, and what opens the seals it finds.
pub(super) struct Reader(pub(super) Connection, pub(super) Arc<Vault>);

#[derive(Default)]
struct State {
    idle: Vec<Reader>,
    out: usize,
    /// Nobody gets one: the file is being closed, or its log emptied.
    is_shut: bool,
}

/// A connection that goes back when this is dropped.
pub(super) struct Lent<'a> {
    pool: &'a Pool,
    reader: Option<Reader>,
}

/// Nobody reads while this lives.
pub(super) struct Silence<'a>(&'a Pool);

impl Pool {
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            state: Mutex::default(),
            returned: Condvar::new(),
            patience,
        }
    }

    /// Takes a connection, or waits for one; `Locked` if none comes back in time.
    pub(super) fn lend(&self) -> Result<Lent<'_>, StoreError> {
        let mut state = self.wait(self.patience, |state| {
            !state.is_shut && !state.idle.is_empty()
        })?;
        state.out += 1;
        Ok(Lent {
            pool: self,
            reader: state.idle.pop(),
        })
    }

    /// Waits until nobody reads, and has nobody begin; `Locked` if it takes too long.
    pub(super) fn silence(&self) -> Result<Silence<'_>, StoreError> {
        self.silence_within(self.patience)
    }

    /// The same, with another patience.
    pub(super) fn silence_within(&self, patience: Duration) -> Result<Silence<'_>, StoreError> {
        let mut state = self.wait(patience, |state| !state.is_shut)?;
        state.is_shut = true;
        drop(state);
        let silence = Silence(self);
        drop(self.wait(patience, |state| state.out == 0)?);
        Ok(silence)
    }

    fn wait(
        &self,
        patience: Duration,
        is_met: impl Fn(&State) -> bool,
    ) -> Result<MutexGuard<'_, State>, StoreError> {
        let until = Instant::now() + patience;
        let mut state = self.state();
        while !is_met(&state) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(StoreError::Locked);
            }
            let woken = self.returned.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(state)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent<'_> {
    pub(super) fn connection(&self) -> &Connection {
        &self.reader().0
    }

    pub(super) fn vault(&self) -> &Vault {
        &self.reader().1
    }

    fn reader(&self) -> &Reader {
        self.reader
            .as_ref()
            .expect("it is taken when this is dropped")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        state.out -= 1;
        state.idle.extend(self.reader.take());
        self.pool.returned.notify_all();
    }
}

impl Silence<'_> {
    /// Puts other connections in the place of those there are, which are closed.
    pub(super) fn replace(&self, readers: Vec<Reader>) {
        self.0.state().idle = readers;
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        self.0.state().is_shut = false;
        self.0.returned.notify_all();
    }
}
