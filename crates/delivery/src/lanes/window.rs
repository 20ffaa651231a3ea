//! What of the outbox is in memory: how it is read, and what makes room.

use std::sync::Arc;

use store::outbox::{Settled, Waiting};

use super::lane::Held;
use super::{Lanes, Standing, Wish};

impl Lanes {
    /// There may be something new in the outbox.
    pub(crate) fn news(&mut self) {
        self.more = true;
    }

    /// So many wait in the outbox. If none of them is known here, it is not the outbox that was
    /// read: it began anew, and counts from 1 again.
    pub(crate) fn compare(&mut self, waiting: u64) {
        if waiting > 0 && self.known.is_empty() {
            self.cursor = 0;
        }
        self.news();
    }

    /// What to read, if there is room and anything to be found. If it cannot be read, there is
    /// still news.
    pub(crate) fn wish(&mut self, now: u64) -> Option<Wish> {
        if !self.more {
            return None;
        }
        let busy = self
            .ready
            .first_key_value()
            .is_some_and(|((due, _), _)| *due <= now);
        // Small pages are not worth the reading while there is enough to do.
        let enough = if busy {
            self.rules.window_max.div_ceil(8)
        } else {
            1
        };
        if self.room() < enough {
            self.shed(now);
        }
        if self.room() < enough {
            return None;
        }
        // What comes while it is read is news again.
        self.more = false;
        Some(Wish {
            after: self.cursor,
            most: self.room(),
        })
    }

    /// What the outbox had, up to as much as was wished for. Some may have to go.
    pub(crate) fn load(&mut self, wish: Wish, found: Vec<Waiting>, now: u64) -> Vec<Settled> {
        // While it was read, a lane asked to be read again from further ahead; that comes first.
        if self.cursor != wish.after {
            return Vec::new();
        }
        self.more |= found.len() >= wish.most;
        for waiting in found {
            self.cursor = self.cursor.max(waiting.number);
            if !self.known.contains_key(&waiting.number) {
                self.take_in(waiting, now);
            }
        }
        self.drop_oldest()
    }

    fn room(&self) -> usize {
        self.rules.window_max.saturating_sub(self.known.len())
    }

    fn take_in(&mut self, waiting: Waiting, now: u64) {
        let name = Arc::clone(&waiting.lane);
        let lane = self.lanes.entry(Arc::clone(&name)).or_default();
        // Beyond a mark everything is passed over, or order would be lost.
        if lane.beyond.is_some() || lane.len() >= self.rules.lane_max() {
            let mark = lane
                .beyond
                .map_or(waiting.number, |mark| mark.min(waiting.number));
            lane.beyond = Some(mark);
            return;
        }
        self.known.insert(waiting.number, Arc::clone(&name));
        let held = Held {
            number: waiting.number,
            attempts: waiting.attempts,
            refusals: waiting.refusals,
            // A clock that was set back must not have it wait for longer than it ever would.
            due: waiting
                .not_before_unix_ms
                .min(now.saturating_add(self.rules.delay_max())),
            at: waiting.at_unix_ms,
            came: now,
            bytes: waiting.bytes,
            marked: true,
        };
        if self.rules.is_late(held.attempts) {
            lane.late.push(held);
        } else {
            lane.queue.push_back(held);
        }
        self.reindex(&name);
    }

    /// Lanes that wait keep but their first parcel, so that others find room.
    fn shed(&mut self, now: u64) {
        let from = match self.health.standing() {
            Standing::Disabled => return,
            Standing::Enabled => now + 1,
            // All of them wait, and a probe is the better the more lanes there are.
            Standing::Resting => 0,
        };
        let blocked = self.ready.range((from, 0)..);
        let names: Vec<Arc<str>> = blocked.map(|(_, name)| Arc::clone(name)).collect();
        for name in names {
            let Some(lane) = self.lanes.get_mut(&name) else {
                continue;
            };
            for number in lane.shed() {
                self.known.remove(&number);
            }
        }
    }

    /// Without retries, newer parcels are worth more than older ones.
    fn drop_oldest(&mut self) -> Vec<Settled> {
        let mut settled = Vec::new();
        while let Some(excess) = self.excess() {
            let Some(name) = self.known.get(&excess).map(Arc::clone) else {
                break;
            };
            if let Some(lane) = self.lanes.get_mut(&name) {
                lane.queue.pop_front();
            }
            self.reindex(&name);
            settled.push(Settled::Dropped { number: excess });
        }
        settled
    }

    /// The oldest parcel that waits, if too many do.
    fn excess(&self) -> Option<u64> {
        let most = self.rules.pending_max?;
        let waiting: usize = self.lanes.values().map(|lane| lane.queue.len()).sum();
        if waiting <= most {
            return None;
        }
        let heads = self.lanes.values().filter_map(|lane| lane.queue.front());
        heads.map(|held| held.number).min()
    }
}
