//! Tokens for browsers: what they open, for how long, and that they are told to nobody else.

use std::time::Duration;

use rig::apart::Apart;
use rig::told::of;
use rig::{World, eventually};
use serde_json::{Value, json};
use sim::control::Gateway;

use crate::GATEWAY;
use crate::scene::{conversation, conversation_of, unkeyed};

const PHRASES: [&str; 2] = ["customer-greeting", "agent-greeting"];

/// Who watches, and two tenants; whoever is refused often is not shut out; and all is logged.
const KEYS: &str = "[[api_keys]]\nid = \"rig\"\nsecret = \"rig-api-secret\"\n\
    [[api_keys]]\nid = \"north\"\nsecret = \"north-api-secret\"\ntenant = \"north\"\n\
    [[api_keys]]\nid = \"south\"\nsecret = \"south-api-secret\"\ntenant = \"south\"\n\
    [limits]\nauth_failures_burst = 1000000\n[log]\nlevel = \"debug\"\n";

struct Desk {
    gateway: Apart,
    _folder: tempfile::TempDir,
    given: Vec<String>,
}

impl Desk {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let gateway = Apart::new(rig::service_config(), KEYS, GATEWAY, folder.path()).await;
        Self {
            gateway,
            _folder: folder,
            given: Vec::new(),
        }
    }

    fn world(&self) -> &World {
        &self.gateway.world
    }

    async fn token(&mut self, wanted: &Value) -> String {
        let api = self.world().api.clone();
        self.token_of(&api, wanted).await
    }

    async fn token_of(&mut self, api: &Gateway, wanted: &Value) -> String {
        let answer = api.post("/v1/tokens", wanted).await.unwrap();
        assert_eq!(answer.status, 200, "no token: {}", answer.complaint());
        let token = answer.body["token"].as_str().unwrap().to_owned();
        self.given.push(token.clone());
        token
    }

    /// The status of a request with nothing but a token, and what is then told.
    async fn read(&self, path: &str, token: &str) -> (u16, Vec<Value>) {
        let url = format!(
            "{}{path}?token={token}&after=0&follow=false",
            self.world().base
        );
        let (status, text) = unkeyed(&url).await;
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        let told = data.map(|data| serde_json::from_str(data).unwrap());
        (status, told.collect())
    }

    async fn until_expired(&self, path: &str, token: &str) {
        let mut looks = tokio::time::interval(Duration::from_millis(100));
        let expired = async {
            while self.read(path, token).await.0 != 401 {
                looks.tick().await;
            }
        };
        eventually("the token to expire", expired).await;
    }

    /// No token is in the log, nor any part of one.
    async fn end(self) {
        let log = self.gateway.log.clone();
        self.gateway.end().await;
        let log = std::fs::read_to_string(log).unwrap();
        assert!(log.contains("DEBUG"), "little is logged:\n{log}");
        let parts = self.given.iter().flat_map(|token| token.split('.'));
        for part in parts.filter(|part| part.len() > 8) {
            assert!(!log.contains(part), "{part} is in the log:\n{log}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_shows_what_it_was_made_for_and_nothing_else() {
    let mut desk = Desk::new().await;
    let mine = conversation(desk.world(), &PHRASES).await;
    let other = conversation(desk.world(), &PHRASES).await;
    let [path, elsewhere] = [&mine, &other].map(|guid| format!("/v1/calls/twilio/{guid}/events"));
    let call = json!({"namespace": "twilio", "guid": mine});
    let wanted = json!({"scope": "events", "call": call, "kinds": ["transcript"]});
    let token = desk.token(&wanted).await;

    let told = desk.world().told(&mine).await;
    let transcripts: Vec<Value> = of(&told, "transcript", "").into_iter().cloned().collect();
    assert!(!transcripts.is_empty());
    for path in [&*path, "/v1/events"] {
        assert_eq!(
            desk.read(path, &token).await,
            (200, transcripts.clone()),
            "{path}"
        );
    }
    assert_eq!(desk.read(&elsewhere, &token).await.0, 403);
    let others = [
        "/v1/calls".to_owned(),
        format!("/v1/calls/twilio/{mine}"),
        format!("/conversation/v1/conversation/messages?externalId={mine}&x="),
    ];
    for path in others {
        assert_eq!(desk.read(&path, &token).await.0, 401, "{path}");
    }
    // What it says cannot be changed.
    let (head, signature) = token.rsplit_once('.').unwrap();
    let (version, _) = head.split_once('.').unwrap();
    let all = desk.token(&json!({"scope": "events"})).await;
    let payload = all.split('.').nth(1).unwrap();
    let mixed = format!("{version}.{payload}.{signature}");
    assert_eq!(desk.read(&path, &mixed).await.0, 401);
    // Who commanded what is for whoever asks for it by name.
    let (_, shown) = desk.read(&path, &all).await;
    assert!(of(&shown, "command", "").is_empty() && !of(&told, "command", "").is_empty());
    assert_eq!(shown.len(), told.len() - of(&told, "command", "").len());
    desk.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_tenant_shows_nothing_of_a_call() {
    let mut desk = Desk::new().await;
    let [north, south] = ["north", "south"].map(|tenant| {
        let secret = format!("{tenant}-api-secret");
        desk.world().api.with_key(tenant, &secret)
    });
    let guid = conversation_of(desk.world(), &north, &PHRASES).await;
    let path = format!("/v1/calls/twilio/{guid}/events");
    let call = json!({"namespace": "twilio", "guid": guid});
    for wanted in [
        json!({"scope": "events"}),
        json!({"scope": "events", "call": call}),
    ] {
        let theirs = desk.token_of(&south, &wanted).await;
        let ours = desk.token_of(&north, &wanted).await;
        for path in [&*path, "/v1/events"] {
            let (_, told) = desk.read(path, &theirs).await;
            assert!(told.is_empty(), "{path}: {told:?}");
            let (_, told) = desk.read(path, &ours).await;
            assert_eq!(of(&told, "streamEnded", "").len(), 2, "{path}");
        }
    }
    desk.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_has_expired_opens_nothing_and_what_it_opened_stays_open() {
    let mut desk = Desk::new().await;
    let guid = conversation(desk.world(), &PHRASES).await;
    let path = format!("/v1/calls/twilio/{guid}/events");
    let wanted = json!({"scope": "events", "ttlSeconds": 2});
    let token = desk.token(&wanted).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/v1/events?token={token}", desk.world().base);
    let mut open = client.get(url).send().await.unwrap();
    assert_eq!(open.status(), 200);
    desk.until_expired(&path, &token).await;
    assert_eq!(desk.read("/v1/events", &token).await.0, 401);

    let next = conversation(desk.world(), &PHRASES).await;
    let mut told = String::new();
    let read = async {
        while !told.contains("callEnded") {
            let piece = open.chunk().await.unwrap().unwrap();
            told.push_str(str::from_utf8(&piece).unwrap());
        }
    };
    eventually("the next call to be told", read).await;
    assert!(told.contains(&next));
    drop(open);
    desk.end().await;
}
