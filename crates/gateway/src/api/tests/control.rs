use serde_json::json;

use super::super::examples::UNKNOWN_CALL;
use super::*;

const START: &str = "/mg-autotranscribe/v1/start-streaming";
const STOP: &str = "/mg-autotranscribe/v1/stop-streaming";

fn start(guid: &str) -> Value {
    json!({"namespace": "twilio", "guid": guid, "customerId": "c", "agentId": "a"})
}

fn stop(guid: &str) -> Value {
    json!({"namespace": "twilio", "guid": guid})
}

#[tokio::test]
async fn every_state_has_its_code_for_every_command() {
    let world = World::new();
    for (guid, code) in [
        (PENDING_CALL, "409-202"),
        (ENDED_CALL, "409-203"),
        (UNKNOWN_CALL, "400-203"),
        ("gateway-draining", "503-01"),
        ("gateway-gone", "503-01"),
    ] {
        let path = format!("/v1/calls/twilio/{guid}");
        let answers = [
            world.post(START, &start(guid)).await,
            world.post(STOP, &stop(guid)).await,
            world.post(&format!("{path}/pause"), &Value::Null).await,
            world.post(&format!("{path}/resume"), &Value::Null).await,
        ];
        for answer in answers {
            assert_eq!(answer.code(), code, "{guid}");
            assert_eq!(
                answer.header("retry-after"),
                if code == "503-01" { "5" } else { "" }
            );
        }
    }
    assert_eq!(
        world.post(START, &start(STREAMING_CALL)).await.code(),
        "409-201"
    );
    assert_eq!(world.post(STOP, &stop(CALL)).await.code(), "409-201");
    let refused = "antiphon_commands_total{command=\"pause\",outcome=\"409-203\"}";
    assert_eq!(world.metric(refused), "1");
}

#[tokio::test]
async fn a_stop_of_an_awaited_start_has_no_streams() {
    let answer = World::new().post(STOP, &stop("awaited")).await;
    assert_eq!(
        answer.json(),
        json!({"isOk": true, "autotranscribeResponse": {}})
    );
}

#[tokio::test]
async fn a_service_that_says_nothing_leaves_no_summary() {
    let answer = World::new().post(STOP, &stop("silent-service")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json(),
        json!({
            "isOk": false,
            "errorMessage": "customer: no finalResponse in time",
            "autotranscribeResponse": {"customer": {
                "streamId": IDS[1],
                "status": {"code": 5000, "description": "no finalResponse in time"},
            }},
        })
    );
}

#[tokio::test]
async fn pause_and_resume_say_whether_it_worked() {
    let world = World::new();
    let path = format!("/v1/calls/twilio/{STREAMING_CALL}/pause");
    let paused = world.post(&path, &Value::Null).await;
    assert_eq!(
        (paused.status.as_u16(), paused.json()),
        (200, json!({"isOk": true}))
    );
    let resumed = world
        .post("/v1/calls/twilio/held/resume", &Value::Null)
        .await;
    assert_eq!(resumed.json(), json!({"isOk": true}));
}

#[tokio::test]
async fn a_slash_at_the_end_changes_nothing() {
    let world = World::new();
    assert_eq!(
        world.post(&format!("{START}/"), &start(CALL)).await.status,
        200
    );
    assert_eq!(
        world
            .post(&format!("{STOP}/"), &stop(STREAMING_CALL))
            .await
            .status,
        200
    );
    let url = world
        .get("/mg-autotranscribe/v1/twilio-media-stream-url/")
        .await;
    assert_eq!(url.json(), json!({"streamingUrl": STREAMING_URL}));
    let counted = "antiphon_http_requests_total{method=\"POST\",route=\"start_streaming\"";
    assert_eq!(world.metric(&format!("{counted},status=\"2xx\"}}")), "1");
}

#[tokio::test]
async fn a_get_may_carry_a_body() {
    let path = "/mg-autotranscribe/v1/twilio-media-stream-url";
    let request = keyed_request(Method::GET, path, Body::from("{\"x\":1}"));
    assert_eq!(World::new().raw(request).await.status, 200);
}

#[tokio::test]
async fn a_platform_without_an_ingress_is_refused_without_asking_the_switchboard() {
    let world = World::new();
    for namespace in ["siprec", "amazonconnect", "genesysaudiohook"] {
        let mut body = start(CALL);
        body["namespace"] = json!(namespace);
        assert_eq!(world.post(START, &body).await.code(), "400-203");
        let pause = format!("/v1/calls/{namespace}/{CALL}/pause");
        assert_eq!(world.post(&pause, &Value::Null).await.code(), "400-203");
        body["agentId"] = json!(7);
        assert_eq!(
            world.post(START, &body).await.code(),
            "400-201",
            "it is judged all the same"
        );
    }
    assert_eq!(world.asked(), Vec::<String>::new());
    world.post(START, &start(CALL)).await;
    assert_eq!(world.asked(), [format!("twilio/{CALL} start")]);
}

#[tokio::test]
async fn every_start_has_new_streams() {
    let world = World::new();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let json = world.post(START, &start(CALL)).await.json();
        for role in ["customer", "agent"] {
            let id = &json["autotranscribeResponse"][role]["streamId"];
            ids.push(id.as_str().unwrap().parse::<Uuid>().unwrap());
        }
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[tokio::test]
async fn while_draining_no_url_is_handed_out() {
    let world = World::new();
    world.state.draining.cancel();
    let answer = world
        .get("/mg-autotranscribe/v1/twilio-media-stream-url")
        .await;
    assert_eq!(
        (answer.code().as_str(), answer.header("retry-after")),
        ("503-01", "5")
    );
}

#[tokio::test]
async fn a_switchboard_that_is_gone_is_503() {
    let (switchboard, requests) = SwitchboardHandle::new(1);
    drop(requests);
    let world = World::with(|state| state.switchboard = switchboard);
    assert_eq!(world.post(STOP, &stop(CALL)).await.code(), "503-01");
    assert_eq!(world.get("/v1/calls").await.code(), "503-01");
    assert_eq!(
        world.get(&format!("/v1/calls/twilio/{CALL}")).await.code(),
        "503-01"
    );
}
