//! Many callers on one thread: it owns their sockets, sleeps from slot to slot and writes each
//! frame when it is due. No runtime, no task, no timer a caller.

pub(crate) mod siprec;
pub(crate) mod twilio;

use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::stamp::{FRAME, Stamp};
use crate::caller::ulaw;
use crate::histogram::Histogram;

/// How often every leg sends a frame.
const PERIOD: Duration = Duration::from_millis(20);

/// How often each socket is looked at for what it has to say, in periods.
const LISTEN_PERIODS: u64 = 25;

/// One caller's two tracks, whatever they go over. Nothing in it waits.
pub(crate) trait Line: Send {
    /// Writes one frame of a track, as μ-law; true when the kernel would not take it now.
    fn frame(&mut self, track: usize, codes: &[u8; FRAME]) -> bool;

    /// Takes what has come in.
    fn listen(&mut self);

    /// The caller is gone.
    fn hang_up(&mut self);

    /// Whether its sockets have failed.
    fn is_broken(&self) -> bool;

    /// The close code with which the gateway has said goodbye, where there are such codes.
    fn goodbye(&self) -> Option<u16> {
        None
    }
}

/// What a caller says on its two tracks, where it is not stamps.
pub(crate) trait Voice: Send {
    /// The next frame of a track, as μ-law.
    fn frame(&mut self, track: usize) -> [u8; FRAME];
}

/// A caller's place in a fleet. To drop it changes nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seat(Arc<Place>);

#[derive(Debug, Default)]
struct Place {
    leaving: AtomicBool,
    left: AtomicBool,
    /// The gateway's close code; 0 while there is none.
    goodbye: AtomicU16,
}

/// What the fleet has done.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Stamped frames written.
    pub stamped: u64,
    /// All frames written.
    pub frames: u64,
    /// How late each frame was that was no silence.
    pub lateness: Histogram,
    /// Writes that the kernel did not take at once.
    pub stalls: u64,
    /// Callers whose socket broke.
    pub broken: u64,
}

/// The thread and the way to it.
#[derive(Debug)]
pub struct Fleet {
    thread: JoinHandle<Log>,
    joining: SyncSender<Berth>,
    orders: Arc<Orders>,
}

/// The way into a fleet.
#[derive(Clone)]
pub(crate) struct Door(SyncSender<Berth>);

/// What the thread is told.
#[derive(Debug, Default)]
struct Orders {
    stamping: AtomicBool,
    leaving: AtomicBool,
    /// Bumped by the thread once it has seen `stamping` change.
    seen: AtomicU32,
    /// Stamped frames of each leg: leg 2n is caller n's first track.
    stamped: Mutex<Vec<u32>>,
}

/// A line, what it says, and its stamps so far.
struct Berth {
    line: Box<dyn Line>,
    voice: Option<Box<dyn Voice>>,
    seat: Seat,
    stamped: [u32; 2],
    /// Its sockets had failed when it hung up.
    broken: bool,
}

impl Fleet {
    /// Starts the thread. `slots` is the number of send times in a period over which legs are
    /// spread; stamps count microseconds from `clock`.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(slots: u32, callers_max: usize, clock: Instant) -> anyhow::Result<Self> {
        let orders = Arc::new(Orders::default());
        let (joining, joined) = sync_channel(callers_max);
        let crew = Crew {
            lines: Vec::new(),
            joined,
            orders: Arc::clone(&orders),
            slots: u64::from(slots.max(1)),
            clock,
            log: Log::default(),
        };
        let thread = thread::Builder::new().name("fleet".to_owned());
        let thread = thread
            .spawn(move || crew.sail())
            .context("cannot start the fleet's thread")?;
        Ok(Self {
            thread,
            joining,
            orders,
        })
    }

    /// The way in.
    pub(crate) fn door(&self) -> Door {
        Door(self.joining.clone())
    }

    /// All legs send stamps instead of silence, or silence again. Returns when every leg does.
    pub async fn stamp(&self, stamping: bool) {
        let before = self.orders.seen.load(Ordering::Acquire);
        self.orders.stamping.store(stamping, Ordering::Release);
        // Two periods: one may have been half over.
        while self.orders.seen.load(Ordering::Acquire) < before + 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            if self.thread.is_finished() {
                return;
            }
        }
    }

    /// Stamped frames of every leg; settled once stamping is off.
    pub fn stamped(&self) -> Vec<u32> {
        self.orders
            .stamped
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Everybody hangs up.
    ///
    /// # Errors
    /// When the thread has panicked.
    pub fn leave(self) -> anyhow::Result<Log> {
        self.orders.leaving.store(true, Ordering::Release);
        self.thread
            .join()
            .map_err(|_| anyhow::anyhow!("the fleet's thread has panicked"))
    }
}

impl Door {
    /// Adds a caller; from now on it sends silence, or stamps.
    ///
    /// # Errors
    /// When the fleet is full or its thread is gone.
    pub(crate) fn join(&self, line: Box<dyn Line>) -> anyhow::Result<Seat> {
        self.seat(line, None)
    }

    /// Adds a caller who speaks and never sends stamps.
    ///
    /// # Errors
    /// As [`Door::join`].
    pub(crate) fn join_speaking(
        &self,
        line: Box<dyn Line>,
        voice: Box<dyn Voice>,
    ) -> anyhow::Result<Seat> {
        self.seat(line, Some(voice))
    }

    fn seat(&self, line: Box<dyn Line>, voice: Option<Box<dyn Voice>>) -> anyhow::Result<Seat> {
        let seat = Seat::default();
        let joined = self.0.try_send(Berth {
            line,
            voice,
            seat: seat.clone(),
            stamped: [0; 2],
            broken: false,
        });
        joined.map_err(|_| anyhow::anyhow!("the fleet takes no more callers"))?;
        Ok(seat)
    }
}

impl Seat {
    /// The caller hangs up: the last frame has been sent when this returns.
    pub(crate) async fn leave(&self) {
        self.0.leaving.store(true, Ordering::Release);
        while !self.0.left.load(Ordering::Acquire) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The close code with which the gateway has said goodbye.
    pub(crate) fn goodbye(&self) -> Option<u16> {
        Some(self.0.goodbye.load(Ordering::Acquire)).filter(|code| *code > 0)
    }
}

impl Berth {
    fn has_left(&self) -> bool {
        self.seat.0.left.load(Ordering::Acquire)
    }

    fn hang_up(&mut self) {
        if !self.has_left() {
            self.line.hang_up();
            self.broken = self.line.is_broken();
            self.seat.0.left.store(true, Ordering::Release);
        }
    }

    fn listen(&mut self) {
        self.line.listen();
        let goodbye = self.line.goodbye().unwrap_or(0);
        self.seat.0.goodbye.store(goodbye, Ordering::Release);
    }
}

/// What the thread owns.
struct Crew {
    lines: Vec<Berth>,
    joined: Receiver<Berth>,
    orders: Arc<Orders>,
    slots: u64,
    clock: Instant,
    log: Log,
}

impl Crew {
    fn sail(mut self) -> Log {
        let begun = Instant::now();
        let slots = self.slots;
        let mut stamping = false;
        for turn in 0.. {
            let (period, slot) = (turn / slots, turn % slots);
            if slot == 0 {
                if self.orders.leaving.load(Ordering::Acquire) {
                    break;
                }
                self.begin_period(period);
                stamping = self.orders.stamping.load(Ordering::Acquire);
            }
            let due = begun + due(turn, slots);
            wait_until(due);
            self.send_slot(slot, due, stamping);
        }
        self.lines.iter_mut().for_each(Berth::hang_up);
        let broken = self.lines.iter().filter(|berth| berth.broken);
        self.log.broken = broken.count() as u64;
        self.log
    }

    fn begin_period(&mut self, period: u64) {
        self.lines.extend(self.joined.try_iter());
        let leaving = |berth: &&mut Berth| berth.seat.0.leaving.load(Ordering::Acquire);
        let leaving = self.lines.iter_mut().filter(leaving);
        leaving.for_each(Berth::hang_up);
        let every = self.lines.iter_mut().enumerate();
        for (_, berth) in
            every.filter(|(index, _)| *index as u64 % LISTEN_PERIODS == period % LISTEN_PERIODS)
        {
            berth.listen();
        }
        let mut stamped = self
            .orders
            .stamped
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        stamped.clear();
        stamped.extend(self.lines.iter().flat_map(|berth| berth.stamped));
        self.orders.seen.fetch_add(1, Ordering::AcqRel);
    }

    /// A call's two tracks are half a period apart, as they are in life.
    fn send_slot(&mut self, slot: u64, due: Instant, stamping: bool) {
        let slots = self.slots;
        for track in 0..2 {
            let first = (slot + track as u64 * slots.div_ceil(2)) % slots;
            for index in (first as usize..self.lines.len()).step_by(slots as usize) {
                let berth = &mut self.lines[index];
                if berth.has_left() {
                    continue;
                }
                let now = Instant::now();
                let stamps = stamping && berth.voice.is_none();
                let codes = match &mut berth.voice {
                    Some(voice) => voice.frame(track),
                    None if stamping => {
                        let stamp = Stamp {
                            leg: (index * 2 + track) as u16,
                            sequence: berth.stamped[track],
                            sent_us: now.duration_since(self.clock).as_micros() as u64,
                        };
                        stamp.write()
                    }
                    None => [ulaw::SILENCE; FRAME],
                };
                let stalled = berth.line.frame(track, &codes);
                self.log.frames += 1;
                self.log.stalls += u64::from(stalled);
                if stamps {
                    berth.stamped[track] += 1;
                    self.log.stamped += 1;
                }
                if stamps || berth.voice.is_some() {
                    self.log.lateness.record(now.duration_since(due));
                }
            }
        }
    }
}

/// When a slot is due, from the beginning; no rounding adds up.
fn due(turn: u64, slots: u64) -> Duration {
    Duration::from_nanos(turn * PERIOD.as_nanos() as u64 / slots)
}

fn wait_until(due: Instant) {
    loop {
        let wait = due.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            return;
        }
        // Nobody unparks this thread; it may still wake early, hence the loop.
        thread::park_timeout(wait);
    }
}

#[cfg(test)]
mod tests;
