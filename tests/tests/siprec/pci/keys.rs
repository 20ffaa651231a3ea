//! Keys that are pressed: told behind an open gate, nothing at all behind any other, and never
//! logged.

use std::time::Duration;

use rig::World;
use rig::apart::Apart;
use rig::recording::{SIPREC, recording_config};
use rig::told::of;
use serde_json::{Value, json};
use sim::caller::siprec::{Side, SiprecCall, Suite};
use sim::speech::Role;

use crate::GATEWAY;
use crate::support::{UNHURRIED, deaf, leg, packets, passing, sound, until_metric};

/// What a card begins with: not to be heard.
const CARD: [char; 6] = ['4', '0', '7', '1', '9', '3'];
/// What is chosen in a menu.
const CHOICE: [char; 3] = ['*', '2', '#'];
/// What the agent presses.
const TRANSFER: [char; 2] = ['A', '8'];

const PRESSED: &str = "antiphon_siprec_keys_pressed_total";
const UNTOLD: &str = "antiphon_siprec_keys_untold_total";

async fn press(call: &mut SiprecCall, side: Side, keys: &[char]) {
    for key in keys {
        call.dtmf(side, *key).await.unwrap();
        call.silence(Duration::from_millis(40)).await.unwrap();
    }
}

/// Keys behind the open gate, and until the gateway has heard them.
async fn press_aloud(world: &World, call: &mut SiprecCall) {
    press(call, Side::Customer, &CHOICE).await;
    press(call, Side::Agent, &TRANSFER).await;
    world.arrived(&*call).await;
    let all = |count| count == (CHOICE.len() + TRANSFER.len()) as f64;
    call.silence_while(until_metric(world, PRESSED, all))
        .await
        .unwrap();
}

/// A card behind a gate that is not open.
async fn press_in_secret(world: &World, call: &mut SiprecCall) {
    press(call, Side::Customer, &CARD).await;
    world.arrived(&*call).await;
}

/// The keys of a party, each of which is told with its leg.
fn keys(told: &[Value], shown: &Value, (role, side): (&str, &str)) -> Vec<char> {
    let events = of(told, "dtmf", role).into_iter();
    let keys = events.map(|event| {
        assert_eq!(event["side"], *side, "{event}");
        assert_eq!(event["leg"], leg(shown, side)["id"], "{event}");
        assert_eq!(event["durationMs"], 100, "{event}");
        event["key"].as_str().unwrap().parse().unwrap()
    });
    keys.collect()
}

/// Nothing in a log is about a key.
fn assert_unsaid(text: &str) {
    let runs = [CARD.as_slice(), &CHOICE, &TRANSFER].map(|keys| keys.iter().collect::<String>());
    let lower = text.to_lowercase();
    let words = ["dtmf", "digit", "pressed", "keypad", "telephone-event"];
    for word in words.into_iter().chain(runs.iter().map(String::as_str)) {
        assert!(!lower.contains(word), "{word}: {text}");
    }
}

async fn told_behind_an_open_gate_only(srtp: Option<Suite>) {
    let folder = tempfile::tempdir().unwrap();
    let config = recording_config(&format!("{UNHURRIED}[log]\nlevel = \"trace\"\n"));
    let mut gateway = Apart::new(deaf(), &config, GATEWAY, folder.path()).await;
    gateway.world.ask_about(SIPREC);
    let world = &gateway.world;
    let mut call = world.record_with(|options| options.srtp = srtp).await;
    let guid = call.guid();
    call.silence(Duration::from_millis(100)).await.unwrap();

    press_in_secret(world, &mut call).await;
    world.start(&mut call).await;
    passing(world, &mut call).await;
    world.pause(&mut call).await;
    press_in_secret(world, &mut call).await;
    world.resume(&mut call).await;
    passing(world, &mut call).await;
    assert_eq!(world.metric(PRESSED).await, 0.0);
    assert_eq!(world.metric(&packets("event")).await, 0.0);
    press_aloud(world, &mut call).await;
    assert_unsaid(&world.call(&guid).await.to_string());
    world.stop(&mut call).await;
    press_in_secret(world, &mut call).await;

    let (told, shown) = (world.told(&guid).await, world.call(&guid).await);
    assert_eq!(keys(&told, &shown, ("customer", "first")), CHOICE);
    assert_eq!(keys(&told, &shown, ("agent", "second")), TRANSFER);
    let all = CHOICE.len() + TRANSFER.len();
    assert_eq!(of(&told, "dtmf", "").len(), all, "{told:#?}");
    assert_eq!(world.metric(PRESSED).await, all as f64);
    assert_eq!(world.metric(UNTOLD).await, 0.0);
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

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_told_behind_an_open_gate_and_nowhere_behind_any_other() {
    told_behind_an_open_gate_only(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_are_sealed_ones() {
    told_behind_an_open_gate_only(Some(Suite::AeadAes128Gcm)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_the_role_that_the_start_gave_its_leg() {
    let world = World::recording_to(deaf(), UNHURRIED).await;
    let mut call = world.record().await;
    let guid = call.guid();
    let swapped = json!({"siprecParams": {"mediaLineOrder": "AGENT_FIRST"}});
    let start = sim::control::Start {
        more: swapped,
        ..sim::control::Start::of(&guid)
    };
    let started = call.silence_while(world.api.start(&start)).await;
    assert!(started.unwrap().unwrap().is_ok());
    passing(&world, &mut call).await;
    press_aloud(&world, &mut call).await;
    let (told, shown) = (world.told(&guid).await, world.call(&guid).await);
    assert_eq!(keys(&told, &shown, ("agent", "first")), CHOICE);
    assert_eq!(keys(&told, &shown, ("customer", "second")), TRANSFER);
    call.hang_up().await.unwrap();
    world.until_state(&guid, "gone").await;
    world.end().await;
}
