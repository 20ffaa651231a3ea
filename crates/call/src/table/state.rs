//! The states of a call, each with what only it knows.

use std::time::Instant;

use crate::name::Ticket;
use crate::start::Start;
use crate::switchboard::StateName;
use crate::table::run::Run;

/// Where a call stands.
#[derive(Debug)]
pub(crate) enum State {
    Awaited(Awaited),
    Draining,
    Idle,
    Paused(Paused),
    Starting(Starting),
    Stopping(Stopping),
    Streaming(Run),
}

/// A start waits for media.
#[derive(Debug)]
pub(crate) struct Awaited {
    pub(crate) ticket: Ticket,
    pub(crate) start: Box<Start>,
    /// The end of `start_grace`.
    pub(crate) until: Instant,
}

/// Sound is silence.
#[derive(Debug)]
pub(crate) struct Paused {
    pub(crate) run: Run,
    /// The pause, until every gate has confirmed.
    pub(crate) ticket: Option<Ticket>,
}

/// A start waits for its streams.
#[derive(Debug)]
pub(crate) struct Starting {
    pub(crate) ticket: Ticket,
    pub(crate) run: Run,
    /// The end of `start_timeout`; `None` once it is over.
    pub(crate) until: Option<Instant>,
}

/// A stop waits for its gates and its finals.
#[derive(Debug)]
pub(crate) struct Stopping {
    pub(crate) ticket: Ticket,
    pub(crate) run: Run,
    /// The end of `stop_timeout`; `None` once it is over.
    pub(crate) until: Option<Instant>,
}

impl State {
    pub(crate) fn name(&self) -> StateName {
        match self {
            Self::Awaited(_) => StateName::Awaited,
            Self::Draining => StateName::Draining,
            Self::Idle => StateName::Idle,
            Self::Paused(_) => StateName::Paused,
            Self::Starting(_) => StateName::Starting,
            Self::Stopping(_) => StateName::Stopping,
            Self::Streaming(_) => StateName::Streaming,
        }
    }

    /// The running start.
    pub(crate) fn run(&self) -> Option<&Run> {
        match self {
            Self::Awaited(_) | Self::Draining | Self::Idle => None,
            Self::Paused(Paused { run, .. })
            | Self::Starting(Starting { run, .. })
            | Self::Stopping(Stopping { run, .. })
            | Self::Streaming(run) => Some(run),
        }
    }

    /// When its patience ends. That of the gates and the older streams is the call's.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Awaited(awaited) => Some(awaited.until),
            Self::Starting(starting) => starting.until,
            Self::Stopping(stopping) => stopping.until,
            Self::Draining | Self::Idle | Self::Paused(_) | Self::Streaming(_) => None,
        }
    }
}
