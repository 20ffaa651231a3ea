//! RTCP of one media line: what the peer reports, and what we report to it. RFC 3550 §6.

use std::net::SocketAddr;
use std::time::Instant;

use rtp::rtcp::{self, Item, Report};

use super::{Line, Protection};
use crate::siprec::tally::RtcpKind;

impl Line {
    /// Our report on what was received, and where to send it; `None` while nobody is known to send
    /// it to, or without a key to seal it with.
    pub(crate) fn report(&mut self, now: Instant, leaving: bool) -> Option<(SocketAddr, Vec<u8>)> {
        let to = self.reports_to()?;
        let block = self.receiver.report(self.clock.wall(now));
        let report = Report {
            ssrc: self.ssrc,
            cname: &format!("{:08x}", self.ssrc),
            blocks: block.as_slice(),
            leaving,
        };
        let plain = report.write();
        let bytes = match &mut self.protection {
            Protection::Broken => None,
            Protection::Plain => Some(plain),
            Protection::Srtp(seal) => seal.seal_rtcp(&plain),
        }?;
        self.tally.rtcp_sent += 1;
        Some((to, bytes))
    }

    /// A datagram came to the RTCP port, or RTCP to the RTP port.
    pub(crate) fn rtcp(&mut self, now: Instant, from: SocketAddr, bytes: &mut [u8]) {
        let kind = self.hear_report(now, from, bytes);
        self.tally.rtcp_received[kind as usize] += 1;
    }

    fn hear_report(&mut self, now: Instant, from: SocketAddr, bytes: &mut [u8]) -> RtcpKind {
        if !self.source.is_host(from) {
            return RtcpKind::Refused;
        }
        let opened;
        let plain = match &mut self.protection {
            Protection::Broken => return RtcpKind::Refused,
            Protection::Plain => bytes,
            Protection::Srtp(seal) => match seal.open_rtcp(now, bytes) {
                Ok(plain) => {
                    opened = plain;
                    &*opened
                }
                Err(_) => return RtcpKind::Refused,
            },
        };
        let Ok(items) = rtcp::parse(plain) else {
            return RtcpKind::Refused;
        };
        self.reports_from = Some(from);
        let wall = self.clock.wall(now);
        let mut kind = RtcpKind::Other;
        for item in items {
            match item {
                Item::Goodbye { ssrc } => {
                    self.receiver.goodbye(ssrc);
                    kind = RtcpKind::Bye;
                }
                Item::SenderReport {
                    ssrc,
                    ntp,
                    timestamp,
                } => {
                    self.receiver.sender_report(ssrc, ntp, timestamp, wall);
                    if kind == RtcpKind::Other {
                        kind = RtcpKind::SenderReport;
                    }
                }
                Item::Cname { .. } | Item::ReceiverReport { .. } => {}
            }
        }
        kind
    }

    /// Symmetric where the peer reports, else where it says, else next to where its sound is from.
    fn reports_to(&self) -> Option<SocketAddr> {
        let locked = self.source.locked();
        if self.media.rtcp_mux {
            return locked.or(self.media.remote);
        }
        let beside = |rtp: SocketAddr| {
            let port = rtp.port().checked_add(1)?;
            Some(SocketAddr::new(rtp.ip(), port))
        };
        let translated = locked.filter(|locked| Some(*locked) != self.media.remote);
        self.reports_from
            .or_else(|| translated.and_then(beside))
            .or(self.media.remote_rtcp)
            .or_else(|| locked.or(self.media.remote).and_then(beside))
            .filter(|to| !to.ip().is_unspecified())
    }
}
