//! The three handles on one leg: who brings the sound, who commands the gate, who takes the chunks.
//!
//! The only locks of this crate. A leg is shared by the socket that feeds it, the switchboard's
//! task and its stream; each holds the lock for a few hundred nanoseconds and never while waiting.
//! So a gate is shut when the call that shuts it returns: there is no queue before it in which a
//! frame could hide. See docs/decisions/0002.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::audio::{self, Chunk, Frame};
use crate::backlog::{Backlog, BacklogCounts, Gap, Taken};
use crate::budget::Budget;
use crate::leg::{Gate, Leg, LegConfig, LegStats};

/// The clock of one media session, shared by its legs: the end of the newest sound of any of them,
/// in samples at 8 kHz. Both streams of a start begin at the same reading of it.
#[derive(Clone, Debug, Default)]
pub struct MediaClock(Arc<AtomicU64>);

/// The end that brings the sound. Dropping it ends the leg: its stream is flushed and finished.
#[derive(Debug)]
pub struct LegFeed {
    joint: Arc<Mutex<Joint>>,
    clock: MediaClock,
}

/// The end that commands the gate.
#[derive(Clone, Debug)]
pub struct LegControl {
    joint: Arc<Mutex<Joint>>,
    clock: MediaClock,
}

/// The end that takes the chunks: one for each opening of the gate. Dropping it means nobody
/// listens any more.
#[derive(Debug)]
pub struct ChunkSource {
    line: Arc<Line>,
}

/// How an opening's backlog is cut and bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineConfig {
    /// Samples at 8 kHz a chunk.
    pub chunk_samples: usize,
    /// Chunks kept while the stream cannot send; then the oldest is dropped.
    pub chunks_max: usize,
}

/// A leg and where its open gate leads.
#[derive(Debug)]
struct Joint {
    leg: Leg,
    line: Option<Arc<Line>>,
    fed: bool,
    /// Times the gate was opened.
    openings: u64,
    /// Who brings the sound, if it wants to be woken when the gate opens.
    feeder: Option<Waker>,
}

#[derive(Debug)]
struct Line {
    inner: Mutex<LineInner>,
}

#[derive(Debug)]
struct LineInner {
    backlog: Backlog,
    waker: Option<Waker>,
    heard: bool,
}

/// Makes a leg with its gate shut.
pub fn leg(now: Instant, config: LegConfig, clock: MediaClock) -> (LegFeed, LegControl) {
    let joint = Arc::new(Mutex::new(Joint {
        leg: Leg::new(now, config),
        line: None,
        fed: true,
        openings: 0,
        feeder: None,
    }));
    let control = LegControl {
        joint: Arc::clone(&joint),
        clock: clock.clone(),
    };
    (LegFeed { joint, clock }, control)
}

impl LineConfig {
    /// Cut into chunks so long, of which as many are kept as hold `backlog_max`.
    pub fn cut(chunk: Duration, backlog_max: Duration) -> Self {
        let chunk_samples = audio::samples(chunk).max(1);
        let chunks_max = audio::samples(backlog_max).div_ceil(chunk_samples);
        Self {
            chunk_samples: chunk_samples as usize,
            chunks_max: chunks_max as usize,
        }
    }
}

impl MediaClock {
    /// The present reading.
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Moves it forward, never back.
    pub fn advance_to(&self, position: u64) {
        self.0.fetch_max(position, Ordering::AcqRel);
    }

    /// Whether both are the clock of one session.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl LegFeed {
    /// Reads a word of what the next frame needs, for the processor to fetch it; of no meaning.
    pub fn prefetch(&self) -> u64 {
        Arc::strong_count(&self.joint) as u64
    }

    /// The gate, to be asked before a frame is unpacked.
    pub fn gate(&self) -> Gate {
        lock(&self.joint).leg.gate()
    }

    /// The present opening of the gate: another number each time it opens. `None` while it is not
    /// open.
    pub fn opening(&self) -> Option<u64> {
        lock(&self.joint).opening()
    }

    /// As [`LegFeed::opening`]; and the task is woken when the gate opens next, so that it can put
    /// aside what had arrived by then and was not read yet.
    pub fn watch_opening(&self, context: &Context<'_>) -> Option<u64> {
        let mut joint = lock(&self.joint);
        match &mut joint.feeder {
            Some(feeder) => feeder.clone_from(context.waker()),
            None => joint.feeder = Some(context.waker().clone()),
        }
        joint.opening()
    }

    /// Brings one frame. Never waits.
    pub fn push(&self, now: Instant, frame: Frame<'_>) {
        let end = frame
            .position
            .saturating_add(frame.codec.samples(frame.payload.len()));
        self.with(|leg, backlog| match backlog {
            Some(backlog) => leg.push(now, frame, backlog),
            None => leg.withhold(now, frame.position, end - frame.position, None),
        });
        self.clock.advance_to(end);
    }

    /// Brings the length of a frame that was not unpacked, because the gate was not open.
    pub fn withhold(&self, now: Instant, position: u64, samples: u64) {
        self.with(|leg, backlog| leg.withhold(now, position, samples, backlog));
        self.clock.advance_to(position.saturating_add(samples));
    }

    /// Tells a side that has been silent how far the session's clock is.
    pub fn catch_up(&self, now: Instant) {
        let clock = self.clock.now();
        self.with(|leg, backlog| leg.advance(now, clock, backlog));
    }

    /// Tells the leg that the platform had nothing to send before `position`, so that silence in
    /// front of the next frame is not taken for loss.
    pub fn quiet_until(&self, now: Instant, position: u64) {
        self.with(|leg, backlog| leg.quiet_until(now, position, backlog));
    }

    /// What the leg has seen.
    pub fn stats(&self) -> LegStats {
        lock(&self.joint).leg.stats()
    }

    fn with(&self, act: impl FnOnce(&mut Leg, Option<&mut Backlog>) -> bool) {
        let mut joint = lock(&self.joint);
        let Joint { leg, line, .. } = &mut *joint;
        match line {
            Some(line) => line.with(|backlog| act(leg, Some(backlog))),
            None => {
                act(leg, None);
            }
        }
    }
}

impl Drop for LegFeed {
    fn drop(&mut self) {
        let mut joint = lock(&self.joint);
        joint.fed = false;
        joint.shut(false);
    }
}

impl LegControl {
    /// Opens the gate towards a new stream, whose clock is 0 where the session's clock is `zero`.
    /// An older stream of this leg is finished first. `None` if the leg is over.
    pub fn open(&self, zero: u64, config: LineConfig) -> Option<ChunkSource> {
        self.open_within(zero, config, &Budget::unlimited())
    }

    /// The same, and what waits in between counts towards a budget that is shared with others.
    pub fn open_within(
        &self,
        zero: u64,
        config: LineConfig,
        budget: &Budget,
    ) -> Option<ChunkSource> {
        let mut joint = lock(&self.joint);
        if !joint.fed {
            return None;
        }
        joint.shut(false);
        let backlog = Backlog::within(config.chunk_samples, config.chunks_max, budget);
        let inner = Mutex::new(LineInner {
            backlog,
            waker: None,
            heard: true,
        });
        let line = Arc::new(Line { inner });
        joint.leg.open(zero);
        joint.line = Some(Arc::clone(&line));
        opened(joint);
        Some(ChunkSource { line })
    }

    /// Shuts the gate and finishes the stream; with `discard`, what it has not sent is thrown away.
    /// When this returns the gate is shut.
    pub fn shut(&self, discard: bool) {
        lock(&self.joint).shut(discard);
    }

    /// Shuts the gate and keeps the stream: sound becomes silence of its own length. When this
    /// returns no sound passes.
    pub fn pause(&self, discard: bool) {
        let mut joint = lock(&self.joint);
        let Joint { leg, line, .. } = &mut *joint;
        if let Some(line) = line {
            line.with(|backlog| {
                leg.pause(backlog);
                if discard {
                    backlog.discard();
                }
                true
            });
        }
    }

    /// Opens the gate again after a pause. False if there is no stream to open it to.
    pub fn resume(&self) -> bool {
        let mut joint = lock(&self.joint);
        let held = joint.line.is_some() && joint.fed;
        if held {
            joint.leg.resume();
            opened(joint);
        }
        held
    }

    /// The gate.
    pub fn gate(&self) -> Gate {
        lock(&self.joint).leg.gate()
    }

    /// What the leg has seen.
    pub fn stats(&self) -> LegStats {
        lock(&self.joint).leg.stats()
    }

    /// The clock of the leg's media session.
    pub fn clock(&self) -> &MediaClock {
        &self.clock
    }
}

impl ChunkSource {
    /// What may be sent next; pending until there is something.
    pub fn poll_take(&mut self, context: &Context<'_>) -> Poll<Taken> {
        let mut inner = lock(&self.line.inner);
        match inner.backlog.take() {
            Taken::Nothing => {
                inner.wake_at(context);
                Poll::Pending
            }
            taken => Poll::Ready(taken),
        }
    }

    /// Whether all that was said before the newest pause has been taken; true once a pause. To be
    /// asked before [`ChunkSource::poll_take`], which is woken when a pause begins.
    pub fn take_endpoint(&mut self) -> bool {
        lock(&self.line.inner).backlog.take_endpoint()
    }

    /// Puts back what could not be sent. False if something was dropped: there was no room, or the
    /// chunk was thrown away by order meanwhile.
    pub fn untake(&mut self, chunk: Chunk) -> bool {
        lock(&self.line.inner).backlog.untake(chunk)
    }

    /// What stands before this, on the stream's clock, was thrown away by order: what was taken of
    /// it is not to be sent again.
    pub fn discarded_to(&self) -> u64 {
        lock(&self.line.inner).backlog.discarded_to()
    }

    /// Ready when nothing more will come; until then woken whenever something does.
    pub fn poll_ended(&mut self, context: &Context<'_>) -> Poll<()> {
        let mut inner = lock(&self.line.inner);
        if inner.backlog.is_ended() {
            return Poll::Ready(());
        }
        inner.wake_at(context);
        Poll::Pending
    }

    /// The next stretch that is missing.
    pub fn take_gap(&mut self) -> Option<Gap> {
        lock(&self.line.inner).backlog.take_gap()
    }

    /// Samples that wait to be sent.
    pub fn waiting(&self) -> u64 {
        lock(&self.line.inner).backlog.waiting()
    }

    /// What all that waits counts towards.
    pub fn budget(&self) -> Budget {
        lock(&self.line.inner).backlog.budget().clone()
    }

    /// What went through, in samples.
    pub fn counts(&self) -> BacklogCounts {
        lock(&self.line.inner).backlog.counts()
    }

    /// Whether the gate was shut for good: what is left is to be sent, then the stream finished.
    pub fn is_ended(&self) -> bool {
        lock(&self.line.inner).backlog.is_ended()
    }
}

impl Drop for ChunkSource {
    fn drop(&mut self) {
        let mut inner = lock(&self.line.inner);
        inner.heard = false;
        inner.waker = None;
        inner.backlog.discard();
    }
}

impl Joint {
    fn opening(&self) -> Option<u64> {
        (self.leg.gate() == Gate::Open).then_some(self.openings)
    }

    /// The gate is open only towards a line, so without one it is shut already.
    fn shut(&mut self, discard: bool) {
        if let Some(line) = self.line.take() {
            line.with(|backlog| {
                self.leg.shut(backlog);
                if discard {
                    backlog.discard();
                }
                true
            });
        }
    }
}

impl Line {
    /// Acts on the backlog; wakes the stream if the act says that there is something new.
    fn with(&self, act: impl FnOnce(&mut Backlog) -> bool) {
        let mut inner = lock(&self.inner);
        let ready = act(&mut inner.backlog);
        if !inner.heard {
            inner.backlog.discard();
        } else if ready && let Some(waker) = inner.waker.take() {
            drop(inner);
            waker.wake();
        }
    }
}

impl LineInner {
    fn wake_at(&mut self, context: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(context.waker()),
            None => self.waker = Some(context.waker().clone()),
        }
    }
}

/// The gate was opened: whoever brings the sound is told.
fn opened(mut joint: MutexGuard<'_, Joint>) {
    joint.openings += 1;
    let feeder = joint.feeder.take();
    drop(joint);
    if let Some(feeder) = feeder {
        feeder.wake();
    }
}

// A panic while the lock is held leaves plain numbers and queues, none of them half written.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
