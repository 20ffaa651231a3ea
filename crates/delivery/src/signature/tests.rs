use aws_lc_rs::signature::{ED25519, KeyPair, UnparsedPublicKey};
use http::HeaderMap;
use proptest::prelude::*;

use super::*;

const BODY: &[u8] = br#"{"type":"transcript"}"#;

fn secret(bytes: &[u8]) -> Private<String> {
    format!("whsec_{}", STANDARD.encode(bytes)).into()
}

fn signer(secrets: &[Private<String>]) -> Signer {
    Signer::new(secrets).unwrap()
}

fn headers(signature: &str, seconds: u64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", "msg_1".parse().unwrap());
    headers.insert("webhook-timestamp", seconds.into());
    headers.insert("webhook-signature", signature.parse().unwrap());
    headers
}

fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_secs()
}

#[test]
fn the_example_of_the_specification_comes_out() {
    let secret = Private::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
    let signature = signer(&[secret]).sign(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        br#"{"test": 2432232314}"#,
    );
    assert_eq!(
        signature.unwrap(),
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    );
}

#[test]
fn others_verify_what_we_sign_with_each_of_two_secrets() {
    let (old, new) = (secret(&[1; 24]), secret(&[2; 64]));
    let signature = signer(&[old.clone(), new.clone()])
        .sign("msg_1", now(), BODY)
        .unwrap();
    let headers = headers(&signature, now());
    for secret in [old, new] {
        let webhook = standardwebhooks::Webhook::new(secret.reveal()).unwrap();
        webhook.verify(BODY, &headers).unwrap();
        assert!(webhook.verify(b"{}", &headers).is_err(), "another body");
    }
    let stranger = standardwebhooks::Webhook::new(secret(&[3; 24]).reveal()).unwrap();
    assert!(stranger.verify(BODY, &headers).is_err());
}

#[test]
fn an_ed25519_key_signs_with_or_without_its_public_half() {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let public = pair.public_key().as_ref();
    for bytes in [[7; 32].to_vec(), [&[7; 32], public].concat()] {
        let secret = format!("whsk_{}", STANDARD.encode(bytes));
        let signature = signer(&[secret.into()]).sign("msg_1", 5, b"hi").unwrap();
        let signature = STANDARD
            .decode(signature.strip_prefix("v1a,").unwrap())
            .unwrap();
        let public = UnparsedPublicKey::new(&ED25519, public);
        public.verify(b"msg_1.5.hi", &signature).unwrap();
    }
}

#[test]
fn a_secret_that_is_none_is_refused_with_its_number_and_without_its_text() {
    let good = secret(&[1; 24]);
    let too_short = secret(&[1; 23]);
    let halves = format!("whsk_{}", STANDARD.encode([7; 64])).into();
    let cases = [
        (Private::new("geheim".to_owned()), "must begin with"),
        (too_short, "fewer than 24 bytes"),
        (Private::new("whsec_geheim!".to_owned()), "not in base64"),
        (Private::new("whsk_AAAA".to_owned()), "32 bytes"),
        (halves, "halves do not match"),
    ];
    for (bad, why) in cases {
        let error = Signer::new(&[good.clone(), bad]).unwrap_err().to_string();
        assert!(
            error.starts_with("secret 2: ") && error.contains(why),
            "{error}"
        );
        assert!(!error.contains("geheim"));
    }
}

#[test]
fn without_a_secret_nothing_is_signed_and_keys_do_not_print() {
    assert_eq!(signer(&[]).sign("msg_1", 1, BODY), None);
    assert_eq!(
        format!("{:?}", signer(&[secret(&[1; 24])])),
        "Signer(1 keys)"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_body_and_any_key_verify(
        key in prop::collection::vec(any::<u8>(), 24..64),
        body in "\\PC{0,100}",
    ) {
        let secret = secret(&key);
        let signer = signer(std::slice::from_ref(&secret));
        let signature = signer.sign("msg_1", now(), body.as_bytes()).unwrap();
        let webhook = standardwebhooks::Webhook::new(secret.reveal()).unwrap();
        prop_assert!(webhook.verify(body.as_bytes(), &headers(&signature, now())).is_ok());
    }

    #[test]
    fn no_text_as_a_secret_panics(text in "(whsec_|whsk_|)[A-Za-z0-9+/=]{0,120}") {
        let has_prefix = text.starts_with("whsec_") || text.starts_with("whsk_");
        prop_assert!(has_prefix || Signer::new(&[text.into()]).is_err());
    }
}
