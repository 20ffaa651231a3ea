//! What the exchange keeps of a call beside the switchboard's state, from its beginning to its end.

use std::sync::Arc;
use std::time::Instant;

use call::ending::{Ending, Fault};
use call::feed::MediaClock;
use call::name::{CallName, StreamId};
use call::start::StreamOptions;
use call::switchboard::StateName;

use super::Desk;
use crate::clock::unix_ms;
use crate::events::Event;

/// One call, or a name under which a start waits for one.
pub(super) struct CallEntry {
    pub(super) began_unix_ms: u64,
    began: Instant,
    pub(super) state: StateName,
    /// When it came into this state.
    since: Instant,
    has_media: bool,
    /// What its legs are called, those included that are over.
    pub(super) identifiers: Vec<(&'static str, String)>,
    /// Where the clocks of the running start began: its options, the media clock, its reading.
    pub(super) zero: Option<(Arc<StreamOptions>, MediaClock, u64)>,
    pub(super) span: tracing::Span,
}

impl Desk {
    /// Tells of a call's first media, once. A start that only awaits it is not a call yet.
    pub(super) fn began(&mut self, call: &CallName) {
        let entry = self.entry(call);
        if !std::mem::replace(&mut entry.has_media, true) {
            entry.span.in_scope(|| tracing::info!("A call began."));
            self.world.bus.publish(call, Event::CallStarted);
        }
    }

    pub(super) fn entry(&mut self, call: &CallName) -> &mut CallEntry {
        if !self.calls.contains_key(call) {
            self.calls.insert(call.clone(), CallEntry::new(call));
            self.world.metrics.call_changed(None, Some(StateName::Idle));
            self.live.send_replace(self.calls.len());
        }
        self.calls.get_mut(call).expect("it was inserted above")
    }

    /// Whatever makes the call's start fast is fetched.
    pub(super) fn prepare(&self, call: &CallName) {
        let (upstream, call) = (Arc::clone(&self.world.upstream), call.clone());
        self.world
            .tasks
            .spawn(async move { upstream.routes.prepare(&call).await });
    }

    pub(super) fn changed(&mut self, call: CallName, state: StateName) {
        let entry = self.entry(&call);
        let before = std::mem::replace(&mut entry.state, state);
        entry.since = Instant::now();
        self.world.metrics.call_changed(Some(before), Some(state));
        self.world.bus.publish(&call, Event::CallChanged(state));
        if before == StateName::Stopping && state == StateName::Idle {
            self.prepare(&call);
        }
        self.forget_streams(&call);
    }

    pub(super) fn ended(&mut self, call: &CallName, ending: Ending) {
        let Some(entry) = self.calls.remove(call) else {
            return;
        };
        self.streams.retain(|_, stream| stream.spec.call != *call);
        self.world.upstream.routes.forget(call);
        self.world.metrics.call_changed(Some(entry.state), None);
        self.live.send_replace(self.calls.len());
        if !entry.has_media {
            self.forget_names(call);
            return;
        }
        self.world.metrics.call_ended(call.namespace, ending);
        self.world.bus.publish(call, Event::CallEnded(ending));
        self.forget_names(call);
        self.remembered.add(call.clone(), Instant::now());
        entry.log_end(ending);
    }

    /// Whether media has come under this name, lately at least.
    pub(super) fn has_had_media(&mut self, call: &CallName) -> bool {
        let has = self.calls.get(call).is_some_and(|entry| entry.has_media);
        has || self.remembered.ended_ago(call, Instant::now()).is_some()
    }

    /// Counts the calls whose media is over and that are not.
    pub(super) fn look_for_overdue(&self) {
        let late = |entry: &&CallEntry| {
            entry.state == StateName::Draining && entry.since.elapsed() > self.world.overdue_after
        };
        self.world
            .metrics
            .calls_overdue(self.calls.values().filter(late).count());
    }

    /// Streams that are done are kept until the next change of state, so that they can be looked
    /// at.
    fn forget_streams(&mut self, call: &CallName) {
        let known: Vec<StreamId> = match self.switchboard.call(call) {
            Some(view) => view.streams.into_iter().map(|stream| stream.id).collect(),
            None => return,
        };
        self.streams.retain(|id, stream| {
            stream.spec.call != *call || stream.report.is_none() || known.contains(id)
        });
    }
}

impl CallEntry {
    /// More identifiers of one call are not kept: successive sessions bring new ones.
    const IDENTIFIERS_MAX: usize = 64;

    fn new(call: &CallName) -> Self {
        Self {
            began_unix_ms: unix_ms(),
            began: Instant::now(),
            state: StateName::Idle,
            since: Instant::now(),
            has_media: false,
            identifiers: Vec::new(),
            zero: None,
            span: tracing::info_span!("call", namespace = %call.namespace, guid = %call.guid),
        }
    }

    /// Adds what is new.
    pub(super) fn identify(&mut self, identifiers: &[(&'static str, String)]) {
        for identifier in identifiers {
            let is_known = self.identifiers.contains(identifier);
            if !is_known && self.identifiers.len() < Self::IDENTIFIERS_MAX {
                self.identifiers.push(identifier.clone());
            }
        }
    }

    fn log_end(&self, ending: Ending) {
        let (fault, reason) = (ending.fault.as_str(), ending.reason);
        let seconds = self.began.elapsed().as_secs();
        self.span.in_scope(|| match ending.fault {
            Fault::Client | Fault::Nobody => {
                tracing::info!(fault, reason, seconds, "The call ended.");
            }
            Fault::Gateway => tracing::error!(fault, reason, seconds, "The call ended."),
            Fault::Unknown | Fault::Upstream => {
                tracing::warn!(fault, reason, seconds, "The call ended.");
            }
        });
    }
}
