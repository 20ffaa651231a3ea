//! One lane: the parcels of one call for one endpoint.

use std::collections::VecDeque;

use super::Rules;

/// A parcel of the window, without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// Its place in the outbox.
    pub(super) number: u64,
    /// How often it was tried in vain.
    pub(super) attempts: u32,
    /// How many of these were refusals.
    pub(super) refusals: u32,
    /// Not to be sent before.
    pub(super) due: u64,
    /// When it was made.
    pub(super) at: u64,
    /// When it came here.
    pub(super) came: u64,
    /// Of its body.
    pub(super) bytes: u32,
    /// The outbox has it that the others may go before.
    pub(super) marked: bool,
}

#[derive(Default)]
pub(super) struct Lane {
    /// In order.
    pub(super) queue: VecDeque<Held>,
    /// What the others no longer wait for.
    pub(super) late: Vec<Held>,
    /// Something is under way.
    pub(super) flying: bool,
    /// When it was tried last.
    pub(super) tried_at: u64,
    /// Its place among those that are ready.
    pub(super) entry: Option<(u64, u64)>,
    /// The first parcel that was passed over for lack of room.
    pub(super) beyond: Option<u64>,
}

impl Lane {
    /// It is written that this one, if it is here and late, is.
    pub(super) fn mark(&mut self, number: u64) {
        let late = self.late.iter_mut();
        for held in late.filter(|held| held.number == number) {
            held.marked = true;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len() + self.late.len()
    }

    /// When its next parcel may go, and its place. Nothing goes past a late parcel before that is
    /// written: after a restart it would not be known that it is late.
    pub(super) fn candidate(&self, rules: &Rules) -> Option<(u64, u64)> {
        if self.late.iter().any(|held| !held.marked) {
            return None;
        }
        let late = self.late.iter().map(|held| (held.due, held.number)).min();
        let first = self.first_due(rules);
        late.into_iter().chain(first).min()
    }

    /// Takes what goes next, and whether it is late.
    pub(super) fn depart(&mut self, rules: &Rules) -> (Vec<Held>, bool) {
        self.flying = true;
        let late = self.late.iter().enumerate();
        let late = late.min_by_key(|(_, held)| (held.due, held.number));
        let late = late.map(|(index, held)| (index, (held.due, held.number)));
        match late {
            Some((index, entry)) if self.first_due(rules).is_none_or(|first| entry < first) => {
                (vec![self.late.remove(index)], true)
            }
            _ => {
                let count = self.batch(rules);
                (self.queue.drain(..count).collect(), false)
            }
        }
    }

    /// Puts back what was under way.
    pub(super) fn put_back(&mut self, parcels: Vec<Held>, late: bool) {
        if late {
            self.late.extend(parcels);
        } else {
            for held in parcels.into_iter().rev() {
                self.queue.push_front(held);
            }
        }
    }

    /// Nothing waits any longer than until now.
    pub(super) fn hurry(&mut self, now: u64) {
        for held in self.late.iter_mut().chain(self.queue.front_mut()) {
            held.due = held.due.min(now);
        }
    }

    /// Gives up all but the first of the queue; the places of what is gone from here.
    pub(super) fn shed(&mut self) -> Vec<u64> {
        let kept = self.queue.len().min(1);
        let shed: Vec<u64> = self.queue.drain(kept..).map(|held| held.number).collect();
        if let Some(&first) = shed.first() {
            self.beyond = Some(self.beyond.map_or(first, |mark| mark.min(first)));
        }
        shed
    }

    /// When the first of the queue may go: at once if a batch is full, else when it has waited for
    /// others.
    fn first_due(&self, rules: &Rules) -> Option<(u64, u64)> {
        let first = self.queue.front()?;
        let batch = self.batch(rules);
        let is_full = first.attempts > 0 || batch >= rules.batch_max || batch < self.queue.len();
        let wait = if is_full { 0 } else { rules.batch_wait };
        // Not from when it happened: clocks are set.
        Some((first.due.max(first.came.saturating_add(wait)), first.number))
    }

    /// How many of the queue go together. What failed once goes alone.
    fn batch(&self, rules: &Rules) -> usize {
        let mut bytes = 0;
        let fits = |held: &&Held| {
            bytes += held.bytes as usize;
            held.attempts == 0 && bytes <= rules.batch_bytes_max
        };
        let fit = self.queue.iter().take(rules.batch_max).take_while(fits);
        let fit = fit.count();
        fit.max(1).min(self.queue.len())
    }
}
