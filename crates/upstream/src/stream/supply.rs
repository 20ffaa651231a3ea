//! What a stream has to send, in its order: what is to be sent again, what waits to be cut, and
//! what the leg brings.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use call::audio::Chunk;
use call::backlog::{Gap, GapReason, Taken};
use call::budget::Budget;
use call::feed::ChunkSource;

use super::account::Account;
use super::again::Again;
use super::cutter::{self, Cutter, Piece};
use super::replay::Leavings;
use super::stretches::{Stretches, is_loud, wipe};
use crate::service::Limits;

/// Outlives the sockets. Between the leg and the socket in use, nothing is held anywhere else.
#[derive(Debug)]
pub(crate) struct Supply {
    source: ChunkSource,
    /// What a lost socket gave back, and then what was taken before anybody could send it.
    again: Again,
    budget: Budget,
    cutter: Cutter,
    account: Account,
    /// A pause began, and what was said before it is yet to be sent, or the service yet to be told.
    is_endpoint_due: bool,
    /// Up to where finals have come on sockets that are gone.
    confirmed_to: u64,
    /// Up to where all was thrown away by order, as far as is known here.
    discarded_to: u64,
}

/// What is to be said next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Nothing is left and nothing more will come.
    Ended,
    /// A pause has begun.
    Endpoint,
    /// Sound.
    Sound(Piece),
}

/// What will never be heard for certain.
#[derive(Debug, Default)]
pub(crate) struct Forsaken {
    /// What was never sent.
    pub(crate) unsent: Vec<Gap>,
    /// What was sent, and perhaps heard.
    pub(crate) unconfirmed: Stretches,
}

impl Supply {
    pub(crate) fn new(source: ChunkSource) -> Self {
        let budget = source.budget();
        Self {
            source,
            again: Again::new(&budget),
            budget,
            cutter: Cutter::default(),
            account: Account::default(),
            is_endpoint_due: false,
            confirmed_to: 0,
            discarded_to: 0,
        }
    }

    /// What is to be said next, cut as a service wants it. Pending until there is something.
    pub(crate) fn poll_next(&mut self, context: &Context<'_>, limits: &Limits) -> Poll<Next> {
        loop {
            if let Some(piece) = self.cutter.cut(limits) {
                return Poll::Ready(Next::Sound(piece));
            }
            if let Some(chunk) = self.again.pop_front() {
                if let Err(chunk) = self.cutter.take(chunk) {
                    self.again.push_front(chunk);
                    if let Some(piece) = self.cutter.flush(limits) {
                        return Poll::Ready(Next::Sound(piece));
                    }
                }
                continue;
            }
            self.is_endpoint_due |= self.source.take_endpoint();
            if self.is_endpoint_due {
                if let Some(piece) = self.cutter.flush(limits) {
                    return Poll::Ready(Next::Sound(piece));
                }
                self.is_endpoint_due = false;
                return Poll::Ready(Next::Endpoint);
            }
            match self.source.poll_take(context) {
                Poll::Ready(Taken::Chunk(chunk)) => self.again.push_back(chunk),
                Poll::Ready(Taken::Ended) => {
                    let rest = self.cutter.flush(limits);
                    return Poll::Ready(rest.map_or(Next::Ended, Next::Sound));
                }
                Poll::Ready(Taken::Nothing) | Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Pending until there is sound that nobody has heard, or nothing more will come.
    pub(crate) fn poll_sound(&mut self, context: &Context<'_>) -> Poll<()> {
        if self.held() > 0 {
            return Poll::Ready(());
        }
        match self.source.poll_take(context) {
            Poll::Ready(Taken::Chunk(chunk)) => self.again.push_back(chunk),
            Poll::Ready(Taken::Ended) => {}
            Poll::Ready(Taken::Nothing) | Poll::Pending => return Poll::Pending,
        }
        Poll::Ready(())
    }

    /// Pending until nothing more will come; woken whenever something does.
    pub(crate) fn poll_ended(&mut self, context: &Context<'_>) -> Poll<()> {
        self.source.poll_ended(context)
    }

    /// A chunk goes out; tells how many of its samples, the last ones, do so for the first time.
    pub(crate) fn send(&mut self, chunk: &Chunk) -> u64 {
        self.account.send(chunk)
    }

    /// A socket is gone: what it may not have delivered is sent again before anything else. Tells
    /// what of it is not. If the service had not accepted the stream, it has heard nothing.
    pub(crate) fn take_back(&mut self, leavings: Leavings, is_accepted: bool) -> Stretches {
        let Leavings {
            kept,
            writing,
            beyond,
            confirmed_to,
        } = leavings;
        self.confirmed_to = self.confirmed_to.max(confirmed_to.unwrap_or(0));
        if let Some(rest) = self.cutter.empty() {
            self.again.push_front(rest);
        }
        if let Some(sent) = writing {
            self.account.take_back(&sent.chunk, sent.fresh);
            self.again.push_front(sent.chunk);
        }
        for mut sent in kept.into_iter().rev() {
            if !is_accepted {
                self.account.take_back(&sent.chunk, sent.fresh);
            } else if let Some(told) = self.confirmed_to.checked_sub(sent.chunk.position)
                && (1..sent.chunk.len()).contains(&told)
            {
                // The end of what a final has told would only be heard as a piece of a word.
                drop(cutter::split(&mut sent.chunk, told));
            }
            self.again.push_front(sent.chunk);
        }
        beyond
    }

    /// Forgets the oldest of what is to be sent again while all streams together hold too much.
    pub(crate) fn shed(&mut self, forsaken: &mut Forsaken) {
        while let Some(mut chunk) = self.again.shed() {
            self.forsake(&chunk, GapReason::Outage, forsaken);
            wipe(&mut chunk);
        }
    }

    /// What all that is held counts towards.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The service that was told of a pause is gone; the next one is told too.
    pub(crate) fn endpoint_again(&mut self) {
        self.is_endpoint_due = true;
    }

    /// Throws away what an order has thrown away in the leg's backlog; tells up to where, if that
    /// is news.
    pub(crate) fn purge(&mut self, forsaken: &mut Forsaken) -> Option<u64> {
        let to = self.source.discarded_to();
        if to <= self.discarded_to {
            return None;
        }
        self.discarded_to = to;
        let mut held: VecDeque<_> = self.cutter.empty().into_iter().collect();
        held.extend(std::iter::from_fn(|| self.again.pop_front()));
        for mut chunk in held {
            if chunk.position < to {
                self.forsake(&chunk, GapReason::Discarded, forsaken);
                wipe(&mut chunk);
            } else {
                self.again.push_back(chunk);
            }
        }
        Some(to)
    }

    /// Nothing will be sent any more: all that waits is given up.
    pub(crate) fn give_up(&mut self, forsaken: &mut Forsaken) {
        let context = Context::from_waker(std::task::Waker::noop());
        loop {
            let held = self.cutter.empty().or_else(|| self.again.pop_front());
            let chunk = match held {
                Some(chunk) => chunk,
                None => match self.source.poll_take(&context) {
                    Poll::Ready(Taken::Chunk(chunk)) => chunk,
                    Poll::Ready(_) | Poll::Pending => return,
                },
            };
            self.forsake(&chunk, GapReason::Outage, forsaken);
        }
    }

    /// Whether another socket would have nothing to carry that nobody has heard.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.source.is_ended() && self.waiting() == 0
    }

    /// Whether what is sent next was sent before.
    pub(crate) fn is_replay(&self) -> bool {
        let next = self.cutter.rest().or_else(|| self.again.front());
        next.is_some_and(|chunk| self.account.unsent(chunk) < chunk.len())
    }

    /// Up to where finals have come on sockets that are gone.
    pub(crate) fn confirmed_to(&self) -> u64 {
        self.confirmed_to
    }

    /// Whether nothing more will come.
    pub(crate) fn is_ended(&self) -> bool {
        self.source.is_ended()
    }

    /// The next stretch that the leg says is missing.
    pub(crate) fn take_gap(&mut self) -> Option<Gap> {
        self.source.take_gap()
    }

    /// Samples that nobody was sent yet.
    pub(crate) fn waiting(&self) -> u64 {
        self.source.waiting() + self.held()
    }

    /// What became of what was taken.
    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    /// The same, to be told of summaries.
    pub(crate) fn account_mut(&mut self) -> &mut Account {
        &mut self.account
    }

    /// Samples that were taken and not sent yet.
    fn held(&self) -> u64 {
        let held = self.cutter.rest().into_iter().chain(self.again.iter());
        held.map(|chunk| self.account.unsent(chunk)).sum()
    }

    fn forsake(&mut self, chunk: &Chunk, reason: GapReason, forsaken: &mut Forsaken) {
        let (from, to) = (chunk.position, chunk.position + chunk.len());
        let unsent = self.account.unsent(chunk);
        let stretches = &mut forsaken.unconfirmed;
        stretches.see(from, to - unsent, is_loud(chunk));
        stretches.clip(self.confirmed_to);
        if unsent > 0 {
            self.account.drop(unsent);
            let from = to - unsent;
            match forsaken.unsent.last_mut() {
                Some(last) if last.to == from => last.to = to,
                _ => forsaken.unsent.push(Gap { from, to, reason }),
            }
        }
    }
}

#[cfg(test)]
mod tests;
