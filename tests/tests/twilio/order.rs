//! T10: messages in the wrong order, and those that never come.

use rig::World;
use sim::caller::twilio::{Greeting, Side, Sids, TwilioCall, Writer};
use sim::speech::Role;

use crate::support::{
    SHORT_GOODBYE, Witness, close, closed, codes, counters, endings, frame, heard, until_metric,
};

async fn silent(world: &World) -> TwilioCall {
    world
        .dial_with(|options| options.greeting = Greeting::None)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn connected_is_not_needed() {
    let world = World::new().await;
    let mut call = world
        .dial_with(|options| options.greeting = Greeting::StartOnly)
        .await;
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    world.stop(&call).await;
    assert_eq!(world.heard(Role::Customer), ["customer-greeting"]);
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sounds_before_start_is_ignored() {
    let world = World::new().await;
    let mut call = silent(&world).await;
    let guid = call.call_sid().to_owned();
    call.send_connected().await.unwrap();
    for n in 0..25 {
        frame(&mut call, Side::Inbound, n * 20, &codes(n as usize, 160)).await;
    }
    let ignored = "antiphon_twilio_ignored_frames_total{reason=\"before_start\"}";
    until_metric(&world, ignored, |frames| frames == 25.0).await;
    assert!(world.call(&guid).await.is_null());
    call.send_start().await.unwrap();
    world.until_state(&guid, "idle").await;
    assert_eq!(counters(&world.call(&guid).await, "first")["received"], 0);
    world.start(&call).await;
    call.silence(std::time::Duration::from_millis(100))
        .await
        .unwrap();
    let all = |call: &serde_json::Value| counters(call, "first")["passed"] == 800;
    world.until_call(&guid, all).await;
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_is_repeated_changes_nothing() {
    let world = World::new().await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    let before = world.call(&guid).await;
    call.send_start().await.unwrap();
    world.say(&mut call, "customer-goodbye").await;
    assert_eq!(
        world.metric("antiphon_twilio_starts_repeated_total").await,
        1.0
    );
    let after = world.call(&guid).await;
    assert_eq!(before["legs"][0]["id"], after["legs"][0]["id"]);
    world.stop(&call).await;
    let phrases = ["customer-greeting", "customer-goodbye"];
    assert_eq!(heard(&world, &guid, Role::Customer), phrases);
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_for_another_call_closes_the_socket() {
    let world = World::with(SHORT_GOODBYE).await;
    let witness = Witness::of(&world).await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    let other = Writer::new(Sids::random(), Default::default());
    call.send_text(other.start(9, &Side::BOTH, &[]))
        .await
        .unwrap();
    assert_eq!(closed(&mut call).await, close(1008, "second_call"));
    world.until_state(&guid, "gone").await;
    assert!(world.call(&other.sids().call).await.is_null());
    let refused = ("refused".to_owned(), "client".to_owned());
    assert_eq!(endings(&world, &guid).await, [refused.clone(), refused]);
    witness.assert_unharmed(&world).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_without_a_start_is_closed() {
    let world = World::with(&format!("{SHORT_GOODBYE}start_timeout = \"100ms\"\n")).await;
    let mut mute = silent(&world).await;
    let mut chatty = silent(&world).await;
    chatty.send_connected().await.unwrap();
    frame(&mut chatty, Side::Inbound, 0, &[0xFF; 160]).await;
    for call in [&mut mute, &mut chatty] {
        assert_eq!(closed(call).await, close(1008, "no_start"));
    }
    let ended = "antiphon_twilio_sockets_ended_total{reason=\"no_start\"}";
    until_metric(&world, ended, |sockets| sockets == 2.0).await;
    assert_eq!(world.metric("antiphon_twilio_sockets").await, 0.0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_cannot_be_served_closes_the_socket_and_says_why() {
    let world = World::with(SHORT_GOODBYE).await;
    let format = |format: &str| {
        format!(r#"{{"event":"start","start":{{"callSid":"CA1","mediaFormat":{format}}}}}"#)
    };
    let cases = [
        (
            r#"{"event":"start","start":{}}"#.to_owned(),
            1008,
            "unnamed",
        ),
        (
            r#"{"event":"start","start":{"callSid":"a b"}}"#.to_owned(),
            1008,
            "unnamed",
        ),
        (
            r#"{"event":"start","start":{"callSid":null}}"#.to_owned(),
            1008,
            "unnamed",
        ),
        (format(r#"{"encoding":"audio/opus"}"#), 1003, "unsupported"),
        (
            format(r#"{"encoding":"audio/x-mulaw","sampleRate":16000}"#),
            1003,
            "unsupported",
        ),
        (
            format(r#"{"encoding":"audio/x-mulaw","channels":2}"#),
            1003,
            "unsupported",
        ),
    ];
    for (start, code, reason) in cases {
        let mut call = silent(&world).await;
        call.send_text(start.clone()).await.unwrap();
        assert_eq!(closed(&mut call).await, close(code, reason), "{start}");
    }
    for part in ["channels", "encoding", "rate"] {
        let series = format!("antiphon_twilio_unsupported_formats_total{{part=\"{part}\"}}");
        assert_eq!(world.metric(&series).await, 1.0, "{part}");
    }
    assert_eq!(world.metric("antiphon_twilio_legs_opened_total").await, 0.0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sounds_after_stop_is_ignored() {
    let world = World::new().await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    call.stop().await.unwrap();
    for n in 0..25 {
        frame(
            &mut call,
            Side::Inbound,
            60_000 + n * 20,
            &codes(n as usize, 160),
        )
        .await;
    }
    let ignored = "antiphon_twilio_ignored_frames_total{reason=\"after_stop\"}";
    until_metric(&world, ignored, |frames| frames == 25.0).await;
    world.until_state(&guid, "gone").await;
    assert_eq!(heard(&world, &guid, Role::Customer), ["customer-greeting"]);
    call.close().await.unwrap();
    world.end().await;
}
