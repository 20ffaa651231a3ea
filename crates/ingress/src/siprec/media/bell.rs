//! How a reader is told that something beside packets happened to one of its lines.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use tokio::sync::mpsc;

use super::Reception;
use super::seats::Key;

/// What a reader is told.
#[derive(Debug)]
pub(super) enum Note {
    /// A line begins.
    Begin(Box<Reception>),
    /// A line's bell was rung.
    Rung(Key),
}

/// The waker of one line: an order, its retirement, the opening of its gate. Rung often before it
/// is answered, it is told once, so there is at most one note a line.
#[derive(Debug)]
pub(super) struct Bell {
    key: Key,
    is_rung: AtomicBool,
    notes: mpsc::WeakUnboundedSender<Note>,
}

impl Bell {
    pub(super) fn new(key: Key, notes: mpsc::WeakUnboundedSender<Note>) -> Arc<Self> {
        Arc::new(Self {
            key,
            is_rung: AtomicBool::new(false),
            notes,
        })
    }

    /// What rings from now on is told anew; to be called before the line is looked at.
    pub(super) fn answer(&self) {
        self.is_rung.swap(false, Ordering::AcqRel);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.is_rung.swap(true, Ordering::AcqRel) {
            return;
        }
        // A reader that is gone has no lines.
        if let Some(notes) = self.notes.upgrade() {
            drop(notes.send(Note::Rung(self.key)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::super::seats::Seats;
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "three notes at most")]
    fn a_bell_that_was_rung_is_told_once_until_it_is_answered() {
        let (sender, mut notes) = mpsc::unbounded_channel();
        let key = Seats::new().seat(|_| ());
        let bell = Bell::new(key, sender.downgrade());
        let waker = Waker::from(Arc::clone(&bell));
        for _ in 0..2 {
            waker.wake_by_ref();
            waker.wake_by_ref();
            assert!(matches!(notes.try_recv(), Ok(Note::Rung(rung)) if rung == key));
            assert!(notes.try_recv().is_err());
            bell.answer();
        }
        drop(sender);
        waker.wake();
        assert!(notes.try_recv().is_err(), "a reader that is told to close");
    }
}
