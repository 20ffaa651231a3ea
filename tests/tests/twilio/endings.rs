//! T13: all ways in which a stream ends, and what is said about each.

use std::time::Duration;

use rig::{World, phrase};
use sim::caller::twilio::{Side, TwilioCall};
use sim::speech::Role;

use crate::support::{
    SHORT_GOODBYE, close, closed, ending, endings, events_of, heard, until_metric,
};

/// A call that is transcribed and has said one phrase.
async fn speaking(world: &World) -> (TwilioCall, String) {
    let mut call = world.dial().await;
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    let guid = call.call_sid().to_owned();
    (call, guid)
}

/// Sees that both legs, their call and their streams ended, and why.
async fn assert_ended(world: &World, guid: &str, reason: &str, fault: &str) {
    world.until_state(guid, "gone").await;
    let why = (reason.to_owned(), fault.to_owned());
    assert_eq!(endings(world, guid).await, [why.clone(), why.clone()]);
    let ended = events_of(world, guid, "callEnded").await;
    assert_eq!(ended.iter().map(ending).collect::<Vec<_>>(), [why]);
    assert_eq!(heard(world, guid, Role::Customer), ["customer-greeting"]);
    let legs = format!("antiphon_twilio_legs_ended_total{{reason=\"{reason}\"}}");
    assert_eq!(world.metric(&legs).await, 2.0);
    let calls = format!(
        "antiphon_calls_ended_total{{fault=\"{fault}\",namespace=\"twilio\",reason=\"{reason}\"}}"
    );
    assert_eq!(world.metric(&calls).await, 1.0);
    let finished = "antiphon_upstream_streams_ended_total{outcome=\"finished\"}";
    assert_eq!(world.metric(finished).await, 2.0);
    assert_eq!(world.metric("antiphon_upstream_streams_open").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_hangs_up_is_nobodys_fault() {
    let world = World::new().await;
    let (call, guid) = speaking(&world).await;
    assert_eq!(call.hang_up().await.unwrap(), close(1000, ""));
    assert_ended(&world, &guid, "stopped", "nobody").await;
    let sockets = "antiphon_twilio_sockets_ended_total{reason=\"peer\"}";
    until_metric(&world, sockets, |sockets| sockets == 1.0).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_is_not_closed_after_stop_is_closed_by_us() {
    let world = World::with(SHORT_GOODBYE).await;
    let (mut call, guid) = speaking(&world).await;
    call.stop().await.unwrap();
    assert_eq!(closed(&mut call).await, close(1000, "stopped"));
    assert_ended(&world, &guid, "stopped", "nobody").await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_closes_without_stop_is_lost() {
    let world = World::new().await;
    let (call, guid) = speaking(&world).await;
    assert_eq!(call.close().await.unwrap(), close(1000, ""));
    assert_ended(&world, &guid, "socket_lost", "client").await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_reset_is_lost() {
    let world = World::new().await;
    let (call, guid) = speaking(&world).await;
    call.reset();
    assert_ended(&world, &guid, "socket_lost", "client").await;
    until_metric(&world, "antiphon_twilio_sockets", |sockets| sockets == 0.0).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_ends_without_a_close_is_lost() {
    let world = World::new().await;
    let (call, guid) = speaking(&world).await;
    drop(call);
    assert_ended(&world, &guid, "socket_lost", "client").await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_open_connection_is_noticed_by_its_silence() {
    let timeouts = "media_timeout = \"1s\"\nsocket_timeout = \"1s\"\n";
    let world = World::with(&format!("{SHORT_GOODBYE}{timeouts}")).await;
    let (mut call, guid) = speaking(&world).await;
    // The network goes dark in the middle of a message.
    call.send_raw(&[0x81, 0xFE, 0x01, 0x00, 0, 0, 0, 0, b'{'])
        .await
        .unwrap();
    let silent = call.go_silent();
    assert_ended(&world, &guid, "media_timeout", "client").await;
    let idle = "antiphon_twilio_sockets_ended_total{reason=\"idle\"}";
    until_metric(&world, idle, |sockets| sockets == 1.0).await;
    assert_eq!(world.metric("antiphon_twilio_sockets").await, 0.0);
    drop(silent);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_socket_is_told_that_it_is() {
    let timeouts = "media_timeout = \"1s\"\nsocket_timeout = \"1s\"\n";
    let world = World::with(&format!("{SHORT_GOODBYE}{timeouts}")).await;
    let (mut call, guid) = speaking(&world).await;
    assert_eq!(closed(&mut call).await, close(1001, "idle"));
    assert_ended(&world, &guid, "media_timeout", "client").await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_sounds_again_is_a_call_again() {
    let world = World::with("[twilio]\nmedia_timeout = \"1s\"\n").await;
    let (mut call, guid) = speaking(&world).await;
    world.until_state(&guid, "gone").await;
    call.silence(Duration::from_millis(100)).await.unwrap();
    world.until_state(&guid, "idle").await;
    world.start(&call).await;
    call.say(Side::Outbound, &phrase("agent-greeting").samples)
        .await
        .unwrap();
    call.hang_up().await.unwrap();
    world.until_state(&guid, "gone").await;
    assert_eq!(heard(&world, &guid, Role::Customer), ["customer-greeting"]);
    assert_eq!(heard(&world, &guid, Role::Agent), ["agent-greeting"]);
    assert_eq!(events_of(&world, &guid, "callEnded").await.len(), 2);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_words_before_the_end_are_heard() {
    let world = World::new().await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    let (customer, agent) = (phrase("customer-goodbye"), phrase("agent-goodbye"));
    call.converse(&customer.samples, &agent.samples)
        .await
        .unwrap();
    call.hang_up().await.unwrap();
    world.until_state(&guid, "gone").await;
    assert_eq!(heard(&world, &guid, Role::Customer), ["customer-goodbye"]);
    assert_eq!(heard(&world, &guid, Role::Agent), ["agent-goodbye"]);
    // And told, although the call is over.
    assert_eq!(events_of(&world, &guid, "transcript").await.len(), 2);
    world.end().await;
}
