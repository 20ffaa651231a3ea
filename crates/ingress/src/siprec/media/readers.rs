//! All readers, one for each thread that carries tasks, and which lines are whose.

use std::io;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::bell::Note;
use super::reader::Reader;
use super::{Receiving, Reception};
use crate::siprec::tally::LineEnd;

/// Dropped, it ends all lines.
#[derive(Debug)]
pub(crate) struct Readers {
    /// None before it is needed.
    readers: Vec<Option<mpsc::UnboundedSender<Note>>>,
    /// How often sockets are read.
    interval: Duration,
    tasks: TaskTracker,
}

impl Readers {
    /// None of them runs before it has a line.
    pub(crate) fn new(interval: Duration, tasks: TaskTracker) -> Self {
        let count = Handle::current().metrics().num_workers().max(1);
        Self {
            readers: vec![None; count],
            interval,
            tasks,
        }
    }

    /// From now on a line is received, until it is ordered to end. The lines of one session have
    /// one reader.
    pub(crate) fn begin(&mut self, reception: Reception) {
        let at = (reception.session.0 % self.readers.len() as u64) as usize;
        let mut note = Note::Begin(Box::new(reception));
        if let Some(reader) = &self.readers[at] {
            match reader.send(note) {
                Ok(()) => return,
                // It fell over, and its lines with it.
                Err(mpsc::error::SendError(unheard)) => note = unheard,
            }
        }
        match self.start() {
            Ok(reader) => {
                drop(reader.send(note));
                self.readers[at] = Some(reader);
            }
            Err(error) => {
                tracing::error!(%error, "A media line cannot be read; its leg ends.");
                if let Note::Begin(reception) = note {
                    let now = Instant::now();
                    Receiving::new(now, *reception).end(now, LineEnd::SocketLost);
                }
            }
        }
    }

    /// As if each had panicked.
    #[cfg(test)]
    #[expect(clippy::disallowed_methods, reason = "nothing is sent")]
    pub(super) fn fall_over(&mut self) {
        for reader in &mut self.readers {
            *reader = Some(mpsc::unbounded_channel().0);
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a line begins once and has one note at a time; the leased ports bound the lines"
    )]
    fn start(&self) -> io::Result<mpsc::UnboundedSender<Note>> {
        let (sender, notes) = mpsc::unbounded_channel();
        let reader = Reader::new(notes, sender.downgrade(), self.interval)?;
        self.tasks.spawn(reader.run());
        Ok(sender)
    }
}
