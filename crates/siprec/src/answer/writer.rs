//! The text of our session descriptions. What comes from the peer is single words and values that
//! were read as one line, so nothing of it can begin a line of its own.

use std::net::IpAddr;

use super::{AcceptedLine, OurLine, OurSide};
use crate::offer::{Codec, Direction, Format, OfferedLine};
use crate::sdes::{self, CryptoLine};

/// Who speaks first, and so may choose the direction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lead {
    /// The peer did: what it permits binds us.
    Answer,
    /// We do.
    Offer,
}

/// A description that grows line by line.
pub(super) struct Writer {
    pub(super) text: String,
}

impl Writer {
    /// The session's lines, with the value of `t=`.
    pub(super) fn new(side: &OurSide, timing: &str) -> Self {
        let address = match side.address.to_canonical() {
            IpAddr::V4(address) => format!("IN IP4 {address}"),
            IpAddr::V6(address) => format!("IN IP6 {address}"),
        };
        let mut writer = Self {
            text: String::new(),
        };
        writer.line("v", "0");
        let (session, version) = (side.session, side.version);
        writer.line("o", &format!("antiphon {session} {version} {address}"));
        writer.line("s", "-");
        writer.line("c", &address);
        writer.line("t", timing);
        writer
    }

    /// A line that is received.
    pub(super) fn accepted(
        &mut self,
        offered: &OfferedLine,
        accepted: &AcceptedLine,
        ours: &OurLine,
        lead: Lead,
    ) {
        let crypto = match (&accepted.crypto, &ours.crypto) {
            _ if ours.port == 0 => return self.rejected(offered),
            (None, _) => None,
            (Some(_), None) => return self.rejected(offered),
            (Some(theirs), Some(ours)) => Some(CryptoLine {
                tag: theirs.tag,
                suite: theirs.suite,
                keys: ours.keys.clone(),
            }),
        };
        self.media(&offered.media, ours.port, &offered.proto, &accepted.formats);
        if let Some(ptime) = offered.ptime {
            self.attribute("ptime", ptime);
        }
        let is_permitted = lead == Lead::Offer || accepted.permitted == Direction::RecvOnly;
        self.direction(is_permitted && ours.direction == Direction::RecvOnly);
        self.label(offered);
        if accepted.rtcp_mux {
            self.line("a", "rtcp-mux");
        }
        self.crypto(crypto.as_ref());
    }

    /// A line that is not received: port 0 and one of its formats. RFC 3264 §6.
    pub(super) fn rejected(&mut self, offered: &OfferedLine) {
        let (media, proto) = (&offered.media, &offered.proto);
        let format = offered.formats.first();
        let format = format.map_or("0", |format| format.number.as_str());
        self.line("m", &format!("{media} 0 {proto} {format}"));
        self.label(offered);
    }

    /// A line of our own offer.
    pub(super) fn offered(&mut self, label: usize, formats: &[Format], ours: &OurLine) {
        let proto = match ours.crypto {
            None => "RTP/AVP",
            Some(_) => "RTP/SAVP",
        };
        self.media("audio", ours.port, proto, formats);
        self.direction(ours.direction == Direction::RecvOnly);
        self.attribute("label", label);
        self.crypto(ours.crypto.as_ref());
    }

    /// `m=` and what its numbers mean: static ones too, for some peers look nowhere else.
    fn media(&mut self, media: &str, port: u16, proto: &str, formats: &[Format]) {
        let numbers: Vec<&str> = formats.iter().map(|format| &*format.number).collect();
        let numbers = numbers.join(" ");
        self.line("m", &format!("{media} {port} {proto} {numbers}"));
        for format in formats {
            let (number, name, rate) = (&format.number, &format.name, format.clock_rate);
            match format.channels {
                1 => self.attribute("rtpmap", format!("{number} {name}/{rate}")),
                n => self.attribute("rtpmap", format!("{number} {name}/{rate}/{n}")),
            }
            // Only what a receiver of key events says of them is ours to say.
            if let (Codec::TelephoneEvent, Some(events)) = (format.codec, &format.parameters) {
                self.attribute("fmtp", format!("{number} {events}"));
            }
        }
    }

    /// We receive or we do not; we never send.
    fn direction(&mut self, receives: bool) {
        self.line("a", if receives { "recvonly" } else { "inactive" });
    }

    fn label(&mut self, offered: &OfferedLine) {
        if let Some(label) = &offered.label {
            self.attribute("label", label);
        }
    }

    fn crypto(&mut self, crypto: Option<&CryptoLine>) {
        if let Some(crypto) = crypto {
            self.attribute("crypto", sdes::write(crypto));
        }
    }

    fn attribute(&mut self, name: &str, value: impl std::fmt::Display) {
        self.line("a", &format!("{name}:{value}"));
    }

    fn line(&mut self, kind: &str, value: &str) {
        self.text.extend([kind, "=", value, "\r\n"]);
    }
}
