//! The states of a call while a start runs: starting, streaming, paused, stopping.

use crate::name::Ticket;
use crate::start::{Report, Start};
use crate::switchboard::{Input, NewLeg, Output, Refusal, Then};
use crate::table::call::Call;
use crate::table::desk::Desk;
use crate::table::run::Run;
use crate::table::state::{Paused, Starting, State, Stopping};
use crate::table::{done, rest};

pub(super) fn begin(
    call: &mut Call,
    desk: &mut Desk<'_>,
    ticket: Ticket,
    start: Box<Start>,
) -> State {
    let mut run = Run::new(start);
    call.join(desk, &mut run);
    let until = Some(desk.now + desk.patience.start_timeout);
    State::Starting(Starting { ticket, run, until })
}

pub(super) fn starting(
    call: &mut Call,
    desk: &mut Desk<'_>,
    mut starting: Starting,
    input: Input,
) -> State {
    let Starting {
        ticket: start,
        run,
        until,
    } = &mut starting;
    match input {
        Input::LegOpened(_, leg) => {
            replace(call, desk, run, leg);
            // Past `start_timeout` a side without media means that the other has failed, and the
            // start with it: a leg that comes now would be waited for for ever.
            if until.is_some() || planted!(desk, LateJoinerAwaited) {
                call.join(desk, run);
            }
        }
        Input::LegEnded(leg, ending) => {
            run.lose(leg);
            call.remove(desk, leg, ending);
        }
        Input::LegLearned(leg, suggested) => call.learn(desk, leg, suggested),
        Input::Renamed { .. } => {}
        Input::GateShut(leg, ticket) => call.confirm(desk, leg, ticket),
        Input::StreamReady(id) => run.ready(&id),
        Input::StreamFailed(report) => call.fail(desk, run, report),
        Input::StreamFinished(report) => finish(call, desk, run, report),
        Input::Start(ticket, ..) | Input::Pause(ticket, _) | Input::Resume(ticket, _) => {
            desk.refuse(ticket, Refusal::Pending);
        }
        Input::Stop(ticket, _) => {
            desk.refuse(*start, Refusal::Pending);
            return stop(call, desk, starting.run, ticket);
        }
        Input::Tick => {
            expire(call, desk, run);
            if until.is_some_and(|until| until <= desk.now) {
                *until = None;
                call.time_out(desk, run);
            }
        }
    }
    decide(call, desk, starting)
}

/// A start is answered when every leg is decided.
fn decide(call: &mut Call, desk: &mut Desk<'_>, starting: Starting) -> State {
    if starting.run.is_opening() || !call.is_confirmed() {
        return State::Starting(starting);
    }
    let Starting {
        ticket, mut run, ..
    } = starting;
    if !call.has_media() {
        if !planted!(desk, StartLostWithLastLeg) {
            desk.refuse(ticket, Refusal::Draining);
        }
    } else {
        let outcome = run.started();
        desk.answer(ticket, outcome);
    }
    carry_on(call, desk, run)
}

pub(super) fn streaming(call: &mut Call, desk: &mut Desk<'_>, mut run: Run, input: Input) -> State {
    match input {
        Input::LegOpened(_, leg) => {
            replace(call, desk, &mut run, leg);
            if !planted!(desk, OtherHalfIgnored) {
                call.join(desk, &mut run);
            }
        }
        Input::LegEnded(leg, ending) => {
            run.lose(leg);
            call.remove(desk, leg, ending);
        }
        Input::LegLearned(leg, suggested) => call.learn(desk, leg, suggested),
        Input::Renamed { .. } => {}
        Input::GateShut(leg, ticket) => call.confirm(desk, leg, ticket),
        Input::StreamReady(id) => run.ready(&id),
        Input::StreamFailed(report) => call.fail(desk, &mut run, report),
        Input::StreamFinished(report) => finish(call, desk, &mut run, report),
        Input::Start(ticket, ..) | Input::Resume(ticket, _) => {
            desk.refuse(ticket, Refusal::Already);
        }
        Input::Pause(ticket, _) => return pause(call, desk, run, ticket),
        Input::Stop(ticket, _) => return stop(call, desk, run, ticket),
        Input::Tick => expire(call, desk, &mut run),
    }
    carry_on(call, desk, run)
}

/// A start whose last stream is lost is over; newer media needs a new one.
fn carry_on(call: &mut Call, desk: &mut Desk<'_>, run: Run) -> State {
    if run.is_up() || !call.is_confirmed() {
        return State::Streaming(run);
    }
    call.dissolve(desk, run);
    rest(call)
}

fn pause(call: &mut Call, desk: &mut Desk<'_>, run: Run, ticket: Ticket) -> State {
    let legs: Vec<_> = run.heard().map(|(leg, ..)| leg).collect();
    for leg in legs {
        call.shut(desk, leg, ticket, Then::Hold);
    }
    hold(
        call,
        desk,
        Paused {
            run,
            ticket: Some(ticket),
        },
    )
}

pub(super) fn paused(
    call: &mut Call,
    desk: &mut Desk<'_>,
    mut paused: Paused,
    input: Input,
) -> State {
    let Paused { run, ticket: pause } = &mut paused;
    match input {
        Input::LegOpened(_, leg) => {
            replace(call, desk, run, leg);
            if planted!(desk, PausedLegOpened) {
                call.join(desk, run);
            }
        }
        Input::LegEnded(leg, ending) => {
            run.lose(leg);
            call.remove(desk, leg, ending);
        }
        Input::LegLearned(leg, suggested) => call.learn(desk, leg, suggested),
        Input::Renamed { .. } => {}
        Input::GateShut(leg, ticket) => call.confirm(desk, leg, ticket),
        Input::StreamReady(id) => run.ready(&id),
        Input::StreamFailed(report) => call.fail(desk, run, report),
        Input::StreamFinished(report) => finish(call, desk, run, report),
        Input::Start(ticket, ..) => desk.refuse(ticket, Refusal::Already),
        Input::Pause(ticket, _) => {
            let refusal = if pause.is_some() {
                Refusal::Pending
            } else {
                Refusal::Already
            };
            desk.refuse(ticket, refusal);
        }
        Input::Resume(ticket, _) if pause.is_some() && !planted!(desk, ResumeBeforeReceipt) => {
            desk.refuse(ticket, Refusal::Pending);
        }
        Input::Resume(ticket, _) => {
            call.reopen(desk, run);
            call.join(desk, run);
            desk.answer(ticket, done());
            return carry_on(call, desk, paused.run);
        }
        Input::Stop(ticket, _) => {
            if let Some(pause) = pause.filter(|_| !planted!(desk, StopLosesPause)) {
                desk.refuse(pause, Refusal::Pending);
            }
            return stop(call, desk, paused.run, ticket);
        }
        Input::Tick => expire(call, desk, run),
    }
    hold(call, desk, paused)
}

/// A pause is answered when every gate has confirmed.
fn hold(call: &mut Call, desk: &mut Desk<'_>, mut paused: Paused) -> State {
    if !call.is_confirmed() && !planted!(desk, PauseAnswersEarly) {
        return State::Paused(paused);
    }
    let is_lost = !paused.run.is_up() && planted!(desk, PauseLostWithLastStream);
    if let Some(ticket) = paused.ticket.take().filter(|_| !is_lost) {
        let outcome = paused.run.held();
        desk.answer(ticket, outcome);
    }
    if paused.run.is_up() {
        return State::Paused(paused);
    }
    call.dissolve(desk, paused.run);
    rest(call)
}

/// All gates are shut first; what was said before is then flushed and finished.
fn stop(call: &mut Call, desk: &mut Desk<'_>, mut run: Run, ticket: Ticket) -> State {
    let legs: Vec<_> = run.heard().map(|(leg, ..)| leg).collect();
    for leg in legs {
        call.shut(desk, leg, ticket, Then::Finish);
    }
    for undone in run.stop() {
        desk.order(Output::AbandonStream(undone.stream));
    }
    let until = Some(desk.now + desk.patience.stop_timeout);
    wind_up(call, desk, Stopping { ticket, run, until })
}

pub(super) fn stopping(
    call: &mut Call,
    desk: &mut Desk<'_>,
    mut stopping: Stopping,
    input: Input,
) -> State {
    let Stopping { run, until, .. } = &mut stopping;
    match input {
        Input::LegOpened(_, leg) => replace(call, desk, run, leg),
        Input::LegEnded(leg, ending) => {
            run.lose(leg);
            call.remove(desk, leg, ending);
        }
        Input::LegLearned(leg, suggested) => call.learn(desk, leg, suggested),
        Input::Renamed { .. } => {}
        Input::GateShut(leg, ticket) => call.confirm(desk, leg, ticket),
        // What was not ready when the stop came is abandoned already.
        Input::StreamReady(_) => {}
        Input::StreamFailed(report) => call.fail(desk, run, report),
        Input::StreamFinished(report) => finish(call, desk, run, report),
        Input::Start(_, _, start) if planted!(desk, StartDuringStop) => {
            return begin(call, desk, stopping.ticket, start);
        }
        Input::Start(ticket, ..)
        | Input::Stop(ticket, _)
        | Input::Pause(ticket, _)
        | Input::Resume(ticket, _) => desk.refuse(ticket, Refusal::Pending),
        Input::Tick => {
            expire(call, desk, run);
            *until = until.filter(|until| *until > desk.now);
        }
    }
    wind_up(call, desk, stopping)
}

/// A stop is answered when every gate has confirmed and every final is in, or overdue.
fn wind_up(call: &mut Call, desk: &mut Desk<'_>, mut stopping: Stopping) -> State {
    let is_waiting = stopping.until.is_some() && !stopping.run.is_finished();
    let is_shut = call.is_confirmed() || planted!(desk, StopAnswersEarly);
    if is_waiting || !is_shut {
        return State::Stopping(stopping);
    }
    let outcome = stopping.run.stopped();
    desk.answer(stopping.ticket, outcome);
    call.dissolve(desk, stopping.run);
    rest(call)
}

/// A leg comes while a start runs. The one it replaces on its side no longer takes part.
fn replace(call: &mut Call, desk: &mut Desk<'_>, run: &mut Run, leg: NewLeg) {
    if let Some(older) = call.admit(desk, leg) {
        run.lose(older);
    }
}

/// A stream has come to its end, one of the running start or an older one.
fn finish(call: &mut Call, desk: &mut Desk<'_>, run: &mut Run, report: Report) {
    call.forget(desk, &report.id);
    run.finish(report);
}

/// Ends the legs that did not confirm in time; they no longer take part.
fn expire(call: &mut Call, desk: &mut Desk<'_>, run: &mut Run) {
    for leg in call.expire(desk) {
        run.deafen(leg);
    }
}
