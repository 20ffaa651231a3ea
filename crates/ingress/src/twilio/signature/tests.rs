//! The vectors that Twilio's own libraries were asked for, and what must not pass.

use proptest::prelude::*;

use super::*;

const TOKEN: &str = "12345678901234567890123456789012";
const PLAIN: &str = "ggMmViUp0g9CYyRDmhN00z0Pc2E=";
const PORT_443: &str = "RVIueS/cnKa8tYT8lmKWFbuUYnE=";
const PORT_80: &str = "KsCO/yERN5Fotk1OSX9Mwxlzx8Y=";
const SLASH: &str = "Ku7XGLIIbAnF/6RkGb8TkFoSoxw=";
const HTTPS: &str = "yAwPYP33T8kESghXZfIisibbQRs=";
const PORT_8443: &str = "ttHVQX+/9GELSXJyCTAkxR0rpF0=";

fn private(text: &str) -> Private<String> {
    Private::new(text.to_owned())
}

fn verifier(public_url: &str, tokens: &[&str]) -> Verifier {
    let tokens: Vec<_> = tokens.iter().map(|token| private(token)).collect();
    let keys = [("webhooks_1".to_owned(), private("shared"))];
    Verifier::new(&Url::parse(public_url).unwrap(), &tokens, &keys)
}

fn verify(public_url: &str, path: &str, signature: &str) -> Result<(), BadSignature> {
    let signed = Signed {
        path,
        signature: Some(signature),
        ..Signed::default()
    };
    verifier(public_url, &[TOKEN]).verify(&signed)
}

#[test]
fn the_configured_url_is_accepted_as_wss_with_and_without_443() {
    assert_eq!(verify("https://gw.example.com", "/twilio", PLAIN), Ok(()));
    assert_eq!(
        verify("https://gw.example.com", "/twilio", PORT_443),
        Ok(())
    );
    assert_eq!(
        verify("https://gw.example.com:443/", "/twilio", PLAIN),
        Ok(())
    );
    assert_eq!(verify("wss://gw.example.com", "/twilio", PLAIN), Ok(()));
}

#[test]
fn another_port_scheme_or_path_is_rejected() {
    for signature in [PORT_80, SLASH, HTTPS, PORT_8443] {
        assert_eq!(
            verify("https://gw.example.com", "/twilio", signature),
            Err(BadSignature::Mismatch)
        );
    }
    assert_eq!(verify("https://gw.example.com", "/twilio/", SLASH), Ok(()));
    assert_eq!(
        verify("https://gw.example.com", "/twilio/", PLAIN),
        Err(BadSignature::Mismatch)
    );
}

#[test]
fn a_port_is_accepted_if_it_is_the_configured_one() {
    assert_eq!(
        verify("https://gw.example.com:8443", "/twilio", PORT_8443),
        Ok(())
    );
    assert_eq!(
        verify("https://gw.example.com:8443", "/twilio", PLAIN),
        Ok(())
    );
    for signature in [PORT_443, PORT_80] {
        let verdict = verify("https://gw.example.com:8443", "/twilio", signature);
        assert_eq!(verdict, Err(BadSignature::Mismatch));
    }
}

#[test]
fn a_path_of_the_public_url_is_part_of_it() {
    assert_eq!(verify("https://gw.example.com/twilio/", "", PLAIN), Ok(()));
    assert_eq!(
        socket_base(&Url::parse("https://gw.example.com/a/").unwrap()),
        "wss://gw.example.com/a"
    );
    assert_eq!(
        socket_base(&Url::parse("http://[::1]:8080").unwrap()),
        "ws://[::1]:8080"
    );
}

#[test]
fn a_form_is_signed_in_the_order_of_its_names() {
    let form = [
        ("To", "+18005551212"),
        ("CallSid", "CA1234567890ABCDE"),
        ("From", "+12349013030"),
        ("Caller", "+12349013030"),
        ("Digits", "1234"),
        ("Digits", "1234"),
    ];
    let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
    assert_eq!(compute("12345", url, &form), "0/KCTR6DLpKmkAf8muzZqo1nDgQ=");
}

#[test]
fn each_of_several_tokens_signs() {
    let verifier = verifier("https://gw.example.com", &["another", TOKEN]);
    for token in ["another", TOKEN] {
        let signature = compute(token, "wss://gw.example.com/twilio", &[]);
        let signed = Signed {
            path: "/twilio",
            signature: Some(&signature),
            ..Signed::default()
        };
        assert_eq!(verifier.verify(&signed), Ok(()));
    }
    let signature = compute("a third", "wss://gw.example.com/twilio", &[]);
    let signed = Signed {
        path: "/twilio",
        signature: Some(&signature),
        ..Signed::default()
    };
    assert_eq!(verifier.verify(&signed), Err(BadSignature::Mismatch));
}

#[test]
fn the_query_may_be_signed_or_not() {
    let verifier = verifier("https://gw.example.com", &[TOKEN]);
    for url in [
        "wss://gw.example.com/twilio",
        "wss://gw.example.com/twilio?token=x",
    ] {
        let signature = compute(TOKEN, url, &[]);
        let signed = Signed {
            path: "/twilio",
            query: Some("token=x"),
            signature: Some(&signature),
            settings: None,
        };
        assert_eq!(verifier.verify(&signed), Ok(()));
    }
}

#[test]
fn no_signature_is_no_signature() {
    let verifier = verifier("https://gw.example.com", &[TOKEN]);
    for signature in [None, Some(""), Some("  ")] {
        let signed = Signed {
            path: "/twilio",
            signature,
            ..Signed::default()
        };
        assert_eq!(verifier.verify(&signed), Err(BadSignature::Missing));
    }
    for signature in ["=", "ggMmViUp0g9CYyRDmhN00z0Pc2E", "\u{e9}", "ggMm"] {
        let verdict = verify("https://gw.example.com", "/twilio", signature);
        assert_eq!(verdict, Err(BadSignature::Mismatch));
    }
    let nobody = Verifier::new(&Url::parse("https://gw.example.com").unwrap(), &[], &[]);
    let signed = Signed {
        path: "/twilio",
        signature: Some(PLAIN),
        ..Signed::default()
    };
    assert_eq!(nobody.verify(&signed), Err(BadSignature::Mismatch));
}

#[test]
fn a_shared_key_signs_with_sha256() {
    let verifier = verifier("https://gw.example.com", &[TOKEN]);
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"shared");
    let signature = payload::encode(hmac::sign(&key, b"wss://gw.example.com/twilio").as_ref());
    let verify = |settings, signature: &str| {
        let signed = Signed {
            path: "/twilio",
            query: None,
            signature: Some(signature),
            settings: Some(settings),
        };
        verifier.verify(&signed)
    };
    assert_eq!(
        verify("key=webhooks_1,algorithm=HMAC_SHA256", &signature),
        Ok(())
    );
    assert_eq!(
        verify(" algorithm=hmac_sha256 , key=webhooks_1", &signature),
        Ok(())
    );
    assert_eq!(
        verify("key=webhooks_1,algorithm=HMAC_SHA256", PLAIN),
        Err(BadSignature::Mismatch)
    );
    assert_eq!(verify("key=webhooks_1,algorithm=HMAC_SHA1", PLAIN), Ok(()));
    assert_eq!(verify("key=webhooks_1", PLAIN), Ok(()));
    assert_eq!(verify("", PLAIN), Ok(()));
    for settings in [
        "key=webhooks_2,algorithm=HMAC_SHA256",
        "algorithm=HMAC_SHA256",
        "key=webhooks_1,algorithm=HMAC_SHA512",
        "key=webhooks_1,algorithm=none",
    ] {
        assert_eq!(
            verify(settings, &signature),
            Err(BadSignature::Unknown),
            "{settings}"
        );
    }
}

proptest! {
    #[test]
    fn what_is_signed_is_accepted_and_nothing_else(
        path in "/[a-z0-9/._-]{0,30}",
        other in "/[a-z0-9/._-]{0,30}",
    ) {
        let signature = compute(TOKEN, &format!("wss://gw.example.com{path}"), &[]);
        prop_assert_eq!(verify("https://gw.example.com", &path, &signature), Ok(()));
        let verdict = verify("https://gw.example.com", &other, &signature);
        prop_assert_eq!(verdict.is_ok(), other == path);
    }
}
