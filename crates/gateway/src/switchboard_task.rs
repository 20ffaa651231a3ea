//! The task that owns the switchboard, and the handle by which the API speaks to it.

use std::sync::Arc;

use call::leg::{Gate, LegStats};
use call::name::{CallName, Guid, LegId, Role, Side, StreamId};
use call::private::Private;
use call::start::{Report, Start};
use call::switchboard::{Outcome, Refusal, StateName};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// How the API speaks to the switchboard. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SwitchboardHandle {
    requests: mpsc::Sender<Request>,
    draining: CancellationToken,
}

/// One request to the switchboard's task, with where the answer goes.
#[derive(Debug)]
pub enum Request {
    /// A command on a call, and who gives it.
    Command(
        CallName,
        Command,
        By,
        oneshot::Sender<Result<Outcome, Refused>>,
    ),
    /// One call, for the native API.
    Call(CallName, oneshot::Sender<Option<CallSnapshot>>),
    /// All calls, for the native API.
    Calls(oneshot::Sender<Vec<CallSnapshot>>),
}

/// A command of the control API or of the native API.
#[derive(Debug)]
pub enum Command {
    /// `start-streaming`
    Start(Box<Start>),
    /// `stop-streaming`
    Stop,
    /// `…/pause`
    Pause,
    /// `…/resume`
    Resume,
}

/// Who gives a command, and from where.
#[derive(Clone, Debug, Default)]
pub struct By {
    /// The API key's public half.
    pub key: Arc<str>,
    /// Whose key it is. A tenant's key commands only the calls that a key of this tenant has
    /// started, and those that nobody has.
    pub tenant: Option<Arc<str>>,
    /// The address it came from.
    pub from: Private<String>,
    /// The request's id.
    pub request: String,
}

/// Whose a call is: that of the key whose start was accepted first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Owner {
    /// Nobody has started it.
    #[default]
    Nobody,
    /// It was started with a key of this tenant, or with one that has none.
    Started(Option<Arc<str>>),
}

/// Why a command was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The call's state does not allow it.
    ByState(Refusal),
    /// The gateway is shutting down: 503-01.
    Draining,
    /// The switchboard's task is gone or its queue is full: 503-01.
    Unavailable,
}

/// A call at one moment, for the native API.
#[derive(Clone, Debug)]
pub struct CallSnapshot {
    /// Its name.
    pub name: CallName,
    /// Whose it is.
    pub owner: Owner,
    /// Its state.
    pub state: StateName,
    /// When its first leg, or the start that awaits one, came. Milliseconds since 1970.
    pub began_unix_ms: u64,
    /// Other guids under which commands find it, in normal form.
    pub names: Vec<Guid>,
    /// What else the platform calls it: `streamSid`, `accountSid`.
    pub identifiers: Vec<(&'static str, String)>,
    /// Its live legs.
    pub legs: Vec<LegSnapshot>,
    /// Streams of the running start, and older ones not yet done.
    pub streams: Vec<StreamSnapshot>,
}

/// A leg at one moment.
#[derive(Clone, Debug)]
pub struct LegSnapshot {
    /// Its id.
    pub id: LegId,
    /// Which side it is.
    pub side: Side,
    /// Who speaks on it, once a start has said so or if the platform does.
    pub role: Option<LegRole>,
    /// What the platform calls this leg.
    pub identifiers: Vec<(&'static str, String)>,
    /// Its gate.
    pub gate: Gate,
    /// What it has seen.
    pub stats: LegStats,
}

/// Who speaks on a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegRole {
    /// Who.
    pub role: Role,
    /// Why, in words without private ones.
    pub reason: String,
    /// `high`, `medium`, `low`.
    pub confidence: &'static str,
}

/// A stream at one moment.
#[derive(Clone, Debug)]
pub struct StreamSnapshot {
    /// Its id.
    pub id: StreamId,
    /// Who speaks on it.
    pub role: Role,
    /// The leg it hears, while that lives.
    pub leg: Option<LegId>,
    /// The service that accepted it last.
    pub service: Option<&'static str>,
    /// `opening`, `ready`, `degraded`, `finishing`, `finished`, `failed`.
    pub state: &'static str,
    /// Bytes of L16 sent to the service on all its sockets.
    pub sent_bytes: u64,
    /// Transcripts heard.
    pub transcripts: u64,
    /// Samples waiting to be sent.
    pub waiting: u64,
    /// How it ended, if it has.
    pub report: Option<Report>,
}

impl Command {
    /// `start`, `stop`, `pause`, `resume`.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Start(_) => "start",
            Self::Stop => "stop",
        }
    }
}

impl Refused {
    /// The contract's code of the refusal.
    pub fn code(self) -> &'static str {
        match self {
            Self::ByState(Refusal::Already) => "409-201",
            Self::ByState(Refusal::Draining) => "409-203",
            Self::ByState(Refusal::NoCall) => "400-203",
            Self::ByState(Refusal::Pending) => "409-202",
            Self::Draining | Self::Unavailable => "503-01",
        }
    }
}

impl Owner {
    /// Whether a key of this tenant may command the call; a key without one may command all.
    pub fn admits(&self, tenant: Option<&str>) -> bool {
        match (tenant, self) {
            (None, _) | (_, Self::Nobody) => true,
            (Some(tenant), Self::Started(owner)) => owner.as_deref() == Some(tenant),
        }
    }

    /// Whether a key of this tenant sees the call.
    pub fn shows_to(&self, tenant: Option<&str>) -> bool {
        self.admits(tenant) && (tenant.is_none() || *self != Self::Nobody)
    }
}

impl SwitchboardHandle {
    /// A handle and the requests that come through it, at most `capacity` waiting.
    pub fn new(capacity: usize) -> (Self, mpsc::Receiver<Request>) {
        let (requests, receiver) = mpsc::channel(capacity);
        (
            Self {
                requests,
                draining: CancellationToken::new(),
            },
            receiver,
        )
    }

    /// From now on starts are refused, but of calls that are there: the gateway is ending. Other
    /// commands are carried out.
    pub fn drain(&self) {
        self.draining.cancel();
    }

    /// Has a command carried out; answered once, within the control timeouts.
    pub async fn command(
        &self,
        call: CallName,
        command: Command,
        by: By,
    ) -> Result<Outcome, Refused> {
        if matches!(command, Command::Start(_))
            && self.draining.is_cancelled()
            && self.call(call.clone()).await?.is_none()
        {
            return Err(Refused::Draining);
        }
        let (answer, answered) = oneshot::channel();
        let request = Request::Command(call, command, by, answer);
        self.requests
            .try_send(request)
            .map_err(|_| Refused::Unavailable)?;
        answered.await.unwrap_or(Err(Refused::Unavailable))
    }

    /// One call, if the switchboard knows it.
    pub async fn call(&self, call: CallName) -> Result<Option<CallSnapshot>, Refused> {
        let (answer, answered) = oneshot::channel();
        self.requests
            .try_send(Request::Call(call, answer))
            .map_err(|_| Refused::Unavailable)?;
        answered.await.map_err(|_| Refused::Unavailable)
    }

    /// All calls.
    pub async fn calls(&self) -> Result<Vec<CallSnapshot>, Refused> {
        let (answer, answered) = oneshot::channel();
        self.requests
            .try_send(Request::Calls(answer))
            .map_err(|_| Refused::Unavailable)?;
        answered.await.map_err(|_| Refused::Unavailable)
    }
}
