//! One call as the switchboard knows it: its state, its legs with their gates, and its older
//! streams.

use std::time::Instant;

use crate::ending::{Ending, Fault};
use crate::name::{CallName, LegId, Role, Side, StreamId, Ticket};
use crate::start::Report;
use crate::switchboard::{CallView, LegView, NewLeg, Output, StreamView, Then};
use crate::table::desk::Desk;
use crate::table::run::Run;
use crate::table::state::State;

/// One call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: CallName,
    pub(crate) state: State,
    /// Every leg that has not ended, those included that were told to.
    legs: Vec<Leg>,
    /// Streams of older starts that have not come to their end. They hold up nothing but the end
    /// of the call.
    late: Vec<Late>,
    /// How its last leg ended.
    pub(crate) ending: Ending,
    /// Whether any of its streams was given up.
    has_failed: bool,
}

#[derive(Debug)]
struct Leg {
    id: LegId,
    side: Side,
    /// Who speaks, if the platform says so.
    suggested: Option<Role>,
    gate: Gate,
    /// Told to end: it never takes part again.
    retired: bool,
}

/// What the switchboard knows of a leg's gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    /// Told to open, perhaps not open yet.
    Open,
    /// Confirmed, or never opened. During a pause: held.
    Shut,
    /// Told to shut, not confirmed. After `by` the leg counts as deaf.
    Shutting { ticket: Ticket, by: Instant },
}

#[derive(Debug)]
struct Late {
    id: StreamId,
    role: Role,
    state: &'static str,
    until: Instant,
}

impl Call {
    pub(crate) fn new(name: CallName, state: State) -> Self {
        let ending = Ending::new(Fault::Unknown, "unknown");
        Self {
            name,
            state,
            legs: Vec::new(),
            late: Vec::new(),
            ending,
            has_failed: false,
        }
    }

    /// Whether nothing of it is left to wait for.
    pub(crate) fn is_over(&self, _desk: &Desk<'_>) -> bool {
        let legs = self.legs.is_empty() || planted!(_desk, CallForgottenWithLeg);
        matches!(self.state, State::Draining) && legs && self.late.is_empty()
    }

    /// How it ended, once it is over.
    pub(crate) fn ending(&self) -> Ending {
        if self.has_failed {
            Ending::new(Fault::Upstream, "stream_failed")
        } else {
            self.ending
        }
    }

    /// Whether it has a leg that was not told to end.
    pub(crate) fn has_media(&self) -> bool {
        self.legs.iter().any(|leg| !leg.retired)
    }

    /// Whether every gate that was told to shut has confirmed. A leg that ended has.
    pub(crate) fn is_confirmed(&self) -> bool {
        !self
            .legs
            .iter()
            .any(|leg| matches!(leg.gate, Gate::Shutting { .. }))
    }

    /// When to look at it again.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let deaf = self.legs.iter().filter_map(|leg| match leg.gate {
            Gate::Shutting { by, .. } if !leg.retired => Some(by),
            _ => None,
        });
        let late = self.late.iter().map(|late| late.until);
        deaf.chain(late).chain(self.state.deadline()).min()
    }

    /// Takes in a leg, its gate shut. On one side the newest media wins; returns the leg it
    /// replaces.
    pub(crate) fn admit(&mut self, desk: &mut Desk<'_>, new: NewLeg) -> Option<LegId> {
        let NewLeg {
            id,
            side,
            suggested,
        } = new;
        let older = self
            .legs
            .iter()
            .find(|leg| leg.side == side && !leg.retired)
            .map(|leg| leg.id);
        if let Some(older) = older.filter(|_| !planted!(desk, ReplacedLegKept)) {
            if self.leg(older).is_some_and(|leg| leg.gate == Gate::Open) {
                let ticket = desk.ticket();
                self.shut(desk, older, ticket, Then::Finish);
            }
            self.retire(desk, older);
        }
        desk.index.legs.insert(id, self.name.clone());
        self.legs.push(Leg {
            id,
            side,
            suggested,
            gate: Gate::Shut,
            retired: false,
        });
        older
    }

    /// The platform has another opinion of who speaks on a leg. The next stream will have it.
    pub(crate) fn learn(&mut self, _desk: &Desk<'_>, id: LegId, suggested: Option<Role>) {
        if let Some(leg) = self
            .leg(id)
            .filter(|_| !planted!(_desk, LearnedRoleIgnored))
        {
            leg.suggested = suggested;
        }
    }

    /// A leg has ended, and its gate with it.
    pub(crate) fn remove(&mut self, desk: &mut Desk<'_>, id: LegId, ending: Ending) {
        desk.index.legs.remove(&id);
        self.legs.retain(|leg| leg.id != id);
        self.ending = ending;
    }

    /// A leg confirms a shutting; only the newest one counts.
    pub(crate) fn confirm(&mut self, _desk: &Desk<'_>, id: LegId, ticket: Ticket) {
        if let Some(leg) = self.leg(id)
            && let Gate::Shutting { ticket: newest, .. } = leg.gate
            && (newest == ticket || planted!(_desk, TicketIgnored))
        {
            leg.gate = Gate::Shut;
        }
    }

    /// Opens the gate of every leg on a side that has had no media since the start.
    pub(crate) fn join(&mut self, desk: &mut Desk<'_>, run: &mut Run) {
        let is_new = |leg: &&mut Leg| !leg.retired && !run.has_heard(leg.side);
        let mut legs: Vec<_> = self.legs.iter_mut().filter(is_new).collect();
        // A leg of which nothing is known takes what those leave of which something is.
        legs.sort_by_key(|leg| leg.suggested.is_none());
        for leg in legs {
            let new = NewLeg {
                id: leg.id,
                side: leg.side,
                suggested: leg.suggested,
            };
            let (spec, grounds) = run.join(desk, new);
            let (id, call) = (spec.id.clone(), self.name.clone());
            desk.index.streams.insert(id, call);
            leg.gate = Gate::Open;
            desk.order(Output::OpenGate(leg.id, spec, grounds));
        }
    }

    /// Opens the gates of a running start again.
    pub(crate) fn reopen(&mut self, desk: &mut Desk<'_>, run: &Run) {
        for (id, spec, grounds) in run.heard() {
            if let Some(leg) = self.leg(id) {
                leg.gate = Gate::Open;
                desk.order(Output::OpenGate(id, spec.clone(), grounds));
            }
        }
    }

    /// Shuts a leg's gate; only a receipt with this ticket confirms it.
    pub(crate) fn shut(&mut self, desk: &mut Desk<'_>, id: LegId, ticket: Ticket, then: Then) {
        let patience = desk.now + desk.patience.gate_timeout;
        if let Some(leg) = self.leg(id) {
            let by = match leg.gate {
                Gate::Shutting { by, .. } => by,
                Gate::Open | Gate::Shut => patience,
            };
            leg.gate = Gate::Shutting { ticket, by };
            desk.order(Output::ShutGate(id, ticket, then));
        }
    }

    /// A stream was given up: its gate is shut, and its sound forgotten.
    pub(crate) fn fail(&mut self, desk: &mut Desk<'_>, run: &mut Run, report: Report) {
        let id = report.id.clone();
        let Some(part) = run.fail(report) else {
            self.forget_failed(desk, &id);
            return;
        };
        self.has_failed = true;
        if let Some(leg) = part.leg.filter(|_| !planted!(desk, FailedGateLeftOpen)) {
            let ticket = desk.ticket();
            self.shut(desk, leg, ticket, Then::Finish);
        }
    }

    /// `start_timeout` is over: what is not ready has failed.
    pub(crate) fn time_out(&mut self, desk: &mut Desk<'_>, run: &mut Run) {
        for undone in run.time_out() {
            self.has_failed = true;
            if let Some(leg) = undone.leg {
                let ticket = desk.ticket();
                self.shut(desk, leg, ticket, Then::Finish);
            }
            desk.order(Output::AbandonStream(undone.stream));
        }
    }

    /// A stream of an older start has come to its end.
    pub(crate) fn forget(&mut self, desk: &mut Desk<'_>, id: &StreamId) {
        for late in self.late.extract_if(.., |late| late.id == *id) {
            forget(desk, &late.id);
        }
    }

    /// A stream of an older start was given up.
    pub(crate) fn forget_failed(&mut self, desk: &mut Desk<'_>, id: &StreamId) {
        self.has_failed |= self.late.iter().any(|late| late.id == *id);
        self.forget(desk, id);
    }

    /// The running start is over. What has not come to its end drains on.
    pub(crate) fn dissolve(&mut self, desk: &mut Desk<'_>, run: Run) {
        let until = desk.now + desk.patience.drain_timeout;
        for part in run.into_parts() {
            if part.stage.is_over() {
                forget(desk, &part.spec.id);
            } else {
                self.late.push(Late {
                    id: part.spec.id,
                    role: part.spec.role,
                    state: part.stage.as_str(),
                    until,
                });
            }
        }
    }

    /// Ends the legs that did not confirm in time, and returns them; forgets the streams that did
    /// not finish in time.
    pub(crate) fn expire(&mut self, desk: &mut Desk<'_>) -> Vec<LegId> {
        let now = desk.now;
        let is_deaf =
            |leg: &&Leg| matches!(leg.gate, Gate::Shutting { by, .. } if by <= now) && !leg.retired;
        let deaf: Vec<_> = self.legs.iter().filter(is_deaf).map(|leg| leg.id).collect();
        if !planted!(desk, DeafLegKept) {
            deaf.iter().for_each(|&leg| self.retire(desk, leg));
        }
        if !planted!(desk, DrainNeverEnds) {
            for late in self.late.extract_if(.., |late| late.until <= now) {
                forget(desk, &late.id);
            }
        }
        deaf
    }

    /// As the native API sees it.
    pub(crate) fn view(&self) -> CallView {
        let legs = self
            .legs
            .iter()
            .map(|leg| LegView {
                id: leg.id,
                side: leg.side,
            })
            .collect();
        let late = self.late.iter().map(|late| StreamView {
            id: late.id.clone(),
            role: late.role,
            leg: None,
            state: late.state,
        });
        let streams = self.state.run().map(Run::views).unwrap_or_default();
        let streams = streams.into_iter().chain(late).collect();
        CallView {
            name: self.name.clone(),
            state: self.state.name(),
            legs,
            streams,
        }
    }

    fn retire(&mut self, desk: &mut Desk<'_>, id: LegId) {
        if let Some(leg) = self.leg(id) {
            leg.retired = true;
            desk.order(Output::EndLeg(id));
        }
    }

    fn leg(&mut self, id: LegId) -> Option<&mut Leg> {
        self.legs.iter_mut().find(|leg| leg.id == id)
    }
}

fn forget(desk: &mut Desk<'_>, id: &StreamId) {
    if !planted!(desk, StreamsRemembered) {
        desk.index.streams.remove(id);
    }
}
