//! One dead service beside a healthy one: who has long backlogs pays, and nobody else.

use std::time::Duration;

use rig::shown::{sound, until_metric};
use rig::told::of;
use rig::{World, eventually, phrase};
use serde_json::Value;
use sim::caller::twilio::{Side, TwilioCall};
use sim::caller::ulaw;
use sim::service::autotranscribe::faults::{Cut, Faults};
use sim::service::autotranscribe::record::Recorded;
use sim::speech::Role;

use crate::scenes::{stream_refused, until_overloaded};

/// Four seconds of one leg; each may keep half a second of it. Who has lost its service looks for
/// it now and then, not so often that it is given up.
const MORE: &str = "[overload]\nbacklog_bytes_max = \"64KiB\"\nbacklog_floor = \"500ms\"\n\
    [upstream.retry]\nretries_max = 1000\n\
    backoff_min = \"3s\"\nbackoff_base = \"3s\"\nbackoff_max = \"3s\"\n";
const BYTES_MAX: f64 = 65_536.0;
/// Half a second and a chunk, of four legs.
const FLOORS: f64 = 4.0 * (8_000.0 + 1_600.0);

/// A call that is transcribed; at no speed its sound comes all at once.
async fn started(world: &World, speed: f64) -> TwilioCall {
    let call = world.dial_with(|options| options.speed = speed).await;
    world.start(&call).await;
    call
}

fn millis(event: &Value, key: &str) -> u64 {
    event[key].as_u64().unwrap()
}

/// Ends the sockets of a call at the service, which takes no others.
async fn bereave(world: &World, call: &TwilioCall) {
    world.service.set_faults(Faults {
        accept_then_close: Some(1011),
        ..Faults::default()
    });
    let guid = call.call_sid();
    let its = world.service.with_streams(|streams| {
        let of_call = |(at, stream): (usize, &Recorded)| {
            (stream.external_id.as_deref() == Some(guid)).then_some(at)
        };
        streams
            .iter()
            .enumerate()
            .filter_map(of_call)
            .collect::<Vec<_>>()
    });
    assert_eq!(its.len(), 2);
    for stream in its {
        assert!(world.service.inflict(stream, Cut::Drop));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_without_a_service_share_a_budget_and_those_with_one_lose_nothing() {
    let world = World::with(MORE).await;
    let mut fine = started(&world, 1.0).await;
    let mut dead = started(&world, 0.0).await;
    world.say(&mut fine, "customer-greeting").await;
    bereave(&world, &dead).await;
    let late = world.options().await;
    for _ in 0..4 {
        dead.say(Side::Inbound, &phrase("customer-account").samples)
            .await
            .unwrap();
        dead.silence(Duration::from_secs(2)).await.unwrap();
    }
    world.arrived(&dead).await;
    let bytes = until_metric(&world, "antiphon_backlog_bytes", |bytes| {
        bytes > 0.75 * BYTES_MAX
    });
    let bytes = bytes.await;
    assert!(bytes <= BYTES_MAX + FLOORS, "{bytes} bytes");
    until_overloaded(&world, "backlogs", true).await;
    assert_eq!(stream_refused(late.clone()).await.status, 503);
    let refusals = "antiphon_admission_refusals_total{reason=\"backlogs\"}";
    assert_eq!(world.metric(refusals).await, 1.0);

    // Beside them somebody speaks on, and is heard to the last sample.
    world.say(&mut fine, "agent-greeting").await;
    world.stop(&fine).await;
    for (side, role) in [
        (Side::Inbound, Role::Customer),
        (Side::Outbound, Role::Agent),
    ] {
        let tape = &fine.sent(side).tape;
        let said: Vec<i16> = tape.iter().map(|&code| ulaw::decode(code)).collect();
        let heard = sound(&world, fine.call_sid(), role);
        assert!(heard == said, "{role}: {} of {}", heard.len(), said.len());
    }
    let told = world.told(fine.call_sid()).await;
    assert!(of(&told, "gap", "").is_empty());

    // The service is back: what was kept is heard, what was not is told, and new calls come in.
    world.service.set_faults(Faults::default());
    until_overloaded(&world, "backlogs", false).await;
    let guid = dead.call_sid().to_owned();
    let ready = |told: &[Value]| of(told, "streamReady", "").len() == 4;
    world.until_told(&guid, ready).await;
    world.stop(&dead).await;
    let told = world.told(&guid).await;
    for (side, role, named) in [
        (Side::Inbound, Role::Customer, "customer"),
        (Side::Outbound, Role::Agent, "agent"),
    ] {
        let gaps = of(&told, "gap", named);
        let lost = gaps
            .iter()
            .map(|gap| millis(gap, "toMs") - millis(gap, "fromMs"));
        let lost = 8 * lost.sum::<u64>();
        let heard = sound(&world, &guid, role).len() as u64;
        assert!(lost > 0 && heard > 0, "{role}: {lost} lost, {heard} heard");
        assert_eq!(lost + heard, dead.sent(side).samples, "{role}");
    }
    let empty = until_metric(&world, "antiphon_backlog_bytes", |bytes| bytes == 0.0);
    eventually("empty backlogs", empty).await;
    let again = TwilioCall::dial(late).await.unwrap();
    again.hang_up().await.unwrap();
    fine.hang_up().await.unwrap();
    dead.hang_up().await.unwrap();
    world.end().await;
}
