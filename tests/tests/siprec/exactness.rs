//! Sound on its way from an SBC to the service: not one sample is another, whatever it is coded in,
//! sealed with and cut into.

use std::time::Duration;

use futures_util::future::join_all;
use rig::World;
use rig::told::of;
use serde_json::Value;
use sim::caller::siprec::{Codec, First, Options, SiprecCall};
use sim::network::Conditions;
use sim::speech::Role;

use crate::support::{
    SIDE_NAMES, SIDES, SUITES, UNHURRIED, compared, counters, deaf, heard, noise, over, packets,
    streams, transcribed, until_metric,
};
use crate::words::{recording, say};

/// Samples that each party says at once.
const SAID: usize = 16_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_transcribed_from_both_lines() {
    let world = recording().await;
    let mut call = transcribed(&world, |_| {}).await;
    let guid = call.guid();
    say(&world, &mut call, "customer-hello").await;
    say(&world, &mut call, "agent-hello").await;
    world.stop(&mut call).await;
    assert_eq!(heard(&world, &guid, Role::Customer), ["customer-hello"]);
    assert_eq!(heard(&world, &guid, Role::Agent), ["agent-hello"]);
    assert_eq!(call.answer_faults(), [""; 0]);
    assert_eq!(call.packets_heard(), 0);
    over(&world, call).await;
    world.end().await;
}

/// Two seconds of noise on both lines, in a world for such stories.
async fn said(world: &World, change: impl FnOnce(&mut Options)) -> SiprecCall {
    let mut call = transcribed(world, change).await;
    call.converse(&noise(1, SAID), &noise(2, SAID))
        .await
        .unwrap();
    // What is held back on its way and overtaken arrives within this.
    call.silence(Duration::from_millis(200)).await.unwrap();
    call.flush().await.unwrap();
    world.arrived(&call).await;
    call
}

/// Ends the call, and expects of each side's stream the digest of the samples that were sent.
async fn is_exact(world: &World, mut call: SiprecCall) {
    let guid = call.guid();
    let shown = world.call(&guid).await;
    let stopped = world.stop(&mut call).await;
    world
        .until_heard(|all| {
            let mut ours = all
                .iter()
                .filter(|one| one.external_id.as_deref() == Some(&*guid));
            ours.all(|stream| stream.is_closed())
        })
        .await;
    let (mut cuts, mut end_ms) = (Vec::new(), u64::MAX);
    for ((side, role), name) in SIDES.into_iter().zip(SIDE_NAMES) {
        let streams = streams(world, &guid, role);
        let [stream] = streams.as_slice() else {
            panic!("{} streams of the {role}", streams.len());
        };
        for nothing in ["filled", "skipped", "paused"] {
            assert_eq!(
                counters(&shown, name)[nothing],
                0,
                "{role} {nothing}: {shown:#}"
            );
        }
        let same = compared(call.sent(side), &stream.samples);
        assert!(same.length > SAID);
        assert_eq!(stream.sha256.as_deref(), Some(&*same.sha256), "{role}");
        assert_eq!(
            stopped.confirmed_bytes(role.as_str()),
            Some(2 * same.length as u64)
        );
        assert_eq!(stream.complaints, [""; 0]);
        cuts.push(same.cut);
        end_ms = end_ms.min(same.length as u64 / 8);
    }
    // Both streams begin at the same moment, as far as a busy machine can tell.
    assert!(cuts[0].abs_diff(cuts[1]) <= 400, "{cuts:?}");
    let told = world.told(&guid).await;
    // What the network still held back when the stop came is told as lost.
    let is_before_the_end = |gap: &&Value| gap["toMs"].as_u64().unwrap() + 100 < end_ms;
    let gaps = of(&told, "gap", "");
    assert!(!gaps.iter().any(is_before_the_end), "{gaps:?}");
    over(world, call).await;
}

/// One call for each way of sealing, all at once.
async fn every_suite_is_exact(world: &World, change: impl Fn(usize, &mut Options)) {
    let calls = SUITES.iter().enumerate().map(|(index, suite)| {
        let change = &change;
        async move {
            let call = said(world, |options| {
                options.srtp = *suite;
                change(index, options);
            });
            is_exact(world, call.await).await;
        }
    });
    join_all(calls).await;
}

async fn world() -> World {
    World::recording_to(deaf(), UNHURRIED).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mu_law_arrives_sample_for_sample_plain_and_sealed_by_every_suite() {
    let world = world().await;
    every_suite_is_exact(&world, |_, _| {}).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_law_arrives_sample_for_sample_plain_and_sealed_by_every_suite() {
    let world = world().await;
    every_suite_is_exact(&world, |_, options| options.codecs = vec![Codec::Pcma]).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn linear_sound_arrives_sample_for_sample_plain_and_sealed_by_every_suite() {
    let world = world().await;
    every_suite_is_exact(&world, |_, options| options.codecs = vec![Codec::L16]).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_may_have_any_length() {
    let world = world().await;
    let lengths = [10, 20, 30, 40, 60].map(Duration::from_millis);
    every_suite_is_exact(&world, |index, options| {
        options.packet = lengths[index];
        options.codecs = vec![[Codec::Pcmu, Codec::Pcma, Codec::L16][index % 3]];
    })
    .await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_and_clocks_that_wrap_change_nothing() {
    let world = world().await;
    every_suite_is_exact(&world, |_, options| {
        // Both wrap while both speak: the number after about a second, the clock after the same.
        let first = First {
            sequence: Some(u16::MAX - 70),
            timestamp: Some(u32::MAX - 11_000),
            ssrc: None,
        };
        options.first = [first; 3];
    })
    .await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn overtaken_and_doubled_packets_change_nothing() {
    let world = world().await;
    every_suite_is_exact(&world, |index, options| {
        options.network = Conditions {
            reorder: 0.05,
            duplicate: 0.1,
            ..Conditions::PERFECT
        };
        options.seed = 36 + index as u64;
    })
    .await;
    // Of a sealed packet the seal tells that it was here already.
    for fate in ["duplicate", "replayed"] {
        until_metric(&world, &packets(fate), |count| count > 0.0).await;
    }
    let reordered = "antiphon_siprec_packets_reordered_total";
    until_metric(&world, reordered, |count| count > 10.0).await;
    assert_eq!(
        world.metric("antiphon_siprec_packets_lost_total").await,
        0.0
    );
    world.end().await;
}
