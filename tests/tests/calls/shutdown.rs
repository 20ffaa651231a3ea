//! How a gateway ends: no new calls, running ones live on, stragglers are ended properly.

use std::time::Duration;

use rig::apart::Apart;
use rig::{World, eventually};
use sim::caller::twilio::{DialError, TwilioCall};
use sim::service::autotranscribe::faults::{EndFault, Faults};
use sim::speech::Role;

use crate::GATEWAY;

/// Nothing new is taken: everybody is told when to come back.
async fn takes_nothing_new(world: &World, url: TwilioOptions) {
    let ready = world.api.get("/health/ready").await.unwrap();
    assert_eq!((ready.status, ready.code()), (503, Some("503-01")));
    assert_eq!(world.api.get("/health/live").await.unwrap().status, 200);
    let path = "/mg-autotranscribe/v1/twilio-media-stream-url";
    assert_eq!(world.api.get(path).await.unwrap().code(), Some("503-01"));
    let started = world.try_start("0042").await;
    assert_eq!((started.status, started.code()), (503, Some("503-01")));
    assert_eq!(retry_after(world).await.as_deref(), Some("5"));
    match TwilioCall::dial(url).await {
        Err(DialError::Refused(refusal)) => {
            assert_eq!(
                (refusal.status, refusal.header("retry-after")),
                (503, Some("5"))
            );
        }
        other => panic!("a new stream is not refused: {other:?}"),
    }
}

type TwilioOptions = sim::caller::twilio::Options;

/// What a start that is turned away is told.
async fn retry_after(world: &World) -> Option<String> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/mg-autotranscribe/v1/start-streaming", world.base);
    let request = client
        .post(url)
        .header("asapp-api-id", rig::API_ID)
        .header("asapp-api-secret", rig::API_SECRET)
        .json(&rig::command("0042"));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 503);
    Some(
        response
            .headers()
            .get("retry-after")?
            .to_str()
            .unwrap()
            .to_owned(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn while_draining_nothing_new_is_taken_and_a_running_call_lives_to_its_end() {
    let mut world = World::new().await;
    let mut call = world.dial().await;
    let late = world.options().await;
    world.start(&call).await;
    world.shutdown.drain();
    eventually("readiness to go", async {
        while world.api.get("/health/ready").await.unwrap().status == 200 {}
    })
    .await;
    takes_nothing_new(&world, late).await;
    world.say(&mut call, "customer-greeting").await;
    assert!(world.api.pause(call.call_sid()).await.unwrap().is_ok());
    world.say(&mut call, "customer-card").await;
    assert!(world.api.resume(call.call_sid()).await.unwrap().is_ok());
    world.say(&mut call, "customer-goodbye").await;
    world.stop(&call).await;
    assert_eq!(
        world.heard(Role::Customer),
        ["customer-greeting", "customer-goodbye"]
    );
    call.hang_up().await.unwrap();
    world.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stragglers_are_finished_and_closed_when_patience_ends() {
    let mut world = World::with("[shutdown]\ndrain_timeout = \"200ms\"\n").await;
    let mut call = world.dial().await;
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    world.shutdown.drain();
    let closed = call.closed(Duration::from_secs(20)).await.unwrap();
    assert_eq!(closed.code, Some(1001));
    assert_eq!(call.messages_heard(), 0);
    drop(call);
    world.ended().await;
    let streams = world.service.streams();
    assert_eq!(streams.len(), 2);
    for stream in &streams {
        assert!(stream.finished_at.is_some(), "no finishStream came");
        assert_eq!(stream.final_code, Some(1000));
    }
    assert_eq!(world.heard(Role::Customer), ["customer-greeting"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_does_not_wait_for_anybody() {
    let more = "[upstream]\ndrain_timeout = \"10m\"\n[shutdown]\ngoodbye_timeout = \"10m\"\n";
    let mut world = World::with(more).await;
    world.service.set_faults(Faults {
        end: EndFault::Silence,
        ..Faults::default()
    });
    let call = world.dial().await;
    world.start(&call).await;
    world.shutdown.pull();
    world
        .until_call(call.call_sid(), |call| call["state"] == "streaming")
        .await;
    world.shutdown.pull();
    world.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_process_drains_at_sigterm_and_ends_at_the_second() {
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Apart::new(rig::service_config(), "", GATEWAY, folder.path()).await;
    let world = &gateway.world;
    let mut call = world.dial().await;
    world.start(&call).await;
    gateway.terminate();
    eventually("readiness to go", async {
        while world.api.get("/health/ready").await.unwrap().status == 200 {}
    })
    .await;
    world.say(&mut call, "customer-greeting").await;
    world.stop(&call).await;
    assert_eq!(world.heard(Role::Customer), ["customer-greeting"]);
    gateway.terminate();
    gateway.ended().await;
}
