//! Below the messages: WebSocket frames that are broken, cut up, too large or too many.

use rig::{World, eventually};
use serde_json::Value;
use sim::caller::twilio::Side;
use sim::speech::Role;

use crate::support::{
    FRAME, SHORT_GOODBYE, Witness, assert_same, close, closed, codes, counters, decoded, endings,
    frame, heard, sound, until_metric,
};

const FIN: u8 = 0x80;
const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const PING: u8 = 0x9;

/// A frame as a client sends it: masked.
fn masked(head: u8, payload: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [0x12, 0x34, 0x56, 0x78];
    let mut bytes = header(head, payload.len() as u64);
    bytes.extend(KEY);
    bytes.extend(
        payload
            .iter()
            .zip(KEY.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    bytes
}

/// The beginning of a masked frame, up to its key.
fn header(head: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![head];
    match length {
        0..126 => bytes.push(0x80 | length as u8),
        126..0x1_0000 => {
            bytes.push(0x80 | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_in_pieces_with_a_ping_between_is_one_message() {
    let world = World::new().await;
    let mut call = world
        .dial_with(|options| options.sides = vec![Side::Inbound])
        .await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    frame(&mut call, Side::Inbound, 52, &codes(1, FRAME)).await;
    let text = br#"{"event":"media","media":{"track":"inbound","timestamp":"72","payload":"gICA/////w=="}}"#;
    let (head, rest) = text.split_at(30);
    let (middle, tail) = rest.split_at(1);
    for bytes in [
        masked(TEXT, head),
        masked(FIN | PING, b"are you there?"),
        masked(CONTINUATION, middle),
        masked(CONTINUATION, b""),
        masked(FIN | CONTINUATION, tail),
    ] {
        // Byte by byte, as the worst of networks would.
        for byte in bytes {
            call.send_raw(&[byte]).await.unwrap();
        }
    }
    let both = |call: &Value| counters(call, "first")["passed"] == FRAME + 7;
    world.until_call(&guid, both).await;
    world.stop(&call).await;
    let said = [
        codes(1, FRAME),
        vec![0x80, 0x80, 0x80, 0xFF, 0xFF, 0xFF, 0xFF],
    ]
    .concat();
    assert_same(&sound(&world, &guid, Role::Customer), &decoded(&said));
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_against_the_protocol_ends_its_call_and_no_other() {
    let world = World::with(SHORT_GOODBYE).await;
    let witness = Witness::of(&world).await;
    let unmasked = [&[FIN | TEXT, 2][..], b"{}"].concat();
    let cases = [
        ("not masked", unmasked),
        ("a reserved bit", masked(FIN | 0x40 | TEXT, b"{}")),
        ("a reserved opcode", masked(FIN | 0x3, b"{}")),
        ("a reserved control opcode", masked(FIN | 0xB, b"")),
        ("a ping in pieces", masked(PING, b"")),
        ("a ping too long", masked(FIN | PING, &[0; 126])),
        (
            "a continuation of nothing",
            masked(FIN | CONTINUATION, b"{}"),
        ),
        (
            "a message within a message",
            [masked(TEXT, b"{"), masked(TEXT, b"{")].concat(),
        ),
    ];
    let count = cases.len();
    for (what, bytes) in cases {
        let mut call = world.dial().await;
        let guid = call.call_sid().to_owned();
        world.start(&call).await;
        call.send_raw(&bytes).await.unwrap();
        assert_eq!(closed(&mut call).await, close(1002, "protocol"), "{what}");
        world.until_state(&guid, "gone").await;
        let refused = ("refused".to_owned(), "client".to_owned());
        assert_eq!(
            endings(&world, &guid).await,
            [refused.clone(), refused],
            "{what}"
        );
    }
    witness.assert_unharmed(&world).await;
    let ended = "antiphon_twilio_sockets_ended_total{reason=\"protocol\"}";
    until_metric(&world, ended, |sockets| sockets == count as f64).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_is_not_utf_8_ends_its_call_and_no_other() {
    let world = World::with(SHORT_GOODBYE).await;
    let witness = Witness::of(&world).await;
    let (whole, cut): (&[u8], &[u8]) = (b"{\"event\":\"\xFF\"}", b"{\"event\":\"\xE2\x82");
    for bytes in [masked(FIN | TEXT, whole), masked(FIN | TEXT, cut)] {
        let mut call = world.dial().await;
        world.start(&call).await;
        call.send_raw(&bytes).await.unwrap();
        assert_eq!(closed(&mut call).await, close(1007, "nonsense"));
        world.until_state(call.call_sid(), "gone").await;
    }
    witness.assert_unharmed(&world).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_only_says_it_is_too_large_is_not_waited_for() {
    let world = World::with(&format!("{SHORT_GOODBYE}message_bytes_max = \"4KiB\"\n")).await;
    let witness = Witness::of(&world).await;
    let pieces = (0..9).map(|at| masked(if at == 0 { TEXT } else { CONTINUATION }, &[b' '; 500]));
    let cases = [
        header(FIN | TEXT, (4 << 10) + 1),
        header(FIN | TEXT, 1 << 40),
        header(FIN | TEXT, i64::MAX as u64),
        pieces.flatten().collect(),
    ];
    for bytes in cases {
        let mut call = world.dial().await;
        world.start(&call).await;
        call.send_raw(&bytes).await.unwrap();
        // The key of the first three is still missing.
        let _sent = call.send_raw(&[0; 4]).await;
        assert_eq!(
            closed(&mut call).await,
            close(1009, "too_large"),
            "{} bytes",
            bytes.len()
        );
        world.until_state(call.call_sid(), "gone").await;
    }
    witness.assert_unharmed(&world).await;
    let ended = "antiphon_twilio_sockets_ended_total{reason=\"too_large\"}";
    until_metric(&world, ended, |sockets| sockets == 4.0).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_pings_whose_answers_nobody_reads_does_not_stop_the_sound() {
    let world = World::new().await;
    let witness = Witness::of(&world).await;
    let mut call = world
        .dial_with(|options| options.sides = vec![Side::Inbound])
        .await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    let hundred = masked(FIN | PING, &[b'p'; 125]).repeat(100);
    let flood = async {
        for n in 0..600 {
            call.send_raw(&hundred).await.unwrap();
            frame(
                &mut call,
                Side::Inbound,
                52 + n * 20,
                &codes(n as usize, FRAME),
            )
            .await;
        }
    };
    eventually("the gateway to read on", flood).await;
    world.arrived(&call).await;
    world.stop(&call).await;
    let tape = decoded(&call.sent(Side::Inbound).tape);
    assert_same(&sound(&world, &guid, Role::Customer), &tape);
    // And now that they are read, the call can be closed as ever.
    call.hang_up().await.unwrap();
    world.until_state(&guid, "gone").await;
    witness.assert_unharmed(&world).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_heard_before_a_broken_frame_is_not_lost_with_it() {
    let world = World::with(SHORT_GOODBYE).await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    call.send_raw(&masked(FIN | 0x3, b"")).await.unwrap();
    assert_eq!(closed(&mut call).await, close(1002, "protocol"));
    world.until_state(&guid, "gone").await;
    assert_eq!(heard(&world, &guid, Role::Customer), ["customer-greeting"]);
    let tape = decoded(&call.sent(Side::Inbound).tape);
    assert_same(&sound(&world, &guid, Role::Customer), &tape);
    world.end().await;
}
