//! T14: a second socket for a call that has one.

use std::time::Duration;

use rig::{World, phrase};
use sim::caller::twilio::{Options, Side, TwilioCall};
use sim::speech::Role;

use crate::support::{
    assert_same, close, decoded, endings, events_of, heard, leg, sound, until_metric,
};

/// Another socket for the same call.
async fn second(world: &World, first: &TwilioCall) -> TwilioCall {
    let guid = first.call_sid().to_owned();
    world.dial_with(|options| options.sids.call = guid).await
}

/// Waits until both legs of a call are younger than these.
async fn until_replaced(world: &World, guid: &str, older: &serde_json::Value) {
    let newest = ["first", "second"]
        .map(|side| leg(older, side)["id"].as_u64())
        .into_iter()
        .max();
    let replaced = |call: &serde_json::Value| {
        let ids = ["first", "second"].map(|side| leg(call, side)["id"].as_u64());
        call["legs"].as_array().map(Vec::len) == Some(2)
            && ids.iter().all(|id| *id > newest.unwrap())
    };
    world.until_call(guid, replaced).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_socket_wins_and_the_conversation_goes_on() {
    let world = World::new().await;
    let mut old = world.dial().await;
    let guid = old.call_sid().to_owned();
    world.start(&old).await;
    world.say(&mut old, "customer-greeting").await;
    let before = world.call(&guid).await;
    let mut new = second(&world, &old).await;
    until_replaced(&world, &guid, &before).await;
    // Transcription ended with the media it was started for: a new start is wanted.
    world.until_state(&guid, "idle").await;
    world.start(&new).await;
    world.say(&mut new, "agent-greeting").await;
    world.say(&mut new, "customer-goodbye").await;
    world.stop(&new).await;
    assert_eq!(
        heard(&world, &guid, Role::Customer),
        ["customer-greeting", "customer-goodbye"]
    );
    assert_eq!(heard(&world, &guid, Role::Agent), ["agent-greeting"]);
    let tapes = [&old, &new].map(|call| decoded(&call.sent(Side::Inbound).tape));
    assert_same(&sound(&world, &guid, Role::Customer), &tapes.concat());
    new.hang_up().await.unwrap();
    world.until_state(&guid, "gone").await;
    for once in ["callStarted", "callEnded"] {
        assert_eq!(events_of(&world, &guid, once).await.len(), 1, "{once}");
    }
    let retired = ("retired".to_owned(), "nobody".to_owned());
    let stopped = ("stopped".to_owned(), "nobody".to_owned());
    let expected = [retired.clone(), retired, stopped.clone(), stopped];
    assert_eq!(endings(&world, &guid).await, expected);
    drop(old);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_socket_is_read_on_and_never_closed() {
    let timeouts = "[twilio]\nmedia_timeout = \"1s\"\nsocket_timeout = \"60s\"\n";
    let world = World::with(timeouts).await;
    let mut old = world.dial().await;
    let guid = old.call_sid().to_owned();
    world.start(&old).await;
    world.say(&mut old, "customer-greeting").await;
    let before = world.call(&guid).await;
    let mut new = second(&world, &old).await;
    until_replaced(&world, &guid, &before).await;
    world.until_state(&guid, "idle").await;
    world.start(&new).await;
    // All of this is for nobody's ears.
    let sent = old.frames_sent();
    old.say(Side::Inbound, &phrase("customer-card").samples)
        .await
        .unwrap();
    old.silence(Duration::from_secs(5)).await.unwrap();
    let ignored = "antiphon_twilio_ignored_frames_total{reason=\"retired\"}";
    let all = (old.frames_sent() - sent) as f64;
    until_metric(&world, ignored, |frames| frames == all).await;
    world.say(&mut new, "customer-goodbye").await;
    assert_eq!(old.closed(Duration::from_millis(1)).await, None);
    assert_eq!(old.hang_up().await.unwrap(), close(1000, ""));
    // Its end is not the end of the call.
    until_metric(&world, "antiphon_twilio_sockets", |sockets| sockets == 1.0).await;
    assert_eq!(world.call(&guid).await["state"], "streaming");
    world.stop(&new).await;
    assert_eq!(
        heard(&world, &guid, Role::Customer),
        ["customer-greeting", "customer-goodbye"]
    );
    new.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_socket_with_one_track_takes_over_that_track_only() {
    let world = World::new().await;
    let mut old = world.dial().await;
    let guid = old.call_sid().to_owned();
    world.start(&old).await;
    world.say(&mut old, "agent-greeting").await;
    let before = world.call(&guid).await;
    let inbound = |options: &mut Options| {
        options.sids.call = guid.clone();
        options.sides = vec![Side::Inbound];
    };
    let new = world.dial_with(inbound).await;
    let replaced = |call: &serde_json::Value| {
        leg(call, "first")["id"].as_u64() > leg(&before, "second")["id"].as_u64()
    };
    world.until_call(&guid, replaced).await;
    let after = world.call(&guid).await;
    assert_eq!(leg(&after, "second")["id"], leg(&before, "second")["id"]);
    assert_eq!(after["state"], "streaming");
    old.say(Side::Outbound, &phrase("agent-goodbye").samples)
        .await
        .unwrap();
    old.hang_up().await.unwrap();
    world
        .until_heard(|streams| streams.iter().all(|stream| stream.is_closed()))
        .await;
    assert_eq!(
        heard(&world, &guid, Role::Agent),
        ["agent-greeting", "agent-goodbye"]
    );
    new.hang_up().await.unwrap();
    world.until_state(&guid, "gone").await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_socket_broke_goes_on_with_the_next_one() {
    let world = World::new().await;
    let mut old = world.dial().await;
    let guid = old.call_sid().to_owned();
    world.start(&old).await;
    world.say(&mut old, "customer-greeting").await;
    let mut options = world.options().await;
    options.sids.call = guid.clone();
    old.reset();
    // Before or after the gateway has noticed, and while the last words are still awaited.
    let mut new = TwilioCall::dial(options).await.unwrap();
    world.until_state(&guid, "idle").await;
    world.start(&new).await;
    world.say(&mut new, "customer-goodbye").await;
    world.stop(&new).await;
    assert_eq!(
        heard(&world, &guid, Role::Customer),
        ["customer-greeting", "customer-goodbye"]
    );
    new.hang_up().await.unwrap();
    world.until_state(&guid, "gone").await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_ended_may_come_again_under_its_name() {
    let world = World::new().await;
    let mut old = world.dial().await;
    let guid = old.call_sid().to_owned();
    world.start(&old).await;
    world.say(&mut old, "customer-greeting").await;
    let mut options = world.options().await;
    options.sids.call = guid.clone();
    old.hang_up().await.unwrap();
    world.until_state(&guid, "gone").await;
    let mut new = TwilioCall::dial(options).await.unwrap();
    world.start(&new).await;
    world.say(&mut new, "customer-goodbye").await;
    world.stop(&new).await;
    assert_eq!(
        heard(&world, &guid, Role::Customer),
        ["customer-greeting", "customer-goodbye"]
    );
    new.hang_up().await.unwrap();
    world.until_state(&guid, "gone").await;
    assert_eq!(events_of(&world, &guid, "callEnded").await.len(), 2);
    world.end().await;
}
