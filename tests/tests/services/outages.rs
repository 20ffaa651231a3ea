//! Outages: what is said in them waits, as long as there is room; what does not wait is told. And
//! what a pause and a stop mean meanwhile.

use rig::served::name;
use rig::told::of;
use serde_json::Value;
use sim::service::faults::{Cut, Faults};
use sim::service::record::Recorded;
use sim::service::{Protocol, Settings};
use sim::speech::Role;

use crate::proof::{course, heard, is_tail};
use crate::story::{Story, refusing};

for_each_service! {
    a_pause_in_an_outage;
    a_start_in_an_outage;
    a_stop_in_an_outage;
    an_outage_that_is_longer_than_the_backlog;
    an_outage_that_is_so_long_that_it_is_told;
    what_is_said_in_an_outage;
    what_was_sent_without_replay;
}

async fn what_is_said_in_an_outage(protocol: Protocol) {
    let mut story = Story::of(protocol).await;
    story.before().await;
    story.cut_off(503).await;
    story.say("customer-pay").await;
    story.say("agent-sorry").await;
    let shown = story.shown(Role::Customer).await;
    assert_eq!(shown["state"], "opening");
    assert!(shown["waitingSamples"].as_u64() > Some(8 * 3_000));
    story.restore().await;
    story.until_heard().await;
    story.after().await;
    let told = story.end(1000).await;
    assert!(of(&told, "gap", "").is_empty());
}

/// Nothing is heard twice, and of what was sent and not confirmed nobody knows.
async fn what_was_sent_without_replay(protocol: Protocol) {
    let more = "[upstream]\nreplay = \"off\"\n";
    let mut story = Story::with(protocol, Settings::default(), more).await;
    story.before().await;
    story.say_half("customer-pay").await;
    story.cut(Role::Customer, Cut::Drop).await;
    story.lose();
    story.until_count("streamReady", "customer", 2).await;
    story.say_rest("customer-pay").await;
    story.after().await;
    assert_eq!(story.counted("replayed_seconds_total").await, 0.0);
    let told = story.end(1000).await;
    let ready = name(protocol);
    let course = course(&told, "customer");
    let but_sums: Vec<_> = course.iter().filter(|word| *word != "mismatch").collect();
    assert_eq!(
        but_sums,
        [
            "opened",
            ready,
            "interrupted",
            "unconfirmed",
            ready,
            "ended 1000"
        ]
    );
}

async fn an_outage_that_is_longer_than_the_backlog(protocol: Protocol) {
    let more = "[upstream]\nbacklog_max = \"6s\"\n";
    let mut story = Story::with(protocol, Settings::default(), more).await;
    story.before().await;
    story.cut_off(503).await;
    story.say("customer-pay").await;
    story.lose();
    for _ in 0..7 {
        story.pause().await;
    }
    story.restore().await;
    story.after().await;
    let told = story.end(1000).await;
    for role in ["customer", "agent"] {
        let course = course(&told, role);
        let gaps = course.iter().filter(|word| *word == "outage");
        assert!(gaps.count() >= 1, "{course:?}");
        assert!(
            !course
                .iter()
                .any(|word| word == "overflow" || word == "unconfirmed")
        );
    }
}

async fn an_outage_that_is_so_long_that_it_is_told(protocol: Protocol) {
    let more = "[upstream]\nprobe_interval = \"100ms\"\n\
                [upstream.retry]\noutage_max = \"300ms\"\n";
    let mut story = Story::with(protocol, Settings::default(), more).await;
    story.before().await;
    story.cut_off(503).await;
    story.until_count("streamDegraded", "customer", 1).await;
    story.until_count("streamDegraded", "agent", 1).await;
    story
        .until_shown(Role::Customer, |shown| shown["state"] == "degraded")
        .await;
    assert_eq!(story.metric("streams_degraded").await, 2.0);
    story.say("customer-pay").await;
    story.restore().await;
    story.until_heard().await;
    story.after().await;
    assert_eq!(story.metric("streams_degraded").await, 0.0);
    story
        .until_shown(Role::Customer, |shown| shown["state"] == "ready")
        .await;
    let told = story.end(1000).await;
    assert_eq!(of(&told, "streamDegraded", "").len(), 2, "once an outage");
    assert!(of(&told, "gap", "").is_empty());
}

/// What was said before the pause is heard, and of the pause nothing: neither now nor when the
/// service is back.
async fn a_pause_in_an_outage(protocol: Protocol) {
    let mut story = Story::of(protocol).await;
    story.before().await;
    story.cut_off(503).await;
    story.say("customer-pay").await;
    story.world.pause(&story.call).await;
    story.say_in_private("customer-card").await;
    story.say_in_private("agent-read-back").await;
    story.restore().await;
    story.until_heard().await;
    story.world.resume(&story.call).await;
    story.after().await;
    story.world.service.with_streams(|streams| {
        for stream in streams {
            let secret = |id: &&str| ["customer-card", "agent-read-back"].contains(id);
            assert!(!stream.heard().iter().any(secret));
        }
    });
    // The service is told of the pause, where it can be.
    let endpoint = match protocol {
        Protocol::AssemblyAi => Some("ForceEndpoint"),
        Protocol::Deepgram => Some("Finalize"),
        Protocol::AutoTranscribe | Protocol::Vosk => None,
    };
    if let Some(endpoint) = endpoint {
        let told = |stream: &Recorded| !stream.said_of_type(endpoint).is_empty();
        let told = |streams: &[Recorded]| streams[2..].iter().filter(|one| told(one)).count();
        assert_eq!(story.world.service.with_streams(told), 2);
    }
    let told = story.end(1000).await;
    let gaps = of(&told, "gap", "");
    assert!(gaps.iter().all(|gap| gap["reason"] == "paused"), "{gaps:?}");
    for id in ["customer-card", "agent-read-back"] {
        assert!(heard(&told, id).is_empty());
    }
}

/// The service does not come back: the stop is answered, and what was not heard is told.
async fn a_stop_in_an_outage(protocol: Protocol) {
    let more = "[control]\nstop_timeout = \"500ms\"\n[upstream.retry]\noutage_max = \"1s\"\n";
    let mut story = Story::with(protocol, Settings::default(), more).await;
    story.before().await;
    story.cut_off(503).await;
    story.say("customer-pay").await;
    story.lose();
    let stopped = story.world.try_stop(&story.guid).await;
    assert_eq!(
        (stopped.status, &stopped.body["isOk"]),
        (200, &false.into())
    );
    story.until_count("streamEnded", "", 2).await;
    let told = story.hang_up().await;
    let gaps = of(&told, "gap", "customer");
    let mut gaps = gaps.iter().filter(|gap| !is_tail(gap));
    assert!(gaps.all(|gap| gap["reason"] == "outage"), "{told:?}");
    let last = |role: &str| course(&told, role).pop();
    assert_eq!(last("customer").as_deref(), Some("ended 5000"));
    assert_eq!(last("agent").as_deref(), Some("ended 5000"));
}

/// A stream that no service has ever had is given up, and its call is not: the next start is fine.
async fn a_start_in_an_outage(protocol: Protocol) {
    let more = "[upstream.retry]\nretries_max = 2\n";
    let mut story = Story::dialled(protocol, Settings::default(), more).await;
    story.world.service.set_faults(refusing(503));
    let started = story.world.try_start(&story.guid).await;
    assert_eq!(
        (started.status, &started.body["isOk"]),
        (200, &false.into())
    );
    let idle = |call: &Value| call["state"] == "idle";
    story.world.until_call(&story.guid, idle).await;
    story.world.service.set_faults(Faults::default());
    story.start().await;
    story.before().await;
    story.after().await;
    let stopped = story.world.try_stop(&story.guid).await;
    assert!(stopped.is_ok(), "{}", stopped.complaint());
    let told = story.hang_up().await;
    let ready = name(protocol);
    assert_eq!(
        course(&told, "customer"),
        [
            "opened",
            "interrupted",
            "interrupted",
            "ended 5000",
            "opened",
            ready,
            "ended 1000"
        ]
    );
}
