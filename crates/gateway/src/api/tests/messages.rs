use serde_json::json;

use super::library::Library;
use super::*;

const MESSAGES: &str = "/conversation/v1/conversation/messages";

async fn by_body(world: &World, body: &str, content_type: &str) -> Answer {
    let mut request = keyed_request(Method::GET, MESSAGES, Body::from(body.to_owned()));
    let headers = request.headers_mut();
    headers.insert("content-type", content_type.parse().unwrap());
    world.raw(request).await
}

fn texts(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    let items = json["items"].as_array().unwrap().iter();
    items
        .map(|item| item["text"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_conversation_is_told_as_the_contract_has_it() {
    let library = Library::new();
    library.began("CA1", None);
    let id = library.said("CA1", Role::Customer, "hello", 0);
    let world = library.world();
    let expected = json!({"items": [{
        "text": "hello",
        "sender": {"role": "customer", "externalId": "123456"},
        "messageId": id,
        "createdTimestamp": "2021-11-23T12:13:16.853Z",
        "clientTimestamp": "2021-11-23T12:13:14.555Z",
    }]});
    for path in ["", "/"] {
        let answer = world.get(&format!("{MESSAGES}{path}?externalId=CA1")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()),
            (200, expected.clone())
        );
    }
    let in_body = by_body(&world, r#"{"externalId": "CA1"}"#, "application/json").await;
    assert_eq!(in_body.json(), expected);
    assert_eq!(in_body.header("x-messages-left-out"), "");
}

#[tokio::test]
async fn messages_are_in_the_order_in_which_they_were_said_whoever_said_them() {
    let library = Library::new();
    library.began("CA1", None);
    library.said("CA1", Role::Agent, "second", 500);
    library.said_by("CA1", (Role::Customer, ""), "first", 0);
    // After a transfer another agent speaks.
    library.said_by("CA1", (Role::Agent, "other"), "third", 900);
    library.said("CA1", Role::Mixed, "fourth", 1_000);
    let answer = library
        .world()
        .get(&format!("{MESSAGES}?externalId=CA1"))
        .await;
    assert_eq!(texts(&answer), ["first", "second", "third", "fourth"]);
    let json = answer.json();
    assert_eq!(
        json["items"][0]["sender"],
        json!({"role": "customer", "externalId": null})
    );
    assert_eq!(
        json["items"][2]["sender"],
        json!({"role": "agent", "externalId": "other"})
    );
    assert_eq!(json["items"][3]["sender"]["role"], "customer");
}

#[tokio::test]
async fn what_is_beyond_the_first_thousand_is_left_out_and_said_to_be() {
    let library = Library::new();
    library.began("CA1", None);
    for number in 0..4 {
        library.said("CA1", Role::Agent, &number.to_string(), number);
    }
    let world = library.world_with(|state| state.settings.messages_max = 3);
    let path = format!("{MESSAGES}?externalId=CA1");
    let cut = world.get(&path).await;
    assert_eq!(texts(&cut), ["0", "1", "2"]);
    assert_eq!(cut.header("x-messages-left-out"), "true");
    let world = library.world_with(|state| state.settings.messages_max = 4);
    let whole = world.get(&path).await;
    assert_eq!(
        (texts(&whole).len(), whole.header("x-messages-left-out")),
        (4, "")
    );
    assert_eq!(ApiSettings::default().messages_max, 1_000);
}

#[tokio::test]
async fn a_conversation_without_a_word_is_empty_and_one_that_is_not_there_is_404() {
    let library = Library::new();
    library.began("CA1", None);
    let world = library.world();
    let empty = world.get(&format!("{MESSAGES}?externalId=CA1")).await;
    assert_eq!(empty.json(), json!({"items": []}));
    let unknown = world.get(&format!("{MESSAGES}?externalId=CA2")).await;
    assert_eq!(unknown.code(), "404-01");
    let unknown = world
        .get("/conversation/v1/conversations/CA1/messages")
        .await;
    assert_eq!(unknown.code(), "404-01");
}

#[tokio::test]
async fn a_conversation_is_found_by_our_own_id_too() {
    let library = Library::new();
    library.began("CA1", None);
    library.said("CA1", Role::Agent, "hello", 0);
    let world = library.world();
    let found = world.get("/v1/conversations").await.json();
    let id = found["conversations"][0]["id"].as_str().unwrap();
    for slash in ["", "/"] {
        let path = format!("/conversation/v1/conversations/{id}/messages{slash}");
        assert_eq!(texts(&world.get(&path).await), ["hello"]);
    }
}

#[tokio::test]
async fn an_external_id_that_is_missing_or_makes_no_sense_is_400() {
    let world = Library::new().world();
    let long = format!("{MESSAGES}?externalId={}", "x".repeat(257));
    for path in [MESSAGES, &format!("{MESSAGES}?externalId="), &long] {
        assert_eq!(world.get(path).await.code(), "400-01", "{path}");
    }
    for (body, content_type, code) in [
        ("{}", "application/json", "400-01"),
        (r#"{"externalId": 5}"#, "application/json", "400-01"),
        ("nonsense", "application/json", "400-01"),
        (
            r#"{"externalId": "a", "externalId": "b"}"#,
            "application/json",
            "422-01",
        ),
        (r#"{"externalId": "a"}"#, "text/plain", "415-01"),
    ] {
        assert_eq!(
            by_body(&world, body, content_type).await.code(),
            code,
            "{body}"
        );
    }
}

#[tokio::test]
async fn without_a_store_there_is_an_answer_all_the_same() {
    let world = World::new();
    let answer = world.get(&format!("{MESSAGES}?externalId=CA1")).await;
    assert_eq!(
        (answer.code().as_str(), answer.header("retry-after")),
        ("503-01", "5")
    );
}
