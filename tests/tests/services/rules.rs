//! Sockets that a service ends by its rules: for lack of sound, or for their age.

use std::time::Duration;

use rig::served::name;
use rig::told::of;
use sim::service::record::Recorded;
use sim::service::{Protocol, Running, assemblyai, autotranscribe, deepgram};
use sim::speech::Role;

use crate::proof::assert_course;
use crate::story::Story;

/// Services that end a socket without sound after so long; Vosk waits for ever.
async fn impatient(protocol: Protocol, timeout: Duration) -> Running {
    let started = match protocol {
        Protocol::AssemblyAi => {
            let mut config = assemblyai::Config::default();
            config.rules.inactivity_timeout = Some(timeout);
            assemblyai::AssemblyAi::start(config).await
        }
        Protocol::AutoTranscribe => {
            let mut config = autotranscribe::Config::default();
            config.rules.idle_timeout = timeout;
            autotranscribe::AutoTranscribe::start(config).await
        }
        Protocol::Deepgram => {
            let mut config = deepgram::Config::default();
            config.rules.idle_timeout = timeout;
            deepgram::Deepgram::start(config).await
        }
        Protocol::Vosk => protocol.start(sim::service::Settings::default()).await,
    };
    started.unwrap()
}

/// Services that end a socket when it is so old.
async fn mortal(protocol: Protocol, sessions_max: Option<usize>) -> Running {
    let life = Duration::from_secs(4);
    let started = match protocol {
        Protocol::AssemblyAi => {
            let mut config = assemblyai::Config::default();
            config.rules.duration_max = life;
            config.rules.sessions_max = sessions_max;
            assemblyai::AssemblyAi::start(config).await
        }
        _ => {
            let mut config = autotranscribe::Config::default();
            config.rules.duration_max = life;
            autotranscribe::AutoTranscribe::start(config).await
        }
    };
    started.unwrap()
}

/// Nobody sends anything; the service ends the sockets, and is called again when there is sound.
async fn is_called_again(protocol: Protocol) {
    let service = impatient(protocol, Duration::from_millis(400)).await;
    let mut story = Story::at(protocol, service, "").await;
    story.start().await;
    story.until_count("streamInterrupted", "", 2).await;
    assert_eq!(
        story.world.service.streams().len(),
        2,
        "nobody calls back without sound"
    );
    story.before().await;
    story.until_count("streamReady", "", 4).await;
    assert!(story.metric("retries_total{class=\"sound\"}").await >= 2.0);
    story.books_balance().await;
    let told = story.end_as_it_is(1000).await;
    assert!(of(&told, "gap", "").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn assemblyai_calls_it_inactivity() {
    is_called_again(Protocol::AssemblyAi).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn autotranscribe_calls_it_idleness() {
    is_called_again(Protocol::AutoTranscribe).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deepgram_calls_it_net_0001() {
    is_called_again(Protocol::Deepgram).await;
}

for_each_service! {
    a_socket_without_sound_is_kept_alive;
}

async fn a_socket_without_sound_is_kept_alive(protocol: Protocol) {
    let service = impatient(protocol, Duration::from_secs(2)).await;
    let name = name(protocol);
    let more = format!("[upstream.{name}]\nidle = \"1s\"\n");
    let mut story = Story::at(protocol, service, &more).await;
    story.start().await;
    let series = format!("antiphon_upstream_keep_alives_total{{service=\"{name}\"}}");
    rig::shown::until_metric(&story.world, &series, |count| count >= 6.0).await;
    story.before().await;
    story.after().await;
    let told = story.end(1000).await;
    for role in ["customer", "agent"] {
        assert_course(&told, role, &["opened", name, "ended 1000"]);
    }
}

/// Sockets are replaced while both parties speak; the consumer sees nothing of it.
async fn is_rolled_over(protocol: Protocol, more: &str, sessions_max: Option<usize>) -> usize {
    const TALK: [&str; 8] = [
        "customer-greeting",
        "agent-greeting",
        "customer-pay",
        "agent-sorry",
        "customer-relieved",
        "agent-anything-else",
        "customer-receipt",
        "customer-goodbye",
    ];
    let service = mortal(protocol, sessions_max).await;
    let name = name(protocol);
    let session_max = match protocol {
        Protocol::AutoTranscribe => "session_max = \"4s\"\n",
        _ => "",
    };
    let more = rig::served::extended(&format!("[upstream.{name}]\n{session_max}"), more);
    let mut story = Story::at(protocol, service, &more).await;
    // The shorter a life, the shorter a pause in the talk is waited for: a phrase has to fit.
    story.speak_at(10.0).await;
    story.start().await;
    for id in [TALK, TALK, TALK].into_iter().flatten() {
        story.say(id).await;
    }
    story.until_heard().await;
    let rollovers = story.counted("rollovers_total").await;
    let sockets = story.world.service.streams().len();
    story.world.service.with_streams(|streams| {
        for stream in streams {
            assert!(stream.complaints.is_empty(), "{:?}", stream.complaints);
        }
        let good = |stream: &&Recorded| stream.final_code.is_some_and(|code| code != 1000);
        assert_eq!(
            streams.iter().filter(good).count(),
            0,
            "none is ended by the service"
        );
    });
    assert!(sockets >= 6, "{sockets} sockets, {rollovers} rolled over");
    story.books_balance().await;
    let told = story.end_as_it_is(1000).await;
    for role in ["customer", "agent"] {
        assert_course(&told, role, &["opened", name, "ended 1000"]);
    }
    rollovers as usize
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_of_assemblyai_are_replaced_before_they_expire() {
    let rollovers = is_rolled_over(Protocol::AssemblyAi, "", None).await;
    assert!(rollovers >= 4, "{rollovers}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_of_autotranscribe_are_replaced_before_they_are_too_old() {
    let rollovers = is_rolled_over(Protocol::AutoTranscribe, "", None).await;
    assert!(rollovers >= 4, "{rollovers}");
}

/// The service refuses a second socket, and there is one at a time from then on.
#[tokio::test(flavor = "multi_thread")]
async fn where_a_second_socket_is_not_had_the_first_lasts_until_it_is_ended() {
    let service = mortal(Protocol::AssemblyAi, Some(2)).await;
    let mut story = Story::at(Protocol::AssemblyAi, service, "").await;
    story.start().await;
    story.before().await;
    story.until_count("streamInterrupted", "customer", 1).await;
    story.until_count("streamInterrupted", "agent", 1).await;
    story.after().await;
    story.until_count("streamReady", "customer", 2).await;
    story.until_count("streamReady", "agent", 2).await;
    story
        .until_shown(Role::Customer, |shown| shown["state"] == "ready")
        .await;
    story.books_balance().await;
    let told = story.end_as_it_is(1000).await;
    assert!(of(&told, "gap", "").is_empty());
}
