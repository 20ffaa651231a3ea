//! A socket that is not had: refused, too late, closed at once, or not accepted. What is said
//! meanwhile waits, and is heard at its time.

use std::time::Duration;

use rig::served::name;
use rig::told::of;
use serde_json::Value;
use sim::service::faults::{Cut, Faults, RestFault, TokenFault};
use sim::service::{Protocol, Settings, autotranscribe};
use sim::speech::Role;

use crate::proof::{assert_course, course};
use crate::story::{Story, refusing};

/// The customer's socket is lost in the middle of a phrase, and the next ones are not had.
async fn is_survived(protocol: Protocol, faults: Faults, class: &str, more: &str) -> Story {
    let mut story = Story::with(protocol, Settings::default(), more).await;
    story.before().await;
    story.say_half("customer-pay").await;
    story.world.service.set_faults(faults);
    story.cut(Role::Customer, Cut::Drop).await;
    story.say_rest("customer-pay").await;
    story.until_heard().await;
    story.after().await;
    let series = format!("retries_total{{class=\"{class}\"}}");
    assert!(story.metric(&series).await >= 1.0, "{class}");
    story
}

/// A start under these faults, which pass: both streams are interrupted once.
async fn is_started(protocol: Protocol, faults: Faults, more: &str) {
    let mut story = Story::dialled(protocol, Settings::default(), more).await;
    story.world.service.set_faults(faults);
    story.start().await;
    // Some services have accepted a stream before they refuse it.
    story.until_count("streamInterrupted", "", 2).await;
    story.before().await;
    story.after().await;
    let told = story.end(1000).await;
    assert_eq!(of(&told, "streamInterrupted", "").len(), 2);
    assert!(of(&told, "gap", "").is_empty());
}

/// The agent's stream noticed nothing, and the customer's was interrupted so often.
fn assert_interrupted(told: &[Value], protocol: Protocol, times: usize) {
    assert_course(told, "agent", &["opened", name(protocol), "ended 1000"]);
    let course = course(told, "customer");
    let interrupted = course.iter().filter(|word| *word == "interrupted");
    assert_eq!(interrupted.count(), times, "{course:?}");
    assert!(of(told, "gap", "").is_empty());
}

for_each_service! {
    a_credential_that_is_refused;
    a_first_socket_that_closes_as_soon_as_it_is_open;
    a_next_socket_that_closes_as_soon_as_it_is_open;
    a_service_that_has_no_room;
    a_service_that_is_slow_to_begin;
    a_service_that_is_started_anew;
    a_service_that_is_too_slow_to_begin;
    a_service_that_is_unavailable;
    too_many_requests;
}

async fn a_first_socket_that_closes_as_soon_as_it_is_open(protocol: Protocol) {
    let faults = Faults {
        accept_then_close: Some(1013),
        times: Some(2),
        ..Faults::default()
    };
    is_started(protocol, faults, "").await;
}

async fn a_next_socket_that_closes_as_soon_as_it_is_open(protocol: Protocol) {
    let faults = Faults {
        accept_then_close: Some(1013),
        times: Some(3),
        ..Faults::default()
    };
    let story = is_survived(protocol, faults, "backoff", "").await;
    let told = story.end(1000).await;
    assert_interrupted(&told, protocol, 4);
}

async fn a_service_that_has_no_room(protocol: Protocol) {
    let code = match protocol {
        Protocol::AssemblyAi => 3009,
        Protocol::AutoTranscribe => 5002,
        Protocol::Deepgram | Protocol::Vosk => 1013,
    };
    let faults = Faults {
        refuse: Some(code),
        times: Some(2),
        ..Faults::default()
    };
    is_started(protocol, faults, "").await;
}

async fn a_service_that_is_unavailable(protocol: Protocol) {
    let faults = Faults {
        times: Some(2),
        ..refusing(503)
    };
    let story = is_survived(protocol, faults, "backoff", "").await;
    let told = story.end(1000).await;
    assert_interrupted(&told, protocol, 3);
}

async fn too_many_requests(protocol: Protocol) {
    let upgrade = Some(RestFault {
        status: 429,
        retry_after: Some(Duration::from_secs(1)),
    });
    let faults = Faults {
        upgrade,
        times: Some(1),
        ..Faults::default()
    };
    let story = is_survived(protocol, faults, "after", "").await;
    let knocks = story.world.service.knocks();
    let statuses: Vec<_> = knocks.iter().map(|knock| knock.status).collect();
    assert_eq!(statuses, [101, 101, 429, 101]);
    assert!(knocks[3].at - knocks[2].at >= Duration::from_millis(900));
    let told = story.end(1000).await;
    assert_interrupted(&told, protocol, 2);
}

/// Nobody tries again and again with a key that is refused; once it is taken again, a probe tells.
async fn a_credential_that_is_refused(protocol: Protocol) {
    let mut story = Story::of(protocol).await;
    story.before().await;
    story.say_half("customer-pay").await;
    story.cut_off(401).await;
    story.say_rest("customer-pay").await;
    let state = format!(
        "antiphon_upstream_breaker_state{{service=\"{}\"}}",
        name(protocol)
    );
    rig::shown::until_metric(&story.world, &state, |state| state > 0.0).await;
    story
        .until_shown(Role::Customer, |shown| shown["state"] == "opening")
        .await;
    story.restore().await;
    story.until_heard().await;
    story.after().await;
    assert_eq!(story.counted("breaker_state").await, 0.0);
    assert!(story.counted("breaker_openings_total").await >= 1.0);
    let told = story.end(1000).await;
    assert!(of(&told, "gap", "").is_empty());
}

async fn a_service_that_is_slow_to_begin(protocol: Protocol) {
    let mut story = Story::dialled(protocol, Settings::default(), "").await;
    story.world.service.set_faults(Faults {
        start_delay: Duration::from_millis(800),
        ..Faults::default()
    });
    let (api, guid) = (story.world.api.clone(), story.guid.clone());
    let start = sim::control::Start::of(&guid);
    let (started, ()) = tokio::join!(api.start(&start), async {
        let begun = |call: &Value| call["streams"].as_array().is_some_and(|all| all.len() == 2);
        story.world.until_call(&guid, begun).await;
        story.before().await;
    });
    assert!(started.unwrap().is_ok());
    story.after().await;
    let told = story.end(1000).await;
    for role in ["customer", "agent"] {
        assert_course(&told, role, &["opened", name(protocol), "ended 1000"]);
    }
}

/// Where a service accepts a stream without a word it cannot be too slow for that.
async fn a_service_that_is_too_slow_to_begin(protocol: Protocol) {
    let faults = Faults {
        start_delay: Duration::from_secs(5),
        times: Some(2),
        ..Faults::default()
    };
    let more = "[upstream]\nresponse_timeout = \"300ms\"\n";
    match protocol {
        Protocol::AssemblyAi | Protocol::AutoTranscribe => is_started(protocol, faults, more).await,
        Protocol::Deepgram | Protocol::Vosk => {
            let mut story = Story::dialled(protocol, Settings::default(), more).await;
            story.world.service.set_faults(faults);
            story.start().await;
            story.before().await;
            let told = story.end(1000).await;
            assert_interrupted(&told, protocol, 0);
        }
    }
}

/// Its sockets end with its own words, and for a while nobody listens at its address.
async fn a_service_that_is_started_anew(protocol: Protocol) {
    let mut story = Story::of(protocol).await;
    story.before().await;
    story.say_half("customer-pay").await;
    let address = story.world.service.url();
    let listen = address.trim_start_matches("http://").parse().unwrap();
    let other = protocol.start(Settings::default()).await.unwrap();
    let stopped = std::mem::replace(&mut story.world.service, other);
    stopped.stop().await;
    story.until_count("streamInterrupted", "customer", 1).await;
    story.say_rest("customer-pay").await;
    let settings = Settings {
        listen,
        ..Settings::default()
    };
    story.world.service = protocol.start(settings).await.unwrap();
    story.until_heard().await;
    story.until_count("streamReady", "agent", 2).await;
    story.after().await;
    let told = story.end(1000).await;
    assert!(of(&told, "gap", "").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_autotranscribe_that_has_expired_is_replaced() {
    let protocol = Protocol::AutoTranscribe;
    let more = "[upstream.autotranscribe]\nurls_per_call = 3\n";
    let service = autotranscribe::AutoTranscribe::start(autotranscribe::Config::default());
    let service = service.await.unwrap();
    service.set_faults(Faults {
        token: TokenFault::Expired,
        skip: 2,
        times: Some(1),
        ..Faults::default()
    });
    let mut story = Story::at(protocol, service, more).await;
    let fetched = story.world.service.wait_for_asked(|asked| asked.len() == 3);
    rig::eventually("addresses", fetched).await;
    story.start().await;
    story.before().await;
    story.say_half("customer-pay").await;
    story.cut(Role::Customer, Cut::Drop).await;
    story.say_rest("customer-pay").await;
    story.until_heard().await;
    story.after().await;
    assert_eq!(story.metric("retries_total{class=\"token\"}").await, 1.0);
    let told = story.end(1000).await;
    assert_eq!(of(&told, "streamInterrupted", "").len(), 2);
    assert!(of(&told, "gap", "").is_empty());
}

/// A token is asked for anew for each socket: one that is refused means the key.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_assemblyai_that_has_expired_opens_the_breaker_until_one_is_taken() {
    let faults = Faults {
        token: TokenFault::Expired,
        times: Some(1),
        ..Faults::default()
    };
    let more = "[upstream.assemblyai]\nauth = \"token\"\n";
    let story = is_survived(Protocol::AssemblyAi, faults, "credential", more).await;
    assert_eq!(story.counted("breaker_openings_total").await, 1.0);
    let told = story.end(1000).await;
    assert_interrupted(&told, Protocol::AssemblyAi, 2);
}
