//! T8, T9: payloads of all lengths, and messages spelt in all ways.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rig::World;
use rig::told::of;
use serde_json::json;
use sim::caller::twilio::{Counters, Side, TwilioCall};
use sim::speech::Role;

use crate::support::{
    SHORT_GOODBYE, Witness, assert_same, close, closed, codes, counters, decoded, endings, frame,
    heard, sound, until_metric,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_may_have_any_length() {
    let world = World::new().await;
    let mut call = world
        .dial_with(|options| options.sides = vec![Side::Inbound])
        .await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    let mut position = 0;
    for length in [1, 80, 320, 8_000, 7, 160, 1, 1, 24_000, 161, 80] {
        frame(
            &mut call,
            Side::Inbound,
            52 + position as u64 / 8,
            &codes(length, length),
        )
        .await;
        position += length;
    }
    world.arrived(&call).await;
    assert_eq!(
        counters(&world.call(&guid).await, "first")["passed"],
        position
    );
    world.stop(&call).await;
    assert_same(
        &sound(&world, &guid, Role::Customer),
        &decoded(&call.sent(Side::Inbound).tape),
    );
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_code_is_heard_as_its_sample() {
    let world = World::new().await;
    let mut call = world
        .dial_with(|options| options.sides = vec![Side::Inbound])
        .await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    let all: Vec<u8> = (0..=255).collect();
    frame(&mut call, Side::Inbound, 52, &all).await;
    world.arrived(&call).await;
    world.stop(&call).await;
    let heard = sound(&world, &guid, Role::Customer);
    assert_same(&heard, &decoded(&all));
    assert_eq!(
        [heard[0x00], heard[0x80], heard[0x7F], heard[0xFF]],
        [-32_124, 32_124, 0, 0]
    );
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_or_broken_payload_is_counted_and_skipped() {
    let world = World::new().await;
    let mut call = world
        .dial_with(|options| options.sides = vec![Side::Inbound])
        .await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    for payload in [
        "",
        "A",
        "/w=!",
        "\u{e9}\u{e9}",
        "====",
        "\\u0000\\u0000\\u0000\\u0000",
    ] {
        let text = format!(
            r#"{{"event":"media","media":{{"track":"inbound","timestamp":"9","payload":"{payload}"}}}}"#
        );
        call.send_text(text).await.unwrap();
    }
    world.say(&mut call, "customer-goodbye").await;
    let bad = "antiphon_twilio_bad_messages_total{kind=\"base64\"}";
    assert_eq!(world.metric(bad).await, 5.0);
    world.stop(&call).await;
    assert_eq!(
        heard(&world, &guid, Role::Customer),
        ["customer-greeting", "customer-goodbye"]
    );
    assert_same(
        &sound(&world, &guid, Role::Customer),
        &decoded(&call.sent(Side::Inbound).tape),
    );
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_a_megabyte_ends_its_call_and_no_other() {
    let world = World::with(SHORT_GOODBYE).await;
    let witness = Witness::of(&world).await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    let payload = "/".repeat(1 << 20);
    let text = format!(
        r#"{{"event":"media","media":{{"track":"inbound","timestamp":"52","payload":"{payload}"}}}}"#
    );
    // The gateway may have closed before all of it was sent.
    let _sent = call.send_text(text).await;
    assert_eq!(closed(&mut call).await, close(1009, "too_large"));
    world.until_state(&guid, "gone").await;
    let refused = ("refused".to_owned(), "client".to_owned());
    assert_eq!(endings(&world, &guid).await, [refused.clone(), refused]);
    let ended = "antiphon_twilio_sockets_ended_total{reason=\"too_large\"}";
    until_metric(&world, ended, |sockets| sockets == 1.0).await;
    // What was heard before is not lost with it.
    assert_eq!(heard(&world, &guid, Role::Customer), ["customer-greeting"]);
    witness.assert_unharmed(&world).await;
    until_metric(&world, "antiphon_twilio_sockets", |sockets| sockets == 0.0).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_unknown_fields_and_unknown_events_are_taken_as_they_come() {
    let world = World::new().await;
    let mut call = world
        .dial_with(|options| options.counters = Counters::Numbers)
        .await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    let next_ms = 52 + call.media_time().as_millis();
    let strange = format!(
        r#"{{"sequence_number":9999,"more":{{"deep":[1,{{}}]}},"media":{{"payload":"/////w==",
            "timestamp":"{next_ms}.0","volume":3,"track":"inbound_track"}},"event":"media",
            "stream_id":"x"}}"#
    );
    call.send_text(strange).await.unwrap();
    for text in [
        r#"{"event":"voicemail","sequenceNumber":7}"#,
        r#"{"event":"clear","streamSid":null,"sequenceNumber":"x"}"#,
        r#"{"event":"connected"}"#,
    ] {
        call.send_text(text.to_owned()).await.unwrap();
    }
    call.mark("played").await.unwrap();
    call.dtmf('5').await.unwrap();
    world.say(&mut call, "customer-goodbye").await;
    world.stop(&call).await;
    assert_eq!(
        heard(&world, &guid, Role::Customer),
        ["customer-greeting", "customer-goodbye"]
    );
    let messages = |event| format!("antiphon_twilio_messages_total{{event=\"{event}\"}}");
    for (event, count) in [
        ("unknown", 2.0),
        ("connected", 2.0),
        ("mark", 1.0),
        ("dtmf", 1.0),
    ] {
        assert_eq!(world.metric(&messages(event)).await, count, "{event}");
    }
    for kind in ["base64", "binary", "json", "shape", "track"] {
        let bad = format!("antiphon_twilio_bad_messages_total{{kind=\"{kind}\"}}");
        assert_eq!(world.metric(&bad).await, 0.0, "{kind}");
    }
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_never_says_a_word() {
    let world = World::new().await;
    let mut call = world.dial().await;
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    world.stop(&call).await;
    world.start(&call).await;
    call.mark("x").await.unwrap();
    call.dtmf('1').await.unwrap();
    world.say(&mut call, "agent-greeting").await;
    call.stop().await.unwrap();
    world.until_state(call.call_sid(), "gone").await;
    // Whatever was sent before, a frame later it has been read.
    assert_eq!(call.closed(Duration::from_millis(1)).await, None);
    assert_eq!(call.messages_heard(), 0);
    let closed = call.close().await.unwrap();
    assert_eq!(closed, close(1000, ""));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pressed_key_is_told_behind_an_open_gate_and_never_logged() {
    let log = Log::default();
    let written = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("info,call=trace,gateway=trace,ingress=trace,upstream=trace")
        .with_writer(move || written.clone())
        .finish();
    // For this one story: the gateway logs from threads that the story does not know.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let world = World::new().await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.until_state(&guid, "idle").await;
    let press = async |call: &mut TwilioCall, keys: &str| {
        for key in keys.chars() {
            call.dtmf(key).await.unwrap();
        }
        // What is no key is nothing either, wherever it stands.
        for part in ["\"k7e3y\"", "{\"digit\":\"k7e3y\"}", "{\"digit\":\"k7e3y\""] {
            let text = format!("{{\"event\":\"dtmf\",\"dtmf\":{part}}}");
            call.send_text(text).await.unwrap();
        }
        frame(
            call,
            Side::Inbound,
            call.media_time().as_millis() as u64,
            &[0xff; 160],
        )
        .await;
        world.arrived(&*call).await;
    };
    press(&mut call, "407").await;
    world.start(&call).await;
    press(&mut call, "*2#").await;
    world.pause(&call).await;
    press(&mut call, "193").await;
    world.resume(&call).await;
    press(&mut call, "8").await;
    world.stop(&call).await;
    press(&mut call, "5555").await;
    let told = world.told(&guid).await;
    let keys: String = of(&told, "dtmf", "customer")
        .iter()
        .map(|event| {
            assert_eq!(
                (&event["side"], &event["durationMs"]),
                (&json!("first"), &json!(null))
            );
            event["key"].as_str().unwrap()
        })
        .collect();
    assert_eq!(keys, "*2#8");
    assert_eq!(of(&told, "dtmf", "").len(), 4, "{told:#?}");
    for (series, count) in [("pressed", 4.0), ("untold", 0.0)] {
        let series = format!("antiphon_twilio_keys_{series}_total");
        until_metric(&world, &series, |told| told == count).await;
    }
    call.hang_up().await.unwrap();
    world.until_state(&guid, "gone").await;
    assert!(
        told.iter()
            .all(|event| !event.to_string().contains("k7e3y"))
    );
    let log = log.text();
    assert!(log.contains(&guid), "the log is of this call");
    for unsaid in ["k7e3y", "dtmf", "digit", "Pressed", "*2#"] {
        assert!(!log.contains(unsaid), "{unsaid}");
    }
    world.end().await;
}

/// All that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
