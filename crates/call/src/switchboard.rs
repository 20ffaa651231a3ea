//! The control plane, as a value: which call is in which state, and what a command does to it.
//!
//! # The law of the switchboard
//!
//! After every [`Switchboard::handle`] drain [`Switchboard::poll`] until it yields nothing, and
//! carry out each output in the order it came. Then wait until [`Switchboard::deadline`], or the
//! next event, whichever is first; a deadline that has come is told as [`Input::Tick`].
//!
//! Tickets of commands count up from 0; those of the switchboard's own shuttings count down from
//! the top, so the two never meet.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::ending::Ending;
use crate::name::{CallName, LegId, Role, Side, StreamId, Ticket};
use crate::start::{Grounds, Report, Start, StreamSpec};
use crate::table;
use crate::table::call::Call;
use crate::table::desk::{Desk, Index};

/// What can happen.
#[derive(Clone, Debug)]
pub enum Input {
    /// An ingress has opened a leg; its gate is shut.
    LegOpened(CallName, NewLeg),
    /// The platform now says who speaks on a leg, or no longer does. The streams of a running start
    /// keep their roles.
    LegLearned(LegId, Option<Role>),
    /// A leg is over, and its gate with it.
    LegEnded(LegId, Ending),
    /// A leg confirms that its gate is shut, with the ticket of that shutting.
    GateShut(LegId, Ticket),
    /// The service accepted a stream (`startResponse`).
    StreamReady(StreamId),
    /// A stream has been given up.
    StreamFailed(Report),
    /// A stream has come to its end (`finalResponse`), or was cut off while finishing.
    StreamFinished(Report),
    /// Start or resume transcription.
    Start(Ticket, CallName, Box<Start>),
    /// Stop transcription.
    Stop(Ticket, CallName),
    /// Our extension: replace sound by silence, keep the streams.
    Pause(Ticket, CallName),
    /// Our extension: end a pause.
    Resume(Ticket, CallName),
    /// One name turned out to be another name of a call: a start that waits for media under it is
    /// carried out on that call.
    Renamed {
        /// The name under which a start may wait.
        from: CallName,
        /// The name of the call.
        to: CallName,
    },
    /// Time has passed.
    Tick,
}

/// A leg that has been opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewLeg {
    /// Its id.
    pub id: LegId,
    /// Which side it is.
    pub side: Side,
    /// Who speaks on it, if the platform says so.
    pub suggested: Option<Role>,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Output {
    /// Open a leg's gate, towards a new stream, or towards the stream it holds when the id is the
    /// same; and why the stream has its role.
    OpenGate(LegId, StreamSpec, Grounds),
    /// Shut a leg's gate and confirm with this ticket.
    ShutGate(LegId, Ticket, Then),
    /// End a leg: it was replaced by newer media, or did not confirm in time. Its end is its
    /// receipt.
    EndLeg(LegId),
    /// Give a stream up at once, unsent sound and all: the service did not accept it before a stop
    /// or `start_timeout`. Its report is already decided.
    AbandonStream(StreamId),
    /// Answer a command, once.
    Answer(Ticket, Result<Outcome, Refusal>),
    /// A call has entered a state; for events, not for control.
    Changed(CallName, StateName),
    /// A call is over and forgotten. The ending is that of its last leg, or the service's fault if
    /// a stream was given up.
    Ended(CallName, Ending),
}

/// What becomes of a leg's stream when its gate is shut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// A stop: flush what was heard, then finish the stream.
    Finish,
    /// A pause: keep the stream, sound becomes silence of its own length.
    Hold,
}

/// What a command that was carried out has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// `isOk:false` with its `errorMessage`; `None` is `isOk:true`.
    pub error: Option<String>,
    /// One report a role that took part; none for a pause, a resume, or the stop of an awaited
    /// start.
    pub reports: Vec<Report>,
}

/// Why a command was not carried out. `asapp-gateway` codes in the variants' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// 409-201: already started, or already stopped.
    Already,
    /// 409-203: the media is over, the call is being wound up.
    Draining,
    /// 400-203: no call with that guid.
    NoCall,
    /// 409-202: another request for the same guid is pending.
    Pending,
}

/// A call's state by name, as the native API shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StateName {
    /// A start waits for media.
    Awaited,
    /// Media is over; last transcripts are awaited.
    Draining,
    /// Media flows, gates are shut.
    Idle,
    /// Gates are shut by a pause; streams hear silence.
    Paused,
    /// Gates are open; `startResponse` is awaited.
    Starting,
    /// Gates are shut; finals are awaited.
    Stopping,
    /// Transcribing.
    Streaming,
}

/// How long the switchboard waits for whom. Defaults: `control.*` of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long a start for an unknown guid waits for media; zero: not at all.
    pub start_grace: Duration,
    /// How long a start waits for `startResponse` on every leg.
    pub start_timeout: Duration,
    /// How long a stop waits for `finalResponse` on every leg.
    pub stop_timeout: Duration,
    /// After this a leg that has not confirmed its shut gate is ended.
    pub gate_timeout: Duration,
    /// How long an ended call may take over its last transcripts.
    pub drain_timeout: Duration,
    /// How many starts may wait for media at once; one more is refused with 400-203.
    pub awaited_max: usize,
}

/// A call as the native API sees it.
#[derive(Clone, Debug)]
pub struct CallView {
    /// Its name.
    pub name: CallName,
    /// Its state.
    pub state: StateName,
    /// Its live legs.
    pub legs: Vec<LegView>,
    /// Streams of the running start and those still draining.
    pub streams: Vec<StreamView>,
}

/// A leg as the native API sees it.
#[derive(Clone, Copy, Debug)]
pub struct LegView {
    /// Its id.
    pub id: LegId,
    /// Which side it is.
    pub side: Side,
}

/// A stream as the native API sees it.
#[derive(Clone, Debug)]
pub struct StreamView {
    /// Its id.
    pub id: StreamId,
    /// Who speaks on it.
    pub role: Role,
    /// The leg it hears, while that lives.
    pub leg: Option<LegId>,
    /// How it stands: `opening`, `ready`, `finishing`, `finished`, `failed`.
    pub state: &'static str,
}

/// All calls of one gateway. One task owns it; see the module's law.
#[derive(Debug)]
pub struct Switchboard {
    patience: Patience,
    calls: HashMap<CallName, Call>,
    index: Index,
    /// When which call is to be looked at: one entry for each call that waits for something.
    deadlines: BTreeSet<(Instant, CallName)>,
    outputs: VecDeque<Output>,
}

impl Switchboard {
    /// With no call.
    pub fn new(patience: Patience) -> Self {
        Self {
            patience,
            calls: HashMap::new(),
            index: Index::default(),
            deadlines: BTreeSet::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes in what happened at `now`.
    pub fn handle(&mut self, now: Instant, input: Input) {
        if matches!(input, Input::Tick) {
            for name in self.due(now) {
                self.turn(now, name, Input::Tick);
            }
        } else if let Some(name) = self.whose(&input) {
            self.turn(now, name, input);
            if let Some((ticket, name, start)) = self.index.moved.take() {
                self.turn(now, name.clone(), Input::Start(ticket, name, start));
            }
        }
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to say [`Input::Tick`] at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// All calls, by name, for the native API.
    pub fn calls(&self) -> Vec<CallView> {
        let mut views: Vec<_> = self.calls.values().map(Call::view).collect();
        views.sort_by(|a, b| a.name.cmp(&b.name));
        views
    }

    /// One call, for the native API.
    pub fn call(&self, name: &CallName) -> Option<CallView> {
        self.calls.get(name).map(Call::view)
    }

    /// Whether nothing is known and nothing awaited: no call, no leg, no stream, no deadline.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.index.is_empty() && self.deadlines.is_empty()
    }

    /// From here on the table has this fault.
    #[cfg(feature = "planted")]
    pub fn plant(&mut self, fault: crate::planted::Planted) {
        self.index.planted = Some(fault);
    }

    /// Which call an input is about; `None` for a leg or a stream that is no longer known.
    fn whose(&self, input: &Input) -> Option<CallName> {
        match input {
            Input::LegOpened(name, leg) => {
                (!self.index.legs.contains_key(&leg.id)).then(|| name.clone())
            }
            Input::LegEnded(leg, _) | Input::LegLearned(leg, _) | Input::GateShut(leg, _) => {
                self.index.legs.get(leg).cloned()
            }
            Input::Renamed { from, to } => (from != to).then(|| from.clone()),
            Input::StreamReady(id) => self.index.streams.get(id).cloned(),
            Input::StreamFailed(report) | Input::StreamFinished(report) => {
                self.index.streams.get(&report.id).cloned()
            }
            Input::Start(_, name, _)
            | Input::Stop(_, name)
            | Input::Pause(_, name)
            | Input::Resume(_, name) => Some(name.clone()),
            Input::Tick => None,
        }
    }

    fn due(&self, now: Instant) -> Vec<CallName> {
        let due = self.deadlines.iter().take_while(|(at, _)| *at <= now);
        due.map(|(_, name)| name.clone()).collect()
    }

    fn turn(&mut self, now: Instant, name: CallName, input: Input) {
        let Self {
            patience,
            calls,
            index,
            deadlines,
            outputs,
        } = self;
        let call = calls.remove(&name);
        let before = call.as_ref().and_then(Call::deadline);
        let mut desk = Desk {
            now,
            patience,
            index,
            outputs,
        };
        let call = table::turn(call, &mut desk, input);
        let after = call.as_ref().and_then(Call::deadline);
        if before != after {
            if let Some(at) = before {
                deadlines.remove(&(at, name.clone()));
            }
            if let Some(at) = after {
                deadlines.insert((at, name.clone()));
            }
        }
        if let Some(call) = call {
            calls.insert(name, call);
        }
    }
}

impl Refusal {
    /// All of them, in alphabetical order.
    pub const ALL: [Self; 4] = [Self::Already, Self::Draining, Self::NoCall, Self::Pending];
}

impl StateName {
    /// All of them, in alphabetical order.
    pub const ALL: [Self; 7] = [
        Self::Awaited,
        Self::Draining,
        Self::Idle,
        Self::Paused,
        Self::Starting,
        Self::Stopping,
        Self::Streaming,
    ];

    /// As the native API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Awaited => "awaited",
            Self::Draining => "draining",
            Self::Idle => "idle",
            Self::Paused => "paused",
            Self::Starting => "starting",
            Self::Stopping => "stopping",
            Self::Streaming => "streaming",
        }
    }
}
