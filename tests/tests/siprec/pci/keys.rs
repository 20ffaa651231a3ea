//! Keys that are pressed: counted behind an open gate, nothing at all behind any other, told never.

use std::time::Duration;

use rig::apart::Apart;
use rig::recording::{SIPREC, recording_config};
use serde_json::Value;
use sim::caller::siprec::{Side, SiprecCall};
use sim::speech::Role;

use crate::GATEWAY;
use crate::support::{UNHURRIED, deaf, packets, passing, sound, until_metric};

/// What a card begins with.
const CARD: [char; 6] = ['4', '0', '7', '1', '9', '3'];

const PRESSED: &str = "antiphon_siprec_keys_pressed_total";

async fn press(call: &mut SiprecCall) {
    for key in CARD {
        call.dtmf(Side::Customer, key).await.unwrap();
        call.silence(Duration::from_millis(40)).await.unwrap();
    }
}

/// No member of an event is about a key.
fn assert_nothing_told(told: &[Value]) {
    const TYPES: [&str; 12] = [
        "callStarted",
        "callChanged",
        "callEnded",
        "legOpened",
        "legChanged",
        "legEnded",
        "streamOpened",
        "streamReady",
        "streamEnded",
        "gap",
        "transcript",
        "callNamed",
    ];
    for event in told {
        let kind = event["type"].as_str().unwrap();
        assert!(TYPES.contains(&kind), "{event}");
        assert_unsaid(&event.to_string());
    }
}

fn assert_unsaid(text: &str) {
    let card: String = CARD.iter().collect();
    let lower = text.to_lowercase();
    for word in [
        "dtmf",
        "digit",
        "pressed",
        "keypad",
        "telephone-event",
        &card,
    ] {
        assert!(!lower.contains(word), "{word}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_behind_a_shut_gate_are_nowhere_and_those_behind_an_open_one_a_count() {
    let folder = tempfile::tempdir().unwrap();
    let config = recording_config(&format!("{UNHURRIED}[log]\nlevel = \"trace\"\n"));
    let mut gateway = Apart::new(deaf(), &config, GATEWAY, folder.path()).await;
    gateway.world.ask_about(SIPREC);
    let world = &gateway.world;
    let mut call = world.record().await;
    let guid = call.guid();
    call.silence(Duration::from_millis(100)).await.unwrap();

    press(&mut call).await;
    world.arrived(&call).await;
    world.start(&mut call).await;
    passing(world, &mut call).await;
    world.pause(&mut call).await;
    press(&mut call).await;
    world.arrived(&call).await;
    world.resume(&mut call).await;
    passing(world, &mut call).await;
    assert_eq!(world.metric(PRESSED).await, 0.0);
    assert_eq!(world.metric(&packets("event")).await, 0.0);

    press(&mut call).await;
    world.arrived(&call).await;
    let all = |count| count == CARD.len() as f64;
    call.silence_while(until_metric(world, PRESSED, all))
        .await
        .unwrap();
    assert_unsaid(&world.call(&guid).await.to_string());
    world.stop(&mut call).await;
    press(&mut call).await;
    call.silence(Duration::from_millis(500)).await.unwrap();
    assert_eq!(world.metric(PRESSED).await, CARD.len() as f64);

    assert_nothing_told(&world.told(&guid).await);
    call.hang_up().await.unwrap();
    world.until_state(&guid, "gone").await;
    for role in [Role::Customer, Role::Agent] {
        let heard = sound(world, &guid, role);
        assert!(!heard.is_empty());
        assert!(heard.iter().all(|&sample| sample == 0), "keys are no sound");
    }
    let log = gateway.log.clone();
    gateway.end().await;
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains(&guid), "the log is of this call");
    log.lines().for_each(assert_unsaid);
}
