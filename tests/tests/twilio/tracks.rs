//! T1, T2: which track is whose leg, and that nothing of one is heard on the other.

use std::time::Duration;

use rig::{World, phrase};
use serde_json::json;
use sim::caller::twilio::Side;
use sim::control::Start;
use sim::speech::Role;

use crate::support::{
    assert_same, counters, decoded, digest, heard, leg, sound, streams, until_metric,
};

#[tokio::test(flavor = "multi_thread")]
async fn one_track_is_one_leg_and_each_of_its_samples_is_heard() {
    let world = World::new().await;
    let mut call = world
        .dial_with(|options| options.sides = vec![Side::Inbound])
        .await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    let shown = world.call(&guid).await;
    assert_eq!(shown["legs"].as_array().unwrap().len(), 1);
    let sent = call.sent(Side::Inbound).frames * 160;
    assert_eq!(counters(&shown, "first")["passed"], sent);
    for nothing in [
        "filled",
        "quiet",
        "skipped",
        "late",
        "gated",
        "reorderedFrames",
    ] {
        assert_eq!(counters(&shown, "first")[nothing], 0, "{nothing}");
    }
    let stopped = world.stop(&call).await;
    assert_eq!(stopped.confirmed_bytes("customer"), Some(sent * 2));
    assert!(stopped.stream("agent").is_null());
    assert_same(
        &sound(&world, &guid, Role::Customer),
        &decoded(&call.sent(Side::Inbound).tape),
    );
    assert_eq!(world.service.streams().len(), 1);
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tracks_are_two_legs_without_a_sound_of_each_other() {
    let world = World::new().await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    let (customer, agent) = (phrase("customer-pay"), phrase("agent-paid"));
    call.converse(&customer.samples, &agent.samples)
        .await
        .unwrap();
    call.silence(Duration::from_millis(700)).await.unwrap();
    world.arrived(&call).await;
    world.stop(&call).await;
    world
        .until_heard(|streams| streams.iter().all(|stream| stream.is_closed()))
        .await;
    assert_eq!(heard(&world, &guid, Role::Customer), ["customer-pay"]);
    assert_eq!(heard(&world, &guid, Role::Agent), ["agent-paid"]);
    let [first, second] = [Role::Customer, Role::Agent].map(|role| streams(&world, &guid, role));
    assert_eq!(first[0].audio_bytes, second[0].audio_bytes);
    for (side, stream) in [(Side::Inbound, &first[0]), (Side::Outbound, &second[0])] {
        assert_eq!(
            stream.sha256.as_deref(),
            Some(digest(&call.sent(side).tape).as_str())
        );
    }
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swapped_track_map_swaps_who_speaks_and_nothing_else() {
    let world = World::new().await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    let swapped =
        json!({"twilioParams": {"trackMap": {"inbound": "agent", "outbound": "customer"}}});
    let start = Start {
        more: swapped,
        ..Start::of(&guid)
    };
    assert!(world.api.start(&start).await.unwrap().is_ok());
    world.say(&mut call, "customer-greeting").await;
    world.say(&mut call, "agent-greeting").await;
    let shown = world.call(&guid).await;
    assert_eq!(
        [
            &leg(&shown, "first")["role"],
            &leg(&shown, "second")["role"]
        ],
        ["agent", "customer"]
    );
    world.stop(&call).await;
    assert_eq!(heard(&world, &guid, Role::Agent), ["customer-greeting"]);
    assert_eq!(heard(&world, &guid, Role::Customer), ["agent-greeting"]);
    let who = streams(&world, &guid, Role::Agent)[0]
        .start
        .clone()
        .unwrap()
        .sender;
    assert_eq!(who, "agent-1");
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_track_that_never_sounds_does_not_hold_up_the_other() {
    let world = World::new().await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    call.set_sides(&[Side::Inbound]);
    call.say(Side::Inbound, &phrase("customer-greeting").samples)
        .await
        .unwrap();
    call.silence(Duration::from_millis(700)).await.unwrap();
    world
        .until_heard(|streams| streams.iter().any(|stream| !stream.transcripts.is_empty()))
        .await;
    assert_eq!(heard(&world, &guid, Role::Customer), ["customer-greeting"]);
    world.stop(&call).await;
    let silence = sound(&world, &guid, Role::Agent);
    assert!(silence.iter().all(|&sample| sample == 0));
    // It is filled up to 200 ms behind the track that sounds.
    let sounded = sound(&world, &guid, Role::Customer).len();
    assert!(
        (sounded - 1600..=sounded).contains(&silence.len()),
        "{} {sounded}",
        silence.len()
    );
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_track_that_start_did_not_list_is_a_leg_all_the_same() {
    let world = World::new().await;
    let mut call = world
        .dial_with(|options| options.sides = vec![Side::Inbound])
        .await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    call.set_sides(&Side::BOTH);
    call.silence(Duration::from_millis(20)).await.unwrap();
    until_metric(&world, "antiphon_twilio_unlisted_tracks_total", |tracks| {
        tracks == 1.0
    })
    .await;
    world
        .until_call(&guid, |call| {
            call["streams"].as_array().map(Vec::len) == Some(2)
        })
        .await;
    world.say(&mut call, "agent-greeting").await;
    world.stop(&call).await;
    assert_eq!(heard(&world, &guid, Role::Customer), ["customer-greeting"]);
    assert_eq!(heard(&world, &guid, Role::Agent), ["agent-greeting"]);
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sockets_with_one_track_each_are_one_call() {
    let world = World::new().await;
    let mut inbound = world
        .dial_with(|options| options.sides = vec![Side::Inbound])
        .await;
    let guid = inbound.call_sid().to_owned();
    world.until_state(&guid, "idle").await;
    let same = |options: &mut sim::caller::twilio::Options| {
        options.sids.call = guid.clone();
        options.sides = vec![Side::Outbound];
    };
    let mut outbound = world.dial_with(same).await;
    world
        .until_call(&guid, |call| {
            call["legs"].as_array().map(Vec::len) == Some(2)
        })
        .await;
    let started = world.start(&inbound).await;
    assert!(started.stream("customer").is_object() && started.stream("agent").is_object());
    for (call, id) in [
        (&mut inbound, "customer-greeting"),
        (&mut outbound, "agent-greeting"),
    ] {
        let side = if id == "agent-greeting" {
            Side::Outbound
        } else {
            Side::Inbound
        };
        call.say(side, &phrase(id).samples).await.unwrap();
        call.silence(Duration::from_millis(700)).await.unwrap();
    }
    let both = |streams: &[sim::service::autotranscribe::record::Recorded]| {
        streams
            .iter()
            .filter(|stream| !stream.transcripts.is_empty())
            .count()
            == 2
    };
    world.until_heard(both).await;
    world.stop(&inbound).await;
    assert_eq!(heard(&world, &guid, Role::Customer), ["customer-greeting"]);
    assert_eq!(heard(&world, &guid, Role::Agent), ["agent-greeting"]);
    inbound.hang_up().await.unwrap();
    world.until_state(&guid, "idle").await;
    outbound.hang_up().await.unwrap();
    world.until_state(&guid, "gone").await;
    world.end().await;
}
