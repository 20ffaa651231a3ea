//! Streams that come in pieces, and what cannot be followed.

use super::*;

const MESSAGE: &str = "BYE sip:x@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK1\r\n\
    From: <sip:a@192.0.2.1>;tag=1\r\nTo: <sip:b@192.0.2.2>;tag=2\r\nCall-ID: c1\r\nCSeq: 2 BYE\r\n";

fn with_length(length: &str, body: &str) -> String {
    format!("{MESSAGE}Content-Length: {length}\r\n\r\n{body}")
}

fn all(framer: &mut Framer, bytes: &[u8]) -> Result<Vec<Framed>, Broken> {
    framer.push(bytes);
    std::iter::from_fn(|| framer.poll().transpose()).collect()
}

#[test]
fn messages_are_found_however_they_are_cut() {
    let stream = format!(
        "\r\n\r\n{}{}\r\n\r\n{}",
        with_length("4", "body"),
        with_length("0", ""),
        with_length("1", "x"),
    );
    let whole = all(
        &mut Framer::new(MessageLimits::default()),
        stream.as_bytes(),
    )
    .unwrap();
    assert_eq!(whole.len(), 5);
    assert_eq!(
        (&whole[0], &whole[3]),
        (&Framed::KeepAlive, &Framed::KeepAlive)
    );
    for size in 1..40 {
        let mut framer = Framer::new(MessageLimits::default());
        let mut cut = Vec::new();
        for piece in stream.as_bytes().chunks(size) {
            cut.extend(all(&mut framer, piece).unwrap());
        }
        assert_eq!(cut, whole, "in pieces of {size}");
    }
}

#[test]
fn a_bad_message_is_answered_and_the_stream_goes_on() {
    let bad = with_length("2", "xx").replace("CSeq: 2 BYE", "CSeq: two BYE");
    let stream = format!("{bad}{}", with_length("0", ""));
    let found = all(
        &mut Framer::new(MessageLimits::default()),
        stream.as_bytes(),
    )
    .unwrap();
    let [Framed::Bad(broken), Framed::Message(_)] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(broken.why, BadMessage::Missing("CSeq"));
    assert!(broken.answer.as_ref().unwrap().starts_with(b"SIP/2.0 400"));
}

#[test]
fn a_stream_whose_next_message_cannot_be_found_is_given_up_with_an_answer() {
    for (text, why, status) in [
        (format!("{MESSAGE}\r\n"), BadMessage::ContentLength, "400"),
        (with_length("x", ""), BadMessage::ContentLength, "400"),
        (with_length("999999999", ""), BadMessage::TooLarge, "513"),
    ] {
        let broken = all(&mut Framer::new(MessageLimits::default()), text.as_bytes()).unwrap_err();
        assert_eq!(broken.why, why);
        let answer = String::from_utf8(broken.answer.unwrap()).unwrap();
        assert!(answer.starts_with(&format!("SIP/2.0 {status}")), "{answer}");
    }
}

#[test]
fn a_head_without_an_end_does_not_grow_without_bound() {
    let mut framer = Framer::new(MessageLimits::default());
    let line = "X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n";
    let broken = (0..10_000).find_map(|_| all(&mut framer, line.as_bytes()).err());
    assert_eq!(broken.unwrap().why, BadMessage::TooLarge);
    assert!(framer.buffer.len() <= MessageLimits::default().head_bytes_max + line.len());
}

#[test]
fn carriage_returns_alone_are_nothing() {
    let mut framer = Framer::new(MessageLimits::default());
    for _ in 0..10_000 {
        assert_eq!(all(&mut framer, b"\r\r\r"), Ok(Vec::new()));
    }
    assert!(framer.buffer.len() < 8);
}

#[test]
fn a_datagram_of_blank_lines_is_a_keep_alive() {
    let limits = MessageLimits::default();
    assert_eq!(datagram(b"\r\n\r\n", &limits), Some(Framed::KeepAlive));
    assert_eq!(datagram(b"\r\n", &limits), None);
    assert_eq!(datagram(b"", &limits), None);
}

#[test]
fn responses_and_acks_that_cannot_be_read_are_not_answered() {
    let ack = MESSAGE
        .replace("2 BYE", "x ACK")
        .replace("BYE sip", "ACK sip");
    let response = MESSAGE
        .replace("BYE sip:x@192.0.2.2 SIP/2.0", "SIP/2.0 200 OK")
        .replace("2 BYE", "x BYE");
    for text in [ack, response] {
        let Some(Framed::Bad(broken)) = datagram(text.as_bytes(), &MessageLimits::default()) else {
            panic!("taken")
        };
        assert_eq!(broken.answer, None);
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]

    #[test]
    fn random_bytes_and_cuts_keep_the_invariants(
        data in proptest::collection::vec(0_u8.., 0..600),
    ) {
        fuzz(&data);
    }

    #[test]
    fn mutated_messages_keep_the_invariants(at in 0_usize..300, byte: u8, cut in 0_usize..400) {
        let mut bytes = with_length("4", "body").into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(bytes.len() - cut % bytes.len());
        fuzz(&bytes);
    }
}
