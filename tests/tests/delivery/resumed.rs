//! Readers of the event stream that come back to another process: what they missed is told from
//! the store, then what happens, without a hole and without telling anything twice.

use rig::apart::Apart;
use rig::told::of;
use rig::{World, eventually};
use serde_json::Value;
use sim::control::Gateway;

use crate::GATEWAY;
use crate::scene::{conversation, kept_in, until_open};

const PHRASES: [&str; 2] = ["customer-greeting", "agent-greeting"];

/// What a reader is told until the end of a call, from behind an event on.
async fn until_end_of(api: &Gateway, after: Option<&str>, guid: &str) -> Vec<Value> {
    let mut events = api.events(after).await.unwrap();
    eventually("the end of the call", async {
        let mut told = Vec::new();
        loop {
            let event = events.next().await.unwrap().unwrap().json();
            let is_end = event["type"] == "callEnded" && event["call"]["guid"] == guid;
            told.push(event);
            if is_end {
                return told;
            }
        }
    })
    .await
}

/// Ids of what is durable: guesses are told once, to whom is there, and notes have none.
pub(crate) fn ids(told: &[Value]) -> Vec<&str> {
    let durable = told.iter().filter(|event| event["isFinal"] != false);
    durable.filter_map(|event| event["id"].as_str()).collect()
}

pub(crate) async fn until_kept(world: &World, guid: &str) {
    let path = format!("/v1/conversations/twilio/{guid}");
    let kept = async { while world.api.get(&path).await.unwrap().body["endedAt"].is_null() {} };
    eventually("the end to be kept", kept).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_comes_back_after_a_kill_misses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let more = kept_in(folder.path());
    let mut gateway = Apart::new(rig::service_config(), &more, GATEWAY, folder.path()).await;
    let world = &gateway.world;
    until_open(world).await;
    let first = conversation(world, &PHRASES).await;
    let told = until_end_of(&world.api, Some("0"), &first).await;
    let second = conversation(world, &PHRASES).await;
    let missed = until_end_of(&world.api, Some(ids(&told).last().unwrap()), &second).await;
    until_kept(world, &second).await;
    gateway.kill().await;
    gateway.start_again().await;

    let world = &gateway.world;
    until_open(world).await;
    let third = conversation(world, &PHRASES).await;
    // Somewhere in the middle of what happened before the kill.
    let middle = ids(&told)[ids(&told).len() / 2].to_owned();
    let again = until_end_of(&world.api, Some(&middle), &third).await;
    let known = ids(&told);
    let before: Vec<&str> = known
        .iter()
        .skip_while(|id| **id != middle)
        .skip(1)
        .copied()
        .chain(ids(&missed))
        .collect();
    assert!(
        of(&again, "lost", "").is_empty(),
        "something is said to be lost"
    );
    let again = ids(&again);
    assert_eq!(again[..before.len()], before[..]);
    let unique: std::collections::BTreeSet<_> = again.iter().collect();
    assert_eq!(unique.len(), again.len(), "something is told twice");
    assert!(again.len() > before.len() + 6, "the third call is not told");
    gateway.end().await;
}
