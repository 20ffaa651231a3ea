//! Services that say strange things, or do not end as they should: the consumer hears each word
//! once, and knows what is not known.

use std::time::Duration;

use rig::served::name;
use rig::told::of;
use serde_json::Value;
use sim::service::faults::{EndFault, Faults};
use sim::service::{Protocol, Settings};
use sim::speech::Role;

use crate::proof::assert_course;
use crate::story::Story;

/// The end of a call is not waited for for long.
const IMPATIENT: &str = "[upstream]\ndrain_timeout = \"300ms\"\n";

/// A call under these faults on which both parties speak twice.
async fn under(protocol: Protocol, faults: Faults, more: &str) -> Story {
    let mut story = Story::dialled(protocol, Settings::default(), more).await;
    story.world.service.set_faults(faults);
    story.start().await;
    story.before().await;
    story.after().await;
    story
}

/// Both streams went through this between their opening and their end.
fn assert_both(told: &[Value], expected: &[&str]) {
    for role in ["customer", "agent"] {
        assert_course(told, role, expected);
    }
}

for_each_service! {
    a_final_that_comes_late;
    a_final_that_comes_twice;
    a_message_of_a_megabyte;
    a_message_of_an_unknown_type;
    a_sum_that_is_wrong;
    an_end_that_comes_late;
    an_end_that_comes_twice;
    an_end_that_is_a_close_and_no_more;
    an_end_that_never_comes;
}

async fn a_final_that_comes_twice(protocol: Protocol) {
    let faults = Faults {
        transcript_twice: true,
        ..Faults::default()
    };
    let story = under(protocol, faults, "").await;
    let told = story.end(1000).await;
    assert_both(&told, &["opened", name(protocol), "ended 1000"]);
}

async fn a_final_that_comes_late(protocol: Protocol) {
    let faults = Faults {
        transcript_late: true,
        ..Faults::default()
    };
    let story = under(protocol, faults, "").await;
    let told = story.end(1000).await;
    assert_both(&told, &["opened", name(protocol), "ended 1000"]);
}

async fn an_end_that_comes_twice(protocol: Protocol) {
    let faults = Faults {
        final_twice: true,
        ..Faults::default()
    };
    let story = under(protocol, faults, "").await;
    let told = story.end(1000).await;
    assert_both(&told, &["opened", name(protocol), "ended 1000"]);
}

async fn an_end_that_comes_late(protocol: Protocol) {
    let faults = Faults {
        final_delay: Duration::from_millis(700),
        ..Faults::default()
    };
    let story = under(protocol, faults, "").await;
    let told = story.end(1000).await;
    assert_both(&told, &["opened", name(protocol), "ended 1000"]);
}

/// Where a close is all the end that is promised, it is enough.
async fn an_end_that_is_a_close_and_no_more(protocol: Protocol) {
    let faults = Faults {
        end: EndFault::CloseOnly,
        ..Faults::default()
    };
    let (code, missed) = match protocol {
        Protocol::AssemblyAi | Protocol::AutoTranscribe => (5000, 2.0),
        Protocol::Deepgram | Protocol::Vosk => (1000, 0.0),
    };
    let mut story = under(protocol, faults, IMPATIENT).await;
    story.books_balance().await;
    let stopped = story.world.try_stop(&story.guid).await;
    assert_eq!(stopped.body["isOk"], code == 1000);
    for role in ["customer", "agent"] {
        assert_eq!(stopped.stream(role)["status"]["code"], code);
        assert_eq!(stopped.confirmed_bytes(role), None);
    }
    assert_eq!(story.counted("end_acks_missed_total").await, missed);
    let told = story.hang_up().await;
    assert_both(&told, &["opened", name(protocol), &format!("ended {code}")]);
}

async fn an_end_that_never_comes(protocol: Protocol) {
    let faults = Faults {
        end: EndFault::Silence,
        ..Faults::default()
    };
    let mut story = under(protocol, faults, IMPATIENT).await;
    story.books_balance().await;
    let stopped = story.world.try_stop(&story.guid).await;
    assert_eq!(stopped.body["isOk"], false);
    assert_eq!(story.counted("end_acks_missed_total").await, 2.0);
    let told = story.hang_up().await;
    assert_both(&told, &["opened", name(protocol), "ended 5000"]);
}

/// Only AutoTranscribe's sums are exact enough to be compared.
async fn a_sum_that_is_wrong(protocol: Protocol) {
    let faults = Faults {
        bytes_off: -320,
        ..Faults::default()
    };
    let mut story = under(protocol, faults, "").await;
    story.books_balance().await;
    let sent = story.shown(Role::Customer).await["sentBytes"].clone();
    let told = story.end_as_it_is(1000).await;
    let ready = name(protocol);
    if protocol == Protocol::AutoTranscribe {
        assert_both(&told, &["opened", ready, "mismatch", "ended 1000"]);
        let mismatch = of(&told, "bytesMismatch", "customer")[0];
        assert_eq!(mismatch["sentBytes"], sent);
        assert_eq!(mismatch["confirmedBytes"], sent.as_u64().unwrap() - 320);
    } else {
        assert_both(&told, &["opened", ready, "ended 1000"]);
    }
}

async fn a_message_of_an_unknown_type(protocol: Protocol) {
    let faults = Faults {
        unknown_message: true,
        ..Faults::default()
    };
    let story = under(protocol, faults, "").await;
    assert_eq!(
        story.metric("unknown_messages_total{kind=\"kind\"}").await,
        2.0
    );
    let told = story.end(1000).await;
    assert_both(&told, &["opened", name(protocol), "ended 1000"]);
}

/// It is too long to be read. The socket ends, and not the stream.
async fn a_message_of_a_megabyte(protocol: Protocol) {
    let faults = Faults {
        huge_message: true,
        times: Some(2),
        ..Faults::default()
    };
    let mut story = Story::dialled(protocol, Settings::default(), "").await;
    story.world.service.set_faults(faults);
    story.start().await;
    story.until_count("streamInterrupted", "", 2).await;
    story.before().await;
    story.after().await;
    assert_eq!(story.metric("retries_total{class=\"backoff\"}").await, 2.0);
    let told = story.end(1000).await;
    assert_eq!(of(&told, "streamInterrupted", "").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warning_of_assemblyai_is_counted_and_the_stream_goes_on() {
    let faults = Faults {
        warning: true,
        ..Faults::default()
    };
    let story = under(Protocol::AssemblyAi, faults, "").await;
    assert_eq!(story.counted("warnings_total").await, 2.0);
    let told = story.end(1000).await;
    assert_both(&told, &["opened", "assemblyai", "ended 1000"]);
}
