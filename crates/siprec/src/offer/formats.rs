//! What a payload number means: RFC 3551 §6 for the static ones, `a=rtpmap` for all.

use super::{Codec, Format};

/// Encodings that need no `a=rtpmap`: number, name, Hz, channels. 19 was comfort noise before
/// RFC 3551 and still is for some gateways.
const STATIC: [(u8, &str, u32, u32); 18] = [
    (0, "PCMU", 8000, 1),
    (3, "GSM", 8000, 1),
    (4, "G723", 8000, 1),
    (5, "DVI4", 8000, 1),
    (6, "DVI4", 16000, 1),
    (7, "LPC", 8000, 1),
    (8, "PCMA", 8000, 1),
    (9, "G722", 8000, 1),
    (10, "L16", 44100, 2),
    (11, "L16", 44100, 1),
    (12, "QCELP", 8000, 1),
    (13, "CN", 8000, 1),
    (14, "MPA", 90000, 1),
    (15, "G728", 8000, 1),
    (16, "DVI4", 11025, 1),
    (17, "DVI4", 22050, 1),
    (18, "G729", 8000, 1),
    (19, "CN", 8000, 1),
];

/// Hz of what nobody described.
const CLOCK_RATE_DEFAULT: u32 = 8000;

impl Format {
    /// As the `m=` line names it, with the meaning of a static number.
    pub(super) fn new(number: &str) -> Self {
        let known = STATIC
            .iter()
            .find(|(known, ..)| payload_number(number) == Some(*known));
        let (name, clock_rate, channels) = match known {
            Some(&(_, name, clock_rate, channels)) => (name, clock_rate, channels),
            None => ("", CLOCK_RATE_DEFAULT, 1),
        };
        let format = Self {
            number: number.to_owned(),
            codec: Codec::Other,
            name: String::new(),
            clock_rate: 0,
            channels: 0,
            parameters: None,
        };
        format.named(name, clock_rate, channels)
    }

    /// As an `a=rtpmap` describes it.
    pub(super) fn named(self, name: &str, clock_rate: u32, channels: u32) -> Self {
        Self {
            codec: codec(name, clock_rate, channels),
            name: name.to_owned(),
            clock_rate,
            channels,
            ..self
        }
    }
}

/// A payload number as one writes it: `8`, not `08`.
pub(super) fn payload_number(text: &str) -> Option<u8> {
    let number = text.parse::<u8>().ok().filter(|number| *number < 128)?;
    (number.to_string() == text).then_some(number)
}

/// A sound codec is named only in the form that is decoded, comfort noise only on the clock of such
/// a codec: PCMU at 16 kHz is something else.
fn codec(name: &str, clock_rate: u32, channels: u32) -> Codec {
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    match (clock_rate, channels) {
        _ if is("telephone-event") => Codec::TelephoneEvent,
        (8000, 1) if is("CN") => Codec::ComfortNoise,
        (8000, 1) if is("G729") || is("G729A") || is("G729B") || is("G729AB") => Codec::G729,
        (8000, 1) if is("L16") => Codec::L16,
        (8000, 1) if is("PCMA") => Codec::Pcma,
        (8000, 1) if is("PCMU") => Codec::Pcmu,
        _ => Codec::Other,
    }
}
