//! Watching a gateway: events with a place to come back to, calls, probes, metrics.

use rig::shown::until_metric;
use rig::told::of;
use rig::{World, eventually};
use serde_json::{Value, json};
use sim::caller::twilio::{Side, TwilioCall};
use sim::control::Events;

/// A call with one phrase of each party and one behind a shut gate.
async fn a_call(world: &World) -> String {
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.until_state(&guid, "idle").await;
    world.say(&mut call, "customer-account").await;
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    world.say(&mut call, "agent-greeting").await;
    world.stop(&call).await;
    call.hang_up().await.unwrap();
    world.until_state(&guid, "gone").await;
    guid
}

/// Reads on until an event of that type, and gives the ids of all that came.
async fn read_to(events: &mut Events, kind: &str) -> Vec<String> {
    let mut ids = Vec::new();
    eventually("an event", async {
        loop {
            let event = events.next().await.unwrap().unwrap();
            ids.push(event.json()["id"].as_str().unwrap().to_owned());
            if event.event == kind {
                return;
            }
        }
    })
    .await;
    ids
}

fn ids(told: &[Value]) -> Vec<String> {
    told.iter()
        .map(|event| event["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_told_in_order_from_its_beginning_to_its_end() {
    let world = World::new().await;
    let guid = a_call(&world).await;
    let told = world.told(&guid).await;
    let place = |kind: &str, role: &str| {
        let first = of(&told, kind, role)[0];
        told.iter()
            .position(|event| std::ptr::eq(event, first))
            .unwrap()
    };
    assert_eq!(
        (place("callStarted", ""), place("callEnded", "")),
        (0, told.len() - 1)
    );
    let changes = of(&told, "callChanged", "");
    let states: Vec<_> = changes.iter().map(|event| &event["state"]).collect();
    assert_eq!(
        states,
        ["idle", "starting", "streaming", "stopping", "idle"]
    );
    for role in ["agent", "customer"] {
        let order = ["streamOpened", "streamReady", "transcript", "streamEnded"];
        let places = order.map(|kind| place(kind, role));
        assert!(places.is_sorted(), "{role}: {places:?}");
        assert!(place("legOpened", "") < places[0] && places[3] < place("legEnded", ""));
        let ended = of(&told, "streamEnded", role)[0];
        assert_eq!(ended["status"]["code"], 1000);
        assert_eq!(ended["summary"]["transcripts"], 1);
    }
    let transcript = of(&told, "transcript", "customer")[0];
    assert_eq!(
        transcript["sender"],
        json!({"role": "customer", "externalId": "customer-1"})
    );
    assert_eq!(transcript["isFinal"], true);
    assert_eq!(
        transcript["alternatives"][0]["text"],
        *rig::phrase("customer-greeting").text
    );
    let numbers = ids(&told)
        .into_iter()
        .map(|id| id.split_once('-').unwrap().1.parse().unwrap());
    let numbers: Vec<u64> = numbers.collect();
    assert!(numbers.is_sorted() && told.iter().all(|event| event["call"]["guid"] == *guid));
    let counters = &of(&told, "legEnded", "")[0]["counters"];
    assert!(counters["gated"].as_u64() > Some(0) && counters["passed"].as_u64() > Some(0));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_comes_back_has_missed_nothing_and_sees_nothing_twice() {
    let world = World::new().await;
    let mut first = world.api.events(None).await.unwrap();
    let (guid, mut read) = tokio::join!(a_call(&world), async {
        let read = read_to(&mut first, "streamReady").await;
        drop(first);
        read
    });
    let mut second = world
        .api
        .events(read.last().map(String::as_str))
        .await
        .unwrap();
    read.extend(read_to(&mut second, "callEnded").await);
    assert_eq!(read, ids(&world.told(&guid).await));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_one_call_hears_of_no_other() {
    let world = World::new().await;
    let (one, other) = tokio::join!(a_call(&world), a_call(&world));
    let all = world
        .api
        .text("/v1/events?after=0&follow=false")
        .await
        .unwrap();
    assert!(all.contains(&one) && all.contains(&other));
    for guid in [&one, &other] {
        let told = world.told(guid).await;
        assert!(!told.is_empty() && told.iter().all(|event| event["call"]["guid"] == **guid));
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_comes_back_too_late_is_told_what_is_lost() {
    let world = World::with("[limits]\nevents_ring_max = 16\n").await;
    let mut events = world.api.events(None).await.unwrap();
    let (_, read) = tokio::join!(a_call(&world), read_to(&mut events, "callStarted"));
    a_call(&world).await;
    let mut late = world.api.events(Some(&read[0])).await.unwrap();
    let lost = late.next().await.unwrap().unwrap();
    assert_eq!(
        (lost.event.as_str(), &lost.json()["reason"]),
        ("lost", &json!("overwritten"))
    );
    let events = lost.json()["events"].as_u64().unwrap();
    assert!(events > 0);
    assert_eq!(
        world.metric("antiphon_events_lost_total").await,
        events as f64
    );
    let elsewhere = world
        .api
        .events(Some("1-7"))
        .await
        .unwrap()
        .next()
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        elsewhere.json(),
        json!({"type": "lost", "reason": "restarted"})
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partials_can_be_left_out_and_finals_cannot() {
    let world = World::new().await;
    let guid = a_call(&world).await;
    let path =
        |value| format!("/v1/calls/twilio/{guid}/events?after=0&follow=false&partials={value}");
    let text = world.api.text(&path("false")).await.unwrap();
    assert_eq!(text.matches("event: transcript").count(), 2);
    assert_eq!(
        world.api.get(&path("maybe")).await.unwrap().code(),
        Some("400-201")
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_shown_with_their_legs_and_streams() {
    let world = World::new().await;
    let (mut call, other) = (world.dial().await, world.dial().await);
    world.until_state(other.call_sid(), "idle").await;
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    let sent = call.sent(Side::Inbound).samples;
    let whole = |shown: &Value| {
        let all = |stream: &Value| stream["sentBytes"].as_u64() >= Some(sent / 800 * 1600);
        shown["streams"]
            .as_array()
            .is_some_and(|streams| streams.iter().all(all))
    };
    let shown = world.until_call(call.call_sid(), whole).await;
    assert_eq!(
        (&shown["namespace"], &shown["state"]),
        (&json!("twilio"), &json!("streaming"))
    );
    assert!(shown["beganAt"].as_str().unwrap().ends_with('Z'));
    let identifiers = shown["identifiers"].as_array().unwrap();
    assert!(identifiers.contains(&json!({"name": "streamSid", "value": call.stream_sid()})));
    for (index, (side, role)) in [("first", "customer"), ("second", "agent")]
        .iter()
        .enumerate()
    {
        let leg = &shown["legs"][index];
        assert_eq!(
            (&leg["side"], &leg["role"], &leg["gate"]),
            (&json!(side), &json!(role), &json!("open"))
        );
        assert_eq!(leg["counters"]["received"], sent);
        assert_eq!(leg["counters"]["passed"], sent);
        let streams = shown["streams"].as_array().unwrap();
        let stream = streams
            .iter()
            .find(|stream| stream["role"] == *role)
            .unwrap();
        assert_eq!(
            (&stream["state"], &stream["leg"]),
            (&json!("ready"), &leg["id"])
        );
    }
    let listed = world.api.calls().await.unwrap().body;
    let mut guids: Vec<_> = [&call, &other].map(TwilioCall::call_sid).into();
    guids.sort_unstable();
    let calls = listed["calls"].as_array().unwrap();
    assert_eq!(
        calls.iter().map(|call| &call["guid"]).collect::<Vec<_>>(),
        guids
    );
    let unknown = world.api.call("CA404").await.unwrap();
    assert_eq!((unknown.status, unknown.code()), (404, Some("404-01")));
    call.hang_up().await.unwrap();
    other.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_and_version_need_no_key() {
    let world = World::new().await;
    let nobody = world.api.with_key("", "");
    let probes = [
        ("/health/live", "status", "live"),
        ("/health/ready", "status", "ready"),
    ];
    for (path, key, value) in probes.into_iter().chain([("/version", "name", "antiphon")]) {
        let answer = nobody.get(path).await.unwrap();
        assert_eq!(
            (answer.status, &answer.body[key]),
            (200, &json!(value)),
            "{path}"
        );
    }
    assert!(
        nobody
            .text("/metrics")
            .await
            .unwrap()
            .contains("antiphon_build_info")
    );
    assert_eq!(
        nobody.get("/v1/calls").await.unwrap().code(),
        Some("401-01")
    );
    assert_eq!(world.metric("antiphon_auth_failures_total").await, 1.0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_that_matter_move() {
    let world = World::new().await;
    let mut call = world.dial().await;
    world.until_state(call.call_sid(), "idle").await;
    let frames = |gate: &str| format!("antiphon_twilio_frames_total{{gate=\"{gate}\"}}");
    world.say(&mut call, "customer-account").await;
    let gated = call.frames_sent() as f64;
    until_metric(&world, &frames("shut"), |count| count == gated).await;
    world.start(&call).await;
    until_metric(&world, "antiphon_calls{state=\"streaming\"}", |calls| {
        calls == 1.0
    })
    .await;
    assert_eq!(world.metric("antiphon_upstream_streams_open").await, 2.0);
    assert_eq!(world.metric("antiphon_twilio_sockets").await, 1.0);
    world.say(&mut call, "customer-greeting").await;
    let passed = call.frames_sent() as f64 - gated;
    until_metric(&world, &frames("open"), |count| count == passed).await;
    let stopped = world.stop(&call).await;
    let confirmed = stopped.confirmed_bytes("agent").unwrap() * 2;
    assert_eq!(
        world.metric("antiphon_upstream_sent_bytes_total").await,
        confirmed as f64
    );
    for command in ["start", "stop"] {
        let ok = format!("antiphon_commands_total{{command=\"{command}\",outcome=\"ok\"}}");
        assert_eq!(world.metric(&ok).await, 1.0);
        let took = format!("antiphon_command_duration_seconds_count{{command=\"{command}\"}}");
        assert_eq!(world.metric(&took).await, 1.0);
    }
    assert_eq!(
        world.metric("antiphon_upstream_transcripts_total").await,
        1.0
    );
    for series in ["open_latency", "start_response_latency", "final_latency"] {
        let count = format!("antiphon_upstream_{series}_seconds_count");
        assert_eq!(world.metric(&count).await, 2.0, "{series}");
    }
    assert!(
        world
            .metric("antiphon_upstream_chunk_latency_seconds_count")
            .await
            > 10.0
    );
    let guid = call.call_sid().to_owned();
    call.hang_up().await.unwrap();
    world.until_state(&guid, "gone").await;
    assert_eq!(world.metric_sum("antiphon_calls").await, 0.0);
    assert_eq!(world.metric_sum("antiphon_calls_ended_total").await, 1.0);
    assert_eq!(world.metric("antiphon_upstream_streams_open").await, 0.0);
    world.end().await;
}
