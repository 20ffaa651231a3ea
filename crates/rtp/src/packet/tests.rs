//! RTP packets as they come in from the wire.

use proptest::prelude::*;

use super::*;

const PLAIN: [u8; 16] = [
    0x80, 0x80, 0xff, 0xfe, 0, 0, 1, 0, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4,
];

#[test]
fn the_fields_of_a_packet_are_those_of_its_header() {
    let packet = parse(&PLAIN).unwrap();
    let expected = Packet {
        payload_type: 0,
        sequence: 0xfffe,
        timestamp: 256,
        ssrc: 0xdead_beef,
        marker: true,
        payload: &[1, 2, 3, 4],
    };
    assert_eq!(packet, expected);
    assert_eq!(packet.header().payload_len, 4);
}

#[test]
fn contributing_sources_extension_and_padding_are_no_payload() {
    let mut bytes = PLAIN[..12].to_vec();
    bytes[0] = 0xb1;
    bytes.extend([0; 4]);
    bytes.extend([0xbe, 0xde, 0, 1, 0x10, 7, 0, 0]);
    bytes.extend([9, 9, 0, 0, 3]);
    assert_eq!(parse(&bytes).unwrap().payload, [9, 9]);
}

#[test]
fn a_packet_without_payload_is_one() {
    assert!(parse(&PLAIN[..12]).unwrap().payload.is_empty());
}

#[test]
fn what_is_shorter_than_it_says_is_no_packet() {
    let extended = [&[0x90], &PLAIN[1..12], &[0xbe, 0xde, 0, 9]].concat();
    let padded = [&[0xa0], &PLAIN[1..15], &[5]].concat();
    let unpadded = [&[0xa0], &PLAIN[1..15], &[0]].concat();
    let sip = b"OPTIONS sip:ping SIP/2.0\r\n\r\n".to_vec();
    for bytes in [
        vec![],
        PLAIN[..11].to_vec(),
        extended,
        padded,
        unpadded,
        sip,
    ] {
        assert_eq!(parse(&bytes), Err(NotRtp));
    }
}

#[test]
fn rtcp_is_told_by_its_second_byte() {
    let told = |second: u8| is_rtcp(&[0x80, second, 0, 0]);
    assert!(told(200) && told(204) && told(192) && told(223));
    assert!(!told(0) && !told(0x80) && !told(0x80 | 101) && !told(224) && !told(191));
    assert!(!is_rtcp(&[0x80, 200]) && !is_rtcp(&[0x00, 200, 0, 0]));
}

proptest! {
    #[test]
    fn whatever_comes_in_is_read_within_its_bounds(
        first in 0x80_u8..0xc0,
        mut data in prop::collection::vec(any::<u8>(), 1..120),
    ) {
        data[0] = first;
        fuzz(&data);
    }
}
