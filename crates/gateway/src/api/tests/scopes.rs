use serde_json::json;

use super::library::Library;
use super::*;
use crate::api::auth::Scope;

/// A key that may do only this.
fn only(scope: Scope) -> ApiKeys {
    ApiKeys::new(&[ApiKey {
        scopes: [scope].into_iter().collect(),
        ..key("key", "secret")
    }])
}

fn of(tenant: &str) -> ApiKeys {
    ApiKeys::new(&[ApiKey {
        tenant: Some(tenant.into()),
        ..key("key", "secret")
    }])
}

/// One request for each scope that needs it.
const NEEDS: [(Scope, &str, &str); 14] = [
    (Scope::Admin, "DELETE", "/v1/conversations/1"),
    (Scope::Admin, "GET", "/v1/webhooks"),
    (
        Scope::Admin,
        "POST",
        "/v1/webhooks/hook/dead-letters/replay",
    ),
    (Scope::Admin, "POST", "/v1/webhooks/hook/enable"),
    (
        Scope::Control,
        "POST",
        "/mg-autotranscribe/v1/start-streaming",
    ),
    (
        Scope::Control,
        "GET",
        "/mg-autotranscribe/v1/twilio-media-stream-url/",
    ),
    (Scope::Control, "POST", "/v1/calls/twilio/CA1/pause"),
    (Scope::Export, "POST", "/fileexporter/v1/static/listfeeds"),
    (Scope::Export, "POST", "/fileexporter/v1/static/getfeedfile"),
    (
        Scope::Transcripts,
        "GET",
        "/conversation/v1/conversation/messages/",
    ),
    (Scope::Transcripts, "GET", "/v1/calls"),
    (Scope::Transcripts, "GET", "/v1/conversations/1"),
    (Scope::Transcripts, "GET", "/v1/events?follow=false"),
    (Scope::Transcripts, "POST", "/v1/tokens"),
];

#[tokio::test]
async fn a_key_does_what_its_scopes_allow_and_is_told_which_one_it_lacks() {
    for had in Scope::ALL {
        let world = World::with(|state| state.keys = only(had));
        for (needed, method, path) in NEEDS {
            let method = method.parse().unwrap();
            let answer = world.raw(keyed_request(method, path, Body::empty())).await;
            let refused = answer.status == 403;
            assert_eq!(refused, had != needed, "{had:?} {path}: {}", answer.status);
            if refused {
                let scope = needed.as_str();
                assert_eq!(answer.code(), "403-01");
                assert_eq!(
                    answer.message(),
                    format!("The key does not have the scope {scope}")
                );
            }
        }
        assert_eq!(world.get("/v1/health").await.status, 200);
        assert_eq!(world.asked().len(), usize::from(had == Scope::Control));
    }
}

#[tokio::test]
async fn a_command_carries_whose_key_gave_it() {
    let world = World::with(|state| state.keys = of("north"));
    let body = json!({"namespace": "twilio", "guid": STREAMING_CALL});
    world
        .post("/mg-autotranscribe/v1/stop-streaming", &body)
        .await;
    assert_eq!(
        world.asked(),
        [format!("twilio/{STREAMING_CALL} stop for north")]
    );
}

#[tokio::test]
async fn a_tenant_is_not_shown_calls_that_nobody_has_started_for_it() {
    let world = World::with(|state| state.keys = of("north"));
    assert_eq!(world.get("/v1/calls").await.json(), json!({"calls": []}));
    let path = format!("/v1/calls/twilio/{CALL}");
    assert_eq!(world.get(&path).await.code(), "404-01");
}

#[tokio::test]
async fn webhooks_are_nothing_for_a_tenant() {
    let library = Library::new();
    let world = library.world_with(|state| state.keys = of("north"));
    assert_eq!(world.get("/v1/webhooks").await.code(), "403-01");
}
