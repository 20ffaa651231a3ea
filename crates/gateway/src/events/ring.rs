//! The newest events, bounded in number and in bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use call::name::CallName;

use super::{Batch, Event, Record};

/// Events in their order. Each has a number, the first 1, one more than the one before.
#[derive(Debug)]
pub(super) struct Ring {
    events_max: usize,
    bytes_max: usize,
    /// `None`: erased.
    records: VecDeque<Option<Arc<Record>>>,
    bytes: usize,
    /// Number of the newest event.
    newest: u64,
}

impl Ring {
    /// So many are looked at in one read, so that a reader never holds up a publisher for long.
    pub(super) const READ_MAX: usize = 256;

    pub(super) fn new(events_max: usize, bytes_max: usize) -> Self {
        let events_max = events_max.max(1);
        Self {
            events_max,
            bytes_max,
            records: VecDeque::new(),
            bytes: 0,
            newest: 0,
        }
    }

    /// Adds the record that `make` makes with its number, and returns it.
    pub(super) fn push(&mut self, make: impl FnOnce(u64) -> Record) -> &Arc<Record> {
        self.newest += 1;
        let record = make(self.newest);
        self.bytes += record.bytes();
        self.records.push_back(Some(Arc::new(record)));
        // The newest stays, however big it is: a reader that is up to date always gets it.
        while self.records.len() > self.events_max
            || (self.bytes > self.bytes_max && self.records.len() > 1)
        {
            if let Some(oldest) = self.records.pop_front().flatten() {
                self.bytes -= oldest.bytes();
            }
        }
        let newest = self.records.back().and_then(Option::as_ref);
        newest.expect("the newest stays")
    }

    /// Forgets what happened to a call.
    pub(super) fn erase(&mut self, call: &CallName) {
        for record in &mut self.records {
            if let Some(erased) = record.take_if(|record| record.call == *call) {
                self.bytes -= erased.bytes();
            }
        }
    }

    pub(super) fn read(&self, place: &mut u64, wanted: impl Fn(&Record) -> bool) -> Batch {
        let oldest = self.newest + 1 - self.records.len() as u64;
        let lost = oldest.saturating_sub(*place + 1);
        *place += lost;
        let skip = usize::try_from(*place + 1 - oldest).unwrap_or(usize::MAX);
        let fresh = self.records.iter().skip(skip).take(Self::READ_MAX);
        *place += fresh.len() as u64;
        let records = fresh.flatten().filter(|record| wanted(record));
        let records = records.cloned().collect();
        Batch {
            lost,
            records,
            drained: *place == self.newest,
        }
    }
}

impl Record {
    /// Roughly what it takes; only texts can be long.
    pub(super) fn bytes(&self) -> usize {
        let text = match &self.event {
            Event::Command(command) => command.request.len() + command.from.reveal().len(),
            Event::LegRole { role, .. } => role.reason.len(),
            Event::StreamDegraded { why, .. } | Event::StreamInterrupted { why, .. } => why.len(),
            Event::StreamEnded(report) => report.status.description.len(),
            Event::Transcript(utterance) => {
                let alternatives = utterance.alternatives.iter();
                alternatives
                    .map(|one| one.text.reveal().len() + one.tokens.len() * TOKEN_BYTES)
                    .sum()
            }
            _ => 0,
        };
        size_of::<Self>() + text
    }
}

const TOKEN_BYTES: usize = 128;

#[cfg(test)]
mod tests {
    use call::name::{Guid, Namespace, Role, StreamId};

    use super::super::EventId;
    use super::*;

    fn interrupted(bytes: usize, number: u64) -> Record {
        let guid = Guid::parse("1").unwrap();
        let (stream, why) = (StreamId::new("s"), "x".repeat(bytes));
        let event = Event::StreamInterrupted {
            stream,
            role: Role::Agent,
            attempt: 1,
            why,
        };
        let call = CallName {
            namespace: Namespace::Twilio,
            guid,
        };
        Record {
            id: EventId { boot: 1, number },
            at_unix_ms: 0,
            call,
            also: None,
            tenant: None,
            event,
        }
    }

    #[test]
    fn long_texts_push_out_older_events_but_never_the_newest() {
        let mut ring = Ring::new(100, 10_000);
        for _ in 0..5 {
            ring.push(|number| interrupted(3000, number));
        }
        assert!(ring.bytes <= 10_000 && ring.records.len() < 5);
        let newest = ring.push(|number| interrupted(50_000, number));
        assert_eq!(newest.id.number, 6);
        assert_eq!(ring.records.len(), 1);
        assert_eq!(ring.read(&mut 5, |_| true).records.len(), 1);
    }

    #[test]
    fn what_is_erased_is_not_read_and_nothing_else_is_missing() {
        let mut ring = Ring::new(100, 10_000);
        let other = CallName {
            namespace: Namespace::Siprec,
            guid: Guid::parse("1").unwrap(),
        };
        for number in 1..=4 {
            ring.push(|id| Record {
                call: if number % 2 == 0 {
                    other.clone()
                } else {
                    interrupted(0, 1).call
                },
                ..interrupted(100, id)
            });
        }
        let before = ring.bytes;
        ring.erase(&other);
        assert!(ring.bytes < before);
        let mut place = 0;
        let batch = ring.read(&mut place, |_| true);
        let numbers: Vec<_> = batch
            .records
            .iter()
            .map(|record| record.id.number)
            .collect();
        assert_eq!((batch.lost, numbers, place), (0, vec![1, 3], 4));
        assert!(batch.drained);
    }

    #[test]
    fn a_long_ring_is_read_in_pieces() {
        let mut ring = Ring::new(1000, usize::MAX);
        for _ in 0..Ring::READ_MAX + 1 {
            ring.push(|number| interrupted(0, number));
        }
        let mut place = 0;
        let batch = ring.read(&mut place, |_| false);
        assert_eq!((batch.records.len(), batch.drained, place), (0, false, 256));
        assert!(ring.read(&mut place, |_| true).drained);
    }

    #[test]
    fn an_empty_ring_has_nothing_and_has_lost_nothing() {
        let ring = Ring::new(3, 1000);
        let batch = ring.read(&mut 0, |_| true);
        assert_eq!(
            (batch.lost, batch.records.len(), batch.drained),
            (0, 0, true)
        );
    }
}
