//! Many callers on one thread: it owns their sockets, sleeps from slot to slot and writes each
//! frame when it is due. No runtime, no task, no timer a caller.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message, WebSocket};

use super::stamp::{FRAME, Stamp};
use crate::caller::transport::Unhurried;
use crate::caller::twilio::{CONNECTED, Media, Side, Writer};
use crate::caller::ulaw;
use crate::histogram::Histogram;

/// How often every leg sends a frame.
const PERIOD: Duration = Duration::from_millis(20);

/// What a socket that does not take its bytes may have waiting; then its caller is given up.
const WRITE_BUFFER_MAX: usize = 1 << 20;

/// How often each socket is looked at for pings and close frames, in periods.
const LISTEN_PERIODS: u64 = 25;

/// A caller that has just been connected.
#[derive(Debug)]
pub struct Caller {
    /// Its connection, upgraded.
    pub transport: Unhurried,
    /// Bytes that came behind the answer to the upgrade.
    pub rest: Vec<u8>,
    /// Writes its messages.
    pub writer: Writer,
}

/// What the fleet has done.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Stamped frames written.
    pub stamped: u64,
    /// All frames written.
    pub frames: u64,
    /// How late each stamped frame was.
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
    joining: SyncSender<Caller>,
    orders: Arc<Orders>,
}

/// What the thread is told.
#[derive(Debug, Default)]
struct Orders {
    stamping: AtomicBool,
    leaving: AtomicBool,
    /// Bumped by the thread once it has seen `stamping` change.
    seen: AtomicU32,
    /// Stamped frames of each leg: leg 2n is caller n's inbound track.
    stamped: Mutex<Vec<u32>>,
}

struct Line {
    socket: WebSocket<Unhurried>,
    writer: Writer,
    sequence: u64,
    sent: [u64; 2],
    stamped: [u32; 2],
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
            text: String::new(),
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

    /// Adds a caller; from now on it sends silence.
    ///
    /// # Errors
    /// When the fleet is full or its thread is gone.
    pub fn join(&self, caller: Caller) -> anyhow::Result<()> {
        self.joining
            .try_send(caller)
            .context("the fleet takes no more callers")
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

/// What the thread owns.
struct Crew {
    lines: Vec<Line>,
    joined: Receiver<Caller>,
    orders: Arc<Orders>,
    slots: u64,
    clock: Instant,
    log: Log,
    text: String,
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
        for line in &mut self.lines {
            line.hang_up();
        }
        self.log.broken = self.lines.iter().filter(|line| line.broken).count() as u64;
        self.log
    }

    fn begin_period(&mut self, period: u64) {
        while let Ok(caller) = self.joined.try_recv() {
            self.lines.push(Line::open(caller));
        }
        let every = self.lines.iter_mut().enumerate();
        for (_, line) in
            every.filter(|(index, _)| *index as u64 % LISTEN_PERIODS == period % LISTEN_PERIODS)
        {
            line.listen();
        }
        let mut stamped = self
            .orders
            .stamped
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        stamped.clear();
        stamped.extend(self.lines.iter().flat_map(|line| line.stamped));
        self.orders.seen.fetch_add(1, Ordering::AcqRel);
    }

    /// A call's two tracks are half a period apart, as they are in life.
    fn send_slot(&mut self, slot: u64, due: Instant, stamping: bool) {
        let slots = self.slots;
        for side in Side::BOTH {
            let first = (slot + side as u64 * slots.div_ceil(2)) % slots;
            for index in (first as usize..self.lines.len()).step_by(slots as usize) {
                let line = &mut self.lines[index];
                let now = Instant::now();
                let stamp = stamping.then(|| Stamp {
                    leg: (index * 2 + side as usize) as u16,
                    sequence: line.stamped[side as usize],
                    sent_us: now.duration_since(self.clock).as_micros() as u64,
                });
                let stalled = line.frame(side, stamp, &mut self.text);
                self.log.frames += 1;
                self.log.stalls += u64::from(stalled);
                if stamping {
                    self.log.stamped += 1;
                    self.log.lateness.record(now.duration_since(due));
                }
            }
        }
    }
}

impl Line {
    fn open(caller: Caller) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(4096)
            .write_buffer_size(0)
            .max_write_buffer_size(WRITE_BUFFER_MAX);
        let Caller {
            transport,
            rest,
            writer,
        } = caller;
        let socket = WebSocket::from_partially_read(transport, rest, Role::Client, Some(config));
        let start = writer.start(1, &Side::BOTH, &[]);
        let mut line = Self {
            socket,
            writer,
            sequence: 1,
            sent: [0; 2],
            stamped: [0; 2],
            broken: false,
        };
        line.send(Message::text(CONNECTED));
        line.send(Message::text(start));
        line
    }

    /// Writes one frame; true when the kernel would not take it now.
    fn frame(&mut self, side: Side, stamp: Option<Stamp>, text: &mut String) -> bool {
        let payload = stamp.map_or([ulaw::SILENCE; FRAME], Stamp::write);
        let index = side as usize;
        self.stamped[index] += u32::from(stamp.is_some());
        self.sequence += 1;
        let media = Media {
            side,
            sequence: self.sequence,
            chunk: self.sent[index] + 1,
            timestamp_ms: self.sent[index] * PERIOD.as_millis() as u64,
            payload: &payload,
        };
        self.sent[index] += 1;
        text.clear();
        self.writer.media(&media, text);
        self.send(Message::text(text.as_str()))
    }

    fn hang_up(&mut self) {
        let stop = self.writer.stop(self.sequence + 1);
        self.send(Message::text(stop));
        let normal = CloseFrame {
            code: 1000.into(),
            reason: "".into(),
        };
        self.send(Message::Close(Some(normal)));
    }

    /// Pings are answered on the way; nothing else is expected.
    fn listen(&mut self) {
        while !self.broken {
            match self.socket.read() {
                Ok(_) => {}
                Err(SocketError::Io(error)) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.broken = true,
            }
        }
    }

    /// What the kernel does not take stays in the WebSocket's buffer and goes with the next frame.
    fn send(&mut self, message: Message) -> bool {
        if self.broken {
            return false;
        }
        match self.socket.send(message) {
            Ok(()) => false,
            Err(SocketError::Io(error)) if error.kind() == ErrorKind::WouldBlock => true,
            Err(_) => {
                self.broken = true;
                false
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
