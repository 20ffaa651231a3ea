//! What starts and stops answer and ask: both forms of a path, deadlines, refusals of the service,
//! who is who, and the vocabulary.

use std::time::Duration;

use rig::World;
use serde_json::{Value, json};
use sim::caller::twilio::Side;
use sim::control::Start;
use sim::service::autotranscribe::faults::{EndFault, Faults};
use sim::speech::Role;

#[tokio::test(flavor = "multi_thread")]
async fn each_path_answers_with_and_without_a_slash_at_its_end() {
    let world = World::new().await;
    let call = world.dial().await;
    world.until_state(call.call_sid(), "idle").await;
    let body = rig::command(call.call_sid());
    let stop = json!({"namespace": "twilio", "guid": call.call_sid()});
    for slash in ["", "/"] {
        let path = |name: &str| format!("/mg-autotranscribe/v1/{name}{slash}");
        let url = world
            .api
            .get(&path("twilio-media-stream-url"))
            .await
            .unwrap();
        assert!(
            url.body["streamingUrl"]
                .as_str()
                .is_some_and(|url| url.starts_with("wss://"))
        );
        let started = world
            .api
            .post(&path("start-streaming"), &body)
            .await
            .unwrap();
        assert!(started.is_ok(), "{}", started.complaint());
        let stopped = world
            .api
            .post(&path("stop-streaming"), &stop)
            .await
            .unwrap();
        assert!(stopped.is_ok(), "{}", stopped.complaint());
    }
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_start_makes_new_streams_and_each_request_has_an_id_of_its_own() {
    let world = World::new().await;
    let call = world.dial().await;
    let mut ids: Vec<String> = Vec::new();
    for _ in 0..2 {
        let started = world.start(&call).await;
        let stopped = world.stop(&call).await;
        for role in ["agent", "customer"] {
            let id = &started.stream(role)["streamId"];
            assert_eq!(id, &stopped.stream(role)["streamId"]);
            ids.push(id.as_str().unwrap().to_owned());
        }
        ids.extend([started.request_id.unwrap(), stopped.request_id.unwrap()]);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 8);
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_not_accepted_in_time_fails_and_the_other_goes_on() {
    let world = World::with("[control]\nstart_timeout = \"300ms\"\n").await;
    let start_delay = Duration::from_secs(60);
    let role = Some(Role::Customer);
    world.service.set_faults(Faults {
        role,
        start_delay,
        ..Faults::default()
    });
    let mut call = world.dial().await;
    world.until_state(call.call_sid(), "idle").await;
    let started = world.try_start(call.call_sid()).await;
    assert_eq!(
        (started.status, &started.body["isOk"]),
        (200, &json!(false))
    );
    assert_eq!(status(&started.body, "customer"), 5000);
    assert_eq!(status(&started.body, "agent"), 1000);
    assert!(
        started.body["errorMessage"]
            .as_str()
            .unwrap()
            .contains("customer")
    );
    world.say(&mut call, "customer-greeting").await;
    world.say(&mut call, "agent-greeting").await;
    let stopped = world.try_stop(call.call_sid()).await;
    assert_eq!(stopped.body["isOk"], false);
    assert_eq!(status(&stopped.body, "agent"), 1000);
    assert!(stopped.confirmed_bytes("agent").is_some());
    assert_eq!(stopped.confirmed_bytes("customer"), None);
    assert_eq!(world.heard(Role::Agent), ["agent-greeting"]);
    assert!(world.heard(Role::Customer).is_empty());
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_hears_no_end_in_time_says_so_and_claims_no_bytes() {
    let more = "[control]\nstop_timeout = \"300ms\"\n[upstream]\ndrain_timeout = \"60s\"\n";
    let world = World::with(more).await;
    world.service.set_faults(Faults {
        end: EndFault::Silence,
        ..Faults::default()
    });
    let mut call = world.dial().await;
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    let stopped = world.try_stop(call.call_sid()).await;
    assert_eq!(
        (stopped.status, &stopped.body["isOk"]),
        (200, &json!(false))
    );
    for role in ["agent", "customer"] {
        assert_eq!(status(&stopped.body, role), 5000);
        assert!(stopped.stream(role).get("summary").is_none());
    }
    world.say(&mut call, "customer-card").await;
    world.service.set_faults(Faults::default());
    world.start(&call).await;
    world.say(&mut call, "customer-goodbye").await;
    world.stop(&call).await;
    assert_eq!(
        world.heard(Role::Customer),
        ["customer-greeting", "customer-goodbye"]
    );
    call.hang_up().await.unwrap();
    world.shutdown.force();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_the_service_refuses_is_told_with_its_status() {
    let world = World::new().await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.until_state(&guid, "idle").await;
    let refuse = |role| Faults {
        role,
        refuse: Some(4050),
        ..Faults::default()
    };
    world.service.set_faults(refuse(Some(Role::Agent)));
    let started = world.try_start(&guid).await;
    assert_eq!(
        (started.status, &started.body["isOk"]),
        (200, &json!(false))
    );
    assert_eq!(status(&started.body, "agent"), 4050);
    assert_eq!(status(&started.body, "customer"), 1000);
    assert_eq!(world.call(&guid).await["state"], "streaming");
    world.say(&mut call, "customer-greeting").await;
    assert_eq!(status(&world.try_stop(&guid).await.body, "customer"), 1000);
    assert_eq!(world.heard(Role::Customer), ["customer-greeting"]);

    world.service.set_faults(refuse(None));
    let started = world.try_start(&guid).await;
    assert_eq!(status(&started.body, "agent"), 4050);
    assert_eq!(status(&started.body, "customer"), 4050);
    world.until_state(&guid, "idle").await;
    world.service.set_faults(Faults::default());
    world.start(&call).await;
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_track_map_says_who_speaks_on_which_track() {
    let world = World::new().await;
    let mut call = world.dial().await;
    let map = json!({"inbound": "agent", "outbound": "customer"});
    let more = json!({"twilioParams": {"trackMap": map}});
    let start = Start {
        more,
        ..Start::of(call.call_sid())
    };
    assert!(world.api.start(&start).await.unwrap().is_ok());
    let said = [
        (Side::Inbound, "agent-greeting"),
        (Side::Outbound, "customer-greeting"),
    ];
    for (side, id) in said {
        call.say(side, &rig::phrase(id).samples).await.unwrap();
        call.silence(Duration::from_millis(700)).await.unwrap();
    }
    world.arrived(&call).await;
    let shown = world.call(call.call_sid()).await;
    let role = |side: &str| {
        let legs = shown["legs"].as_array().unwrap();
        legs.iter().find(|leg| leg["side"] == side).unwrap()["role"].clone()
    };
    assert_eq!(
        (role("first"), role("second")),
        (json!("agent"), json!("customer"))
    );
    world.stop(&call).await;
    assert_eq!(world.heard(Role::Agent), ["agent-greeting"]);
    assert_eq!(world.heard(Role::Customer), ["customer-greeting"]);
    world.service.with_streams(|streams| {
        for stream in streams {
            let start = stream.start.as_ref().unwrap();
            assert_eq!(start.sender, format!("{}-1", start.role));
        }
    });
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_start_asks_of_the_recogniser_reaches_it() {
    let more = "[[upstream.vocabulary]]\nphrase = \"Harbor Power\"\nsounds_like = [\"harber\"]\n";
    let world = World::with(more).await;
    let call = world.dial().await;
    let vocabulary =
        json!([{"phrase": "IEEE", "soundsLike": ["i triple e"], "category": "company"}]);
    let params = json!({
        "language": "es-US", "detailedToken": true, "redactionOutput": "unredacted",
        "audioRecordingAllowed": true, "vocabulary": vocabulary,
    });
    let more = json!({"autotranscribeParams": params});
    let start = Start {
        more,
        ..Start::of(call.call_sid())
    };
    let started = world.api.start(&start).await.unwrap();
    assert!(started.is_ok(), "{}", started.complaint());
    world.stop(&call).await;
    world.service.with_streams(|streams| {
        assert_eq!(streams.len(), 2);
        for stream in streams {
            assert_eq!(stream.external_id.as_deref(), Some(call.call_sid()));
            let start = stream.start_json.as_ref().unwrap();
            assert_eq!(start["language"], "es-US");
            assert_eq!(start["detailedToken"], true);
            assert_eq!(start["redactionOutput"], "unredacted");
            assert_eq!(start["audioRecordingAllowed"], true);
            let harbor = json!({"phrase": "Harbor Power", "soundsLike": ["harber"]});
            assert_eq!(stream.vocabulary, [harbor, vocabulary[0].clone()]);
            assert!(stream.complaints.is_empty(), "{:?}", stream.complaints);
        }
    });
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_long_is_answered_and_the_client_told_to_connect_anew() {
    let world = World::new().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/mg-autotranscribe/v1/start-streaming", world.base);
    for _ in 0..20 {
        let request = client
            .post(&url)
            .header("asapp-api-id", rig::API_ID)
            .header("asapp-api-secret", rig::API_SECRET)
            .header("content-type", "application/json");
        let refused = request.body(vec![b'x'; 240_000]).send().await.unwrap();
        assert_eq!(refused.status(), 413);
        assert_eq!(refused.headers()["connection"], "close");
        let next = client
            .get(format!("{}/health/live", world.base))
            .send()
            .await
            .unwrap();
        assert_eq!(next.status(), 200);
    }
    world.end().await;
}

fn status(body: &Value, role: &str) -> u64 {
    body["autotranscribeResponse"][role]["status"]["code"]
        .as_u64()
        .unwrap()
}
