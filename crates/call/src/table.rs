//! The switchboard's transition table: one function a state, each naming every input, so that a new
//! input does not compile until somebody has decided what it means in each state.
//!
//! Every function first takes in what happened and then asks what follows from it. Nothing follows
//! while a gate that was told to shut has not confirmed, but refusals.

pub(crate) mod call;
pub(crate) mod desk;
mod run;
mod running;
mod state;

use crate::ending::{Ending, Fault};
use crate::name::{CallName, Ticket};
use crate::start::Start;
use crate::switchboard::{Input, Outcome, Output, Refusal};
use crate::table::call::Call;
use crate::table::desk::Desk;
use crate::table::running::{begin, paused, starting, stopping, streaming};
use crate::table::state::{Awaited, State};

/// What an input makes of a call, or of nothing. `None`: there is nothing (any more).
pub(crate) fn turn(call: Option<Call>, desk: &mut Desk<'_>, input: Input) -> Option<Call> {
    let before = call.as_ref().map(|call| call.state.name());
    let call = match call {
        None => nothing(desk, input)?,
        Some(call) => step(call, desk, input),
    };
    if call.is_over(desk) {
        desk.order(Output::Ended(call.name.clone(), call.ending()));
        return None;
    }
    let after = call.state.name();
    if before != Some(after) {
        desk.order(Output::Changed(call.name.clone(), after));
    }
    Some(call)
}

fn step(mut call: Call, desk: &mut Desk<'_>, input: Input) -> Call {
    // Every function gives a state back; what stands here meanwhile is never seen.
    let state = std::mem::replace(&mut call.state, State::Draining);
    call.state = match state {
        State::Awaited(state) => awaited(&mut call, desk, state, input),
        State::Draining => draining(&mut call, desk, input),
        State::Idle => idle(&mut call, desk, input),
        State::Paused(state) => paused(&mut call, desk, state, input),
        State::Starting(state) => starting(&mut call, desk, state, input),
        State::Stopping(state) => stopping(&mut call, desk, state, input),
        State::Streaming(run) => streaming(&mut call, desk, run, input),
    };
    call
}

fn nothing(desk: &mut Desk<'_>, input: Input) -> Option<Call> {
    match input {
        Input::LegOpened(name, leg) => {
            let mut call = Call::new(name, State::Idle);
            call.admit(desk, leg);
            Some(call)
        }
        Input::Start(ticket, name, start) => await_media(desk, ticket, name, start),
        Input::Stop(ticket, _) | Input::Pause(ticket, _) | Input::Resume(ticket, _) => {
            desk.refuse(ticket, Refusal::NoCall);
            None
        }
        Input::GateShut(..)
        | Input::LegEnded(..)
        | Input::LegLearned(..)
        | Input::Renamed { .. }
        | Input::StreamFailed(_)
        | Input::StreamFinished(_)
        | Input::StreamReady(_)
        | Input::Tick => None,
    }
}

fn await_media(
    desk: &mut Desk<'_>,
    ticket: Ticket,
    name: CallName,
    start: Box<Start>,
) -> Option<Call> {
    let grace = desk.patience.start_grace;
    if grace.is_zero() || desk.index.awaited >= desk.patience.awaited_max {
        desk.refuse(ticket, Refusal::NoCall);
        return None;
    }
    let until = desk.now + grace;
    desk.index.awaited += 1;
    Some(Call::new(
        name,
        State::Awaited(Awaited {
            ticket,
            start,
            until,
        }),
    ))
}

fn awaited(call: &mut Call, desk: &mut Desk<'_>, awaited: Awaited, input: Input) -> State {
    match input {
        Input::LegOpened(_, leg) => {
            desk.index.awaited -= 1;
            call.admit(desk, leg);
            return begin(call, desk, awaited.ticket, awaited.start);
        }
        Input::Renamed { to, .. } => {
            desk.index.awaited -= 1;
            if !planted!(desk, RenamedStartLost) {
                let start = Box::new(awaited.start.of_call(&to));
                desk.index.moved = Some((awaited.ticket, to, start));
            }
            call.ending = Ending::new(Fault::Nobody, "renamed");
            return State::Draining;
        }
        Input::Start(ticket, ..) | Input::Pause(ticket, _) | Input::Resume(ticket, _) => {
            desk.refuse(ticket, Refusal::Pending);
        }
        Input::Stop(ticket, _) => {
            desk.index.awaited -= 1;
            desk.refuse(awaited.ticket, Refusal::Pending);
            desk.answer(ticket, done());
            call.ending = Ending::new(Fault::Client, "start_stopped");
            return State::Draining;
        }
        Input::Tick => {
            if awaited.until <= desk.now && !planted!(desk, AwaitedNeverExpires) {
                desk.index.awaited -= 1;
                desk.refuse(awaited.ticket, Refusal::NoCall);
                call.ending = Ending::new(Fault::Client, "no_media");
                return State::Draining;
            }
        }
        // It has no leg and no stream.
        Input::GateShut(..)
        | Input::LegEnded(..)
        | Input::LegLearned(..)
        | Input::StreamFailed(_)
        | Input::StreamFinished(_)
        | Input::StreamReady(_) => {}
    }
    State::Awaited(awaited)
}

fn idle(call: &mut Call, desk: &mut Desk<'_>, input: Input) -> State {
    match input {
        Input::LegOpened(_, leg) => {
            call.admit(desk, leg);
        }
        Input::LegEnded(leg, ending) => call.remove(desk, leg, ending),
        Input::LegLearned(leg, suggested) => call.learn(desk, leg, suggested),
        // No start waits here.
        Input::Renamed { .. } => {}
        Input::GateShut(leg, ticket) => call.confirm(desk, leg, ticket),
        Input::StreamReady(_) => {}
        Input::StreamFailed(report) => call.forget_failed(desk, &report.id),
        Input::StreamFinished(report) => call.forget(desk, &report.id),
        Input::Start(ticket, _, start) => return begin(call, desk, ticket, start),
        Input::Stop(ticket, _) | Input::Pause(ticket, _) | Input::Resume(ticket, _) => {
            desk.refuse(ticket, Refusal::Already);
        }
        Input::Tick => {
            call.expire(desk);
        }
    }
    rest(call)
}

fn draining(call: &mut Call, desk: &mut Desk<'_>, input: Input) -> State {
    match input {
        Input::LegOpened(_, leg) => {
            call.admit(desk, leg);
        }
        Input::LegEnded(leg, ending) => call.remove(desk, leg, ending),
        Input::LegLearned(leg, suggested) => call.learn(desk, leg, suggested),
        // No start waits here.
        Input::Renamed { .. } => {}
        Input::GateShut(leg, ticket) => call.confirm(desk, leg, ticket),
        // It flushes and finishes by itself: its leg is gone.
        Input::StreamReady(_) => {}
        Input::StreamFailed(report) => call.forget_failed(desk, &report.id),
        Input::StreamFinished(report) => call.forget(desk, &report.id),
        Input::Start(ticket, ..)
        | Input::Stop(ticket, _)
        | Input::Pause(ticket, _)
        | Input::Resume(ticket, _) => desk.refuse(ticket, Refusal::Draining),
        Input::Tick => {
            call.expire(desk);
        }
    }
    rest(call)
}

/// Where a call without a running start stands.
fn rest(call: &Call) -> State {
    if call.has_media() {
        State::Idle
    } else {
        State::Draining
    }
}

fn done() -> Outcome {
    Outcome {
        error: None,
        reports: Vec::new(),
    }
}
