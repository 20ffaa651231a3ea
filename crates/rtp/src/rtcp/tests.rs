//! RTCP as it comes in, and as we send it.

use proptest::prelude::*;

use super::*;

fn sender_report(ssrc: u32) -> Vec<u8> {
    let mut bytes = vec![0x80, 200, 0, 6];
    bytes.extend(ssrc.to_be_bytes());
    bytes.extend([0xe0, 0, 0, 1, 0x80, 0, 0, 0]);
    bytes.extend(160_u32.to_be_bytes());
    bytes.extend([0; 8]);
    bytes
}

#[test]
fn a_compound_packet_says_one_thing_after_the_other() {
    let mut bytes = sender_report(7);
    bytes.extend([0x81, 202, 0, 5, 0, 0, 0, 7]);
    bytes.extend(b"\x02\x02me\x01\x06a@b.cd\x00\x00\x00\x00");
    bytes.extend([0x80, 204, 0, 2, 0, 0, 0, 7, b'n', b'a', b'm', b'e']);
    bytes.extend([0x82, 203, 0, 2, 0, 0, 0, 7, 0, 0, 0, 9]);
    let expected = [
        Item::SenderReport {
            ssrc: 7,
            ntp: 0xe000_0001_8000_0000,
            timestamp: 160,
        },
        Item::Cname {
            ssrc: 7,
            cname: b"a@b.cd",
        },
        Item::Goodbye { ssrc: 7 },
        Item::Goodbye { ssrc: 9 },
    ];
    assert_eq!(parse(&bytes).unwrap(), expected);
}

#[test]
fn a_description_of_two_sources_names_both() {
    let mut bytes = vec![0x82, 202, 0, 6];
    bytes.extend(b"\0\0\0\x01\x01\x01a\0\0\0\0\x02\x01\x05bcdef\0\0\0\0\0");
    let names = parse(&bytes).unwrap();
    let name = |ssrc, cname| Item::Cname { ssrc, cname };
    assert_eq!(names, [name(1, &b"a"[..]), name(2, &b"bcdef"[..])]);
}

#[test]
fn what_follows_a_broken_packet_is_left() {
    let mut bytes = sender_report(7);
    bytes.extend([0x80, 203, 0xff, 0xff, 0, 0, 0, 7]);
    bytes.extend(sender_report(8));
    assert_eq!(parse(&bytes).unwrap().len(), 1);
    assert_eq!(parse(&bytes[28..]), Err(NotRtcp));
    assert_eq!(parse(b""), Err(NotRtcp));
    assert_eq!(parse(&[0x80, 0, 0, 0]), Err(NotRtcp));
}

#[test]
fn padding_is_taken_off_and_padding_that_cannot_be_is_refused() {
    let mut bytes = vec![0xa1, 203, 0, 2, 0, 0, 0, 7, 0, 0, 0, 4];
    assert_eq!(parse(&bytes).unwrap(), [Item::Goodbye { ssrc: 7 }]);
    bytes[11] = 13;
    assert_eq!(parse(&bytes), Err(NotRtcp));
}

#[test]
fn a_datagram_of_goodbyes_says_only_so_much() {
    let mut bytes = Vec::new();
    for _ in 0..1000 {
        bytes.extend([0x81, 203, 0, 1, 0, 0, 0, 7]);
    }
    assert_eq!(parse(&bytes).unwrap().len(), ITEMS_MAX);
}

#[test]
fn a_report_without_blocks_is_an_empty_rr_and_a_cname() {
    let report = Report {
        ssrc: 0x0102_0304,
        cname: "srs@192.0.2.1",
        blocks: &[],
        leaving: false,
    };
    let bytes = report.write();
    assert_eq!(bytes[..8], [0x80, 201, 0, 1, 1, 2, 3, 4]);
    assert_eq!(bytes[8..16], [0x81, 202, 0, 5, 1, 2, 3, 4]);
    assert_eq!(bytes[16..18], [1, 13]);
    assert_eq!(&bytes[18..31], b"srs@192.0.2.1");
    assert_eq!(bytes[31..], [0]);
}

#[test]
fn a_block_is_written_as_the_rfc_draws_it() {
    let block = ReportBlock {
        ssrc: 0x0a0b_0c0d,
        fraction_lost: 64,
        lost: -2,
        highest: 0x0001_0002,
        jitter: 3,
        last_report: 4,
        delay: 5,
    };
    let report = Report {
        ssrc: 1,
        cname: "",
        blocks: &[block],
        leaving: true,
    };
    let bytes = report.write();
    assert_eq!(bytes[..8], [0x81, 201, 0, 7, 0, 0, 0, 1]);
    let drawn = [
        10, 11, 12, 13, 64, 0xff, 0xff, 0xfe, 0, 1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5,
    ];
    assert_eq!(bytes[8..32], drawn);
    assert_eq!(bytes[bytes.len() - 8..], [0x81, 203, 0, 1, 0, 0, 0, 1]);
}

#[test]
fn reports_are_spread_over_half_to_one_and_a_half_of_the_interval() {
    let ms = |is_first, random| interval(INTERVAL, is_first, random).as_millis();
    assert_eq!([ms(false, 0), ms(false, 1 << 31)], [2500, 5000]);
    assert!((7490..7500).contains(&ms(false, u32::MAX)));
    assert_eq!([ms(true, 0), ms(true, 1 << 31)], [1250, 2500]);
}

proptest! {
    #[test]
    fn whatever_comes_in_is_read_within_its_bounds(
        kind in 198_u8..208,
        mut data in prop::collection::vec(any::<u8>(), 4..300),
    ) {
        let words = (data.len() / 4 - 1) as u8;
        data[0] = 0x80 | data[0] & 0x3f;
        data[1] = kind;
        data[2] = 0;
        data[3] = words.min(data[3]);
        fuzz(&data);
    }
}
