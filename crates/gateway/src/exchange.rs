//! The task that owns the switchboard and carries out what it decides.
//!
//! Nothing here waits: legs, streams and callers of the API are told through handles that never
//! block. Sound does not pass this way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use call::ending::{Ending, Fault};
use call::feed::{LineConfig, MediaClock};
use call::name::{CallName, LegId, StreamId, Ticket};
use call::start::{Report, Status, StreamOptions, StreamSpec};
use call::switchboard::{Input, Output, StateName, Switchboard, Then};
use ingress::intake::{Arrival, Opened};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use upstream::stream::{Deps, Stream, StreamHandle};

use crate::events::{Bus, Event};
use crate::metrics::Metrics;
use crate::remembered::Remembered;
use crate::switchboard_task::{Command, Refused, Request};

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
    /// How a stream's backlog is cut and bounded.
    pub line: LineConfig,
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
    /// The service accepted it.
    Ready(StreamId),
}

/// The exchange at work.
pub(crate) struct Desk {
    pub(crate) switchboard: Switchboard,
    pub(crate) world: World,
    pub(crate) calls: HashMap<CallName, CallEntry>,
    pub(crate) legs: HashMap<LegId, Opened>,
    pub(crate) streams: HashMap<StreamId, StreamEntry>,
    waiting: HashMap<Ticket, Waiting>,
    remembered: Remembered,
    live: watch::Sender<usize>,
    tickets: u64,
}

/// What the exchange keeps of a call beside the switchboard's state.
pub(crate) struct CallEntry {
    pub(crate) began_unix_ms: u64,
    pub(crate) began: Instant,
    pub(crate) state: StateName,
    /// When it came into this state.
    since: Instant,
    has_media: bool,
    pub(crate) identifiers: Vec<(&'static str, String)>,
    /// Where the clocks of the running start began: its options, the media clock, its reading.
    zero: Option<(Arc<StreamOptions>, MediaClock, u64)>,
    span: tracing::Span,
}

/// A stream that is not forgotten yet.
pub(crate) struct StreamEntry {
    pub(crate) handle: StreamHandle,
    pub(crate) spec: StreamSpec,
    pub(crate) leg: LegId,
    pub(crate) report: Option<Report>,
}

struct Waiting {
    answer: oneshot::Sender<Result<call::switchboard::Outcome, Refused>>,
    call: CallName,
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
                () = until(deadline) => desk.switchboard.handle(Instant::now(), Input::Tick),
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
            legs: HashMap::new(),
            streams: HashMap::new(),
            waiting: HashMap::new(),
            live,
            tickets: 0,
        }
    }

    fn requested(&mut self, request: Request) {
        match request {
            Request::Command(call, command, answer) => self.command(call, command, answer),
            // Whoever asked may have gone; then nobody misses the answer.
            Request::Call(call, answer) => drop(answer.send(self.snapshot(&call))),
            Request::Calls(answer) => drop(answer.send(self.snapshots())),
        }
    }

    fn command(
        &mut self,
        call: CallName,
        command: Command,
        answer: oneshot::Sender<Result<call::switchboard::Outcome, Refused>>,
    ) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.waiting.insert(
            ticket,
            Waiting {
                answer,
                call: call.clone(),
            },
        );
        let input = match command {
            Command::Pause => Input::Pause(ticket, call),
            Command::Resume => Input::Resume(ticket, call),
            Command::Start(start) => Input::Start(ticket, call, start),
            Command::Stop => Input::Stop(ticket, call),
        };
        self.switchboard.handle(Instant::now(), input);
    }

    fn arrived(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Ended(leg, ending) => self.leg_ended(leg, ending),
            Arrival::Opened(opened) => self.leg_opened(opened),
        }
    }

    fn leg_opened(&mut self, opened: Opened) {
        let (call, leg, side) = (opened.call.clone(), opened.id, opened.side);
        self.began(&call);
        let entry = self.entry(&call);
        for identifier in &opened.identifiers {
            if !entry.identifiers.contains(identifier) {
                entry.identifiers.push(identifier.clone());
            }
        }
        self.legs.insert(leg, opened);
        self.world
            .bus
            .publish(&call, Event::LegOpened { leg, side });
        self.prepare(&call);
        self.switchboard
            .handle(Instant::now(), Input::LegOpened(call, leg, side));
    }

    fn leg_ended(&mut self, leg: LegId, ending: Ending) {
        if let Some(Opened {
            call,
            side,
            control,
            ..
        }) = self.legs.remove(&leg)
        {
            let stats = control.stats();
            self.world.bus.publish(
                &call,
                Event::LegEnded {
                    leg,
                    side,
                    ending,
                    stats,
                },
            );
        }
        self.switchboard
            .handle(Instant::now(), Input::LegEnded(leg, ending));
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
            StreamReport::Ready(stream) => Input::StreamReady(stream),
        };
        self.switchboard.handle(Instant::now(), input);
    }

    fn keep_report(&mut self, report: &Report) {
        if let Some(entry) = self.streams.get_mut(&report.id) {
            entry.report = Some(report.clone());
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
                    if let Some(opened) = self.legs.get(&leg) {
                        opened.retire.cancel();
                    }
                }
                Output::Ended(call, ending) => self.ended(&call, ending),
                Output::OpenGate(leg, spec) => self.open_gate(leg, spec),
                Output::ShutGate(leg, ticket, then) => self.shut_gate(leg, ticket, then),
            }
        }
    }

    fn open_gate(&mut self, leg: LegId, spec: StreamSpec) {
        if let Some(entry) = self.streams.get(&spec.id)
            && entry.leg == leg
            && self
                .legs
                .get(&leg)
                .is_some_and(|opened| opened.control.resume())
        {
            return;
        }
        let Some(source) = self.opening(leg, &spec) else {
            let status = Status::internal("the media ended before its stream was opened");
            let report = Report {
                id: spec.id,
                role: spec.role,
                status,
                summary: None,
            };
            return self
                .switchboard
                .handle(Instant::now(), Input::StreamFailed(report));
        };
        let (handle, stream) = Stream::new(Arc::clone(&self.world.upstream), spec.clone(), source);
        let span = self.calls.get(&spec.call).map(|entry| entry.span.clone());
        let span = span.unwrap_or_else(tracing::Span::none);
        let opened = Event::StreamOpened {
            stream: spec.id.clone(),
            role: spec.role,
        };
        self.world.bus.publish(&spec.call, opened);
        // Only now: the stream tells its own news from another thread, and it was opened first.
        self.world.tasks.spawn(stream.run().instrument(span));
        let entry = StreamEntry {
            handle,
            spec,
            leg,
            report: None,
        };
        self.streams.insert(entry.spec.id.clone(), entry);
    }

    /// Opens a leg's gate at the one zero that all legs of this start share.
    fn opening(&mut self, leg: LegId, spec: &StreamSpec) -> Option<call::feed::ChunkSource> {
        let control = &self.legs.get(&leg)?.control;
        let entry = self.calls.get_mut(&spec.call)?;
        let clock = control.clock();
        let zero = match &entry.zero {
            Some((start, of, zero)) if Arc::ptr_eq(start, &spec.options) && of.is_same(clock) => {
                *zero
            }
            _ => clock.now(),
        };
        entry.zero = Some((Arc::clone(&spec.options), clock.clone(), zero));
        control.open(zero, self.world.line)
    }

    fn shut_gate(&mut self, leg: LegId, ticket: Ticket, then: Then) {
        // Only a command discards; the switchboard also shuts gates by itself, with other tickets.
        let discard = self.world.discard_backlog && ticket.0 <= self.tickets;
        if let Some(opened) = self.legs.get(&leg) {
            match then {
                Then::Finish => opened.control.shut(discard),
                Then::Hold => opened.control.pause(discard),
            }
        }
        // The gate was shut when the call above returned; a leg that is gone took its gate along.
        self.switchboard
            .handle(Instant::now(), Input::GateShut(leg, ticket));
    }

    fn answer(
        &mut self,
        ticket: Ticket,
        answer: Result<call::switchboard::Outcome, call::switchboard::Refusal>,
    ) {
        let Some(waiting) = self.waiting.remove(&ticket) else {
            return;
        };
        if answer == Err(call::switchboard::Refusal::NoCall)
            && let Some(ago) = self.remembered.ended_ago(&waiting.call, Instant::now())
        {
            let call = &waiting.call;
            tracing::info!(%call, seconds = ago.as_secs(), "A command came for an ended call.");
        }
        drop(waiting.answer.send(answer.map_err(Refused::ByState)));
    }

    fn changed(&mut self, call: CallName, state: StateName) {
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

    fn ended(&mut self, call: &CallName, ending: Ending) {
        let Some(entry) = self.calls.remove(call) else {
            return;
        };
        self.streams.retain(|_, stream| stream.spec.call != *call);
        self.world.upstream.service.forget(call);
        self.world.metrics.call_changed(Some(entry.state), None);
        self.live.send_replace(self.calls.len());
        if !entry.has_media {
            return;
        }
        self.world.metrics.call_ended(call.namespace, ending);
        self.world.bus.publish(call, Event::CallEnded(ending));
        self.remembered.add(call.clone(), Instant::now());
        let (fault, reason) = (ending.fault.as_str(), ending.reason);
        let seconds = entry.began.elapsed().as_secs();
        entry.span.in_scope(|| match ending.fault {
            Fault::Client | Fault::Nobody => {
                tracing::info!(fault, reason, seconds, "The call ended.")
            }
            Fault::Gateway => tracing::error!(fault, reason, seconds, "The call ended."),
            Fault::Unknown | Fault::Upstream => {
                tracing::warn!(fault, reason, seconds, "The call ended.");
            }
        });
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

    fn prepare(&self, call: &CallName) {
        let (service, call) = (Arc::clone(&self.world.upstream.service), call.clone());
        self.world
            .tasks
            .spawn(async move { service.prepare(&call).await });
    }

    /// Tells of a call's first media, once. A start that only awaits it is not a call yet.
    fn began(&mut self, call: &CallName) {
        let entry = self.entry(call);
        if !std::mem::replace(&mut entry.has_media, true) {
            entry.span.in_scope(|| tracing::info!("A call began."));
            self.world.bus.publish(call, Event::CallStarted);
        }
    }

    fn entry(&mut self, call: &CallName) -> &mut CallEntry {
        if !self.calls.contains_key(call) {
            self.calls.insert(call.clone(), CallEntry::new(call));
            self.world.metrics.call_changed(None, Some(StateName::Idle));
            self.live.send_replace(self.calls.len());
        }
        self.calls.get_mut(call).expect("it was inserted above")
    }

    /// Counts the calls whose media is over and that are not.
    fn look_for_overdue(&self) {
        let late = |entry: &&CallEntry| {
            entry.state == StateName::Draining && entry.since.elapsed() > self.world.overdue_after
        };
        self.world
            .metrics
            .calls_overdue(self.calls.values().filter(late).count());
    }
}

impl CallEntry {
    fn new(call: &CallName) -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self {
            began_unix_ms: since.map_or(0, |since| since.as_millis() as u64),
            began: Instant::now(),
            state: StateName::Idle,
            since: Instant::now(),
            has_media: false,
            identifiers: Vec::new(),
            zero: None,
            span: tracing::info_span!("call", namespace = %call.namespace, guid = %call.guid),
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
