use serde_json::json;

use super::*;
use crate::events::Event;

async fn token(world: &World, body: &Value) -> String {
    let answer = world.post("/v1/tokens", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let json = answer.json();
    assert!(json["expiresAt"].as_str().unwrap().ends_with('Z'));
    json["token"].as_str().unwrap().to_owned()
}

async fn with(world: &World, path: &str, token: &str) -> Answer {
    let path = format!("{path}follow=false&token={token}");
    world.raw(request(Method::GET, &path, Body::empty())).await
}

#[tokio::test]
async fn a_token_opens_streams_of_events_and_nothing_else() {
    let world = World::new();
    world.state.bus.publish(&twilio("1"), Event::CallStarted);
    let token = token(&world, &json!({"scope": "events"})).await;
    let told = with(&world, "/v1/events?after=0&", &token).await;
    assert!(told.text().contains("callStarted"));
    let call = with(&world, "/v1/calls/twilio/1/events?", &token).await;
    assert_eq!(call.status, 200);
    for path in ["/v1/calls?", "/v1/conversations?", "/v1/health?"] {
        assert_eq!(with(&world, path, &token).await.code(), "401-01");
    }
    assert_eq!(
        with(&world, "/v1/events?", "v1.e30.c2ln").await.code(),
        "401-01"
    );
    assert_eq!(world.metric("antiphon_auth_failures_total"), "4");
}

#[tokio::test]
async fn a_token_shows_no_more_than_it_says() {
    let world = World::new();
    let bus = &world.state.bus;
    bus.publish(&twilio("1"), Event::CallStarted);
    bus.publish(&twilio("1"), Event::CallChanged(StateName::Paused));
    bus.publish(&twilio("2"), Event::CallChanged(StateName::Idle));
    let body = json!({
        "scope": "events", "call": {"namespace": "twilio", "guid": "1"},
        "kinds": ["callChanged"], "ttlSeconds": 60.0,
    });
    let token = token(&world, &body).await;
    let told = with(&world, "/v1/events?after=0&", &token).await.text();
    assert!(told.contains("paused") && !told.contains("callStarted") && !told.contains("idle"));
    for path in [
        "/v1/calls/twilio/2/events?",
        "/v1/events?kinds=callStarted&",
    ] {
        assert_eq!(with(&world, path, &token).await.code(), "403-01", "{path}");
    }
}

#[tokio::test]
async fn who_commanded_what_is_not_shown_unless_a_token_says_so() {
    let world = World::new();
    let command = crate::events::Command {
        verb: "pause",
        key: "key".into(),
        from: String::new().into(),
        outcome: "ok",
        request: String::new(),
    };
    world
        .state
        .bus
        .publish(&twilio("1"), Event::Command(command));
    let plain = token(&world, &json!({"scope": "events"})).await;
    let told = with(&world, "/v1/events?after=0&", &plain).await.text();
    assert!(!told.contains("pause"));
    let body = json!({"scope": "events", "kinds": ["command"]});
    let named = token(&world, &body).await;
    let told = with(&world, "/v1/events?after=0&", &named).await.text();
    assert!(told.contains("pause"));
}

#[tokio::test]
async fn a_token_goes_with_its_key() {
    let world = World::new();
    let token = token(&world, &json!({"scope": "events"})).await;
    world.state.keys.replace(&[key("new", "secret")]);
    assert_eq!(with(&world, "/v1/events?", &token).await.code(), "401-01");
}

#[tokio::test]
async fn a_token_that_makes_no_sense_is_not_made() {
    let world = World::new();
    for body in [
        json!({}),
        json!({"scope": "control"}),
        json!({"scope": "events", "ttlSeconds": 0}),
        json!({"scope": "events", "ttlSeconds": 3601}),
        json!({"scope": "events", "ttlSeconds": 1.5}),
        json!({"scope": "events", "ttlSeconds": -60}),
        json!({"scope": "events", "ttlSeconds": "60"}),
        json!({"scope": "events", "ttlSeconds": null}),
        json!({"scope": "events", "kinds": ["nonsense"]}),
        json!({"scope": "events", "call": {"namespace": "skype", "guid": "1"}}),
    ] {
        assert_eq!(
            world.post("/v1/tokens", &body).await.code(),
            "400-201",
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_page_of_a_known_origin_may_read_events_and_no_other() {
    let world = World::with(|state| {
        state.settings.cors_origins = vec!["https://desk.example.com".to_owned()];
    });
    for (origin, allowed) in [
        ("https://desk.example.com", "https://desk.example.com"),
        ("https://elsewhere.example.com", ""),
    ] {
        let mut request = keyed_request(Method::GET, "/v1/events?follow=false", Body::empty());
        request
            .headers_mut()
            .insert("origin", origin.parse().unwrap());
        let answer = world.raw(request).await;
        assert_eq!(answer.header("access-control-allow-origin"), allowed);
        assert_eq!(answer.header("vary"), "Origin");
    }
}
