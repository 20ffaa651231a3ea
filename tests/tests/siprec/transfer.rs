//! Lines that move, come and go while a call is transcribed.

use std::time::Duration;

use sim::caller::siprec::{Event, Like, Side};

use crate::scenes::{assert_heard, leg_of, until_heard, until_legs};
use crate::support::{heard, over};
use crate::words::{GOODBYES, GREETINGS, converse, recording, word};
use sim::speech::Role;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_over_from_the_agent_is_heard_as_the_agent() {
    let world = recording().await;
    let mut call = world
        .record_with(|options| options.like = Like::Oracle)
        .await;
    let guid = call.guid();
    let legs = until_legs(&world, &guid, 2).await;
    world.start(&mut call).await;
    converse(&world, &mut call, GREETINGS).await;
    let source = call.ssrc(Side::Agent);
    call.transfer().await.unwrap();
    assert_ne!(call.ssrc(Side::Agent), source);
    converse(&world, &mut call, GOODBYES).await;
    let shown = world.call(&guid).await;
    assert_eq!(leg_of(&shown, "agent")["id"], leg_of(&legs, "agent")["id"]);
    world.stop(&mut call).await;
    assert_heard(&world, &guid, &[GREETINGS, GOODBYES]);
    assert_eq!(call.answer_faults(), [""; 0]);
    assert!(world.metric("antiphon_siprec_stream_restarts_total").await <= 1.0);
    over(&world, call).await;
    assert_eq!(world.service.streams().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_move_to_other_ports_are_heard_on() {
    let world = recording().await;
    let mut call = world.record().await;
    let guid = call.guid();
    world.start(&mut call).await;
    converse(&world, &mut call, GREETINGS).await;
    call.move_ports().await.unwrap();
    converse(&world, &mut call, GOODBYES).await;
    world.stop(&mut call).await;
    assert_heard(&world, &guid, &[GREETINGS, GOODBYES]);
    over(&world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_line_is_rejected_and_the_others_are_heard_on() {
    let world = recording().await;
    let mut call = world.record().await;
    let guid = call.guid();
    world.start(&mut call).await;
    call.add_line().await.unwrap();
    let ports: Vec<bool> = call
        .answer()
        .lines
        .iter()
        .map(|line| line.port != 0)
        .collect();
    assert_eq!(ports, [true, true, false]);
    let rejected = "antiphon_siprec_notices_total{kind=\"line_rejected\"}";
    assert_eq!(world.metric(rejected).await, 1.0);
    converse(&world, &mut call, GREETINGS).await;
    world.stop(&mut call).await;
    assert_heard(&world, &guid, &[GREETINGS]);
    over(&world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_removed_ends_and_the_other_is_heard_on() {
    let world = recording().await;
    let mut call = world.record().await;
    let guid = call.guid();
    world.start(&mut call).await;
    converse(&world, &mut call, GREETINGS).await;
    call.remove_line(Side::Agent).await.unwrap();
    until_legs(&world, &guid, 1).await;
    call.set_sides(&[Side::Customer]);
    call.say(Side::Customer, &word("customer-aside").samples)
        .await
        .unwrap();
    until_heard(&world, &mut call, Role::Customer, 2).await;
    world.stop(&mut call).await;
    assert_eq!(heard(&world, &guid, Role::Agent), ["agent-hello"]);
    assert_eq!(
        heard(&world, &guid, Role::Customer),
        ["customer-hello", "customer-aside"]
    );
    let removed = "antiphon_siprec_lines_ended_total{reason=\"line_removed\"}";
    assert_eq!(world.metric(removed).await, 1.0);
    assert_eq!(call.answer_faults(), [""; 0]);
    over(&world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_refresh_changes_nothing() {
    let world = recording().await;
    let mut call = world.record().await;
    let guid = call.guid();
    world.start(&mut call).await;
    converse(&world, &mut call, GREETINGS).await;
    let origin = call.answer().origin;
    call.refresh().await.unwrap();
    assert_eq!(call.answer().origin, origin);
    let pong = call.ping().await.unwrap();
    assert_eq!(pong.status(), 200);
    converse(&world, &mut call, GOODBYES).await;
    world.stop(&mut call).await;
    assert_heard(&world, &guid, &[GREETINGS, GOODBYES]);
    assert!(!call.events().contains(&Event::Bye));
    over(&world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_is_a_new_session_of_the_same_group_keeps_the_call_s_guid() {
    let world = recording().await;
    let mut call = world
        .record_with(|options| options.like = Like::Netsapiens)
        .await;
    let guid = call.guid();
    world.start(&mut call).await;
    converse(&world, &mut call, GREETINGS).await;
    world.stop(&mut call).await;
    let first = call.call_id();
    call.transfer().await.unwrap();
    assert_ne!(call.call_id(), first);
    assert_eq!(call.guid(), guid);
    call.silence(Duration::from_millis(100)).await.unwrap();
    world.start(&mut call).await;
    let [customer, agent] = GOODBYES.map(|id| &word(id).samples);
    call.converse(customer, agent).await.unwrap();
    for role in [Role::Customer, Role::Agent] {
        until_heard(&world, &mut call, role, 2).await;
    }
    world.stop(&mut call).await;
    assert_heard(&world, &guid, &[GREETINGS, GOODBYES]);
    let ended = "antiphon_siprec_sessions_ended_total{reason=\"bye\"}";
    assert_eq!(world.metric(ended).await, 1.0);
    over(&world, call).await;
}
