//! Streams that break while a call runs.

use std::time::Duration;

use rig::World;
use rig::told::{due_at, heard_at, of};
use serde_json::Value;
use sim::service::autotranscribe::faults::{Cut, CutAfter, Faults, RestFault};
use sim::service::autotranscribe::{Config, Rules};
use sim::speech::Role;

use super::QUICK;

/// Breaks the customer's stream in the middle of a phrase; the next is heard, at its time.
async fn is_survived(cut: Cut, service: Config, more: &str) {
    let world = World::with_service(service, &format!("{QUICK}{more}")).await;
    let cut = Some(CutAfter {
        audio: Duration::from_millis(1500),
        cut,
    });
    let (role, times) = (Some(Role::Customer), Some(1));
    world.service.set_faults(Faults {
        role,
        times,
        cut,
        ..Faults::default()
    });
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    world
        .until_told(&guid, |told| of(told, "streamReady", "customer").len() >= 2)
        .await;

    let due = due_at(&call, 0, "customer-goodbye");
    world.say(&mut call, "customer-goodbye").await;
    let due_agent = due_at(&call, 0, "agent-goodbye");
    world.say(&mut call, "agent-goodbye").await;
    let stopped = world.try_stop(&guid).await;
    assert_eq!(stopped.status, 200);
    assert_eq!(stopped.stream("agent")["status"]["code"], 1000);
    assert_eq!(stopped.stream("customer")["status"]["code"], 1000);

    assert_eq!(world.heard(Role::Agent), ["agent-goodbye"]);
    assert_eq!(
        world.heard(Role::Customer).last().unwrap(),
        "customer-goodbye"
    );
    let told = world.told(&guid).await;
    for (id, due) in [("customer-goodbye", due), ("agent-goodbye", due_agent)] {
        let at = heard_at(&told, id).unwrap();
        assert!(
            at.abs_diff(due) <= 100,
            "{id} is told to begin at {at} ms, not at {due} ms"
        );
    }
    let interrupted = of(&told, "streamInterrupted", "");
    assert_eq!(interrupted.len(), 1);
    assert_eq!(
        (&interrupted[0]["role"], &interrupted[0]["attempt"]),
        (&"customer".into(), &1.into())
    );
    assert!(
        interrupted[0]["why"]
            .as_str()
            .is_some_and(|why| why.len() > 10)
    );
    assert_eq!(
        world.metric_sum("antiphon_upstream_retries_total").await,
        1.0
    );
    assert_eq!(one_stream_a_role(&told), ["agent", "customer"]);
    call.hang_up().await.unwrap();
    world.end().await;
}

/// The streams as the consumer knows them; another socket is not another stream.
fn one_stream_a_role(told: &[Value]) -> Vec<&str> {
    let mut roles: Vec<_> = of(told, "streamOpened", "")
        .iter()
        .map(|event| event["role"].as_str().unwrap())
        .collect();
    roles.sort_unstable();
    roles
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_ends_without_a_word() {
    is_survived(Cut::Drop, rig::service_config(), "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_reset() {
    is_survived(Cut::Reset, rig::service_config(), "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_without_a_final_message() {
    is_survived(Cut::Close(1011), rig::service_config(), "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_shuts_down() {
    is_survived(Cut::Final(5001), rig::service_config(), "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_swallows_everything() {
    let more = "[upstream]\nping_interval = \"1s\"\npong_timeout = \"200ms\"\n";
    is_survived(Cut::BlackHole, rig::service_config(), more).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_has_lasted_too_long() {
    is_survived(Cut::Final(4090), rig::service_config(), "").await;
}

// The kernel takes minutes of sound for a service that does not read it: its silence tells.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_stops_reading() {
    let service = Config {
        receive_buffer_bytes: Some(4096),
        ..rig::service_config()
    };
    let more = "[upstream]\nping_interval = \"1s\"\npong_timeout = \"200ms\"\n";
    is_survived(Cut::Stall(Duration::from_secs(60)), service, more).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_cut_off_for_having_nothing_to_hear_comes_back_with_sound() {
    let rules = Rules {
        idle_timeout: Duration::from_millis(300),
        ..Rules::default()
    };
    let service = Config {
        rules,
        ..rig::service_config()
    };
    let world = World::with_service(service, QUICK).await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    world
        .until_told(&guid, |told| of(told, "streamInterrupted", "").len() == 2)
        .await;
    assert_eq!(
        world.service.streams().len(),
        2,
        "nobody calls back before there is sound"
    );
    let due = due_at(&call, 0, "customer-greeting");
    world.say(&mut call, "customer-greeting").await;
    world.stop(&call).await;
    assert_eq!(world.heard(Role::Customer), ["customer-greeting"]);
    let told = world.told(&guid).await;
    assert!(heard_at(&told, "customer-greeting").unwrap().abs_diff(due) <= 100);
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_in_an_outage_waits_and_keeps_its_time() {
    let world = World::with(QUICK).await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    world
        .until_told(&guid, |told| of(told, "transcript", "customer").len() == 1)
        .await;
    let rest = Some(RestFault {
        status: 503,
        retry_after: Some(Duration::from_secs(1)),
    });
    world.service.set_faults(Faults {
        rest,
        times: Some(2),
        ..Faults::default()
    });
    assert!(world.service.inflict(0, Cut::Drop) && world.service.inflict(1, Cut::Drop));
    world
        .until_told(&guid, |told| of(told, "streamInterrupted", "").len() >= 2)
        .await;
    let due = due_at(&call, 0, "customer-receipt");
    world.say(&mut call, "customer-receipt").await;
    world
        .until_told(&guid, |told| of(told, "transcript", "customer").len() == 2)
        .await;
    world.stop(&call).await;
    assert_eq!(
        world.heard(Role::Customer),
        ["customer-greeting", "customer-receipt"]
    );
    let told = world.told(&guid).await;
    assert!(heard_at(&told, "customer-receipt").unwrap().abs_diff(due) <= 100);
    // The first sockets never confirmed what they took; only those that did are compared.
    assert!(of(&told, "bytesMismatch", "").is_empty());
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_an_outage_is_answered_and_can_throw_away_what_waits() {
    let more = "[pci]\ndiscard_backlog = true\n[control]\nstop_timeout = \"500ms\"\n";
    let world = World::with(&format!(
        "{QUICK}{more}[upstream.autotranscribe]\nurls_per_call = 0\n"
    ))
    .await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    let rest = Some(RestFault {
        status: 503,
        retry_after: Some(Duration::from_secs(2)),
    });
    world.service.set_faults(Faults {
        rest,
        ..Faults::default()
    });
    assert!(world.service.inflict(0, Cut::Drop) && world.service.inflict(1, Cut::Drop));
    world
        .until_told(&guid, |told| of(told, "streamInterrupted", "").len() >= 2)
        .await;
    world.say(&mut call, "customer-card").await;
    let stopped = world.try_stop(&guid).await;
    assert_eq!(
        (stopped.status, &stopped.body["isOk"]),
        (200, &false.into())
    );
    world.service.set_faults(Faults::default());
    world
        .until_told(&guid, |told| of(told, "streamEnded", "").len() == 2)
        .await;
    assert!(world.heard(Role::Customer).is_empty());
    world.start(&call).await;
    world.say(&mut call, "customer-goodbye").await;
    // A stop throws away what is not sent yet here too.
    world
        .until_told(&guid, |told| of(told, "transcript", "").len() == 1)
        .await;
    world.stop(&call).await;
    assert_eq!(world.heard(Role::Customer), ["customer-goodbye"]);
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_cannot_be_had_for_long_is_probed_and_the_other_goes_on() {
    let more = format!("{QUICK}retries_max = 2\n[upstream.autotranscribe]\nurls_per_call = 0\n");
    let world = World::with(&format!("[upstream]\nprobe_interval = \"200ms\"\n{more}")).await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    let rest = Some(RestFault {
        status: 503,
        retry_after: None,
    });
    world.service.set_faults(Faults {
        rest,
        ..Faults::default()
    });
    let customer = world
        .service
        .streams()
        .iter()
        .position(|one| one.role() == Some(Role::Customer));
    assert!(world.service.inflict(customer.unwrap(), Cut::Drop));
    world
        .until_told(&guid, |told| {
            of(told, "streamDegraded", "customer").len() == 1
        })
        .await;
    world.say(&mut call, "customer-greeting").await;
    world.say(&mut call, "agent-greeting").await;
    world
        .until_told(&guid, |told| of(told, "transcript", "agent").len() == 1)
        .await;
    assert!(world.heard(Role::Customer).is_empty());
    world.service.set_faults(Faults::default());
    world
        .until_told(&guid, |told| of(told, "transcript", "customer").len() == 1)
        .await;
    world.stop(&call).await;
    assert_eq!(world.heard(Role::Customer), ["customer-greeting"]);
    assert_eq!(world.heard(Role::Agent), ["agent-greeting"]);
    assert!(of(&world.told(&guid).await, "gap", "").is_empty());
    call.hang_up().await.unwrap();
    world.end().await;
}
