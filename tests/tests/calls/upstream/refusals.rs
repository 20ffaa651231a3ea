//! Services that refuse before there is a stream, by HTTP, by token, or by status.

use std::time::Duration;

use rig::World;
use rig::told::of;
use sim::caller::twilio::TwilioCall;
use sim::service::autotranscribe::faults::{Faults, RestFault, TokenFault};
use sim::service::autotranscribe::{Config, TokenRefusal, Tokens};
use sim::speech::Role;

use super::QUICK;

/// Every address is asked for when it is needed, so that a fault meets a known request; and a
/// service that refused our credential is soon probed again.
const UNPREPARED: &str = "[upstream.guard]\nprobe_after_min = \"100ms\"\n\
    probe_after_max = \"100ms\"\n[upstream.autotranscribe]\nurls_per_call = 0\n";

async fn world() -> (World, TwilioCall) {
    let world = World::with(&format!("{QUICK}{UNPREPARED}")).await;
    let call = world.dial().await;
    world.until_state(call.call_sid(), "idle").await;
    (world, call)
}

/// After whatever has failed: nothing is wrong any more, and the same call is transcribed.
async fn goes_on(world: World, mut call: TwilioCall) {
    world.service.set_faults(Faults::default());
    world.until_state(call.call_sid(), "idle").await;
    world.start(&call).await;
    world.say(&mut call, "customer-goodbye").await;
    world.stop(&call).await;
    assert_eq!(
        world.heard(Role::Customer).last().unwrap(),
        "customer-goodbye"
    );
    call.hang_up().await.unwrap();
    world.end().await;
}

/// A start under these faults fails on both sides; returns the customer's description.
async fn fails(world: &World, call: &TwilioCall, faults: Faults) -> String {
    world.service.set_faults(faults);
    let started = world.try_start(call.call_sid()).await;
    assert_eq!(
        (started.status, &started.body["isOk"]),
        (200, &false.into())
    );
    for role in ["agent", "customer"] {
        assert_eq!(started.stream(role)["status"]["code"], 5000);
    }
    started.stream("customer")["status"]["description"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// A start under these faults, which pass, is delayed and no more.
async fn is_retried(world: &World, call: &TwilioCall, faults: Faults) {
    world.service.set_faults(faults);
    world.start(call).await;
    let told = world.told(call.call_sid()).await;
    assert_eq!(of(&told, "streamInterrupted", "").len(), 2);
    world.stop(call).await;
}

fn rest(status: u16) -> Option<RestFault> {
    Some(RestFault {
        status,
        retry_after: None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_credential_fails_the_start_at_once() {
    let (world, call) = world().await;
    let why = fails(
        &world,
        &call,
        Faults {
            rest: rest(401),
            ..Faults::default()
        },
    )
    .await;
    assert!(why.contains("401"), "{why}");
    assert_eq!(
        world.service.asked().len(),
        2,
        "asking again would not help"
    );
    assert!(of(&world.told(call.call_sid()).await, "streamInterrupted", "").is_empty());
    goes_on(world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_are_asked_again_when_the_service_says() {
    let (world, call) = world().await;
    let retry_after = Some(Duration::from_secs(1));
    let rest = Some(RestFault {
        status: 429,
        retry_after,
    });
    is_retried(
        &world,
        &call,
        Faults {
            rest,
            times: Some(2),
            ..Faults::default()
        },
    )
    .await;
    let asked = world.service.asked();
    let statuses: Vec<_> = asked.iter().map(|asked| asked.status).collect();
    assert_eq!(statuses, [429, 429, 200, 200]);
    assert!(asked[2].at - asked[1].at >= Duration::from_millis(900));
    goes_on(world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_unavailable_is_asked_again() {
    let (world, call) = world().await;
    is_retried(
        &world,
        &call,
        Faults {
            rest: rest(503),
            times: Some(2),
            ..Faults::default()
        },
    )
    .await;
    goes_on(world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_gives_no_address_in_time_is_asked_again() {
    let more = format!("{QUICK}{UNPREPARED}locate_timeout = \"200ms\"\n");
    let world = World::with(&more).await;
    let call = world.dial().await;
    let rest_delay = Duration::from_secs(2);
    is_retried(
        &world,
        &call,
        Faults {
            rest_delay,
            times: Some(2),
            ..Faults::default()
        },
    )
    .await;
    goes_on(world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_was_fetched_ahead_and_is_refused_is_replaced() {
    for refusal in [TokenRefusal::Close1008, TokenRefusal::Http401] {
        for token in [TokenFault::Bad, TokenFault::Expired] {
            let tokens = Tokens {
                refusal,
                ..Tokens::default()
            };
            let service = Config {
                tokens,
                ..rig::service_config()
            };
            let world = World::with_service(service, QUICK).await;
            world.service.set_faults(Faults {
                token,
                times: Some(2),
                ..Faults::default()
            });
            let call = world.dial().await;
            let fetched = world.service.wait_for_asked(|asked| asked.len() == 2);
            rig::eventually("addresses", fetched).await;
            let guid = call.call_sid().to_owned();
            // The answers are on their way; what is asked for behind them comes after them.
            world.until_state(&guid, "idle").await;
            world.start(&call).await;
            world.stop(&call).await;
            goes_on(world, call).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_address_that_is_refused_fails_the_start() {
    let (world, call) = world().await;
    fails(
        &world,
        &call,
        Faults {
            token: TokenFault::Bad,
            ..Faults::default()
        },
    )
    .await;
    assert_eq!(world.service.asked().len(), 2);
    goes_on(world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_is_closed_as_soon_as_it_is_open_is_tried_again() {
    let (world, call) = world().await;
    let accept_then_close = Some(1013);
    is_retried(
        &world,
        &call,
        Faults {
            accept_then_close,
            times: Some(2),
            ..Faults::default()
        },
    )
    .await;
    goes_on(world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_for_the_moment_is_no_refusal() {
    let (world, call) = world().await;
    is_retried(
        &world,
        &call,
        Faults {
            refuse: Some(5002),
            times: Some(2),
            ..Faults::default()
        },
    )
    .await;
    goes_on(world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_before_the_service_accepts_the_stream_is_heard() {
    let (world, mut call) = world().await;
    let start_delay = Duration::from_millis(800);
    world.service.set_faults(Faults {
        start_delay,
        ..Faults::default()
    });
    let guid = call.call_sid().to_owned();
    let (started, ()) = tokio::join!(world.try_start(&guid), async {
        world.until_state(&guid, "starting").await;
        world.say(&mut call, "customer-greeting").await;
    });
    assert!(started.is_ok(), "{}", started.complaint());
    world.stop(&call).await;
    assert_eq!(world.heard(Role::Customer), ["customer-greeting"]);
    goes_on(world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_not_there_fails_the_start_and_not_the_call() {
    let more =
        "[upstream.retry]\nretries_max = 1\nbackoff_min = \"10ms\"\nbackoff_base = \"20ms\"\n";
    let nowhere = "[upstream.autotranscribe]\nbase_url = \"http://127.0.0.1:9\"\n";
    let world = World::with(&format!("{more}{nowhere}")).await;
    let call = world.dial().await;
    let started = world.try_start(call.call_sid()).await;
    assert_eq!(
        (started.status, &started.body["isOk"]),
        (200, &false.into())
    );
    assert_eq!(world.call(call.call_sid()).await["state"], "idle");
    call.hang_up().await.unwrap();
    world.end().await;
}
