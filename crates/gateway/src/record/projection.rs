//! What happened, in the shape in which it is kept and delivered. Pure: what it needs to know of
//! the past it remembers itself.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use call::name::{CallName, Role, StreamId};
use call::switchboard::StateName;
use call::transcript::Utterance;
use delivery::Fact;
use store::entry::{Command, Entry, Said, StreamSummary, What};
use ulid::Generator;

use crate::api::{EventShape, counters_json};
use crate::clock::millis;
use crate::events::{Event, Record};

/// What is remembered of calls.
#[derive(Debug)]
pub(super) struct Projection {
    ids: Generator,
    calls: HashMap<CallName, Memory>,
}

/// What is remembered of one call.
#[derive(Debug, Default)]
struct Memory {
    /// Number of its newest event.
    seq: u64,
    /// There is a store that may know of a greater one.
    is_doubted: bool,
    tenant: Option<Arc<str>>,
    is_live: bool,
    is_paused: bool,
    /// The newest last.
    streams: VecDeque<Stream>,
    heard_unix_ms: u64,
}

#[derive(Debug)]
struct Stream {
    id: StreamId,
    external: Arc<str>,
    opened_unix_ms: u64,
}

/// An event with all its names.
#[derive(Debug)]
pub(super) struct Projected {
    pub(super) entry: Entry,
    id: String,
    external: Arc<str>,
    role: Option<Role>,
}

impl Projection {
    /// A call that has been over, or only asked for, for so long is forgotten. If it comes again,
    /// the store knows how far it was.
    const REMEMBER: Duration = Duration::from_secs(600);

    /// So many such calls are remembered at once, or else for less long.
    const CALLS_MAX: usize = 100_000;

    pub(super) fn new() -> Self {
        Self {
            ids: Generator::new(),
            calls: HashMap::new(),
        }
    }

    pub(super) fn knows(&self, call: &CallName) -> bool {
        self.calls
            .get(call)
            .is_some_and(|memory| !memory.is_doubted)
    }

    /// The call's newest event had this number.
    pub(super) fn begin(&mut self, call: &CallName, seq: u64) {
        let memory = self.calls.entry(call.clone()).or_default();
        memory.seq = memory.seq.max(seq);
        memory.is_doubted = false;
    }

    /// There is a store that may know of greater numbers.
    pub(super) fn doubt(&mut self) {
        self.calls
            .values_mut()
            .for_each(|memory| memory.is_doubted = true);
    }

    /// So many events of the call were lost. They have their numbers, so that it shows.
    pub(super) fn skip(&mut self, call: &CallName, events: u64) {
        let memory = self.calls.entry(call.clone()).or_default();
        memory.seq = memory.seq.saturating_add(events);
    }

    /// The next event.
    pub(super) fn project(&mut self, record: &Record) -> Projected {
        let id = self.id(record.at_unix_ms);
        let memory = self.calls.entry(record.call.clone()).or_default();
        memory.seq += 1;
        memory.heard_unix_ms = record.at_unix_ms;
        if record.tenant.is_some() {
            memory.tenant.clone_from(&record.tenant);
        }
        memory.learn(record);
        let external = memory.external(&record.event);
        let external = external.unwrap_or_else(|| record.call.guid.as_str().into());
        let entry = Entry {
            place: record.id,
            seq: memory.seq,
            at_unix_ms: record.at_unix_ms,
            call: record.call.clone(),
            also: record.also.clone().unwrap_or_default(),
            tenant: memory.tenant.clone(),
            kind: record.event.kind(),
            json: EventShape::json(record).into(),
            what: memory.what(record, &id),
        };
        Projected {
            entry,
            id,
            external,
            role: role_of(&record.event),
        }
    }

    /// Forgets calls of which nothing has been heard for long, as seen from `now_unix_ms`.
    pub(super) fn forget(&mut self, now_unix_ms: u64) {
        let before = now_unix_ms.saturating_sub(millis(Self::REMEMBER));
        let is_of_use = |memory: &Memory| memory.is_live || memory.heard_unix_ms >= before;
        self.calls.retain(|_, memory| is_of_use(memory));
        if self.calls.len() > Self::CALLS_MAX {
            self.calls.retain(|_, memory| memory.is_live);
        }
    }

    fn id(&mut self, at_unix_ms: u64) -> String {
        let at = UNIX_EPOCH + Duration::from_millis(at_unix_ms);
        let id = match self.ids.generate_from_datetime(at) {
            Ok(id) => id,
            Err(overflow) => overflow.commit_overflow_increment(),
        };
        id.to_string()
    }
}

impl Projected {
    /// As the delivery wants it.
    pub(super) fn fact<'a>(&'a self, record: &'a Record) -> Fact<'a> {
        Fact {
            id: &self.id,
            seq: self.entry.seq,
            at_unix_ms: self.entry.at_unix_ms,
            call: &self.entry.call,
            external: &self.external,
            tenant: self.entry.tenant.as_deref(),
            kind: self.entry.kind,
            role: self.role,
            json: self.entry.json.reveal(),
            said: match &record.event {
                Event::Transcript(utterance) => Some(utterance),
                _ => None,
            },
        }
    }
}

impl Memory {
    /// More streams of one call are not remembered; each start makes two.
    const STREAMS_MAX: usize = 16;

    fn learn(&mut self, record: &Record) {
        match &record.event {
            Event::CallStarted => self.is_live = true,
            Event::CallEnded(_) => self.is_live = false,
            Event::StreamOpened {
                stream, external, ..
            } => {
                if self.streams.len() >= Self::STREAMS_MAX {
                    self.streams.pop_front();
                }
                self.streams.push_back(Stream {
                    id: stream.clone(),
                    external: Arc::clone(external),
                    opened_unix_ms: record.at_unix_ms,
                });
            }
            _ => {}
        }
    }

    fn stream(&self, id: &StreamId) -> Option<&Stream> {
        self.streams.iter().rev().find(|stream| stream.id == *id)
    }

    /// The call's name as the start wrote it, of which this tells something; else the newest's.
    fn external(&self, event: &Event) -> Option<Arc<str>> {
        let own = stream_of(event).and_then(|id| self.stream(id));
        let stream = own.or_else(|| self.streams.back());
        stream.map(|stream| Arc::clone(&stream.external))
    }

    fn what(&mut self, record: &Record, id: &str) -> What {
        match &record.event {
            Event::BytesMismatch { .. }
            | Event::Dtmf(_)
            | Event::StreamDegraded { .. }
            | Event::StreamInterrupted { .. } => What::Nothing,
            Event::CallChanged(state) => self.changed(*state),
            Event::CallEnded(ending) => What::Ended {
                fault: ending.fault.as_str(),
                reason: ending.reason,
            },
            Event::CallStarted => What::Started,
            Event::Command(command) => What::Command(Command {
                verb: command.verb,
                key: Arc::clone(&command.key),
                from: command.from.clone(),
                outcome: command.outcome.to_owned(),
                request: command.request.clone(),
            }),
            Event::Gap {
                stream,
                role,
                from_ms,
                to_ms,
                reason,
            } => What::Gap {
                stream: stream.clone(),
                role: *role,
                from_ms: *from_ms,
                to_ms: *to_ms,
                reason: reason.as_str(),
            },
            Event::LegEnded { .. } | Event::LegOpened { .. } | Event::LegRole { .. } => {
                leg(&record.event)
            }
            Event::StreamEnded(_) | Event::StreamOpened { .. } | Event::StreamReady { .. } => {
                stream(&record.event)
            }
            Event::Transcript(utterance) => self.said(utterance, record.at_unix_ms, id),
        }
    }

    /// A pause is between the state `paused` and the next one.
    fn changed(&mut self, state: StateName) -> What {
        let was_paused = self.is_paused;
        self.is_paused = state == StateName::Paused;
        if was_paused == self.is_paused {
            return What::Nothing;
        }
        What::Paused {
            begins: self.is_paused,
        }
    }

    fn said(&self, utterance: &Utterance, at_unix_ms: u64, id: &str) -> What {
        if !utterance.is_final {
            return What::Nothing;
        }
        let said_at_unix_ms = match self.stream(&utterance.stream) {
            Some(stream) => stream
                .opened_unix_ms
                .saturating_add(millis(utterance.start)),
            // Its beginning is not known any more; it was told when it had been said.
            None => {
                at_unix_ms.saturating_sub(millis(utterance.end.saturating_sub(utterance.start)))
            }
        };
        What::Said(Said {
            message: id.to_owned(),
            utterance: utterance.clone(),
            said_at_unix_ms,
        })
    }
}

fn leg(event: &Event) -> What {
    match event {
        Event::LegEnded {
            leg, ending, stats, ..
        } => What::LegEnded {
            leg: leg.0,
            fault: ending.fault.as_str(),
            reason: ending.reason,
            counters: counters_json(*stats),
        },
        Event::LegOpened { leg, side } => What::LegOpened {
            leg: leg.0,
            side: side.as_str(),
        },
        Event::LegRole { leg, role, .. } => What::LegRole {
            leg: leg.0,
            role: role.role,
            reason: role.reason.clone(),
            confidence: Some(role.confidence),
        },
        _ => What::Nothing,
    }
}

fn stream(event: &Event) -> What {
    match event {
        Event::StreamEnded(report) => What::StreamEnded {
            stream: report.id.clone(),
            code: report.status.code,
            description: report.status.description.clone(),
            summary: report.summary.map(|summary| StreamSummary {
                audio_bytes: summary.audio_bytes,
                audio_ms: millis(summary.audio),
                streaming_ms: millis(summary.streaming),
                transcripts: summary.transcripts,
            }),
        },
        Event::StreamOpened {
            stream,
            role,
            external,
        } => What::StreamOpened {
            stream: stream.clone(),
            role: *role,
            external: Arc::clone(external),
        },
        Event::StreamReady {
            stream, service, ..
        } => What::StreamReady {
            stream: stream.clone(),
            service,
        },
        _ => What::Nothing,
    }
}

/// The stream that an event is about.
fn stream_of(event: &Event) -> Option<&StreamId> {
    match event {
        Event::BytesMismatch { stream, .. }
        | Event::Gap { stream, .. }
        | Event::StreamDegraded { stream, .. }
        | Event::StreamInterrupted { stream, .. }
        | Event::StreamOpened { stream, .. }
        | Event::StreamReady { stream, .. } => Some(stream),
        Event::StreamEnded(report) => Some(&report.id),
        Event::Transcript(utterance) => Some(&utterance.stream),
        _ => None,
    }
}

/// Whose event it is.
fn role_of(event: &Event) -> Option<Role> {
    match event {
        Event::BytesMismatch { role, .. }
        | Event::Gap { role, .. }
        | Event::StreamDegraded { role, .. }
        | Event::StreamInterrupted { role, .. }
        | Event::StreamOpened { role, .. }
        | Event::StreamReady { role, .. } => Some(*role),
        Event::LegRole { role, .. } => Some(role.role),
        Event::StreamEnded(report) => Some(report.role),
        Event::Transcript(utterance) => Some(utterance.role),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
