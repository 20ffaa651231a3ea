//! The gates: opened towards a new stream, or the one that was held, and shut.

use std::sync::Arc;

use call::feed::{ChunkSource, LineConfig};
use call::name::{LegId, Ticket};
use call::start::{Grounds, Report, Status, StreamSpec};
use call::switchboard::{Input, Then};
use tracing::Instrument;
use upstream::stream::Stream;

use super::{Desk, StreamEntry};
use crate::events::Event;

impl Desk {
    pub(super) fn open_gate(&mut self, leg: LegId, mut spec: StreamSpec, grounds: Grounds) {
        if self.resume(leg, &spec) {
            return;
        }
        spec.wish = self.wish_of(leg, &spec);
        let Some(source) = self.opening(leg, &spec) else {
            let status = Status::internal("the media ended before its stream was opened");
            let report = Report {
                id: spec.id,
                role: spec.role,
                status,
                summary: None,
            };
            return self.tell(Input::StreamFailed(report));
        };
        let role = self.role_of(leg, &spec, grounds);
        let (handle, stream) = Stream::new(Arc::clone(&self.world.upstream), spec.clone(), source);
        let span = self.calls.get(&spec.call).map(|entry| entry.span.clone());
        let span = span.unwrap_or_else(tracing::Span::none);
        span.in_scope(|| {
            let (reason, confidence) = (&role.reason, role.confidence);
            tracing::debug!(%leg, role = %role.role, reason, confidence, "A leg has its role.");
        });
        self.tell_role(leg, &role);
        let opened = Event::StreamOpened {
            stream: spec.id.clone(),
            role: spec.role,
            external: Arc::clone(&spec.external),
        };
        self.world.bus.publish(&spec.call, opened);
        // Only now: the stream tells its own news from another thread, and it was opened first.
        self.world.tasks.spawn(stream.run().instrument(span));
        let entry = StreamEntry {
            handle,
            spec,
            leg,
            role,
            service: None,
            report: None,
        };
        self.streams.insert(entry.spec.id.clone(), entry);
    }

    pub(super) fn shut_gate(&mut self, leg: LegId, ticket: Ticket, then: Then) {
        // Only a command discards; the switchboard also shuts gates by itself, with other tickets.
        let discard = self.world.discard_backlog && ticket.0 <= self.tickets;
        if let Some(entry) = self.legs.get_mut(&leg) {
            match then {
                Then::Finish => {
                    entry.opened.control.shut(discard);
                    entry.want(false);
                }
                Then::Hold => entry.opened.control.pause(discard),
            }
        }
        // The gate was shut when the call above returned; a leg that is gone took its gate along.
        self.tell(Input::GateShut(leg, ticket));
    }

    /// Opens a gate again towards the stream that it holds; false if it holds another or none.
    fn resume(&self, leg: LegId, spec: &StreamSpec) -> bool {
        let held = self.streams.get(&spec.id);
        let entry = self.legs.get(&leg);
        held.is_some_and(|held| held.leg == leg)
            && entry.is_some_and(|entry| entry.opened.control.resume())
    }

    /// Opens a leg's gate at the one zero that all legs of this start share.
    fn opening(&mut self, leg: LegId, spec: &StreamSpec) -> Option<ChunkSource> {
        let leg = self.legs.get_mut(&leg)?;
        let call = self.calls.get_mut(&spec.call)?;
        let clock = leg.opened.control.clock();
        let zero = match &call.zero {
            Some((start, of, zero)) if Arc::ptr_eq(start, &spec.options) && of.is_same(clock) => {
                *zero
            }
            _ => clock.now(),
        };
        call.zero = Some((Arc::clone(&spec.options), clock.clone(), zero));
        let limits = self.world.upstream.routes.limits(spec.role, &spec.wish);
        let line = LineConfig::cut(limits.chunk, self.world.backlog_max);
        let control = &leg.opened.control;
        let source = control.open_within(zero, line, &self.world.backlogs)?;
        leg.want(true);
        Some(source)
    }
}
