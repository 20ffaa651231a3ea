use proptest::prelude::*;

use super::*;

/// 30 bytes, 0 to 29.
const KEY_30: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";
/// 28 bytes, without and with padding.
const KEY_28: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw";
const KEY_28_PADDED: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw==";

fn with_key(rest: &str) -> Option<CryptoLine> {
    parse(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY_30}{rest}"))
}

fn mki_of(rest: &str) -> Option<(u64, u8)> {
    with_key(rest).unwrap().keys[0].mki
}

#[test]
fn a_line_has_a_tag_a_suite_and_a_key_with_its_salt() {
    let line = parse(&format!("7 AES_CM_128_HMAC_SHA1_32 inline:{KEY_30}")).unwrap();
    assert_eq!(line.tag, 7);
    assert_eq!(line.suite, Suite::AesCm128HmacSha1_32);
    assert_eq!(line.keys.len(), 1);
    assert_eq!(line.keys[0].key, (0..16).collect::<Vec<u8>>());
    assert_eq!(line.keys[0].salt, (16..30).collect::<Vec<u8>>());
    assert_eq!(line.keys[0].mki, None);
}

#[test]
fn each_suite_has_its_lengths_and_its_name() {
    for suite in Suite::ALL {
        let (key, salt) = suite.key_bytes();
        let text = KEY_ENCODING.encode(vec![9; key + salt]);
        let line = parse(&format!("1 {} inline:{text}", suite.as_str())).unwrap();
        assert_eq!(line.suite, suite);
        assert_eq!(
            (line.keys[0].key.len(), line.keys[0].salt.len()),
            (key, salt)
        );
        let short = KEY_ENCODING.encode(vec![9; key + salt - 1]);
        let long = KEY_ENCODING.encode(vec![9; key + salt + 1]);
        for wrong in [short, long] {
            assert_eq!(parse(&format!("1 {} inline:{wrong}", suite.as_str())), None);
        }
    }
}

#[test]
fn padding_may_be_there_or_not() {
    let padded = parse(&format!("1 AEAD_AES_128_GCM inline:{KEY_28_PADDED}"));
    assert!(padded.is_some());
    assert_eq!(
        padded,
        parse(&format!("1 AEAD_AES_128_GCM inline:{KEY_28}"))
    );
}

#[test]
fn bits_left_in_the_last_character_do_no_harm() {
    let sloppy = KEY_28.strip_suffix('w').unwrap().to_owned() + "x";
    assert_eq!(
        parse(&format!("1 AEAD_AES_128_GCM inline:{sloppy}")),
        parse(&format!("1 AEAD_AES_128_GCM inline:{KEY_28}"))
    );
}

#[test]
fn names_are_taken_in_any_case() {
    let line = parse(&format!("1 aes_cm_128_hmac_sha1_80 INLINE:{KEY_30} wsh=64"));
    assert_eq!(line, with_key(""));
}

#[test]
fn a_lifetime_is_passed_over_in_both_its_forms() {
    for lifetime in ["|2^20", "|2^48", "|1048576"] {
        assert_eq!(with_key(lifetime), with_key(""), "{lifetime}");
    }
    for wrong in ["|", "|2^", "|2^x", "|-5", "|forever"] {
        assert_eq!(with_key(wrong), None, "{wrong}");
    }
}

#[test]
fn a_master_key_identifier_is_kept_with_its_length() {
    assert_eq!(mki_of("|1:4"), Some((1, 4)));
    assert_eq!(mki_of("|2^20|1:4"), Some((1, 4)));
    assert_eq!(mki_of("|2^20|65535:2"), Some((65535, 2)));
    assert_eq!(mki_of("|18446744073709551615:8"), Some((u64::MAX, 8)));
    assert_eq!(mki_of("|5:128"), Some((5, 128)));
}

#[test]
fn a_master_key_identifier_that_cannot_be_is_refused() {
    for wrong in [
        "|1:0",
        "|1:129",
        "|256:1",
        "|1:",
        "|:4",
        "|x:4",
        "|1:4|2^20",
        "|2^20|1:4|",
        "|18446744073709551616:8",
    ] {
        assert_eq!(with_key(wrong), None, "{wrong}");
    }
}

#[test]
fn several_keys_are_kept_where_their_identifiers_tell_them_apart() {
    let line = with_key(&format!("|1:4;inline:{KEY_30}|2^20|2:4")).unwrap();
    let mkis: Vec<_> = line.keys.iter().map(|keys| keys.mki).collect();
    assert_eq!(mkis, [Some((1, 4)), Some((2, 4))]);
}

#[test]
fn several_keys_without_or_with_equal_identifiers_are_refused() {
    for (first, second) in [
        ("", ""),
        ("|1:4", ""),
        ("", "|1:4"),
        ("|1:4", "|1:4"),
        ("|1:4", "|2:1"),
    ] {
        let line = with_key(&format!("{first};inline:{KEY_30}{second}"));
        assert_eq!(line, None, "{first} {second}");
    }
}

#[test]
fn a_window_size_hint_and_optional_parameters_are_passed_over() {
    for parameter in ["WSH=128", "-foo", "-foo=bar WSH=64"] {
        assert_eq!(
            with_key(&format!(" {parameter}")),
            with_key(""),
            "{parameter}"
        );
    }
}

#[test]
fn a_parameter_that_changes_what_is_on_the_wire_makes_a_line_unusable() {
    for parameter in [
        "KDR=3",
        "UNENCRYPTED_SRTP",
        "UNENCRYPTED_SRTCP",
        "UNAUTHENTICATED_SRTP",
        "FEC_ORDER=FEC_SRTP",
        "FEC_KEY=inline:abc",
        "something-unknown",
        "WSH=64 KDR=3",
    ] {
        assert_eq!(with_key(&format!(" {parameter}")), None, "{parameter}");
    }
}

#[test]
fn what_is_no_crypto_line_is_refused() {
    for wrong in [
        "",
        "1",
        "1 AES_CM_128_HMAC_SHA1_80",
        "1 AES_CM_128_HMAC_SHA1_80 inline:",
        "1 AES_CM_128_HMAC_SHA1_80 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd",
        "1 AES_CM_128_HMAC_SHA1_80 uri:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd",
        "1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBka*xwd",
        "1 AES_256_CM_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd",
        "x AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd",
        "+1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd",
        "1234567890 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd",
    ] {
        assert_eq!(parse(wrong), None, "{wrong}");
    }
}

#[test]
fn a_line_is_written_as_the_rfc_has_it() {
    let written = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY_30}|1:4;inline:{KEY_30}|2:4");
    assert_eq!(write(&parse(&written).unwrap()), written);
    let padded = format!("9 AEAD_AES_128_GCM inline:{KEY_28_PADDED}");
    assert_eq!(write(&parse(&padded).unwrap()), padded);
}

#[test]
fn keys_are_never_printed() {
    let printed = format!("{:?}", with_key("|1:4").unwrap());
    assert!(
        printed.contains("Keys(..)") && !printed.contains("[0, 1, 2"),
        "{printed}"
    );
}

fn any_line() -> impl Strategy<Value = CryptoLine> {
    let suite = prop::sample::select(&Suite::ALL[..]);
    (
        0..1_000_000_000_u32,
        suite,
        1..4_usize,
        any::<bool>(),
        any::<u8>(),
    )
        .prop_map(|(tag, suite, count, has_mki, byte)| {
            let (key, salt) = suite.key_bytes();
            let keys = |at: usize| Keys {
                key: vec![byte.wrapping_add(at as u8); key],
                salt: vec![byte; salt],
                mki: (has_mki || count > 1).then_some((at as u64, 1 + byte % 128)),
            };
            let keys = (0..count).map(keys).collect();
            CryptoLine { tag, suite, keys }
        })
}

proptest! {
    #[test]
    fn what_is_written_is_read(line in any_line()) {
        prop_assert_eq!(parse(&write(&line)), Some(line));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[0-9 ]{0,3}(AES_CM_128_HMAC_SHA1_80|A)? (inline:)?.{0,60}") {
        fuzz(text.as_bytes());
    }

    #[test]
    fn a_good_line_with_something_behind_it(rest in "[|;:^ 0-9A-Za-z=/+-]{0,24}") {
        fuzz(format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY_30}{rest}").as_bytes());
    }
}
