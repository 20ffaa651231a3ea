//! Both lines of a call stand on one clock: a line that begins late, pauses or is held keeps its
//! place, and what is missing is silence of the right length.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use rig::World;
use rig::told::of;
use sim::caller::siprec::{Side, SiprecCall};

use crate::support::{SIDES, deaf, noise, over, passing, sound};

/// A quarter of a second that both parties say at the same moment.
const MARK: usize = 2_000;

/// What happens between two marks.
type Between = for<'a> fn(&'a mut SiprecCall) -> BoxFuture<'a, ()>;

/// How far apart two lines may be: clocks may wobble, and a busy machine reads late.
const APART: u64 = 400;

/// How exactly a silence of both lines is as long as it was: it is measured by arrival.
const ASTRAY: u64 = 1_600;

/// Where a mark was heard in a stream.
fn place(heard: &[i16], mark: &[i16]) -> u64 {
    // Its end is exact: what comes behind a hole that was taken for lost is overlapped with it.
    let needle = &mark[MARK / 2..];
    let at = heard
        .windows(needle.len())
        .position(|window| window == needle);
    at.expect("a mark was not heard") as u64 - MARK as u64 / 2
}

/// A mark on both lines at once; when it was said, in samples of the call's media clock.
async fn mark(world: &World, call: &mut SiprecCall, seed: u64) -> (Vec<i16>, u64) {
    let codec = sim::caller::siprec::Codec::Pcmu;
    let mark = codec.decode(&codec.encode(&noise(seed, MARK)));
    call.silence(Duration::from_millis(300)).await.unwrap();
    let at = call.media_time().as_millis() as u64 * 8;
    call.converse(&mark, &mark).await.unwrap();
    call.silence(Duration::from_millis(300)).await.unwrap();
    world.arrived(&*call).await;
    (mark, at)
}

async fn both_lines_stay_together(world: &World, first: &[Side], between: Between) {
    let mut call = world.record_with(|_| {}).await;
    let guid = call.guid();
    call.set_sides(first);
    call.silence(Duration::from_millis(600)).await.unwrap();
    call.set_sides(&[Side::Customer, Side::Agent]);
    call.silence(Duration::from_millis(100)).await.unwrap();
    world.start(&mut call).await;
    passing(world, &mut call).await;
    let marks = [mark(world, &mut call, 1).await, {
        between(&mut call).await;
        mark(world, &mut call, 2).await
    }];
    world.stop(&mut call).await;
    let heard = SIDES.map(|(_, role)| sound(world, &guid, role));
    let lengths = heard.each_ref().map(Vec::len);
    assert!(
        lengths[0].abs_diff(lengths[1]) <= APART as usize,
        "{lengths:?} samples"
    );
    let places = heard.each_ref().map(|heard| {
        let places = marks.each_ref().map(|(mark, _)| place(heard, mark));
        let passed = places[1] - places[0];
        let said = marks[1].1 - marks[0].1;
        assert!(
            passed.abs_diff(said) <= ASTRAY,
            "{passed} samples for {said}"
        );
        places
    });
    for at in [0, 1] {
        let [customer, agent] = [places[0][at], places[1][at]];
        assert!(customer.abs_diff(agent) <= APART, "{customer} and {agent}");
    }
    let told = world.told(&guid).await;
    assert_eq!(
        of(&told, "gap", "").len(),
        0,
        "silence is no loss: {told:#?}"
    );
    over(world, call).await;
}

fn nothing(_: &mut SiprecCall) -> BoxFuture<'_, ()> {
    async {}.boxed()
}

fn the_agent_pauses(call: &mut SiprecCall) -> BoxFuture<'_, ()> {
    async {
        call.set_sides(&[Side::Customer]);
        call.silence(Duration::from_millis(1_500)).await.unwrap();
        call.set_sides(&[Side::Customer, Side::Agent]);
    }
    .boxed()
}

fn both_pause(call: &mut SiprecCall) -> BoxFuture<'_, ()> {
    async {
        call.set_sides(&[]);
        call.silence(Duration::from_millis(1_500)).await.unwrap();
        call.set_sides(&[Side::Customer, Side::Agent]);
    }
    .boxed()
}

fn the_call_is_held(call: &mut SiprecCall) -> BoxFuture<'_, ()> {
    async {
        call.hold().await.unwrap();
        call.silence(Duration::from_millis(1_500)).await.unwrap();
        call.resume().await.unwrap();
    }
    .boxed()
}

fn the_agent_is_held(call: &mut SiprecCall) -> BoxFuture<'_, ()> {
    async {
        call.idle(Side::Agent, true).await.unwrap();
        call.silence(Duration::from_millis(1_500)).await.unwrap();
        call.idle(Side::Agent, false).await.unwrap();
    }
    .boxed()
}

fn another_source_goes_on(call: &mut SiprecCall) -> BoxFuture<'_, ()> {
    async {
        call.hold().await.unwrap();
        call.silence(Duration::from_millis(800)).await.unwrap();
        call.new_source(Side::Customer);
        call.new_source(Side::Agent);
        call.resume().await.unwrap();
    }
    .boxed()
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_are_late_pause_or_are_held_stay_together() {
    let world = World::recording_to(deaf(), "").await;
    let both = &[Side::Customer, Side::Agent];
    let stories: [(&[Side], Between); 6] = [
        (&[Side::Customer], nothing),
        (&[Side::Agent], the_agent_pauses),
        (both, both_pause),
        (both, the_call_is_held),
        (both, the_agent_is_held),
        (both, another_source_goes_on),
    ];
    let told = stories.map(|(first, between)| both_lines_stay_together(&world, first, between));
    join_all(told).await;
    world.end().await;
}
