//! An outbox that forgets with the process, for a gateway without a store.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::StoreError;
use crate::clock::unix_ms;
use crate::outbox::{Carried, DeadLetter, DeadLetters, Depth, Outbox, Parcel, Settled, Waiting};

/// How much a [`MemoryOutbox`] holds, dead letters included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Parcels; 100,000.
    pub parcels_max: usize,
    /// Bytes of their bodies; 64 MiB.
    pub bytes_max: u64,
}

/// An outbox in memory. What is beyond its limits is dropped, dead letters first, then the oldest,
/// and counted.
#[derive(Debug)]
pub struct MemoryOutbox {
    limits: MemoryLimits,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    newest: u64,
    waiting: BTreeMap<u64, Slot>,
    dead: BTreeMap<u64, Slot>,
    bytes: u64,
    depths: HashMap<String, Depth>,
    dropped: u64,
}

#[derive(Debug)]
struct Slot {
    parcel: Parcel,
    attempts: u32,
    refusals: u32,
    /// Of one that waits: not before. Of a dead letter: when it was given up.
    at_unix_ms: u64,
    why: String,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self {
            parcels_max: 100_000,
            bytes_max: 64 << 20,
        }
    }
}

impl MemoryOutbox {
    /// An empty one.
    pub fn new(limits: MemoryLimits) -> Self {
        Self {
            limits,
            held: Mutex::default(),
        }
    }

    /// Has parcels wait, in their order.
    pub fn append(&self, parcels: &[Parcel]) {
        let mut held = self.held();
        for parcel in parcels {
            held.wait(parcel.clone());
            held.shrink(self.limits);
        }
    }

    /// All that wait, the oldest first; then none do. Dead letters stay.
    pub fn take_all(&self) -> Vec<Parcel> {
        let mut held = self.held();
        let numbers: Vec<u64> = held.waiting.keys().copied().collect();
        let taken = numbers.into_iter().filter_map(|number| held.take(number));
        taken.map(|slot| slot.parcel).collect()
    }

    /// How many were dropped since the beginning for lack of room.
    pub fn dropped(&self) -> u64 {
        self.held().dropped
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outbox for MemoryOutbox {
    fn waiting(&self, endpoint: &str, after: u64, most: usize) -> Result<Vec<Waiting>, StoreError> {
        let held = self.held();
        let behind = held.waiting.range(after.saturating_add(1)..);
        let of_it = behind.filter(|(_, slot)| *slot.parcel.endpoint == *endpoint);
        let told = of_it.map(|(number, slot)| Waiting {
            number: *number,
            lane: slot.parcel.lane.clone(),
            id: slot.parcel.id.clone(),
            attempts: slot.attempts,
            refusals: slot.refusals,
            not_before_unix_ms: slot.at_unix_ms,
            at_unix_ms: slot.parcel.at_unix_ms,
            bytes: u32::try_from(slot.bytes()).unwrap_or(u32::MAX),
        });
        Ok(told.take(most).collect())
    }

    fn parcel(&self, number: u64) -> Result<Option<Carried>, StoreError> {
        let held = self.held();
        Ok(held.waiting.get(&number).map(|slot| Carried {
            id: slot.parcel.id.clone(),
            kind: slot.parcel.kind.to_owned(),
            content_type: slot.parcel.content_type.to_owned(),
            body: slot.parcel.body.clone(),
        }))
    }

    fn settle(&self, settled: &[Settled]) -> Result<(), StoreError> {
        let mut held = self.held();
        for settled in settled {
            match settled {
                Settled::Delivered { number } | Settled::Dropped { number } => {
                    held.take(*number);
                }
                Settled::Later {
                    number,
                    attempts,
                    refusals,
                    not_before_unix_ms,
                } => {
                    if let Some(slot) = held.waiting.get_mut(number) {
                        (slot.attempts, slot.refusals) = (*attempts, *refusals);
                        slot.at_unix_ms = *not_before_unix_ms;
                    }
                }
                Settled::Dead {
                    number,
                    attempts,
                    at_unix_ms,
                    why,
                } => {
                    if let Some(slot) = held.waiting.get_mut(number) {
                        slot.attempts = *attempts;
                    }
                    held.die(*number, *at_unix_ms, why);
                }
            }
        }
        Ok(())
    }

    fn depth(&self, endpoint: &str) -> Result<Depth, StoreError> {
        let held = self.held();
        let counted = held.depths.get(endpoint).copied().unwrap_or_default();
        let waiting = held
            .waiting
            .values()
            .filter(|slot| *slot.parcel.endpoint == *endpoint);
        Ok(Depth {
            oldest_unix_ms: waiting.map(|slot| slot.parcel.at_unix_ms).min(),
            ..counted
        })
    }

    fn trim(
        &self,
        endpoint: &str,
        bytes_max: u64,
        made_before_unix_ms: u64,
    ) -> Result<u64, StoreError> {
        let mut held = self.held();
        let of_it = held
            .waiting
            .iter()
            .filter(|(_, slot)| *slot.parcel.endpoint == *endpoint);
        let mut bytes = held.depths.get(endpoint).map_or(0, |depth| depth.bytes);
        let mut trimmed = Vec::new();
        let is_old = |slot: &Slot| slot.parcel.at_unix_ms < made_before_unix_ms;
        let (old, others): (Vec<_>, Vec<_>) = of_it.partition(|(_, slot)| is_old(slot));
        for (number, slot) in old {
            trimmed.push((*number, "too old"));
            bytes -= slot.bytes();
        }
        for (number, slot) in others {
            if bytes <= bytes_max {
                break;
            }
            trimmed.push((*number, "no room"));
            bytes -= slot.bytes();
        }
        let now_unix_ms = unix_ms();
        for (number, why) in &trimmed {
            held.die(*number, now_unix_ms, why);
        }
        Ok(trimmed.len() as u64)
    }

    fn dead_letters(&self, which: &DeadLetters) -> Result<Vec<DeadLetter>, StoreError> {
        let held = self.held();
        let meant = held.meant(which);
        let letters = meant.into_iter().filter_map(|number| {
            let slot = held.dead.get(&number)?;
            Some(DeadLetter {
                number,
                endpoint: slot.parcel.endpoint.to_string(),
                lane: slot.parcel.lane.to_string(),
                id: slot.parcel.id.clone(),
                kind: slot.parcel.kind.to_owned(),
                attempts: slot.attempts,
                made_unix_ms: slot.parcel.at_unix_ms,
                dead_unix_ms: slot.at_unix_ms,
                why: slot.why.clone(),
            })
        });
        Ok(letters.collect())
    }

    fn replay(&self, which: &DeadLetters) -> Result<u64, StoreError> {
        let mut held = self.held();
        let meant = held.meant(which);
        for number in &meant {
            if let Some(slot) = held.forget(*number) {
                held.wait(slot.parcel);
            }
        }
        Ok(meant.len() as u64)
    }

    fn bury(&self, which: &DeadLetters) -> Result<u64, StoreError> {
        let mut held = self.held();
        let meant = held.meant(which);
        for number in &meant {
            held.forget(*number);
        }
        Ok(meant.len() as u64)
    }
}

impl Held {
    fn wait(&mut self, parcel: Parcel) {
        let slot = Slot {
            parcel,
            attempts: 0,
            refusals: 0,
            at_unix_ms: 0,
            why: String::new(),
        };
        let depth = self
            .depths
            .entry(slot.parcel.endpoint.to_string())
            .or_default();
        depth.waiting += 1;
        depth.bytes += slot.bytes();
        self.bytes += slot.bytes();
        self.newest += 1;
        self.waiting.insert(self.newest, slot);
    }

    /// Takes one that waits.
    fn take(&mut self, number: u64) -> Option<Slot> {
        let slot = self.waiting.remove(&number)?;
        if let Some(depth) = self.depths.get_mut(&*slot.parcel.endpoint) {
            depth.waiting -= 1;
            depth.bytes -= slot.bytes();
        }
        self.bytes -= slot.bytes();
        Some(slot)
    }

    fn die(&mut self, number: u64, at_unix_ms: u64, why: &str) {
        let Some(mut slot) = self.take(number) else {
            return;
        };
        slot.at_unix_ms = at_unix_ms;
        why.clone_into(&mut slot.why);
        self.bytes += slot.bytes();
        self.depths
            .entry(slot.parcel.endpoint.to_string())
            .or_default()
            .dead += 1;
        self.dead.insert(number, slot);
    }

    /// Takes a dead letter.
    fn forget(&mut self, number: u64) -> Option<Slot> {
        let slot = self.dead.remove(&number)?;
        if let Some(depth) = self.depths.get_mut(&*slot.parcel.endpoint) {
            depth.dead -= 1;
        }
        self.bytes -= slot.bytes();
        Some(slot)
    }

    fn shrink(&mut self, limits: MemoryLimits) {
        let is_over = |held: &Self| {
            let parcels = held.waiting.len() + held.dead.len();
            parcels > limits.parcels_max || held.bytes > limits.bytes_max
        };
        while is_over(self) {
            let oldest_dead = self.dead.keys().next().copied();
            let oldest = self.waiting.keys().next().copied();
            let gone = match (oldest_dead, oldest) {
                (Some(number), _) => self.forget(number),
                (None, Some(number)) => self.take(number),
                (None, None) => None,
            };
            self.dropped += u64::from(gone.is_some());
        }
    }

    fn meant(&self, which: &DeadLetters) -> Vec<u64> {
        let behind = self.dead.range(which.after.saturating_add(1)..);
        let is_meant = |number: &u64, slot: &Slot| {
            let endpoint = which.endpoint.as_deref();
            endpoint.is_none_or(|endpoint| *slot.parcel.endpoint == *endpoint)
                && (which.numbers.is_empty() || which.numbers.contains(number))
        };
        let meant = behind.filter(|(number, slot)| is_meant(number, slot));
        meant.map(|(number, _)| *number).take(which.most).collect()
    }
}

impl Slot {
    fn bytes(&self) -> u64 {
        self.parcel.body.reveal().len() as u64
    }
}

#[cfg(test)]
mod tests;
