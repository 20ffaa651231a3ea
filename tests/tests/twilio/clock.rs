//! T4 to T7: from timestamps to one clock.

use std::time::Duration;

use rig::World;
use sim::caller::twilio::{RawMedia, Side, TwilioCall};
use sim::speech::Role;

use crate::support::{
    FRAME, assert_same, codes, counters, decoded, events_of, frame, sound, until_metric,
};

/// A started call with the customer's track only.
async fn customer(world: &World) -> TwilioCall {
    let call = world
        .dial_with(|options| options.sides = vec![Side::Inbound])
        .await;
    world.start(&call).await;
    call
}

/// Sends the customer's frames at these times, each with codes of its own; gives their sound.
async fn send(call: &mut TwilioCall, times_ms: &[u64]) -> Vec<Vec<i16>> {
    let mut sounds = Vec::new();
    for &time in times_ms {
        let payload = codes(time as usize, FRAME);
        frame(call, Side::Inbound, time, &payload).await;
        sounds.push(decoded(&payload));
    }
    sounds
}

#[tokio::test(flavor = "multi_thread")]
async fn a_track_that_begins_late_has_silence_before_it() {
    let world = World::new().await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    for time in (52..3_000).step_by(20) {
        frame(&mut call, Side::Inbound, time, &codes(time as usize, FRAME)).await;
    }
    world
        .until_call(&guid, |call| {
            counters(call, "second")["quiet"].as_u64() > Some(0)
        })
        .await;
    for time in (3_000..3_200).step_by(20) {
        frame(
            &mut call,
            Side::Outbound,
            time,
            &codes(time as usize, FRAME),
        )
        .await;
    }
    world.arrived(&call).await;
    world.stop(&call).await;
    let late = sound(&world, &guid, Role::Agent);
    let (silence, speech) = late.split_at(2_948 * 8);
    assert!(silence.iter().all(|&sample| sample == 0));
    assert_same(speech, &decoded(&call.sent(Side::Outbound).tape));
    assert_same(
        &sound(&world, &guid, Role::Customer),
        &decoded(&call.sent(Side::Inbound).tape),
    );
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn timestamps_that_wobble_make_neither_gaps_nor_drift() {
    let world = World::new().await;
    let mut call = customer(&world).await;
    let guid = call.call_sid().to_owned();
    // 0, 20, 41, 59, 80 and so on, for 20 s.
    let times: Vec<u64> = (0..1_000)
        .map(|n| 52 + n * 20 + [1, 1, 2, 0, 1][n as usize % 5])
        .collect();
    let said = send(&mut call, &times).await.concat();
    world.arrived(&call).await;
    let shown = world.call(&guid).await;
    for nothing in ["filled", "quiet", "skipped", "late", "reorderedFrames"] {
        assert_eq!(counters(&shown, "first")[nothing], 0, "{nothing}");
    }
    for cause in ["lost", "unsent"] {
        let series = format!("antiphon_twilio_gap_seconds_total{{cause=\"{cause}\"}}");
        assert_eq!(world.metric(&series).await, 0.0);
    }
    world.stop(&call).await;
    assert_same(&sound(&world, &guid, Role::Customer), &said);
    assert_eq!(events_of(&world, &guid, "gap").await.len(), 0);
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_of_a_minute_is_no_minute_of_silence() {
    let world = World::new().await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    call.skip(Duration::from_secs(60));
    let resumed_ms = call.media_time().as_millis() as u64;
    world.say(&mut call, "customer-goodbye").await;
    let shown = world.call(&guid).await;
    for side in ["first", "second"] {
        assert_eq!(counters(&shown, side)["skipped"], 60 * 8_000);
        assert_eq!(counters(&shown, side)["filled"], 0);
    }
    world.stop(&call).await;
    assert_same(
        &sound(&world, &guid, Role::Customer),
        &decoded(&call.sent(Side::Inbound).tape),
    );
    let gaps = events_of(&world, &guid, "gap").await;
    let gap = gaps.iter().find(|gap| gap["role"] == "customer").unwrap();
    assert_eq!(gap["reason"], "discontinuity");
    assert_eq!(
        [&gap["fromMs"], &gap["toMs"]],
        [resumed_ms - 60_000, resumed_ms]
    );
    // What is said after it stands where it was said.
    let told = events_of(&world, &guid, "transcript").await;
    let start_ms = told.last().unwrap()["startMs"].as_u64().unwrap();
    assert!(
        (resumed_ms..resumed_ms + 200).contains(&start_ms),
        "{start_ms} {resumed_ms}"
    );
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_were_overtaken_are_put_back_in_order() {
    let world = World::new().await;
    let mut call = customer(&world).await;
    let guid = call.call_sid().to_owned();
    let said = send(&mut call, &[0, 40, 60, 20, 80, 120, 100]).await;
    world.arrived(&call).await;
    let shown = world.call(&guid).await;
    assert_eq!(counters(&shown, "first")["reorderedFrames"], 2);
    assert_eq!(counters(&shown, "first")["late"], 0);
    assert_eq!(counters(&shown, "first")["filled"], 0);
    world.stop(&call).await;
    let ordered = [0, 3, 1, 2, 4, 6, 5]
        .map(|at: usize| said[at].clone())
        .concat();
    assert_same(&sound(&world, &guid, Role::Customer), &ordered);
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_comes_twice_is_heard_once() {
    let world = World::new().await;
    let mut call = customer(&world).await;
    let guid = call.call_sid().to_owned();
    // Once in order, and once while it waits for the frame it has overtaken.
    let said = send(&mut call, &[0, 20, 20, 40, 80, 80, 60, 100]).await;
    world.arrived(&call).await;
    let shown = world.call(&guid).await;
    assert_eq!(counters(&shown, "first")["late"], 2 * FRAME);
    assert_eq!(counters(&shown, "first")["passed"], 6 * FRAME);
    world.stop(&call).await;
    let once = [0, 1, 3, 6, 4, 7]
        .map(|at: usize| said[at].clone())
        .concat();
    assert_same(&sound(&world, &guid, Role::Customer), &once);
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_comes_too_late_is_dropped_and_counted() {
    let world = World::new().await;
    let mut call = customer(&world).await;
    let guid = call.call_sid().to_owned();
    let said = send(&mut call, &[0, 40, 60, 80, 100, 20, 120]).await;
    world.arrived(&call).await;
    let shown = world.call(&guid).await;
    assert_eq!(counters(&shown, "first")["late"], FRAME);
    assert_eq!(counters(&shown, "first")["filled"], FRAME);
    world.stop(&call).await;
    let silence = vec![0; FRAME];
    let parts = [
        &said[0], &silence, &said[1], &said[2], &said[3], &said[4], &said[6],
    ];
    assert_same(
        &sound(&world, &guid, Role::Customer),
        &parts.map(Clone::clone).concat(),
    );
    let gaps = events_of(&world, &guid, "gap").await;
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0]["reason"], "lost");
    assert_eq!([&gaps[0]["fromMs"], &gaps[0]["toMs"]], [20, 40]);
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_begins_anew_goes_on_where_the_stream_is() {
    let world = World::new().await;
    let mut call = customer(&world).await;
    let guid = call.call_sid().to_owned();
    let before: Vec<u64> = (0..200).map(|n| 52 + n * 20).collect();
    let mut said = send(&mut call, &before).await;
    // A single time from long ago could be a straggler's; two of them are a new clock's.
    said.extend(send(&mut call, &[0, 20, 40, 60]).await.into_iter().skip(1));
    world.arrived(&call).await;
    assert_eq!(
        world.metric("antiphon_twilio_clock_restarts_total").await,
        1.0
    );
    world.stop(&call).await;
    assert_same(&sound(&world, &guid, Role::Customer), &said.concat());
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_blamed_on_what_caused_it() {
    let world = World::new().await;
    let mut call = customer(&world).await;
    let gap_seconds = |cause| format!("antiphon_twilio_gap_seconds_total{{cause=\"{cause}\"}}");
    // Message 1 is `start`. A message that is not sound is missing at 4, five frames at 6 to 10,
    // and at 12 the platform had nothing to send for 60 ms.
    let frames = [(2, 0), (3, 20), (5, 40), (11, 160), (12, 240), (13, 260)];
    for (sequence, timestamp_ms) in frames {
        let payload = codes(sequence, FRAME);
        let sequence = Some(sequence as u64);
        let side = Side::Inbound;
        call.media(RawMedia {
            side,
            timestamp_ms,
            sequence,
            chunk: None,
            payload,
        })
        .await
        .unwrap();
    }
    until_metric(
        &world,
        "antiphon_twilio_sequence_missing_total",
        |missing| missing == 6.0,
    )
    .await;
    world.arrived(&call).await;
    assert_eq!(world.metric(&gap_seconds("lost")).await, 0.1);
    assert_eq!(world.metric(&gap_seconds("unsent")).await, 0.06);
    world.stop(&call).await;
    let heard = sound(&world, call.call_sid(), Role::Customer);
    assert_eq!(heard.len(), 280 * 8);
    call.hang_up().await.unwrap();
    world.end().await;
}
