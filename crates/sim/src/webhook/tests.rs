use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::signature::{Forgery, verify};
use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The example of the standard: who, when, what, and its signature.
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const AT: u64 = 1_614_265_330;
const BODY: &str = r#"{"test": 2432232314}"#;
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

fn headers(id: &str, at: u64, signature: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", id.parse().unwrap());
    headers.insert("webhook-timestamp", at.to_string().parse().unwrap());
    headers.insert("webhook-signature", signature.parse().unwrap());
    headers
}

fn sign(secret: &str, id: &str, at: u64, body: &str) -> String {
    let bytes = STANDARD.decode(secret.split_once('_').unwrap().1).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
    let signed = format!("{id}.{at}.{body}");
    format!(
        "v1,{}",
        STANDARD.encode(hmac::sign(&key, signed.as_bytes()))
    )
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

#[test]
fn the_signature_of_the_standard_is_good_and_so_is_one_among_several() {
    let secret: Secret = SECRET.parse().unwrap();
    for signature in [
        SIGNATURE.to_owned(),
        format!("v1,aGVsbG8= v2,x {SIGNATURE}"),
    ] {
        let signed = verify(
            std::slice::from_ref(&secret),
            &headers(ID, AT, &signature),
            BODY.as_bytes(),
            AT,
        );
        let signed = signed.unwrap();
        assert_eq!((signed.id.as_str(), signed.at_unix_s), (ID, AT));
        assert_eq!(signed.by, [0]);
    }
}

#[test]
fn the_secret_that_has_signed_is_told() {
    let other = format!("whsec_{}", STANDARD.encode([7; 32]));
    let secrets = [other.parse().unwrap(), SECRET.parse().unwrap()];
    let by = |signature: &str| {
        verify(&secrets, &headers(ID, AT, signature), BODY.as_bytes(), AT).map(|signed| signed.by)
    };
    let both = format!("{SIGNATURE} {}", sign(&other, ID, AT, BODY));
    assert_eq!(by(&both), Ok(vec![0, 1]));
    assert_eq!(by(SIGNATURE), Ok(vec![1]));
}

#[test]
fn a_public_key_verifies_what_the_private_one_signed() {
    let pair = Ed25519KeyPair::generate().unwrap();
    let public = format!("whpk_{}", STANDARD.encode(pair.public_key()));
    let signature = STANDARD.encode(pair.sign(format!("{ID}.{AT}.{BODY}").as_bytes()));
    let secrets = [public.parse().unwrap()];
    let good = headers(ID, AT, &format!("v1a,{signature}"));
    assert!(verify(&secrets, &good, BODY.as_bytes(), AT).is_ok());
    let version = headers(ID, AT, &format!("v1,{signature}"));
    let refused = verify(&secrets, &version, BODY.as_bytes(), AT);
    assert_eq!(refused, Err(Forgery::Mismatch));
}

#[test]
fn anything_that_was_changed_is_a_forgery() {
    let secrets = [SECRET.parse().unwrap()];
    let verify = |headers: &HeaderMap, body: &str| verify(&secrets, headers, body.as_bytes(), AT);
    let good = headers(ID, AT, SIGNATURE);
    assert!(verify(&good, BODY).is_ok());
    assert_eq!(verify(&good, "{}"), Err(Forgery::Mismatch));
    for changed in [
        headers("msg_q", AT, SIGNATURE),
        headers(ID, AT + 1, SIGNATURE),
        headers(ID, AT, &SIGNATURE.replace("v1,", "v1a,")),
        headers(ID, AT, "v1,"),
        headers(ID, AT, "v1"),
    ] {
        assert_eq!(verify(&changed, BODY), Err(Forgery::Mismatch));
    }
    let mut stale = headers(ID, AT - 301, &sign(SECRET, ID, AT - 301, BODY));
    assert_eq!(verify(&stale, BODY), Err(Forgery::Stale(301)));
    stale.remove("webhook-timestamp");
    let missing = Forgery::Header("webhook-timestamp");
    assert_eq!(verify(&stale, BODY), Err(missing));
    for secret in ["whsec_AAAA", "whsec_%", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
        assert!(secret.parse::<Secret>().is_err(), "{secret}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_body_but_the_signed_one_is_good(body: String, other: String) {
        let secrets = [SECRET.parse().unwrap()];
        let headers = headers(ID, AT, &sign(SECRET, ID, AT, &body));
        prop_assert!(verify(&secrets, &headers, body.as_bytes(), AT).is_ok());
        let is_good = verify(&secrets, &headers, other.as_bytes(), AT).is_ok();
        prop_assert_eq!(is_good, body == other);
    }

    #[test]
    fn any_body_is_read_or_refused(media_type in 0..4_usize, body: Vec<u8>) {
        let media_type = [
            "application/json", "application/cloudevents+json; charset=utf-8",
            "application/cloudevents-batch+json", "text/plain",
        ][media_type];
        let read = event::read(media_type, ID, &body);
        prop_assert!(read.is_err() || serde_json::from_slice::<Value>(&body).is_ok());
    }
}

fn asapp(guid: &str, text: &str) -> Value {
    json!({
        "type": "transcript", "externalConversationId": guid, "streamId": "s",
        "sender": {"externalId": "c", "role": "customer"},
        "autotranscribeResponse": {
            "message": "transcript", "start": 400, "end": 3968, "utterance": [{"text": text}],
        },
    })
}

fn told(seq: u64, text: &str) -> Value {
    json!({
        "id": "01J", "seq": seq, "conversation": {"namespace": "twilio", "guid": "CA1"},
        "type": "transcript", "sender": {"role": "agent"}, "startMs": 1, "endMs": 2,
        "alternatives": [{"text": text}],
    })
}

fn cloud_event(id: &str, seq: u64) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/antiphon/twilio/CA1",
        "type": "antiphon.transcript.final.v1",
        "time": "2026-01-01T00:00:00Z", "partitionkey": "twilio/CA1", "sequence": format!("{seq:020}"),
        "data": told(seq, "Hello."),
    })
}

#[test]
fn each_form_says_the_same() {
    let envelope =
        json!({"type": "transcript.final", "timestamp": "now", "data": told(7, "Hello.")});
    let read = |media_type, body: Value| {
        let events = event::read(media_type, ID, body.to_string().as_bytes()).unwrap();
        let each = events.into_iter().map(|event| {
            assert!(event.is_final());
            (event.format, event.id, event.seq, event.text.unwrap())
        });
        each.collect::<Vec<_>>()
    };
    let hello = |format, id: &str, seq| (format, id.to_owned(), seq, "Hello.".to_owned());
    assert_eq!(
        read("application/json", asapp("CA1", "Hello.")),
        [hello(Format::Asapp, ID, None)]
    );
    assert_eq!(
        read("application/json; charset=utf-8", envelope),
        [hello(Format::Envelope, ID, Some(7))]
    );
    assert_eq!(
        read("application/cloudevents+json", cloud_event(ID, 7)),
        [hello(Format::CloudEvents, ID, Some(7))]
    );
    let batch = json!([cloud_event("msg_1", 7), cloud_event("msg_2", 8)]);
    assert_eq!(
        read("application/cloudevents-batch+json", batch),
        [
            hello(Format::CloudEventsBatch, "msg_1", Some(7)),
            hello(Format::CloudEventsBatch, "msg_2", Some(8))
        ]
    );
    for broken in [json!({}), json!([]), json!({"data": {}}), Value::Null] {
        let read = event::read("application/json", ID, broken.to_string().as_bytes());
        assert!(read.is_err(), "{broken}");
    }
}

/// Sends what a gateway would send; the status, or that there was none.
async fn deliver(receiver: &Receiver, id: &str, body: &Value) -> Option<u16> {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let (at, body) = (now(), body.to_string());
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let sent = client
        .post(receiver.url())
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", at)
        .header("webhook-signature", sign(SECRET, id, at, &body))
        .body(body)
        .send()
        .await;
    sent.ok().map(|answer| answer.status().as_u16())
}

async fn receiver(faults: Faults) -> Receiver {
    let settings = Settings {
        secrets: vec![SECRET.parse().unwrap()],
        faults,
        ..Settings::default()
    };
    Receiver::spawn(settings).await.unwrap()
}

#[tokio::test]
async fn each_event_is_taken_once_and_its_order_is_looked_at() {
    let receiver = receiver(Faults::default()).await;
    for (id, text) in [("msg_3", "Three."), ("msg_3", "Three."), ("msg_2", "Two.")] {
        assert_eq!(deliver(&receiver, id, &asapp("CA1", text)).await, Some(200));
    }
    let elsewhere = deliver(&receiver, "msg_1", &asapp("CA2", "One.")).await;
    assert_eq!(elsewhere, Some(200));
    let counts = Counts {
        deliveries: 4,
        taken: 3,
        twice: 1,
        out_of_order: 1,
        ..Counts::default()
    };
    assert_eq!(receiver.counts(), counts);
    let texts: Vec<_> = receiver
        .finals()
        .into_iter()
        .map(|event| event.text)
        .collect();
    assert_eq!(
        texts,
        ["Three.", "Two.", "One."].map(|text| Some(text.into()))
    );
    assert_eq!(receiver.complaints(), ["msg_2 came behind msg_3"]);
    receiver.stop().await;
}

#[tokio::test]
async fn what_is_forged_or_no_event_is_not_taken() {
    let receiver = receiver(Faults::default()).await;
    assert_eq!(
        deliver(&receiver, "a.b", &asapp("CA1", "x")).await,
        Some(401)
    );
    assert_eq!(deliver(&receiver, "msg_1", &json!({})).await, Some(400));
    let counts = receiver.counts();
    assert_eq!((counts.forged, counts.unreadable, counts.taken), (1, 1, 0));
}

#[tokio::test]
async fn a_header_and_a_parameter_are_asked_for() {
    let settings = Settings {
        secrets: vec![SECRET.parse().unwrap()],
        header: Some(("x-key".to_owned(), "1".to_owned())),
        parameter: Some(("key".to_owned(), "2 3".to_owned())),
        ..Settings::default()
    };
    let receiver = Receiver::spawn(settings).await.unwrap();
    assert_eq!(
        deliver(&receiver, "msg_1", &asapp("CA1", "x")).await,
        Some(401)
    );
    let (at, body) = (now(), asapp("CA1", "x").to_string());
    let ask = |query: &str| {
        let ask = reqwest::Client::new().post(format!("{}?{query}", receiver.url()));
        ask.header("x-key", "1")
            .header("content-type", "application/json")
            .header("webhook-id", "msg_1")
            .header("webhook-timestamp", at)
            .header("webhook-signature", sign(SECRET, "msg_1", at, &body))
            .body(body.clone())
            .send()
    };
    assert_eq!(ask("key=2").await.unwrap().status(), 401);
    assert_eq!(ask("a=b&key=2%203").await.unwrap().status(), 200);
    assert_eq!(receiver.counts().forged, 2);
}

#[tokio::test]
async fn each_fault_looks_as_it_should() {
    let receiver = receiver(Faults::times(Fault::Status(503), 1)).await;
    let event = asapp("CA1", "x");
    assert_eq!(deliver(&receiver, "msg_1", &event).await, Some(503));
    assert_eq!(deliver(&receiver, "msg_1", &event).await, Some(200));
    for (fault, status, taken) in [
        (Fault::Gone, Some(410), 1),
        (Fault::Redirect, Some(307), 1),
        (Fault::TooMany(Duration::from_secs(3)), Some(429), 1),
        (Fault::Reset, None, 1),
        (Fault::LoseAnswer, None, 2),
    ] {
        receiver.set_faults(Faults::always(fault));
        let answer = deliver(&receiver, "msg_2", &event).await;
        assert_eq!(
            (answer, receiver.counts().taken),
            (status, taken),
            "{fault:?}"
        );
    }
    receiver.set_faults(Faults {
        only: Some("CA2".to_owned()),
        ..Faults::always(Fault::Gone)
    });
    assert_eq!(deliver(&receiver, "msg_3", &event).await, Some(200));
    assert_eq!(receiver.counts().followed, 0);
}

#[tokio::test]
async fn a_receiver_that_is_down_comes_back_where_it_was_and_knows_what_it_took() {
    let mut receiver = receiver(Faults::default()).await;
    let event = asapp("CA1", "x");
    assert_eq!(deliver(&receiver, "msg_1", &event).await, Some(200));
    let url = receiver.url();
    receiver.close().await;
    assert_eq!(deliver(&receiver, "msg_2", &event).await, None);
    receiver.open().await.unwrap();
    assert_eq!(receiver.url(), url);
    assert_eq!(deliver(&receiver, "msg_1", &event).await, Some(200));
    assert_eq!(receiver.counts().twice, 1);
}

#[tokio::test]
async fn who_does_not_answer_answers_when_it_ends() {
    let mut receiver = receiver(Faults::always(Fault::Stall)).await;
    let event = asapp("CA1", "x");
    let end = async {
        let stalled = receiver
            .desk
            .ledger
            .wait_until(|| receiver.counts().faults == 1);
        stalled.await;
        receiver.open.clone().unwrap().cancel();
    };
    let (answer, ()) = tokio::join!(deliver(&receiver, "msg_1", &event), end);
    assert_eq!(answer, Some(503));
    receiver.close().await;
    assert_eq!(receiver.counts().taken, 0);
}

#[test]
fn random_faults_are_the_same_again_and_about_as_many_as_wished_for() {
    let draw = |seed| {
        let mut faults = Faults::random(20, seed);
        (0..1000)
            .map(|nth| faults.next(nth, "CA1"))
            .collect::<Vec<_>>()
    };
    let (one, other) = (draw(1), draw(2));
    assert_eq!(one, draw(1));
    assert_ne!(one, other);
    let struck = one.iter().flatten().count();
    assert!((150..250).contains(&struck), "{struck}");
}

#[test]
fn switches_are_read() {
    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        args: args::WebhookArgs,
    }
    let settings = |switches: &str| {
        let words = std::iter::once("sim").chain(switches.split_whitespace());
        let program: Program = clap::Parser::try_parse_from(words).map_err(drop)?;
        Ok::<_, ()>(program.args.settings())
    };
    let usual = settings("").unwrap();
    assert_eq!((usual.faults, usual.secrets.len()), (Faults::default(), 0));
    let broken = settings(&format!("--secret {SECRET} --status 500 --status-for 3")).unwrap();
    assert_eq!(broken.faults, Faults::times(Fault::Status(500), 3));
    let random = settings("--fail-rate 0.2 --seed 7 --header x=y --slow 100").unwrap();
    assert_eq!(random.faults.random, Faults::random(20, 7).random);
    assert_eq!(random.faults.slow_bytes_per_second, Some(100));
    assert_eq!(random.header, Some(("x".to_owned(), "y".to_owned())));
    for wrong in [
        "--stall --gone",
        "--secret x",
        "--fail-rate 2",
        "--header x",
    ] {
        assert!(settings(wrong).is_err(), "{wrong}");
    }
}
