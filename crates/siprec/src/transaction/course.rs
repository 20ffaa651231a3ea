//! A machine in its time: the state of one transaction, and the deadlines of all in one order.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::machine::{self, Act, Kind, Signal, State, Timer};
use super::{ClientId, ServerId, Timers};

/// Whose deadline, or whose connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Owner {
    /// A client transaction.
    Client(ClientId),
    /// A server transaction.
    Server(ServerId),
}

impl Owner {
    /// Before all others.
    pub(super) const FIRST: Self = Self::Client(ClientId(0));
    /// After all others.
    pub(super) const LAST: Self = Self::Server(ServerId(u64::MAX));
}

/// The two timers a transaction has at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    /// Of timers that end a state.
    End,
    /// Of timers that repeat.
    Repeat,
}

/// Every armed timer, earliest first.
#[derive(Debug, Default)]
pub(super) struct Deadlines(BTreeSet<(Instant, Owner, Slot)>);

/// One transaction's state and timers.
#[derive(Debug)]
pub(super) struct Course {
    owner: Owner,
    kind: Kind,
    state: State,
    is_reliable: bool,
    /// How long the timer that repeats ran last.
    interval: Duration,
    repeat: Option<Instant>,
    end: Option<Instant>,
}

impl Deadlines {
    /// When the next timer fires.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(due, _, _)| *due)
    }

    /// Takes the next timer that has fired by now.
    pub(super) fn fired(&mut self, now: Instant) -> Option<(Owner, Signal)> {
        let (due, owner, slot) = *self.0.first()?;
        if due > now {
            return None;
        }
        self.0.pop_first();
        let signal = match slot {
            Slot::End => Signal::Over,
            Slot::Repeat => Signal::Repeat,
        };
        Some((owner, signal))
    }

    /// How many timers run.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Course {
    /// Before [`Signal::Begin`].
    pub(super) fn new(owner: Owner, kind: Kind, is_reliable: bool) -> Self {
        Self {
            owner,
            kind,
            state: machine::first(kind),
            is_reliable,
            interval: Duration::ZERO,
            repeat: None,
            end: None,
        }
    }

    /// Where it is.
    pub(super) fn state(&self) -> State {
        self.state
    }

    /// One step: timers are set here, what else is to be done is given back. A timer that would
    /// last no time at all ends the transaction after these acts.
    pub(super) fn step(
        &mut self,
        now: Instant,
        signal: Signal,
        timers: &Timers,
        deadlines: &mut Deadlines,
    ) -> &'static [Act] {
        match signal {
            Signal::Over => self.end = None,
            Signal::Repeat => self.repeat = None,
            _ => {}
        }
        let (state, acts) = machine::step(self.kind, self.state, signal);
        self.state = state;
        for act in acts {
            match *act {
                Act::Start(timer) => {
                    let length = timer.length(timers, self.is_reliable);
                    self.run(timer, now, length, deadlines);
                }
                Act::Double(timer) => {
                    let twice = self.interval.saturating_mul(2);
                    let length = twice.min(timer.longest(timers));
                    self.run(timer, now, Some(length), deadlines);
                }
                Act::Slow(timer) => self.run(timer, now, Some(timers.t2), deadlines),
                Act::Stop(timer) => self.arm(timer.slot(), None, deadlines),
                Act::Acknowledge | Act::Fail | Act::Pass | Act::Resend | Act::Send => {}
            }
        }
        if self.state == State::Terminated {
            self.stop(deadlines);
        }
        acts
    }

    /// No timer runs any more.
    pub(super) fn stop(&mut self, deadlines: &mut Deadlines) {
        self.arm(Slot::End, None, deadlines);
        self.arm(Slot::Repeat, None, deadlines);
    }

    fn run(
        &mut self,
        timer: Timer,
        now: Instant,
        length: Option<Duration>,
        deadlines: &mut Deadlines,
    ) {
        if length == Some(Duration::ZERO) {
            self.state = State::Terminated;
        }
        let slot = timer.slot();
        if let (Slot::Repeat, Some(length)) = (slot, length) {
            self.interval = length;
        }
        self.arm(slot, length.map(|length| now + length), deadlines);
    }

    fn arm(&mut self, slot: Slot, due: Option<Instant>, deadlines: &mut Deadlines) {
        let armed = match slot {
            Slot::End => &mut self.end,
            Slot::Repeat => &mut self.repeat,
        };
        if let Some(before) = std::mem::replace(armed, due) {
            deadlines.0.remove(&(before, self.owner, slot));
        }
        if let Some(due) = due {
            deadlines.0.insert((due, self.owner, slot));
        }
    }
}

impl Timer {
    /// Its first length; none where it does not run, zero where the state it ends is not needed,
    /// because the transport neither loses nor repeats.
    fn length(self, timers: &Timers, is_reliable: bool) -> Option<Duration> {
        match self {
            Self::A | Self::E | Self::G => (!is_reliable).then_some(timers.t1),
            Self::D | Self::I | Self::J | Self::K if is_reliable => Some(Duration::ZERO),
            Self::I | Self::K => Some(timers.t4),
            Self::C => Some(timers.t1.saturating_mul(360)),
            Self::B | Self::D | Self::F | Self::H | Self::J | Self::L | Self::M => {
                Some(timers.t1.saturating_mul(64))
            }
        }
    }

    /// What it may grow to.
    fn longest(self, timers: &Timers) -> Duration {
        match self {
            Self::E | Self::G => timers.t2,
            _ => Duration::MAX,
        }
    }

    fn slot(self) -> Slot {
        match self {
            Self::A | Self::E | Self::G => Slot::Repeat,
            _ => Slot::End,
        }
    }
}
