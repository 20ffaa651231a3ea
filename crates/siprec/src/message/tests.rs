//! What is read out of headers, in the spellings of the market and of RFC 4475.

use super::*;
use crate::framing::{Framed, MessageLimits, datagram};

fn read(text: &str) -> Message {
    match datagram(text.as_bytes(), &MessageLimits::default()) {
        Some(Framed::Message(message)) => *message,
        other => panic!("not a message: {other:?}"),
    }
}

fn refused(text: &str) -> (BadMessage, Option<String>) {
    match datagram(text.as_bytes(), &MessageLimits::default()) {
        Some(Framed::Bad(broken)) => {
            let answer = broken.answer.map(|bytes| String::from_utf8(bytes).unwrap());
            (broken.why, answer)
        }
        other => panic!("not refused: {other:?}"),
    }
}

const HEAD: &str = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@192.0.2.1>;tag=1\r\n\
                    To: <sip:b@192.0.2.2>\r\nCall-ID: c1\r\nCSeq: 1 OPTIONS\r\n";

#[test]
fn folded_compact_and_oddly_spaced_headers_are_read() {
    // The shapes of RFC 4475 §3.1.1.1.
    let message = read(
        "OPTIONS sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\r\n\
         TO :\r\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\r\n\
         from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\n\
         MaX-fOrWaRdS: 0068\r\nCall-ID: wsinv.ndaksdj@192.0.2.1\r\n\
         cseq: 0009\r\n  OPTIONS\r\n\
         Via  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw\r\n\
         s :\r\nNewFangledHeader:   newfangled value\r\n continued newfangled value\r\n\
         UnknownHeaderWithUnusualValue: ;;,,;;,;\r\n\
         v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n \
         SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n\
         m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\r\n      newvalue ;\r\n\r\n",
    );
    let headers = message.headers();
    assert_eq!(headers.to().unwrap().tag(), Some("1918181833n"));
    assert_eq!(headers.from().unwrap().tag(), Some("98asjd8"));
    assert_eq!(
        headers.from().unwrap().name.as_deref(),
        Some("J Rosenberg \\\"")
    );
    assert_eq!(headers.number("Max-Forwards"), Some(68));
    assert_eq!(headers.cseq(), Some((9, Method::Options)));
    assert_eq!(headers.get("Subject"), Some(""));
    let vias: Vec<Via> = headers.values("Via").filter_map(Via::parse).collect();
    assert_eq!(vias.len(), 3);
    assert_eq!(
        (vias[0].transport.as_str(), vias[0].branch()),
        ("UDP", Some("390skdjuw"))
    );
    assert_eq!(
        (vias[1].host.as_str(), vias[1].branch()),
        ("spindle.example.com", Some("z9hG4bK9ikj8"))
    );
    let contact = NameAddr::parse(headers.get("Contact").unwrap()).unwrap();
    assert_eq!(contact.param("newparam"), Some("newvalue"));
}

#[test]
fn unknown_methods_and_strange_uris_are_kept_as_they_are() {
    let text = format!(
        "!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,\
         /;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0\r\n{}",
        HEAD.replace("OPTIONS", "!interesting-Method0123456789_*+`.%indeed'~")
    );
    let Message::Request(request) = read(&text) else {
        panic!("a response")
    };
    assert_eq!(request.method.label(), "other");
    assert_eq!(UriParts::parse(&request.uri).unwrap().host, "example.com");
}

#[test]
fn bare_line_feeds_end_lines() {
    let text = format!("OPTIONS sip:x@192.0.2.2 SIP/2.0\r\n{HEAD}\r\nbody").replace("\r\n", "\n");
    let Message::Request(request) = read(&text) else {
        panic!("a response")
    };
    assert_eq!(request.body, b"body");
}

#[test]
fn content_length_cuts_a_datagram_and_may_not_exceed_it() {
    let with = |length: &str| {
        format!("OPTIONS sip:x@192.0.2.2 SIP/2.0\r\n{HEAD}Content-Length: {length}\r\n\r\nbody")
    };
    let Message::Request(request) = read(&with("2")) else {
        panic!("a response")
    };
    assert_eq!(request.body, b"bo");
    for wrong in ["5", "-1", "9999999999999999999999", "4\r\nl: 3", "x"] {
        let (why, answer) = refused(&with(wrong));
        assert_eq!(why, BadMessage::ContentLength, "{wrong}");
        let answer = answer.unwrap();
        assert!(answer.starts_with("SIP/2.0 400 Bad Request\r\n"));
        assert!(answer.contains("Warning: 399 antiphon \"Content-Length is wrong\""));
    }
}

#[test]
fn a_request_without_what_it_must_have_is_refused_by_name() {
    for name in ["From", "To", "Call-ID", "CSeq"] {
        let head: String = HEAD
            .split_inclusive("\r\n")
            .filter(|line| !line.starts_with(name))
            .collect();
        let (why, answer) = refused(&format!("OPTIONS sip:x@192.0.2.2 SIP/2.0\r\n{head}\r\n"));
        assert_eq!(why, BadMessage::Missing(name));
        let warning = format!("Warning: 399 antiphon \"{name} is missing or cannot be read\"");
        assert!(answer.unwrap().contains(&warning));
    }
    // Without a Via nobody can be told.
    let head = HEAD.split_once("\r\n").unwrap().1;
    let (why, answer) = refused(&format!("OPTIONS sip:x@192.0.2.2 SIP/2.0\r\n{head}\r\n"));
    assert_eq!((why, answer), (BadMessage::Missing("Via"), None));
}

#[test]
fn torture_that_must_be_refused_is_refused() {
    let request = |line: &str| format!("{line}\r\n{HEAD}\r\n");
    for (line, why, status) in [
        (
            "OPTIONS sip:user@example.com; lr SIP/2.0",
            BadMessage::StartLine,
            "400",
        ),
        (
            "OPTIONS <sip:user@example.com> SIP/2.0",
            BadMessage::StartLine,
            "400",
        ),
        (
            "OPTIONS sip:user@example.com SIP/7.0",
            BadMessage::Version,
            "505",
        ),
    ] {
        let (found, answer) = refused(&request(line));
        assert_eq!(found, why, "{line}");
        assert!(answer.unwrap().starts_with(&format!("SIP/2.0 {status}")));
    }
    for line in [
        "SIP/2.0 4294967301 better not break the receiver",
        "garbage",
        "A B",
    ] {
        assert_eq!(refused(&request(line)).1, None, "{line}");
    }
    let cseq = |text: &str| {
        let head = HEAD.replace("1 OPTIONS", text);
        refused(&format!("OPTIONS sip:x@192.0.2.2 SIP/2.0\r\n{head}\r\n")).0
    };
    for text in [
        "36893488147419103232 OPTIONS",
        "1 INVITE",
        "1",
        "-1 OPTIONS",
        "2147483648 OPTIONS",
    ] {
        assert_eq!(cseq(text), BadMessage::Missing("CSeq"), "{text}");
    }
    let unterminated = HEAD.replace(
        "<sip:b@192.0.2.2>",
        "\"Mr. J. User <sip:j.user@example.com>",
    );
    let (why, _) = refused(&format!(
        "OPTIONS sip:x@192.0.2.2 SIP/2.0\r\n{unterminated}\r\n"
    ));
    assert_eq!(why, BadMessage::Missing("To"));
}

#[test]
fn bytes_that_are_no_text_neither_break_headers_nor_bodies() {
    let mut bytes = format!("OPTIONS sip:x@192.0.2.2 SIP/2.0\r\n{HEAD}Subject: ").into_bytes();
    bytes.extend_from_slice(&[0xFF, 0xFE, b'\r', b'\n', b'\r', b'\n', 0, 1, 0xFF]);
    let Some(Framed::Message(message)) = datagram(&bytes, &MessageLimits::default()) else {
        panic!("not read")
    };
    let Message::Request(request) = *message else {
        panic!("a response")
    };
    assert_eq!(request.body, [0, 1, 0xFF]);
    assert!(Message::Request(request).encode().ends_with(&[0, 1, 0xFF]));
}

#[test]
fn an_answer_repeats_what_the_request_said_word_for_word() {
    let text = format!(
        "OPTIONS sip:x@192.0.2.2 SIP/2.0\r\nv: SIP/2.0/UDP 198.51.100.9:5090;rport;branch=z9hG4bK0 \
         , SIP/2.0/TCP [2001:db8::9]:5070;branch=z9hG4bK2\r\n{HEAD}\r\n"
    );
    let Message::Request(request) = read(&text) else {
        panic!("a response")
    };
    let response = Response::to(&request, 200);
    let vias = |headers: &Headers| headers.all("Via").map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(vias(&response.headers), vias(&request.headers));
    for name in ["From", "To", "Call-ID", "CSeq"] {
        assert_eq!(response.headers.get(name), request.headers.get(name));
    }
    let text = String::from_utf8(response.encode()).unwrap();
    assert!(text.starts_with("SIP/2.0 200 OK\r\n") && text.ends_with("Content-Length: 0\r\n\r\n"));
}

#[test]
fn names_and_addresses_are_taken_apart() {
    let read = |text: &str| NameAddr::parse(text).unwrap();
    let avaya = read("<sip:srs@192.0.2.9:5060;transport=tcp;+sip.src>");
    let parts = UriParts::parse(&avaya.uri).unwrap();
    assert!(avaya.params.is_empty());
    assert!(parts.params.iter().any(|(name, _)| name == "+sip.src"));
    assert!(read("<sip:a@b>; +sip.src").has_param("+SIP.SRC"));
    assert_eq!(read("sip:a@b;tag=x").tag(), Some("x"));
    assert_eq!(read("\"a \\\"<b>, c\" <sip:a@b>;tag=y").tag(), Some("y"));
    assert_eq!(
        read("<sip:a@b>;+sip.instance=\"<urn:uuid:1;2>\";tag=z").tag(),
        Some("z")
    );
    for bad in [
        "",
        "<>",
        "<sip:a@b",
        "\"x <sip:a@b>",
        "<sip:a@b> x;tag=1",
        "a b",
    ] {
        assert_eq!(NameAddr::parse(bad), None, "{bad}");
    }
}

#[test]
fn uris_are_taken_apart() {
    let read = |text: &str| UriParts::parse(text).unwrap();
    let uri = read("SIP:john.doe:secret@[2001:db8::1]:5070;transport=TCP?subject=x");
    assert_eq!(
        (uri.scheme.as_str(), uri.host.as_str()),
        ("sip", "2001:db8::1")
    );
    assert_eq!(
        (uri.user.as_deref(), uri.port),
        (Some("john.doe"), Some(5070))
    );
    assert_eq!(
        uri.params,
        [("transport".to_owned(), Some("TCP".to_owned()))]
    );
    let opensips = read("sip:5550100;noa=x;srvattri=y@192.0.2.1;user=phone");
    assert_eq!(opensips.user.as_deref(), Some("5550100;noa=x;srvattri=y"));
    assert_eq!(
        read("tel:+15550100;ext=1").user.as_deref(),
        Some("+15550100")
    );
    for bad in [
        "",
        "sip:",
        "sip:@",
        "sip:a@",
        "nonsense",
        "sip:a@[::1",
        "sip:a@h:99999",
    ] {
        assert_eq!(UriParts::parse(bad), None, "{bad}");
    }
}

#[test]
fn lists_are_cut_outside_quotes_and_brackets_only() {
    let cut: Vec<_> = split_list("\"a, b\" <sip:c,d@e>, x ,, <sip:y>").collect();
    assert_eq!(cut, ["\"a, b\" <sip:c,d@e>", "x", "<sip:y>"]);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_that_comes_in_breaks_the_readers(text in "\\PC*") {
        drop(NameAddr::parse(&text));
        drop(Via::parse(&text));
        drop(UriParts::parse(&text));
        proptest::prop_assert!(split_list(&text).all(|part| text.contains(part)));
    }

    #[test]
    fn what_is_written_is_read_again(
        user in "[a-z0-9.]{1,12}", tag in "[a-zA-Z0-9]{1,20}", number in 0_u32..1 << 31,
        body in proptest::collection::vec(0_u8.., 0..200),
    ) {
        let mut request = Request::new(Method::Update, &format!("sip:{user}@192.0.2.7"));
        request.headers.push("Via", "SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bKx");
        request.headers.push("From", format!("<sip:{user}@192.0.2.1>;tag={tag}"));
        request.headers.push("To", "<sip:srs@192.0.2.2>");
        request.headers.push("Call-ID", format!("{tag}@192.0.2.1"));
        request.headers.push("CSeq", format!("{number} UPDATE"));
        request.body = body;
        let bytes = request.encode();
        let Some(Framed::Message(message)) = datagram(&bytes, &MessageLimits::default()) else {
            panic!("not read")
        };
        proptest::prop_assert_eq!(message.encode(), bytes);
        proptest::prop_assert_eq!(message.headers().cseq(), Some((number, Method::Update)));
    }
}
