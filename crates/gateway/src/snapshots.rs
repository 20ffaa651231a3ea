//! What the native API is shown of the exchange: copies, taken in one moment.

use call::name::{CallName, LegId, Role};
use call::switchboard::CallView;

use crate::exchange::Desk;
use crate::switchboard_task::{CallSnapshot, LegSnapshot, StreamSnapshot};

impl Desk {
    /// One call, if the switchboard knows it.
    pub(crate) fn snapshot(&self, call: &CallName) -> Option<CallSnapshot> {
        self.switchboard.call(call).map(|view| self.of(view))
    }

    /// All calls.
    pub(crate) fn snapshots(&self) -> Vec<CallSnapshot> {
        self.switchboard
            .calls()
            .into_iter()
            .map(|view| self.of(view))
            .collect()
    }

    fn of(&self, view: CallView) -> CallSnapshot {
        let entry = self.calls.get(&view.name);
        let legs = view.legs.iter().filter_map(|leg| {
            let control = &self.legs.get(&leg.id)?.control;
            let (gate, stats) = (control.gate(), control.stats());
            let role = role_of(&view, leg.id);
            Some(LegSnapshot {
                id: leg.id,
                side: leg.side,
                role,
                gate,
                stats,
            })
        });
        let legs = legs.collect();
        let streams = view.streams.iter().filter_map(|stream| {
            let entry = self.streams.get(&stream.id)?;
            let now = entry.handle.snapshot();
            Some(StreamSnapshot {
                id: stream.id.clone(),
                role: stream.role,
                leg: stream.leg,
                state: stream.state,
                sent_bytes: now.sent_bytes,
                transcripts: now.transcripts,
                waiting: now.waiting,
                report: entry.report.clone(),
            })
        });
        CallSnapshot {
            state: view.state,
            began_unix_ms: entry.map_or(0, |entry| entry.began_unix_ms),
            identifiers: entry.map_or_else(Vec::new, |entry| entry.identifiers.clone()),
            legs,
            streams: streams.collect(),
            name: view.name,
        }
    }
}

fn role_of(view: &CallView, leg: LegId) -> Option<Role> {
    view.streams
        .iter()
        .find(|stream| stream.leg == Some(leg))
        .map(|stream| stream.role)
}
