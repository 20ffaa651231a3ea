//! The same for calls that an SBC has recorded: who called whom is in every message of theirs.

use std::time::Duration;

use rig::{World, phrase};
use serde_json::json;
use sim::caller::siprec::{Edit, Like, Message, Options, RawDialog, Side, SiprecCall, Suite};
use sim::control::Start;

use crate::nothing_private_is_logged;
use crate::page::{self, AGENT, CUSTOMER, DIGIT, WORD, lines};

/// Whatever the equipment does not say of itself is taken.
const ANYBODY: &str = "[[siprec.trunks]]\nname = \"sbc\"\nsources = [\"127.0.0.0/8\"]\n\
    accept_anyway = true\nkeep = [\"aor\", \"name\"]\n\
    username = \"zanzibar\"\npassword = \"wrong-secret\"\n";

async fn world(more: &str) -> World {
    page::open();
    World::recording_with(&format!("{ANYBODY}{more}")).await
}

/// Private names of everybody, and in headers that nobody reads.
fn private(options: &mut Options, like: Like) {
    options.like = like;
    options.numbers = [CUSTOMER, "agent.smith", WORD].map(str::to_owned);
    let headers = [
        (
            "P-Asserted-Identity",
            format!("\"{WORD}\" <tel:{CUSTOMER}>"),
        ),
        ("X-Account", format!("{WORD};number={CUSTOMER}")),
        ("Subject", WORD.to_owned()),
    ];
    options.headers = headers
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
}

fn start(guid: &str) -> Start {
    Start {
        customer: CUSTOMER.to_owned(),
        agent: AGENT.to_owned(),
        more: json!({"autotranscribeParams": {"vocabulary": [{"phrase": WORD}]}}),
        ..Start::of(guid)
    }
}

/// A start, some of a secret, a key, a hold, a hand-over, a stop.
async fn talk(world: &World, call: &mut SiprecCall) {
    let start = start(&call.guid());
    let started = call.silence_while(world.api.start(&start)).await;
    assert!(started.unwrap().unwrap().is_ok());
    let secret = phrase("customer-code");
    call.say(Side::Customer, &secret.samples).await.unwrap();
    call.silence(Duration::from_millis(700)).await.unwrap();
    // Not every answer has keys.
    drop(call.dtmf(Side::Customer, DIGIT).await);
    call.hold().await.unwrap();
    call.resume().await.unwrap();
    call.transfer().await.unwrap();
    call.update_metadata().await.unwrap();
    let guid = call.guid();
    drop(call.silence_while(world.try_stop(&guid)).await);
}

async fn tells_nobody(like: Like, srtp: Option<Suite>) {
    let world = world("").await;
    let change = |options: &mut Options| {
        private(options, like);
        options.srtp = srtp;
    };
    let mut call = world.record_with(change).await;
    let guid = call.guid();
    talk(&world, &mut call).await;
    let crypto: Vec<String> = call
        .answer()
        .lines
        .iter()
        .flat_map(|line| &line.crypto)
        .map(|crypto| crypto.line())
        .collect();
    assert_eq!(crypto.is_empty(), srtp.is_none());
    call.hang_up().await.unwrap();
    world.until_state(&guid, "gone").await;
    world.end().await;
    nothing_private_is_logged(&guid);
    for line in lines() {
        assert!(
            !line.contains("inline:") && !line.contains("a=crypto"),
            "{line}"
        );
        let key = |crypto: &String| crypto.rsplit([':', ' ']).next().map(str::to_owned);
        let leak = crypto.iter().filter_map(key).find(|key| line.contains(key));
        assert_eq!(leak, None, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sbc_of_any_make_is_told_of_without_its_numbers() {
    page::open();
    let calls = Like::ALL.map(|like| Box::pin(tells_nobody(like, None)));
    futures_util::future::join_all(calls).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_encrypted_lines_are_told_to_nobody() {
    tells_nobody(Like::Plain, Some(Suite::AesCm128HmacSha1_80)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sbcs_that_are_no_good() {
    let world = world("").await;
    let broken = Edit::new(|message: &mut Message| {
        let body = String::from_utf8_lossy(&message.body).into_owned();
        message.body = body.replace("</participant>", CUSTOMER).into_bytes();
    });
    let change = |options: &mut Options| {
        private(options, Like::Plain);
        options.edit = Some(broken);
    };
    let call = world.record_with(change).await;
    let guid = call.guid();
    let mut raw = RawDialog::open(&world.recording_options()).await.unwrap();
    for body in [
        format!("v=0\r\no=- 1 1 IN IP4 {WORD}\r\ns={CUSTOMER}\r\nm=audio {WORD} RTP/AVP 0\r\n"),
        format!("{WORD} {CUSTOMER}"),
        format!("v=0\r\ns={WORD}\r\nm={WORD} 9 RTP/AVP 0\r\ni={CUSTOMER}\r\n"),
    ] {
        let mut invite = raw.invite("application/sdp", body.as_bytes());
        invite.set(
            "From",
            &format!("\"{WORD}\" <sip:{CUSTOMER}@127.0.0.1>;tag=1"),
        );
        invite.set("To", &format!("\"{WORD}\" <sip:{AGENT}>"));
        raw.send(&invite).await.unwrap();
        let answer = raw.answer(Duration::from_secs(20)).await.unwrap();
        assert!((400..500).contains(&answer.status()), "{answer:?}");
        let ack = raw.ack(&invite, &answer);
        raw.send(&ack).await.unwrap();
    }
    for bytes in [
        format!("INVITE sip:{CUSTOMER}@x SIP/2.0\r\n{WORD}\r\n\r\n"),
        format!("{WORD} sip:{CUSTOMER}@x SIP/2.0\r\nVia: {WORD}\r\n\r\n"),
        format!("INVITE tel:{CUSTOMER} SIP/2.0\r\nFrom: <tel:{CUSTOMER}>\r\nCSeq: {WORD}\r\n\r\n"),
    ] {
        let mut raw = RawDialog::open(&world.recording_options()).await.unwrap();
        raw.send_bytes(bytes.as_bytes()).await.unwrap();
        drop(raw.receive(Duration::from_millis(200)).await);
    }
    call.hang_up().await.unwrap();
    world.until_state(&guid, "gone").await;
    world.end().await;
    nothing_private_is_logged(&guid);
}

#[tokio::test(flavor = "multi_thread")]
async fn sbcs_that_refuse_are_told_of_without_their_numbers() {
    let inactive = ANYBODY.replace("accept_anyway", "answer = \"inactive\"\naccept_anyway");
    page::open();
    let world = World::recording_with(&inactive).await;
    let mut call = world
        .record_with(|options| private(options, Like::Plain))
        .await;
    let guid = call.guid();
    for status in [401, 407, 488, 500] {
        call.refuse("INVITE", status);
        let start = start(&guid);
        let started = call.silence_while(world.api.start(&start)).await;
        assert!(!started.unwrap().unwrap().is_ok());
        drop(call.silence_while(world.try_stop(&guid)).await);
        call.silence_while(world.until_state(&guid, "idle"))
            .await
            .unwrap();
    }
    call.hang_up().await.unwrap();
    world.until_state(&guid, "gone").await;
    world.end().await;
    nothing_private_is_logged(&guid);
}
