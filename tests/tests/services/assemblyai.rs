//! What only AssemblyAI asks for: messages of 50 to 1000 ms, no faster than it allows, and turns
//! that are told once however often it tells them.

use std::time::Duration;

use rig::told::of;
use sim::service::assemblyai::{AssemblyAi, Config};
use sim::service::faults::{Cut, Faults};
use sim::service::{Protocol, Settings};
use sim::speech::Role;

use crate::proof::assert_course;
use crate::story::Story;

const THIS: Protocol = Protocol::AssemblyAi;

/// The service has nothing to complain of.
fn assert_content(story: &Story) {
    story.world.service.with_streams(|streams| {
        for stream in streams {
            assert!(stream.complaints.is_empty(), "{:?}", stream.complaints);
            assert!(
                stream.unknown_parameters.is_empty(),
                "{:?}",
                stream.unknown_parameters
            );
        }
    });
}

/// With messages of this length the limits are kept, also at a break, a pause and the end.
async fn keeps_to_the_limits(chunk_ms: u64, more: &str) {
    let more = format!("[upstream.assemblyai]\nchunk = \"{chunk_ms}ms\"\n{more}");
    let mut story = Story::with(THIS, Settings::default(), &more).await;
    story.rest_max = (8 * chunk_ms).max(story.rest_max);
    story.before().await;
    story.say_half("customer-pay").await;
    story.cut(Role::Customer, Cut::Drop).await;
    story.say_rest("customer-pay").await;
    story.until_heard().await;
    // Frames are 20 ms, so that whatever the length of messages something is left over.
    story.call.silence(Duration::from_millis(20)).await.unwrap();
    story.world.pause(&story.call).await;
    story.call.silence(Duration::from_millis(20)).await.unwrap();
    story.world.resume(&story.call).await;
    story.after().await;
    story.call.silence(Duration::from_millis(20)).await.unwrap();
    story.world.stop(&story.call).await;
    assert_content(&story);
    let told = story.hang_up().await;
    assert_eq!(of(&told, "streamInterrupted", "").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_never_shorter_than_the_service_takes() {
    keeps_to_the_limits(50, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_never_longer_than_the_service_takes() {
    keeps_to_the_limits(1_000, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mulaw_keeps_to_the_same_limits() {
    keeps_to_the_limits(50, "encoding = \"pcm_mulaw\"\n").await;
}

/// What waited is caught up on, and no faster than is allowed.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_is_sent_no_faster_than_the_service_takes() {
    let mut config = Config::default();
    config.rules.burst = Duration::from_secs(1);
    let service = AssemblyAi::start(config).await.unwrap();
    let more = "[upstream.assemblyai]\nburst = \"500ms\"\npace_percent = 120\n";
    let mut story = Story::at(THIS, service, more).await;
    story.start().await;
    story.say("customer-greeting").await;
    story.until_heard().await;
    story.say_half("customer-pay").await;
    story.cut(Role::Customer, Cut::Drop).await;
    story.say_rest("customer-pay").await;
    story.until_heard().await;
    assert_content(&story);
    let told = story.end(1000).await;
    assert_eq!(of(&told, "streamInterrupted", "").len(), 1);
    assert!(of(&told, "gap", "").is_empty());
}

/// The raw copy and the formatted one are one turn; the better is told.
async fn is_told_once(faults: Faults, more: &str) {
    let mut story = Story::dialled(THIS, Settings::default(), more).await;
    story.world.service.set_faults(faults);
    story.start().await;
    story.before().await;
    story.after().await;
    let told = story.end(1000).await;
    for role in ["customer", "agent"] {
        assert_course(&told, role, &["opened", "assemblyai", "ended 1000"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_is_formatted_is_told_once() {
    let more = "[upstream.assemblyai.parameters]\nformat_turns = true\n";
    is_told_once(Faults::default(), more).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_formatted_turn_that_comes_twice_is_told_once() {
    let faults = Faults {
        transcript_twice: true,
        ..Faults::default()
    };
    let more = "[upstream.assemblyai.parameters]\nformat_turns = true\n";
    is_told_once(faults, more).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_does_not_say_whether_it_is_formatted_is_told_at_once() {
    for more in [
        "",
        "[upstream.assemblyai.parameters]\nformat_turns = true\n",
    ] {
        let faults = Faults {
            unflagged: true,
            ..Faults::default()
        };
        is_told_once(faults, more).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_are_told_as_such_and_the_end_of_a_turn_once() {
    let more = "[upstream.assemblyai]\npartials = true\n";
    is_told_once(Faults::default(), more).await;
}
