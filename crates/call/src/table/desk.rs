//! What a transition works with: the time, the patience, the index, and where its orders go.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use crate::name::{CallName, LegId, StreamId, Ticket};
use crate::start::Start;
use crate::switchboard::{Outcome, Output, Patience, Refusal};

/// For the length of one input.
#[derive(Debug)]
pub(crate) struct Desk<'a> {
    pub(crate) now: Instant,
    pub(crate) patience: &'a Patience,
    pub(crate) index: &'a mut Index,
    pub(crate) outputs: &'a mut VecDeque<Output>,
}

/// Which call a leg or a stream belongs to, and what the calls count together.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) legs: HashMap<LegId, CallName>,
    pub(crate) streams: HashMap<StreamId, CallName>,
    /// Calls in *awaited*.
    pub(crate) awaited: usize,
    /// A start that has left the name under which it waited, on its way to the call it is meant
    /// for. Nothing but within one input.
    pub(crate) moved: Option<(Ticket, CallName, Box<Start>)>,
    /// Shuttings the switchboard has asked for by itself.
    shuttings: u64,
    #[cfg(feature = "planted")]
    pub(crate) planted: Option<crate::planted::Planted>,
}

impl Index {
    /// Whether it names nothing.
    pub(crate) fn is_empty(&self) -> bool {
        let is_on_the_way = self.moved.is_some();
        self.legs.is_empty() && self.streams.is_empty() && self.awaited == 0 && !is_on_the_way
    }
}

impl Desk<'_> {
    pub(crate) fn order(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn answer(&mut self, ticket: Ticket, outcome: Outcome) {
        self.order(Output::Answer(ticket, Ok(outcome)));
    }

    pub(crate) fn refuse(&mut self, ticket: Ticket, refusal: Refusal) {
        self.order(Output::Answer(ticket, Err(refusal)));
    }

    /// For a shutting that no command asked for. Counted down from the top; commands count up.
    pub(crate) fn ticket(&mut self) -> Ticket {
        self.index.shuttings += 1;
        Ticket(u64::MAX - self.index.shuttings)
    }

    #[cfg(feature = "planted")]
    pub(crate) fn is_planted(&self, fault: crate::planted::Planted) -> bool {
        self.index.planted == Some(fault)
    }
}
