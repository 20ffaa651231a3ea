//! One media line with its sockets: what is done when something has arrived at one of them, when
//! time has passed, when something else happens to the line. It never waits.
//!
//! Who calls it is a [`reader`], which has many lines.

mod bell;
mod reader;
mod readers;
mod seats;

use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use siprec::server::{MediaLine, SessionId};
use tokio::sync::{mpsc, watch};
use tokio::task::unconstrained;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::siprec::line::Line;
use crate::siprec::ports::Lease;
use crate::siprec::random;
use crate::siprec::signal::Signal;
use crate::siprec::tally::LineEnd;

pub(crate) use readers::Readers;
use seats::Port;

/// An Ethernet frame holds less; what is larger is no packet of ours.
const PACKET_BYTES_MAX: usize = 2048;

/// How often a line looks whether it is silent, and tells what it counted.
const TICK: Duration = Duration::from_millis(250);

/// While it is silent it looks more often, so that the silence is told in small pieces.
const SILENT_TICK: Duration = Duration::from_millis(100);

/// A socket that fails so often in a row is lost.
const FAILURES_MAX: u32 = 32;

/// Packets taken in one go when a socket is drained: more than a buffer holds by default. Only
/// while a line is flooded there are more.
const DRAINED_MAX: usize = 1024;

/// What the signalling task tells a line; the newest counts.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    /// The line is over.
    End(LineEnd),
    /// It is received so from now on.
    Receive(Arc<MediaLine>),
}

/// A line as it begins.
#[derive(Debug)]
pub(crate) struct Reception {
    pub(crate) session: SessionId,
    /// Index of the m-line.
    pub(crate) index: usize,
    pub(crate) line: Line,
    pub(crate) lease: Lease,
    pub(crate) orders: watch::Receiver<Order>,
    /// Cancelled when newer media took the leg's place.
    pub(crate) retired: CancellationToken,
    pub(crate) signals: mpsc::Sender<Signal>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) rtcp_interval: Duration,
    /// Zero: never.
    pub(crate) media_timeout: Duration,
}

/// A line that is received.
#[derive(Debug)]
struct Receiving {
    reception: Reception,
    rare: Rare,
    report_at: Instant,
    failures: u32,
    silence_told: bool,
}

/// Where a datagram is read to.
type Packet = [u8; PACKET_BYTES_MAX];

/// What happens to a line beside its packets and the time.
enum Event {
    /// With the receiver of the next one; none when nobody orders any more.
    Ordered(Option<(Order, watch::Receiver<Order>)>),
    Retired,
}

/// What is waited for. Of a set only those are polled that were woken.
type Rare = FuturesUnordered<BoxFuture<'static, Event>>;

impl Receiving {
    fn new(now: Instant, reception: Reception) -> Self {
        let first = rtp::rtcp::interval(reception.rtcp_interval, true, random::number());
        let rare = Rare::new();
        rare.push(ordered(reception.orders.clone()));
        rare.push(retired(reception.retired.clone()));
        Self {
            reception,
            rare,
            report_at: now + first,
            failures: 0,
            silence_told: false,
        }
    }

    fn socket(&self, port: Port) -> &UdpSocket {
        match port {
            Port::Rtcp => self.reception.lease.rtcp(),
            Port::Rtp => self.reception.lease.rtp(),
        }
    }

    /// Something may have happened beside packets: `bell` is woken when more does. False if the
    /// gate has opened and more waits in the socket than was put aside; look again.
    fn look(&mut self, now: Instant, bell: &Waker, packet: &mut Packet) -> Result<bool, LineEnd> {
        let mut context = Context::from_waker(bell);
        // Without a budget: what has used it up would ring the bell at once, and again.
        while let Poll::Ready(Some(event)) =
            unconstrained(self.rare.next()).poll_unpin(&mut context)
        {
            // What came before it is received as it was until then.
            self.drain(now, packet);
            match event {
                Event::Ordered(None) => return Err(LineEnd::ShutDown),
                Event::Ordered(Some((Order::End(end), _))) => return Err(end),
                Event::Ordered(Some((Order::Receive(media), orders))) => {
                    self.reception.line.change(now, MediaLine::clone(&media));
                    self.rare.push(ordered(orders));
                }
                Event::Retired => {
                    tracing::debug!(
                        session = self.reception.session.0,
                        line = self.reception.index,
                        "A leg is retired; its line is drained."
                    );
                    self.reception.line.end(LineEnd::Retired);
                }
            }
        }
        let Some(opening) = self.reception.line.opened(&context) else {
            return Ok(true);
        };
        let is_drained = self.drain(now, packet);
        if is_drained {
            self.reception.line.emptied(opening);
        }
        Ok(is_drained)
    }

    /// Takes one datagram, if there is one. An error when the socket failed for good.
    fn read(&mut self, now: Instant, port: Port, packet: &mut Packet) -> Result<(), LineEnd> {
        let read = self.socket(port).recv_from(packet);
        let line = &mut self.reception.line;
        match (read, port) {
            (Ok((length, from)), Port::Rtcp) => line.rtcp(now, from, &mut packet[..length]),
            (Ok((length, from)), Port::Rtp) => {
                self.failures = 0;
                match length < packet.len() {
                    true => line.rtp(now, from, &mut packet[..length]),
                    false => line.oversized(),
                }
                line.settle(now);
            }
            (Err(error), _) if error.kind() == io::ErrorKind::WouldBlock => {}
            (Err(error), _) => {
                self.failures += 1;
                if self.failures > FAILURES_MAX {
                    tracing::error!(%error, "An RTP socket failed; its leg ends.");
                    return Err(LineEnd::SocketLost);
                }
            }
        }
        Ok(())
    }

    /// Takes all that waits in the RTP socket: what a gate has opened behind is put aside. False if
    /// there is more.
    fn drain(&mut self, now: Instant, packet: &mut Packet) -> bool {
        let Reception { line, lease, .. } = &mut self.reception;
        for _ in 0..DRAINED_MAX {
            match lease.rtp().recv_from(packet) {
                Ok((length, from)) if length < packet.len() => {
                    line.rtp(now, from, &mut packet[..length])
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    line.settle(now);
                    return true;
                }
                // What an ICMP message tells; the next call reads on.
                Ok(_) | Err(_) => {}
            }
        }
        false
    }

    /// When to look again.
    fn tick(&mut self, now: Instant) -> Instant {
        let Reception { line, metrics, .. } = &mut self.reception;
        line.tick(now);
        metrics.siprec().line(&line.take_tally());
        if now >= self.report_at {
            if let Some(jitter) = line.jitter() {
                metrics.siprec().jitter(jitter);
            }
            self.report(now, false);
            let every = self.reception.rtcp_interval;
            self.report_at = now + rtp::rtcp::interval(every, false, random::number());
        }
        let silent = self.reception.line.silent_for(now);
        self.watch(silent);
        match silent {
            Some(silent) if silent < TICK => now + TICK,
            _ => now + SILENT_TICK,
        }
    }

    /// Tells the signalling task when the line falls silent for too long, and when it is heard
    /// again.
    fn watch(&mut self, silent: Option<Duration>) {
        let Reception {
            session,
            index,
            media_timeout,
            ..
        } = self.reception;
        if media_timeout.is_zero() {
            return;
        }
        let is_silent = silent.is_some_and(|silent| silent >= media_timeout);
        if is_silent != self.silence_told {
            let signal = Signal::Silent {
                session,
                line: index,
                is_silent,
            };
            // Without room it is told at the next tick.
            if self.reception.signals.try_send(signal).is_ok() {
                self.silence_told = is_silent;
            }
        }
    }

    fn report(&mut self, now: Instant, leaving: bool) {
        let Some((to, bytes)) = self.reception.line.report(now, leaving) else {
            return;
        };
        let socket = match self.reception.line.is_muxed() {
            true => self.socket(Port::Rtp),
            false => self.socket(Port::Rtcp),
        };
        if let Err(error) = socket.send_to(&bytes, to) {
            tracing::debug!(%error, "A receiver report could not be sent.");
        }
    }

    /// The line is over.
    fn end(mut self, now: Instant, end: LineEnd) {
        self.reception.line.end(end);
        self.report(now, true);
        let Reception { line, metrics, .. } = &mut self.reception;
        metrics.siprec().line(&line.take_tally());
        metrics.siprec().line_ended(end);
    }
}

fn ordered(mut orders: watch::Receiver<Order>) -> BoxFuture<'static, Event> {
    Box::pin(async move {
        if orders.changed().await.is_err() {
            return Event::Ordered(None);
        }
        let order = orders.borrow_and_update().clone();
        Event::Ordered(Some((order, orders)))
    })
}

fn retired(retired: CancellationToken) -> BoxFuture<'static, Event> {
    Box::pin(async move {
        retired.cancelled().await;
        Event::Retired
    })
}
