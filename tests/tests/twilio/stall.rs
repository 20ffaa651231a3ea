//! T16: a speech service that does not take what it is sent.

use std::time::Duration;

use rig::{World, phrase, service_config};
use serde_json::Value;
use sim::caller::twilio::Side;
use sim::service::autotranscribe::Config;
use sim::service::autotranscribe::faults::Cut;
use sim::speech::Role;

use crate::support::{Witness, counters, events_of, heard, sound, streams};

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_service_costs_the_oldest_sound_and_neither_the_socket_nor_the_call() {
    // Small buffers, so that a stall is felt at once.
    let service = Config {
        receive_buffer_bytes: Some(4 << 10),
        ..service_config()
    };
    let limits = "[upstream]\nbacklog_max = \"8s\"\nstall_timeout = \"30s\"\n\
                  write_buffer_bytes_max = \"32KiB\"\n";
    let world = World::with_service(service, limits).await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    let told = |streams: &[sim::service::autotranscribe::record::Recorded]| {
        streams.iter().any(|stream| !stream.transcripts.is_empty())
    };
    world.until_heard(told).await;
    for stream in 0..2 {
        assert!(
            world
                .service
                .inflict(stream, Cut::Stall(Duration::from_secs(4)))
        );
    }
    // Another call, whose streams are well.
    let witness = Witness::of(&world).await;
    call.silence(Duration::from_secs(45)).await.unwrap();
    // All of it is read although nobody takes it.
    world.arrived(&call).await;
    let taken =
        |streams: &[sim::service::autotranscribe::record::Recorded]| streams[0].audio_bytes / 2;
    assert!(world.service.with_streams(taken) < call.sent(Side::Inbound).samples);
    let waits = |call: &Value| {
        let streams = call["streams"].as_array().unwrap();
        streams
            .iter()
            .all(|stream| stream["waitingSamples"].as_u64() <= Some(8 * 8_000 + 800))
    };
    assert!(waits(&world.call(&guid).await));
    witness.assert_unharmed(&world).await;
    // The service takes sound again.
    world
        .until_heard(|streams| {
            streams[..2]
                .iter()
                .all(|stream| stream.audio_bytes > 2 * 8_000 * 2)
        })
        .await;
    let drained = |call: &Value| {
        let streams = call["streams"].as_array().unwrap();
        streams
            .iter()
            .all(|stream| stream["waitingSamples"].as_u64() < Some(800))
    };
    world.until_call(&guid, drained).await;
    world.say(&mut call, "customer-goodbye").await;
    let stopped = world.stop(&call).await;
    assert_eq!(
        heard(&world, &guid, Role::Customer),
        ["customer-greeting", "customer-goodbye"]
    );
    assert_books_balance(&world, &guid, stopped.confirmed_bytes("customer").unwrap()).await;
    call.hang_up().await.unwrap();
    world.end().await;
}

/// What passed the gate was heard, or told as a gap.
async fn assert_books_balance(world: &World, guid: &str, confirmed_bytes: u64) {
    let gaps = events_of(world, guid, "gap").await;
    let of_customer = gaps.iter().filter(|gap| gap["role"] == "customer");
    let dropped_ms: u64 = of_customer
        .map(|gap| {
            assert_eq!(gap["reason"], "overflow");
            gap["toMs"].as_u64().unwrap() - gap["fromMs"].as_u64().unwrap()
        })
        .sum();
    assert!(dropped_ms > 0);
    let passed = counters(&world.call(guid).await, "first")["passed"]
        .as_u64()
        .unwrap();
    assert_eq!(confirmed_bytes / 2 + dropped_ms * 8, passed);
    assert_eq!(
        sound(world, guid, Role::Customer).len() as u64,
        confirmed_bytes / 2
    );
    assert_eq!(
        streams(world, guid, Role::Customer).len(),
        1,
        "no new stream was begun"
    );
    let series = "antiphon_upstream_gap_seconds_total{reason=\"overflow\"}";
    assert!(world.metric(series).await >= dropped_ms as f64 / 1_000.0);
    // The phrase after it is told at its place, what is missing included.
    let told = events_of(world, guid, "transcript").await;
    let last_ms = told.last().unwrap()["startMs"].as_u64().unwrap();
    let silence_ms = 700 + 45_000;
    let said_ms = phrase("customer-greeting")
        .samples
        .len()
        .next_multiple_of(160) as u64
        / 8;
    assert!(last_ms.abs_diff(said_ms + silence_ms) <= 100, "{last_ms}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_is_sent_on_no_faster_than_the_service_allows() {
    let pace = "[upstream.autotranscribe]\nburst = \"300ms\"\npace_percent = 200\n";
    let world = World::with(pace).await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    world.stop(&call).await;
    let stream = &streams(&world, &guid, Role::Customer)[0];
    assert_eq!(stream.heard(), ["customer-greeting"]);
    assert_eq!(stream.audio_bytes, call.sent(Side::Inbound).samples * 2);
    // Twice as fast as speech: it was ahead by half of what was sent, and not by all of it.
    let length = Duration::from_micros(stream.audio_bytes / 2 * 125);
    assert!(
        stream.ahead_max < length * 3 / 4,
        "{:?} of {length:?}",
        stream.ahead_max
    );
    call.hang_up().await.unwrap();
    world.end().await;
}
