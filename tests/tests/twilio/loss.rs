//! T3: what is lost, late, doubled or overtaken on the way to us, and that time is kept.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rig::{World, phrase};
use serde_json::Value;
use sim::caller::twilio::{RawMedia, Side, TwilioCall};
use sim::caller::ulaw;
use sim::caller::wav::Recording;
use sim::hearing::{Hearing, Lexicon};
use sim::network::{Conditions, Network};
use sim::speech::conversation::{Channel, Conversation};
use sim::speech::{Role, Script};

use crate::support::{FRAME, counters, events_of, sound};

/// Six phrases, three a party, with pauses between them.
static CALL: LazyLock<Recording> = LazyLock::new(|| {
    let mut conversation = Conversation::new();
    let lines = [
        "agent-greeting",
        "customer-greeting",
        "agent-balance",
        "customer-pay",
        "agent-paid",
        "customer-goodbye",
    ];
    for id in lines {
        let phrase = phrase(id);
        conversation.say_after(700, phrase, Channel::of(phrase.role));
    }
    let inbound = conversation.channel(Channel::Inbound);
    let outbound = conversation.channel(Channel::Outbound);
    Recording { inbound, outbound }
});

/// Silence before the recording, so that what is lost of it lies between two frames.
const LEAD: Duration = Duration::from_millis(200);

/// A chunk is what the service is sent at a time.
const CHUNK_MS: u64 = 100;

/// What was said on one side, where an ear hears it in the recording itself.
fn expected(sound: &[i16]) -> Vec<(String, u64)> {
    let lexicon = Lexicon::new(Script::standard().phrases()).unwrap();
    let mut ear = Hearing::new(Arc::new(lexicon));
    let heard = ear.hear(sound).into_iter().chain(ear.finish());
    let lead = LEAD.as_millis() as u64;
    heard
        .map(|heard| (heard.phrase.unwrap().id.to_string(), heard.start_ms + lead))
        .collect()
}

/// Fails unless each phrase was told within one chunk of where it was said.
async fn assert_in_place(world: &World, guid: &str) {
    let told = events_of(world, guid, "transcript").await;
    for (role, sound) in [("customer", &CALL.inbound), ("agent", &CALL.outbound)] {
        let of_role = told.iter().filter(|event| event["sender"]["role"] == role);
        let told: Vec<&Value> = of_role.collect();
        let said = expected(sound);
        assert_eq!(told.len(), said.len(), "{role}: {told:?}");
        for (told, (id, said_ms)) in told.into_iter().zip(said) {
            let text = told["alternatives"][0]["text"].as_str().unwrap();
            assert_eq!(text, phrase(&id).redacted());
            let told_ms = told["startMs"].as_u64().unwrap();
            assert!(
                told_ms.abs_diff(said_ms) <= CHUNK_MS,
                "{id}: {told_ms} for {said_ms}"
            );
        }
    }
}

/// A started call that has sent its lead of silence.
async fn begun(world: &World) -> TwilioCall {
    let mut call = world.dial().await;
    world.start(&call).await;
    call.silence(LEAD).await.unwrap();
    call
}

/// The recording's frames on both sides: when, and whose.
fn frames() -> impl Iterator<Item = (u64, (Side, usize))> {
    let starts = (0..CALL.samples()).step_by(FRAME);
    starts.flat_map(|at| Side::BOTH.map(|side| (at as u64 / 8, (side, at))))
}

/// How many samples a side has from the beginning of the stream to its end, lost ones included.
fn duration(call: &TwilioCall) -> u64 {
    call.media_time().as_millis() as u64 * 8
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_takes_the_place_of_exactly_what_was_lost() {
    let world = World::new().await;
    let mut call = begun(&world).await;
    let guid = call.call_sid().to_owned();
    let lossy = Conditions {
        loss: 0.05,
        jitter_ms: 40,
        ..Conditions::PERFECT
    };
    let mut network = Network::new(7, lossy);
    call.play(&CALL, &mut network, || {}).await.unwrap();
    call.silence(Duration::from_millis(200)).await.unwrap();
    world.arrived(&call).await;
    let shown = world.call(&guid).await;
    world.stop(&call).await;
    let mut dropped_of_both = 0;
    let sides = [
        ("first", Side::Inbound, Role::Customer),
        ("second", Side::Outbound, Role::Agent),
    ];
    for (name, side, role) in sides {
        let dropped = duration(&call) - call.sent(side).samples;
        dropped_of_both += dropped;
        assert_eq!(counters(&shown, name)["filled"], dropped);
        for nothing in ["quiet", "skipped", "late", "reorderedFrames"] {
            assert_eq!(counters(&shown, name)[nothing], 0, "{name} {nothing}");
        }
        let heard = sound(&world, &guid, role);
        assert_eq!(heard.len() as u64, duration(&call));
        assert_each_frame_is_itself_or_silence(&heard, side, dropped);
    }
    assert_eq!(dropped_of_both, network.counts().lost * FRAME as u64);
    assert!(network.counts().lost > 50);
    let dropped_s = dropped_of_both as f64 / 8_000.0;
    for series in [
        "antiphon_twilio_gap_seconds_total{cause=\"unsent\"}",
        "antiphon_upstream_gap_seconds_total{reason=\"lost\"}",
    ] {
        let counted = world.metric(series).await;
        assert!(
            (counted - dropped_s).abs() < 1e-6,
            "{series} {counted} {dropped_s}"
        );
    }
    assert_in_place(&world, &guid).await;
    call.hang_up().await.unwrap();
    world.end().await;
}

/// Each frame lies where it was said, or silence lies there; no more silence than was lost.
fn assert_each_frame_is_itself_or_silence(heard: &[i16], side: Side, dropped: u64) {
    let recorded = match side {
        Side::Inbound => &CALL.inbound,
        Side::Outbound => &CALL.outbound,
    };
    let lead = LEAD.as_millis() as usize * 8;
    let mut silenced = 0;
    for (at, heard) in heard[lead..].chunks(FRAME).enumerate() {
        let from = (at * FRAME).min(recorded.len());
        let said = &recorded[from..recorded.len().min(from + FRAME)];
        let said: Vec<i16> = said
            .iter()
            .map(|&s| ulaw::decode(ulaw::encode(s)))
            .collect();
        if !heard.starts_with(&said) {
            assert!(
                heard.iter().all(|&sample| sample == 0),
                "{side:?}: frame {at} is another"
            );
            silenced += FRAME as u64;
        }
    }
    assert!(
        silenced > 0 && silenced <= dropped,
        "{side:?}: {silenced} of {dropped}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn phrases_stay_in_place_when_frames_are_lost_late_doubled_and_overtaken() {
    let world = World::new().await;
    let mut call = begun(&world).await;
    let guid = call.call_sid().to_owned();
    let rough = Conditions {
        loss: 0.03,
        jitter_ms: 20,
        reorder: 0.05,
        ..Conditions::PERFECT
    };
    let mut network = Network::new(11, rough);
    let lead_ms = LEAD.as_millis() as u64;
    for (nth, (_, (side, at))) in network.deliver(frames()).into_iter().enumerate() {
        let voice = match side {
            Side::Inbound => &CALL.inbound,
            Side::Outbound => &CALL.outbound,
        };
        let mut payload = ulaw::encode_all(&voice[at..voice.len().min(at + FRAME)]);
        payload.resize(FRAME, ulaw::SILENCE);
        let timestamp_ms = 52 + lead_ms + at as u64 / 8;
        let raw = RawMedia {
            side,
            timestamp_ms,
            sequence: None,
            chunk: None,
            payload,
        };
        if nth % 40 == 0 {
            call.media(raw.clone()).await.unwrap();
        }
        call.media(raw).await.unwrap();
    }
    call.skip(Duration::from_millis(
        CALL.samples().next_multiple_of(FRAME) as u64 / 8,
    ));
    call.silence(Duration::from_millis(200)).await.unwrap();
    world.arrived(&call).await;
    let shown = world.call(&guid).await;
    world.stop(&call).await;
    for (name, role) in [("first", Role::Customer), ("second", Role::Agent)] {
        let counted = |key: &str| counters(&shown, name)[key].as_u64().unwrap();
        assert_eq!(
            counted("received") + counted("filled") - counted("late"),
            duration(&call)
        );
        assert!(
            counted("reorderedFrames") > 20 && counted("late") > 0,
            "{shown}"
        );
        assert_eq!(sound(&world, &guid, role).len() as u64, duration(&call));
    }
    assert_in_place(&world, &guid).await;
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_come_in_heaps_are_heard_as_they_were_said() {
    let world = World::new().await;
    let mut call = world.dial_with(|options| options.speed = 20.0).await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    call.silence(LEAD).await.unwrap();
    let heaps = Conditions {
        jitter_ms: 60,
        burst_ms: 500,
        ..Conditions::PERFECT
    };
    call.play(&CALL, &mut Network::new(3, heaps), || {})
        .await
        .unwrap();
    world.arrived(&call).await;
    let shown = world.call(&guid).await;
    world.stop(&call).await;
    for (name, role) in [("first", Role::Customer), ("second", Role::Agent)] {
        for nothing in ["filled", "quiet", "skipped", "late", "reorderedFrames"] {
            assert_eq!(counters(&shown, name)[nothing], 0, "{name} {nothing}");
        }
        assert_eq!(sound(&world, &guid, role).len() as u64, duration(&call));
    }
    assert_in_place(&world, &guid).await;
    call.hang_up().await.unwrap();
    world.end().await;
}
