//! Erasing in step with who writes: all that happened before is kept when a conversation goes, so
//! that nothing of it can follow.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use store::query::{ByName, Scope};
use store::{Store, StoreError};

use crate::events::tap::Tap;

/// A conversation that is to go, and who waits for that.
pub(super) struct Erasure {
    by: ByName,
    scope: Scope,
    answer: SyncSender<Result<bool, StoreError>>,
}

/// What is to be erased. Whoever asks waits, so there are no more than may ask at once.
#[derive(Default)]
pub(super) struct Erasures(Mutex<Asked>);

#[derive(Default)]
struct Asked {
    /// Wakes who writes, as long as somebody does.
    recorder: Option<Arc<Tap>>,
    waiting: Vec<Erasure>,
}

impl Erasure {
    /// Erases it, unless what happened before could not be kept.
    pub(super) fn carry_out(self, kept: &Result<(), StoreError>, store: Option<&dyn Store>) {
        let done = match (kept, store) {
            (Ok(()), Some(store)) => store.erase(&self.by, &self.scope),
            (Err(error), _) => Err(StoreError::Other(format!(
                "what happened before cannot be kept: {error}"
            ))),
            (Ok(()), None) => Err(StoreError::Other("there is no store".into())),
        };
        // Who asked may have gone with its process.
        drop(self.answer.send(done));
    }
}

impl Erasures {
    /// From now on somebody writes.
    pub(super) fn begin(&self, recorder: Arc<Tap>) {
        self.asked().recorder = Some(recorder);
    }

    /// Nobody writes any more. Who still waits is told so.
    pub(super) fn end(&self) {
        *self.asked() = Asked::default();
    }

    /// Has a conversation erased by who writes; `None` if nobody does.
    pub(super) fn ask(
        &self,
        by: &ByName,
        scope: &Scope,
    ) -> Option<Receiver<Result<bool, StoreError>>> {
        let mut asked = self.asked();
        let recorder = asked.recorder.clone()?;
        let (answer, answered) = sync_channel(1);
        asked.waiting.push(Erasure {
            by: by.clone(),
            scope: scope.clone(),
            answer,
        });
        drop(asked);
        recorder.nudge();
        Some(answered)
    }

    pub(super) fn take(&self) -> Vec<Erasure> {
        std::mem::take(&mut self.asked().waiting)
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
