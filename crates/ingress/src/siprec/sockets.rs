//! Listening sockets: bound before anything is served, then read by one task each.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use siprec::framing::{self, Framed, MessageLimits};
use siprec::transaction::{Flow, Transport};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;

use crate::metrics::Metrics;
use crate::siprec::config::Listen;
use crate::siprec::peers::Peers;
use crate::siprec::signal::Signal;

/// RFC 3261 §18.1.1: a datagram may be as large as UDP allows.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// A burst of large INVITEs waits here while messages are read.
const SIP_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Connections that the kernel has taken and we have not.
const ACCEPT_QUEUE: i32 = 1024;

/// A bound socket that is not served yet.
#[derive(Debug)]
pub(crate) enum Bound {
    Stream(std::net::TcpListener),
    Udp(std::net::UdpSocket),
}

/// Reads one UDP listener.
#[derive(Debug)]
pub(crate) struct Datagrams {
    pub(crate) listener: usize,
    pub(crate) socket: Arc<UdpSocket>,
    pub(crate) limits: MessageLimits,
    pub(crate) signals: mpsc::Sender<Signal>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) metrics: Arc<Metrics>,
}

/// Which of our addresses a peer reaches us at, where a listener is bound to all of them.
#[derive(Debug)]
pub(crate) struct Routes {
    bound: SocketAddr,
    known: HashMap<IpAddr, IpAddr>,
    since: Instant,
}

impl Bound {
    /// Binds one listener.
    pub(crate) fn new(listen: Listen) -> io::Result<(Self, SocketAddr)> {
        let address = listen.address;
        let is_udp = listen.transport == Transport::Udp;
        let (kind, protocol) = match is_udp {
            true => (Type::DGRAM, Protocol::UDP),
            false => (Type::STREAM, Protocol::TCP),
        };
        let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        if is_udp {
            socket.set_recv_buffer_size(SIP_BUFFER_BYTES)?;
        } else {
            socket.set_reuse_address(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        if is_udp {
            let socket = std::net::UdpSocket::from(socket);
            let address = socket.local_addr()?;
            Ok((Self::Udp(socket), address))
        } else {
            socket.listen(ACCEPT_QUEUE)?;
            let socket = std::net::TcpListener::from(socket);
            let address = socket.local_addr()?;
            Ok((Self::Stream(socket), address))
        }
    }
}

/// Hands a bound listener to tokio; only inside its runtime.
pub(crate) fn stream_listener(bound: std::net::TcpListener) -> TcpListener {
    TcpListener::from_std(bound).expect("the runtime takes any socket that does not block")
}

/// Hands a bound socket to tokio; only inside its runtime.
pub(crate) fn datagram_socket(bound: std::net::UdpSocket) -> Arc<UdpSocket> {
    let socket = UdpSocket::from_std(bound);
    Arc::new(socket.expect("the runtime takes any socket that does not block"))
}

impl Datagrams {
    /// Reads until nobody hears of messages any more. While the signalling task is busy datagrams
    /// wait in the kernel.
    pub(crate) async fn run(self) {
        let Ok(bound) = self.socket.local_addr() else {
            return;
        };
        let mut routes = Routes::new(bound);
        let mut bytes = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            let (length, peer) = match self.socket.recv_from(&mut bytes).await {
                Ok(received) => received,
                // What an ICMP message tells of an earlier answer of ours.
                Err(error) => {
                    tracing::debug!(%error, "A SIP socket told of an error.");
                    tokio::task::yield_now().await;
                    continue;
                }
            };
            match framing::datagram(&bytes[..length], &self.limits) {
                None | Some(Framed::KeepAlive) => {}
                Some(Framed::Message(message)) => {
                    let signal = Signal::Message {
                        flow: Flow {
                            listener: self.listener,
                            transport: Transport::Udp,
                            local: routes.local(Instant::now(), peer),
                            peer,
                            connection: 0,
                        },
                        message,
                        tls_names: Arc::from([]),
                    };
                    if self.signals.send(signal).await.is_err() {
                        return;
                    }
                }
                Some(Framed::Bad(broken)) => {
                    self.metrics.siprec().bad_message(&broken.why);
                    // Whoever is not known may have borrowed the address.
                    let known = self.peers.knows(peer.ip());
                    if let Some(answer) = broken.answer.filter(|_| known) {
                        drop(self.socket.try_send_to(&answer, peer));
                    }
                }
            }
        }
    }
}

impl Routes {
    /// Routes may change.
    const KEPT: Duration = Duration::from_secs(60);
    const PEERS_MAX: usize = 4096;

    pub(crate) fn new(bound: SocketAddr) -> Self {
        Self {
            bound,
            known: HashMap::new(),
            since: Instant::now(),
        }
    }

    /// Our side of what comes from `peer`. The kernel is asked by connecting a socket, which sends
    /// nothing.
    pub(crate) fn local(&mut self, now: Instant, peer: SocketAddr) -> SocketAddr {
        if !self.bound.ip().is_unspecified() {
            return self.bound;
        }
        let is_old = now.saturating_duration_since(self.since) > Self::KEPT;
        if is_old || self.known.len() >= Self::PEERS_MAX {
            self.known.clear();
            self.since = now;
        }
        let known = self.known.entry(peer.ip());
        let bound = self.bound.ip();
        let ip = *known.or_insert_with(|| towards(bound, peer).unwrap_or(bound));
        SocketAddr::new(ip, self.bound.port())
    }
}

fn towards(bound: IpAddr, peer: SocketAddr) -> io::Result<IpAddr> {
    let socket = std::net::UdpSocket::bind((bound, 0))?;
    socket.connect(peer)?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_reached_at_the_one_that_leads_to_the_peer() {
        let mut routes = Routes::new("0.0.0.0:5060".parse().unwrap());
        let local = routes.local(Instant::now(), "127.0.0.1:4000".parse().unwrap());
        assert_eq!(local, "127.0.0.1:5060".parse().unwrap());
        let mut routes = Routes::new("192.0.2.1:5060".parse().unwrap());
        let local = routes.local(Instant::now(), "127.0.0.1:4000".parse().unwrap());
        assert_eq!(local, "192.0.2.1:5060".parse().unwrap());
    }

    #[test]
    fn listeners_of_every_kind_are_bound() {
        for (text, is_udp) in [
            ("udp:127.0.0.1:0", true),
            ("tcp:127.0.0.1:0", false),
            ("tls:[::1]:0", false),
        ] {
            let (bound, address) = Bound::new(text.parse().unwrap()).unwrap();
            assert_eq!(matches!(bound, Bound::Udp(_)), is_udp, "{text}");
            assert_ne!(address.port(), 0, "{text}");
        }
    }
}
