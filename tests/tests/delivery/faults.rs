//! Receivers that fail in every way there is. Every final arrives once per id and in its call's
//! order, and no call notices.

use std::time::Duration;

use rig::shown::until_metric;
use sim::webhook::{Fault, Faults};

use crate::scene::{Scene, conversation, delivered, finals_told};

const PHRASES: [&str; 4] = [
    "customer-greeting",
    "agent-greeting",
    "customer-account",
    "agent-balance",
];

/// A receiver that behaves like this for a while.
async fn is_survived(faults: Faults, more: &str) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::new(folder.path(), faults, more).await;
    let guid = scene.call(&PHRASES).await;
    scene.is_delivered(&guid).await;
    assert!(scene.receiver.counts().faults > 0, "nothing went wrong");
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_of_5xx() {
    for status in [500, 502, 503, 504] {
        let scene = is_survived(Faults::times(Fault::Status(status), 3), "").await;
        assert_eq!(scene.receiver.counts().twice, 0, "{status}");
        scene.world.end().await;
    }
}

/// They may be wrong about the event, or only about themselves.
#[tokio::test(flavor = "multi_thread")]
async fn statuses_of_4xx_that_go_away() {
    for status in [401, 404, 408, 425] {
        let scene = is_survived(Faults::times(Fault::Status(status), 2), "").await;
        scene.world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_within_the_timeout() {
    let more = "timeout = \"200ms\"\n";
    is_survived(Faults::times(Fault::Stall, 2), more)
        .await
        .world
        .end()
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_failures_and_nobody_follows_them() {
    let scene = is_survived(Faults::times(Fault::Redirect, 3), "").await;
    assert_eq!(scene.receiver.counts().followed, 0);
    scene.world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_reset() {
    is_survived(Faults::times(Fault::Reset, 3), "")
        .await
        .world
        .end()
        .await;
}

/// What was taken and not answered comes again, under its id.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_lost_make_duplicates_that_can_be_told() {
    let scene = is_survived(Faults::times(Fault::LoseAnswer, 3), "").await;
    eventually_twice(&scene, 3).await;
    scene.world.end().await;
}

async fn eventually_twice(scene: &Scene, twice: u64) {
    let so = scene
        .receiver
        .wait_for_counts(|counts| counts.twice >= twice);
    rig::eventually("duplicates", so).await;
    assert_eq!(scene.receiver.counts().twice, twice);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_are_not_tried_again_before_it_is_time() {
    let faults = Faults::times(Fault::TooMany(Duration::from_secs(1)), 1);
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::new(folder.path(), faults, "").await;
    let begun = std::time::Instant::now();
    let guid = scene.call(&["customer-greeting"]).await;
    scene.is_delivered(&guid).await;
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(scene.receiver.counts().deliveries, 2);
    scene.world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_read_slowly() {
    let faults = Faults {
        slow_bytes_per_second: Some(4_000),
        ..Faults::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::new(folder.path(), faults, "").await;
    let guid = scene.call(&PHRASES).await;
    scene.is_delivered(&guid).await;
    scene.world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_down_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let mut scene = Scene::new(folder.path(), Faults::default(), "").await;
    let before = scene.call(&["customer-greeting"]).await;
    scene.is_delivered(&before).await;
    scene.receiver.close().await;
    let during = scene.call(&PHRASES).await;
    let told = finals_told(&scene.world, &during).await;
    // It has been tried in vain.
    let series = "antiphon_delivery_waiting{endpoint=\"story\"}";
    until_metric(&scene.world, series, |waiting| waiting >= told.len() as f64).await;
    scene.receiver.open().await.unwrap();
    delivered(&scene.receiver, &during, &told).await;
    until_metric(&scene.world, series, |waiting| waiting == 0.0).await;
    scene.world.end().await;
}

/// An endpoint that is gone gets nothing more, is shown as disabled, and gets everything once it is
/// enabled again.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_is_disabled_until_somebody_enables_it() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::new(folder.path(), Faults::always(Fault::Gone), "").await;
    let guid = scene.call(&PHRASES).await;
    let series = "antiphon_delivery_disabled{endpoint=\"story\"}";
    until_metric(&scene.world, series, |disabled| disabled == 1.0).await;
    let deliveries = scene.receiver.counts().deliveries;
    assert_eq!(state(&scene).await, "disabled");
    let second = scene.call(&["customer-greeting"]).await;
    assert_eq!(scene.receiver.counts().deliveries, deliveries);

    scene.receiver.set_faults(Faults::default());
    let path = "/v1/webhooks/story/enable";
    let enabled = scene.world.api.post(path, &serde_json::json!({})).await;
    assert_eq!(enabled.unwrap().status, 200);
    scene.is_delivered(&guid).await;
    scene.is_delivered(&second).await;
    assert_eq!(state(&scene).await, "enabled");
    assert_eq!(scene.world.metric(series).await, 0.0);
    scene.world.end().await;
}

/// How the API shows the endpoint.
async fn state(scene: &Scene) -> String {
    let shown = scene.world.api.get("/v1/webhooks").await.unwrap();
    let all = shown.body["webhooks"].as_array().unwrap();
    let story = all.iter().find(|one| one["name"] == "story").unwrap();
    story["state"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn anything_at_random_and_many_calls_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::new(folder.path(), Faults::random(40, 7), "").await;
    let calls = (0..6).map(|_| scene.call(&PHRASES));
    for guid in futures_util::future::join_all(calls).await {
        scene.is_delivered(&guid).await;
    }
    assert!(scene.receiver.counts().faults > 5);
    scene.world.end().await;
}

/// One receiver that does not answer delays nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_receiver_beside_a_good_one() {
    let folder = tempfile::tempdir().unwrap();
    let dead = crate::scene::receiver(Faults::always(Fault::Stall)).await;
    let more = crate::scene::webhook("dead", &dead.url(), "timeout = \"30s\"\n");
    let more = more.replace(crate::scene::QUICK, "");
    let scene = Scene::new(folder.path(), Faults::default(), &more).await;
    for _ in 0..3 {
        let guid = conversation(&scene.world, &PHRASES).await;
        scene.is_delivered(&guid).await;
    }
    assert_eq!(dead.counts().taken, 0);
    drop(dead);
    scene.world.end().await;
}

/// Of ten calls one's events are never taken. The others' are.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_events_nobody_wants_does_not_hold_up_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::new(folder.path(), Faults::default(), "").await;
    let stuck = scene.world.dial().await;
    scene.receiver.set_faults(Faults {
        only: Some(stuck.call_sid().to_owned()),
        ..Faults::always(Fault::Status(500))
    });
    scene.world.until_state(stuck.call_sid(), "idle").await;
    scene.world.start(&stuck).await;
    let mut stuck = stuck;
    scene.world.say(&mut stuck, "customer-greeting").await;
    let other = scene.call(&PHRASES).await;
    scene.is_delivered(&other).await;
    let guid = crate::scene::end(&scene.world, stuck).await;
    scene.receiver.set_faults(Faults::default());
    scene.is_delivered(&guid).await;
    scene.world.end().await;
}

/// What is refused for good is a dead letter, which can be seen and sent once more.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_listed_and_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults::always(Fault::Status(422));
    let scene = Scene::new(folder.path(), faults, "give_up_after = 1\n").await;
    let guid = scene.call(&["customer-greeting", "agent-greeting"]).await;
    let told = finals_told(&scene.world, &guid).await;
    let series = "antiphon_delivery_dead_letters{endpoint=\"story\"}";
    until_metric(&scene.world, series, |dead| dead >= told.len() as f64).await;
    let path = "/v1/webhooks/story/dead-letters";
    let letters = scene.world.api.get(path).await.unwrap();
    let listed = letters.body["deadLetters"].as_array().unwrap();
    assert_eq!(listed.len(), told.len());
    assert!(
        !letters.body.to_string().contains("reminder"),
        "it tells what was said"
    );

    scene.receiver.set_faults(Faults::default());
    let replay = format!("{path}/replay");
    let replayed = scene.world.api.post(&replay, &serde_json::json!({})).await;
    assert_eq!(replayed.unwrap().status, 200);
    delivered(&scene.receiver, &guid, &told).await;
    let letters = scene.world.api.get(path).await.unwrap();
    assert_eq!(letters.body["deadLetters"], serde_json::json!([]));
    scene.world.end().await;
}

/// ASAPP's own behaviour: one attempt each, and what fails is gone.
#[tokio::test(flavor = "multi_thread")]
async fn without_retries_what_fails_is_dropped_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults::times(Fault::Status(500), 1);
    let scene = Scene::new(folder.path(), faults, "retry = false\n").await;
    let guid = scene.call(&PHRASES).await;
    let told = finals_told(&scene.world, &guid).await;
    delivered(&scene.receiver, &guid, &told[1..]).await;
    let series = "antiphon_delivery_dropped_total{endpoint=\"story\"}";
    assert_eq!(scene.world.metric(series).await, 1.0);
    assert_eq!(scene.receiver.counts().deliveries as usize, told.len());
    scene.world.end().await;
}
