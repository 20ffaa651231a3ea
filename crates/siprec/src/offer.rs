//! An SDP offer or answer of the other side, read. The only file that names webrtc-sdp.
//!
//! RFC 8866, RFC 3264, RFC 3605, RFC 4568. Lines of media we do not know keep their place, and what
//! we cannot read, but for `m=`, is as if it were missing. Of what may be said once, the first
//! counts.
//!
//! webrtc-sdp is given one line at a time and only those we want: over whole descriptions it logs
//! lines it does not know (`a=crypto` with its key), gives the attributes of media it does not know
//! to the line before, refuses much that is harmless, and takes quadratic time.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use webrtc_sdp::attribute_type::{SdpAttribute, SdpAttributeRtpmap};
use webrtc_sdp::{SdpType, parse_sdp_line};

use crate::sdes::{self, CryptoLine};

mod formats;
#[cfg(test)]
pub(crate) mod generate;
mod lines;

use lines::{Line, Section};

/// The largest description that is read.
pub const BYTES_MAX: usize = 16 * 1024;

/// The most lines that are read, blank ones not counted.
pub const LINES_MAX: usize = 400;

/// What a peer's session description says that concerns us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// `o=` session id and version, as text: some are no numbers. Empty where they are missing.
    pub origin: (String, String),
    /// The value of the first `t=`, echoed in the answer; `0 0` where none can be read.
    pub timing: String,
    /// Every `m=`, in order.
    pub lines: Vec<OfferedLine>,
}

/// One `m=` and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedLine {
    /// `audio`, `video`, `image`, … as written.
    pub media: String,
    /// 0: the line is rejected or removed.
    pub port: u16,
    /// The profile, as written: `RTP/AVP`.
    pub proto: String,
    /// The formats as written, in the order of preference, each once.
    pub formats: Vec<Format>,
    /// `sendrecv` where nothing is said.
    pub direction: Direction,
    /// `c=` of the line or of the session. `None`: a name, or missing.
    pub address: Option<IpAddr>,
    /// `c=` is 0.0.0.0 or ::, the hold of RFC 2543.
    pub is_held: bool,
    /// `a=label`
    pub label: Option<String>,
    /// `a=rtcp`: port and perhaps address.
    pub rtcp: Option<(u16, Option<IpAddr>)>,
    /// `a=rtcp-mux`
    pub rtcp_mux: bool,
    /// `a=ptime`, in milliseconds.
    pub ptime: Option<u32>,
    /// `a=crypto`, in order; unreadable ones are left out.
    pub crypto: Vec<CryptoLine>,
}

/// One format of an `m=` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// As it stands in the `m=` line.
    pub number: String,
    /// What it is; static numbers need no rtpmap. RFC 3551 §6.
    pub codec: Codec,
    /// The encoding's name as written, or its static name; empty if nobody said.
    pub name: String,
    /// Hz; 8000 if nobody said.
    pub clock_rate: u32,
    /// Channels; 1 if nobody said.
    pub channels: u32,
    /// `a=fmtp`, as written.
    pub parameters: Option<String>,
}

/// Encodings we know by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// RFC 3389 at 8000 Hz; number 13, formerly 19, or by rtpmap.
    ComfortNoise,
    /// Known, not decoded.
    G729,
    /// Big-endian on the wire; only at 8000 Hz, one channel.
    L16,
    /// Anything else.
    Other,
    /// G.711 A-law; only at 8000 Hz, one channel.
    Pcma,
    /// G.711 µ-law; only at 8000 Hz, one channel.
    Pcmu,
    /// RFC 4733.
    TelephoneEvent,
}

/// RFC 3264 §5.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// `inactive`
    Inactive,
    /// `recvonly`
    RecvOnly,
    /// `sendonly`
    SendOnly,
    /// `sendrecv`
    SendRecv,
}

/// Why a session description cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDescription {
    /// It is larger than we read.
    #[error("the session description is larger than {0} bytes or has more lines than we read")]
    TooLarge(usize),
    /// It cannot be read; names the line or what is missing.
    #[error("the session description cannot be read: {0}")]
    Unreadable(String),
    /// It has no `m=` line.
    #[error("the session description has no media line")]
    NoMedia,
}

/// Reads a session description of at most [`BYTES_MAX`] and [`LINES_MAX`].
pub fn parse(body: &[u8]) -> Result<Description, BadDescription> {
    if body.len() > BYTES_MAX {
        return Err(BadDescription::TooLarge(BYTES_MAX));
    }
    let text = lines::clean(body);
    if lines::count(&text) > LINES_MAX {
        return Err(BadDescription::TooLarge(BYTES_MAX));
    }
    read(&text)
}

/// The body of the fuzz target: whatever is read can be answered, and the answer keeps the rules.
pub fn fuzz(data: &[u8]) {
    if let Ok(offer) = parse(data) {
        crate::answer::fuzz(&offer);
    }
}

/// Reads a description of any size.
pub(crate) fn read(text: &str) -> Result<Description, BadDescription> {
    let (session, sections) = lines::sections(text)?;
    if sections.is_empty() {
        return Err(BadDescription::NoMedia);
    }
    let session = Said::by(&session);
    let line = |section: &Section<'_>| offered(section, &session);
    Ok(Description {
        lines: sections.iter().map(line).collect(),
        origin: session.origin.unwrap_or_default(),
        timing: session.timing.unwrap_or_else(|| "0 0".to_owned()),
    })
}

fn offered(section: &Section<'_>, session: &Said) -> OfferedLine {
    let said = Said::by(&section.lines);
    let address = said.connection.or(session.connection).flatten();
    OfferedLine {
        media: section.media.to_owned(),
        port: section.port,
        proto: section.proto.to_owned(),
        formats: said.formats(section.formats),
        direction: said
            .direction
            .or(session.direction)
            .unwrap_or(Direction::SendRecv),
        address,
        is_held: address.is_some_and(|address| address.is_unspecified()),
        label: said.label,
        rtcp: said.rtcp,
        rtcp_mux: said.rtcp_mux,
        ptime: said.ptime,
        crypto: said.crypto,
    }
}

/// What the lines of one section, or those before the first, say.
#[derive(Default)]
struct Said {
    /// `Some(None)`: there is a `c=`, but it gives no address.
    connection: Option<Option<IpAddr>>,
    crypto: Vec<CryptoLine>,
    direction: Option<Direction>,
    label: Option<String>,
    origin: Option<(String, String)>,
    /// `a=fmtp`, by the format as written.
    parameters: HashMap<String, String>,
    ptime: Option<u32>,
    rtcp: Option<(u16, Option<IpAddr>)>,
    rtcp_mux: bool,
    rtpmaps: HashMap<u8, SdpAttributeRtpmap>,
    timing: Option<String>,
}

impl Said {
    fn by(lines: &[Line<'_>]) -> Self {
        let mut said = Self::default();
        for line in lines {
            said.hear(line);
        }
        said
    }

    fn hear(&mut self, line: &Line<'_>) {
        let value = line.value;
        let mut words = value.split_whitespace();
        match line.kind {
            b'a' => {
                let (name, value) = value.split_once(':').unwrap_or((value, ""));
                self.hear_attribute(name.trim().to_ascii_lowercase().as_str(), value.trim());
            }
            b'c' => {
                self.connection.get_or_insert_with(|| address(value));
            }
            b'o' => {
                let mut text = |nth| words.nth(nth).unwrap_or_default().to_owned();
                self.origin.get_or_insert_with(|| (text(1), text(0)));
            }
            b't' => {
                let read = parse_sdp_line(&format!("t={value}"), 0).map(|line| line.sdp_type);
                if let Ok(SdpType::Timing(timing)) = read {
                    self.timing.get_or_insert_with(|| timing.to_string());
                }
            }
            _ => {}
        }
    }

    /// The list of attributes that concern us. No other reaches webrtc-sdp, and no key does.
    fn hear_attribute(&mut self, name: &str, value: &str) {
        match name {
            "crypto" => self.crypto.extend(sdes::parse(value)),
            "fmtp" => {
                let (format, parameters) = lines::word(value);
                let known = self.parameters.entry(format.to_owned());
                known.or_insert_with(|| parameters.trim().to_owned());
            }
            // A value is not allowed here, and says nothing.
            "inactive" | "recvonly" | "rtcp-mux" | "sendonly" | "sendrecv" => self.take(name),
            "label" => self.take(&format!("label:{value}")),
            // Some write fractions: `20.0`.
            "ptime" => {
                let (whole, _fraction) = value.split_once('.').unwrap_or((value, ""));
                self.take(&format!("ptime:{whole}"));
            }
            "rtcp" if self.rtcp.is_none() => {
                let (port, connection) = lines::word(value);
                self.take(&format!("rtcp:{port}"));
                self.rtcp = self.rtcp.map(|(port, _)| (port, address(connection)));
            }
            // Some leave the clock out: `101 telephone-event`.
            "rtpmap" if value.contains('/') => self.take(&format!("rtpmap:{value}")),
            "rtpmap" => self.take(&format!("rtpmap:{value}/8000")),
            _ => {}
        }
    }

    /// Has one attribute read by webrtc-sdp; what it cannot read is left out.
    fn take(&mut self, attribute: &str) {
        match attribute.parse() {
            Ok(SdpAttribute::Inactive) => self.direct(Direction::Inactive),
            Ok(SdpAttribute::Recvonly) => self.direct(Direction::RecvOnly),
            Ok(SdpAttribute::Sendonly) => self.direct(Direction::SendOnly),
            Ok(SdpAttribute::Sendrecv) => self.direct(Direction::SendRecv),
            Ok(SdpAttribute::Label(label)) => self.label = self.label.take().or(Some(label)),
            Ok(SdpAttribute::Ptime(ptime)) => {
                let ptime = u32::try_from(ptime).ok().filter(|ptime| *ptime > 0);
                self.ptime = self.ptime.or(ptime);
            }
            Ok(SdpAttribute::Rtcp(rtcp)) if rtcp.port > 0 => self.rtcp = Some((rtcp.port, None)),
            Ok(SdpAttribute::RtcpMux) => self.rtcp_mux = true,
            Ok(SdpAttribute::Rtpmap(rtpmap)) => {
                self.rtpmaps.entry(rtpmap.payload_type).or_insert(rtpmap);
            }
            _ => {}
        }
    }

    fn direct(&mut self, direction: Direction) {
        self.direction.get_or_insert(direction);
    }

    /// The formats of an `m=` line with what was said of them.
    fn formats(&self, numbers: &str) -> Vec<Format> {
        let mut seen = HashSet::new();
        let unique = numbers.split_whitespace().filter(|text| seen.insert(*text));
        unique.map(|number| self.format(number)).collect()
    }

    fn format(&self, number: &str) -> Format {
        let format = Format::new(number);
        let rtpmap = formats::payload_number(number).and_then(|number| self.rtpmaps.get(&number));
        let mut format = match rtpmap {
            Some(map) => format.named(&map.codec_name, map.frequency, map.channels.unwrap_or(1)),
            None => format,
        };
        let parameters = self.parameters.get(number);
        format.parameters = parameters.filter(|text| !text.is_empty()).cloned();
        format
    }
}

/// `IN IP4 192.0.2.1/127`. Not by webrtc-sdp, which follows the URL standard: `1` is 0.0.0.1 there.
fn address(connection: &str) -> Option<IpAddr> {
    let address = connection.split_whitespace().nth(2)?;
    let (address, _ttl) = address.split_once('/').unwrap_or((address, ""));
    address.parse().ok()
}

#[cfg(test)]
mod tests;
