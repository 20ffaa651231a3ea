//! How a stream lives: which of its sockets carries the sound, and what follows when one is gone.
//!
//! One socket is `live` and carries the sound. When the service is about to end it, the `next` one
//! is opened beside it and takes over at a pause in the talk. What has said all is `old`, and is
//! heard until its service has answered. While none is live, sound waits in the supply.

mod failing;
mod rolling;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use call::start::{Status, Summary};

use super::State;
use super::conversation::Conversation;
use super::core::{Core, Last};
use super::opening::{self, Opened, Opening, Unopened};
use super::over::{Lost, Over};
use super::stretches::Stretches;
use super::supply::Forsaken;
use super::timer::Timer;
use crate::guard::Purpose;
use crate::retry::Retries;
use crate::wire::Link;

/// A stream and all its sockets.
pub(crate) struct Life {
    pub(crate) core: Core,
    live: Option<Box<Conversation>>,
    next: Option<Box<Conversation>>,
    old: Vec<Conversation>,
    opening: Option<Opening>,
    /// What is waited for while no socket is live and none is opened.
    resume: Resume,
    /// Why none is live.
    lost: Option<Lost>,
    /// Losses of those that were to be next.
    rolling: Retries,
    /// Before this no next one is opened.
    roll_at: Instant,
    /// Whether the service has two sessions of one stream.
    has_overlap: bool,
    /// How the stream ends, when only old sockets are still to be heard.
    last: Option<Last>,
    /// The same, if all was said: the last word of the socket that carried its end.
    finished: Option<(Status, Option<Summary>)>,
    /// The last word of a socket that was ended to make room for the next.
    parting: Option<(Status, Option<Summary>)>,
    /// Sockets on which everybody is done, being closed politely.
    closing: Vec<BoxFuture<'static, ()>>,
    timer: Timer,
}

/// What is waited for before another socket is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resume {
    /// This moment.
    At(Instant),
    /// All old sockets to be gone.
    WhenAlone,
    /// Sound.
    WithSound,
}

impl Life {
    /// How often it is looked whether the talk pauses, when a pause is waited for.
    const LOOK: Duration = Duration::from_millis(50);

    pub(crate) fn new(core: Core) -> Self {
        let now = Instant::now();
        let config = &core.deps.config;
        Self {
            live: None,
            next: None,
            old: Vec::new(),
            opening: None,
            resume: Resume::At(now),
            lost: None,
            rolling: Retries::new(now, config.retry),
            roll_at: now,
            has_overlap: config.overlap,
            last: None,
            finished: None,
            parting: None,
            closing: Vec::new(),
            timer: Timer::new(now),
            core,
        }
    }

    /// Lives until the last news is told. Gives back what is still to be closed.
    pub(crate) async fn run(mut self) -> Vec<BoxFuture<'static, ()>> {
        let abandon = self.core.shared.abandon.clone();
        let last = tokio::select! {
            biased;
            () = abandon.cancelled() => Last::Abandoned,
            last = poll_fn(|context| self.poll(context)) => last,
        };
        self.give_up_sockets();
        self.core.end(last);
        std::mem::take(&mut self.closing)
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Last> {
        self.purge();
        self.shed();
        self.closing
            .retain_mut(|closing| closing.poll_unpin(context).is_pending());
        loop {
            self.poll_old(context);
            if self.is_ending() {
                return self.ending();
            }
            let has_moved = self.poll_live(context)
                || self.poll_next(context)
                || self.poll_opening(context)
                || self.go_on(context);
            if !has_moved {
                self.core.show_counts();
                return Poll::Pending;
            }
        }
    }

    fn is_ending(&self) -> bool {
        self.last.is_some() || self.finished.is_some()
    }

    /// What is still said by old sockets goes before the last news.
    fn ending(&mut self) -> Poll<Last> {
        if !self.old.is_empty() {
            return Poll::Pending;
        }
        if let Some((status, summary)) = self.finished.take() {
            self.last = Some(self.core.finished(status, summary));
        }
        self.last.take().map_or(Poll::Pending, Poll::Ready)
    }

    /// What was thrown away by order is not sent again by anybody.
    fn purge(&mut self) {
        let mut forsaken = Forsaken::default();
        if let Some(before) = self.core.supply.purge(&mut forsaken) {
            let live = self.live.as_deref_mut();
            let all = live.into_iter().chain(&mut self.old);
            all.for_each(|conversation| conversation.purge(before));
            self.core.forsaken(forsaken);
        }
    }

    /// What all streams together have no room for is not sent again.
    fn shed(&mut self) {
        let mut forsaken = Forsaken::default();
        self.core.supply.shed(&mut forsaken);
        self.core.forsaken(forsaken);
    }

    fn poll_old(&mut self, context: &mut Context<'_>) {
        let mut at = 0;
        while let Some(old) = self.old.get_mut(at) {
            match old.poll(&mut self.core, context) {
                Poll::Pending => at += 1,
                Poll::Ready(over) => {
                    let old = self.old.swap_remove(at);
                    if let Over::Finished(status, summary) = over {
                        self.parting = Some((status, summary));
                    }
                    self.part(old);
                }
            }
        }
    }

    fn poll_live(&mut self, context: &mut Context<'_>) -> bool {
        let Some(live) = &mut self.live else {
            return false;
        };
        let Poll::Ready(over) = live.poll(&mut self.core, context) else {
            return false;
        };
        let Some(live) = self.live.take() else {
            return false;
        };
        match over {
            Over::Finished(status, summary) => {
                self.part(*live);
                self.next = None;
                self.opening = None;
                self.finished = Some((status, summary));
            }
            Over::Lost(lost) => self.lose(*live, lost),
        }
        true
    }

    fn poll_opening(&mut self, context: &mut Context<'_>) -> bool {
        let Some(opening) = &mut self.opening else {
            return false;
        };
        let Poll::Ready(opened) = opening.poll_unpin(context) else {
            return false;
        };
        self.opening = None;
        let is_rolling = self.live.is_some();
        match opened {
            Ok(opened) => self.converse(opened),
            Err(Unopened::Failed(lost, service)) if is_rolling => self.not_rolled(&lost, service),
            Err(Unopened::Failed(lost, service)) => self.failed(lost, service),
            Err(Unopened::Blocked(blocked)) if is_rolling => {
                self.roll_at = Instant::now() + blocked.after.max(Self::LOOK);
            }
            Err(Unopened::Blocked(blocked)) => self.blocked(blocked),
        }
        true
    }

    /// A socket is open: it is live, or next if there is one.
    fn converse(&mut self, opened: Opened) {
        let conversation = Box::new(Conversation::new(&self.core, opened));
        if self.live.is_some() {
            self.next = Some(conversation);
        } else {
            self.go_live(conversation);
            self.tell_accepted();
        }
    }

    /// A socket carries the sound from here on.
    fn go_live(&mut self, mut conversation: Box<Conversation>) {
        conversation.speak(&self.core);
        self.live = Some(conversation);
        self.rolling = Retries::new(Instant::now(), self.core.deps.config.retry);
        self.rolling.accepted();
    }

    fn tell_accepted(&mut self) {
        if let Some(live) = &self.live {
            live.tell_accepted(&mut self.core);
        }
    }

    fn go_on(&mut self, context: &mut Context<'_>) -> bool {
        if self.live.is_some() {
            return self.roll(context);
        }
        if self.opening.is_some() {
            return false;
        }
        if self.is_nothing_left() {
            return true;
        }
        let is_due = match self.resume {
            Resume::At(at) => self.is_due(context, at),
            Resume::WhenAlone => self.old.is_empty(),
            Resume::WithSound => self.core.supply.poll_sound(context).is_ready(),
        };
        if !is_due {
            return false;
        }
        // Between a wait for sound and what there is to send the sound may have ended.
        if self.is_nothing_left() {
            return true;
        }
        self.open(match (self.resume, self.core.was_accepted) {
            (Resume::WhenAlone, _) => Purpose::Rollover,
            (_, true) => Purpose::Retry,
            (_, false) => Purpose::First,
        });
        true
    }

    /// Whether the wait is over. When the sound has ended, a stream that is tried but slowly is
    /// tried at once, for the last time.
    fn is_due(&mut self, context: &mut Context<'_>, at: Instant) -> bool {
        let now = Instant::now();
        let has_ended = self.core.supply.poll_ended(context).is_ready();
        has_ended && self.core.is_degraded || self.timer.is_due(context, now, at)
    }

    /// Ends the stream if another socket would have nothing to carry.
    fn is_nothing_left(&mut self) -> bool {
        if !self.core.supply.is_exhausted() {
            return false;
        }
        self.last = match (self.lost.take(), self.resume) {
            (Some(lost), _) => Some(self.core.cut_short(lost)),
            (None, Resume::WhenAlone) if self.old.is_empty() => {
                self.finished = self.parting.take();
                None
            }
            (None, _) => None,
        };
        self.is_ending()
    }

    fn open(&mut self, purpose: Purpose) {
        if self.live.is_none() && !self.core.is_degraded {
            self.core.show(State::Opening);
        }
        let (deps, spec) = (Arc::clone(&self.core.deps), Arc::clone(&self.core.spec));
        let avoid = self.core.choice.avoid();
        let span = self.core.span.clone();
        self.opening = Some(opening::open(deps, spec, purpose, avoid, span));
    }

    /// A socket that has said all is done with.
    fn part(&mut self, conversation: Conversation) {
        let (link, leavings) = conversation.leave();
        self.core.unconfirmed(leavings.forsaken());
        self.close(link);
    }

    fn close(&mut self, link: Link) {
        self.closing.push(Box::pin(link.close()));
    }

    /// The stream ends whatever its sockets are doing.
    fn give_up_sockets(&mut self) {
        self.opening = None;
        self.next = None;
        for old in self.old.drain(..) {
            let (_, leavings) = old.leave();
            self.core.unconfirmed(leavings.forsaken());
        }
        if let Some(live) = self.live.take() {
            let unconfirmed = self.take_back(*live);
            self.core.unconfirmed(unconfirmed);
        }
    }

    /// What a lost socket may not have delivered is to be sent again; the rest of it is to be told.
    fn take_back(&mut self, conversation: Conversation) -> Stretches {
        let is_accepted = conversation.accepted().is_some();
        if conversation.is_at_endpoint() {
            self.core.supply.endpoint_again();
        }
        let (_, leavings) = conversation.leave();
        self.core.finals_came_to(leavings.confirmed_to);
        self.core.supply.take_back(leavings, is_accepted)
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.give_up_sockets();
        self.core.end_untold();
    }
}
