//! Who commands which call: its owner, the one whose start was accepted first, until the call is
//! over. Each command is told, with what became of it.

use std::sync::Arc;

use call::name::{CallName, Ticket};
use call::switchboard::{Input, Outcome, Refusal};

use super::{Asked, Desk, Waiting};
use crate::events::{self, Event};
use crate::switchboard_task::{Command, Owner, Refused};

impl Desk {
    pub(super) fn command(&mut self, name: &CallName, command: Command, asked: Asked) {
        let call = self.resolve(name);
        let tenant = asked.by.tenant.clone();
        let mut waiting = Waiting {
            asked,
            verb: command.verb(),
            call: call.clone(),
            claims: false,
        };
        let is_start = matches!(command, Command::Start(_));
        let owner = self.owner(&call);
        let is_anybodys = owner == Owner::Nobody && (is_start || tenant.is_none());
        if !is_anybodys && !owner.shows_to(tenant.as_deref()) {
            // As if the call were not there: whose it is, is nobody else's business.
            drop(
                waiting
                    .asked
                    .answer
                    .send(Err(Refused::ByState(Refusal::NoCall))),
            );
            return;
        }
        waiting.claims = is_start && self.world.bus.belongs_to(&call, tenant);
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.waiting.insert(ticket, waiting);
        self.tell(match command {
            Command::Pause => Input::Pause(ticket, call),
            Command::Resume => Input::Resume(ticket, call),
            Command::Start(start) => {
                let start = Box::new(start.of_call(&call));
                Input::Start(ticket, call, start)
            }
            Command::Stop => Input::Stop(ticket, call),
        });
    }

    /// Answers a command, and tells of it. Of calls that never were nothing is told: there is
    /// nobody whose trail it could be on.
    pub(super) fn told(&mut self, waiting: Waiting, answer: Result<Outcome, Refused>) {
        let Waiting {
            asked,
            verb,
            call,
            claims,
        } = waiting;
        if claims && answer.is_err() {
            self.world.bus.belongs_to_nobody(&call);
        }
        if self.has_had_media(&call) {
            let outcome = match &answer {
                Ok(Outcome { error: None, .. }) => "ok",
                Ok(Outcome { error: Some(_), .. }) => "not_ok",
                Err(refused) => refused.code(),
            };
            let command = events::Command {
                verb,
                key: Arc::clone(&asked.by.key),
                from: asked.by.from,
                outcome,
                request: asked.by.request,
            };
            self.world.bus.publish(&call, Event::Command(command));
        }
        drop(asked.answer.send(answer));
    }

    /// Whose a call is.
    pub(super) fn owner(&self, call: &CallName) -> Owner {
        let owner = self.world.bus.owner_of(call);
        owner.map_or(Owner::Nobody, Owner::Started)
    }

    /// A start that waits under one name of a call goes on under the other, and takes along whose
    /// the call will be. False if it is another's already; then nobody waits any more.
    pub(super) fn hand_over(&mut self, from: &CallName, to: &CallName) -> bool {
        let bus = &self.world.bus;
        let Some(waits) = bus.owner_of(from) else {
            return true;
        };
        bus.belongs_to_nobody(from);
        let claimed = bus.belongs_to(to, waits.clone());
        let may = claimed || waits.is_none() || bus.owner_of(to) == Some(waits);
        let tickets = self.waiting.iter().filter(|(_, one)| one.call == *from);
        for ticket in tickets.map(|(ticket, _)| *ticket).collect::<Vec<_>>() {
            if may && let Some(waiting) = self.waiting.get_mut(&ticket) {
                waiting.call = to.clone();
                waiting.claims &= claimed;
            } else if let Some(waiting) = self.waiting.remove(&ticket) {
                self.told(waiting, Err(Refused::ByState(Refusal::NoCall)));
            }
        }
        may
    }
}
