//! A world around the switchboard that contains what hurts: legs that obey late, confirm late or
//! never, streams that never become ready or never finish, media that comes back, is replaced, and
//! goes when it likes. It checks after every step what must always hold.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use call::ending::{Ending, Fault};
use call::name::{CallName, Guid, LegId, Namespace, Role, Side, StreamId, Ticket};
use call::private::Private;
use call::start::{Report, Start, Status, StreamOptions, StreamSpec, Summary, Wish};
use call::switchboard::{
    Input, NewLeg, Outcome, Output, Patience, Refusal, StateName, Switchboard, Then,
};

use crate::chance::Chance;

mod check;
mod legs;

/// What does not hold, by the number of the invariant:
///
/// 1. Once a stop or pause was answered 200, no gate of that call is open until the next start or
///    resume is accepted.
/// 2. Every command is answered exactly once, at the latest when every leg has obeyed or ended and
///    the deadlines have passed; what is answered is so.
/// 3. Gates and states agree when nothing is under way.
/// 4. A live leg always belongs to a call that the switchboard knows, and is shown with it.
/// 5. When every leg is gone and time has passed, nothing is left.
/// 6. Each leg of a start has a stream of its own, of the call it belongs to, and the role that is
///    due to it.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) invariant: u8,
    pub(crate) what: String,
}

pub(crate) type Holds = Result<(), Broken>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Command {
    Pause,
    Resume,
    Start,
    Stop,
}

/// What an input is, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Command(Command),
    GateShut,
    LegEnded,
    LegLearned,
    LegOpened,
    /// A start came to this call from another name.
    Moved,
    Renamed,
    StreamFailed,
    StreamFinished,
    StreamReady,
    Tick,
}

/// Where the walks have been: how often each kind of input met each state. `None` is *nothing*.
pub(crate) type Visits = BTreeMap<(Option<&'static str>, Kind), u64>;

pub(crate) struct World {
    pub(crate) chance: Chance,
    pub(crate) visits: Visits,
    pub(crate) trace: bool,
    pub(crate) odds: Odds,
    pub(crate) board: Switchboard,
    now: Instant,
    calls: Vec<Call>,
    legs: Vec<Leg>,
    streams: Vec<Stream>,
    pending: BTreeMap<Ticket, (usize, Command)>,
    /// A start on its way from a name to a call.
    moving: Option<(Ticket, usize, Start)>,
    next: u64,
}

/// How this walk's world is; in percent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Odds {
    /// Legs that never obey when told to shut.
    pub(crate) deaf: u64,
    /// Receipts that come again, later.
    pub(crate) echo: u64,
    /// Legs that obey and confirm at once.
    pub(crate) prompt: u64,
    pub(crate) never_ready: u64,
    pub(crate) never_finish: u64,
}

struct Call {
    name: CallName,
    /// As the last `Changed` or `Ended` said.
    told: Option<StateName>,
    /// A stop or pause was answered 200 and nothing accepted since.
    sealed: bool,
    /// The newest start that was accepted.
    start: Option<Start>,
    /// The streams of the newest start.
    run: Vec<StreamId>,
    /// The sides that have had media since.
    heard: BTreeSet<Side>,
}

struct Leg {
    id: LegId,
    call: usize,
    side: Side,
    suggested: Option<Role>,
    gate: Gate,
    /// Where the gate leads, or led when a pause shut it.
    stream: Option<StreamId>,
    orders: VecDeque<Order>,
    receipts: VecDeque<Ticket>,
    deaf: bool,
    prompt: bool,
    told_to_end: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    Paused,
    Shut,
}

enum Order {
    Open(StreamId),
    Shut(Ticket, Then),
}

struct Stream {
    spec: StreamSpec,
    call: usize,
    leg: LegId,
    stage: Stage,
    /// Its leg has shut or ended.
    fed: bool,
    never_ready: bool,
    never_finish: bool,
    was_ready: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Abandoned,
    Failed,
    Finished,
    Opening,
    Ready,
}

fn broken(invariant: u8, what: impl Into<String>) -> Holds {
    Err(Broken {
        invariant,
        what: what.into(),
    })
}

fn hold(condition: bool, invariant: u8, what: impl FnOnce() -> String) -> Holds {
    if condition {
        Ok(())
    } else {
        broken(invariant, what())
    }
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "a world begins at some time")]
    pub(crate) fn new(mut chance: Chance, patience: Patience, odds: Odds) -> Self {
        let calls = 1 + chance.below(3);
        let call = |number| Call {
            name: CallName {
                namespace: Namespace::Twilio,
                guid: Guid::parse(&format!("CA{number}")).unwrap(),
            },
            told: None,
            sealed: false,
            start: None,
            run: Vec::new(),
            heard: BTreeSet::new(),
        };
        Self {
            chance,
            visits: Visits::new(),
            trace: false,
            odds,
            board: Switchboard::new(patience),
            now: Instant::now(),
            calls: (0..calls).map(call).collect(),
            legs: Vec::new(),
            streams: Vec::new(),
            pending: BTreeMap::new(),
            moving: None,
            next: 0,
        }
    }

    // What may happen.

    pub(crate) fn open_leg(&mut self) -> Holds {
        if self.legs.len() >= 8 {
            return Ok(());
        }
        let (call, side) = (
            self.chance.below(self.calls.len()),
            self.chance.one_of(&Side::BOTH),
        );
        let (id, name) = (LegId(self.number()), self.calls[call].name.clone());
        let suggested = self.suggestion();
        self.legs.push(Leg {
            id,
            call,
            side,
            suggested,
            gate: Gate::Shut,
            stream: None,
            orders: VecDeque::new(),
            receipts: VecDeque::new(),
            deaf: self.chance.percent(self.odds.deaf),
            prompt: self.chance.percent(self.odds.prompt),
            told_to_end: false,
        });
        let leg = NewLeg {
            id,
            side,
            suggested,
        };
        self.tell(Some(call), Kind::LegOpened, Input::LegOpened(name, leg))
    }

    /// The platform says anew who speaks on a leg.
    pub(crate) fn learn(&mut self) -> Holds {
        if self.legs.is_empty() {
            return Ok(());
        }
        let index = self.chance.below(self.legs.len());
        let suggested = self.suggestion();
        let leg = &mut self.legs[index];
        leg.suggested = suggested;
        let (call, id) = (leg.call, leg.id);
        self.tell(
            Some(call),
            Kind::LegLearned,
            Input::LegLearned(id, suggested),
        )
    }

    /// A name turns out to be another call's.
    pub(crate) fn rename(&mut self) -> Holds {
        let (from, to) = (
            self.chance.below(self.calls.len()),
            self.chance.below(self.calls.len()),
        );
        if from == to {
            return Ok(());
        }
        let waiting = |(_, of): &(&Ticket, &(usize, Command))| **of == (from, Command::Start);
        let is_awaited = self.calls[from].told == Some(StateName::Awaited);
        let waiting = self.pending.iter().find(waiting).filter(|_| is_awaited);
        if let Some(ticket) = waiting.map(|(ticket, _)| *ticket) {
            self.pending.insert(ticket, (to, Command::Start));
            let start = self.calls[from].start.take();
            self.moving = start.map(|start| (ticket, to, start));
            let state = self.calls[to].told.map(StateName::as_str);
            *self.visits.entry((state, Kind::Moved)).or_default() += 1;
        }
        let [name, to] = [from, to].map(|at| self.calls[at].name.clone());
        let input = Input::Renamed { from: name, to };
        self.tell(Some(from), Kind::Renamed, input)
    }

    /// A leg ends, sooner if it was told to.
    pub(crate) fn end_leg(&mut self) -> Holds {
        let told = self.legs.iter().position(|leg| leg.told_to_end);
        match told.filter(|_| self.chance.percent(70)) {
            Some(index) => self.end(index),
            None if self.legs.is_empty() => Ok(()),
            None => {
                let index = self.chance.below(self.legs.len());
                self.end(index)
            }
        }
    }

    /// A leg carries out the next thing it was told.
    pub(crate) fn obey(&mut self) -> Holds {
        if !self.legs.is_empty() {
            let index = self.chance.below(self.legs.len());
            self.carry_out(index);
        }
        Ok(())
    }

    /// A receipt that was under way arrives.
    pub(crate) fn deliver(&mut self) -> Holds {
        let count = self.legs.len();
        let from = self.chance.below(count);
        let index = (0..count)
            .map(|step| (from + step) % count)
            .find(|&index| !self.legs[index].receipts.is_empty());
        index.map_or(Ok(()), |index| self.confirm(index))
    }

    pub(crate) fn ready(&mut self) -> Holds {
        let able = |stream: &Stream| stream.stage == Stage::Opening && !stream.never_ready;
        let Some(index) = self.stream(able) else {
            return Ok(());
        };
        let stream = &mut self.streams[index];
        stream.stage = Stage::Ready;
        stream.was_ready = true;
        let (call, id) = (stream.call, stream.spec.id.clone());
        self.tell(Some(call), Kind::StreamReady, Input::StreamReady(id))
    }

    pub(crate) fn fail(&mut self) -> Holds {
        let able = |stream: &Stream| {
            matches!(
                stream.stage,
                Stage::Abandoned | Stage::Opening | Stage::Ready
            )
        };
        let Some(index) = self.stream(able) else {
            return Ok(());
        };
        let stream = &mut self.streams[index];
        stream.stage = Stage::Failed;
        let status = Status {
            code: 5002,
            description: "Service Unavailable".to_owned(),
        };
        let (call, report) = (stream.call, stream.report(status, None));
        self.tell(Some(call), Kind::StreamFailed, Input::StreamFailed(report))
    }

    pub(crate) fn finish(&mut self) -> Holds {
        let able =
            |stream: &Stream| stream.stage == Stage::Ready && !stream.fed && !stream.never_finish;
        let Some(index) = self.stream(able) else {
            return Ok(());
        };
        let stream = &mut self.streams[index];
        stream.stage = Stage::Finished;
        let second = Duration::from_secs(1);
        let summary = Summary {
            audio_bytes: 16_000,
            audio: second,
            streaming: second,
            transcripts: 1,
        };
        let (call, report) = (stream.call, stream.report(Status::ok(), Some(summary)));
        self.tell(
            Some(call),
            Kind::StreamFinished,
            Input::StreamFinished(report),
        )
    }

    /// A command that leads somewhere, as a user would give it.
    pub(crate) fn sensible(&mut self) -> Holds {
        let call = self.chance.below(self.calls.len());
        let command = match self.calls[call].told {
            None | Some(StateName::Awaited | StateName::Draining | StateName::Idle) => {
                Command::Start
            }
            Some(StateName::Starting | StateName::Stopping) => return Ok(()),
            Some(StateName::Paused) => self.chance.one_of(&[Command::Resume, Command::Stop]),
            Some(StateName::Streaming) => self.chance.one_of(&[Command::Pause, Command::Stop]),
        };
        self.command_to(call, command)
    }

    pub(crate) fn command(&mut self, command: Command) -> Holds {
        let call = self.chance.below(self.calls.len());
        self.command_to(call, command)
    }

    fn command_to(&mut self, call: usize, command: Command) -> Holds {
        let (ticket, name) = (Ticket(self.number()), self.calls[call].name.clone());
        let input = match command {
            Command::Pause => Input::Pause(ticket, name),
            Command::Resume => Input::Resume(ticket, name),
            Command::Start => Input::Start(ticket, name.clone(), Box::new(self.start(name))),
            Command::Stop => Input::Stop(ticket, name),
        };
        self.pending.insert(ticket, (call, command));
        self.tell(Some(call), Kind::Command(command), input)
    }

    /// Time passes, a little or up to a deadline.
    pub(crate) fn wait(&mut self) -> Holds {
        let some = Duration::from_millis(self.chance.one_of(&[1, 40, 300, 1_000, 4_000]));
        self.now += some;
        if let Some(at) = self.board.deadline().filter(|_| self.chance.percent(30)) {
            self.now = self.now.max(at);
        }
        self.tick()
    }

    /// Every leg obeys that can, those that were told to end do, and all deadlines pass.
    pub(crate) fn settle(&mut self) -> Holds {
        for _ in 0..100 {
            self.obey_all()?;
            let Some(at) = self.board.deadline() else {
                return self.check_rest();
            };
            self.now = self.now.max(at);
            self.tick()?;
        }
        self.check_answered()?;
        broken(5, "a deadline never passes")
    }

    /// Every leg goes, and time passes.
    pub(crate) fn close(&mut self) -> Holds {
        while !self.legs.is_empty() {
            self.end(0)?;
        }
        self.settle()?;
        hold(self.board.is_empty(), 5, || {
            format!("something is left: {:?}", self.board)
        })
    }

    // What the switchboard is told and what it says.

    fn tick(&mut self) -> Holds {
        let is_due = self.board.deadline().is_some_and(|at| at <= self.now);
        if is_due {
            self.tell(None, Kind::Tick, Input::Tick)
        } else {
            Ok(())
        }
    }

    fn tell(&mut self, call: Option<usize>, kind: Kind, input: Input) -> Holds {
        if self.trace {
            eprintln!("> {input:?}");
        }
        for call in self
            .calls
            .iter()
            .enumerate()
            .filter(|(at, _)| call.is_none_or(|call| call == *at))
        {
            *self
                .visits
                .entry((call.1.told.map(StateName::as_str), kind))
                .or_default() += 1;
        }
        let accepted = match &input {
            Input::Start(ticket, _, start) => Some((*ticket, call, Some(Start::clone(start)))),
            Input::Resume(ticket, _) => Some((*ticket, call, None)),
            _ => {
                let moving = self.moving.take();
                moving.map(|(ticket, to, start)| (ticket, Some(to), Some(start)))
            }
        };
        self.board.handle(self.now, input);
        let outputs: Vec<_> = std::iter::from_fn(|| self.board.poll()).collect();
        if let Some((ticket, Some(call), start)) = accepted {
            self.accept(call, start, ticket, &outputs);
        }
        for output in outputs {
            if self.trace {
                eprintln!("<     {output:?}");
            }
            self.take(output)?;
        }
        self.check()?;
        self.obey_promptly()
    }

    /// A start or resume that was not refused at once is accepted: gates may open.
    fn accept(&mut self, at: usize, start: Option<Start>, ticket: Ticket, outputs: &[Output]) {
        let refused = outputs
            .iter()
            .any(|output| matches!(output, Output::Answer(of, Err(_)) if *of == ticket));
        let call = &mut self.calls[at];
        if !refused {
            call.sealed = false;
            if start.is_some() {
                call.start = start;
                call.run.clear();
                call.heard.clear();
            }
        }
    }

    fn take(&mut self, output: Output) -> Holds {
        match output {
            Output::OpenGate(leg, spec, _) => self.take_open(leg, spec),
            Output::ShutGate(leg, ticket, then) => {
                let leg = self.leg(leg)?;
                leg.orders.push_back(Order::Shut(ticket, then));
                Ok(())
            }
            Output::EndLeg(leg) => {
                let leg = self.leg(leg)?;
                hold(!leg.told_to_end, 3, || {
                    format!("leg {} is ended twice", leg.id)
                })?;
                leg.told_to_end = true;
                Ok(())
            }
            Output::AbandonStream(id) => {
                let stream = self.streams.iter_mut().find(|stream| stream.spec.id == id);
                let Some(stream) = stream.filter(|stream| stream.stage == Stage::Opening) else {
                    return broken(3, format!("{id} is abandoned and was not opening"));
                };
                stream.stage = Stage::Abandoned;
                Ok(())
            }
            Output::Answer(ticket, answer) => self.take_answer(ticket, answer),
            Output::Changed(name, state) => {
                let call = self.call(&name);
                hold(call.told != Some(state), 3, || {
                    format!("{name} changed to what it was")
                })?;
                call.told = Some(state);
                Ok(())
            }
            Output::Ended(name, _) => {
                self.call(&name).told = None;
                Ok(())
            }
        }
    }

    fn take_open(&mut self, leg: LegId, spec: StreamSpec) -> Holds {
        let (never_ready, never_finish) = (
            self.chance.percent(self.odds.never_ready),
            self.chance.percent(self.odds.never_finish),
        );
        let leg = self.leg(leg)?;
        leg.orders.push_back(Order::Open(spec.id.clone()));
        let (id, at, side, told_to_end) = (leg.id, leg.call, leg.side, leg.told_to_end);
        let suggested = leg.suggested;
        hold(!told_to_end, 3, || {
            format!("leg {id} is opened after its end")
        })?;
        let call = &mut self.calls[at];
        hold(!call.sealed, 1, || {
            format!("leg {id} is opened after a stop or pause")
        })?;
        let known = self.streams.iter().find(|stream| stream.spec.id == spec.id);
        if let Some(known) = known {
            hold(known.leg == id, 6, || {
                format!("leg {id} has leg {}'s stream", known.leg)
            })?;
        } else {
            self.check_cast(at, (side, suggested), &spec)?;
            let call = &mut self.calls[at];
            call.run.push(spec.id.clone());
            call.heard.insert(side);
            let (stage, fed, was_ready) = (Stage::Opening, true, false);
            let stream = Stream {
                spec,
                call: at,
                leg: id,
                stage,
                fed,
                never_ready,
                never_finish,
                was_ready,
            };
            self.streams.push(stream);
        }
        Ok(())
    }

    fn take_answer(&mut self, ticket: Ticket, answer: Result<Outcome, Refusal>) -> Holds {
        let Some((at, command)) = self.pending.remove(&ticket) else {
            return broken(2, format!("{ticket:?} is answered again: {answer:?}"));
        };
        let Ok(outcome) = answer else { return Ok(()) };
        match command {
            Command::Pause => self.check_sealed(at)?,
            Command::Resume => {}
            Command::Start => self.check_reports(at, &outcome, |stream| stream.was_ready)?,
            Command::Stop => {
                self.check_sealed(at)?;
                self.check_reports(at, &outcome, |stream| stream.stage == Stage::Finished)?;
                self.calls[at].run.clear();
            }
        }
        if matches!(command, Command::Pause | Command::Stop) {
            self.calls[at].sealed = true;
        }
        Ok(())
    }

    // Who is who.

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn call(&mut self, name: &CallName) -> &mut Call {
        self.calls
            .iter_mut()
            .find(|call| call.name == *name)
            .unwrap()
    }

    fn leg(&mut self, id: LegId) -> Result<&mut Leg, Broken> {
        let leg = self.legs.iter_mut().find(|leg| leg.id == id);
        leg.ok_or_else(|| Broken {
            invariant: 4,
            what: format!("leg {id} is not live"),
        })
    }

    fn stream(&mut self, able: impl Fn(&Stream) -> bool) -> Option<usize> {
        // Old streams that are over are never asked again.
        self.streams.retain(|stream| {
            let over = matches!(stream.stage, Stage::Failed | Stage::Finished);
            !over || self.calls[stream.call].run.contains(&stream.spec.id)
        });
        let count = self.streams.len();
        let from = self.chance.below(count);
        (0..count)
            .map(|step| (from + step) % count)
            .find(|&index| able(&self.streams[index]))
    }

    fn suggestion(&mut self) -> Option<Role> {
        let roles = [Role::Agent, Role::Customer, Role::Mixed];
        self.chance
            .one_of(&[None, Some(roles[0]), Some(roles[1]), Some(roles[2])])
    }

    fn start(&mut self, call: CallName) -> Start {
        let options = Arc::new(StreamOptions::default());
        let mut spec = |role| StreamSpec {
            id: StreamId::new(&self.number().to_string()),
            call: call.clone(),
            external: call.guid.as_str().into(),
            role,
            sender: Private::new("someone".to_owned()),
            options: Arc::clone(&options),
            wish: Wish::default(),
        };
        let (first, second) = (spec(Role::Customer), spec(Role::Agent));
        let is_swapped = self.chance.percent(50);
        let (first, second) = if is_swapped {
            (second, first)
        } else {
            (first, second)
        };
        Start {
            first,
            second,
            is_ordered: self.chance.percent(50),
        }
    }
}

impl Stream {
    fn report(&self, status: Status, summary: Option<Summary>) -> Report {
        Report {
            id: self.spec.id.clone(),
            role: self.spec.role,
            status,
            summary,
        }
    }
}
