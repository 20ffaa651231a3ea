use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use serde_json::json;

use super::*;

const KEYED: [(&str, &str); 32] = [
    ("GET", "/mg-autotranscribe/v1/twilio-media-stream-url"),
    ("POST", "/mg-autotranscribe/v1/start-streaming"),
    ("POST", "/mg-autotranscribe/v1/stop-streaming/"),
    ("GET", "/conversation/v1/conversation/messages"),
    ("GET", "/conversation/v1/conversation/messages/"),
    ("GET", "/conversation/v1/conversations/1/messages"),
    ("POST", "/fileexporter/v1/static/listfeeds"),
    ("POST", "/fileexporter/v1/static/listfeedversions"),
    ("POST", "/fileexporter/v1/static/listfeedformats"),
    ("POST", "/fileexporter/v1/static/listfeeddates"),
    ("POST", "/fileexporter/v1/static/listfeedintervals"),
    ("POST", "/fileexporter/v1/static/listfeedfiles"),
    ("POST", "/fileexporter/v1/static/getfeedfile"),
    ("GET", "/v1/calls"),
    ("GET", "/v1/calls/twilio/CA1"),
    ("GET", "/v1/calls/twilio/CA1/events"),
    ("POST", "/v1/calls/twilio/CA1/pause"),
    ("POST", "/v1/calls/twilio/CA1/resume"),
    ("GET", "/v1/calls/twilio/CA1/events/ws"),
    ("GET", "/v1/conversations"),
    ("GET", "/v1/conversations/1"),
    ("GET", "/v1/conversations/twilio/CA1"),
    ("DELETE", "/v1/conversations/1"),
    ("DELETE", "/v1/conversations/twilio/CA1"),
    ("GET", "/v1/events"),
    ("GET", "/v1/events/ws"),
    ("GET", "/v1/health"),
    ("POST", "/v1/tokens"),
    ("GET", "/v1/webhooks"),
    ("GET", "/v1/webhooks/hook/dead-letters"),
    ("DELETE", "/v1/webhooks/hook/dead-letters"),
    ("POST", "/v1/webhooks/hook/dead-letters/replay"),
];

fn from(address: [u8; 4], mut request: Request<Body>) -> Request<Body> {
    request
        .extensions_mut()
        .insert(ConnectInfo(SocketAddr::from((address, 1))));
    request
}

#[tokio::test]
async fn without_a_key_nothing_is_told() {
    let world = World::with(|state| {
        state.settings.auth_failures.burst = NonZeroU32::new(100).unwrap();
    });
    for (method, path) in KEYED {
        let method = method.parse().unwrap();
        let missing = world.raw(request(method, path, Body::empty())).await;
        assert_eq!(
            (missing.code().as_str(), missing.message().as_str()),
            ("401-01", "Unauthorized")
        );
    }
    for (id, secret) in [("key", "wrong"), ("other", "secret"), ("key", "")] {
        let mut wrong = request(Method::GET, "/v1/health", Body::empty());
        wrong
            .headers_mut()
            .insert("asapp-api-id", id.parse().unwrap());
        wrong
            .headers_mut()
            .insert("asapp-api-secret", secret.parse().unwrap());
        let wrong = world.raw(wrong).await;
        assert_eq!(
            (wrong.code().as_str(), wrong.message().as_str()),
            ("401-01", "Unauthorized")
        );
    }
    assert_eq!(world.asked(), Vec::<String>::new());
    assert_eq!(world.metric("antiphon_auth_failures_total"), "35");
}

#[tokio::test]
async fn with_a_key_the_health_check_succeeds() {
    let answer = World::new().get("/v1/health").await;
    assert_eq!(answer.json(), json!({"healthCheck": "SUCCESS"}));
}

#[tokio::test]
async fn what_watches_over_the_program_needs_no_key() {
    let world = World::new();
    for path in [
        "/health/live",
        "/health/ready",
        "/metrics",
        "/version",
        "/openapi.json",
        "/docs/",
    ] {
        let answer = world.raw(request(Method::GET, path, Body::empty())).await;
        assert_eq!(answer.status, 200, "{path}");
    }
}

#[tokio::test]
async fn an_address_that_guesses_keys_is_shut_out_and_no_other_is() {
    let world = World::with(|state| {
        state.settings.auth_failures.burst = NonZeroU32::new(3).unwrap();
    });
    let guess = || {
        from(
            [192, 0, 2, 1],
            request(Method::GET, "/v1/calls", Body::empty()),
        )
    };
    for _ in 0..4 {
        assert_eq!(world.raw(guess()).await.code(), "401-01");
    }
    let limited = world.raw(guess()).await;
    assert_eq!(limited.code(), "429-01");
    assert!((1..=6).contains(&limited.header("retry-after").parse::<u64>().unwrap()));
    let good = || keyed_request(Method::GET, "/v1/calls", Body::empty());
    assert_eq!(
        world.raw(from([192, 0, 2, 1], good())).await.code(),
        "429-01"
    );
    assert_eq!(world.raw(from([192, 0, 2, 2], good())).await.status, 200);
    assert_eq!(
        world.metric("antiphon_http_requests_limited_total{limit=\"address\"}"),
        "2"
    );
}

#[tokio::test]
async fn a_key_may_not_ask_too_often() {
    let world = World::with(|state| {
        let burst = NonZeroU32::new(3).unwrap();
        state.settings.key_requests = Rate {
            allowed: 2,
            per: Duration::from_secs(60),
            burst,
        };
        state.keys = ApiKeys::new(&[key("key", "secret"), key("other", "secret")]);
    });
    for _ in 0..3 {
        assert_eq!(world.get("/v1/calls").await.status, 200);
    }
    let limited = world.get("/v1/calls").await;
    assert_eq!(
        (limited.code().as_str(), limited.header("retry-after")),
        ("429-01", "30")
    );
    let mut other = keyed_request(Method::GET, "/v1/calls", Body::empty());
    other
        .headers_mut()
        .insert("asapp-api-id", "other".parse().unwrap());
    assert_eq!(world.raw(other).await.status, 200);
    assert_eq!(
        world.metric("antiphon_http_requests_limited_total{limit=\"key\"}"),
        "1"
    );
}

#[tokio::test]
async fn keys_change_without_a_new_router() {
    let world = World::new();
    world.state.keys.replace(&[key("new", "secret")]);
    assert_eq!(world.get("/v1/health").await.code(), "401-01");
}
