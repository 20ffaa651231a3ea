use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use serde_json::json;

use super::*;

const START: &str = "/mg-autotranscribe/v1/start-streaming";

async fn posted(world: &World, content_type: &str, body: impl Into<Body>) -> Answer {
    let mut request = keyed_request(Method::POST, START, body.into());
    request
        .headers_mut()
        .insert("content-type", content_type.parse().unwrap());
    world.raw(request).await
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused() {
    let world = World::new();
    for body in ["", "{", "guid=1", "{}{}"] {
        let answer = posted(&world, "application/json", body).await;
        assert_eq!(answer.code(), "400-01", "{body}");
    }
    assert_eq!(
        posted(&world, "application/json", &b"\xff\xfe"[..])
            .await
            .code(),
        "400-01"
    );
    assert_eq!(posted(&world, "text/plain", "{}").await.code(), "415-01");
    let untyped = keyed_request(Method::POST, START, Body::from("{}"));
    assert_eq!(world.raw(untyped).await.code(), "415-01");
    let charset = posted(&world, "application/json; charset=UTF-8", "{}").await;
    assert_eq!(charset.message(), "$: missing field `namespace`");
}

#[tokio::test]
async fn json_that_must_not_be_guessed_at_is_refused() {
    let world = World::new();
    let twice = "{\"guid\":\"1\",\"guid\":\"2\"}";
    assert_eq!(
        posted(&world, "application/json", twice).await.code(),
        "422-01"
    );
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(16), "]".repeat(16));
    assert_eq!(
        posted(&world, "application/json", deep).await.code(),
        "422-01"
    );
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_whether_it_says_so_or_not() {
    let world = World::with(|state| state.settings.body_bytes_max = 1000);
    let whole = posted(&world, "application/json", "x".repeat(1001)).await;
    assert_eq!(whole.code(), "413-01");
    let piece = || Ok::<_, Infallible>(Bytes::from("x".repeat(100)));
    let pieces = Body::from_stream(stream::iter((0..11).map(move |_| piece())));
    assert_eq!(
        posted(&world, "application/json", pieces).await.code(),
        "413-01"
    );
    let mut announced = keyed_request(Method::POST, START, Body::empty());
    announced
        .headers_mut()
        .insert("content-type", "application/json".parse().unwrap());
    announced
        .headers_mut()
        .insert("content-length", "1001".parse().unwrap());
    assert_eq!(world.raw(announced).await.code(), "413-01");
    assert_eq!(
        posted(&world, "application/json", "x".repeat(1000))
            .await
            .code(),
        "400-01"
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_comes_is_not_waited_for_for_ever() {
    let world = World::new();
    let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    assert_eq!(
        posted(&world, "application/json", never).await.code(),
        "408-01"
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    let broken = stream::iter([Ok(Bytes::from("{")), Err(std::io::Error::other("reset"))]);
    let answer = posted(&World::new(), "application/json", Body::from_stream(broken)).await;
    assert_eq!(answer.code(), "400-01");
}

#[tokio::test]
async fn unknown_members_are_tolerated_and_counted() {
    let world = World::new();
    let body = json!({
        "namespace": "twilio", "guid": CALL, "customerId": "c", "agentId": "a",
        "future": 1, "autotranscribeParams": {"smartFormatting": true},
    });
    assert_eq!(world.post(START, &body).await.status, 200);
    assert_eq!(world.metric("antiphon_http_unknown_fields_total"), "2");
}

#[test]
fn the_fuzz_body_takes_anything() {
    let start = json!({
        "namespace": "twilio", "guid": CALL, "customerId": "c", "agentId": "a",
    });
    for data in [&b""[..], b"{", b"\xff", start.to_string().as_bytes()] {
        fuzz(data);
    }
}
