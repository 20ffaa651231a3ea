//! A socket that breaks in the middle of a phrase. What was said of it is sent again: the phrase is
//! heard once, at its time, and the other party notices nothing.

use std::time::Duration;

use rig::served::name;
use rig::told::of;
use sim::service::faults::Cut;
use sim::service::{Protocol, Settings};
use sim::speech::Role;

use crate::proof::{assert_course, course};
use crate::story::Story;

/// Silence of a service is noticed at once.
const ALERT: &str = "[upstream]\nping_interval = \"1s\"\npong_timeout = \"200ms\"\n";

/// The customer's socket breaks, and the retry is of this class.
async fn is_survived(protocol: Protocol, cut: Cut, class: &str, more: &str) {
    let settings = Settings {
        receive_buffer_bytes: matches!(cut, Cut::Stall(_)).then_some(4096),
        ..Settings::default()
    };
    let mut story = Story::with(protocol, settings, more).await;
    story.before().await;
    story.say_half("customer-pay").await;
    story.cut(Role::Customer, cut).await;
    if class == "sound" {
        // Another socket is opened for the next sound: all of it must not have gone into this one.
        story.until_count("streamInterrupted", "customer", 1).await;
    }
    story.say_rest("customer-pay").await;
    story.until_count("streamReady", "customer", 2).await;
    story.until_heard().await;
    story.after().await;
    let series = format!("retries_total{{class=\"{class}\"}}");
    assert_eq!(story.metric(&series).await, 1.0, "{class}");
    assert!(story.counted("replayed_seconds_total").await > 0.1);
    let shown = story.shown(Role::Customer).await;
    assert_eq!(
        (&shown["state"], &shown["service"]),
        (&"ready".into(), &name(protocol).into())
    );
    let told = story.end(1000).await;
    let ready = name(protocol);
    assert_course(&told, "agent", &["opened", ready, "ended 1000"]);
    let customer = of(&told, "streamInterrupted", "customer");
    assert_eq!(customer[0]["attempt"], 1);
    assert!(
        customer[0]["why"]
            .as_str()
            .is_some_and(|why| why.len() > 10)
    );
    let course = course(&told, "customer");
    let but_sums: Vec<_> = course.iter().filter(|word| *word != "mismatch").collect();
    assert_eq!(
        but_sums,
        ["opened", ready, "interrupted", ready, "ended 1000"]
    );
}

for_each_service! {
    a_clean_close_nobody_asked_for;
    a_close_without_an_error;
    a_connection_that_ends_without_a_word;
    a_connection_that_is_reset;
    a_connection_that_is_reset_in_the_middle_of_a_frame;
    a_network_that_swallows_everything;
    a_service_that_goes_away;
    a_service_that_stops_reading;
    a_service_that_stops_reading_for_a_while;
    an_error_and_then_the_close;
}

async fn a_clean_close_nobody_asked_for(protocol: Protocol) {
    is_survived(protocol, Cut::Close(1000), "backoff", "").await;
}

async fn a_close_without_an_error(protocol: Protocol) {
    is_survived(protocol, Cut::Close(1011), class_of_1011(protocol), "").await;
}

async fn a_connection_that_ends_without_a_word(protocol: Protocol) {
    is_survived(protocol, Cut::Drop, "backoff", "").await;
}

async fn a_connection_that_is_reset(protocol: Protocol) {
    is_survived(protocol, Cut::Reset, "backoff", "").await;
}

async fn a_connection_that_is_reset_in_the_middle_of_a_frame(protocol: Protocol) {
    is_survived(protocol, Cut::Tear, "backoff", "").await;
}

async fn a_network_that_swallows_everything(protocol: Protocol) {
    is_survived(protocol, Cut::BlackHole, "backoff", ALERT).await;
}

async fn a_service_that_goes_away(protocol: Protocol) {
    let cut = match protocol {
        Protocol::AutoTranscribe => Cut::Final(5001),
        _ => Cut::Close(1012),
    };
    is_survived(protocol, cut, "now", "").await;
}

// The kernel takes minutes of sound for a service that does not read it: its silence tells.
async fn a_service_that_stops_reading(protocol: Protocol) {
    let cut = Cut::Stall(Duration::from_secs(60));
    is_survived(protocol, cut, "backoff", ALERT).await;
}

async fn a_service_that_stops_reading_for_a_while(protocol: Protocol) {
    let settings = Settings {
        receive_buffer_bytes: Some(4096),
        ..Settings::default()
    };
    let mut story = Story::with(protocol, settings, "").await;
    story.before().await;
    story.say_half("customer-pay").await;
    story
        .cut(Role::Customer, Cut::Stall(Duration::from_secs(1)))
        .await;
    story.say_rest("customer-pay").await;
    story.until_heard().await;
    story.after().await;
    let told = story.end(1000).await;
    for role in ["customer", "agent"] {
        assert_course(&told, role, &["opened", name(protocol), "ended 1000"]);
    }
}

async fn an_error_and_then_the_close(protocol: Protocol) {
    let code = match protocol {
        Protocol::AssemblyAi => 3005,
        Protocol::AutoTranscribe => 5000,
        Protocol::Deepgram | Protocol::Vosk => 1011,
    };
    is_survived(protocol, Cut::Final(code), class_of_1011(protocol), "").await;
}

/// Deepgram says the same when something went wrong as when nothing came.
fn class_of_1011(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Deepgram => "sound",
        _ => "backoff",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_is_too_old_for_autotranscribe() {
    is_survived(Protocol::AutoTranscribe, Cut::Final(4090), "rollover", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_is_too_old_for_assemblyai() {
    is_survived(Protocol::AssemblyAi, Cut::Final(3008), "rollover", "").await;
}
