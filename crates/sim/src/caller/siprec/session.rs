//! The session description of one dialog: what we offer and answer, and what the recording server
//! said to it. RFC 3264, RFC 4568.

use std::net::{IpAddr, SocketAddr};

use super::codec::Codec;
use super::like::{Connection, Format, Hold, Shape};
use super::scene::Scene;
use super::sdp::{Direction, MediaLine, Sdp};
use super::srtp::Crypto;

/// One dialog's media and metadata.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) shape: &'static Shape,
    pub(super) scene: Scene,
    pub(super) lines: Vec<Line>,
    pub(super) codecs: Vec<Codec>,
    pub(super) address: IpAddr,
    pub(super) mux: bool,
    pub(super) hold: Option<Hold>,
    /// The newest description of the recording server's.
    pub(super) theirs: Option<Sdp>,
    /// The newest of ours.
    pub(super) ours: String,
    pub(super) id: u64,
    pub(super) version: u64,
}

/// One of our media lines.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// 0 when it is given up.
    pub(super) port: u16,
    pub(super) rtcp_port: u16,
    pub(super) label: String,
    pub(super) crypto: Option<Crypto>,
    /// Held by itself: not wanted by us at the moment.
    pub(super) idle: bool,
}

/// Where a line's packets go and what they may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) rtp: SocketAddr,
    pub(super) rtcp: SocketAddr,
    /// Whether both ends want sound to flow now.
    pub(super) open: bool,
    /// What to send sound as: the first of the answer that we can.
    pub(super) codec: Option<(Codec, u8)>,
    /// The payload number of keys.
    pub(super) events: Option<u8>,
    /// The payload number of comfort noise.
    pub(super) noise: Option<u8>,
    /// The recording server's own key.
    pub(super) crypto: Option<Crypto>,
}

impl Session {
    /// A description of ours that offers what there is now.
    pub(super) fn offer(&mut self) -> String {
        self.describe(|_| Direction::SendOnly)
    }

    /// The answer to an offer of the recording server: it may pause and resume, and no more.
    pub(super) fn answer(&mut self, offer: &Sdp) -> String {
        let takes: Vec<bool> = offer.lines.iter().map(MediaLine::takes).collect();
        let answer = self.describe(|line| match takes.get(line) {
            Some(true) => Direction::SendOnly,
            Some(false) | None => Direction::Inactive,
        });
        self.theirs = Some(offer.clone());
        answer
    }

    /// The body of a request, with its type.
    pub(super) fn body(&self, sdp: Option<&str>, metadata: bool) -> Option<(String, Vec<u8>)> {
        let metadata = self.shape.metadata.filter(|_| metadata);
        let metadata = metadata.map(|write| write(&self.scene));
        let body = &self.shape.body;
        match (sdp, metadata) {
            (None, None) => None,
            (Some(sdp), None) => Some(("application/sdp".to_owned(), sdp.as_bytes().to_vec())),
            (None, Some(xml)) => {
                let kind = body.metadata.lines().find_map(|line| {
                    let (name, value) = line.split_once(':')?;
                    name.eq_ignore_ascii_case("Content-Type").then_some(value)
                });
                Some((kind?.trim().to_owned(), xml.into_bytes()))
            }
            (Some(sdp), Some(xml)) => {
                let mut parts = vec![
                    format!("{}\r\n\r\n{sdp}", body.sdp),
                    format!("{}\r\n\r\n{xml}\r\n", body.metadata),
                ];
                if body.metadata_first {
                    parts.swap(0, 1);
                }
                parts.extend((body.more)(&self.scene).map(|part| part + "\r\n"));
                let mut text = body.preamble.to_owned();
                for part in parts {
                    text += &format!("--{}\r\n{part}", body.boundary);
                }
                text += body.close;
                let kind = format!("multipart/mixed;boundary={}", body.boundary);
                Some((kind, text.into_bytes()))
            }
        }
    }

    /// How a line's packets get there; `None` when the recording server does not take it.
    pub(super) fn route(&self, index: usize) -> Option<Route> {
        let (ours, theirs) = (self.lines.get(index)?, self.theirs.as_ref()?);
        let theirs = theirs.lines.get(index)?;
        let (rtp, rtcp) = theirs.rtp().zip(theirs.rtcp())?;
        let wanted = ours.port != 0 && !ours.idle && self.hold.is_none();
        let number = |codec: Codec| (codec, codec.number());
        let mut codecs = theirs.formats.iter().filter_map(|number| {
            let mut known = self.codecs.iter();
            known.find(|codec| codec.number() == *number)
        });
        let numbered = |encoding: &str| {
            let formats = self
                .shape
                .sdp
                .formats
                .iter()
                .flat_map(|formats| formats.iter());
            let mut same = formats.filter(|(_, map, _)| *map == encoding);
            let (number, ..) = same.next()?;
            theirs.formats.contains(number).then_some(*number)
        };
        Some(Route {
            rtp,
            rtcp,
            open: wanted && theirs.takes(),
            codec: codecs.next().copied().map(number),
            events: numbered("telephone-event/8000"),
            noise: numbered("CN/8000"),
            crypto: theirs.crypto.first().cloned(),
        })
    }

    /// Whether the recording server answered as RFC 3264 and 4568 demand; in words where not.
    pub(super) fn faults(&self) -> Vec<String> {
        let Some(theirs) = &self.theirs else {
            return vec!["there is no answer".to_owned()];
        };
        let mut faults = Vec::new();
        if theirs.lines.len() != self.lines.len() {
            let (ours, theirs) = (self.lines.len(), theirs.lines.len());
            faults.push(format!("{ours} lines were offered and {theirs} answered"));
        }
        for (index, (ours, theirs)) in self.lines.iter().zip(&theirs.lines).enumerate() {
            // A line that we gave no label may have got one.
            let same = theirs.label.as_deref() == Some(ours.label.as_str());
            if !ours.label.is_empty() && !same {
                faults.push(format!("line {index} has label {:?}", theirs.label));
            }
            if theirs.formats.is_empty() {
                faults.push(format!("line {index} has no format"));
            }
            if theirs.port == 0 {
                continue;
            }
            let key = theirs.crypto.first();
            match (&ours.crypto, key) {
                (None, None) => {}
                (Some(ours), Some(theirs))
                    if (ours.tag, ours.suite) == (theirs.tag, theirs.suite)
                        && ours.key_salt != theirs.key_salt => {}
                _ => faults.push(format!("line {index} has crypto {key:?}")),
            }
        }
        faults
    }

    fn describe(&mut self, wanted: impl Fn(usize) -> Direction) -> String {
        self.version += 1;
        let shape = &self.shape.sdp;
        let (id, version) = (self.id, self.version);
        let ip =
            |address: IpAddr| format!("IN IP{} {address}", if address.is_ipv4() { 4 } else { 6 });
        let mut sdp = format!(
            "v=0\r\no={} {id} {version} {}\r\ns={}\r\n",
            shape.origin,
            ip(self.address),
            shape.name
        );
        let zero = self.hold == Some(Hold::ZeroAddress);
        let connection = if zero { [0; 4].into() } else { self.address };
        let connection = format!("c={}\r\n", ip(connection));
        if shape.connection != Connection::Media {
            sdp += &connection;
        }
        sdp += "t=0 0\r\n";
        for (index, line) in self.lines.iter().enumerate() {
            sdp += &self.line(line);
            if shape.connection != Connection::Session {
                sdp += &connection;
            }
            sdp += &self.attributes(line);
            let held = line.idle || self.hold == Some(Hold::Inactive);
            let direction = if held || line.port == 0 {
                Direction::Inactive
            } else {
                wanted(index)
            };
            if shape.directed || held || direction == Direction::Inactive {
                sdp += &format!("a={}\r\n", direction.as_str());
            }
        }
        self.ours.clone_from(&sdp);
        sdp
    }

    fn line(&self, line: &Line) -> String {
        let profile = if line.crypto.is_some() {
            "RTP/SAVP"
        } else {
            "RTP/AVP"
        };
        let numbers = self.formats().map(|(number, ..)| number.to_string());
        let numbers: Vec<String> = numbers.collect();
        format!("m=audio {} {profile} {}\r\n", line.port, numbers.join(" "))
    }

    fn attributes(&self, line: &Line) -> String {
        let mut text = String::new();
        let mut attribute = |value: &str| text += &format!("a={value}\r\n");
        for (number, map, parameters) in self.formats() {
            if !map.is_empty() && (self.shape.sdp.mapped || number >= 96) {
                attribute(&format!("rtpmap:{number} {map}"));
            }
            if !parameters.is_empty() {
                attribute(&format!("fmtp:{number} {parameters}"));
            }
        }
        if !line.label.is_empty() {
            attribute(&format!("label:{}", line.label));
        }
        if let Some(crypto) = &line.crypto {
            attribute(&format!("crypto:{}", crypto.line()));
        }
        if self.mux {
            attribute("rtcp-mux");
        } else if line.rtcp_port != line.port.wrapping_add(1) {
            attribute(&format!("rtcp:{}", line.rtcp_port));
        }
        for value in self.shape.sdp.attributes {
            attribute(value);
        }
        text
    }

    fn formats(&self) -> impl Iterator<Item = Format> {
        let [before, behind] = self.shape.sdp.formats;
        let codecs = self.codecs.iter();
        let codecs = codecs.map(|codec| (codec.number(), codec.map(), ""));
        before
            .iter()
            .copied()
            .chain(codecs)
            .chain(behind.iter().copied())
    }
}
