//! Holds: silence of the right length, and both parties where they belong behind it.

use std::time::Duration;

use rig::World;
use sim::caller::siprec::{Hold, Side, SiprecCall};
use sim::speech::Role;

use crate::scenes::{assert_heard, until_legs};
use crate::support::{over, streams};
use crate::words::{GOODBYES, GREETINGS, converse, onset, recording, word};

/// How far from its place a phrase may be heard, in milliseconds: a listener rounds, and a machine
/// that stalls lets more time pass than the call's own clock tells.
const WOBBLE: u64 = 150;

/// When a side's phrases were heard, on its stream's clock.
fn heard_at(world: &World, guid: &str, role: Role) -> Vec<u64> {
    let streams = streams(world, guid, role);
    let transcripts = streams.iter().flat_map(|stream| &stream.transcripts);
    transcripts.map(|transcript| transcript.start_ms).collect()
}

/// Says something before and behind a pause, which is as long for the service as for the parties.
async fn a_pause_keeps_its_length(pause: impl AsyncFn(&mut SiprecCall)) {
    let world = recording().await;
    let mut call = world.record().await;
    let guid = call.guid();
    until_legs(&world, &guid, 2).await;
    world.start(&mut call).await;
    let before = call.media_time();
    converse(&world, &mut call, GREETINGS).await;
    let packets = call.packets_sent();
    pause(&mut call).await;
    assert!(call.packets_sent() - packets < 100, "the pause is no pause");
    let between = call.media_time() - before;
    converse(&world, &mut call, GOODBYES).await;
    world.stop(&mut call).await;
    assert_heard(&world, &guid, &[GREETINGS, GOODBYES]);
    for (role, at) in [(Role::Customer, 0), (Role::Agent, 1)] {
        let [first, second] = heard_at(&world, &guid, role)[..] else {
            panic!("two phrases");
        };
        let (first, second) = (first - onset(GREETINGS[at]), second - onset(GOODBYES[at]));
        let off = (second - first).abs_diff(between.as_millis() as u64);
        assert!(
            off <= WOBBLE,
            "{role:?}: {first} and {second}, not {between:?} apart"
        );
    }
    let of = |role| heard_at(&world, &guid, role);
    let apart = |at: usize, ids: [&str; 2]| {
        let [customer, agent] = [Role::Customer, Role::Agent].map(|role| of(role)[at]);
        (customer + onset(ids[1])).abs_diff(agent + onset(ids[0]))
    };
    for (at, ids) in [GREETINGS, GOODBYES].into_iter().enumerate() {
        assert!(
            apart(at, ids) <= 60,
            "the parties are {} ms apart",
            apart(at, ids)
        );
    }
    assert_eq!(call.answer_faults(), [""; 0]);
    over(&world, call).await;
}

async fn held(call: &mut SiprecCall, hold: Hold) {
    call.hold_by(hold).await.unwrap();
    call.silence(Duration::from_millis(1_500)).await.unwrap();
    call.resume().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn inactive_lines_are_silence_of_their_length() {
    a_pause_keeps_its_length(async |call| held(call, Hold::Inactive).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_to_no_address_are_silence_of_their_length() {
    a_pause_keeps_its_length(async |call| held(call, Hold::ZeroAddress).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_just_stop_are_silence_of_their_length() {
    let stop = async |call: &mut SiprecCall| {
        call.set_sides(&[]);
        call.silence(Duration::from_millis(1_500)).await.unwrap();
        call.set_sides(&Side::BOTH);
    };
    a_pause_keeps_its_length(stop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_line_on_hold_is_silence_beside_the_other() {
    let world = recording().await;
    let mut call = world.record().await;
    let guid = call.guid();
    until_legs(&world, &guid, 2).await;
    world.start(&mut call).await;
    call.idle(Side::Agent, true).await.unwrap();
    call.say(Side::Customer, &word("customer-hello").samples)
        .await
        .unwrap();
    call.silence(Duration::from_millis(700)).await.unwrap();
    call.idle(Side::Agent, false).await.unwrap();
    converse(&world, &mut call, GOODBYES).await;
    world.stop(&mut call).await;
    let [customer, agent] = [Role::Customer, Role::Agent].map(|role| heard_at(&world, &guid, role));
    assert_eq!((customer.len(), agent.len()), (2, 1));
    let (customer, agent) = (
        customer[1] + onset(GOODBYES[1]),
        agent[0] + onset(GOODBYES[0]),
    );
    assert!(customer.abs_diff(agent) <= 60, "{customer} and {agent}");
    over(&world, call).await;
}
