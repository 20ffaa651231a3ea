//! Another service in place of one that fails, and the way back.

use rig::served::{name, section};
use rig::shown::until_metric;
use rig::told::of;
use serde_json::Value;
use sim::service::faults::Faults;
use sim::service::record::Recorded;
use sim::service::{Protocol, Running, Settings};
use sim::speech::Role;

use crate::proof::course;
use crate::story::{Story, refusing};

/// The service that a stream turns to when that one fails.
fn other(protocol: Protocol) -> Protocol {
    match protocol {
        Protocol::AssemblyAi => Protocol::Deepgram,
        Protocol::AutoTranscribe => Protocol::AssemblyAi,
        Protocol::Deepgram => Protocol::Vosk,
        Protocol::Vosk => Protocol::AutoTranscribe,
    }
}

/// A call with one service, and another to turn to.
async fn with_two(protocol: Protocol, more: &str) -> (Story, Running) {
    let first = protocol.start(Settings::default()).await.unwrap();
    let second = other(protocol).start(Settings::default()).await.unwrap();
    let name = name(other(protocol));
    let fallback = format!("[upstream]\nfallback = [\"{name}\"]\nswitch_after = \"100ms\"\n");
    let all = rig::served::extended(&section(other(protocol), &second.url()), &fallback);
    let story = Story::at(protocol, first, &rig::served::extended(&all, more)).await;
    (story, second)
}

/// The services that a role's stream was with, in order.
fn services(told: &[Value], role: &str) -> Vec<String> {
    let ready = of(told, "streamReady", role).into_iter();
    ready
        .map(|event| event["service"].as_str().unwrap().to_owned())
        .collect()
}

/// The phrases that a service heard, of whomever. What is sent again may begin with the last sound
/// of a phrase, of which it makes what it will; the consumer is not told of that.
fn phrases(service: &Running) -> Vec<String> {
    service.with_streams(|streams| {
        let all = streams.iter().flat_map(Recorded::heard);
        let mut all: Vec<_> = all.filter(|id| *id != "???").map(str::to_owned).collect();
        all.sort_unstable();
        all
    })
}

for_each_service! {
    a_credential_that_is_refused_turns_all_streams_to_the_other;
    a_running_stream_that_may_not_turn_stays;
    a_service_that_fails_is_turned_from_and_to_again;
    a_start_turns_to_the_other;
    retries_beyond_the_budget_go_to_the_other;
}

/// The breaker opens at once. What is said is heard by the other, nothing twice; when the key is
/// taken again, so are new streams.
async fn a_credential_that_is_refused_turns_all_streams_to_the_other(protocol: Protocol) {
    let more = "[upstream.guard]\nprobe_after_min = \"1s\"\nprobe_after_max = \"1s\"\n";
    let (mut story, second) = with_two(protocol, more).await;
    story.start().await;
    story.before().await;
    story.say_half("customer-pay").await;
    story.cut_off(401).await;
    story.say_rest("customer-pay").await;
    story.until_heard().await;
    story.until_count("streamReady", "agent", 2).await;
    for role in [Role::Customer, Role::Agent] {
        let so =
            |shown: &Value| shown["state"] == "ready" && shown["service"] == name(other(protocol));
        story.until_shown(role, so).await;
    }
    assert_eq!(story.counted("breaker_openings_total").await, 1.0);
    let series = format!("failovers_total{{service=\"{}\"}}", name(other(protocol)));
    assert_eq!(story.metric(&series).await, 2.0);
    story.say("agent-sorry").await;
    story.until_heard().await;
    assert_eq!(phrases(&second), ["agent-sorry", "customer-pay"]);

    // It is well again: what is new goes to it, once it has been left alone for a while.
    story.world.service.set_faults(Faults::default());
    let returned = async {
        loop {
            let call = story.world.dial().await;
            let guid = call.call_sid().to_owned();
            assert!(story.world.try_start(&guid).await.is_ok());
            let told = story.world.told(&guid).await;
            story.world.stop(&call).await;
            call.hang_up().await.unwrap();
            if services(&told, "customer") == [name(protocol)] {
                return;
            }
        }
    };
    rig::eventually("a new stream to come back", returned).await;
    assert_eq!(story.counted("breaker_state").await, 0.0);
    story.after().await;
    story.books_balance().await;
    let told = story.end_as_it_is(1000).await;
    for role in ["customer", "agent"] {
        assert_eq!(
            services(&told, role),
            [name(protocol), name(other(protocol))]
        );
    }
    assert!(of(&told, "gap", "").is_empty());
}

/// Two failures in a row are enough. The next loss is the occasion to come back.
async fn a_service_that_fails_is_turned_from_and_to_again(protocol: Protocol) {
    let (mut story, second) = with_two(protocol, "").await;
    story.start().await;
    story.before().await;
    story.cut_off(503).await;
    story.say("customer-pay").await;
    story.until_heard().await;
    story.until_count("streamReady", "agent", 2).await;
    assert_eq!(phrases(&second), ["customer-pay"]);

    story.world.service.set_faults(Faults::default());
    assert_eq!(second.inflict_all(sim::service::faults::Cut::Drop), 2);
    story.until_count("streamReady", "customer", 3).await;
    story.until_count("streamReady", "agent", 3).await;
    story.after().await;
    story.books_balance().await;
    let told = story.end_as_it_is(1000).await;
    let (one, two) = (name(protocol), name(other(protocol)));
    for role in ["customer", "agent"] {
        assert_eq!(services(&told, role), [one, two, one]);
    }
    assert!(of(&told, "gap", "").is_empty());
}

async fn a_start_turns_to_the_other(protocol: Protocol) {
    let (mut story, second) = with_two(protocol, "").await;
    story.world.service.set_faults(refusing(503));
    story.start().await;
    story.before().await;
    story.after().await;
    assert_eq!(phrases(&second).len(), 4);
    story.books_balance().await;
    let told = story.end_as_it_is(1000).await;
    for role in ["customer", "agent"] {
        assert_eq!(services(&told, role), [name(other(protocol))]);
    }
}

/// If configured so, only new streams turn; one that was accepted waits for its own service.
async fn a_running_stream_that_may_not_turn_stays(protocol: Protocol) {
    let (mut story, second) = with_two(protocol, "[upstream]\nfail_over_running = false\n").await;
    story.start().await;
    story.before().await;
    story.cut_off(503).await;
    story.say("customer-pay").await;
    let new = story.world.dial().await;
    let guid = new.call_sid().to_owned();
    story.world.start(&new).await;
    let told = story.world.told(&guid).await;
    assert_eq!(services(&told, "customer"), [name(other(protocol))]);
    story.world.stop(&new).await;
    new.hang_up().await.unwrap();
    assert!(phrases(&second).is_empty());
    story.restore().await;
    story.until_heard().await;
    story.after().await;
    story.books_balance().await;
    let told = story.end_as_it_is(1000).await;
    for role in ["customer", "agent"] {
        assert_eq!(services(&told, role), [name(protocol), name(protocol)]);
    }
}

/// Two sockets are lost, and one may be tried again at once: the other stream does not wait.
async fn retries_beyond_the_budget_go_to_the_other(protocol: Protocol) {
    let more = "[upstream.guard]\nretries_burst = 1\nretries_percent = 0\nretries_per_second = 1\n\
                [upstream]\nswitch_after = \"0s\"\n";
    let (mut story, second) = with_two(protocol, more).await;
    story.start().await;
    story.before().await;
    assert_eq!(
        story
            .world
            .service
            .inflict_all(sim::service::faults::Cut::Drop),
        2
    );
    story.until_count("streamReady", "customer", 2).await;
    story.until_count("streamReady", "agent", 2).await;
    story.after().await;
    assert_eq!(phrases(&second).len(), 1);
    let series = format!(
        "antiphon_upstream_opens_held_back_total{{cause=\"budget\",service=\"{}\"}}",
        name(protocol)
    );
    until_metric(&story.world, &series, |count| count >= 1.0).await;
    story.books_balance().await;
    let told = story.end_as_it_is(1000).await;
    let mut second_services = ["customer", "agent"].map(|role| services(&told, role)[1].clone());
    second_services.sort();
    let mut both = [name(protocol), name(other(protocol))];
    both.sort_unstable();
    assert_eq!(second_services, both);
    assert_eq!(
        course(&told, "agent").last().map(String::as_str),
        Some("ended 1000")
    );
}
