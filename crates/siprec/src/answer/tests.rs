use proptest::prelude::*;
use sdp_types::Session;

use super::*;
use crate::offer::{generate, parse};
use crate::sdes::{Keys, Suite};

const HEAD: &str = "v=0\no=- 1 2 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\n\
                    t=3900000000 3900003600\n";
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";
const OUR_KEY: &str = "//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi";

fn offer(lines: &str) -> Description {
    parse(format!("{HEAD}{lines}").as_bytes()).unwrap()
}

fn policy() -> MediaPolicy {
    MediaPolicy {
        codecs: vec![Codec::Pcmu, Codec::Pcma, Codec::L16],
        srtp: SrtpPolicy::Allow,
        lines_max: 4,
    }
}

fn with_srtp(srtp: SrtpPolicy) -> MediaPolicy {
    MediaPolicy { srtp, ..policy() }
}

fn side() -> OurSide {
    OurSide {
        address: "203.0.113.5".parse().unwrap(),
        session: 77,
        version: 3,
    }
}

fn our_key(tag: u32, suite: Suite) -> CryptoLine {
    let (key, salt) = suite.key_bytes();
    let bytes: Vec<u8> = (0..=255).rev().take(key + salt).collect();
    let keys = vec![Keys {
        key: bytes[..key].to_vec(),
        salt: bytes[key..].to_vec(),
        mki: None,
    }];
    CryptoLine { tag, suite, keys }
}

/// Ports 20000, 20002, … and a key wherever one is wanted.
fn our_lines(plan: &[LinePlan], direction: Direction) -> Vec<OurLine> {
    let line = |(index, plan): (u16, &LinePlan)| OurLine {
        port: 20000 + 2 * index,
        direction,
        crypto: match plan {
            LinePlan::Accepted(AcceptedLine {
                crypto: Some(theirs),
                ..
            }) => Some(our_key(theirs.tag, theirs.suite)),
            _ => None,
        },
    };
    (0..).zip(plan).map(line).collect()
}

fn answer_with(lines: &str, policy: &MediaPolicy, direction: Direction) -> String {
    let offer = offer(lines);
    let plan = plan(&offer, policy);
    write_answer(&offer, &plan, &side(), &our_lines(&plan, direction))
}

/// The media lines of the answer to these, one text each, without line ends.
fn answer(lines: &str) -> Vec<String> {
    media(&answer_with(lines, &policy(), Direction::RecvOnly))
}

fn media(text: &str) -> Vec<String> {
    assert!(text.ends_with("\r\n") && !text.replace("\r\n", "").contains(['\r', '\n']));
    let text = text.replace("\r\n", "\n");
    let sections = text.split("m=").skip(1);
    sections
        .map(|section| format!("m={}", section.trim_end()))
        .collect()
}

fn refusal(lines: &str, policy: &MediaPolicy) -> Option<LineRefusal> {
    match &plan(&offer(lines), policy)[0] {
        LinePlan::Accepted(_) => None,
        LinePlan::Rejected(refusal) => Some(*refusal),
    }
}

fn has(media: &str, line: &str) -> bool {
    media.lines().any(|text| text == line)
}

#[test]
fn an_answer_is_written_like_this() {
    let offered = "m=audio 4000 RTP/AVP 18 0 101\na=rtpmap:101 telephone-event/8000\n\
                   a=fmtp:101 0-15\na=ptime:20\na=sendonly\na=label:1\n\
                   m=video 4002 RTP/AVP 99\na=label:2\n";
    let written = answer_with(offered, &policy(), Direction::RecvOnly);
    let expected = "v=0\r\no=antiphon 77 3 IN IP4 203.0.113.5\r\ns=-\r\nc=IN IP4 203.0.113.5\r\n\
                    t=3900000000 3900003600\r\nm=audio 20000 RTP/AVP 0 101\r\n\
                    a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
                    a=fmtp:101 0-15\r\na=ptime:20\r\na=recvonly\r\na=label:1\r\n\
                    m=video 0 RTP/AVP 99\r\na=label:2\r\n";
    assert_eq!(written, expected);
}

#[test]
fn every_offered_line_is_answered_in_its_place() {
    let answer = answer(
        "m=image 4000 udptl t38\nm=audio 0 RTP/AVP 0\nm=audio 4002 RTP/AVP 8\n\
         m=audio 4004 RTP/AVP 18\nm=audio 4006 RTP/AVPF 0\n",
    );
    let lines: Vec<_> = answer
        .iter()
        .map(|media| media.lines().next().unwrap())
        .collect();
    assert_eq!(
        lines,
        [
            "m=image 0 udptl t38",
            "m=audio 0 RTP/AVP 0",
            "m=audio 20004 RTP/AVP 8",
            "m=audio 0 RTP/AVP 18",
            "m=audio 20008 RTP/AVPF 0",
        ]
    );
}

#[test]
fn every_label_is_echoed_on_rejected_lines_too() {
    let answer = answer(
        "m=audio 4000 RTP/AVP 0\na=label:16777227\nm=audio 4002 RTP/AVP 0\na=label:a_leg\n\
         m=audio 4004 RTP/AVP 0\nm=audio 4006 RTP/AVP 18\na=label:4\n",
    );
    assert!(has(&answer[0], "a=label:16777227"));
    assert!(has(&answer[1], "a=label:a_leg"));
    assert!(!answer[2].contains("a=label"));
    assert!(has(&answer[3], "a=label:4"));
}

#[test]
fn every_format_we_can_name_is_kept_in_the_order_of_the_offer() {
    let answer = answer(
        "m=audio 4000 RTP/AVP 18 101 8 96 111 13 0 107 97 9\na=rtpmap:101 telephone-event/8000\n\
         a=rtpmap:96 L16/8000\na=rtpmap:111 opus/48000/2\na=rtpmap:107 telephone-event/48000\n\
         a=rtpmap:97 CN/8000\na=fmtp:107 0-16\na=fmtp:111 stereo=0\na=fmtp:0 x=y\n",
    );
    let expected = "m=audio 20000 RTP/AVP 101 8 96 13 0 107 97\n\
                    a=rtpmap:101 telephone-event/8000\na=rtpmap:8 PCMA/8000\n\
                    a=rtpmap:96 L16/8000\na=rtpmap:13 CN/8000\na=rtpmap:0 PCMU/8000\n\
                    a=rtpmap:107 telephone-event/48000\na=fmtp:107 0-16\na=rtpmap:97 CN/8000\n\
                    a=recvonly";
    assert_eq!(answer, [expected]);
}

#[test]
fn comfort_noise_by_its_former_number_is_kept_with_the_name_it_was_given() {
    let answer = answer("m=audio 4000 RTP/AVP 0 19\na=rtpmap:19 CN/8000\n");
    assert!(answer[0].starts_with("m=audio 20000 RTP/AVP 0 19\n"));
    assert!(has(&answer[0], "a=rtpmap:19 CN/8000"));
}

#[test]
fn a_line_of_g729_alone_is_rejected_and_the_reason_says_so() {
    for formats in [
        "18",
        "18 13",
        "18 19 101\na=rtpmap:101 telephone-event/8000",
    ] {
        let line = format!("m=audio 4000 RTP/AVP {formats}\n");
        assert_eq!(
            refusal(&line, &policy()),
            Some(LineRefusal::OnlyG729),
            "{formats}"
        );
    }
    assert!(LineRefusal::OnlyG729.to_string().contains("G.729"));
}

#[test]
fn a_line_without_a_codec_of_ours_is_rejected() {
    for formats in [
        "9",
        "18 9",
        "13",
        "101\na=rtpmap:101 telephone-event/8000",
        "",
        "0x",
    ] {
        let line = format!("m=audio 4000 RTP/AVP {formats}\n");
        assert_eq!(
            refusal(&line, &policy()),
            Some(LineRefusal::NoCodec),
            "{formats}"
        );
    }
}

#[test]
fn a_codec_the_trunk_does_not_list_is_not_answered() {
    let policy = MediaPolicy {
        codecs: vec![Codec::Pcma, Codec::G729, Codec::Other],
        ..policy()
    };
    let written = answer_with(
        "m=audio 4000 RTP/AVP 0 18 9 8\n",
        &policy,
        Direction::RecvOnly,
    );
    assert!(written.contains("m=audio 20000 RTP/AVP 8\r\n"), "{written}");
    assert_eq!(
        refusal("m=audio 4000 RTP/AVP 0\n", &policy),
        Some(LineRefusal::NoCodec)
    );
    assert_eq!(
        refusal("m=audio 4000 RTP/AVP 18\n", &policy),
        Some(LineRefusal::OnlyG729)
    );
}

#[test]
fn a_rejected_line_lists_a_format_even_if_the_offer_has_none() {
    assert_eq!(answer("m=audio 4000 RTP/AVP\n"), ["m=audio 0 RTP/AVP 0"]);
}

#[test]
fn what_is_not_audio_over_rtp_is_rejected() {
    let video = refusal("m=video 4000 RTP/AVP 0\n", &policy());
    assert_eq!(video, Some(LineRefusal::NotAudio));
    for proto in ["UDP/TLS/RTP/SAVP", "udptl", "TCP/RTP/AVP"] {
        let line = format!("m=audio 4000 {proto} 0\n");
        assert_eq!(
            refusal(&line, &policy()),
            Some(LineRefusal::Transport),
            "{proto}"
        );
    }
}

#[test]
fn a_line_offered_with_port_0_is_removed_whatever_else_it_says() {
    for line in [
        "m=audio 0 RTP/AVP 0\n",
        "m=video 0 x y\n",
        "m=audio 0 RTP/AVP 18\n",
    ] {
        assert_eq!(
            refusal(line, &policy()),
            Some(LineRefusal::Removed),
            "{line}"
        );
    }
}

#[test]
fn lines_over_the_most_allowed_are_rejected_and_dead_ones_do_not_count() {
    let policy = MediaPolicy {
        lines_max: 2,
        ..policy()
    };
    let audio = "m=audio 4000 RTP/AVP 0\n";
    let offered = format!("{audio}m=audio 0 RTP/AVP 0\nm=audio 4000 RTP/AVP 18\n{audio}{audio}");
    let refusals: Vec<_> = plan(&offer(&offered), &policy)
        .into_iter()
        .map(|plan| match plan {
            LinePlan::Accepted(_) => None,
            LinePlan::Rejected(refusal) => Some(refusal),
        })
        .collect();
    let (removed, g729) = (Some(LineRefusal::Removed), Some(LineRefusal::OnlyG729));
    assert_eq!(
        refusals,
        [None, removed, g729, None, Some(LineRefusal::TooMany)]
    );
}

#[test]
fn a_line_that_sends_is_answered_recvonly_or_inactive_as_we_wish() {
    for direction in ["", "a=sendonly\n", "a=sendrecv\n"] {
        let line = format!("m=audio 4000 RTP/AVP 0\n{direction}");
        let answered = |wish| answer_with(&line, &policy(), wish);
        assert!(
            answered(Direction::RecvOnly).contains("a=recvonly\r\n"),
            "{direction}"
        );
        assert!(
            answered(Direction::Inactive).contains("a=inactive\r\n"),
            "{direction}"
        );
    }
}

#[test]
fn a_line_that_does_not_send_is_answered_inactive_whatever_we_wish() {
    for direction in ["a=inactive\n", "a=recvonly\n"] {
        let answer = answer(&format!("m=audio 4000 RTP/AVP 0\n{direction}"));
        assert!(
            has(&answer[0], "a=inactive") && !has(&answer[0], "a=recvonly"),
            "{direction}"
        );
    }
}

#[test]
fn we_never_say_that_we_send() {
    let line = "m=audio 4000 RTP/AVP 0\n";
    for wish in [Direction::SendOnly, Direction::SendRecv] {
        assert!(answer_with(line, &policy(), wish).contains("a=inactive\r\n"));
    }
}

#[test]
fn an_old_hold_permits_what_its_direction_says() {
    let offer = offer("m=audio 4000 RTP/AVP 0\nc=IN IP4 0.0.0.0\n");
    assert!(offer.lines[0].is_held);
    let plan = plan(&offer, &policy());
    let LinePlan::Accepted(line) = &plan[0] else {
        panic!("rejected")
    };
    assert_eq!(line.permitted, Direction::RecvOnly);
}

#[test]
fn packet_times_and_rtcp_mux_are_echoed_where_they_are_offered() {
    let answer = answer("m=audio 1 RTP/AVP 0\na=ptime:30\na=rtcp-mux\nm=audio 2 RTP/AVP 0\n");
    assert!(has(&answer[0], "a=ptime:30") && has(&answer[0], "a=rtcp-mux"));
    assert!(!answer[1].contains("ptime") && !answer[1].contains("rtcp-mux"));
}

#[test]
fn our_address_is_written_in_its_family() {
    let offer = offer("m=audio 4000 RTP/AVP 0\n");
    for (address, written) in [
        ("2001:db8::5", "IN IP6 2001:db8::5"),
        ("192.0.2.5", "IN IP4 192.0.2.5"),
        ("::ffff:192.0.2.5", "IN IP4 192.0.2.5"),
    ] {
        let side = OurSide {
            address: address.parse().unwrap(),
            ..side()
        };
        let text = write_answer(&offer, &plan(&offer, &policy()), &side, &[]);
        assert!(text.contains(&format!("\r\nc={written}\r\n")), "{text}");
        assert!(
            text.contains(&format!("\r\no=antiphon 77 3 {written}\r\n")),
            "{text}"
        );
    }
}

#[test]
fn the_profile_is_echoed_as_written() {
    let crypto = format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\n");
    for proto in ["RTP/AVP", "RTP/AVPF", "rtp/avp", "RTP/SAVP", "RTP/SAVPF"] {
        let answer = answer(&format!("m=audio 4000 {proto} 0\n{crypto}"));
        assert!(
            has(&answer[0], &format!("m=audio 20000 {proto} 0")),
            "{proto}"
        );
    }
}

#[test]
fn the_first_usable_crypto_line_is_taken_with_its_tag_and_suite_and_our_key() {
    let answer = answer(&format!(
        "m=audio 4000 RTP/SAVP 0\na=crypto:1 F8_128_HMAC_SHA1_80 inline:{KEY}\n\
         a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:{KEY} KDR=3\n\
         a=crypto:5 AES_CM_128_HMAC_SHA1_32 inline:{KEY}|2^20|1:4\n\
         a=crypto:6 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\n"
    ));
    let ours = format!("a=crypto:5 AES_CM_128_HMAC_SHA1_32 inline:{OUR_KEY}");
    assert!(has(&answer[0], &ours), "{}", answer[0]);
    assert_eq!(answer[0].matches("a=crypto").count(), 1);
}

#[test]
fn the_tag_and_the_suite_of_the_offer_are_written_whatever_ours_say() {
    let offer = offer(&format!(
        "m=audio 4000 RTP/SAVP 0\na=crypto:5 AES_CM_128_HMAC_SHA1_32 inline:{KEY}\n"
    ));
    let plan = plan(&offer, &policy());
    let ours = [OurLine {
        port: 20000,
        direction: Direction::RecvOnly,
        crypto: Some(our_key(1, Suite::AesCm128HmacSha1_80)),
    }];
    let text = write_answer(&offer, &plan, &side(), &ours);
    let crypto = format!("a=crypto:5 AES_CM_128_HMAC_SHA1_32 inline:{OUR_KEY}\r\n");
    assert!(text.contains(&crypto), "{text}");
}

#[test]
fn a_secure_line_without_a_usable_key_is_rejected() {
    for crypto in ["", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:short\n"] {
        let line = format!("m=audio 4000 RTP/SAVP 0\n{crypto}");
        for srtp in [SrtpPolicy::Allow, SrtpPolicy::Require] {
            assert_eq!(
                refusal(&line, &with_srtp(srtp)),
                Some(LineRefusal::NoCrypto)
            );
        }
    }
}

#[test]
fn a_trunk_may_require_or_forbid_srtp() {
    let plain = "m=audio 4000 RTP/AVP 0\n";
    let secure =
        format!("m=audio 4000 RTP/SAVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\n");
    let (forbid, require) = (
        with_srtp(SrtpPolicy::Forbid),
        with_srtp(SrtpPolicy::Require),
    );
    assert_eq!(refusal(plain, &require), Some(LineRefusal::SrtpRequired));
    assert_eq!(refusal(&secure, &require), None);
    assert_eq!(refusal(plain, &forbid), None);
    assert_eq!(refusal(&secure, &forbid), Some(LineRefusal::SrtpForbidden));
}

#[test]
fn a_plain_profile_with_a_key_stays_plain() {
    let line = format!("m=audio 4000 RTP/AVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\n");
    assert!(!answer(&line)[0].contains("crypto"));
    assert_eq!(
        refusal(&line, &with_srtp(SrtpPolicy::Require)),
        Some(LineRefusal::SrtpRequired)
    );
}

#[test]
fn a_line_we_have_no_port_or_no_key_for_is_written_as_rejected() {
    let secure = offer(&format!(
        "m=audio 4000 RTP/SAVP 0 8\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\n\
         m=audio 4002 RTP/AVP 0 8\nm=audio 4004 RTP/AVP 0 8\n"
    ));
    let plan = plan(&secure, &policy());
    let line = |port| OurLine {
        port,
        direction: Direction::RecvOnly,
        crypto: None,
    };
    let text = write_answer(&secure, &plan, &side(), &[line(20000), line(0)]);
    let dead = "RTP/AVP 0";
    assert_eq!(
        media(&text),
        [
            "m=audio 0 RTP/SAVP 0",
            "m=audio 0 RTP/AVP 0",
            &format!("m=audio 0 {dead}")
        ]
    );
}

#[test]
fn our_offer_has_every_codec_of_the_trunk_and_telephone_events() {
    let ours = |port, direction| OurLine {
        port,
        direction,
        crypto: None,
    };
    let text = write_offer(
        &policy(),
        &side(),
        &[
            ours(20000, Direction::RecvOnly),
            ours(20002, Direction::Inactive),
        ],
    );
    let maps = "a=rtpmap:0 PCMU/8000\na=rtpmap:8 PCMA/8000\na=rtpmap:96 L16/8000\n\
                a=rtpmap:101 telephone-event/8000\na=fmtp:101 0-16";
    assert_eq!(
        media(&text),
        [
            format!("m=audio 20000 RTP/AVP 0 8 96 101\n{maps}\na=recvonly\na=label:1"),
            format!("m=audio 20002 RTP/AVP 0 8 96 101\n{maps}\na=inactive\na=label:2"),
        ]
    );
    assert!(text.contains("\r\nt=0 0\r\n"));
}

#[test]
fn our_offer_is_secure_where_there_is_a_key() {
    let ours = [OurLine {
        port: 20000,
        direction: Direction::RecvOnly,
        crypto: Some(our_key(1, Suite::AesCm128HmacSha1_80)),
    }];
    let text = write_offer(&policy(), &side(), &ours);
    assert!(text.contains("m=audio 20000 RTP/SAVP 0 8 96 101\r\n"));
    let crypto = format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{OUR_KEY}\r\n");
    assert!(text.contains(&crypto), "{text}");
    let read = parse(text.as_bytes()).unwrap();
    assert_eq!(
        read.lines[0].crypto,
        [our_key(1, Suite::AesCm128HmacSha1_80)]
    );
}

#[test]
fn the_answer_to_our_offer_is_planned_like_an_offer() {
    let answer =
        offer("m=audio 4000 RTP/AVP 8 101\na=sendonly\na=rtpmap:101 telephone-event/8000\n");
    let LinePlan::Accepted(line) = &plan(&answer, &policy())[0] else {
        panic!("rejected")
    };
    assert_eq!(line.permitted, Direction::RecvOnly);
    assert_eq!(line.formats.len(), 2);
}

#[test]
fn a_new_offer_of_ours_keeps_what_was_agreed() {
    let offer = offer(&format!(
        "m=video 4000 RTP/AVP 99\na=label:v\n\
         m=audio 4002 RTP/SAVP 18 8 101\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\n\
         a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\na=ptime:20\na=sendonly\na=label:1\n\
         m=audio 0 RTP/AVP 0\na=label:2\n"
    ));
    let plan = plan(&offer, &policy());
    let text = write_reoffer(
        &offer,
        &plan,
        &side(),
        &our_lines(&plan, Direction::RecvOnly),
    );
    let agreed = format!(
        "m=audio 20002 RTP/SAVP 8 101\na=rtpmap:8 PCMA/8000\na=rtpmap:101 telephone-event/8000\n\
         a=fmtp:101 0-15\na=ptime:20\na=recvonly\na=label:1\n\
         a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:{OUR_KEY}"
    );
    assert_eq!(
        media(&text),
        [
            "m=video 0 RTP/AVP 99\na=label:v",
            &agreed,
            "m=audio 0 RTP/AVP 0\na=label:2"
        ]
    );
}

#[test]
fn a_new_offer_of_ours_may_ask_for_sound_where_the_peer_paused() {
    let offer = offer("m=audio 4000 RTP/AVP 0\na=inactive\n");
    let plan = plan(&offer, &policy());
    let ask = |direction| write_reoffer(&offer, &plan, &side(), &our_lines(&plan, direction));
    assert!(ask(Direction::RecvOnly).contains("a=recvonly\r\n"));
    assert!(ask(Direction::Inactive).contains("a=inactive\r\n"));
}

#[test]
fn nothing_of_an_offer_begins_a_line_of_the_answer() {
    let answer = answer("m=audio 4000 RTP/AVP 0\na=label:1\u{b}\u{85}\u{2028}a=sendrecv\n");
    assert!(!has(&answer[0], "a=sendrecv"));
}

/// The keys of a description, as they are written.
fn keys(text: &str) -> impl Iterator<Item = &str> {
    let inline = text.split("inline:").skip(1);
    inline.map(|rest| rest.split(['|', ' ', ';', '\r', '\n']).next().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn strict_readers_read_our_descriptions(
        text in generate::description(),
        sends in any::<bool>(),
    ) {
        let offer = parse(text.as_bytes()).unwrap();
        let plan = plan(&offer, &policy());
        let wish = if sends { Direction::RecvOnly } else { Direction::Inactive };
        let ours = our_lines(&plan, wish);
        let answer = write_answer(&offer, &plan, &side(), &ours);
        let reoffer = write_reoffer(&offer, &plan, &side(), &ours);
        for written in [answer, reoffer] {
            let read = Session::parse(written.as_bytes()).unwrap();
            prop_assert_eq!(read.medias.len(), offer.lines.len());
            for (media, offered) in read.medias.iter().zip(&offer.lines) {
                let label = media.get_first_attribute_value("label").flatten();
                prop_assert_eq!(label, offered.label.as_deref());
                prop_assert_eq!((&media.media, &media.proto), (&offered.media, &offered.proto));
                prop_assert!(!media.fmt.is_empty());
                prop_assert!(!media.has_attribute("sendonly") && !media.has_attribute("sendrecv"));
            }
            let whole = webrtc_sdp::parse_sdp(&written, false);
            prop_assert_eq!(whole.unwrap().media.len(), offer.lines.len());
        }
    }

    #[test]
    fn no_key_of_an_offer_is_in_what_we_write(text in generate::description()) {
        let offer = parse(text.as_bytes()).unwrap();
        let plan = plan(&offer, &policy());
        let ours = our_lines(&plan, Direction::RecvOnly);
        let written = write_answer(&offer, &plan, &side(), &ours)
            + &write_reoffer(&offer, &plan, &side(), &ours);
        let printed = format!("{offer:?}{plan:?}{ours:?}");
        for key in keys(&text) {
            prop_assert!(!written.contains(key) && !printed.contains(key), "{}", key);
        }
    }
}
