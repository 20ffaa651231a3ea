//! One recording session as the adapter keeps it: its call, its lines, what is wanted of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use call::name::{CallName, Namespace};
use call::start::Wish;
use siprec::server::{MediaLine, SessionFacts};
use siprec::trunk::BeforeStart;
use tokio::sync::watch;

use crate::intake::{Introduction, Learned, Teller};
use crate::siprec::clock::SessionClock;
use crate::siprec::config::SiprecConfig;
use crate::siprec::media::Order;
use crate::siprec::naming;
use crate::siprec::tally::LineEnd;

/// A session that runs.
#[derive(Debug)]
pub(crate) struct Session {
    /// Without the metadata: nothing here needs it. RFC 7865 §10.
    facts: SessionFacts,
    pub(crate) call: CallName,
    pub(crate) clock: Arc<SessionClock>,
    pub(crate) began: Instant,
    lines: BTreeMap<usize, Entry>,
    manner: Manner,
    /// What its trunk asks of the speech service.
    wish: Wish,
    /// Whether sound flows or was asked for.
    sound: bool,
    /// Times it was asked for that are not answered yet.
    asked: u32,
}

/// What its trunk says about sound before a start and after a stop.
#[derive(Clone, Copy, Debug, Default)]
struct Manner {
    asks: bool,
    pauses: bool,
}

/// A line that runs.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) orders: watch::Sender<Order>,
    pub(crate) teller: Teller,
    pub(crate) label: Option<String>,
    pub(crate) is_active: bool,
    is_silent: bool,
    wanted: bool,
    /// Whether its leg waits to hear what became of that.
    waits: bool,
    /// Why the peer refused the start whose wish for this leg has not been heard yet.
    refused: Option<String>,
}

impl Session {
    pub(crate) fn new(
        now: Instant,
        facts: SessionFacts,
        call: CallName,
        clock: Arc<SessionClock>,
        config: &SiprecConfig,
    ) -> Self {
        let mut trunks = config.trunks.iter();
        let trunk = trunks.find(|trunk| trunk.name == facts.trunk);
        let wish = config.wishes.get(&facts.trunk);
        let manner = trunk.map_or_else(Manner::default, |trunk| Manner {
            asks: trunk.answer == BeforeStart::Inactive || trunk.pause_on_stop,
            pauses: trunk.pause_on_stop,
        });
        Self {
            facts: stripped(facts),
            call,
            clock,
            began: now,
            lines: BTreeMap::new(),
            manner,
            wish: wish.cloned().unwrap_or_default(),
            sound: false,
            asked: 0,
        }
    }

    /// The name of a session's call.
    pub(crate) fn call_of(facts: &SessionFacts) -> CallName {
        CallName {
            namespace: Namespace::Siprec,
            guid: naming::guid(facts.session, &facts.identifiers),
        }
    }

    pub(crate) fn facts(&self) -> &SessionFacts {
        &self.facts
    }

    /// Whether the peer is to be told when sound is wanted.
    pub(crate) fn asks(&self) -> bool {
        self.manner.asks
    }

    /// Whether it has no line but perhaps this one.
    pub(crate) fn is_alone(&self, line: usize) -> bool {
        let known = self.facts.roles.iter().map(|(index, _)| *index);
        let running = self.lines.keys().copied();
        known.chain(running).all(|index| index == line)
    }

    pub(crate) fn party(&self, line: usize) -> Option<siprec::roles::Party> {
        self.role_of(line).map(|role| role.party)
    }

    /// What the gateway is told of a line that begins.
    pub(crate) fn introduce(
        &self,
        side: call::name::Side,
        (line, media): (usize, &MediaLine),
        wanted: Option<watch::Sender<bool>>,
    ) -> Introduction {
        let identifiers = naming::identifiers(&self.facts, media.label.as_deref());
        let names = naming::names(&self.call.guid, &self.facts.identifiers);
        Introduction {
            names,
            role: self.role_of(line).map(naming::role),
            wish: self.wish.clone(),
            wanted,
            ..Introduction::new(self.call.clone(), side, identifiers)
        }
    }

    /// A line begins. One that had its place is over.
    pub(crate) fn insert(&mut self, line: usize, entry: Entry) {
        if let Some(before) = self.lines.insert(line, entry) {
            before.end(LineEnd::Removed);
        }
    }

    /// A line is over.
    pub(crate) fn remove(&mut self, line: usize) -> Option<Entry> {
        self.lines.remove(&line)
    }

    /// What it has, to be ended.
    pub(crate) fn take_lines(&mut self) -> BTreeMap<usize, Entry> {
        std::mem::take(&mut self.lines)
    }

    /// A line is received otherwise from now on.
    pub(crate) fn change(&mut self, line: usize, media: MediaLine) {
        if let Some(entry) = self.lines.get_mut(&line) {
            entry.is_active = media.is_active;
            entry.label.clone_from(&media.label);
            entry.order(Order::Receive(Arc::new(media)));
        }
    }

    /// More is known of the session; its legs are told.
    pub(crate) fn learn(&mut self, facts: SessionFacts) {
        self.facts = stripped(facts);
        for (line, entry) in &self.lines {
            entry.teller.learned(Learned {
                id: entry.teller.id(),
                identifiers: naming::identifiers(&self.facts, entry.label.as_deref()),
                names: naming::names(&self.call.guid, &self.facts.identifiers),
                role: self.role_of(*line).map(naming::role),
            });
        }
    }

    /// A leg's gate opened or shut: what the peer is to be told, if anything.
    ///
    /// Every leg that wants sound is answered: at once where it flows, else with the peer's answer,
    /// which may have come before the wish if another leg of the start was quicker.
    pub(crate) fn want(&mut self, line: usize, wanted: bool) -> Option<bool> {
        let entry = self.lines.get_mut(&line)?;
        entry.wanted = wanted;
        entry.waits = wanted;
        if let (Some(why), true) = (entry.refused.take(), wanted) {
            entry.answer(Err(&why));
            return None;
        }
        if wanted && self.sound {
            if self.asked == 0 {
                self.answer(Ok(()));
            }
            return None;
        }
        let is_over = self.sound && self.manner.pauses && !self.is_wanted();
        if wanted || is_over {
            self.lines
                .values_mut()
                .for_each(|entry| entry.refused = None);
            self.sound = wanted;
            self.asked += u32::from(wanted);
            return Some(wanted);
        }
        None
    }

    /// What the peer made of it.
    pub(crate) fn granted(&mut self, sound: bool, result: Result<(), &str>) {
        if !sound {
            return;
        }
        self.asked = self.asked.saturating_sub(1);
        if self.asked > 0 {
            return;
        }
        if result.is_err() {
            self.sound = false;
        }
        self.answer(result);
    }

    /// A start wants all legs; one that has not said so yet is told when it does. A start that
    /// another leg begins is a later one.
    fn answer(&mut self, result: Result<(), &str>) {
        for entry in self.lines.values_mut() {
            let is_heard = entry.wanted;
            entry.refused = result.err().filter(|_| !is_heard).map(str::to_owned);
            entry.answer(result);
        }
    }

    fn is_wanted(&self) -> bool {
        self.lines.values().any(|entry| entry.wanted)
    }

    /// Whether, as of now, no active line has heard anything for too long.
    pub(crate) fn fall_silent(&mut self, line: usize, is_silent: bool) -> bool {
        if let Some(entry) = self.lines.get_mut(&line) {
            entry.is_silent = is_silent;
        }
        let mut active = self
            .lines
            .values()
            .filter(|entry| entry.is_active)
            .peekable();
        active.peek().is_some() && active.all(|entry| entry.is_silent)
    }

    fn role_of(&self, line: usize) -> Option<&siprec::roles::LineRole> {
        let mut roles = self.facts.roles.iter();
        roles
            .find(|(index, _)| *index == line)
            .map(|(_, role)| role)
    }
}

impl Entry {
    pub(crate) fn new(
        orders: watch::Sender<Order>,
        teller: Teller,
        label: Option<String>,
        is_active: bool,
    ) -> Self {
        Self {
            orders,
            teller,
            label,
            is_active,
            is_silent: false,
            wanted: false,
            waits: false,
            refused: None,
        }
    }

    /// Tells the leg, if it waits.
    fn answer(&mut self, result: Result<(), &str>) {
        if std::mem::take(&mut self.waits) {
            match result {
                Ok(()) => self.teller.granted(),
                Err(why) => self.teller.refused(why.to_owned()),
            }
        }
    }

    pub(crate) fn end(&self, end: LineEnd) {
        self.order(Order::End(end));
    }

    /// A line that ended by itself needs no orders.
    fn order(&self, order: Order) {
        drop(self.orders.send(order));
    }
}

fn stripped(facts: SessionFacts) -> SessionFacts {
    SessionFacts {
        recording: siprec::metadata::Recording::default(),
        ..facts
    }
}

#[cfg(test)]
mod tests;
