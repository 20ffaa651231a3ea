//! One task that reads the sockets of many lines: at intervals, whatever has arrived at any of
//! them. So one wake-up serves many packets, and an empty socket costs nothing.
//!
//! What is read late is not heard wrongly: a line withholds what comes until its socket was drained
//! behind the opening of its gate, and a gate that opens is answered at once, between intervals.
//! See docs/decisions/0007.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::io;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::bell::{Bell, Note};
use super::seats::{Key, Port, Seats};
use super::{PACKET_BYTES_MAX, Packet, Receiving, Reception, TICK};
use crate::siprec::tally::LineEnd;

/// Packets read before other tasks have their turn.
const BATCH: usize = 64;

/// Datagrams of one line read at one interval. What a flood has more waits in its socket; what has
/// no room there the kernel drops and counts. In 5 ms these are sixty times what a call sends.
const DATAGRAMS_MAX: u32 = 32;

/// Many lines.
pub(super) struct Reader {
    notes: mpsc::UnboundedReceiver<Note>,
    /// For the bells.
    sender: mpsc::WeakUnboundedSender<Note>,
    interval: Duration,
    epoll: OwnedFd,
    lines: Seats<Seated>,
    /// Earliest first. Lines that are over leave theirs behind.
    ticks: BinaryHeap<Reverse<(Instant, Key)>>,
    /// Lines that are flooded while their gate opens.
    undrained: Vec<Key>,
    packet: Box<Packet>,
    /// Intervals that have passed.
    passes: u64,
}

/// One line in its place.
struct Seated {
    receiving: Receiving,
    bell: Arc<Bell>,
    waker: Waker,
    /// Datagrams read at the interval of this number.
    read: (u64, u32),
}

impl Reader {
    pub(super) fn new(
        notes: mpsc::UnboundedReceiver<Note>,
        sender: mpsc::WeakUnboundedSender<Note>,
        interval: Duration,
    ) -> io::Result<Self> {
        Ok(Self {
            notes,
            sender,
            interval,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            lines: Seats::new(),
            ticks: BinaryHeap::new(),
            undrained: Vec::new(),
            packet: Box::new([0; PACKET_BYTES_MAX]),
            passes: 0,
        })
    }

    /// Reads until nobody can bring it lines any more. Then those that are left end.
    pub(super) async fn run(mut self) {
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                note = self.notes.recv() => match note {
                    Some(note) => self.take(note),
                    None => break self.end_all(LineEnd::ShutDown),
                },
                _ = ticks.tick(), if !self.lines.is_empty() => self.pass().await,
            }
        }
    }

    fn take(&mut self, note: Note) {
        let now = Instant::now();
        match note {
            Note::Begin(reception) => self.begin(now, *reception),
            Note::Rung(key) => self.look(now, key),
        }
    }

    /// Those that wait now.
    fn take_notes(&mut self) {
        for _ in 0..self.notes.len() {
            if let Ok(note) = self.notes.try_recv() {
                self.take(note);
            }
        }
    }

    fn begin(&mut self, now: Instant, reception: Reception) {
        let key = self.lines.seat(|key| {
            let bell = Bell::new(key, self.sender.clone());
            Seated {
                receiving: Receiving::new(now, reception),
                waker: Waker::from(Arc::clone(&bell)),
                bell,
                read: (0, 0),
            }
        });
        if let Err(error) = self.listen(key) {
            tracing::error!(%error, "A media line cannot be read; its leg ends.");
            return self.end(key, LineEnd::SocketLost);
        }
        self.ticks.push(Reverse((now + TICK, key)));
        self.look(now, key);
    }

    fn listen(&mut self, key: Key) -> io::Result<()> {
        let Some(line) = self.lines.find(key) else {
            return Ok(());
        };
        for port in [Port::Rtcp, Port::Rtp] {
            let data = epoll::EventData::new_u64(key.token(port));
            let socket = line.receiving.socket(port);
            epoll::add(&self.epoll, socket, data, epoll::EventFlags::IN)?;
        }
        Ok(())
    }

    fn look(&mut self, now: Instant, key: Key) {
        let is_done = self.turn(key, |line, packet| {
            line.bell.answer();
            line.receiving.look(now, &line.waker, packet)
        });
        if is_done == Some(false) {
            self.undrained.push(key);
        }
    }

    /// Reads what has arrived anywhere, a datagram of each socket in turn.
    async fn pass(&mut self) {
        self.passes += 1;
        for key in std::mem::take(&mut self.undrained) {
            self.look(Instant::now(), key);
        }
        let mut tokens = [0; BATCH];
        loop {
            let ready = match self.ready(&mut tokens) {
                Ok(ready) => ready,
                Err(error) => {
                    tracing::error!(%error, "Media lines cannot be waited for; their legs end.");
                    return self.end_all(LineEnd::SocketLost);
                }
            };
            let now = Instant::now();
            let mut is_idle = true;
            self.prefetch(&tokens[..ready]);
            for token in &tokens[..ready] {
                is_idle &= !self.read(now, *token);
            }
            if is_idle {
                break;
            }
            if ready == BATCH {
                tokio::task::yield_now().await;
            }
            self.take_notes();
        }
        self.tick(Instant::now());
    }

    /// Sockets at which something waits, and how many. The next call tells of others first.
    fn ready(&self, tokens: &mut [u64; BATCH]) -> io::Result<usize> {
        let mut events = [const { MaybeUninit::uninit() }; BATCH];
        match epoll::wait(&self.epoll, &mut events[..], Some(&Timespec::default())) {
            Ok((events, _)) => {
                for (token, event) in tokens.iter_mut().zip(&*events) {
                    *token = event.data.u64();
                }
                Ok(events.len())
            }
            Err(Errno::INTR) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// A thousand lines push each other out of the cache. A packet after the other would wait for
    /// each place that it needs; those of a batch are fetched side by side.
    fn prefetch(&mut self, tokens: &[u64]) {
        for token in tokens {
            if let Some(seated) = self.lines.find(Key::of(*token).0) {
                black_box(seated.receiving.reception.line.prefetch() ^ seated.read.0);
            }
        }
    }

    /// False if the line has had its share, or is over.
    fn read(&mut self, now: Instant, token: u64) -> bool {
        let (key, port) = Key::of(token);
        let pass = self.passes;
        let read = self.turn(key, |line, packet| {
            let before = if line.read.0 == pass { line.read.1 } else { 0 };
            line.read = (pass, before + 1);
            if before >= DATAGRAMS_MAX {
                return Ok(false);
            }
            line.receiving.read(now, port, packet).map(|()| true)
        });
        read == Some(true)
    }

    fn tick(&mut self, now: Instant) {
        while let Some(Reverse((at, key))) = self.ticks.peek().copied()
            && at <= now
        {
            self.ticks.pop();
            if let Some(at) = self.turn(key, |line, _| Ok(line.receiving.tick(now))) {
                self.ticks.push(Reverse((at, key)));
            }
        }
    }

    /// One line's turn. Should it panic, its own leg ends and no other.
    fn turn<T>(
        &mut self,
        key: Key,
        act: impl FnOnce(&mut Seated, &mut Packet) -> Result<T, LineEnd>,
    ) -> Option<T> {
        let line = self.lines.find(key)?;
        let packet = &mut *self.packet;
        // What could be left half done is the line's own, and is dropped with it.
        match catch_unwind(AssertUnwindSafe(|| act(line, packet))) {
            Ok(Ok(done)) => return Some(done),
            Ok(Err(end)) => self.end(key, end),
            Err(_) => {
                tracing::error!("A media line fell over; its leg ends.");
                drop(self.leave(key));
            }
        }
        None
    }

    fn end(&mut self, key: Key, end: LineEnd) {
        if let Some(line) = self.leave(key) {
            line.end(Instant::now(), end);
        }
    }

    fn end_all(&mut self, end: LineEnd) {
        for key in self.lines.keys() {
            self.end(key, end);
        }
    }

    /// The sockets stay open for a while, so they are taken off here.
    fn leave(&mut self, key: Key) -> Option<Receiving> {
        let line = self.lines.leave(key)?.receiving;
        for port in [Port::Rtcp, Port::Rtp] {
            if let Err(error) = epoll::delete(&self.epoll, line.socket(port)) {
                tracing::debug!(%error, "A socket was not waited for.");
            }
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests;
