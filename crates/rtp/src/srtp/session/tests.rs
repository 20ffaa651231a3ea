//! The vectors of the RFCs.

use super::super::wire::Kind;
use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

/// RFC 7714 §16, §17 name the session's key, not the master's.
fn gcm_session(suite: Suite) -> Session {
    let key: Vec<u8> = (0..suite.key_bytes().0 as u8).collect();
    let algorithm = match suite {
        Suite::AeadAes256Gcm => &AES_256_GCM,
        _ => &AES_128_GCM,
    };
    let mut salt = Zeroizing::new([0; 14]);
    salt[..12].copy_from_slice(b"Quid pro quo");
    Session {
        cipher: Cipher::Gcm(gcm(UnboundKey::new(algorithm, &key))),
        salt,
        shape: Shape::of(&Keys::new(suite, &key, &[0; 12], None).unwrap()),
    }
}

fn open(session: &Session, kind: Kind, sealed: &str) -> Option<Vec<u8>> {
    let mut bytes = hex(sealed);
    let parts = Parts::of(&bytes, session.shape(), kind).unwrap();
    let index = parts.number.into();
    let length = session.open(&mut bytes, &parts, index, Wanted::Text)?;
    Some(bytes[parts.header..length].to_vec())
}

#[test]
fn keys_are_derived_as_in_rfc_3711_appendix_b_3() {
    let keys = Keys::new(
        Suite::AesCm128HmacSha1_80,
        &hex("E1F97A0D3E018BE0D64FA32C06DE4139"),
        &hex("0EC675AD498AFEEBB6960B3AABE6"),
        None,
    );
    let keys = keys.unwrap();
    for (label, expected) in [
        (0, "C61E7A93744F39EE10734AFE3FF7A087"),
        (2, "30CBBC08863D8C85D49DB34A9AE1"),
        (1, "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"),
    ] {
        let mut key = vec![0; hex(expected).len()];
        derive(&keys, label, &mut key);
        assert_eq!(key, hex(expected));
    }
    let session = Session::derive(&keys, Kind::Rtp);
    assert_eq!(session.salt[..], hex("30CBBC08863D8C85D49DB34A9AE1"));
}

#[test]
fn the_keystream_is_that_of_rfc_3711_appendix_b_2() {
    let key = hex("2B7E151628AED2A6ABF7158809CF4F3C");
    let session = Session {
        salt: Zeroizing::new(hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().unwrap()),
        ..Session::derive(
            &Keys::new(Suite::AesCm128HmacSha1_80, &key, &[0; 14], None).unwrap(),
            Kind::Rtp,
        )
    };
    let mut stream = [0; 48];
    keystream(&key, &session.counter(0, 0), &mut stream);
    let expected = "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB
                    41E95B3BB0A2E8DD477901E4FCA894C0";
    assert_eq!(stream[..], hex(expected));
}

#[test]
fn gcm_is_opened_as_in_rfc_7714_section_16() {
    let text = b"Gallia est omnis divisa in partes tres";
    let header = "8040f17b 8041f8d3 5501a0b2";
    for (suite, sealed) in [
        (
            Suite::AeadAes128Gcm,
            "f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b
             36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
        ),
        (
            Suite::AeadAes256Gcm,
            "32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f
             1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
        ),
    ] {
        let opened = open(&gcm_session(suite), Kind::Rtp, &format!("{header}{sealed}"));
        assert_eq!(opened.as_deref(), Some(&text[..]), "{suite:?}");
    }
}

#[test]
fn gcm_reports_are_opened_and_sealed_as_in_rfc_7714_section_17() {
    let session = gcm_session(Suite::AeadAes128Gcm);
    let header = "81c8000d 4d617273";
    let text = "4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
                deadbeef deadbeef deadbeef deadbeef deadbeef";
    let sealed = "63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1
                  730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872
                  45d9eade";
    let sealed = format!("{header}{sealed}800005d4");
    assert_eq!(open(&session, Kind::Rtcp, &sealed), Some(hex(text)));
    let plain = hex(&format!("{header}{text}"));
    assert_eq!(
        session.seal_rtcp(&[], &plain, (0x4d61_7273, 0x5d4)),
        hex(&sealed)
    );
}
