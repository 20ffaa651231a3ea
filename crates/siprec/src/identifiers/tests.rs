use proptest::prelude::*;

use super::*;

fn headers(fields: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::default();
    for (name, value) in fields {
        headers.push(name, value);
    }
    headers
}

fn of_headers(fields: &[(&str, &str)]) -> Vec<(&'static str, String)> {
    let found = extract(&headers(fields), &Recording::default(), &[]);
    found
        .into_iter()
        .map(|one| (one.source, one.normal))
        .collect()
}

fn of_metadata(identifiers: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let identifiers = identifiers
        .iter()
        .map(|(kind, value)| (*kind, (*value).to_owned()));
    let recording = Recording {
        identifiers: identifiers.collect(),
        ..Recording::default()
    };
    let found = extract(&Headers::default(), &recording, &[]);
    found
        .into_iter()
        .map(|one| (one.source, one.normal))
        .collect()
}

#[test]
fn every_form_of_a_ucid_has_the_same_normal_form() {
    for (raw, decimal) in [
        ("0001183F5093914D", "00001062071351848269"),
        ("003918F5615DEFC4", "00057063891633546180"),
        ("0002D3DF63111234", "00002542391662063156"),
        (
            "00FA080019001038F725B3;encoding=hex",
            "00025000160955721139",
        ),
        ("FA080019001038F725B3", "00025000160955721139"),
        (
            "00FA0800012CAB553FA9ED;encoding=hex",
            "00001114351430235629",
        ),
        ("00391770615DEF95", "00057060001633546133"),
        ("04FA080019001038F725B3", "00025000160955721139"),
        (
            "00fa080019001038f725b3;ENCODING=HEX",
            "00025000160955721139",
        ),
        (
            "\"00FA080019001038F725B3\" ; encoding=hex",
            "00025000160955721139",
        ),
        (" 00025000160955721139 ", "00025000160955721139"),
        ("25000160955721139", "00025000160955721139"),
        (
            "00025000160955721139;encoding=\"hex\"",
            "00025000160955721139",
        ),
    ] {
        assert_eq!(normal(raw), decimal, "{raw}");
    }
}

#[test]
fn a_ucid_is_found_before_and_behind_other_tlvs() {
    let decimal = "00025000160955721139";
    let ascii: String = decimal.bytes().map(|byte| format!("{byte:02X}")).collect();
    for raw in [
        format!("04FA080019001038F725B3C814{ascii}"),
        format!("04C814{ascii}FA080019001038F725B3"),
        "00210212 34FA080019001038F725B3".replace(' ', ""),
        format!("04C814{ascii}"),
        "7E7E7E7EFA080019001038F725B3;encoding=hex".to_owned(),
    ] {
        assert_eq!(normal(&raw), decimal, "{raw}");
    }
}

#[test]
fn sixteen_decimal_digits_are_decimal_only_if_they_can_be() {
    // 00001 06207 1351848269 without its leading zeros.
    assert_eq!(normal("1062071351848269"), "00001062071351848269");
    // The sequence would be 99999: hex, then.
    assert_eq!(
        normal("1999991351848269"),
        normal_of_hex(0x1999_9913_5184_8269)
    );
    // No decimal UCID without its leading zeros begins with one.
    assert_eq!(
        normal("0019001038725533"),
        normal_of_hex(0x0019_0010_3872_5533)
    );
}

fn normal_of_hex(number: u64) -> String {
    let (node, sequence) = (number >> 48, (number >> 32) & 0xffff);
    format!("{node:05}{sequence:05}{:010}", number & 0xffff_ffff)
}

#[test]
fn every_form_of_a_cisco_guid_has_the_same_normal_form() {
    let padded = "0867617078-0032318833-2221801472-0002236962";
    for raw in [
        padded,
        "867617078-32318833-2221801472-2236962",
        " 0867617078 - 0032318833 - 2221801472 - 0002236962",
        "33B6C93601ED2571846E000000222222",
        "33b6c93601ed2571846e000000222222",
    ] {
        assert_eq!(normal(raw), padded, "{raw}");
    }
}

#[test]
fn anything_else_stays_as_it_is() {
    for raw in [
        "B2B.123.456@203.0.113.9",
        "8f1d3c52-5b0e-4c3e-9f4a-0123456789ab",
        "callhalf-11473743407:0",
        "241205267",
        "AaBb==",
        "1-2-3",
        "1-2-3-4-5",
        "4294967296-1-1-1",
        "+1-2-3-4",
        "99999999999999999999",
    ] {
        assert_eq!(normal(raw), raw);
    }
}

#[test]
fn the_user_to_user_header_names_the_call_before_all_others() {
    let found = of_headers(&[
        ("Call-ID", "abc@203.0.113.7"),
        ("Cisco-Guid", "1-2-3-4"),
        ("User-to-User", "00FA080019001038F725B3;encoding=hex"),
    ]);
    assert_eq!(
        found,
        [
            ("User-to-User", "00025000160955721139".to_owned()),
            (
                "Cisco-Guid",
                "0000000001-0000000002-0000000003-0000000004".to_owned()
            ),
            ("Call-ID", "abc@203.0.113.7".to_owned()),
        ]
    );
}

#[test]
fn a_configured_recorder_header_comes_before_the_user_to_user_header() {
    let found = of_headers(&[
        ("User-to-User", "00FA080019001038F725B3;encoding=hex"),
        ("X-ISR-UCID", "0001183F5093914D"),
    ]);
    assert_eq!(found[0], ("X-ISR-UCID", "00001062071351848269".to_owned()));
}

#[test]
fn the_trunk_may_have_an_order_of_its_own() {
    let headers = headers(&[
        ("Call-ID", "abc"),
        ("Cisco-Guid", "1-2-3-4"),
        ("X-Own-Reference", "R77"),
    ]);
    let order = ["x-own-reference".to_owned(), "call-id".to_owned()];
    let found = extract(&headers, &Recording::default(), &order);
    let sources: Vec<_> = found.iter().map(|one| one.source).collect();
    assert_eq!(sources, [OTHER_HEADER, "Call-ID", "Cisco-Guid"]);
    assert_eq!(found[0].raw, "R77");
}

#[test]
fn a_header_that_the_client_copied_into_its_metadata_counts_too() {
    let copied = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let recording = Recording {
        vendor_headers: vec![
            copied("User-to-User", "00FA080019001038F725B3;encoding=hex"),
            copied("P-Asserted-Identity", "<sip:5550100@192.0.2.1>"),
            copied("X-Own", "R78"),
        ],
        ..Recording::default()
    };
    let found = extract(&Headers::default(), &recording, &["X-OWN".to_owned()]);
    let normals: Vec<_> = found.iter().map(|one| one.normal.as_str()).collect();
    assert_eq!(normals, ["R78", "00025000160955721139"]);
}

#[test]
fn a_user_to_user_without_a_call_id_is_taken_only_if_the_trunk_says_so() {
    let headers = headers(&[("User-to-User", "account%205550100"), ("Call-ID", "abc")]);
    let found = extract(&headers, &Recording::default(), &[]);
    assert_eq!(found.len(), 1);
    let found = extract(
        &headers,
        &Recording::default(),
        &["User-to-User".to_owned()],
    );
    assert_eq!(found[0].raw, "account%205550100");
}

#[test]
fn both_halves_of_a_session_id_name_the_call() {
    let both = "0123456789abcdef0123456789abcdef;remote=fedcba9876543210fedcba9876543210";
    let halves = [
        normal("0123456789abcdef0123456789abcdef"),
        normal("fedcba9876543210fedcba9876543210"),
    ];
    for found in [
        of_headers(&[("Session-ID", both)]),
        of_metadata(&[("sipSessionID", both)]),
    ] {
        let normals: Vec<_> = found.into_iter().map(|(_, normal)| normal).collect();
        assert_eq!(normals, halves);
    }
    let call_ids = of_metadata(&[("sipSessionID", "a1@192.0.2.1;remote=b2@192.0.2.2")]);
    assert_eq!(call_ids[0].1, "a1@192.0.2.1");
    assert_eq!(call_ids[1].1, "b2@192.0.2.2");
}

#[test]
fn both_dialogs_of_a_phones_fork_have_a_name_in_common() {
    let from = |end: &str, refci: u32, other: u32| {
        format!(
            "<sip:2001@192.0.2.20;{end};x-refci={refci};x-nearendaddr=2001;\
             x-farendrefci={other};x-farendaddr=5550100>;tag=ds1"
        )
    };
    let near = of_headers(&[("From", &from("x-nearend", 25_000_001, 25_000_002))]);
    let far = of_headers(&[("From", &from("x-farend", 25_000_001, 25_000_002))]);
    let swapped = of_headers(&[("From", &from("x-farend", 25_000_002, 25_000_001))]);
    assert_eq!(
        near[0],
        ("x-refci+x-farendrefci", "25000001+25000002".to_owned())
    );
    assert_eq!(near, far);
    assert_eq!(near[0], swapped[0]);
}

#[test]
fn the_gci_of_a_gtd_part_and_the_cisco_guid_are_one_identifier() {
    let mut recording = Recording::default();
    recording.add_gci("33B6C93601ED2571846E000000222222");
    let headers = headers(&[("Cisco-Guid", "867617078-32318833-2221801472-2236962")]);
    let found = extract(&headers, &recording, &[]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].source, "Cisco-Guid");
}

#[test]
fn a_session_id_that_is_a_ucid_names_the_call_before_one_that_is_not() {
    let found = of_metadata(&[("session_id", "00FA080019001038F725B3"), ("callid", "a@b")]);
    assert_eq!(
        found[0],
        ("session_id:UCID", "00025000160955721139".to_owned())
    );
    let found = of_metadata(&[
        ("session_id", "RdBovtguR4qQ2tAPKk8Gbw=="),
        ("callid", "a@b"),
    ]);
    assert_eq!(found[0], ("callid", "a@b".to_owned()));
}

#[test]
fn nothing_and_zeros_name_no_call() {
    let found = of_headers(&[
        ("Cisco-Guid", "0-0-0-0"),
        ("Session-ID", "00000000000000000000000000000000"),
        ("X-ISR-UCID", "0000000000000000"),
        ("x-audc-call-id", "  "),
        ("Cisco-GUCID", "\"\""),
    ]);
    assert_eq!(found, []);
}

#[test]
fn a_value_without_end_is_no_identifier() {
    assert_eq!(of_headers(&[("Call-ID", &"x".repeat(CHARS_MAX + 1))]), []);
}

#[test]
fn charging_and_correlation_headers_are_read() {
    let found = of_headers(&[
        (
            "P-Charging-Vector",
            "icid-value=\"1234bc9876e\";icid-generated-at=192.0.2.6",
        ),
        (
            "X-BroadWorks-Correlation-Info",
            "5c3d7e0a-11aa-4d9c-8d7e-001122334455",
        ),
        ("x-audc-call-id", "c8a1f0d2e3b44556677889900aabbccd"),
        ("X-Genesys-CallUUID", "01K2ABCDEF"),
    ]);
    let sources: Vec<_> = found.iter().map(|(source, _)| *source).collect();
    assert_eq!(
        sources,
        [
            "X-Genesys-CallUUID",
            "X-BroadWorks-Correlation-Info",
            "x-audc-call-id",
            "P-Charging-Vector",
        ]
    );
    assert_eq!(found[3].1, "1234bc9876e");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn hex_and_decimal_of_a_ucid_are_the_same(number: u64) {
        // Nodes below 256: any more and hex of digits only may be taken for decimal.
        let number = number >> 8;
        let hex = format!("{number:016X}");
        let decimal = normal_of_hex(number);
        prop_assert_eq!(normal(&hex), decimal.clone());
        prop_assert_eq!(normal(&hex.to_lowercase()), decimal.clone());
        prop_assert_eq!(normal(&format!("00FA08{hex};encoding=hex")), decimal.clone());
        prop_assert_eq!(normal(&format!("FA08{hex}")), decimal.clone());
        let unpadded = decimal.trim_start_matches('0');
        if (16..=19).contains(&unpadded.len()) {
            prop_assert_eq!(normal(unpadded), decimal);
        }
    }

    #[test]
    fn hex_and_decimals_of_a_guid_are_the_same(a: u32, b: u32, c: u32, d: u32) {
        let padded = format!("{a:010}-{b:010}-{c:010}-{d:010}");
        prop_assert_eq!(normal(&format!("{a}-{b}-{c}-{d}")), padded.clone());
        prop_assert_eq!(normal(&format!("{a:010} - {b:010} - {c} - {d}")), padded.clone());
        // Not those that begin like a UCID's TLV.
        if a >> 16 != 0xfa08 && (a >> 8) & 0xffff != 0xfa08 {
            prop_assert_eq!(normal(&format!("{a:08x}{b:08x}{c:08x}{d:08x}")), padded);
        }
    }

    #[test]
    fn any_text_has_one_normal_form(data in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzz::fuzz(&data);
    }

    #[test]
    fn what_looks_like_identifiers_has_one_normal_form(
        text in "([0-9A-Fa-f]{0,24}|FA08|00|-|;| |encoding=|hex|\"|remote=|x-refci=|<|>|\n){0,24}"
    ) {
        fuzz::fuzz(text.as_bytes());
    }
}
