//! The task that owns the switchboard and carries out what it decides.
//!
//! Nothing here waits: legs, streams and callers of the API are told through handles that never
//! block. Sound does not pass this way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use call::budget::Budget;
use call::name::{CallName, LegId, StreamId, Ticket};
use call::start::{Report, StreamSpec};
use call::switchboard::{Input, Outcome, Output, Refusal, Switchboard};
use ingress::intake::{Arrival, Opened};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::TaskTracker;
use upstream::stream::{Deps, StreamHandle};

use crate::events::Bus;
use crate::metrics::Metrics;
use crate::remembered::Remembered;
use crate::switchboard_task::{By, LegRole, Refused, Request};

mod calls;
mod gates;
mod legs;
mod names;
mod owners;
mod roles;
mod snapshots;
#[cfg(test)]
mod tests;
mod wishes;

use calls::CallEntry;
use names::Names;

/// What the task is given to work with.
pub struct Exchange {
    /// Requests of the API.
    pub requests: mpsc::Receiver<Request>,
    /// Legs that come and go.
    pub arrivals: mpsc::UnboundedReceiver<Arrival>,
    /// What streams report of themselves.
    pub reports: mpsc::UnboundedReceiver<StreamReport>,
    /// How many calls live, for whoever waits for the last.
    pub live: watch::Sender<usize>,
    /// What the gateway is made of.
    pub world: World,
}

/// The parts that the exchange connects.
#[derive(Clone)]
pub struct World {
    /// Where events go.
    pub bus: Arc<Bus>,
    /// What every new stream needs.
    pub upstream: Arc<Deps>,
    /// How much sound a stream's backlog keeps.
    pub backlog_max: Duration,
    /// What all streams' backlogs may hold together.
    pub backlogs: Budget,
    /// `pci.discard_backlog`
    pub discard_backlog: bool,
    /// How long an ended call is remembered, for the log.
    pub remember: Duration,
    /// A call that has not ended so long after its media has failed to end.
    pub overdue_after: Duration,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Owns the tasks of all streams.
    pub tasks: TaskTracker,
}

/// What a stream reports that the switchboard must know.
#[derive(Debug)]
pub enum StreamReport {
    /// It was given up.
    Failed(Report),
    /// It came to its end.
    Finished(Report),
    /// This service accepted it.
    Ready(StreamId, &'static str),
}

/// The exchange at work.
struct Desk {
    switchboard: Switchboard,
    world: World,
    calls: HashMap<CallName, CallEntry>,
    names: Names,
    legs: HashMap<LegId, LegEntry>,
    streams: HashMap<StreamId, StreamEntry>,
    waiting: HashMap<Ticket, Waiting>,
    remembered: Remembered,
    live: watch::Sender<usize>,
    tickets: u64,
}

/// A leg that lives.
struct LegEntry {
    opened: Opened,
    sound: Sound,
    /// What was told of who speaks on it.
    role: Option<LegRole>,
}

/// Whether a leg's sound comes, where the platform has to be asked for it.
#[derive(Debug, Default, PartialEq, Eq)]
enum Sound {
    /// The platform has been asked and has not answered.
    Asked,
    /// It has not, and meanwhile the service has accepted this stream.
    Behind(StreamId),
    /// It comes, or is not wanted.
    #[default]
    Free,
}

/// A stream that is not forgotten yet.
struct StreamEntry {
    handle: StreamHandle,
    spec: StreamSpec,
    leg: LegId,
    /// As it was when the stream was opened.
    role: LegRole,
    /// The service that accepted it last.
    service: Option<&'static str>,
    report: Option<Report>,
}

type Answer = oneshot::Sender<Result<Outcome, Refused>>;

/// A command that is not answered yet.
struct Waiting {
    asked: Asked,
    verb: &'static str,
    call: CallName,
    /// Whether this start made the call its key's, if it is accepted.
    claims: bool,
}

/// Who gave a command, and where the answer goes.
struct Asked {
    by: By,
    answer: Answer,
}

impl Exchange {
    /// Runs until nobody can send a request any more.
    pub async fn run(self, switchboard: Switchboard) {
        let Self {
            mut requests,
            mut arrivals,
            mut reports,
            live,
            world,
        } = self;
        let mut desk = Desk::new(switchboard, world, live);
        let mut watch = tokio::time::interval(Duration::from_secs(10));
        watch.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let deadline = desk.switchboard.deadline();
            tokio::select! {
                biased;
                request = requests.recv() => match request {
                    Some(request) => desk.requested(request),
                    None => return,
                },
                Some(arrival) = arrivals.recv() => desk.arrived(arrival),
                Some(report) = reports.recv() => desk.reported(report),
                _ = watch.tick() => desk.look_for_overdue(),
                () = until(deadline) => desk.tell(Input::Tick),
            }
            desk.carry_out();
        }
    }
}

impl Desk {
    fn new(switchboard: Switchboard, world: World, live: watch::Sender<usize>) -> Self {
        Self {
            switchboard,
            remembered: Remembered::new(world.remember),
            world,
            calls: HashMap::new(),
            names: Names::default(),
            legs: HashMap::new(),
            streams: HashMap::new(),
            waiting: HashMap::new(),
            live,
            tickets: 0,
        }
    }

    fn tell(&mut self, input: Input) {
        self.switchboard.handle(Instant::now(), input);
    }

    fn requested(&mut self, request: Request) {
        match request {
            Request::Command(name, command, by, answer) => {
                self.command(&name, command, Asked { by, answer });
            }
            // Whoever asked may have gone; then nobody misses the answer.
            Request::Call(name, answer) => drop(answer.send(self.snapshot(&name))),
            Request::Calls(answer) => drop(answer.send(self.snapshots())),
        }
    }

    fn reported(&mut self, report: StreamReport) {
        let input = match report {
            StreamReport::Failed(report) => {
                self.keep_report(&report);
                Input::StreamFailed(report)
            }
            StreamReport::Finished(report) => {
                self.keep_report(&report);
                Input::StreamFinished(report)
            }
            StreamReport::Ready(stream, service) => return self.stream_ready(stream, service),
        };
        self.tell(input);
    }

    /// What was reported first stands.
    fn keep_report(&mut self, report: &Report) {
        if let Some(entry) = self.streams.get_mut(&report.id) {
            entry.report.get_or_insert_with(|| report.clone());
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.switchboard.poll() {
            match output {
                Output::AbandonStream(stream) => {
                    if let Some(entry) = self.streams.get(&stream) {
                        entry.handle.abandon();
                    }
                }
                Output::Answer(ticket, answer) => self.answer(ticket, answer),
                Output::Changed(call, state) => self.changed(call, state),
                Output::EndLeg(leg) => {
                    if let Some(entry) = self.legs.get(&leg) {
                        entry.opened.retire.cancel();
                    }
                }
                Output::Ended(call, ending) => self.ended(&call, ending),
                Output::OpenGate(leg, spec, grounds) => self.open_gate(leg, spec, grounds),
                Output::ShutGate(leg, ticket, then) => self.shut_gate(leg, ticket, then),
            }
        }
    }

    fn answer(&mut self, ticket: Ticket, answer: Result<Outcome, Refusal>) {
        let Some(waiting) = self.waiting.remove(&ticket) else {
            return;
        };
        if answer == Err(Refusal::NoCall)
            && let Some(ago) = self.remembered.ended_ago(&waiting.call, Instant::now())
        {
            let call = &waiting.call;
            tracing::info!(%call, seconds = ago.as_secs(), "A command came for an ended call.");
        }
        self.told(waiting, answer.map_err(Refused::ByState));
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
