//! T18: a gateway that is told to end.

use rig::{World, phrase};
use sim::caller::twilio::{DialError, Side, TwilioCall};
use sim::speech::Role;

use crate::support::{close, closed, ending, heard};

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_gateway_takes_no_new_calls_and_lets_those_that_run_end() {
    let mut world = World::new().await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    let another = world.options().await;
    world.shutdown.drain();
    let refused = async {
        loop {
            match TwilioCall::dial(another.clone()).await {
                Err(DialError::Refused(refusal)) => break refusal,
                other => drop(other),
            }
        }
    };
    let refusal = rig::eventually("new sockets to be refused", refused).await;
    assert_eq!(
        (refusal.status, refusal.header("retry-after")),
        (503, Some("5"))
    );
    assert!(refusal.body.contains("503-01"), "{}", refusal.body);
    let url = world
        .api
        .get("/mg-autotranscribe/v1/twilio-media-stream-url")
        .await
        .unwrap();
    assert_eq!((url.status, url.code()), (503, Some("503-01")));
    assert_eq!(world.api.get("/health/ready").await.unwrap().status, 503);
    assert_eq!(world.api.get("/health/live").await.unwrap().status, 200);
    // The running call does not notice: it may even be stopped and started.
    world.stop(&call).await;
    world.say(&mut call, "customer-card").await;
    world.start(&call).await;
    world.say(&mut call, "customer-goodbye").await;
    world.stop(&call).await;
    call.hang_up().await.unwrap();
    world.ended().await;
    assert_eq!(
        heard(&world, &guid, Role::Customer),
        ["customer-greeting", "customer-goodbye"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_straggler_is_finished_and_closed_as_it_should_be() {
    let mut world = World::with("[shutdown]\ndrain_timeout = \"0s\"\n").await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    call.say(Side::Inbound, &phrase("customer-greeting").samples)
        .await
        .unwrap();
    world.arrived(&call).await;
    let mut events = world.api.call_events(&guid, None).await.unwrap();
    world.shutdown.drain();
    assert_eq!(closed(&mut call).await, close(1001, "shutdown"));
    drop(call);
    world.ended().await;
    assert_eq!(heard(&world, &guid, Role::Customer), ["customer-greeting"]);
    world.service.with_streams(|streams| {
        for stream in streams {
            assert!(stream.finished_at.is_some(), "finishStream was sent");
            assert_eq!(stream.final_code, Some(1000));
            assert_eq!(stream.complaints, Vec::<String>::new());
        }
    });
    let mut told = Vec::new();
    while let Ok(Some(event)) = events.next().await {
        told.push(event.json());
    }
    let legs = told.iter().filter(|event| event["type"] == "legEnded");
    let shutdown = ("shutdown".to_owned(), "gateway".to_owned());
    assert_eq!(
        legs.map(ending).collect::<Vec<_>>(),
        [shutdown.clone(), shutdown]
    );
    assert!(told.iter().any(|event| event["type"] == "transcript"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_without_calls_ends_at_once() {
    let mut world = World::new().await;
    world.shutdown.drain();
    world.ended().await;
    assert!(world.api.get("/health/live").await.is_err());
}
