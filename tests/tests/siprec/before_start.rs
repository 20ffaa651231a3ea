//! `answer = "inactive"`: nothing is sent before a start, which asks the SBC for it.

use std::time::Duration;

use rig::World;
use sim::caller::siprec::{Direction, Event, RawDialog, Side, SiprecCall};
use sim::control::Start;

use crate::scenes::{
    GOODBYES, GREETINGS, PATIENCE, SDP, ask, assert_heard, converse, trunk, try_start, until_legs,
};
use crate::support::{over, until_metric};

/// Nothing is sent before a start.
const INACTIVE: &str = "answer = \"inactive\"";
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
    let world = World::recording_with(&trunk(PAUSING)).await;
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
    let world = World::recording_with(&trunk(INACTIVE)).await;
    let mut call = world.record().await;
    let guid = call.guid();
    world.start(&mut call).await;
    world.stop(&mut call).await;
    converse(&world, &mut call, ["customer-card", "agent-read-back"]).await;
    world.start(&mut call).await;
    converse(&world, &mut call, GREETINGS).await;
    world.stop(&mut call).await;
    assert_eq!((reinvited(&call).len(), is_open(&call)), (1, [true; 2]));
    assert_heard(&world, &guid, &[GREETINGS]);
    over(&world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recvonly_sessions_pause_at_a_stop_where_the_trunk_says_so() {
    let world = World::recording_with(&trunk("pause_on_stop = true")).await;
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
    let world = World::recording_with(&trunk(INACTIVE)).await;
    let mut call = world.record().await;
    let guid = call.guid();
    // Of two legs each may ask.
    call.refuse("INVITE", 488);
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
    let failed = "antiphon_siprec_notices_total{kind=\"request_failed\"}";
    let refused = world.metric(failed).await;
    assert!((1.0..=2.0).contains(&refused), "{refused}");
    // Each start asks anew.
    let again = try_start(&world, &mut call, &start).await;
    assert_eq!(again.is_ok(), refused == 2.0, "{}", again.body);
    if !again.is_ok() {
        call.silence_while(world.try_stop(&guid)).await.unwrap();
        call.silence_while(world.until_state(&guid, "idle"))
            .await
            .unwrap();
        world.start(&mut call).await;
    }
    converse(&world, &mut call, GREETINGS).await;
    call.silence_while(world.try_stop(&guid)).await.unwrap();
    assert_heard(&world, &guid, &[GREETINGS]);
    over(&world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reinvite_that_meets_another_is_tried_again() {
    let world = World::recording_with(&trunk(INACTIVE)).await;
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
    let world = World::recording_with(&keys).await;
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
