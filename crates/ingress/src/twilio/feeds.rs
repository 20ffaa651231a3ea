//! The legs of one socket: what a session does, done through the intake, and what the gateway says
//! about them.

use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio_util::sync::CancellationToken;

use call::audio::Frame;
use call::ending::Ending;
use call::feed::MediaClock;
use call::leg::{Gate, LegStats};
use call::name::{LegId, Side};
use call::private::Private;

use crate::intake::{Feed, Intake, Introduction, Pressed};
use crate::twilio::binding::Binding;
use crate::twilio::session::Legs;

/// At most one feed a side, all on one clock.
#[derive(Debug)]
pub struct Feeds {
    intake: Intake,
    clock: MediaClock,
    feeds: [Option<Feed>; 2],
    /// Of a set only those are polled that were woken, so waiting costs nothing per frame.
    signals: FuturesUnordered<BoxFuture<'static, Signal>>,
}

/// What the gateway says to a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// This leg is not wanted any more.
    Retired(Side, LegId),
    /// The gateway shuts down.
    ShutDown,
}

impl Feeds {
    /// None yet, with a clock of their own.
    pub fn new(intake: Intake) -> Self {
        Self {
            intake,
            clock: MediaClock::default(),
            feeds: [None, None],
            signals: FuturesUnordered::new(),
        }
    }

    /// From now on [`Feeds::poll_signal`] tells of this as well.
    pub fn watch(&mut self, shutdown: CancellationToken) {
        self.signals.push(Box::pin(async move {
            shutdown.cancelled().await;
            Signal::ShutDown
        }));
    }

    /// What the gateway says next about what is live.
    pub fn poll_signal(&mut self, context: &mut Context<'_>) -> Poll<Signal> {
        while let Poll::Ready(Some(signal)) = self.signals.poll_next_unpin(context) {
            let is_live = match signal {
                Signal::Retired(side, id) => self.live(side).is_some_and(|feed| feed.id() == id),
                Signal::ShutDown => true,
            };
            if is_live {
                return Poll::Ready(signal);
            }
        }
        Poll::Pending
    }

    /// What a live leg has seen.
    pub fn stats(&self, side: Side) -> Option<LegStats> {
        self.feeds[side as usize].as_ref().map(Feed::stats)
    }

    fn live(&self, side: Side) -> Option<&Feed> {
        self.feeds[side as usize].as_ref()
    }
}

impl Legs for Feeds {
    fn open(&mut self, now: Instant, side: Side, binding: &Binding) {
        let Binding {
            call,
            identifiers,
            parameters,
            ..
        } = binding.clone();
        let introduction = Introduction {
            wish: parameters.wish,
            ..Introduction::new(call, side, identifiers)
        };
        let feed = self.intake.open(now, &self.clock, introduction);
        let (retired, id) = (feed.retired(), feed.id());
        self.signals.push(Box::pin(async move {
            retired.cancelled().await;
            Signal::Retired(side, id)
        }));
        self.feeds[side as usize] = Some(feed);
    }

    fn gate(&self, side: Side) -> Gate {
        self.live(side).map_or(Gate::Shut, Feed::gate)
    }

    fn push(&mut self, now: Instant, side: Side, frame: Frame<'_>) {
        if let Some(feed) = self.live(side) {
            feed.push(now, frame);
        }
    }

    fn withhold(&mut self, now: Instant, side: Side, position: u64, samples: u64) {
        if let Some(feed) = self.live(side) {
            feed.withhold(now, position, samples);
        }
    }

    fn press(&mut self, now: Instant, side: Side, key: Private<char>) -> bool {
        let pressed = Pressed {
            key,
            duration: None,
        };
        let feed = self.feeds[side as usize].as_mut();
        feed.is_some_and(|feed| feed.press(now, pressed))
    }

    fn catch_up(&mut self, now: Instant, side: Side) {
        if let Some(feed) = self.live(side) {
            feed.catch_up(now);
        }
    }

    fn end(&mut self, side: Side, ending: Ending) {
        if let Some(feed) = self.feeds[side as usize].take() {
            feed.end(ending);
        }
    }
}
