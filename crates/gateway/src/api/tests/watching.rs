use std::io;
use std::sync::Mutex;

use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use super::*;

#[tokio::test]
async fn probes_tell_life_and_readiness_apart() {
    let world = World::new();
    assert_eq!(
        world.get("/health/ready").await.json(),
        json!({"status": "ready", "store": "off"})
    );
    world.state.draining.cancel();
    assert_eq!(
        world.get("/health/live").await.json(),
        json!({"status": "live"})
    );
    let ready = world.get("/health/ready").await;
    assert_eq!(
        (ready.code().as_str(), ready.header("retry-after")),
        ("503-01", "5")
    );
}

#[tokio::test]
async fn the_version_is_told() {
    let json = World::new().get("/version").await.json();
    assert_eq!(
        json,
        json!({"name": "antiphon", "version": "1.2.3", "commit": "abc"})
    );
}

#[tokio::test]
async fn metrics_are_in_prometheus_text_format() {
    let world = World::new();
    let answer = world.get("/metrics").await;
    assert!(
        answer
            .header("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    assert!(
        answer
            .text()
            .contains("# TYPE antiphon_commands_total counter")
    );
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_allowed_have_envelopes_too() {
    let world = World::new();
    for path in [
        "/",
        "/v2/calls",
        "/v1/calls/twilio",
        "/docs/nothing.js",
        "//",
    ] {
        assert_eq!(world.get(path).await.code(), "404-01", "{path}");
    }
    let path = "/mg-autotranscribe/v1/start-streaming";
    let wrong = world.get(path).await;
    assert_eq!(
        (wrong.code().as_str(), wrong.header("allow")),
        ("405-01", "POST")
    );
    let request = request(Method::DELETE, "/version", Body::empty());
    let wrong = world.raw(request).await;
    assert_eq!(
        (wrong.code().as_str(), wrong.header("allow")),
        ("405-01", "GET,HEAD")
    );
    let other = "antiphon_http_requests_total{method=\"GET\",route=\"other\",status=\"4xx\"}";
    assert_eq!(world.metric(other), "4");
}

#[tokio::test]
async fn a_defect_ends_one_request_and_no_more() {
    let world = World::with(|state| {
        state.streaming_url = Arc::new(|| panic!("a defect"));
    });
    let answer = world
        .get("/mg-autotranscribe/v1/twilio-media-stream-url")
        .await;
    assert_eq!(
        (answer.code().as_str(), answer.message().as_str()),
        ("500-201", "Internal error")
    );
    assert_eq!(world.get("/v1/health").await.status, 200);
    assert_eq!(world.metric("antiphon_http_panics_total"), "1");
}

#[tokio::test]
async fn every_answer_has_an_id_of_its_own() {
    let world = World::new();
    let mut ids = Vec::new();
    for path in [
        "/health/live",
        "/v1/calls",
        "/nothing",
        "/docs",
        "/v1/calls/skype/1",
    ] {
        let answer = world.get(path).await;
        ids.push(answer.header("x-request-id").parse::<Uuid>().unwrap());
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 5);
}

#[tokio::test]
async fn the_documentation_needs_nothing_from_elsewhere() {
    let world = World::new();
    let docs = world.get("/docs").await;
    assert_eq!(
        (docs.status.as_u16(), docs.header("location")),
        (308, "docs/")
    );
    let index = world.get("/docs/").await;
    assert!(index.header("content-type").starts_with("text/html"));
    assert!(
        index
            .header("content-security-policy")
            .contains("default-src 'self'")
    );
    assert_eq!(index.header("content-encoding"), "gzip");
    let script = world.get("/docs/swagger-initializer.js").await.text();
    assert!(script.contains("../openapi.json") && script.contains("\"validatorUrl\": \"none\""));
    assert_eq!(world.get("/docs/swagger-ui-bundle.js").await.status, 200);
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_command_is_one_line_in_the_log_without_anything_private() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
    let subscriber = subscriber
        .with_ansi(false)
        .with_writer(lines.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let world = World::new();
    let mut body = json!({
        "namespace": "twilio", "guid": CALL, "customerId": "private-customer",
        "agentId": "private-agent",
        "autotranscribeParams": {"vocabulary": [{"phrase": "private-phrase"}]},
    });
    let good = world
        .post("/mg-autotranscribe/v1/start-streaming", &body)
        .await;
    body["autotranscribeParams"]["language"] = json!("private-language");
    let bad = world
        .post("/mg-autotranscribe/v1/start-streaming", &body)
        .await;
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    for (answer, outcome) in [(good, "ok"), (bad, "400-202")] {
        let id = answer.header("x-request-id");
        let mut found = log.lines().filter(|line| line.contains(id));
        let line = found.next().expect(&log);
        assert!(line.contains(&format!("outcome=\"{outcome}\"")), "{line}");
        assert_eq!(found.next(), None);
    }
    assert!(log.contains(&format!("twilio/{CALL}")));
    assert!(!log.contains("private") && !log.contains("secret"), "{log}");
}
