//! Offers in the shapes that SBCs send.

use super::*;
use crate::offer::Direction::{Inactive, SendOnly, SendRecv};

struct Expected {
    name: &'static str,
    offer: &'static str,
    labels: &'static [&'static str],
    direction: Direction,
    address: &'static str,
    codecs: &'static [Codec],
}

macro_rules! offer {
    ($name:literal, $labels:expr, $direction:expr, $address:literal, $codecs:expr) => {
        Expected {
            name: $name,
            offer: include_str!(concat!("../../../tests/sdp/", $name, ".sdp")),
            labels: &$labels,
            direction: $direction,
            address: $address,
            codecs: &$codecs,
        }
    };
}

const EXPECTED: &[Expected] = {
    use Codec::{ComfortNoise, G729, Other, Pcma, Pcmu, TelephoneEvent};
    &[
        offer!(
            "oracle",
            ["33554433", "33554434"],
            SendOnly,
            "192.0.2.40",
            [Pcmu]
        ),
        offer!(
            "oracle-g729-first",
            ["369600001", "369600002"],
            SendOnly,
            "192.0.2.40",
            [G729, Pcmu, Other, TelephoneEvent]
        ),
        offer!(
            "cube",
            ["1", "2"],
            SendOnly,
            "198.51.100.21",
            [Pcmu, TelephoneEvent, ComfortNoise]
        ),
        offer!(
            "cube-inactive",
            ["1", "2"],
            Inactive,
            "198.51.100.21",
            [Pcmu, TelephoneEvent]
        ),
        offer!(
            "avaya",
            ["20", "10"],
            SendOnly,
            "203.0.113.7",
            [G729, Pcmu, Pcma, TelephoneEvent]
        ),
        offer!(
            "audiocodes-srtp",
            ["1", "2"],
            SendOnly,
            "192.0.2.77",
            [Pcmu, Pcma, Other, TelephoneEvent]
        ),
        offer!("ribbon", ["1", "2"], SendOnly, "198.51.100.61", [Pcmu]),
        offer!(
            "metaswitch-hold",
            ["1"],
            SendRecv,
            "0.0.0.0",
            [G729, Pcmu, Pcma]
        ),
        offer!(
            "broadworks",
            ["1", "2"],
            SendOnly,
            "203.0.113.15",
            [Other, TelephoneEvent, Pcmu, Pcma, Other, TelephoneEvent]
        ),
        offer!(
            "opensips",
            ["0", "1"],
            SendOnly,
            "192.0.2.130",
            [Pcma, Pcmu, TelephoneEvent]
        ),
        offer!(
            "sems",
            ["a_leg", "b_leg"],
            SendOnly,
            "198.51.100.131",
            [Pcma]
        ),
    ]
};

#[test]
fn the_offers_of_sbcs_are_read() {
    for expected in EXPECTED {
        let name = expected.name;
        let read = read_text(expected.offer);
        let labels: Vec<_> = read
            .lines
            .iter()
            .map(|line| line.label.as_deref())
            .collect();
        let named: Vec<_> = expected.labels.iter().copied().map(Some).collect();
        assert_eq!(labels, named, "{name}");
        for line in &read.lines {
            assert_eq!(line.direction, expected.direction, "{name}");
            assert_eq!(line.address, ip(expected.address), "{name}");
            assert_eq!(line.is_held, expected.address == "0.0.0.0", "{name}");
        }
        let formats = &read.lines[0].formats;
        let codecs: Vec<_> = formats.iter().map(|format| format.codec).collect();
        assert_eq!(codecs, expected.codecs, "{name}");
    }
}

#[test]
fn the_offers_of_sbcs_are_read_the_same_with_any_line_end() {
    for expected in EXPECTED {
        let with_crlf = expected.offer.replace('\n', "\r\n");
        assert_eq!(
            read_text(&with_crlf),
            read_text(expected.offer),
            "{}",
            expected.name
        );
    }
}

#[test]
fn the_offers_of_sbcs_are_answered_by_every_rule() {
    for expected in EXPECTED {
        fuzz(expected.offer.as_bytes());
    }
}

#[test]
fn an_rtcp_address_of_its_own_is_read() {
    let opensips = EXPECTED
        .iter()
        .find(|expected| expected.name == "opensips")
        .unwrap();
    let rtcp = read_text(opensips.offer).lines[0].rtcp;
    assert_eq!(rtcp, Some((60652, ip("192.0.2.131"))));
}
