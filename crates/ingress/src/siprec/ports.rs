//! Pairs of UDP ports, even for RTP and odd for RTCP: leased to lines, left to rest, used again.
//!
//! A pair that was just released may still be sent to by a peer that does not know. It rests before
//! it is leased again, and its sockets are made anew each time, so nothing of an earlier call waits
//! in them.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use crate::metrics::Metrics;
use crate::siprec::config::PortRange;
use crate::siprec::drops;

/// Pairs that cannot be bound, because somebody else has them, are skipped so often for one lease.
const FOREIGN_MAX: usize = 64;

/// How often the kernel's counts of dropped datagrams are read.
const DROPS_INTERVAL: Duration = Duration::from_secs(10);

/// As long at most the sockets of a released pair stay open, so that the last drops are counted.
const RELEASE_INTERVAL: Duration = Duration::from_secs(1);

/// All pairs of the range.
#[derive(Debug)]
pub(crate) struct Ports {
    pool: Mutex<Pool>,
    quarantine: Duration,
    buffer: usize,
    metrics: Arc<Metrics>,
}

/// A bound pair. Dropped, it rests and then is leased again.
#[derive(Debug)]
pub(crate) struct Lease {
    port: u16,
    pair: Option<Pair>,
    ports: Arc<Ports>,
}

/// They are a reader's to wait for, and nobody else's.
#[derive(Debug)]
struct Pair {
    rtp: UdpSocket,
    rtcp: UdpSocket,
}

#[derive(Debug, Default)]
struct Pool {
    free: VecDeque<u16>,
    /// Earliest first.
    resting: VecDeque<(Instant, u16)>,
    /// Released, not yet closed.
    released: Vec<(u16, Pair)>,
    /// What the kernel has dropped at each leased socket, as last read.
    dropped: HashMap<SocketAddr, u64>,
}

impl Ports {
    /// Begins at the pair of the range that `start` falls on, so that two runs of the process
    /// seldom lease the same ones.
    pub(crate) fn new(
        range: PortRange,
        start: usize,
        (quarantine, buffer): (Duration, usize),
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        let mut free: VecDeque<u16> = range.pairs().collect();
        let start = start % free.len().max(1);
        free.rotate_left(start);
        Arc::new(Self {
            pool: Mutex::new(Pool {
                free,
                ..Pool::default()
            }),
            quarantine,
            buffer,
            metrics,
        })
    }

    /// So many pairs on this address, or `None` if there are not enough. An address that is not
    /// this machine's (it is a translator's) means any.
    pub(crate) fn lease(
        self: &Arc<Self>,
        now: Instant,
        address: IpAddr,
        count: usize,
    ) -> Option<Vec<Lease>> {
        let mut leases = Vec::with_capacity(count);
        let mut failures = 0;
        while leases.len() < count {
            let port = self.pool().next(now)?;
            let pair = match self.bind(address, port) {
                Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                    self.bind(any(address), port)
                }
                bound => bound,
            };
            match pair {
                Ok(pair) => leases.push(self.leased(port, pair)),
                Err(error) => {
                    self.pool().rest(now + self.quarantine, port);
                    failures += 1;
                    if error.kind() != io::ErrorKind::AddrInUse || failures > FOREIGN_MAX {
                        tracing::warn!(%error, "RTP ports cannot be bound.");
                        return None;
                    }
                }
            }
        }
        Some(leases)
    }

    /// Reads the kernel's counts for ever, and closes what was released.
    pub(crate) async fn watch(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(RELEASE_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut read_at = ticks.tick().await;
        loop {
            let now = ticks.tick().await;
            let is_due = now.duration_since(read_at) >= DROPS_INTERVAL;
            if is_due || !self.pool().released.is_empty() {
                read_at = now;
                self.settle(now.into_std(), &drops::read().await);
            }
        }
    }

    /// Counts new drops, then closes and rests what was released.
    fn settle(&self, now: Instant, drops: &[(SocketAddr, u64)]) {
        let mut pool = self.pool();
        for (address, drops) in drops {
            if let Some(known) = pool.dropped.get_mut(address) {
                self.metrics
                    .siprec()
                    .kernel_drops(drops.saturating_sub(*known));
                *known = *drops;
            }
        }
        for (port, pair) in std::mem::take(&mut pool.released) {
            for address in pair.addresses().into_iter().flatten() {
                pool.dropped.remove(&address);
            }
            pool.rest(now + self.quarantine, port);
        }
    }

    fn leased(self: &Arc<Self>, port: u16, pair: Pair) -> Lease {
        let fresh = pair.addresses().into_iter().flatten();
        self.pool()
            .dropped
            .extend(fresh.map(|address| (address, 0)));
        self.metrics.siprec().port_leased();
        Lease {
            port,
            pair: Some(pair),
            ports: Arc::clone(self),
        }
    }

    fn bind(&self, address: IpAddr, port: u16) -> io::Result<Pair> {
        let rtp = self.socket(SocketAddr::new(address, port))?;
        let rtcp = self.socket(SocketAddr::new(address, port + 1))?;
        Ok(Pair { rtp, rtcp })
    }

    fn socket(&self, address: SocketAddr) -> io::Result<UdpSocket> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_recv_buffer_size(self.buffer)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        Ok(socket.into())
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        // A panic while the lock is held leaves queues of numbers, none of them half written.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// The RTP port; RTCP is the next.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where RTP comes in.
    pub(crate) fn rtp(&self) -> &UdpSocket {
        &self.pair().rtp
    }

    /// Where RTCP comes in, if it is not muxed.
    pub(crate) fn rtcp(&self) -> &UdpSocket {
        &self.pair().rtcp
    }

    fn pair(&self) -> &Pair {
        self.pair
            .as_ref()
            .expect("a lease has its sockets until it is dropped")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(pair) = self.pair.take() {
            self.ports.metrics.siprec().port_released();
            self.ports.pool().released.push((self.port, pair));
        }
    }
}

impl Pair {
    fn addresses(&self) -> [Option<SocketAddr>; 2] {
        [self.rtp.local_addr().ok(), self.rtcp.local_addr().ok()]
    }
}

impl Pool {
    /// The pair that was not used for longest.
    fn next(&mut self, now: Instant) -> Option<u16> {
        while let Some((until, port)) = self.resting.front().copied()
            && until <= now
        {
            self.resting.pop_front();
            self.free.push_back(port);
        }
        self.free.pop_front()
    }

    fn rest(&mut self, until: Instant, port: u16) {
        self.resting.push_back((until, port));
    }
}

/// Any address of the same kind.
fn any(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

#[cfg(test)]
mod tests;
