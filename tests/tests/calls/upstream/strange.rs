//! Services that say strange things, or do not end as they should.

use std::time::Duration;

use rig::World;
use rig::told::of;
use serde_json::json;
use sim::control::{Answer, Start};
use sim::service::autotranscribe::faults::{EndFault, Faults};
use sim::service::autotranscribe::{Config, Rules};
use sim::speech::Role;

use super::QUICK;

/// One phrase of a call under these faults, until its stop is answered.
async fn under(faults: Faults, more: &str) -> (World, String, Answer) {
    let world = World::with(&format!("{QUICK}{more}")).await;
    world.service.set_faults(faults);
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    let stopped = world.try_stop(&guid).await;
    assert_eq!(stopped.status, 200);
    assert_eq!(
        world.heard(Role::Customer).last().unwrap(),
        "customer-greeting"
    );
    call.hang_up().await.unwrap();
    world.until_state(&guid, "gone").await;
    (world, guid, stopped)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_byte_count_is_an_event_and_a_metric() {
    let (role, bytes_off) = (Some(Role::Customer), -320);
    let faults = Faults {
        role,
        bytes_off,
        ..Faults::default()
    };
    let (world, guid, stopped) = under(faults, "").await;
    assert!(stopped.is_ok(), "{}", stopped.complaint());
    let told = world.told(&guid).await;
    let mismatches = of(&told, "bytesMismatch", "");
    assert_eq!(mismatches.len(), 1);
    let sent = stopped.confirmed_bytes("agent").unwrap();
    assert_eq!(mismatches[0]["role"], "customer");
    assert_eq!(mismatches[0]["sentBytes"], sent);
    assert_eq!(mismatches[0]["confirmedBytes"], sent - 320);
    assert_eq!(stopped.confirmed_bytes("customer"), Some(sent - 320));
    assert_eq!(
        world
            .metric("antiphon_upstream_byte_mismatches_total")
            .await,
        1.0
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_without_a_final_message_is_told_as_unknown_bytes() {
    let faults = Faults {
        end: EndFault::CloseOnly,
        ..Faults::default()
    };
    let (world, guid, stopped) = under(faults, "").await;
    assert_eq!(stopped.body["isOk"], false);
    for role in ["agent", "customer"] {
        assert_eq!(stopped.stream(role)["status"]["code"], 5000);
        assert_eq!(stopped.confirmed_bytes(role), None);
    }
    let told = world.told(&guid).await;
    assert!(of(&told, "bytesMismatch", "").is_empty());
    assert!(of(&told, "streamInterrupted", "").is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_does_not_come_is_not_waited_for_for_ever() {
    let faults = Faults {
        end: EndFault::Silence,
        ..Faults::default()
    };
    let (world, guid, stopped) = under(faults, "[upstream]\ndrain_timeout = \"200ms\"\n").await;
    assert_eq!(stopped.body["isOk"], false);
    let told = world.told(&guid).await;
    let ended = of(&told, "streamEnded", "");
    assert_eq!(ended.len(), 2);
    assert!(ended.iter().all(|event| event["status"]["code"] == 5000));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_comes_late_is_waited_for() {
    let final_delay = Duration::from_millis(500);
    let (world, _, stopped) = under(
        Faults {
            final_delay,
            ..Faults::default()
        },
        "",
    )
    .await;
    assert!(stopped.is_ok(), "{}", stopped.complaint());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_comes_twice_counts_once() {
    let (world, guid, stopped) = under(
        Faults {
            final_twice: true,
            ..Faults::default()
        },
        "",
    )
    .await;
    assert!(stopped.is_ok(), "{}", stopped.complaint());
    let told = world.told(&guid).await;
    assert_eq!(of(&told, "streamEnded", "").len(), 2);
    assert!(of(&told, "bytesMismatch", "").is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_an_unknown_kind_is_counted_and_passed_over() {
    let (world, guid, stopped) = under(
        Faults {
            unknown_message: true,
            ..Faults::default()
        },
        "",
    )
    .await;
    assert!(stopped.is_ok(), "{}", stopped.complaint());
    let unknown = "antiphon_upstream_unknown_messages_total{kind=\"kind\"}";
    assert_eq!(world.metric(unknown).await, 2.0);
    assert!(of(&world.told(&guid).await, "streamInterrupted", "").is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_long_ends_its_socket_and_not_the_stream() {
    let role = Some(Role::Agent);
    let faults = Faults {
        role,
        huge_message: true,
        times: Some(1),
        ..Faults::default()
    };
    let (world, guid, stopped) = under(faults, "").await;
    assert_eq!(stopped.stream("customer")["status"]["code"], 1000);
    let told = world.told(&guid).await;
    assert_eq!(of(&told, "streamInterrupted", "agent").len(), 1);
    assert_eq!(of(&told, "transcript", "agent").len(), 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vocabulary_that_is_not_taken_is_counted_and_the_stream_goes_on() {
    let rules = Rules {
        vocabulary_phrases_max: 0,
        vocabulary_refusal_ends: false,
        ..Rules::default()
    };
    let service = Config {
        rules,
        ..rig::service_config()
    };
    let world = World::with_service(service, QUICK).await;
    let mut call = world.dial().await;
    let more = json!({"autotranscribeParams": {"vocabulary": [{"phrase": "IEEE"}]}});
    let start = Start {
        more,
        ..Start::of(call.call_sid())
    };
    assert!(world.api.start(&start).await.unwrap().is_ok());
    world.say(&mut call, "customer-greeting").await;
    world.stop(&call).await;
    assert_eq!(world.heard(Role::Customer), ["customer-greeting"]);
    assert_eq!(
        world
            .metric("antiphon_upstream_vocabulary_refusals_total")
            .await,
        2.0
    );
    call.hang_up().await.unwrap();
    world.end().await;
}
