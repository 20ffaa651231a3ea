//! `answer = "inactive"`: nothing is sent before a start, which asks the SBC for it.

use std::path::Path;
use std::time::Duration;

use rig::World;
use rig::apart::Apart;
use rig::recording::{SIPREC, recording_config};
use sim::caller::siprec::{Direction, Event, RawDialog, Side, SiprecCall};
use sim::control::Start;

use crate::GATEWAY;
use crate::scenes::{PATIENCE, SDP, ask, assert_heard, trunk, try_start, until_legs};
use crate::support::{over, packets, until_metric};
use crate::words::{ASIDES, GOODBYES, GREETINGS, attentive, converse, recording_with};

/// Nothing is sent before a start.
const INACTIVE: &str = "answer = \"inactive\"";
/// Requests of ours that were refused or not answered.
const FAILED: &str = "antiphon_siprec_notices_total{kind=\"request_failed\"}";
/// And nothing after a stop.
const PAUSING: &str = "answer = \"inactive\"\npause_on_stop = true";

fn reinvited(call: &SiprecCall) -> Vec<Vec<Direction>> {
    let directions = |event: Event| match event {
        Event::Reinvited(directions) => Some(directions),
        _ => None,
    };
    call.events().into_iter().filter_map(directions).collect()
}

fn is_open(call: &SiprecCall) -> [bool; 2] {
    Side::BOTH.map(|side| call.is_open(side))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_has_the_sbc_send_and_a_stop_has_it_stop() {
    let world = recording_with(&trunk(PAUSING)).await;
    let mut call = world.record().await;
    let guid = call.guid();
    assert_eq!(is_open(&call), [false; 2]);
    call.silence(Duration::from_millis(300)).await.unwrap();
    assert_eq!(call.packets_sent(), 0);
    let mut expected = Vec::new();
    for phrases in [GREETINGS, GOODBYES] {
        world.start(&mut call).await;
        expected.push(vec![Direction::RecvOnly; 2]);
        assert_eq!(
            (reinvited(&call), is_open(&call)),
            (expected.clone(), [true; 2])
        );
        converse(&world, &mut call, phrases).await;
        world.stop(&mut call).await;
        expected.push(vec![Direction::Inactive; 2]);
        let told = |events: &[Event]| events.len() >= expected.len();
        call.wait_for(told, PATIENCE).await.unwrap();
        assert_eq!(
            (reinvited(&call), is_open(&call)),
            (expected.clone(), [false; 2])
        );
    }
    assert_heard(&world, &guid, &[GREETINGS, GOODBYES]);
    assert_eq!(call.answer_faults(), [""; 0]);
    over(&world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_pause_on_stop_sound_flows_on_and_the_next_start_asks_for_nothing() {
    let world = recording_with(&trunk(INACTIVE)).await;
    let mut call = world.record().await;
    let guid = call.guid();
    world.start(&mut call).await;
    world.stop(&mut call).await;
    converse(&world, &mut call, ASIDES).await;
    world.start(&mut call).await;
    converse(&world, &mut call, GREETINGS).await;
    world.stop(&mut call).await;
    assert_eq!((reinvited(&call).len(), is_open(&call)), (1, [true; 2]));
    assert_heard(&world, &guid, &[GREETINGS]);
    over(&world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recvonly_sessions_pause_at_a_stop_where_the_trunk_says_so() {
    let world = recording_with(&trunk("pause_on_stop = true")).await;
    let mut call = world.record().await;
    let guid = call.guid();
    assert_eq!(is_open(&call), [true; 2]);
    world.start(&mut call).await;
    assert!(reinvited(&call).is_empty());
    world.stop(&mut call).await;
    call.wait_for(|events| !events.is_empty(), PATIENCE)
        .await
        .unwrap();
    assert_eq!(is_open(&call), [false; 2]);
    world.start(&mut call).await;
    assert_eq!(is_open(&call), [true; 2]);
    converse(&world, &mut call, GREETINGS).await;
    world.stop(&mut call).await;
    assert_heard(&world, &guid, &[GREETINGS]);
    over(&world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sbc_that_refuses_is_the_start_s_error() {
    let world = recording_with(&trunk(INACTIVE)).await;
    let mut call = world.record().await;
    let guid = call.guid();
    call.refuse("INVITE", 488);
    let start = Start::of(&guid);
    let started = try_start(&world, &mut call, &start).await;
    assert_eq!((started.status, started.is_ok()), (200, false));
    let error = started.body["errorMessage"].to_string();
    assert!(
        error.contains("the SRC answered our re-INVITE with 488"),
        "{error}"
    );
    for role in ["customer", "agent"] {
        assert_eq!(
            started.stream(role)["status"]["code"],
            5000,
            "{}",
            started.body
        );
    }
    world.until_state(&guid, "idle").await;
    assert_eq!(world.metric(FAILED).await, 1.0, "it is asked once for both");
    // Each start asks anew.
    world.start(&mut call).await;
    converse(&world, &mut call, GREETINGS).await;
    call.silence_while(world.try_stop(&guid)).await.unwrap();
    assert_heard(&world, &guid, &[GREETINGS]);
    over(&world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reinvite_that_meets_another_is_tried_again() {
    let world = recording_with(&trunk(INACTIVE)).await;
    let mut call = world.record().await;
    let guid = call.guid();
    call.refuse("INVITE", 491);
    world.start(&mut call).await;
    converse(&world, &mut call, GREETINGS).await;
    world.stop(&mut call).await;
    assert_heard(&world, &guid, &[GREETINGS]);
    over(&world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sbc_that_never_answers_is_the_start_s_error_and_then_its_session_is_over() {
    let keys = format!(
        "[siprec]\ngrant_timeout = \"300ms\"\nt1 = \"50ms\"\n{}",
        trunk(INACTIVE)
    );
    let world = recording_with(&keys).await;
    let mut raw = RawDialog::open(&world.recording_options()).await.unwrap();
    let invite = raw.invite("application/sdp", SDP.as_bytes());
    let taken = ask(&mut raw, &invite).await;
    assert_eq!(taken.status(), 200);
    let ack = raw.ack(&invite, &taken);
    raw.send(&ack).await.unwrap();
    let guid = raw.call_id.clone();
    until_legs(&world, &guid, 2).await;
    let started = world.try_start(&guid).await;
    assert_eq!(
        (started.status, started.is_ok()),
        (200, false),
        "{}",
        started.body
    );
    let error = started.body["errorMessage"].to_string();
    assert!(error.contains("re-INVITE"), "{error}");
    world.until_state(&guid, "gone").await;
    let lost = "antiphon_siprec_sessions_ended_total{reason=\"lost\"}";
    until_metric(&world, lost, |sessions| sessions == 1.0).await;
}

/// A trunk on which a stop asks for silence, seen by its log.
async fn pausing(folder: &Path) -> Apart {
    let keys = format!(
        "[siprec]\ngrant_timeout = \"300ms\"\nt1 = \"70ms\"\n{}",
        trunk("pause_on_stop = true")
    );
    let mut gateway = Apart::new(attentive(), &recording_config(&keys), GATEWAY, folder).await;
    gateway.world.ask_about(SIPREC);
    gateway
}

/// A stop whose re-INVITE comes to nothing: it is answered well, and what is still sent goes
/// nowhere.
async fn stopped_all_the_same(world: &World, call: &mut SiprecCall) {
    world.start(&mut *call).await;
    converse(world, call, GREETINGS).await;
    world.stop(&mut *call).await;
    assert_eq!(is_open(call), [true; 2], "the SBC sends on");
    converse(world, call, ASIDES).await;
    let withheld = packets("withheld");
    until_metric(world, &withheld, |count| count > 40.0).await;
    assert_heard(world, &call.guid(), &[GREETINGS]);
}

fn refusals_told(gateway: &Apart) -> usize {
    let log = std::fs::read_to_string(&gateway.log).unwrap();
    log.matches("The peer does not do as it was asked.").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_the_sbc_refuses_to_pause_for_is_a_stop_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = pausing(folder.path()).await;
    let world = &gateway.world;
    let mut call = world.record().await;
    let guid = call.guid();
    call.refuse("INVITE", 488);
    stopped_all_the_same(world, &mut call).await;
    until_metric(world, FAILED, |count| count == 1.0).await;
    assert_eq!(refusals_told(&gateway), 1);
    // Sound flows already, so the next start asks for nothing.
    world.start(&mut call).await;
    assert!(reinvited(&call).is_empty());
    converse(world, &mut call, GOODBYES).await;
    world.stop(&mut call).await;
    let told = |events: &[Event]| !events.is_empty();
    call.wait_for(told, PATIENCE).await.unwrap();
    assert_eq!(is_open(&call), [false; 2]);
    assert_heard(world, &guid, &[GREETINGS, GOODBYES]);
    over(world, call).await;
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_the_sbc_never_answers_is_a_stop_and_then_the_session_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = pausing(folder.path()).await;
    let world = &gateway.world;
    let mut call = world.record().await;
    let guid = call.guid();
    call.ignore("INVITE");
    stopped_all_the_same(world, &mut call).await;
    assert!(call.ended(PATIENCE).await, "no BYE came");
    world.until_state(&guid, "gone").await;
    let lost = "antiphon_siprec_sessions_ended_total{reason=\"lost\"}";
    until_metric(world, lost, |sessions| sessions == 1.0).await;
    until_metric(world, FAILED, |count| count == 1.0).await;
    assert_eq!(refusals_told(&gateway), 1);
    assert_heard(world, &guid, &[GREETINGS]);
    gateway.end().await;
}
