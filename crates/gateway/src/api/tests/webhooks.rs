use std::path::Path;

use serde_json::json;
use store::outbox::{Outbox, Settled};

use super::library::{Library, THEN};
use super::*;
use crate::config::Config;
use crate::remote::{self, Order};

const LETTERS: &str = "/v1/webhooks/hook/dead-letters";

/// Three that could not be delivered, and one that waits.
fn library() -> Library {
    let library = Library::new();
    library.began("CA1", None);
    for _ in 0..4 {
        library.waits("hook", "CA1");
    }
    let waiting = library.store.waiting("hook", 0, 10).unwrap();
    let dead = |waiting: &store::outbox::Waiting| Settled::Dead {
        number: waiting.number,
        attempts: 3,
        at_unix_ms: THEN,
        why: "status 400".to_owned(),
    };
    let dead: Vec<_> = waiting.iter().take(3).map(dead).collect();
    library.store.settle(&dead).unwrap();
    library
}

async fn numbers(world: &World) -> Vec<u64> {
    let json = world.get(LETTERS).await.json();
    let letters = json["deadLetters"].as_array().unwrap().iter();
    letters
        .map(|letter| letter["number"].as_u64().unwrap())
        .collect()
}

#[tokio::test]
async fn dead_letters_are_listed_in_pieces_without_what_they_say() {
    let library = library();
    let world = library.world();
    let first = world.get(&format!("{LETTERS}?limit=2")).await.json();
    let letter = &first["deadLetters"][0];
    assert_eq!(
        (&letter["why"], &letter["attempts"]),
        (&json!("status 400"), &json!(3))
    );
    assert_eq!(
        (&letter["call"], &letter["kind"]),
        (&json!("twilio/CA1"), &json!("transcript"))
    );
    assert_eq!(letter["deadAt"], "2021-11-23T12:13:14.555Z");
    assert_eq!(letter.get("body"), None);
    let next = first["next"].as_u64().unwrap();
    let second = world
        .get(&format!("{LETTERS}?limit=2&after={next}"))
        .await
        .json();
    assert_eq!(second["deadLetters"].as_array().unwrap().len(), 1);
    assert_eq!(second.get("next"), None);
}

#[tokio::test]
async fn dead_letters_are_sent_once_more_and_thrown_away() {
    let library = library();
    let world = library.world();
    let all = numbers(&world).await;
    let replay = format!("{LETTERS}/replay?numbers={}", all[1]);
    assert_eq!(
        world.post(&replay, &json!({})).await.json(),
        json!({"count": 1})
    );
    assert_eq!(numbers(&world).await, [all[0], all[2]]);
    let bury = format!("{LETTERS}?numbers={},999", all[0]);
    let buried = world
        .raw(keyed_request(Method::DELETE, &bury, Body::empty()))
        .await;
    assert_eq!(buried.json(), json!({"count": 1}));
    let replay = format!("{LETTERS}/replay");
    assert_eq!(
        world.post(&replay, &json!({})).await.json(),
        json!({"count": 1})
    );
    let depth = library.store.depth("hook").unwrap();
    assert_eq!((depth.waiting, depth.dead), (3, 0));
}

#[tokio::test]
async fn a_webhook_that_is_not_there_is_404_and_a_query_without_sense_400() {
    let library = library();
    let world = library.world();
    for path in [
        "/v1/webhooks/other/dead-letters",
        "/v1/webhooks/x%2Fy/dead-letters",
    ] {
        assert_eq!(world.get(path).await.code(), "404-01");
    }
    let enable = world.post("/v1/webhooks/other/enable", &json!({})).await;
    assert_eq!(enable.code(), "404-01");
    for query in ["limit=0", "limit=1001", "after=x"] {
        assert_eq!(
            world.get(&format!("{LETTERS}?{query}")).await.code(),
            "400-201"
        );
    }
    let replay = world
        .post(&format!("{LETTERS}/replay?numbers=x"), &json!({}))
        .await;
    assert_eq!(replay.code(), "400-201");
}

#[tokio::test]
async fn webhooks_are_shown_as_they_stand() {
    let library = library();
    let world = library.world_with(|state| {
        let url = "https://hook.example.com/path?secret=x".parse().unwrap();
        let registry = prometheus::Registry::new();
        let metrics = delivery::metrics::Metrics::register(&registry).unwrap();
        let endpoints = vec![delivery::Endpoint::new("hook", url)];
        let delivery = Delivery::new(endpoints, delivery::Limits::default(), Arc::new(metrics));
        state.delivery = delivery.unwrap();
    });
    let shown = json!({"webhooks": [{
        "name": "hook", "host": "hook.example.com", "state": "enabled", "inFlight": 0,
        "waiting": 1, "waitingBytes": 2, "oldestAt": "2021-11-23T12:13:14.555Z",
        "deadLetters": 3,
    }]});
    assert_eq!(world.get("/v1/webhooks").await.json(), shown);
    let enabled = world.post("/v1/webhooks/hook/enable", &json!({})).await;
    assert_eq!(enabled.json(), json!({"isOk": true}));
}

/// A configuration with which a gateway would listen there.
fn config(listen: &str) -> Config {
    let text = format!(
        r#"
        [http]
        listen = "{listen}"
        public_url = "https://voice.example.com"
        [[api_keys]]
        id = "desk"
        secret = "another"
        scopes = ["control"]
        [[api_keys]]
        id = "key"
        secret = "secret"
        [twilio]
        auth_tokens = ["t"]
        token_secret = "s"
        [upstream.autotranscribe]
        base_url = "https://api.example.com"
        api_id = "i"
        api_secret = "s"
        "#
    );
    Config::parse(Path::new("antiphon.toml"), &text, []).unwrap()
}

#[tokio::test]
async fn the_command_line_speaks_to_the_gateway_that_runs() {
    let library = library();
    let world = library.world();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = config(&listener.local_addr().unwrap().to_string());
    let mut tasks = JoinSet::new();
    let router = world.router.clone();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let told = async |order| remote::dead_letters(&config, order).await;
    let all = numbers(&world).await;
    let listed = told(Order::List(Some("hook".to_owned()))).await.unwrap();
    assert_eq!(listed.len(), 3);
    let first = format!(
        "hook {} 2021-11-23T12:13:14.555Z twilio/CA1 transcript",
        all[0]
    );
    assert_eq!(listed[0], format!("{first} after 3 attempts: status 400"));
    let one = Order::Replay("hook".to_owned(), vec![all[0]]);
    assert_eq!(told(one).await.unwrap(), ["1 wait to be sent once more."]);
    let rest = Order::Bury("hook".to_owned(), Vec::new());
    assert_eq!(told(rest).await.unwrap(), ["2 buried."]);
    assert!(told(Order::List(None)).await.unwrap().is_empty());
    let unknown = told(Order::List(Some("other".to_owned())))
        .await
        .unwrap_err();
    assert!(
        unknown.to_string().ends_with("There is no such webhook"),
        "{unknown}"
    );
}
