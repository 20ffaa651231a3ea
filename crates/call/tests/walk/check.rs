//! What must hold, after every step and when nothing is under way.

use super::*;

impl World {
    /// No gate is open, and none is about to.
    pub(super) fn check_sealed(&self, call: usize) -> Holds {
        let open = self.legs.iter().filter(|leg| leg.call == call).find(|leg| {
            let about_to = leg
                .orders
                .iter()
                .any(|order| matches!(order, Order::Open(_)));
            leg.gate == Gate::Open || about_to
        });
        hold(open.is_none(), 1, || {
            "a gate is open at the answer of a stop or pause".to_owned()
        })
    }

    /// One report a stream of the newest start; without an error, all of them are well.
    pub(super) fn check_reports(
        &self,
        call: usize,
        outcome: &Outcome,
        is_well: fn(&Stream) -> bool,
    ) -> Holds {
        let run: BTreeSet<_> = self.calls[call].run.iter().collect();
        let reports: BTreeSet<_> = outcome.reports.iter().map(|report| &report.id).collect();
        hold(
            run == reports && reports.len() == outcome.reports.len(),
            2,
            || format!("streams {run:?}, but reports {reports:?}"),
        )?;
        let well = self
            .streams
            .iter()
            .filter(|stream| run.contains(&stream.spec.id))
            .all(is_well);
        hold(well || outcome.error.is_some(), 2, || {
            format!("not well, but {outcome:?}")
        })?;
        let summed = outcome.reports.iter().all(|report| report.status.is_ok());
        hold(summed == outcome.error.is_none() || summed, 2, || {
            format!("told as well: {outcome:?}")
        })
    }

    /// A leg that joins has a role by the order of the start, by what the platform suggests, or by
    /// its side; what the other leg has is not to be had again.
    pub(super) fn check_cast(
        &self,
        at: usize,
        (side, suggested): (Side, Option<Role>),
        spec: &StreamSpec,
    ) -> Holds {
        let call = &self.calls[at];
        let Some(start) = &call.start else {
            return broken(6, "a stream without a start");
        };
        hold(spec.call == call.name, 6, || {
            format!("{} has a stream of {}", call.name, spec.call)
        })?;
        let due = match suggested {
            Some(Role::Mixed) => Role::Customer,
            Some(role) if !start.is_ordered => role,
            _ if side == Side::First => start.first.role,
            _ => start.second.role,
        };
        let of_run = |stream: &&Stream| call.run.contains(&stream.spec.id);
        let taken = self.streams.iter().find(of_run);
        let role = match taken.map(|stream| stream.spec.role) {
            Some(Role::Agent) if due == Role::Agent => Role::Customer,
            Some(Role::Customer | Role::Mixed) if due == Role::Customer => Role::Agent,
            _ if suggested == Some(Role::Mixed) => Role::Mixed,
            _ => due,
        };
        hold(spec.role == role, 6, || {
            format!("{side} with {suggested:?} became {}, not {role}", spec.role)
        })
    }

    pub(super) fn check(&self) -> Holds {
        for (at, call) in self.calls.iter().enumerate() {
            let view = self.board.call(&call.name);
            let state = view.as_ref().map(|view| view.state);
            hold(state == call.told, 3, || {
                format!("told {:?}, shown {state:?}", call.told)
            })?;
            let shown = view.as_ref().map_or(&[][..], |view| &view.legs);
            let live = self.legs.iter().filter(|leg| leg.call == at);
            let known = live
                .clone()
                .all(|leg| shown.iter().any(|shown| shown.id == leg.id));
            hold(known && live.count() == shown.len(), 4, || {
                format!("legs shown: {shown:?}")
            })?;
            let open = || {
                self.legs
                    .iter()
                    .any(|leg| leg.call == at && leg.gate == Gate::Open)
            };
            hold(!call.sealed || !open(), 1, || {
                "a gate is open after a stop or pause".to_owned()
            })?;
        }
        Ok(())
    }

    pub(super) fn check_answered(&self) -> Holds {
        hold(self.pending.is_empty(), 2, || {
            format!("never answered: {:?}", self.pending)
        })
    }

    /// Nothing is under way: states and gates agree.
    pub(super) fn check_rest(&self) -> Holds {
        self.check_answered()?;
        for (at, call) in self.calls.iter().enumerate() {
            let gates = |gate| {
                self.legs
                    .iter()
                    .filter(|leg| leg.call == at && leg.gate == gate)
                    .count()
            };
            let agree = match call.told {
                None => true,
                Some(StateName::Idle) => gates(Gate::Open) + gates(Gate::Paused) == 0,
                Some(StateName::Paused) => gates(Gate::Open) == 0 && gates(Gate::Paused) > 0,
                Some(StateName::Streaming) => gates(Gate::Open) > 0 && gates(Gate::Paused) == 0,
                Some(
                    StateName::Awaited
                    | StateName::Draining
                    | StateName::Starting
                    | StateName::Stopping,
                ) => return broken(5, format!("{:?} does not pass", call.told)),
            };
            hold(agree, 3, || {
                format!("{:?}, but the gates are otherwise", call.told)
            })?;
            self.check_streaming(at)?;
        }
        Ok(())
    }

    /// While streaming a gate is shut for a reason, and an open one leads to a stream of the start.
    pub(super) fn check_streaming(&self, at: usize) -> Holds {
        let call = &self.calls[at];
        if call.told != Some(StateName::Streaming) {
            return Ok(());
        }
        for leg in self.legs.iter().filter(|leg| leg.call == at) {
            let id = leg.id;
            hold(call.heard.contains(&leg.side), 3, || {
                format!("leg {id} has not joined")
            })?;
            if leg.gate == Gate::Open {
                let leads = leg
                    .stream
                    .as_ref()
                    .is_some_and(|stream| call.run.contains(stream));
                hold(leads, 3, || format!("leg {id} leads to an older stream"))?;
                let failed = self.streams.iter().any(|stream| {
                    leg.stream.as_ref() == Some(&stream.spec.id) && stream.stage == Stage::Failed
                });
                hold(!failed, 3, || format!("leg {id} leads to a failed stream"))?;
            }
        }
        Ok(())
    }
}
