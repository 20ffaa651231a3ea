//! How signalling travels: datagrams, TCP or TLS, and what a bad network does to datagrams.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UdpSocket, lookup_host};

use super::message::{Message, head_end};
use crate::caller::transport::Transport as Stream;
use crate::network::{Conditions, Network};

/// The longest message that is read.
const MESSAGE_BYTES_MAX: usize = 65_535;

/// Where a recording server listens: `udp:192.0.2.1:5060`, `tcp:…`, `tls:…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// How it is reached.
    pub transport: Transport,
    /// `host:port`; for TLS the host is also the name its certificate must have.
    pub address: String,
}

/// What carries SIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// UDP.
    Udp,
}

/// One way to the recording server, for any number of dialogs.
#[derive(Debug)]
pub(super) struct Wire {
    kind: Kind,
    local: SocketAddr,
    target: SocketAddr,
    transport: Transport,
    inbound: Vec<u8>,
    /// What loses datagrams that go out, and those that come in.
    faults: [Network; 2],
}

#[derive(Debug)]
enum Kind {
    Datagrams(UdpSocket),
    Stream(Box<Stream>),
}

impl Wire {
    /// Binds a socket or connects.
    pub(super) async fn connect(
        target: &Target,
        tls: &Arc<ClientConfig>,
        loss: f64,
        seed: u64,
    ) -> io::Result<Self> {
        let peer = lookup_host(&target.address).await?.next();
        let peer = peer.ok_or_else(|| io::Error::other("the target has no address"))?;
        let (kind, local) = if target.transport == Transport::Udp {
            let socket = UdpSocket::bind((local_address(peer).await?, 0)).await?;
            let local = socket.local_addr()?;
            (Kind::Datagrams(socket), local)
        } else {
            let host = target.host();
            let tls = (target.transport == Transport::Tls).then_some((tls, host));
            let stream = Stream::connect(&peer.ip().to_string(), peer.port(), tls).await?;
            let local = stream.tcp().local_addr()?;
            (Kind::Stream(Box::new(stream)), local)
        };
        let lossy = Conditions {
            loss,
            ..Conditions::PERFECT
        };
        Ok(Self {
            kind,
            local,
            target: peer,
            transport: target.transport,
            inbound: Vec::new(),
            faults: [Network::new(seed, lossy), Network::new(!seed, lossy)],
        })
    }

    /// Our end.
    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    /// The end that was dialled.
    pub(super) fn target(&self) -> SocketAddr {
        self.target
    }

    /// What carries it.
    pub(super) fn transport(&self) -> Transport {
        self.transport
    }

    /// Sends bytes; a stream has only one place to send them to.
    pub(super) async fn send(&mut self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        match &mut self.kind {
            Kind::Datagrams(socket) => {
                if self.faults[0].send(0).is_some() {
                    socket.send_to(bytes, to).await?;
                }
                Ok(())
            }
            Kind::Stream(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    /// The next message, and where it came from. May be dropped at any time without loss.
    pub(super) async fn receive(&mut self) -> io::Result<(Message, SocketAddr)> {
        loop {
            match &mut self.kind {
                Kind::Datagrams(socket) => {
                    let mut datagram = vec![0; MESSAGE_BYTES_MAX];
                    let (length, from) = socket.recv_from(&mut datagram).await?;
                    let arrived = self.faults[1].send(0).is_some();
                    if let Some(message) = Message::parse(&datagram[..length])
                        && arrived
                    {
                        return Ok((message, from));
                    }
                }
                Kind::Stream(stream) => {
                    if let Some(message) = cut(&mut self.inbound)? {
                        return Ok((message, self.target));
                    }
                    if stream.read_buf(&mut self.inbound).await? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
            }
        }
    }
}

/// The address from which packets to that peer leave.
pub(super) async fn local_address(peer: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match peer {
        SocketAddr::V4(_) => [0; 4].into(),
        SocketAddr::V6(_) => [0; 16].into(),
    };
    let probe = UdpSocket::bind((any, 0)).await?;
    probe.connect(peer).await?;
    Ok(probe.local_addr()?.ip())
}

/// Takes one message from the front of a stream. RFC 3261 §18.3; empty lines are keep-alives.
fn cut(inbound: &mut Vec<u8>) -> io::Result<Option<Message>> {
    let blank = inbound.iter().take_while(|byte| byte.is_ascii_whitespace());
    inbound.drain(..blank.count());
    let Some((head, body)) = head_end(inbound) else {
        if inbound.len() > MESSAGE_BYTES_MAX {
            return Err(io::Error::other("a head without an end"));
        }
        return Ok(None);
    };
    let message = Message::parse(&inbound[..head]);
    let length = message
        .as_ref()
        .and_then(|message| message.header("Content-Length")?.parse().ok())
        .unwrap_or(0_usize)
        .min(MESSAGE_BYTES_MAX);
    if inbound.len() < body + length {
        return Ok(None);
    }
    let whole: Vec<u8> = inbound.drain(..body + length).collect();
    Ok(Message::parse(&whole))
}

impl Target {
    /// That address, over UDP.
    pub fn udp(address: SocketAddr) -> Self {
        Self {
            transport: Transport::Udp,
            address: address.to_string(),
        }
    }

    /// The host without its port.
    pub fn host(&self) -> &str {
        let (host, _) = self.address.rsplit_once(':').unwrap_or((&self.address, ""));
        host.trim_matches(['[', ']'])
    }
}

impl Transport {
    /// As it stands in `Via`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Udp => "UDP",
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || format!("{text} is not like udp:192.0.2.1:5060");
        let (transport, address) = text.split_once(':').ok_or_else(wanted)?;
        let transport = match transport {
            "tcp" => Transport::Tcp,
            "tls" => Transport::Tls,
            "udp" => Transport::Udp,
            _ => return Err(wanted()),
        };
        if !address.contains(':') {
            return Err(wanted());
        }
        Ok(Self {
            transport,
            address: address.to_owned(),
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = self.transport.as_str().to_ascii_lowercase();
        write!(f, "{transport}:{}", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_says_how_and_where() {
        let target: Target = "tls:[2001:db8::1]:5061".parse().unwrap();
        assert_eq!(
            (target.transport, target.host()),
            (Transport::Tls, "2001:db8::1")
        );
        assert_eq!(target.to_string(), "tls:[2001:db8::1]:5061");
        assert!("192.0.2.1:5060".parse::<Target>().is_err());
    }

    #[test]
    fn a_stream_is_cut_at_its_content_lengths() {
        let one = Message::request("OPTIONS", "sip:a").to_bytes();
        let mut two = Message::request("INFO", "sip:b");
        two.body = b"body".to_vec();
        let mut stream = [b"\r\n\r\n".to_vec(), one, two.to_bytes()].concat();
        let last = stream.pop().unwrap();
        assert_eq!(cut(&mut stream).unwrap().unwrap().method(), "OPTIONS");
        assert_eq!(cut(&mut stream).unwrap(), None);
        stream.push(last);
        assert_eq!(cut(&mut stream).unwrap().unwrap().body, b"body");
        assert!(stream.is_empty());
    }
}
