use serde_json::json;

use super::library::Library;
use super::*;
use crate::events::Event;

fn guids(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    let found = json["conversations"].as_array().unwrap().iter();
    found
        .map(|one| one["guid"].as_str().unwrap().to_owned())
        .collect()
}

async fn delete(world: &World, path: &str) -> Answer {
    world
        .raw(keyed_request(Method::DELETE, path, Body::empty()))
        .await
}

/// Two calls in which different words were said.
fn library() -> Library {
    let library = Library::new();
    library.began("CA1", None);
    library.said("CA1", Role::Customer, "I want the RED shoes", 0);
    library.said("CA1", Role::Agent, "certainly", 10);
    library.began("CA2", None);
    library.said_by("CA2", (Role::Agent, "anna"), "red or green?", 0);
    library
}

#[tokio::test]
async fn conversations_are_found_by_what_was_said() {
    let library = library();
    let world = library.world();
    for (query, found) in [
        ("q=red", vec!["CA2", "CA1"]),
        ("q=shoes+certainly", vec!["CA1"]),
        ("q=red&sender=anna", vec!["CA2"]),
        ("q=blue", vec![]),
        ("namespace=siprec", vec![]),
        ("to=2021-11-23T12:13:14Z", vec![]),
        ("from=2021-11-23T12:13:14Z", vec!["CA2", "CA1"]),
    ] {
        let answer = world.get(&format!("/v1/conversations?{query}")).await;
        let mut guids = guids(&answer);
        guids.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(guids, found, "{query}");
    }
    assert_eq!(
        world.get("/v1/conversations?from=x").await.code(),
        "400-201"
    );
}

#[tokio::test]
async fn conversations_are_listed_in_pieces() {
    let library = library();
    let world = library.world();
    let first = world.get("/v1/conversations?limit=1").await;
    let next = first.json()["next"].as_str().unwrap().to_owned();
    let second = world
        .get(&format!("/v1/conversations?limit=1&after={next}"))
        .await;
    let mut both = guids(&first);
    both.extend(guids(&second));
    both.sort_unstable();
    assert_eq!(both, ["CA1", "CA2"]);
}

#[tokio::test]
async fn a_conversation_is_shown_with_who_commanded_what() {
    let library = library();
    library.commanded("CA1", "pause");
    let json = library
        .world()
        .get("/v1/conversations/twilio/CA1")
        .await
        .json();
    assert_eq!(
        (&json["utterances"], &json["guid"]),
        (&json!(2), &json!("CA1"))
    );
    assert_eq!(json["beganAt"], "2021-11-23T12:13:14.555Z");
    let command = json!({
        "at": "2021-11-23T12:13:14.555Z", "verb": "pause", "key": "key", "from": "192.0.2.1",
        "outcome": "ok", "requestId": IDS[0],
    });
    assert_eq!(json["commands"], json!([command]));
    let id = json["id"].as_str().unwrap();
    let by_id = library
        .world()
        .get(&format!("/v1/conversations/{id}"))
        .await;
    assert_eq!(by_id.json(), json);
    let unknown = library.world().get("/v1/conversations/twilio/CA3").await;
    assert_eq!(unknown.code(), "404-01");
}

#[tokio::test]
async fn an_erased_conversation_is_gone_and_only_that_it_was_erased_is_told() {
    let library = library();
    library.waits("hook", "CA2");
    let world = library.world();
    world.state.bus.publish(&twilio("CA2"), Event::CallStarted);
    let mut place = 0;
    let json = world.get("/v1/conversations/twilio/CA2").await.json();
    let id = json["id"].as_str().unwrap();
    let erased = delete(&world, &format!("/v1/conversations/{id}")).await;
    assert_eq!(
        (erased.status.as_u16(), erased.json()),
        (200, json!({"isOk": true}))
    );
    assert_eq!(
        delete(&world, "/v1/conversations/twilio/CA2").await.code(),
        "404-01"
    );
    let waits = store::outbox::Outbox::depth(&*library.store, "hook").unwrap();
    assert_eq!(waits.waiting, 0);
    let told = world.state.bus.read(&mut place, |_| true).records;
    assert_eq!(told.len(), 1, "what was in memory is gone");
    let Event::Command(command) = &told[0].event else {
        panic!("{told:?}");
    };
    assert_eq!(
        (command.verb, &*command.key, command.outcome),
        ("erase", "key", "ok")
    );
    assert_eq!(told[0].call, twilio("CA2"));
}

#[tokio::test]
async fn a_call_that_lives_is_not_erased() {
    let library = Library::of_examples();
    let world = library.world();
    let path = format!("/v1/conversations/twilio/{CALL}");
    assert_eq!(delete(&world, &path).await.code(), "409-204");
    assert_eq!(world.get(&path).await.status, 200);
}

#[tokio::test]
async fn a_tenant_sees_and_erases_only_its_own() {
    let library = Library::new();
    library.began("CA1", Some("north"));
    library.began("CA2", Some("south"));
    library.began("CA3", None);
    let world = library.world_with(|state| {
        state.keys = ApiKeys::new(&[ApiKey {
            tenant: Some("north".into()),
            ..key("key", "secret")
        }]);
    });
    assert_eq!(guids(&world.get("/v1/conversations").await), ["CA1"]);
    for foreign in ["CA2", "CA3"] {
        let path = format!("/v1/conversations/twilio/{foreign}");
        assert_eq!(world.get(&path).await.code(), "404-01");
        assert_eq!(delete(&world, &path).await.code(), "404-01");
        let path = format!("/conversation/v1/conversation/messages?externalId={foreign}");
        assert_eq!(world.get(&path).await.code(), "404-01");
    }
    assert_eq!(
        delete(&world, "/v1/conversations/twilio/CA1").await.status,
        200
    );
}
