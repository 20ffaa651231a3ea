//! How legs behave: some at once, some late, some never.

use super::*;

impl World {
    pub(super) fn obey_all(&mut self) -> Holds {
        while let Some(index) = self.legs.iter().position(|leg| leg.told_to_end) {
            self.end(index)?;
        }
        for index in 0..self.legs.len() {
            while self.carry_out(index) {}
        }
        let busy = |leg: &Leg| !leg.receipts.is_empty();
        while let Some(index) = self.legs.iter().position(busy) {
            self.confirm(index)?;
        }
        Ok(())
    }

    pub(super) fn obey_promptly(&mut self) -> Holds {
        for index in 0..self.legs.len() {
            while self.legs[index].prompt && self.carry_out(index) {}
        }
        let busy = |leg: &Leg| leg.prompt && !leg.receipts.is_empty();
        match self.legs.iter().position(busy) {
            Some(index) => self.confirm(index),
            None => Ok(()),
        }
    }

    /// Whether there was something to do.
    pub(super) fn carry_out(&mut self, index: usize) -> bool {
        let leg = &mut self.legs[index];
        if leg.deaf && matches!(leg.orders.front(), Some(Order::Shut(..))) {
            return false;
        }
        let mut finished = None;
        match leg.orders.pop_front() {
            None => return false,
            Some(Order::Open(stream)) => {
                leg.gate = Gate::Open;
                leg.stream = Some(stream);
            }
            Some(Order::Shut(ticket, Then::Hold)) => {
                leg.gate = if leg.stream.is_some() {
                    Gate::Paused
                } else {
                    Gate::Shut
                };
                leg.receipts.push_back(ticket);
            }
            Some(Order::Shut(ticket, Then::Finish)) => {
                leg.gate = Gate::Shut;
                finished = leg.stream.take();
                leg.receipts.push_back(ticket);
            }
        }
        self.starve(finished);
        true
    }

    pub(super) fn confirm(&mut self, index: usize) -> Holds {
        let leg = &mut self.legs[index];
        let (id, call) = (leg.id, leg.call);
        let Some(ticket) = leg.receipts.pop_front() else {
            return Ok(());
        };
        if self.chance.percent(self.odds.echo) {
            self.legs[index].receipts.push_back(ticket);
        }
        self.tell(Some(call), Kind::GateShut, Input::GateShut(id, ticket))
    }

    pub(super) fn end(&mut self, index: usize) -> Holds {
        let leg = self.legs.swap_remove(index);
        self.starve(leg.stream);
        let opened = leg.orders.into_iter().filter_map(|order| match order {
            Order::Open(stream) => Some(stream),
            Order::Shut(..) => None,
        });
        opened.for_each(|stream| self.starve(Some(stream)));
        let ending = Ending::new(Fault::Nobody, "hung_up");
        self.tell(
            Some(leg.call),
            Kind::LegEnded,
            Input::LegEnded(leg.id, ending),
        )
    }

    /// No more sound comes to a stream: it may finish.
    pub(super) fn starve(&mut self, id: Option<StreamId>) {
        if let Some(id) = id {
            for stream in self
                .streams
                .iter_mut()
                .filter(|stream| stream.spec.id == id)
            {
                stream.fed = false;
            }
        }
    }
}
