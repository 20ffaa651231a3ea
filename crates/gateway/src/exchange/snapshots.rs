//! What the native API is shown of the exchange: copies, taken in one moment.

use call::name::{CallName, LegId};
use call::switchboard::{CallView, LegView, StreamView};

use super::{Desk, LegEntry};
use crate::switchboard_task::{CallSnapshot, LegRole, LegSnapshot, StreamSnapshot};

impl Desk {
    /// One call, by any of its names, if the switchboard knows it.
    pub(super) fn snapshot(&self, name: &CallName) -> Option<CallSnapshot> {
        let view = self.switchboard.call(&self.resolve(name));
        view.map(|view| self.of(view))
    }

    /// All calls.
    pub(super) fn snapshots(&self) -> Vec<CallSnapshot> {
        let views = self.switchboard.calls().into_iter();
        views.map(|view| self.of(view)).collect()
    }

    fn of(&self, view: CallView) -> CallSnapshot {
        let entry = self.calls.get(&view.name);
        let legs = view.legs.iter();
        let streams = view.streams.iter();
        let names = self.names.of(&view.name).iter();
        CallSnapshot {
            owner: self.owner(&view.name),
            state: view.state,
            began_unix_ms: entry.map_or(0, |entry| entry.began_unix_ms),
            names: names.map(|name| name.guid.clone()).collect(),
            identifiers: entry.map_or_else(Vec::new, |entry| entry.identifiers.clone()),
            legs: legs.filter_map(|leg| self.leg(&view, leg)).collect(),
            streams: streams.filter_map(|stream| self.stream(stream)).collect(),
            name: view.name,
        }
    }

    fn leg(&self, view: &CallView, leg: &LegView) -> Option<LegSnapshot> {
        let LegEntry { opened, .. } = self.legs.get(&leg.id)?;
        Some(LegSnapshot {
            id: leg.id,
            side: leg.side,
            role: self.role_in(view, leg.id),
            identifiers: opened.introduction.identifiers.clone(),
            gate: opened.control.gate(),
            stats: opened.control.stats(),
        })
    }

    /// That of the leg's stream, or else as the platform suggests.
    fn role_in(&self, view: &CallView, leg: LegId) -> Option<LegRole> {
        let mut streams = view.streams.iter();
        let stream = streams.find(|stream| stream.leg == Some(leg));
        let entry = stream.and_then(|stream| self.streams.get(&stream.id));
        let given = entry.map(|entry| entry.role.clone());
        given.or_else(|| self.suggested(leg))
    }

    fn stream(&self, stream: &StreamView) -> Option<StreamSnapshot> {
        let entry = self.streams.get(&stream.id)?;
        let now = entry.handle.snapshot();
        Some(StreamSnapshot {
            id: stream.id.clone(),
            role: stream.role,
            leg: stream.leg,
            service: entry.service,
            // The switchboard knows that it was accepted, the stream whether it is cut off now.
            state: match (stream.state, now.state) {
                (_, "degraded") | ("ready", "opening") => now.state,
                _ => stream.state,
            },
            sent_bytes: now.sent_bytes,
            transcripts: now.transcripts,
            waiting: now.waiting,
            report: entry.report.clone(),
        })
    }
}
