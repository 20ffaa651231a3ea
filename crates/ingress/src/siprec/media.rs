//! The task of one media line: takes whatever has arrived at its two sockets in one go.
//!
//! It waits for nothing but packets, one timer and orders; nothing behind it can keep it from
//! reading.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recvfrom};
use siprec::server::{MediaLine, SessionId};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::siprec::line::Line;
use crate::siprec::ports::Lease;
use crate::siprec::random;
use crate::siprec::signal::Signal;
use crate::siprec::tally::LineEnd;

/// An Ethernet frame holds less; what is larger is no packet of ours.
const PACKET_BYTES_MAX: usize = 2048;

/// How often a line looks whether it is silent, and tells what it counted.
const TICK: Duration = Duration::from_millis(250);

/// While it is silent it looks more often, so that the silence is told in small pieces.
const SILENT_TICK: Duration = Duration::from_millis(100);

/// A socket that fails so often in a row is lost.
const FAILURES_MAX: u32 = 32;

/// Packets put aside in one go when a gate opens: more than a buffer holds.
const EMPTIED_MAX: usize = 4096;

/// What the signalling task tells a line; the newest counts.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    /// The line is over.
    End(LineEnd),
    /// It is received so from now on.
    Receive(Arc<MediaLine>),
}

/// What one line's task owns.
#[derive(Debug)]
pub(crate) struct LineTask {
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

/// A datagram's place, and what is due when.
struct Reading {
    packet: Box<[u8; PACKET_BYTES_MAX]>,
    report_at: Instant,
    failures: u32,
    silence_told: bool,
}

/// Why a line stopped waiting.
enum Woken {
    /// With the receiver of the next one; none when nobody orders any more.
    Ordered(Option<(Order, watch::Receiver<Order>)>),
    Failed(io::Error),
    Retired,
    Ticked,
}

/// What happens to a line beside its packets. Of a set only those are polled that were woken, so
/// waiting costs nothing per packet.
type Rare = FuturesUnordered<BoxFuture<'static, Woken>>;

impl LineTask {
    /// Lives until it is ordered to end.
    pub(crate) async fn run(mut self) {
        let now = Instant::now();
        let first = rtp::rtcp::interval(self.rtcp_interval, true, random::number());
        let mut reading = Reading {
            packet: Box::new([0; PACKET_BYTES_MAX]),
            report_at: now + first,
            failures: 0,
            silence_told: false,
        };
        let mut rare = Rare::new();
        rare.push(ordered(self.orders.clone()));
        rare.push(retired(self.retired.clone()));
        rare.push(ticked(now + TICK));
        let end = loop {
            match self.wait(&mut reading, &mut rare).await {
                Woken::Failed(error) => {
                    tracing::error!(%error, "An RTP socket failed; its leg ends.");
                    break LineEnd::SocketLost;
                }
                Woken::Ordered(None) => break LineEnd::ShutDown,
                Woken::Ordered(Some((Order::End(end), _))) => break end,
                Woken::Ordered(Some((Order::Receive(media), orders))) => {
                    self.line.change(Instant::now(), MediaLine::clone(&media));
                    rare.push(ordered(orders));
                }
                Woken::Retired => {
                    tracing::debug!(
                        session = self.session.0,
                        line = self.index,
                        "A leg is retired; its line is drained."
                    );
                    self.line.end(LineEnd::Retired);
                }
                Woken::Ticked => {
                    rare.push(ticked(self.tick(&mut reading)));
                }
            }
        };
        self.line.end(end);
        self.report(true);
        self.metrics.siprec().line(&self.line.take_tally());
        self.metrics.siprec().line_ended(end);
    }

    /// Reads packets until something else is to be done.
    async fn wait(&mut self, reading: &mut Reading, rare: &mut Rare) -> Woken {
        let Self { line, lease, .. } = self;
        poll_fn(|context| match rare.poll_next_unpin(context) {
            Poll::Ready(Some(woken)) => Poll::Ready(woken),
            _ => poll_packets(context, line, lease, reading).map(Woken::Failed),
        })
        .await
    }

    /// When to look again.
    fn tick(&mut self, reading: &mut Reading) -> Instant {
        let now = Instant::now();
        self.line.tick(now);
        self.metrics.siprec().line(&self.line.take_tally());
        if now >= reading.report_at {
            if let Some(jitter) = self.line.jitter() {
                self.metrics.siprec().jitter(jitter);
            }
            self.report(false);
            let interval = rtp::rtcp::interval(self.rtcp_interval, false, random::number());
            reading.report_at = now + interval;
        }
        let silent = self.line.silent_for(now);
        self.watch(silent, reading);
        match silent {
            Some(silent) if silent < TICK => now + TICK,
            _ => now + SILENT_TICK,
        }
    }

    /// Tells the signalling task when the line falls silent for too long, and when it is heard
    /// again.
    fn watch(&self, silent: Option<Duration>, reading: &mut Reading) {
        if self.media_timeout.is_zero() {
            return;
        }
        let is_silent = silent.is_some_and(|silent| silent >= self.media_timeout);
        if is_silent != reading.silence_told {
            let signal = Signal::Silent {
                session: self.session,
                line: self.index,
                is_silent,
            };
            // Without room it is told at the next tick.
            if self.signals.try_send(signal).is_ok() {
                reading.silence_told = is_silent;
            }
        }
    }

    fn report(&mut self, leaving: bool) {
        let Some((to, bytes)) = self.line.report(Instant::now(), leaving) else {
            return;
        };
        let socket = match self.line.is_muxed() {
            true => self.lease.rtp(),
            false => self.lease.rtcp(),
        };
        if let Err(error) = socket.try_send_to(&bytes, to) {
            tracing::debug!(%error, "A receiver report could not be sent.");
        }
    }
}

fn ordered(mut orders: watch::Receiver<Order>) -> BoxFuture<'static, Woken> {
    Box::pin(async move {
        if orders.changed().await.is_err() {
            return Woken::Ordered(None);
        }
        let order = orders.borrow_and_update().clone();
        Woken::Ordered(Some((order, orders)))
    })
}

fn retired(retired: CancellationToken) -> BoxFuture<'static, Woken> {
    Box::pin(async move {
        retired.cancelled().await;
        Woken::Retired
    })
}

fn ticked(at: Instant) -> BoxFuture<'static, Woken> {
    Box::pin(async move {
        tokio::time::sleep_until(at.into()).await;
        Woken::Ticked
    })
}

/// Takes all that has arrived. Ready only when a socket failed for good.
///
/// It ends at the latest when tokio's budget for one poll is used up; then the task comes back.
fn poll_packets(
    context: &mut Context<'_>,
    line: &mut Line,
    lease: &Lease,
    reading: &mut Reading,
) -> Poll<io::Error> {
    let now = Instant::now();
    if let Some(opening) = line.opened(context) {
        if empty(now, line, lease.rtp(), &mut reading.packet) {
            line.emptied(opening);
        } else {
            context.waker().wake_by_ref();
        }
    }
    while let Poll::Ready(read) = poll_packet(context, lease.rtp(), &mut reading.packet) {
        match read {
            Ok((bytes, from)) if bytes.len() < PACKET_BYTES_MAX => {
                reading.failures = 0;
                line.rtp(now, from, bytes);
            }
            Ok(_) => line.oversized(),
            Err(error) => {
                reading.failures += 1;
                if reading.failures > FAILURES_MAX {
                    return Poll::Ready(error);
                }
            }
        }
    }
    line.settle(now);
    while let Poll::Ready(read) = poll_packet(context, lease.rtcp(), &mut reading.packet) {
        match read {
            Ok((bytes, from)) => line.rtcp(now, from, bytes),
            Err(error) => {
                reading.failures += 1;
                if reading.failures > FAILURES_MAX {
                    return Poll::Ready(error);
                }
            }
        }
    }
    Poll::Pending
}

/// Puts aside all that waits in the socket, of which the kernel is asked: tokio may not know of it
/// yet. False if there is more.
fn empty(
    now: Instant,
    line: &mut Line,
    socket: &UdpSocket,
    packet: &mut [u8; PACKET_BYTES_MAX],
) -> bool {
    for _ in 0..EMPTIED_MAX {
        match recvfrom(socket, &mut packet[..], RecvFlags::DONTWAIT) {
            Ok((length, _, from)) => {
                let from = from.and_then(|from| SocketAddr::try_from(from).ok());
                if let Some(from) = from.filter(|_| length < PACKET_BYTES_MAX) {
                    line.rtp(now, from, &packet[..length]);
                }
            }
            Err(Errno::AGAIN) => {
                line.settle(now);
                return true;
            }
            // What an ICMP message tells; the next call reads on.
            Err(_) => {}
        }
    }
    false
}

fn poll_packet<'a>(
    context: &mut Context<'_>,
    socket: &UdpSocket,
    packet: &'a mut [u8; PACKET_BYTES_MAX],
) -> Poll<io::Result<(&'a [u8], SocketAddr)>> {
    let mut buffer = ReadBuf::new(packet);
    let from = ready!(socket.poll_recv_from(context, &mut buffer));
    let length = buffer.filled().len();
    Poll::Ready(from.map(|from| (&packet[..length], from)))
}
