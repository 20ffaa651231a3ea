//! The call machine from outside: each row of its table, each command with its code and envelope.

use rig::{World, eventually};
use serde_json::json;
use sim::caller::twilio::{Options, TwilioCall};
use sim::control::Answer;
use sim::service::autotranscribe::faults::{Cut, EndFault, Faults};
use sim::speech::Role;
use std::time::Duration;

const ALL: [&str; 4] = ["start", "stop", "pause", "resume"];
/// A start for a call without media is refused at once.
const NO_GRACE: &str = "[control]\nstart_grace = \"0s\"\n";
/// Nothing times out while a story looks around.
const PATIENT: &str = "[control]\nstart_timeout = \"60s\"\nstop_timeout = \"60s\"\n\
    start_grace = \"0s\"\n\
    [upstream]\nresponse_timeout = \"60s\"\ndrain_timeout = \"60s\"\n";

async fn ask(world: &World, guid: &str, command: &str) -> Answer {
    match command {
        "pause" => world.api.pause(guid).await.unwrap(),
        "resume" => world.api.resume(guid).await.unwrap(),
        "start" => world.try_start(guid).await,
        _ => world.try_stop(guid).await,
    }
}

async fn refuses(world: &World, guid: &str, code: &str, commands: &[&str]) {
    for command in commands {
        assert_refused(&ask(world, guid, command).await, code, command);
    }
}

fn assert_refused(answer: &Answer, code: &str, what: &str) {
    let status = code[..3].parse().unwrap();
    assert_eq!(
        (answer.status, answer.code()),
        (status, Some(code)),
        "{what}"
    );
    let envelope = answer.body.as_object().unwrap();
    assert_eq!(envelope.keys().collect::<Vec<_>>(), ["error"], "{what}");
    let error = &envelope["error"];
    assert!(
        error["message"].as_str().is_some_and(|text| text.len() > 5),
        "{what}: {error}"
    );
    assert_eq!(
        error["requestId"].as_str(),
        answer.request_id.as_deref(),
        "{what}"
    );
}

fn guid(options: &Options) -> String {
    options.sids.call.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_a_call_that_nobody_knows_takes_no_command() {
    let world = World::with(NO_GRACE).await;
    refuses(
        &world,
        "CA00000000000000000000000000000000",
        "400-203",
        &ALL,
    )
    .await;
    for namespace in ["siprec", "amazonconnect", "genesysaudiohook"] {
        let mut body = rig::command("0042");
        body["namespace"] = json!(namespace);
        let path = "/mg-autotranscribe/v1/start-streaming";
        assert_refused(
            &world.api.post(path, &body).await.unwrap(),
            "400-203",
            namespace,
        );
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn awaited_a_start_that_comes_before_its_media_waits_for_it() {
    let world = World::with("[control]\nstart_grace = \"30s\"\n").await;
    let options = world.options().await;
    let guid = guid(&options);
    let (started, mut call) = tokio::join!(world.try_start(&guid), async {
        world.until_state(&guid, "awaited").await;
        TwilioCall::dial(options).await.unwrap()
    });
    assert!(started.is_ok(), "{}", started.complaint());
    world.say(&mut call, "customer-greeting").await;
    world.say(&mut call, "agent-greeting").await;
    world.stop(&call).await;
    assert_eq!(world.heard(Role::Customer), ["customer-greeting"]);
    assert_eq!(world.heard(Role::Agent), ["agent-greeting"]);
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn awaited_media_that_does_not_come_in_time_is_no_call() {
    let world = World::with("[control]\nstart_grace = \"100ms\"\n").await;
    let started = world.try_start("0042").await;
    assert_refused(&started, "400-203", "the grace is over");
    world.until_state("0042", "gone").await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn awaited_a_stop_takes_the_start_back_and_anything_else_is_pending() {
    let world = World::with("[control]\nstart_grace = \"30s\"\n").await;
    let (started, stopped) = tokio::join!(world.try_start("0042"), async {
        world.until_state("0042", "awaited").await;
        refuses(&world, "0042", "409-202", &["start", "pause", "resume"]).await;
        world.try_stop("0042").await
    });
    assert_refused(&started, "409-202", "it was stopped");
    assert!(stopped.is_ok(), "{}", stopped.complaint());
    assert_eq!(stopped.body["autotranscribeResponse"], json!({}));
    world.until_state("0042", "gone").await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn awaited_only_so_many_starts_may_wait() {
    let more = "[control]\nstart_grace = \"30s\"\n[limits]\nawaited_starts_max = 1\n";
    let world = World::with(more).await;
    let (first, ()) = tokio::join!(world.try_start("0042"), async {
        world.until_state("0042", "awaited").await;
        refuses(&world, "0043", "400-203", &["start"]).await;
        world.try_stop("0042").await;
    });
    assert_refused(&first, "409-202", "it was stopped");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_there_is_nothing_to_stop_pause_or_resume() {
    let world = World::new().await;
    let call = world.dial().await;
    world.until_state(call.call_sid(), "idle").await;
    refuses(
        &world,
        call.call_sid(),
        "409-201",
        &["stop", "pause", "resume"],
    )
    .await;
    world.start(&call).await;
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn starting_everything_is_pending_but_a_stop_which_ends_it() {
    let world = World::with(PATIENT).await;
    let call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.until_state(&guid, "idle").await;
    let start_delay = Duration::from_secs(60);
    world.service.set_faults(Faults {
        start_delay,
        ..Faults::default()
    });
    let (started, stopped) = tokio::join!(world.try_start(&guid), async {
        world.until_state(&guid, "starting").await;
        refuses(&world, &guid, "409-202", &["start", "pause", "resume"]).await;
        world.try_stop(&guid).await
    });
    assert_refused(&started, "409-202", "it was stopped");
    // Whether it was said or not, the service has not confirmed a byte of it.
    assert_eq!(
        (stopped.status, &stopped.body["isOk"]),
        (200, &json!(false))
    );
    for role in ["agent", "customer"] {
        assert_eq!(stopped.stream(role)["status"]["code"], 5000);
        assert!(stopped.stream(role)["summary"].is_null());
    }
    world.until_state(&guid, "idle").await;
    world.service.set_faults(Faults::default());
    world.start(&call).await;
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streaming_a_start_and_a_resume_find_it_done_already() {
    let world = World::new().await;
    let call = world.dial().await;
    world.start(&call).await;
    refuses(&world, call.call_sid(), "409-201", &["start", "resume"]).await;
    let stopped = world.stop(&call).await;
    for role in ["agent", "customer"] {
        assert_eq!(stopped.stream(role)["status"]["code"], 1000);
        assert_eq!(stopped.confirmed_bytes(role), Some(0));
    }
    refuses(&world, call.call_sid(), "409-201", &["stop"]).await;
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_it_can_be_resumed_and_stopped_and_nothing_else() {
    let world = World::new().await;
    let call = world.dial().await;
    let guid = call.call_sid();
    world.start(&call).await;
    for _ in 0..2 {
        assert!(ask(&world, guid, "pause").await.is_ok());
        refuses(&world, guid, "409-201", &["start", "pause"]).await;
        assert_eq!(world.call(guid).await["state"], "paused");
        assert!(ask(&world, guid, "resume").await.is_ok());
        assert_eq!(world.call(guid).await["state"], "streaming");
    }
    assert!(ask(&world, guid, "pause").await.is_ok());
    world.stop(&call).await;
    refuses(&world, guid, "409-201", &["resume"]).await;
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_everything_is_pending_until_the_service_has_summed_up() {
    let world = World::with(PATIENT).await;
    let call = world.dial().await;
    let guid = call.call_sid();
    world.until_state(guid, "idle").await;
    world.service.set_faults(Faults {
        end: EndFault::Silence,
        ..Faults::default()
    });
    world.start(&call).await;
    let (stopped, ()) = tokio::join!(world.try_stop(guid), async {
        world.until_state(guid, "stopping").await;
        refuses(&world, guid, "409-202", &ALL).await;
        both_drop(&world).await;
    });
    assert_eq!(
        (stopped.status, &stopped.body["isOk"]),
        (200, &json!(false))
    );
    world.until_state(guid, "idle").await;
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_no_command_is_taken_and_new_media_is_a_call_again() {
    let world = World::with(PATIENT).await;
    let call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.until_state(&guid, "idle").await;
    world.service.set_faults(Faults {
        end: EndFault::Silence,
        ..Faults::default()
    });
    world.start(&call).await;
    call.hang_up().await.unwrap();
    world.until_state(&guid, "draining").await;
    refuses(&world, &guid, "409-203", &ALL).await;
    let again = world
        .dial_with(|options| options.sids.call.clone_from(&guid))
        .await;
    world.until_state(&guid, "idle").await;
    again.hang_up().await.unwrap();
    world.until_state(&guid, "draining").await;
    both_drop(&world).await;
    world.until_state(&guid, "gone").await;
    refuses(&world, &guid, "400-203", &ALL).await;
    world.end().await;
}

/// The service has been told that both streams are finished, and lets them go without a word.
async fn both_drop(world: &World) {
    let finished = |streams: &[_]| {
        let is =
            |stream: &sim::service::autotranscribe::record::Recorded| stream.finished_at.is_some();
        streams.len() == 2 && streams.iter().all(is)
    };
    world.until_heard(finished).await;
    assert!(world.service.inflict(0, Cut::Drop) && world.service.inflict(1, Cut::Drop));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_commands_that_race_one_wins() {
    let world = World::new().await;
    let call = world.dial().await;
    let guid = call.call_sid();
    world.until_state(guid, "idle").await;
    for command in ["start", "pause", "resume", "stop"] {
        let (a, b, c, d) = eventually("answers", async {
            tokio::join!(
                ask(&world, guid, command),
                ask(&world, guid, command),
                ask(&world, guid, command),
                ask(&world, guid, command)
            )
        })
        .await;
        let answers = [a, b, c, d];
        assert_eq!(
            answers.iter().filter(|answer| answer.is_ok()).count(),
            1,
            "{command}"
        );
        for answer in answers.iter().filter(|answer| !answer.is_ok()) {
            let code = answer.code().unwrap();
            assert!(["409-201", "409-202"].contains(&code), "{command}: {code}");
        }
    }
    call.hang_up().await.unwrap();
    world.end().await;
}
