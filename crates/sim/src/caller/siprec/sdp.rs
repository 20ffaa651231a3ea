//! The recording server's SDP, read by whoever wants to know what it said. RFC 4566, RFC 3264.

use std::net::{IpAddr, SocketAddr};

use super::srtp::Crypto;

/// A session description as far as a client cares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sdp {
    /// The value of `o=`.
    pub origin: String,
    /// The value of `t=`.
    pub times: String,
    /// One for each `m=`, in order.
    pub lines: Vec<MediaLine>,
}

/// One `m=` and what belongs to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaLine {
    /// `audio`
    pub kind: String,
    /// 0 where it was refused.
    pub port: u16,
    /// `RTP/AVP`
    pub profile: String,
    /// Payload numbers in order of preference.
    pub formats: Vec<u8>,
    /// Where media goes: of the line, or of the session.
    pub address: Option<IpAddr>,
    /// Where RTCP goes, when it is said.
    pub rtcp_port: Option<u16>,
    /// RTP and RTCP on one port.
    pub mux: bool,
    /// As the writer of the description sees it.
    pub direction: Direction,
    /// `a=label`
    pub label: Option<String>,
    /// `a=rtpmap`, number and encoding.
    pub maps: Vec<(u8, String)>,
    /// `a=crypto` lines that can be understood.
    pub crypto: Vec<Crypto>,
    /// All attributes as they were written.
    pub attributes: Vec<String>,
}

/// Which way media flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// `inactive`
    Inactive,
    /// `recvonly`
    RecvOnly,
    /// `sendonly`
    SendOnly,
    /// `sendrecv`, also when nothing is said.
    #[default]
    SendRecv,
}

impl Sdp {
    /// Reads a description; what cannot be understood is passed over.
    pub fn parse(text: &str) -> Self {
        let mut sdp = Self::default();
        let mut address = None;
        let mut direction = Direction::default();
        for line in text.lines() {
            let Some((kind, value)) = line.trim_end().split_once('=') else {
                continue;
            };
            match (kind, sdp.lines.last_mut()) {
                ("m", _) => sdp.lines.push(MediaLine {
                    address,
                    direction,
                    ..MediaLine::parse(value)
                }),
                ("c", Some(line)) => line.address = connection(value),
                ("c", None) => address = connection(value),
                ("a", Some(line)) => line.attribute(value),
                ("a", None) => direction = Direction::parse(value).unwrap_or(direction),
                ("o", None) => value.clone_into(&mut sdp.origin),
                ("t", None) => value.clone_into(&mut sdp.times),
                _ => {}
            }
        }
        sdp
    }
}

impl MediaLine {
    /// Where RTP goes; `None` for a line that was refused or has no address.
    pub fn rtp(&self) -> Option<SocketAddr> {
        (self.port != 0).then_some(SocketAddr::new(self.address?, self.port))
    }

    /// Where RTCP goes. RFC 3605, RFC 5761.
    pub fn rtcp(&self) -> Option<SocketAddr> {
        let mut rtcp = self.rtp()?;
        if !self.mux {
            let next = self.port.checked_add(1);
            rtcp.set_port(self.rtcp_port.or(next)?);
        }
        Some(rtcp)
    }

    /// Whether whoever wrote it takes sound.
    pub fn takes(&self) -> bool {
        let open = matches!(self.direction, Direction::RecvOnly | Direction::SendRecv);
        let held = self.address.is_none_or(|address| address.is_unspecified());
        self.port != 0 && open && !held
    }

    /// The payload number with this encoding, such as `telephone-event/8000`.
    pub fn number(&self, encoding: &str) -> Option<u8> {
        let same = |(_, map): &&(u8, String)| map.eq_ignore_ascii_case(encoding);
        self.maps.iter().find(same).map(|(number, _)| *number)
    }

    fn parse(value: &str) -> Self {
        let mut words = value.split_whitespace();
        let mut word = || words.next().unwrap_or("").to_owned();
        let (kind, port, profile) = (word(), word(), word());
        Self {
            kind,
            port: port.parse().unwrap_or(0),
            profile,
            formats: words.filter_map(|number| number.parse().ok()).collect(),
            ..Self::default()
        }
    }

    fn attribute(&mut self, text: &str) {
        self.attributes.push(text.to_owned());
        let (name, value) = text.split_once(':').unwrap_or((text, ""));
        match name {
            "crypto" => self.crypto.extend(Crypto::parse(value)),
            "label" => self.label = Some(value.to_owned()),
            "rtcp" => self.rtcp_port = value.split(' ').next().and_then(|port| port.parse().ok()),
            "rtcp-mux" => self.mux = true,
            "rtpmap" => {
                if let Some((number, map)) = value.split_once(' ')
                    && let Ok(number) = number.parse()
                {
                    self.maps.push((number, map.trim().to_owned()));
                }
            }
            _ => self.direction = Direction::parse(name).unwrap_or(self.direction),
        }
    }
}

impl Direction {
    /// The attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::RecvOnly => "recvonly",
            Self::SendOnly => "sendonly",
            Self::SendRecv => "sendrecv",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [
            Self::Inactive,
            Self::RecvOnly,
            Self::SendOnly,
            Self::SendRecv,
        ]
        .into_iter()
        .find(|direction| direction.as_str() == text)
    }
}

fn connection(value: &str) -> Option<IpAddr> {
    value
        .split_whitespace()
        .nth(2)?
        .split('/')
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_answer_says_where_what_and_which_way() {
        let sdp = Sdp::parse(
            "v=0\r\no=srs 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
             a=recvonly\r\nm=audio 20000 RTP/AVP 0 101\r\na=label:1\r\n\
             a=rtpmap:101 telephone-event/8000\r\na=rtcp:30001\r\n\
             m=audio 20002 RTP/SAVP 8\r\nc=IN IP4 0.0.0.0\r\na=rtcp-mux\r\n\
             m=audio 0 RTP/AVP 18\r\na=inactive\r\n",
        );
        let [first, second, third] = &sdp.lines[..] else {
            panic!("{sdp:?}");
        };
        assert_eq!(first.rtp(), Some(([192, 0, 2, 1], 20_000).into()));
        assert_eq!(first.rtcp(), Some(([192, 0, 2, 1], 30_001).into()));
        assert_eq!(
            (first.takes(), second.takes(), third.takes()),
            (true, false, false)
        );
        assert_eq!(first.number("telephone-event/8000"), Some(101));
        assert_eq!(second.rtcp().map(|rtcp| rtcp.port()), Some(20_002));
        assert_eq!((third.rtp(), third.direction), (None, Direction::Inactive));
    }

    proptest! {
        #[test]
        fn arbitrary_text_does_not_panic(text in "([mcao]=[ -~]{0,40}\r?\n){0,12}") {
            for line in Sdp::parse(&text).lines {
                line.rtcp();
                line.takes();
            }
        }
    }
}
