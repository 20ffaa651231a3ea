//! What we make of an offer, and our SDP, written by hand. RFC 3264 §6, RFC 7866 §7.2.
//!
//! A media line is never left out and never added: an answer has the lines of its offer in their
//! order, and those we cannot use are there with port 0.

use std::net::IpAddr;

use crate::offer::{Codec, Description, Direction, Format, OfferedLine};
use crate::sdes::CryptoLine;

mod check;
mod writer;

use writer::{Lead, Writer};

/// What a trunk allows on its media lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaPolicy {
    /// Decoded codecs, in the order we prefer them when we offer; an answer keeps the order of
    /// its offer.
    pub codecs: Vec<Codec>,
    /// Whether SRTP must, may or must not be used.
    pub srtp: SrtpPolicy,
    /// Most audio lines accepted in a session; more are answered with port 0.
    pub lines_max: usize,
}

/// SRTP by SDES, per trunk. The profile decides what a line is: `RTP/AVP` with `a=crypto`, the
/// best-effort SRTP of some SBCs, is a plain line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SrtpPolicy {
    /// Answered as offered.
    Allow,
    /// A SAVP line is rejected.
    Forbid,
    /// A plain line is rejected.
    Require,
}

/// What becomes of one offered line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinePlan {
    /// It is received.
    Accepted(AcceptedLine),
    /// Answered with port 0, and why.
    Rejected(LineRefusal),
}

/// A line that is received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedLine {
    /// Formats of the offer that the answer keeps, in the offer's order: what we decode, comfort
    /// noise and telephone events. With nothing to decode a line is rejected.
    pub formats: Vec<Format>,
    /// What the offer permits: `RecvOnly` or `Inactive`, before our own wish is applied. A held
    /// address (`c=0.0.0.0`) permits what its direction says: we send nothing it could stop.
    pub permitted: Direction,
    /// The crypto line of the offer that we take: the first that we can use.
    pub crypto: Option<CryptoLine>,
    /// RTCP on the RTP port.
    pub rtcp_mux: bool,
}

/// Why a line is answered with port 0. Its text goes into logs and the `Warning` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum LineRefusal {
    /// Only codecs that are not decoded; G.729 is the usual one.
    #[error("only G.729 is offered, which is not decoded")]
    OnlyG729,
    /// No format we decode.
    #[error("no codec of the line is supported")]
    NoCodec,
    /// Not audio.
    #[error("the line is not audio")]
    NotAudio,
    /// A profile we do not speak.
    #[error("the transport of the line is not RTP/AVP, AVPF, SAVP or SAVPF")]
    Transport,
    /// SAVP without a usable key.
    #[error("the line has no a=crypto that can be used")]
    NoCrypto,
    /// SRTP is required on this trunk.
    #[error("the trunk requires SRTP and the line is plain")]
    SrtpRequired,
    /// SRTP is forbidden on this trunk.
    #[error("the trunk forbids SRTP")]
    SrtpForbidden,
    /// Offered with port 0.
    #[error("the line was offered with port 0")]
    Removed,
    /// More lines than the trunk allows.
    #[error("the session has more audio lines than are allowed")]
    TooMany,
}

/// What of our side goes into a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OurSide {
    /// Our address, as the peer shall see it.
    pub address: IpAddr,
    /// `o=` session id.
    pub session: u64,
    /// `o=` version: +1 whenever the description changes.
    pub version: u64,
}

/// One line of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OurLine {
    /// RTP port; RTCP is the next one unless muxed. 0 for a rejected line, and rejects one.
    pub port: u16,
    /// What we say: `RecvOnly` or `Inactive`.
    pub direction: Direction,
    /// Our own key under the offer's tag, when SRTP is used. Tag and suite are written as offered;
    /// a SAVP line without a key of ours is written as rejected.
    pub crypto: Option<CryptoLine>,
}

/// Decides line by line. All rejected: the INVITE is refused with 488 and the first reason that is
/// not `Removed`.
pub fn plan(offer: &Description, policy: &MediaPolicy) -> Vec<LinePlan> {
    let mut accepted = 0;
    let decide = |line| match accept(line, policy) {
        Ok(_) if accepted == policy.lines_max => LinePlan::Rejected(LineRefusal::TooMany),
        Ok(line) => {
            accepted += 1;
            LinePlan::Accepted(line)
        }
        Err(refusal) => LinePlan::Rejected(refusal),
    };
    offer.lines.iter().map(decide).collect()
}

/// The answer to `offer`: one line for each offered line, labels, `t=` and payload numbers echoed.
/// `ours` has an entry per line. A line whose offer permits only `inactive` gets no other answer.
pub fn write_answer(
    offer: &Description,
    plan: &[LinePlan],
    side: &OurSide,
    ours: &[OurLine],
) -> String {
    write_like(offer, plan, side, ours, Lead::Answer)
}

/// Our offer in the 200 to an INVITE without one (RFC 3261 §13.2.1): `lines` audio lines with
/// every codec of the policy and telephone events, labelled 1, 2, …. A line is SAVP if it has a
/// key.
pub fn write_offer(policy: &MediaPolicy, side: &OurSide, ours: &[OurLine]) -> String {
    let mut writer = Writer::new(side, "0 0");
    for (index, line) in ours.iter().enumerate() {
        writer.offered(index + 1, &formats_of(policy), line);
    }
    writer.text
}

/// Our offer in a re-INVITE: what was agreed in `offer` and `plan`, with the directions and ports
/// of `ours`. Lines that were dead stay dead.
pub fn write_reoffer(
    offer: &Description,
    plan: &[LinePlan],
    side: &OurSide,
    ours: &[OurLine],
) -> String {
    write_like(offer, plan, side, ours, Lead::Offer)
}

/// What the fuzz target of offers looks at: the rules that every description of ours keeps.
pub(crate) fn fuzz(offer: &Description) {
    check::every_policy(offer);
}

fn accept(line: &OfferedLine, policy: &MediaPolicy) -> Result<AcceptedLine, LineRefusal> {
    if line.port == 0 {
        return Err(LineRefusal::Removed);
    }
    if !line.media.eq_ignore_ascii_case("audio") {
        return Err(LineRefusal::NotAudio);
    }
    let crypto = match (is_secure(&line.proto)?, policy.srtp) {
        (false, SrtpPolicy::Require) => return Err(LineRefusal::SrtpRequired),
        (true, SrtpPolicy::Forbid) => return Err(LineRefusal::SrtpForbidden),
        (true, _) => Some(line.crypto.first().ok_or(LineRefusal::NoCrypto)?.clone()),
        (false, _) => None,
    };
    Ok(AcceptedLine {
        formats: kept(&line.formats, &policy.codecs)?,
        permitted: match line.direction {
            Direction::SendOnly | Direction::SendRecv => Direction::RecvOnly,
            Direction::Inactive | Direction::RecvOnly => Direction::Inactive,
        },
        crypto,
        rtcp_mux: line.rtcp_mux,
    })
}

/// Whether the profile is SRTP's.
fn is_secure(proto: &str) -> Result<bool, LineRefusal> {
    match proto.to_ascii_uppercase().as_str() {
        "RTP/AVP" | "RTP/AVPF" => Ok(false),
        "RTP/SAVP" | "RTP/SAVPF" => Ok(true),
        _ => Err(LineRefusal::Transport),
    }
}

/// What the answer keeps of a line's formats.
fn kept(offered: &[Format], codecs: &[Codec]) -> Result<Vec<Format>, LineRefusal> {
    let is_sound = |codec| is_decoded(codec) && codecs.contains(&codec);
    if !offered.iter().any(|format| is_sound(format.codec)) {
        return Err(refusal(offered));
    }
    let is_kept = |format: &&Format| is_sound(format.codec) || is_companion(format.codec);
    Ok(offered.iter().filter(is_kept).cloned().collect())
}

fn refusal(offered: &[Format]) -> LineRefusal {
    let codecs = offered.iter().map(|format| format.codec);
    let mut sounds = codecs.filter(|codec| !is_companion(*codec)).peekable();
    if sounds.peek().is_some() && sounds.all(|codec| codec == Codec::G729) {
        LineRefusal::OnlyG729
    } else {
        LineRefusal::NoCodec
    }
}

/// Whether a policy may have it: what is named there but not decoded is not accepted all the same.
fn is_decoded(codec: Codec) -> bool {
    matches!(codec, Codec::L16 | Codec::Pcma | Codec::Pcmu)
}

/// What may come beside sound. One known client hangs up on an answer without telephone events.
fn is_companion(codec: Codec) -> bool {
    matches!(codec, Codec::ComfortNoise | Codec::TelephoneEvent)
}

/// The formats of an offer of ours, with the usual dynamic numbers.
fn formats_of(policy: &MediaPolicy) -> Vec<Format> {
    let format = |number: &str, codec, name: &str| Format {
        number: number.to_owned(),
        codec,
        name: name.to_owned(),
        clock_rate: 8000,
        channels: 1,
        parameters: None,
    };
    let sound = |codec: &Codec| match codec {
        Codec::L16 => Some(format("96", *codec, "L16")),
        Codec::Pcma => Some(format("8", *codec, "PCMA")),
        Codec::Pcmu => Some(format("0", *codec, "PCMU")),
        Codec::ComfortNoise | Codec::G729 | Codec::Other | Codec::TelephoneEvent => None,
    };
    let events = Format {
        parameters: Some("0-16".to_owned()),
        ..format("101", Codec::TelephoneEvent, "telephone-event")
    };
    let sounds = policy.codecs.iter().filter_map(sound);
    sounds.chain([events]).collect()
}

fn write_like(
    offer: &Description,
    plan: &[LinePlan],
    side: &OurSide,
    ours: &[OurLine],
    lead: Lead,
) -> String {
    let mut writer = Writer::new(side, &offer.timing);
    for (index, line) in offer.lines.iter().enumerate() {
        match (plan.get(index), ours.get(index)) {
            (Some(LinePlan::Accepted(accepted)), Some(ours)) => {
                writer.accepted(line, accepted, ours, lead);
            }
            _ => writer.rejected(line),
        }
    }
    writer.text
}

#[cfg(test)]
mod tests;
