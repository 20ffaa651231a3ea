//! Sound on its way from the caller to the service: the same samples, and every phrase in its
//! place.

use std::time::Duration;

use rig::World;
use rig::told::{of, onset};
use serde_json::json;
use sha2::{Digest, Sha256};
use sim::caller::twilio::{Greeting, RawMedia, Side, TwilioCall};
use sim::caller::ulaw;
use sim::caller::wav::Recording;
use sim::network::{Conditions, Network};
use sim::speech::conversation::{Channel, Conversation};
use sim::speech::{Role, Script};

const SIDES: [(Side, Role); 2] = [
    (Side::Inbound, Role::Customer),
    (Side::Outbound, Role::Agent),
];

/// Half a minute in which both parties speak.
fn conversation() -> Conversation {
    let mut conversation = Conversation::new();
    for (index, phrase) in Script::standard().phrases().iter().enumerate() {
        let channel = match phrase.role {
            Role::Agent => Channel::Outbound,
            Role::Customer => Channel::Inbound,
        };
        if index % 2 == 0 {
            conversation.say_after(700, phrase, channel);
        }
    }
    conversation
}

fn recording(conversation: &Conversation) -> Recording {
    let [inbound, outbound] =
        [Channel::Inbound, Channel::Outbound].map(|channel| conversation.channel(channel));
    Recording { inbound, outbound }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Ends the call, and expects of each side's stream the digest of the samples that were sent.
async fn is_exact(world: World, call: TwilioCall, decode: fn(&[u8]) -> Vec<u8>) {
    world.arrived(&call).await;
    let stopped = world.stop(&call).await;
    world
        .until_heard(|streams| streams.iter().all(|stream| stream.is_closed()))
        .await;
    for (side, role) in SIDES {
        let sent = decode(&call.sent(side).tape);
        assert!(
            sent.len() > 16_000 * 20,
            "the story is too short to tell anything"
        );
        let streams = world.service.streams();
        let stream = streams
            .iter()
            .find(|stream| stream.role() == Some(role))
            .unwrap();
        assert_eq!(stream.sha256.as_deref(), Some(&*sha256(&sent)), "{role}");
        assert_eq!(stream.audio_bytes, sent.len() as u64);
        assert_eq!(
            stopped.confirmed_bytes(role.as_str()),
            Some(sent.len() as u64)
        );
        assert!(stream.complaints.is_empty(), "{:?}", stream.complaints);
    }
    let guid = call.call_sid().to_owned();
    assert!(of(&world.told(&guid).await, "gap", "").is_empty());
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mu_law_without_loss_arrives_sample_for_sample() {
    let world = World::new().await;
    let mut call = world.dial().await;
    world.start(&call).await;
    let (conversation, mut network) = (conversation(), Network::new(1, Conditions::PERFECT));
    call.play(&recording(&conversation), &mut network, || ())
        .await
        .unwrap();
    is_exact(world, call, ulaw::l16).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_law_without_loss_arrives_sample_for_sample() {
    let world = World::new().await;
    let mut call = world
        .dial_with(|options| options.greeting = Greeting::None)
        .await;
    let (call_sid, stream_sid) = (call.call_sid().to_owned(), call.stream_sid().to_owned());
    let format = json!({"encoding": "audio/x-alaw", "sampleRate": 8000, "channels": 1});
    let start = json!({
        "event": "start", "sequenceNumber": "1", "streamSid": stream_sid,
        "start": {
            "callSid": call_sid, "streamSid": stream_sid, "mediaFormat": format,
            "tracks": ["inbound", "outbound"],
        },
    });
    call.send_connected().await.unwrap();
    call.send_text(start.to_string()).await.unwrap();
    world.until_state(&call_sid, "idle").await;
    world.start(&call).await;
    // Every code in every place, and not one of them by a rule that a decoder could guess.
    for index in 0..1100_u64 {
        for side in Side::BOTH {
            let code = |at: u64| (index * 160 + at).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
            let payload = (0..160).map(|at| code(at + side as u64) as u8).collect();
            let timestamp_ms = 40 + index * 20;
            let raw = RawMedia {
                side,
                timestamp_ms,
                sequence: None,
                chunk: None,
                payload,
            };
            call.media(raw).await.unwrap();
        }
    }
    let decode = |codes: &[u8]| {
        codes
            .iter()
            .flat_map(|&code| a_law(code).to_le_bytes())
            .collect()
    };
    is_exact(world, call, decode).await;
}

/// ITU-T G.711, table 1a, as a formula.
fn a_law(code: u8) -> i16 {
    let code = i32::from(code ^ 0x55);
    let (segment, mantissa) = ((code >> 4) & 7, code & 0x0f);
    let magnitude = match segment {
        0 => (mantissa << 4) + 8,
        _ => ((mantissa << 4) + 0x108) << (segment - 1),
    };
    (if code & 0x80 == 0 {
        -magnitude
    } else {
        magnitude
    }) as i16
}

#[tokio::test(flavor = "multi_thread")]
async fn every_phrase_keeps_its_place_when_frames_are_lost_late_and_overtaken() {
    let world = World::new().await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    let conversation = conversation();
    let conditions = Conditions {
        loss: 0.03,
        loss_run: 2.0,
        jitter_ms: 30,
        reorder: 0.01,
        ..Conditions::PERFECT
    };
    let mut network = Network::new(36, conditions);
    call.play(&recording(&conversation), &mut network, || ())
        .await
        .unwrap();
    call.silence(Duration::from_secs(1)).await.unwrap();
    world.arrived(&call).await;
    world.stop(&call).await;
    assert!(network.counts().lost > 50 && network.counts().held_back > 10);

    let told = world.told(&guid).await;
    for segment in conversation.segments() {
        let due = segment.at_ms + onset(&segment.phrase.id);
        let transcripts = of(&told, "transcript", segment.phrase.role.as_str());
        let mut starts = transcripts
            .iter()
            .map(|event| event["startMs"].as_u64().unwrap());
        assert!(
            starts.any(|at| at.abs_diff(due) <= 100),
            "{:?} is due at {due} ms: {transcripts:#?}",
            segment.phrase
        );
    }
    let shown = world.call(&guid).await;
    for leg in shown["legs"].as_array().unwrap() {
        let counters = &leg["counters"];
        assert!(counters["filled"].as_u64() > Some(0), "{counters}");
        assert!(counters["reorderedFrames"].as_u64() > Some(0), "{counters}");
        assert_eq!(counters["skipped"], 0);
    }
    assert!(
        of(&told, "gap", "")
            .iter()
            .all(|gap| gap["reason"] == "lost")
    );
    call.hang_up().await.unwrap();
    world.end().await;
}
