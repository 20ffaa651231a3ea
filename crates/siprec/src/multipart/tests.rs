use proptest::prelude::*;

use super::*;

const SDP: &str = "v=0\r\ns=-\r\nm=audio 4000 RTP/AVP 0\r\n";
const XML: &str = "<?xml version=\"1.0\"?>\r\n<recording/>\r\n";
const MIXED: &str = "multipart/mixed;boundary=foobar";

fn two_parts() -> String {
    format!(
        "--foobar\r\nContent-Type: application/sdp\r\n\r\n{SDP}\r\n\
         --foobar\r\nContent-Type: application/rs-metadata+xml\r\n\
         Content-Disposition: recording-session\r\n\r\n{XML}\r\n--foobar--\r\n"
    )
}

fn check_both(content_type: Option<&str>, body: &str) {
    let parts = split(content_type, body.as_bytes()).unwrap();
    let sdp = String::from_utf8(parts.sdp.unwrap()).unwrap();
    assert_eq!(sdp.trim().replace('\r', ""), SDP.trim().replace('\r', ""));
    let metadata = String::from_utf8(parts.metadata.unwrap().bytes).unwrap();
    assert_eq!(
        metadata.trim().replace('\r', ""),
        XML.trim().replace('\r', "")
    );
}

#[test]
fn a_body_of_sdp_and_metadata_is_taken_apart() {
    check_both(Some(MIXED), &two_parts());
}

#[test]
fn a_part_ends_before_the_line_end_of_its_delimiter() {
    let parts = split(Some(MIXED), two_parts().as_bytes()).unwrap();
    assert_eq!(parts.sdp.as_deref(), Some(SDP.as_bytes()));
}

#[test]
fn the_parts_may_come_in_the_other_order() {
    let body = format!(
        "--foobar\r\nContent-Type:application/rs-metadata+xml\r\n\r\n{XML}\r\n\
         --foobar\r\nContent-Type:application/sdp\r\n\r\n{SDP}\r\n--foobar--"
    );
    check_both(Some(MIXED), &body);
}

#[test]
fn a_missing_last_delimiter_ends_the_last_part_with_the_body() {
    let body = two_parts().replace("--foobar--\r\n", "");
    check_both(Some(MIXED), &body);
}

#[test]
fn a_bare_line_feed_ends_a_line() {
    check_both(Some(MIXED), &two_parts().replace('\r', ""));
}

#[test]
fn blank_lines_before_and_blanks_behind_delimiters_do_not_matter() {
    let body = two_parts().replace("--foobar--", "--foobar-- ");
    let body = format!(
        "  \r\n\r\n{}",
        body.replace("--foobar\r\n", "--foobar \t\r\n")
    );
    check_both(Some(MIXED), &body);
}

#[test]
fn a_preamble_and_an_epilogue_are_not_parts() {
    let body = format!("mime\r\n{}v=1\r\n--foobar\r\n\r\nx", two_parts());
    check_both(Some(MIXED), &body);
}

#[test]
fn a_boundary_may_be_quoted_and_followed_by_other_parameters() {
    check_both(
        Some("Multipart/Mixed; Boundary=\"foobar\";x=1"),
        &two_parts(),
    );
    let colon = two_parts().replace("foobar", "a;b=c");
    check_both(Some("multipart/mixed;boundary=\"a;b=c\""), &colon);
}

#[test]
fn a_boundary_that_begins_another_one_is_not_confused_with_it() {
    let inner = two_parts().replace("foobar", "foobar2");
    let body = format!(
        "--foobar\r\nContent-Type: multipart/mixed;boundary=foobar2\r\n\r\n{inner}\r\n--foobar--"
    );
    check_both(Some(MIXED), &body);
}

#[test]
fn a_missing_or_wrong_boundary_is_read_from_the_body() {
    check_both(Some("multipart/mixed"), &two_parts());
    check_both(Some("multipart/mixed;boundary=other"), &two_parts());
    check_both(Some("multipart/mixed;boundary="), &two_parts());
    check_both(None, &two_parts());
}

#[test]
fn a_multipart_inside_a_part_is_followed() {
    let inner = two_parts().replace("foobar", "inner");
    for header in ["Content-Type: multipart/mixed;boundary=inner\r\n", ""] {
        let body = format!("--foobar\r\n{header}\r\n{inner}\r\n--foobar--\r\n");
        check_both(Some(MIXED), &body);
    }
}

#[test]
fn a_part_may_forget_the_empty_line_after_its_headers() {
    check_both(
        Some(MIXED),
        &two_parts().replace("sdp\r\n\r\nv=", "sdp\r\nv="),
    );
}

#[test]
fn a_folded_part_header_is_one_line() {
    let body = two_parts().replace(
        "Content-Type: application/sdp",
        "Content-Type:\r\n\tapplication/sdp",
    );
    check_both(Some(MIXED), &body);
}

#[test]
fn sdp_alone_needs_no_container() {
    for content_type in [Some("application/sdp"), Some("Application/SDP; x=y"), None] {
        let parts = split(content_type, SDP.as_bytes()).unwrap();
        assert_eq!(parts.sdp.as_deref(), Some(SDP.as_bytes()));
        assert!(parts.metadata.is_none());
    }
}

#[test]
fn metadata_alone_needs_no_container_and_has_two_names() {
    for content_type in [
        Some("application/rs-metadata+xml;charset=ISO-8859-1"),
        Some("application/rs-metadata; charset=\"ISO-8859-1\""),
        Some("APPLICATION/RS-METADATA+XML ; Charset=ISO-8859-1"),
    ] {
        let metadata = split(content_type, XML.as_bytes())
            .unwrap()
            .metadata
            .unwrap();
        assert_eq!(metadata.bytes, XML.as_bytes());
        assert_eq!(metadata.charset.as_deref(), Some("ISO-8859-1"));
    }
    assert!(split(None, XML.as_bytes()).unwrap().metadata.is_some());
}

#[test]
fn the_disposition_makes_metadata_of_a_part_of_another_type() {
    let body = two_parts().replace("application/rs-metadata+xml", "application/xml");
    check_both(Some(MIXED), &body);
}

#[test]
fn an_empty_body_has_no_parts() {
    for body in ["", " \r\n\r\n"] {
        assert_eq!(
            split(Some("application/sdp"), body.as_bytes()).unwrap(),
            Parts::default()
        );
        assert_eq!(split(None, body.as_bytes()).unwrap(), Parts::default());
    }
}

#[test]
fn the_call_identifier_of_a_gtd_part_is_kept_and_the_rest_of_it_is_not() {
    let gtd = "--foobar\r\nContent-Disposition: signal;handling=optional\r\n\
               Content-Type: application/gtd\r\n\r\nIAM,\r\nCPN,04,,1,5550100\r\n\
               GCI,33B6C93601ED2571846E000000222222\r\n";
    let body = format!("{gtd}{}", two_parts());
    check_both(Some(MIXED), &body);
    let parts = split(Some(MIXED), body.as_bytes()).unwrap();
    assert_eq!(
        parts.gtd.as_deref(),
        Some("33B6C93601ED2571846E000000222222")
    );
    assert!(!format!("{parts:?}").contains("5550100"));
}

#[test]
fn an_unknown_part_is_skipped_unless_it_must_be_understood() {
    let with = |disposition: &str| {
        let part = format!("--foobar\r\nContent-Type: text/plain\r\n{disposition}\r\nhello\r\n");
        format!("{part}{}", two_parts())
    };
    for disposition in ["", "Content-Disposition: render;handling=optional\r\n"] {
        let parts = split(Some(MIXED), with(disposition).as_bytes()).unwrap();
        assert_eq!(parts.skipped, ["text/plain"]);
        assert!(parts.sdp.is_some() && parts.metadata.is_some());
    }
    let required = with("Content-Disposition: render; handling=REQUIRED\r\n");
    let refused = split(Some(MIXED), required.as_bytes());
    assert_eq!(refused, Err(BadBody::RequiredPart("text/plain".into())));
}

#[test]
fn a_body_of_an_unknown_type_is_refused() {
    let refused = split(Some("application/json"), b"{}");
    assert_eq!(
        refused,
        Err(BadBody::UnsupportedType("application/json".into()))
    );
    let refused = split(None, b"hello");
    assert_eq!(refused, Err(BadBody::UnsupportedType("unknown".into())));
}

#[test]
fn a_body_of_an_unknown_type_that_is_optional_is_skipped() {
    let mut headers = Headers::default();
    headers.push("Content-Type", "text/html");
    headers.push("Content-Disposition", "render;handling=optional");
    let parts = split_message(&headers, b"<p>", &BodyLimits::default()).unwrap();
    assert_eq!(parts.skipped, ["text/html"]);
}

#[test]
fn an_encoded_sdp_is_decoded_or_refused_but_never_overlooked() {
    let with = |header: &str, sdp: &str| {
        format!("--foobar\r\nContent-Type: application/sdp\r\n{header}\r\n\r\n{sdp}\r\n--foobar--")
    };
    let base64 = with("Content-Transfer-Encoding: BASE64", "dj0wDQpz\r\nPS0NCg==");
    let parts = split(Some(MIXED), base64.as_bytes()).unwrap();
    assert_eq!(parts.sdp.as_deref(), Some(&b"v=0\r\ns=-\r\n"[..]));
    let quoted = with(
        "Content-Transfer-Encoding: quoted-printable",
        "v=3D0\r\ns=\r\n=3D-=zz",
    );
    let parts = split(Some(MIXED), quoted.as_bytes()).unwrap();
    assert_eq!(parts.sdp.as_deref(), Some(&b"v=0\r\ns=-=zz"[..]));
    for header in [
        "Content-Encoding: gzip",
        "Content-Transfer-Encoding: x-uuencode",
    ] {
        let refused = split(Some(MIXED), with(header, SDP).as_bytes());
        assert!(
            matches!(refused, Err(BadBody::UnsupportedType(_))),
            "{header}"
        );
    }
    let broken = with("Content-Transfer-Encoding: base64", "!!!");
    assert!(split(Some(MIXED), broken.as_bytes()).is_err());
}

#[test]
fn a_content_encoding_of_the_message_is_looked_at() {
    let mut headers = Headers::default();
    headers.push("Content-Type", "application/sdp");
    headers.push("Content-Encoding", "gzip");
    let refused = split_message(&headers, SDP.as_bytes(), &BodyLimits::default());
    assert!(matches!(refused, Err(BadBody::UnsupportedType(_))));
}

#[test]
fn a_second_description_is_skipped() {
    let body = format!(
        "--foobar\r\nContent-Type: application/sdp\r\n\r\nv=9\r\n{}",
        two_parts()
    );
    let parts = split(Some(MIXED), body.as_bytes()).unwrap();
    assert_eq!(parts.sdp.as_deref(), Some(&b"v=9"[..]));
    assert_eq!(parts.skipped, ["application/sdp"]);
}

#[test]
fn parts_and_levels_have_limits() {
    let part = "--foobar\r\nContent-Type: text/plain\r\n\r\nx\r\n";
    assert!(split(Some(MIXED), part.repeat(16).as_bytes()).is_ok());
    let refused = split(Some(MIXED), part.repeat(17).as_bytes());
    assert!(matches!(refused, Err(BadBody::Multipart(_))));
    let nest = |levels: usize| {
        (0..levels).fold(SDP.to_owned(), |inner, level| {
            format!("--b{level}\r\n\r\n{inner}\r\n--b{level}--\r\n")
        })
    };
    assert!(split(None, nest(3).as_bytes()).unwrap().sdp.is_some());
    assert!(matches!(
        split(None, nest(4).as_bytes()),
        Err(BadBody::Multipart(_))
    ));
}

#[test]
fn a_multipart_without_any_delimiter_is_refused() {
    assert!(matches!(
        split(Some("multipart/mixed"), b"hello"),
        Err(BadBody::Multipart(_))
    ));
    assert!(matches!(
        split(Some(MIXED), b"hello"),
        Err(BadBody::Multipart(_))
    ));
}

#[test]
fn keys_and_numbers_are_not_in_debug_output() {
    let body = two_parts().replace("s=-", "a=crypto:1 X inline:secret");
    let body = body.replace("<recording/>", "<recording>5550100</recording>");
    let shown = format!("{:?}", split(Some(MIXED), body.as_bytes()).unwrap());
    assert!(
        !shown.contains("secret") && !shown.contains("5550100"),
        "{shown}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_split_or_refused(data in prop::collection::vec(any::<u8>(), 0..400)) {
        fuzz::fuzz(&data);
    }

    #[test]
    fn pieces_of_multiparts_in_any_order_are_split_or_refused(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "\n", "\r\n", "--b", "--b--", "multipart/mixed;boundary=b", "Content-Type:",
            "application/sdp", "application/rs-metadata", "v=0", "<a/>", " ", "GCI,",
            "Content-Transfer-Encoding: base64", "handling=required", "=", ";", "\"",
        ]), 0..40)
    ) {
        fuzz::fuzz(pieces.concat().as_bytes());
    }

    #[test]
    fn whatever_stands_in_a_part_comes_out_as_it_was(sdp in "v=0\r\n[ -~\r\n]{0,200}") {
        prop_assume!(!sdp.contains("--foobar"));
        let body = format!("--foobar\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n--foobar--");
        let parts = split(Some(MIXED), body.as_bytes()).unwrap();
        prop_assert_eq!(parts.sdp.unwrap(), sdp.into_bytes());
    }
}
