//! What is said to a service, one message at a time, and what is due.

use std::task::{Context, Poll};
use std::time::Instant as StdInstant;

use tokio::time::Instant;

use call::audio::{self, Chunk};

use super::Conversation;
use crate::service::Message;
use crate::stream::State;
use crate::stream::account;
use crate::stream::core::Core;
use crate::stream::cutter::Piece;
use crate::stream::due::Due;
use crate::stream::over::Over;
use crate::stream::replay::Sent;
use crate::stream::supply::Next;
use crate::wire::WireError;

impl Conversation {
    /// Sends what there is to send, one message at a time.
    pub(super) fn send(&mut self, core: &mut Core, context: &mut Context<'_>) -> Option<Over> {
        loop {
            if self.marks.writing.is_some() {
                match self.link.poll_flush(context) {
                    Poll::Pending => return None,
                    Poll::Ready(Ok(())) => self.written(core),
                    Poll::Ready(Err(error)) => {
                        return Some(self.cut_in_writing(core, context, &error));
                    }
                }
            }
            let message = self.next(core, context)?;
            self.marks.writing = Some(self.marks.now);
            if let Err(error) = self.link.feed(message) {
                return Some(self.cut_in_writing(core, context, &error));
            }
        }
    }

    fn next(&mut self, core: &mut Core, context: &Context<'_>) -> Option<Message> {
        loop {
            if let Some(message) = self.control.pop_front() {
                return Some(message);
            }
            if !self.is_speaking || self.is_full(core) || self.pace().is_some() {
                return None;
            }
            match core.supply.poll_next(context, &self.limits) {
                Poll::Ready(Next::Sound(piece)) => return Some(self.say(core, piece)),
                Poll::Ready(Next::Endpoint) => {
                    self.is_at_endpoint = true;
                    self.control.extend(self.dialect.endpoint());
                }
                Poll::Ready(Next::Ended) => {
                    self.finish();
                    core.show(State::Finishing);
                }
                Poll::Pending => return None,
            }
        }
    }

    fn say(&mut self, core: &mut Core, piece: Piece) -> Message {
        let Piece { mut chunk, padding } = piece;
        let length = chunk.samples.len();
        chunk.samples.resize(length + padding as usize, 0);
        let message = self.dialect.say(&chunk);
        chunk.samples.truncate(length);
        self.line.sent(&chunk);
        self.counts.padded(audio::duration(padding));
        self.sound(chunk.len(), padding);
        let sent = Sent::new(chunk, 0);
        let fresh = core.supply.send(&sent.chunk);
        self.counts
            .replayed(audio::duration(sent.chunk.len() - fresh));
        if sent.is_loud {
            (self.quiet, self.is_after_final) = (0, false);
        } else {
            self.quiet += sent.chunk.len();
        }
        self.is_at_endpoint = false;
        self.replay.write(Sent { fresh, ..sent });
        message
    }

    /// Sound goes out, and so much silence of ours that is not on the stream's clock.
    fn sound(&mut self, samples: u64, silence: u64) {
        let both = samples + silence;
        self.line.padded(silence);
        self.pacer.sent(self.marks.now, audio::duration(both));
        self.carried += both;
        self.writing_samples = both;
        self.marks.sounded = self.marks.now;
    }

    /// Whether as much is kept as may be before the service has accepted the stream.
    fn is_full(&self, core: &Core) -> bool {
        let kept = audio::duration(self.replay.samples());
        self.marks.accepted.is_none() && kept >= core.deps.config.unaccepted_max
    }

    /// When the next chunk may go, if it has to wait for that.
    fn pace(&self) -> Option<Instant> {
        self.pacer.wait(self.marks.now)
    }

    /// The message under way is written.
    fn written(&mut self, core: &mut Core) {
        self.marks.writing = None;
        let bytes = account::bytes(std::mem::take(&mut self.writing_samples));
        core.deps.metrics.sound_written(bytes);
        if let Some(arrived) = self.replay.written() {
            let now = self.marks.now.into_std();
            let latency = now.saturating_duration_since(arrived);
            core.deps.metrics.chunk_written(latency);
        }
        if self.marks.accepted.is_some() {
            self.replay.age();
        }
    }

    /// Does what is due and sees to it that the task is woken for the next deadline.
    pub(super) fn watch(&mut self, core: &mut Core, context: &mut Context<'_>) -> Option<Over> {
        loop {
            let pace = self
                .pace()
                .filter(|_| self.is_speaking && !self.is_full(core));
            let idle = (!self.limits.idle.is_zero()).then(|| self.marks.sounded + self.limits.idle);
            let (deadline, due) = self.marks.next_due(&core.deps.config, pace, idle);
            if !self.timer.is_due(context, self.marks.now, deadline) {
                return None;
            }
            self.marks.now = self.marks.now.max(deadline);
            let over = match due {
                Due::Final => Some(self.no_final()),
                Due::Idle => self.keep_alive(core, context),
                Due::Pace => self.send(core, context),
                Due::Ping => self.ping(core, context),
                Due::Pong => Some(self.silent("the service no longer answers")),
                Due::Response => Some(self.silent("the service did not accept the stream in time")),
                Due::Stall => Some(self.silent("the service no longer reads")),
            };
            if over.is_some() {
                return over;
            }
        }
    }

    /// With a word of the service's own, or with silence that is not on the stream's clock.
    fn keep_alive(&mut self, core: &mut Core, context: &mut Context<'_>) -> Option<Over> {
        self.counts.kept_alive();
        self.marks.sounded = self.marks.now;
        let message = self.dialect.keep_alive().unwrap_or_else(|| {
            let silence = audio::samples(self.limits.chunk.max(self.limits.chunk_min));
            let chunk = Chunk {
                position: 0,
                samples: vec![0; silence as usize],
                arrived: StdInstant::now(),
            };
            self.sound(0, silence);
            self.dialect.say(&chunk)
        });
        self.control.push_back(message);
        self.send(core, context)
    }

    fn ping(&mut self, core: &mut Core, context: &mut Context<'_>) -> Option<Over> {
        self.marks.pinged = Some(self.marks.now);
        self.marks.writing = Some(self.marks.now);
        match self.link.feed_ping() {
            Ok(()) => self.send(core, context),
            Err(error) => Some(self.cut_in_writing(core, context, &error)),
        }
    }

    /// A service that refuses says why and closes: its words may have come before our write failed.
    fn cut_in_writing(
        &mut self,
        core: &mut Core,
        context: &mut Context<'_>,
        error: &WireError,
    ) -> Over {
        self.hear(core, context)
            .unwrap_or_else(|| self.cut(core, error))
    }
}
