//! What is to be kept and is not yet, in its order.

use std::collections::VecDeque;

use store::entry::{Batch, Entry};
use store::outbox::Parcel;

use crate::events::tap::TapLimits;

/// The oldest first.
#[derive(Debug)]
pub(super) struct Backlog {
    limits: TapLimits,
    waiting: VecDeque<Piece>,
    bytes: usize,
    /// What is being written.
    batch: Batch,
    /// Of which pieces it is made.
    made_of: Vec<Shape>,
    /// So many more pieces are written one by one, to find one that cannot be.
    singly: usize,
    /// Those that could not, while none behind them could.
    aside: Vec<Piece>,
    /// So many at the front could not, and one behind them could. They are tried once more, though
    /// they are late by then: it may have been the store's fault after all.
    accused: usize,
    /// So many were given up.
    given_up: usize,
}

/// An event with what is to be delivered of it.
#[derive(Debug)]
struct Piece {
    entry: Option<Entry>,
    parcels: Vec<Parcel>,
    bytes: usize,
}

#[derive(Debug)]
struct Shape {
    has_entry: bool,
    parcels: usize,
    bytes: usize,
}

impl Backlog {
    /// When so many pieces in a row cannot be written, it is not they that are to blame.
    const ASIDE_MAX: usize = 3;

    pub(super) fn new(limits: TapLimits) -> Self {
        Self {
            limits,
            waiting: VecDeque::new(),
            bytes: 0,
            batch: Batch::default(),
            made_of: Vec::new(),
            singly: 0,
            aside: Vec::new(),
            accused: 0,
            given_up: 0,
        }
    }

    pub(super) fn push(&mut self, entry: Entry, parcels: Vec<Parcel>) {
        let bodies = parcels.iter().map(|parcel| parcel.body.reveal().len());
        // The event's JSON says what its other fields say once more.
        let json = 2 * entry.json.reveal().len();
        let bytes = size_of::<Entry>() + json + bodies.sum::<usize>();
        self.bytes += bytes;
        self.waiting.push_back(Piece {
            entry: Some(entry),
            parcels,
            bytes,
        });
    }

    /// What is to be delivered before anything that waits here.
    pub(super) fn push_first(&mut self, parcels: Vec<Parcel>) {
        self.unmake();
        self.waiting.push_front(Piece {
            entry: None,
            parcels,
            bytes: 0,
        });
    }

    /// Events that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.made_of.len() + self.aside.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops the oldest that are too much; how many.
    pub(super) fn trim(&mut self) -> u64 {
        let mut dropped = 0;
        while self.waiting.len() > self.limits.events_max || self.bytes > self.limits.bytes_max {
            let Some(piece) = self.waiting.pop_front() else {
                break;
            };
            self.bytes -= piece.bytes;
            dropped += u64::from(piece.entry.is_some());
        }
        dropped
    }

    /// The batch to be written next, or again, of at most `most` events.
    pub(super) fn batch(&mut self, most: usize) -> &Batch {
        let most = if self.singly > 0 { 1 } else { most.max(1) };
        if self.made_of.is_empty() {
            let count = most.min(self.waiting.len());
            for piece in self.waiting.drain(..count) {
                self.bytes -= piece.bytes;
                self.made_of.push(Shape {
                    has_entry: piece.entry.is_some(),
                    parcels: piece.parcels.len(),
                    bytes: piece.bytes,
                });
                self.batch.entries.extend(piece.entry);
                self.batch.parcels.extend(piece.parcels);
            }
        }
        &self.batch
    }

    /// The batch was kept.
    pub(super) fn written(&mut self) {
        self.batch = Batch::default();
        self.made_of.clear();
        self.singly = self.singly.saturating_sub(1);
        self.accused = self.accused.saturating_sub(1);
        if !self.aside.is_empty() {
            self.accused = self.aside.len();
            self.singly += self.accused;
            self.bring_back();
        }
    }

    /// How many events have been given up since the last time.
    pub(super) fn given_up(&mut self) -> usize {
        std::mem::take(&mut self.given_up)
    }

    /// The batch cannot be written, for a reason that may be one event's: from now on its events
    /// are written one by one.
    pub(super) fn write_singly(&mut self) {
        if self.singly == 0 {
            let count = self.made_of.len();
            self.unmake();
            // One more, so that the last has one behind it that shows whether others can be.
            self.singly = count + 1;
        }
    }

    /// The single event cannot be written: the next one is tried. False if that is no use, and all
    /// of them wait again.
    pub(super) fn try_next(&mut self) -> bool {
        if self.singly == 0 {
            return false;
        }
        self.singly -= 1;
        self.unmake();
        if self.accused > 0 {
            self.accused -= 1;
            let piece = self.waiting.pop_front();
            self.bytes -= piece.map_or(0, |piece| piece.bytes);
            self.given_up += 1;
            return true;
        }
        let piece = self.waiting.pop_front();
        self.bytes -= piece.as_ref().map_or(0, |piece| piece.bytes);
        self.aside.extend(piece);
        let is_of_use =
            self.singly > 0 && !self.waiting.is_empty() && self.aside.len() < Self::ASIDE_MAX;
        if !is_of_use {
            self.singly = 0;
            self.bring_back();
        }
        is_of_use
    }

    fn bring_back(&mut self) {
        for piece in self.aside.drain(..).rev() {
            self.bytes += piece.bytes;
            self.waiting.push_front(piece);
        }
    }

    /// Gives up the batch, and what is before it; how many events.
    pub(super) fn give_up(&mut self) -> usize {
        let lost = self.made_of.len() + self.aside.len();
        self.batch = Batch::default();
        self.made_of.clear();
        self.aside.clear();
        lost
    }

    /// Puts the pieces of the batch back to where they were.
    fn unmake(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        let (mut entries, mut parcels) = (batch.entries.into_iter(), batch.parcels.into_iter());
        let pieces = self.made_of.drain(..).map(|shape| Piece {
            entry: shape.has_entry.then(|| entries.next()).flatten(),
            parcels: parcels.by_ref().take(shape.parcels).collect(),
            bytes: shape.bytes,
        });
        for piece in pieces.collect::<Vec<_>>().into_iter().rev() {
            self.bytes += piece.bytes;
            self.waiting.push_front(piece);
        }
    }
}
