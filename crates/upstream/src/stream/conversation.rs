//! One socket of a stream, from the greeting to its end, as a machine that is polled.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, warn};

use call::audio::Chunk;
use call::backlog::Taken;
use call::start::{Status, Summary};

use super::State;
use super::core::{Core, Lost, Over};
use super::due::{Due, Marks};
use super::ledger;
use super::timer::Timer;
use crate::metrics::Unknown;
use crate::pacer::Pacer;
use crate::retry::Loss;
use crate::service::{Dialect, Heard, Message, Retry};
use crate::wire::{Link, Received, WireError};

/// One socket and what is under way on it.
pub(crate) struct Conversation<'a> {
    core: &'a mut Core,
    link: Link,
    dialect: Box<dyn Dialect>,
    greetings: std::vec::IntoIter<Message>,
    pacer: Pacer,
    /// Chunks to be put back if the socket is lost: the one being written, and before the service
    /// has accepted the stream all of them.
    held: VecDeque<Chunk>,
    /// Whether the message being written is the newest chunk.
    is_sound: bool,
    /// Whether the address was asked for just before.
    fresh: bool,
    marks: Marks,
    timer: Timer,
}

impl<'a> Conversation<'a> {
    pub(crate) fn new(core: &'a mut Core, link: Link, fresh: bool) -> Self {
        let now = Instant::now();
        let mut dialect = core.deps.service.dialect(&core.spec);
        let greetings = dialect.greet().into_iter();
        let pacer = Pacer::new(core.deps.service.limits());
        let timer = Timer::new(now + core.deps.config.response_timeout);
        core.line.socket_opened();
        Self {
            core,
            link,
            dialect,
            greetings,
            pacer,
            held: VecDeque::new(),
            is_sound: false,
            fresh,
            marks: Marks::new(now),
            timer,
        }
    }

    /// Until the socket is of no more use.
    pub(crate) async fn run(mut self) -> Over {
        let over = poll_fn(|context| self.poll(context)).await;
        match &over {
            Over::Finished(..) => self.core.farewell = Some(self.link),
            Over::Lost(_) => {
                for chunk in self.held.drain(..).rev() {
                    self.core.ledger.taken_back(&chunk);
                    // Without room the leg's backlog drops the oldest and records it.
                    self.core.source.untake(chunk);
                }
            }
        }
        over
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Over> {
        self.marks.now = Instant::now();
        let over = self.hear(context).or_else(|| self.send(context));
        let over = over.or_else(|| self.watch(context));
        if self.marks.is_accepted {
            self.core.tell_gaps();
        }
        self.core.show_counts();
        over.map_or(Poll::Pending, Poll::Ready)
    }

    /// Hears everything that has come.
    fn hear(&mut self, context: &mut Context<'_>) -> Option<Over> {
        loop {
            let received = match self.link.poll_hear(context) {
                Poll::Pending => return None,
                Poll::Ready(Err(error)) => return Some(self.cut(&error)),
                Poll::Ready(Ok(received)) => received,
            };
            self.marks.heard = self.marks.now;
            self.marks.pinged = None;
            match received {
                Received::Binary => self.core.deps.metrics.unknown(Unknown::Binary),
                Received::Life => {}
                Received::Text(text) => {
                    if let Some(over) = self.understand(&text) {
                        return Some(over);
                    }
                }
            }
        }
    }

    fn understand(&mut self, text: &str) -> Option<Over> {
        let metrics = &self.core.deps.metrics;
        match self.dialect.hear(text) {
            Ok(Heard::Final {
                status,
                retry,
                summary,
            }) => {
                return Some(self.finale(status, retry, summary));
            }
            Ok(Heard::Nothing) => {}
            Ok(Heard::Ready) => self.accept(),
            Ok(Heard::Transcript(utterance)) => self.core.utterance(utterance),
            Ok(Heard::Unknown) => metrics.unknown(Unknown::Kind),
            Ok(Heard::VocabularyRefused(status)) => {
                metrics.vocabulary_refused();
                let code = status.code;
                self.core
                    .span
                    .in_scope(|| warn!(code, "The vocabulary was not taken."));
            }
            Err(gibberish) => {
                metrics.unknown(Unknown::Gibberish);
                self.core
                    .span
                    .in_scope(|| debug!(%gibberish, "A message was not understood."));
            }
        }
        None
    }

    /// From here on only the chunk that is being written can be put back.
    fn accept(&mut self) {
        if self.marks.is_accepted {
            return;
        }
        self.marks.is_accepted = true;
        let written = self.held.len() - usize::from(self.is_sound);
        self.held.drain(..written);
        self.held.shrink_to(1);
        self.core
            .deps
            .metrics
            .accepted(self.marks.now - self.marks.opened);
        self.core.accepted();
        if self.marks.finishing.is_some() {
            self.core.show(State::Finishing);
        }
    }

    /// The service's last message.
    fn finale(&mut self, status: Status, retry: Retry, summary: Option<Summary>) -> Over {
        let expected = self
            .marks
            .finishing
            .filter(|_| self.marks.is_accepted || status.is_ok());
        if let Some(summary) = summary.filter(|_| self.marks.is_accepted || expected.is_some()) {
            self.core.ledger.confirmed(summary);
        }
        if let Some(since) = expected {
            self.core.deps.metrics.final_heard(self.marks.now - since);
            return Over::Finished(status, summary);
        }
        let retry = if status.is_ok() {
            Retry::Backoff
        } else {
            retry
        };
        let Status { code, description } = &status;
        let why = format!("the service ended the stream with status {code}: {description}");
        self.lost(why, retry, Some(status))
    }

    /// Sends what there is to send, one message at a time.
    fn send(&mut self, context: &mut Context<'_>) -> Option<Over> {
        loop {
            if self.marks.writing.is_some() {
                match self.link.poll_flush(context) {
                    Poll::Pending => return None,
                    Poll::Ready(Ok(())) => self.written(),
                    Poll::Ready(Err(error)) => return Some(self.cut_in_writing(context, &error)),
                }
            }
            let message = self.next(context)?;
            self.marks.writing = Some(self.marks.now);
            if let Err(error) = self.link.feed(message) {
                return Some(self.cut_in_writing(context, &error));
            }
        }
    }

    fn next(&mut self, context: &Context<'_>) -> Option<Message> {
        if let Some(greeting) = self.greetings.next() {
            return Some(greeting);
        }
        if self.marks.finishing.is_some()
            || self.is_full()
            || self.pacer.wait(self.marks.now).is_some()
        {
            return None;
        }
        match self.core.source.poll_take(context) {
            Poll::Ready(Taken::Chunk(chunk)) => Some(self.say(chunk)),
            Poll::Ready(Taken::Ended) => {
                self.marks.finishing = Some(self.marks.now);
                self.core.show(State::Finishing);
                Some(self.dialect.finish())
            }
            Poll::Ready(Taken::Nothing) | Poll::Pending => None,
        }
    }

    fn say(&mut self, chunk: Chunk) -> Message {
        let message = self.dialect.say(&chunk);
        self.core.line.sent(&chunk);
        self.core.ledger.sent(&chunk);
        self.pacer.sent(self.marks.now, chunk.duration());
        self.held.push_back(chunk);
        self.is_sound = true;
        message
    }

    /// Whether as much is held as may be before the service has accepted the stream.
    fn is_full(&self) -> bool {
        let held: Duration = match (self.marks.is_accepted, self.held.front(), self.held.back()) {
            (false, Some(first), Some(last)) => {
                call::audio::duration((last.position + last.len()).saturating_sub(first.position))
            }
            _ => Duration::ZERO,
        };
        held >= self.core.deps.config.unaccepted_max
    }

    /// The message under way is written.
    fn written(&mut self) {
        self.marks.writing = None;
        if !std::mem::take(&mut self.is_sound) {
            return;
        }
        if let Some(chunk) = self.held.back() {
            let latency = self
                .marks
                .now
                .into_std()
                .saturating_duration_since(chunk.arrived);
            self.core
                .deps
                .metrics
                .chunk_written(ledger::bytes(chunk), latency);
        }
        if self.marks.is_accepted {
            self.held.clear();
        }
    }

    /// Does what is due and sees to it that the task is woken for the next deadline.
    fn watch(&mut self, context: &mut Context<'_>) -> Option<Over> {
        loop {
            let pace = self.pacer.wait(self.marks.now).filter(|_| !self.is_full());
            let (deadline, due) = self.marks.next_due(&self.core.deps.config, pace);
            if !self.timer.is_due(context, self.marks.now, deadline) {
                return None;
            }
            self.marks.now = self.marks.now.max(deadline);
            let over = match due {
                Due::Final => Some(self.no_final()),
                Due::Pace => self.send(context),
                Due::Ping => self.ping(context),
                Due::Pong => Some(self.silent("the service no longer answers")),
                Due::Response => Some(self.silent("the service did not accept the stream in time")),
                Due::Stall => Some(self.silent("the service no longer reads")),
            };
            if over.is_some() {
                return over;
            }
        }
    }

    fn ping(&mut self, context: &mut Context<'_>) -> Option<Over> {
        self.marks.pinged = Some(self.marks.now);
        self.marks.writing = Some(self.marks.now);
        match self.link.feed_ping() {
            Ok(()) => self.send(context),
            Err(error) => Some(self.cut_in_writing(context, &error)),
        }
    }

    /// No final message came. That nothing was summed up does not mean that nothing was heard.
    fn no_final(&mut self) -> Over {
        let why = "the service sent no final message in time";
        if self.marks.is_accepted {
            return Over::Finished(Status::internal(why), None);
        }
        self.silent(why)
    }

    fn silent(&mut self, why: &str) -> Over {
        self.lost(why.to_owned(), Retry::Backoff, None)
    }

    /// A service that refuses says why and closes: its words may have come before our write failed.
    fn cut_in_writing(&mut self, context: &mut Context<'_>, error: &WireError) -> Over {
        self.hear(context).unwrap_or_else(|| self.cut(error))
    }

    /// The socket is gone.
    fn cut(&mut self, error: &WireError) -> Over {
        match (self.marks.finishing, self.marks.is_accepted) {
            (Some(_), true) => Over::Finished(Status::internal(error.to_string()), None),
            (_, true) if error.retry() == Retry::Token => {
                self.lost(error.to_string(), Retry::Backoff, None)
            }
            _ => self.lost(error.to_string(), error.retry(), None),
        }
    }

    fn lost(&self, why: String, retry: Retry, status: Option<Status>) -> Over {
        let lived = Some(self.marks.now - self.marks.opened);
        let loss = Loss {
            retry,
            lived,
            fresh: self.fresh,
        };
        Over::Lost(Lost { why, loss, status })
    }
}
