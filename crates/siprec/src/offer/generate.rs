//! Valid session descriptions for property tests, as strict readers want them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

/// Encodings with a number of their choice: name and clock, and perhaps channels.
const ENCODINGS: [&str; 8] = [
    "CN/8000",
    "G729/8000",
    "L16/8000",
    "PCMU/16000",
    "opus/48000/2",
    "telephone-event/16000",
    "telephone-event/48000",
    "telephone-event/8000",
];

/// A description of one to four media lines, with CRLF.
pub(crate) fn description() -> impl Strategy<Value = String> {
    let timing = prop::sample::select(vec!["0 0", "3900000000 3900003600"]);
    let lines = prop::collection::vec(media(), 1..5);
    (
        any::<u64>(),
        any::<u64>(),
        connection(),
        timing,
        direction(),
        lines,
    )
        .prop_map(|(session, version, connection, timing, direction, lines)| {
            let mut text = format!(
                "v=0\r\no=- {session} {version} IN IP4 192.0.2.1\r\ns=-\r\n{connection}\r\n\
                 t={timing}\r\na=X-session\r\n"
            );
            text.extend(direction.map(|direction| format!("a={direction}\r\n")));
            text.extend(lines);
            text
        })
}

fn connection() -> impl Strategy<Value = String> {
    let v4 = any::<[u8; 4]>().prop_map(|[a, b, c, d]| format!("c=IN IP4 {a}.{b}.{c}.{d}"));
    let v6 =
        any::<[u16; 8]>().prop_map(|words| format!("c=IN IP6 {}", std::net::Ipv6Addr::from(words)));
    let others = prop::sample::select(vec![
        "c=IN IP4 0.0.0.0",
        "c=IN IP6 ::",
        "c=IN IP4 sbc.example.com",
        "c=IN IP4 198.51.100.1",
    ]);
    prop_oneof![v4, v6, others.prop_map(str::to_owned)]
}

fn direction() -> impl Strategy<Value = Option<&'static str>> {
    let directions = &["inactive", "recvonly", "sendonly", "sendrecv"];
    prop::option::of(prop::sample::select(&directions[..]))
}

/// The lines of one medium.
fn media() -> impl Strategy<Value = String> {
    let proto = &[
        "RTP/AVP",
        "RTP/AVPF",
        "RTP/SAVP",
        "RTP/SAVPF",
        "UDP/TLS/RTP/SAVP",
    ];
    let head = (
        prop_oneof![5 => Just("audio"), 1 => Just("video"), 1 => Just("image")],
        prop_oneof![1 => Just(0), 5 => 1024..=u16::MAX],
        prop::sample::select(&proto[..]),
        prop::collection::vec(crypto(), 0..3),
    );
    let attributes = (
        prop::option::of(connection()),
        prop::option::of("[0-9]{1,20}|[a-z_]{1,12}"),
        direction(),
        prop::option::of(1..=200_u32),
        prop::option::of((
            1..=u16::MAX,
            prop::sample::select(vec!["", " IN IP4 203.0.113.9"]),
        )),
        prop::option::of(Just("a=rtcp-mux")),
    );
    (head, formats(), attributes).prop_map(
        |((media, port, proto, crypto), (numbers, maps), attributes)| {
            let (connection, label, direction, ptime, rtcp, mux) = attributes;
            let mut lines = vec![format!("m={media} {port} {proto} {numbers}")];
            lines.extend(connection);
            lines.push("a=X-unknown:1 2 3".to_owned());
            lines.extend(maps);
            lines.extend(label.map(|label| format!("a=label:{label}")));
            lines.extend(direction.map(|direction| format!("a={direction}")));
            lines.extend(ptime.map(|ptime| format!("a=ptime:{ptime}")));
            lines.extend(rtcp.map(|(port, address)| format!("a=rtcp:{port}{address}")));
            lines.extend(mux.map(str::to_owned));
            let crypto = (1..).zip(crypto);
            lines.extend(crypto.map(|(tag, crypto)| format!("a=crypto:{tag} {crypto}")));
            lines.join("\r\n") + "\r\n"
        },
    )
}

/// The numbers of an `m=` line, and the lines that say what they mean.
fn formats() -> impl Strategy<Value = (String, Vec<String>)> {
    let fixed = prop::sample::subsequence(vec![0_u8, 3, 8, 9, 13, 18], 0..=6);
    let encoding = prop::sample::select(&ENCODINGS[..]);
    let dynamic = prop::collection::btree_map(96..128_u8, (encoding, any::<bool>()), 0..6);
    let both = (fixed, dynamic).prop_filter("an m= line has a format", |(fixed, dynamic)| {
        !fixed.is_empty() || !dynamic.is_empty()
    });
    both.prop_flat_map(|(fixed, dynamic)| {
        let mut numbers = fixed;
        numbers.extend(dynamic.keys());
        let mut maps = Vec::new();
        for (number, (encoding, has_parameters)) in dynamic {
            maps.push(format!("a=rtpmap:{number} {encoding}"));
            if has_parameters {
                maps.push(format!("a=fmtp:{number} 0-15"));
            }
        }
        (Just(numbers).prop_shuffle(), Just(maps))
    })
    .prop_map(|(numbers, maps)| {
        let numbers: Vec<String> = numbers.iter().map(u8::to_string).collect();
        (numbers.join(" "), maps)
    })
}

/// A suite with a key: some that we can use, one that we cannot.
fn crypto() -> impl Strategy<Value = String> {
    let suite = prop::sample::select(vec![
        ("AES_CM_128_HMAC_SHA1_80", 30),
        ("AES_CM_128_HMAC_SHA1_32", 30),
        ("AEAD_AES_256_GCM", 44),
        ("F8_128_HMAC_SHA1_80", 30),
    ]);
    (suite, prop::collection::vec(any::<u8>(), 44)).prop_map(|((suite, length), bytes)| {
        format!("{suite} inline:{}|2^20", STANDARD.encode(&bytes[..length]))
    })
}
