//! The rules that every description of ours keeps, whatever was offered: RFC 3264 §6 and §8,
//! RFC 4568 §5.1.2, RFC 7866 §7.2. For the fuzz target and the property tests.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    AcceptedLine, Lead, LinePlan, MediaPolicy, OurLine, OurSide, SrtpPolicy, is_companion,
    is_decoded, plan, write_answer, write_reoffer,
};
use crate::offer::{self, Codec, Description, Direction, Format, OfferedLine};
use crate::sdes::{CryptoLine, Keys};

/// Plans, answers and offers again under every SRTP policy, for two lines and for one.
pub(super) fn every_policy(offer: &Description) {
    for srtp in [SrtpPolicy::Allow, SrtpPolicy::Forbid, SrtpPolicy::Require] {
        for lines_max in [1, 2] {
            let policy = MediaPolicy {
                codecs: vec![Codec::Pcmu, Codec::Pcma, Codec::L16],
                srtp,
                lines_max,
            };
            one_policy(offer, &policy);
        }
    }
}

fn one_policy(offer: &Description, policy: &MediaPolicy) {
    let plan = plan(offer, policy);
    assert_eq!(plan.len(), offer.lines.len(), "a line without a plan");
    let accepted = plan.iter().filter_map(accepted).count();
    assert!(accepted <= policy.lines_max, "more lines than are allowed");
    for (address, direction) in [
        (IpAddr::V4(Ipv4Addr::LOCALHOST), Direction::RecvOnly),
        (IpAddr::V6(Ipv6Addr::LOCALHOST), Direction::Inactive),
    ] {
        let ours = our_lines(&plan, direction);
        let side = OurSide {
            address,
            session: 1,
            version: u64::MAX,
        };
        let answer = write_answer(offer, &plan, &side, &ours);
        description(offer, &plan, &ours, &answer, Lead::Answer);
        let reoffer = write_reoffer(offer, &plan, &side, &ours);
        description(offer, &plan, &ours, &reoffer, Lead::Offer);
    }
}

/// What we wrote, read again beside what was offered.
fn description(offer: &Description, plan: &[LinePlan], ours: &[OurLine], text: &str, lead: Lead) {
    let read = offer::read(text).expect("our own description is read");
    assert_eq!(read.timing, offer.timing, "another time");
    assert_eq!(
        read.lines.len(),
        offer.lines.len(),
        "another number of lines"
    );
    for (index, (line, offered)) in read.lines.iter().zip(&offer.lines).enumerate() {
        assert_eq!(line.media, offered.media, "another medium");
        assert_eq!(line.proto, offered.proto, "another transport");
        assert_eq!(line.label, offered.label, "another label");
        assert!(!line.formats.is_empty(), "no format");
        match &plan[index] {
            LinePlan::Accepted(plan) => {
                assert!(line.address.is_some_and(|address| address.is_loopback()));
                received(line, offered, &ours[index]);
                directed(line, plan, &ours[index], lead);
                keyed(line, plan, &ours[index]);
            }
            LinePlan::Rejected(_) => assert_eq!(line.port, 0, "a rejected line has a port"),
        }
    }
}

/// Port, packet time and formats.
fn received(line: &OfferedLine, offered: &OfferedLine, ours: &OurLine) {
    assert_eq!(line.port, ours.port);
    assert_eq!(line.ptime, offered.ptime);
    assert_eq!(line.rtcp_mux, offered.rtcp_mux);
    let meaning = |format: &Format| (format.number.clone(), format.codec, format.clock_rate);
    let mut rest = offered.formats.iter();
    for format in &line.formats {
        let is_in_order = rest.any(|offered| meaning(offered) == meaning(format));
        assert!(is_in_order, "a format the offer has not, or has elsewhere");
        let codec = format.codec;
        assert!(is_decoded(codec) || is_companion(codec), "not ours");
    }
    let mut codecs = line.formats.iter().map(|format| format.codec);
    assert!(codecs.any(is_decoded), "nothing to decode");
}

/// We receive where we want to and, in an answer, where the offer permits it.
fn directed(line: &OfferedLine, plan: &AcceptedLine, ours: &OurLine, lead: Lead) {
    let is_permitted = lead == Lead::Offer || plan.permitted == Direction::RecvOnly;
    let direction = match is_permitted {
        true => ours.direction,
        false => Direction::Inactive,
    };
    assert_eq!(line.direction, direction);
}

/// SRTP with the tag and the suite of the offer and with our key, or none.
fn keyed(line: &OfferedLine, plan: &AcceptedLine, ours: &OurLine) {
    let agreed = |line: &CryptoLine| (line.tag, line.suite);
    let written: Vec<_> = line.crypto.iter().map(agreed).collect();
    let offered: Vec<_> = plan.crypto.iter().map(agreed).collect();
    assert_eq!(written, offered, "another tag or suite");
    let keys = |line: &CryptoLine| line.keys.clone();
    let written: Vec<_> = line.crypto.iter().map(keys).collect();
    assert_eq!(
        written,
        ours.crypto.iter().map(keys).collect::<Vec<_>>(),
        "not our key"
    );
}

fn accepted(plan: &LinePlan) -> Option<&AcceptedLine> {
    match plan {
        LinePlan::Accepted(accepted) => Some(accepted),
        LinePlan::Rejected(_) => None,
    }
}

/// Ports that are all different, and for each key that is taken another.
fn our_lines(plan: &[LinePlan], direction: Direction) -> Vec<OurLine> {
    let key = |theirs: &CryptoLine| CryptoLine {
        keys: vec![Keys {
            key: theirs.keys[0].key.iter().map(|byte| !byte).collect(),
            salt: theirs.keys[0].salt.clone(),
            mki: None,
        }],
        ..theirs.clone()
    };
    let line = |(port, plan): (u16, &LinePlan)| match accepted(plan) {
        None => OurLine {
            port: 0,
            direction: Direction::Inactive,
            crypto: None,
        },
        Some(accepted) => OurLine {
            port,
            direction,
            crypto: accepted.crypto.as_ref().map(key),
        },
    };
    (1..).zip(plan).map(line).collect()
}
