//! One media line for a thread that paces many of them without a runtime.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::time::SystemTime;

use super::rtcp;
use super::rtp::Source;
use super::srtp::Context;
use super::{Side, SiprecCall};

/// A line's sockets and source. Nothing in it waits: what would is an error of kind `WouldBlock`.
#[derive(Debug)]
pub struct Unhurried {
    rtp: UdpSocket,
    rtcp: Option<UdpSocket>,
    /// Where the two go.
    peer: [SocketAddr; 2],
    source: Source,
    keys: Option<Context>,
    number: u8,
    position: u64,
    packet: Vec<u8>,
}

impl SiprecCall {
    /// Takes the media of customer and agent out of the runtime; the call keeps its dialogs and
    /// sends no sound any more.
    ///
    /// # Errors
    /// When a line has no answer, or the runtime will not part with its sockets.
    pub fn unhurried(&mut self) -> io::Result<[Unhurried; 2]> {
        let [customer, agent] = Side::BOTH.map(|side| self.line_of(side));
        let routes = [customer, agent].map(|line| self.route(line));
        let position = self.position;
        let mut taken = Vec::with_capacity(2);
        for (line, outlet) in std::mem::take(&mut self.outlets).into_iter().enumerate() {
            let at = [customer, agent].iter().position(|there| *there == line);
            let Some((at, route)) = at.and_then(|at| Some((at, routes[at].clone()?))) else {
                return Err(io::Error::other("a line without an answer"));
            };
            let (_, number) = route.codec.ok_or_else(|| io::Error::other("no codec"))?;
            let rtp = outlet.sockets.rtp.into_std()?;
            // A connected socket spares the kernel a look at its routes for each packet.
            rtp.connect(route.rtp)?;
            let rtcp = outlet.sockets.rtcp.map(tokio::net::UdpSocket::into_std);
            let line = Unhurried {
                rtp,
                rtcp: rtcp.transpose()?,
                peer: [route.rtp, route.rtcp],
                source: outlet.source,
                keys: outlet.keys,
                number,
                position,
                packet: Vec::with_capacity(256),
            };
            taken.push((at, line));
        }
        taken.sort_by_key(|(at, _)| *at);
        let taken: Vec<Unhurried> = taken.into_iter().map(|(_, line)| line).collect();
        taken
            .try_into()
            .map_err(|_| io::Error::other("a call with other lines than two"))
    }
}

impl Unhurried {
    /// Sends one packet of codes that last so many samples.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn send(&mut self, codes: &[u8], samples: u64) -> io::Result<()> {
        let header = self.source.next(self.number, self.position);
        self.position += samples;
        header.write(codes, self.keys.as_ref(), &mut self.packet);
        self.source.count(codes.len());
        self.rtp.send(&self.packet).map(|_| ())
    }

    /// Where its RTP goes.
    pub fn peer(&self) -> SocketAddr {
        self.peer[0]
    }

    /// Takes what has come in and forgets it.
    pub fn listen(&mut self) {
        let mut packet = [0; 512];
        for socket in [Some(&self.rtp), self.rtcp.as_ref()].into_iter().flatten() {
            // Errors of sockets without a listener on the other side come here too.
            while match socket.recv(&mut packet) {
                Ok(_) => true,
                Err(error) => error.kind() == ErrorKind::ConnectionRefused,
            } {}
        }
    }

    /// Sends a sender report.
    pub fn report(&mut self) {
        let now = SystemTime::now();
        let mut packet = rtcp::sender_report(&self.source, self.position, now, "load@127.0.0.1");
        if let Some(keys) = &mut self.keys {
            keys.protect_control(&mut packet);
        }
        // A report that is lost is followed by another.
        drop(match &self.rtcp {
            Some(socket) => socket.send_to(&packet, self.peer[1]),
            None => self.rtp.send(&packet),
        });
    }
}
