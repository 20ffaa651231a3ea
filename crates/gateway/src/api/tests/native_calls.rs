use serde_json::json;

use super::super::examples::UNKNOWN_CALL;
use super::*;

#[tokio::test]
async fn a_call_is_shown_with_its_legs_streams_and_counters() {
    let json = World::new()
        .get(&format!("/v1/calls/twilio/{CALL}"))
        .await
        .json();
    assert_eq!(json["namespace"], "twilio");
    assert_eq!(json["guid"], CALL);
    assert_eq!(json["state"], "streaming");
    assert_eq!(json["beganAt"], "2023-11-14T22:13:20.120Z");
    assert_eq!(
        json["identifiers"],
        json!([{"name": "streamSid", "value": "MZ1"}])
    );
    let leg = &json["legs"][0];
    assert_eq!(
        (&leg["id"], &leg["side"], &leg["role"]),
        (&json!(7), &json!("first"), &json!("customer"))
    );
    assert_eq!(
        (&leg["roleReason"], &leg["roleConfidence"]),
        (&json!("trackMap of the start"), &json!("high"))
    );
    assert_eq!(
        leg["identifiers"],
        json!([{"name": "label", "value": "inbound"}])
    );
    assert_eq!(json["names"], json!(["another"]));
    assert_eq!(
        (&leg["gate"], &leg["counters"]["passed"]),
        (&json!("open"), &json!(8000))
    );
    let stream = &json["streams"][0];
    assert_eq!(stream["service"], "autotranscribe");
    assert_eq!(stream["streamId"], IDS[1]);
    assert_eq!(
        (&stream["leg"], &stream["sentBytes"]),
        (&json!(7), &json!(16_000))
    );
    assert_eq!(stream.get("status"), None);
}

#[tokio::test]
async fn calls_are_listed_in_order_and_in_pieces() {
    let world = World::new();
    let guids = |json: &Value| -> Vec<String> {
        let calls = json["calls"].as_array().unwrap().iter();
        calls
            .map(|call| call["guid"].as_str().unwrap().to_owned())
            .collect()
    };
    let whole = world.get("/v1/calls").await.json();
    assert_eq!(guids(&whole), [STREAMING_CALL, ENDED_CALL, CALL]);
    assert_eq!(whole.get("next"), None);
    let first = world.get("/v1/calls?limit=2").await.json();
    assert_eq!(guids(&first), [STREAMING_CALL, ENDED_CALL]);
    assert_eq!(first["next"], format!("twilio/{ENDED_CALL}"));
    let next = first["next"].as_str().unwrap().replace('/', "%2F");
    let second = world
        .get(&format!("/v1/calls?limit=2&after={next}"))
        .await
        .json();
    assert_eq!(guids(&second), [CALL]);
    assert_eq!(second.get("next"), None);
}

#[tokio::test]
async fn a_query_that_makes_no_sense_is_refused() {
    let world = World::new();
    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "limit=+1",
        "limit=",
        "after=x",
        "after=a/b",
    ] {
        assert_eq!(
            world.get(&format!("/v1/calls?{query}")).await.code(),
            "400-201",
            "{query}"
        );
    }
    assert_eq!(world.get("/v1/calls?unknown=1").await.status, 200);
}

#[tokio::test]
async fn a_call_that_is_not_there_is_404_and_a_name_that_is_none_is_400() {
    let world = World::new();
    assert_eq!(
        world
            .get(&format!("/v1/calls/twilio/{UNKNOWN_CALL}"))
            .await
            .code(),
        "404-01"
    );
    assert_eq!(world.get("/v1/calls/twilio/a%2Fb").await.code(), "404-01");
    for path in ["skype/1", "twilio/%FF", "twilio/%20", "twilio/%C3%A9"] {
        assert_eq!(
            world.get(&format!("/v1/calls/{path}")).await.code(),
            "400-201",
            "{path}"
        );
    }
    let long = format!("/v1/calls/twilio/{}", "x".repeat(129));
    assert_eq!(
        world.get(&long).await.message(),
        "guid: is longer than 128 characters"
    );
}
