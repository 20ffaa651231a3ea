//! Who decides who speaks: the start, then the trunk, then the metadata as it becomes known.

use rig::World;
use serde_json::json;
use sim::caller::siprec::{Like, SiprecCall};
use sim::control::Start;

use crate::scenes::{assert_heard, grounds, leg_of, refusal, trunk, try_start, until_legs};
use crate::support::{heard, over};
use crate::words::{GREETINGS, converse, recording, recording_with, say};
use sim::speech::Role;

/// A start that says whose the first line is.
async fn start_in_order(world: &World, call: &mut SiprecCall, order: &str) {
    let start = Start {
        more: json!({"siprecParams": {"mediaLineOrder": order}}),
        ..Start::of(&call.guid())
    };
    let started = try_start(world, call, &start).await;
    assert!(started.is_ok(), "{}", started.complaint());
}

/// Says what the customer says on the first line, and hears it as the agent.
async fn heard_swapped(world: &World, mut call: SiprecCall, reason: &str) {
    let guid = call.guid();
    let shown = world.call(&guid).await;
    assert_eq!(grounds(leg_of(&shown, "agent")), (reason, "high"));
    assert_eq!(leg_of(&shown, "agent")["side"], "first");
    converse(world, &mut call, GREETINGS).await;
    world.stop(&mut call).await;
    let [customer, agent] = GREETINGS;
    assert_heard(world, &guid, &[[agent, customer]]);
    over(world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_start_says_that_the_agent_is_first() {
    let world = recording_with(&trunk("media_line_order = \"customer_first\"")).await;
    let mut call = world.record().await;
    start_in_order(&world, &mut call, "AGENT_FIRST").await;
    heard_swapped(&world, call, "mediaLineOrder of the start").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trunk_says_that_the_agent_is_first() {
    let world = recording_with(&trunk("media_line_order = \"agent_first\"")).await;
    let mut call = world
        .record_with(|options| options.like = Like::Oracle)
        .await;
    world.start(&mut call).await;
    heard_swapped(&world, call, "the trunk's order").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_start_says_what_the_caller_s_second_line_does_not() {
    let world = recording().await;
    let mut call = world
        .record_with(|options| options.like = Like::Ribbon)
        .await;
    let guid = call.guid();
    start_in_order(&world, &mut call, "CUSTOMER_FIRST").await;
    converse(&world, &mut call, GREETINGS).await;
    world.stop(&mut call).await;
    let [customer, agent] = GREETINGS;
    assert_heard(&world, &guid, &[[agent, customer]]);
    over(&world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_start_may_say_it_anew() {
    let world = recording().await;
    let mut call = world.record().await;
    let guid = call.guid();
    for order in ["AGENT_FIRST", "CUSTOMER_FIRST"] {
        start_in_order(&world, &mut call, order).await;
        say(&world, &mut call, "customer-aside").await;
        world.stop(&mut call).await;
    }
    assert_eq!(heard(&world, &guid, Role::Agent), ["customer-aside"]);
    assert_eq!(heard(&world, &guid, Role::Customer), ["customer-aside"]);
    over(&world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_line_with_both_parties_is_refused_where_the_trunk_says_so() {
    let world = recording_with(&trunk("mixed = \"refuse\"")).await;
    let dialled = world
        .try_record(|options| options.like = Like::Metaswitch)
        .await;
    let refused = refusal(dialled);
    assert_eq!(refused.status, 488);
    assert!(
        refused
            .warning
            .unwrap()
            .contains("it carries both parties mixed")
    );
    let call = world.record().await;
    until_legs(&world, &call.guid(), 2).await;
    over(&world, call).await;
}

/// The session begins before the callee has answered; both are known afterwards.
async fn begins_early(like: Like) {
    let world = recording().await;
    let early = |options: &mut sim::caller::siprec::Options| {
        options.like = like;
        options.early = true;
    };
    let mut call = world.record_with(early).await;
    let guid = call.guid();
    world.start(&mut call).await;
    call.callee_answers().await.unwrap();
    until_legs(&world, &guid, 2).await;
    converse(&world, &mut call, GREETINGS).await;
    world.stop(&mut call).await;
    assert_heard(&world, &guid, &[GREETINGS]);
    assert_eq!(call.answer_faults(), [""; 0]);
    over(&world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn avaya_s_made_up_party_becomes_the_agent() {
    begins_early(Like::Avaya).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cube_s_inactive_lines_become_active() {
    begins_early(Like::Cube).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oracle_s_metadata_follows_its_lines() {
    begins_early(Like::Oracle).await;
}
