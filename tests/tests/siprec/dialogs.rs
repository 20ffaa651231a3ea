//! Several recording sessions of one call.

use rig::World;
use sim::caller::siprec::{Identifiers, Like, SiprecCall};

use crate::scenes::{assert_heard, trunk, until_legs};
use crate::support::{over, packets, until_metric};
use crate::words::{GOODBYES, GREETINGS, converse, recording, recording_with, word};

async fn record(world: &World, ids: &Identifiers) -> SiprecCall {
    let same = |options: &mut sim::caller::siprec::Options| options.identifiers = ids.clone();
    world.record_with(same).await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_sbcs_that_record_one_call_the_newer_is_heard() {
    let world = recording().await;
    let ids = Identifiers::random();
    let guid = ids.ucid.decimal();
    let mut older = record(&world, &ids).await;
    until_legs(&world, &guid, 2).await;
    let mut newer = record(&world, &ids).await;
    until_legs(&world, &guid, 2).await;
    world.start(&mut newer).await;
    let spoken = tokio::join!(
        older.converse(
            &word("customer-aside").samples,
            &word("agent-aside").samples
        ),
        async { converse(&world, &mut newer, GREETINGS).await },
    );
    spoken.0.unwrap();
    world.stop(&mut newer).await;
    assert_heard(&world, &guid, &[GREETINGS]);
    until_metric(&world, &packets("retired"), |count| count > 40.0).await;
    // The end of the older one is not the end of the call.
    older.hang_up().await.unwrap();
    world.start(&mut newer).await;
    converse(&world, &mut newer, GOODBYES).await;
    world.stop(&mut newer).await;
    assert_heard(&world, &guid, &[GREETINGS, GOODBYES]);
    over(&world, newer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_s_forks_end_one_after_the_other_and_the_call_with_the_last() {
    let world = recording_with(&trunk("accept_anyway = true")).await;
    let mut call = world.record_with(|options| options.like = Like::Bib).await;
    let guid = call.guid();
    until_legs(&world, &guid, 2).await;
    assert_eq!(world.metric("antiphon_siprec_sessions").await, 2.0);
    world.start(&mut call).await;
    converse(&world, &mut call, GREETINGS).await;
    call.hold().await.unwrap();
    call.resume().await.unwrap();
    converse(&world, &mut call, GOODBYES).await;
    world.stop(&mut call).await;
    assert_heard(&world, &guid, &[GREETINGS, GOODBYES]);
    let anyway = "antiphon_siprec_notices_total{kind=\"accepted_anyway\"}";
    assert_eq!(world.metric(anyway).await, 2.0);
    over(&world, call).await;
    assert_eq!(world.metric("antiphon_siprec_sessions").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_beside_each_other_do_not_hear_each_other() {
    let world = recording().await;
    let (mut one, mut other) = tokio::join!(world.record(), world.record());
    let guids = [one.guid(), other.guid()];
    world.start(&mut one).await;
    world.start(&mut other).await;
    tokio::join!(
        converse(&world, &mut one, GREETINGS),
        converse(&world, &mut other, GOODBYES),
    );
    world.stop(&mut one).await;
    world.stop(&mut other).await;
    assert_heard(&world, &guids[0], &[GREETINGS]);
    assert_heard(&world, &guids[1], &[GOODBYES]);
    over(&world, one).await;
    over(&world, other).await;
}
