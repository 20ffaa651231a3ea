//! One media line's sockets and what has gone through them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use sha2::{Digest, Sha256};
use tokio::net::UdpSocket;

use super::Side;
use super::codec::Codec;
use super::rtcp::Reports;
use super::rtp::Source;
use super::srtp::{Context, Crypto};
use crate::network::Network;

/// How often a pair of free ports is looked for.
const PAIR_TRIES: usize = 64;
/// The longest packet that is looked at.
const PACKET_BYTES_MAX: usize = 2048;

/// What one line has sent.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// RTP packets, those the network lost included.
    pub packets: u64,
    /// Samples of sound in them.
    pub samples: u64,
    /// Every byte of sound in the order in which it was said, when `Options::tape` is on.
    pub tape: Vec<u8>,
    /// Where on the media clock each packet of the tape begins, in samples.
    pub positions: Vec<u64>,
    /// The stretches of the tape that the network lost, in samples.
    pub lost: Vec<Range<u64>>,
    /// Packets that the network delivered twice.
    pub duplicates: u64,
    /// What the tape is coded in.
    pub codec: Option<Codec>,
}

/// The sockets of one line.
#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) rtp: UdpSocket,
    /// `None`: on the same port.
    pub(super) rtcp: Option<UdpSocket>,
}

/// One media line.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) sockets: Sockets,
    /// Which of the call's dialogs it belongs to, and which line of it it is.
    pub(super) place: (usize, usize),
    /// Whose voices it carries.
    pub(super) sides: Vec<Side>,
    pub(super) source: Source,
    pub(super) keys: Option<Context>,
    /// The recording server's key and what opens its packets.
    pub(super) opener: Option<(Crypto, Context)>,
    pub(super) network: Network,
    pub(super) sent: Sent,
    pub(super) reports: Reports,
    /// RTP that came to where none is expected.
    pub(super) heard: u64,
    /// When on the media clock the next sender report is due, in samples.
    pub(super) report_at: u64,
}

impl Sent {
    /// The samples a service must hear of the tape.
    pub fn heard(&self) -> Vec<i16> {
        self.codec
            .map_or_else(Vec::new, |codec| codec.decode(&self.tape))
    }

    /// The same as little-endian L16, as it goes to a service.
    pub fn l16(&self) -> Vec<u8> {
        let samples = self.heard();
        samples
            .iter()
            .flat_map(|sample| sample.to_le_bytes())
            .collect()
    }

    /// The SHA-256 of [`Sent::l16`] in hexadecimal.
    pub fn sha256(&self) -> String {
        let digest = Sha256::digest(self.l16());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Sockets {
    /// An even port and, unless they share one, the odd one above it. RFC 3550 §11.
    pub(super) async fn bind(address: IpAddr, mux: bool) -> io::Result<Self> {
        let mut last = io::ErrorKind::AddrNotAvailable.into();
        for _ in 0..PAIR_TRIES {
            let rtp = UdpSocket::bind((address, 0)).await?;
            let port = rtp.local_addr()?.port();
            if mux {
                return Ok(Self { rtp, rtcp: None });
            }
            if port % 2 == 1 {
                continue;
            }
            match UdpSocket::bind((address, port + 1)).await {
                Ok(rtcp) => {
                    return Ok(Self {
                        rtp,
                        rtcp: Some(rtcp),
                    });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// RTP's port and RTCP's.
    pub(super) fn ports(&self) -> io::Result<[u16; 2]> {
        let rtp = self.rtp.local_addr()?.port();
        let rtcp = self.rtcp.as_ref().map(UdpSocket::local_addr).transpose()?;
        Ok([rtp, rtcp.map_or(rtp, |rtcp| rtcp.port())])
    }
}

impl Outlet {
    /// Sends RTCP, sealed when there are keys.
    pub(super) async fn control(&mut self, mut packet: Vec<u8>, to: SocketAddr) -> io::Result<()> {
        if let Some(keys) = &mut self.keys {
            keys.protect_control(&mut packet);
        }
        let socket = self.sockets.rtcp.as_ref().unwrap_or(&self.sockets.rtp);
        socket.send_to(&packet, to).await?;
        Ok(())
    }

    /// Takes what has come in, without waiting.
    pub(super) fn listen(&mut self, key: Option<&Crypto>) {
        if self.opener.as_ref().map(|(crypto, _)| crypto) != key {
            self.opener = key.map(|crypto| (crypto.clone(), Context::new(crypto)));
        }
        let mut packet = [0; PACKET_BYTES_MAX];
        while let Ok((length, _)) = self.sockets.rtp.try_recv_from(&mut packet) {
            // RFC 5761 §4: these second bytes are RTCP's.
            if self.sockets.rtcp.is_none() && (192..=223).contains(&packet[1]) {
                self.hear(&packet[..length]);
            } else {
                self.heard += 1;
            }
        }
        while let Some(Ok((length, _))) = self
            .sockets
            .rtcp
            .as_ref()
            .map(|socket| socket.try_recv_from(&mut packet))
        {
            self.hear(&packet[..length]);
        }
    }

    fn hear(&mut self, packet: &[u8]) {
        match &self.opener {
            None => self.reports.hear(packet, self.source.ssrc),
            Some((_, opener)) => match opener.open_control(packet) {
                Some(plain) => self.reports.hear(&plain, self.source.ssrc),
                None => self.reports.bad += 1,
            },
        }
    }
}
