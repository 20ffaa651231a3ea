use proptest::prelude::*;
use sdp_types::{Media, Session};

use super::*;

mod vendors;

const HEAD: &str = "v=0\no=- 1 2 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n";
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";

fn read_text(text: &str) -> Description {
    parse(text.as_bytes()).unwrap()
}

/// One media line on PCMU with these attributes.
fn line(attributes: &str) -> OfferedLine {
    media(&format!("m=audio 4000 RTP/AVP 0\n{attributes}"))
}

/// The first media line of these.
fn media(lines: &str) -> OfferedLine {
    read_text(&format!("{HEAD}{lines}")).lines.remove(0)
}

/// The only format, with these attributes.
fn format(number: &str, attributes: &str) -> Format {
    let mut line = media(&format!("m=audio 4000 RTP/AVP {number}\n{attributes}"));
    assert_eq!(line.formats.len(), 1);
    line.formats.remove(0)
}

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

#[test]
fn lines_end_with_a_line_feed_a_carriage_return_or_both() {
    let plain = format!("{HEAD}m=audio 4000 RTP/AVP 0\na=label:1\n");
    let read = read_text(&plain);
    assert_eq!(read.lines[0].label.as_deref(), Some("1"));
    for end in ["\r\n", "\r", "\n\r\n", " \r\n"] {
        assert_eq!(read_text(&plain.replace('\n', end)), read, "{end:?}");
    }
    assert_eq!(read_text(plain.trim_end()), read);
}

#[test]
fn blank_lines_are_passed_over() {
    let read = read_text(&format!(
        "\n{HEAD}\n \nm=audio 4000 RTP/AVP 0\n\na=label:1\n\n\n"
    ));
    assert_eq!(read.lines.len(), 1);
    assert_eq!(read.lines[0].label.as_deref(), Some("1"));
}

#[test]
fn a_description_without_media_is_refused() {
    for body in ["", HEAD, "\n\n", "<recording/>"] {
        assert_eq!(
            parse(body.as_bytes()),
            Err(BadDescription::NoMedia),
            "{body}"
        );
    }
}

#[test]
fn a_media_line_that_cannot_be_read_is_named_by_its_number_and_not_told() {
    for bad in [
        "m=",
        "m=audio",
        "m=audio 4000",
        "m=audio 5550100x RTP/AVP 0",
        "m=audio 65536 RTP/AVP 0",
        "m=audio -1 RTP/AVP 0",
    ] {
        let error = parse(format!("{HEAD}{bad}\n").as_bytes()).unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(error, BadDescription::Unreadable(_)),
            "{bad}: {text}"
        );
        assert!(
            text.contains("line 6") && !text.contains("5550100"),
            "{text}"
        );
    }
}

#[test]
fn more_bytes_or_lines_than_are_read_are_refused() {
    let media = "m=audio 4000 RTP/AVP 0\n";
    let room = BYTES_MAX - HEAD.len() - media.len();
    let long = |bytes: usize| format!("{HEAD}{media}{}", "\n".repeat(bytes));
    assert!(parse(long(room).as_bytes()).is_ok());
    let refused = Err(BadDescription::TooLarge(BYTES_MAX));
    assert_eq!(parse(long(room + 1).as_bytes()), refused);
    let many = |lines: usize| format!("{HEAD}{media}{}", "a=b\n".repeat(lines));
    assert!(parse(many(LINES_MAX - 6).as_bytes()).is_ok());
    assert_eq!(parse(many(LINES_MAX - 5).as_bytes()), refused);
}

#[test]
fn the_origin_is_kept_as_text() {
    assert_eq!(
        read_text(&format!("{HEAD}m=audio 1 RTP/AVP 0")).origin,
        ("1".into(), "2".into())
    );
    let word = "v=0\no=- 99999999999999999999999 x.1 IN IP4 host\ns=-\nm=audio 1 RTP/AVP 0\n";
    let origin = read_text(word).origin;
    assert_eq!(origin, ("99999999999999999999999".into(), "x.1".into()));
}

#[test]
fn version_origin_name_and_time_may_be_missing() {
    let read = read_text("m=audio 4000 RTP/AVP 0\n");
    assert_eq!(read.origin, Default::default());
    assert_eq!(read.timing, "0 0");
    assert_eq!(read.lines[0].address, None);
}

#[test]
fn the_first_time_that_can_be_read_is_kept() {
    let times = "t=\nt=0\nt=now later\nt=1 99999999999999999999\nt=3900000000 3900003600\nt=0 0\n";
    let read = read_text(&format!("v=0\ns=-\n{times}m=audio 4000 RTP/AVP 0\n"));
    assert_eq!(read.timing, "3900000000 3900003600");
}

#[test]
fn lines_that_do_not_concern_us_do_no_harm() {
    let others = "i=\nu=http://example.com/\ne=a@example.com\np=+1 5550100\nb=AS:64.5\n\
                  k=clear:x\nz=0 0\nr=1 2 3\nx=?\nfoo=bar\nnonsense\n=\na=\na=:\n";
    let read = read_text(&format!(
        "{HEAD}{others}m=audio 4000 RTP/AVP 0\n{others}a=label:1\n"
    ));
    assert_eq!(read.lines.len(), 1);
    assert_eq!(read.lines[0].label.as_deref(), Some("1"));
}

#[test]
fn a_media_line_is_kept_as_written() {
    let line = media("m=Audio 4000/2  rtp/avp\t0 8\n");
    assert_eq!(
        (line.media.as_str(), line.port, line.proto.as_str()),
        ("Audio", 4000, "rtp/avp")
    );
    assert_eq!(line.formats.len(), 2);
}

#[test]
fn media_we_do_not_know_keeps_its_place_and_its_attributes() {
    let text = "m=image 4000 udptl t38\nc=IN IP4 192.0.2.9\na=sendonly\na=label:fax\n\
                m=application 0 UDP/DTLS/SCTP webrtc-datachannel\n\
                m=audio 5000 RTP/AVP 0\na=inactive\n";
    let lines = read_text(&format!("{HEAD}{text}")).lines;
    let media: Vec<_> = lines.iter().map(|line| line.media.as_str()).collect();
    assert_eq!(media, ["image", "application", "audio"]);
    assert_eq!(lines[0].label.as_deref(), Some("fax"));
    assert_eq!(lines[0].formats[0].number, "t38");
    assert_eq!(lines[0].formats[0].codec, Codec::Other);
    assert_eq!(lines[1].port, 0);
    assert_eq!(lines[2].direction, Direction::Inactive);
    assert_eq!(lines[2].address, ip("192.0.2.1"));
    assert_eq!(lines[2].label, None);
}

#[test]
fn static_numbers_need_no_rtpmap() {
    for (number, codec, name) in [
        ("0", Codec::Pcmu, "PCMU"),
        ("8", Codec::Pcma, "PCMA"),
        ("13", Codec::ComfortNoise, "CN"),
        ("18", Codec::G729, "G729"),
        ("19", Codec::ComfortNoise, "CN"),
        ("3", Codec::Other, "GSM"),
        ("9", Codec::Other, "G722"),
    ] {
        let format = format(number, "");
        assert_eq!(
            (format.codec, format.name.as_str()),
            (codec, name),
            "{number}"
        );
        assert_eq!((format.clock_rate, format.channels), (8000, 1), "{number}");
    }
    let wide = format("10", "");
    assert_eq!(
        (wide.codec, wide.clock_rate, wide.channels),
        (Codec::Other, 44100, 2)
    );
}

#[test]
fn a_number_nobody_describes_is_kept_without_a_name() {
    for number in ["96", "2", "300", "08", "+8", "(null)"] {
        let format = format(number, "");
        assert_eq!(
            (format.codec, format.name.as_str()),
            (Codec::Other, ""),
            "{number}"
        );
        assert_eq!((format.number.as_str(), format.clock_rate), (number, 8000));
    }
}

#[test]
fn an_rtpmap_says_what_a_number_means() {
    for (map, codec, rate, channels) in [
        ("PCMU/8000", Codec::Pcmu, 8000, 1),
        ("pcma/8000/1", Codec::Pcma, 8000, 1),
        ("L16/8000", Codec::L16, 8000, 1),
        ("CN/8000", Codec::ComfortNoise, 8000, 1),
        ("G729/8000", Codec::G729, 8000, 1),
        ("G729A/8000/1", Codec::G729, 8000, 1),
        ("telephone-event/8000", Codec::TelephoneEvent, 8000, 1),
        ("TELEPHONE-EVENT/48000", Codec::TelephoneEvent, 48000, 1),
        ("opus/48000/2", Codec::Other, 48000, 2),
    ] {
        let format = format("97", &format!("a=rtpmap:97 {map}\n"));
        assert_eq!((format.codec, format.clock_rate), (codec, rate), "{map}");
        assert_eq!(format.channels, channels, "{map}");
        assert_eq!(format.name, map.split('/').next().unwrap());
    }
}

#[test]
fn sound_on_another_clock_or_in_stereo_is_another_codec() {
    for map in [
        "PCMU/16000",
        "PCMA/8000/2",
        "L16/44100",
        "L16/8000/2",
        "CN/16000",
    ] {
        assert_eq!(
            format("97", &format!("a=rtpmap:97 {map}")).codec,
            Codec::Other,
            "{map}"
        );
    }
}

#[test]
fn an_rtpmap_overrules_a_static_number() {
    let format = format("0", "a=rtpmap:0 G729/8000\n");
    assert_eq!((format.codec, format.name.as_str()), (Codec::G729, "G729"));
}

#[test]
fn an_rtpmap_without_a_clock_means_8000() {
    let format = format("101", "a=rtpmap:101 telephone-event\n");
    assert_eq!(
        (format.codec, format.clock_rate),
        (Codec::TelephoneEvent, 8000)
    );
}

#[test]
fn an_rtpmap_that_cannot_be_read_is_as_if_missing() {
    for map in [
        "0 G729/99999999999",
        "256 G729/8000",
        "0",
        "x G729/8000",
        "",
        "0 G729/8000/x",
    ] {
        let line = line(&format!("a=rtpmap:{map}\na=label:1\n"));
        assert_eq!(line.formats[0].codec, Codec::Pcmu, "{map}");
        assert_eq!(line.label.as_deref(), Some("1"));
    }
}

#[test]
fn parameters_of_a_format_are_kept_as_written() {
    let text = "useinbandfec=1; maxplaybackrate=8000;stereo=0;x";
    let format = format(
        "111",
        &format!("a=rtpmap:111 opus/48000/2\na=fmtp:111  {text} \n"),
    );
    assert_eq!(format.parameters.as_deref(), Some(text));
    for none in [
        "",
        "a=fmtp:0\n",
        "a=fmtp:0 \n",
        "a=fmtp:8 x=y\n",
        "a=fmtp\n",
    ] {
        assert_eq!(line(none).formats[0].parameters, None, "{none}");
    }
}

#[test]
fn a_format_listed_twice_is_one() {
    assert_eq!(media("m=audio 4000 RTP/AVP 0 8 0\n").formats.len(), 2);
}

#[test]
fn without_a_direction_a_line_sends_and_receives() {
    assert_eq!(line("").direction, Direction::SendRecv);
}

#[test]
fn a_line_has_the_direction_it_names_or_that_of_the_session() {
    for (name, direction) in [
        ("inactive", Direction::Inactive),
        ("recvonly", Direction::RecvOnly),
        ("sendonly", Direction::SendOnly),
        ("sendrecv", Direction::SendRecv),
        ("SendOnly", Direction::SendOnly),
        ("sendonly:", Direction::SendOnly),
    ] {
        assert_eq!(line(&format!("a={name}\n")).direction, direction, "{name}");
        let text = format!("{HEAD}a={name}\nm=audio 1 RTP/AVP 0\nm=audio 2 RTP/AVP 0\na=inactive");
        let lines = read_text(&text).lines;
        assert_eq!(lines[0].direction, direction, "{name}");
        assert_eq!(lines[1].direction, Direction::Inactive, "{name}");
    }
}

#[test]
fn an_old_direction_attribute_says_nothing_beside_a_new_one() {
    assert_eq!(
        line("a=direction:both\na=sendonly\n").direction,
        Direction::SendOnly
    );
    assert_eq!(line("a=direction:passive\n").direction, Direction::SendRecv);
}

#[test]
fn of_attributes_that_occur_twice_the_first_counts() {
    let line = line(
        "c=IN IP4 192.0.2.5\nc=IN IP4 192.0.2.6\na=sendonly\na=sendrecv\na=label:1\na=label:2\n\
         a=ptime:20\na=ptime:30\na=rtcp:1\na=rtcp:2 IN IP4 192.0.2.7\n\
         a=rtpmap:0 PCMU/8000\na=rtpmap:0 G729/8000\na=fmtp:0 a\na=fmtp:0 b\n",
    );
    assert_eq!(line.address, ip("192.0.2.5"));
    assert_eq!(line.direction, Direction::SendOnly);
    assert_eq!(line.label.as_deref(), Some("1"));
    assert_eq!(line.ptime, Some(20));
    assert_eq!(line.rtcp, Some((1, None)));
    assert_eq!(line.formats[0].codec, Codec::Pcmu);
    assert_eq!(line.formats[0].parameters.as_deref(), Some("a"));
}

#[test]
fn a_label_is_a_number_however_large_or_a_word_or_missing() {
    for label in [
        "1",
        "0",
        "16777227",
        "99999999999999999999999999",
        "a_leg",
        "x:y z",
    ] {
        assert_eq!(
            line(&format!("a=label:{label}\n")).label.as_deref(),
            Some(label)
        );
    }
    for none in ["", "a=label\n", "a=label:\n"] {
        assert_eq!(line(none).label, None, "{none}");
    }
    assert_eq!(
        read_text(&format!("{HEAD}a=label:9\nm=audio 1 RTP/AVP 0")).lines[0].label,
        None
    );
}

#[test]
fn an_address_of_the_line_goes_before_that_of_the_session() {
    assert_eq!(line("").address, ip("192.0.2.1"));
    assert_eq!(line("c=IN IP4 192.0.2.2\n").address, ip("192.0.2.2"));
    assert_eq!(line("c=IN IP4 224.2.1.1/127/3\n").address, ip("224.2.1.1"));
    assert_eq!(line("c=IN IP6 2001:db8::7\n").address, ip("2001:db8::7"));
    assert_eq!(line("c=IN IP6 FF15::101/3\n").address, ip("ff15::101"));
}

#[test]
fn a_name_or_nonsense_is_no_address_and_hides_the_one_of_the_session() {
    for text in [
        "sbc.example.com",
        "X.X.X.X",
        "1",
        "0x7f.1",
        "192.0.2",
        "192.0.2.300",
        "[::1]",
    ] {
        let line = line(&format!("c=IN IP4 {text}\n"));
        assert_eq!((line.address, line.is_held), (None, false), "{text}");
    }
    assert_eq!(line("c=IN\n").address, None);
}

#[test]
fn an_address_of_zeros_is_a_hold() {
    assert!(!line("").is_held);
    assert!(line("c=IN IP4 0.0.0.0\n").is_held);
    assert!(line("c=IN IP6 ::\n").is_held);
    let text = HEAD.replace("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0");
    let read = read_text(&format!(
        "{text}m=audio 1 RTP/AVP 0\nm=audio 2 RTP/AVP 0\nc=IN IP4 192.0.2.2\n"
    ));
    assert!(read.lines[0].is_held && !read.lines[1].is_held);
}

#[test]
fn rtcp_has_a_port_and_perhaps_an_address() {
    assert_eq!(line("").rtcp, None);
    assert_eq!(line("a=rtcp:53020\n").rtcp, Some((53020, None)));
    let with = line("a=rtcp:53020 IN IP4 192.0.2.33\n").rtcp;
    assert_eq!(with, Some((53020, ip("192.0.2.33"))));
    let v6 = line("a=rtcp:53020 IN IP6 2001:db8::33\n").rtcp;
    assert_eq!(v6, Some((53020, ip("2001:db8::33"))));
    assert_eq!(
        line("a=rtcp:53020 IN IP4 sbc.example.com\n").rtcp,
        Some((53020, None))
    );
    for none in ["a=rtcp:0", "a=rtcp:65536", "a=rtcp:", "a=rtcp"] {
        assert_eq!(line(none).rtcp, None, "{none}");
    }
}

#[test]
fn rtcp_mux_is_said_or_not() {
    assert!(!line("").rtcp_mux);
    assert!(line("a=rtcp-mux\n").rtcp_mux);
    assert!(!line("a=rtcp-mux-only\n").rtcp_mux);
}

#[test]
fn a_packet_time_may_have_a_fraction_and_must_not_be_nothing() {
    for (text, ptime) in [
        ("20", Some(20)),
        ("20 ", Some(20)),
        ("20.0", Some(20)),
        ("37.5", Some(37)),
        ("0", None),
        ("0.125", None),
        ("", None),
        ("x", None),
        ("-20", None),
        ("4294967296", None),
        ("99999999999999999999999", None),
    ] {
        assert_eq!(line(&format!("a=ptime:{text}\n")).ptime, ptime, "{text}");
    }
}

#[test]
fn crypto_lines_that_can_be_used_are_kept_in_their_order() {
    let line = media(&format!(
        "m=audio 4000 RTP/SAVP 0\na=crypto:1 F8_128_HMAC_SHA1_80 inline:{KEY}\n\
         a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:{KEY}\na=crypto:\na=crypto\n\
         a=Crypto:3 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4\n",
    ));
    let tags: Vec<u32> = line.crypto.iter().map(|line| line.tag).collect();
    assert_eq!(tags, [2, 3]);
}

#[test]
fn a_crypto_line_of_the_session_is_nobodys() {
    let text = format!("{HEAD}a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\n");
    let read = read_text(&format!("{text}m=audio 4000 RTP/SAVP 0\n"));
    assert_eq!(read.lines[0].crypto, []);
}

#[test]
fn nothing_that_is_read_can_begin_a_line_of_its_own() {
    let line = line("a=label:1\u{b}a=x\0\u{1b}[2J\u{85}b\n");
    assert_eq!(line.label.as_deref(), Some("1 a=x  [2J b"));
}

#[test]
fn what_is_no_unicode_is_read_all_the_same() {
    let mut body = HEAD.replace("s=-", "s=?").into_bytes();
    let name = body.iter().position(|byte| *byte == b'?').unwrap();
    body[name] = 0xe9;
    body.extend(b"m=audio 4000 RTP/AVP 0\na=label:1\n");
    assert_eq!(parse(&body).unwrap().lines[0].label.as_deref(), Some("1"));
}

#[test]
fn a_description_of_the_largest_size_is_read() {
    let many = format!("{HEAD}{}", "m=audio 4000 RTP/AVP 0\n".repeat(LINES_MAX - 5));
    assert_eq!(read_text(&many).lines.len(), LINES_MAX - 5);
    let wide = (0..4000).fold(format!("{HEAD}m=audio 4000 RTP/AVP"), |text, number| {
        format!("{text} {}", number % 2000)
    });
    assert_eq!(read_text(&wide[..BYTES_MAX]).lines[0].formats.len(), 2000);
}

/// What sdp-types, which none of us wrote, says of one media line.
fn assert_same(line: &OfferedLine, media: &Media, session: &Session) {
    let value = |name: &'static str| media.get_first_attribute_value(name).flatten();
    assert_eq!(line.media, media.media);
    assert_eq!((line.port, &line.proto), (media.port, &media.proto));
    let numbers: Vec<&str> = media.fmt.split(' ').collect();
    let ours: Vec<&str> = line.formats.iter().map(|format| &*format.number).collect();
    assert_eq!(ours, numbers);
    assert_eq!(line.label.as_deref(), value("label"));
    assert_eq!(
        line.ptime.map(|ptime| ptime.to_string()).as_deref(),
        value("ptime")
    );
    assert_eq!(line.rtcp_mux, media.has_attribute("rtcp-mux"));
    let connection = media
        .connections
        .first()
        .or(session.connection.as_ref())
        .unwrap();
    let address = connection.try_address().ok().map(|address| address.ip);
    assert_eq!(line.address, address);
    assert_eq!(
        line.is_held,
        address.is_some_and(|address| address.is_unspecified())
    );
    let rtcp = value("rtcp").map(|text| text.split(' ').next().unwrap().parse().unwrap());
    assert_eq!(line.rtcp.map(|(port, _)| port), rtcp);
    let names = ["inactive", "recvonly", "sendonly", "sendrecv"];
    let said = names.into_iter().find(|name| media.has_attribute(name));
    let said = said.or_else(|| names.into_iter().find(|name| session.has_attribute(name)));
    let direction = match said {
        Some("inactive") => Direction::Inactive,
        Some("recvonly") => Direction::RecvOnly,
        Some("sendonly") => Direction::SendOnly,
        _ => Direction::SendRecv,
    };
    assert_eq!(line.direction, direction);
    for format in &line.formats {
        let of_format = |name| {
            let mut values = media.get_attribute_values(name).flatten();
            values.find_map(|value| value.strip_prefix(&format!("{} ", format.number)))
        };
        assert_eq!(format.parameters.as_deref(), of_format("fmtp"));
        if let Some(map) = of_format("rtpmap") {
            let Format {
                name,
                clock_rate,
                channels,
                ..
            } = format;
            let maps = [
                format!("{name}/{clock_rate}"),
                format!("{name}/{clock_rate}/{channels}"),
            ];
            assert!(maps.iter().any(|written| written == map), "{map}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_a_strict_reader_reads_is_what_we_read(text in generate::description()) {
        let theirs = Session::parse(text.as_bytes()).unwrap();
        let ours = read_text(&text);
        let origin = (theirs.origin.sess_id.clone(), theirs.origin.sess_version.to_string());
        prop_assert_eq!(&ours.origin, &origin);
        let time = &theirs.times[0];
        prop_assert_eq!(&ours.timing, &format!("{} {}", time.start_time, time.stop_time));
        prop_assert_eq!(ours.lines.len(), theirs.medias.len());
        for (line, media) in ours.lines.iter().zip(&theirs.medias) {
            assert_same(line, media, &theirs);
        }
    }

    #[test]
    fn whatever_is_read_can_be_answered(text in generate::description()) {
        fuzz(text.as_bytes());
    }

    #[test]
    fn a_damaged_description_is_read_or_refused(
        text in generate::description(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 0..12),
    ) {
        let mut body = text.into_bytes();
        for (at, byte, kind) in damage {
            let at = at.index(body.len());
            match kind {
                0 => body[at] = byte,
                1 => body.insert(at, byte),
                _ => {
                    let end = (at + usize::from(byte) / 16).min(body.len() - 1).max(at);
                    drop(body.drain(at..end));
                }
            }
        }
        fuzz(&body);
    }

    #[test]
    fn lines_in_any_order_are_read_or_refused(
        lines in prop::collection::vec(
            "[amct]=(audio [0-9]{1,5} RTP/S?AVPF? [0-9 ]{0,8}|rtpmap:[0-9]{0,3} .{0,12}\
             |fmtp:[0-9]{0,3} ?.{0,9}|label:.{0,5}|ptime:[0-9.]{0,12}|rtcp:[0-9]{0,6} ?.{0,20}\
             |IN IP[46] [0-9a-f.:/]{0,15}|(send|recv)(only|recv)|.{0,20})",
            0..20,
        ),
    ) {
        fuzz(lines.join("\n").as_bytes());
    }
}
