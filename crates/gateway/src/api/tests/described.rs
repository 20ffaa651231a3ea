use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;

use super::super::examples::{self, Example};
use super::library::Library;
use super::*;

fn doc() -> Value {
    serde_json::from_str(&openapi_json()).unwrap()
}

/// Path, method and description of every operation.
fn operations(doc: &Value) -> Vec<(String, Method, Value)> {
    let mut all = Vec::new();
    for (path, item) in doc["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_uppercase().parse().unwrap();
            all.push((path.clone(), method, operation.clone()));
        }
    }
    all
}

/// Whether an answer is one of those that its operation declares.
fn conforms(doc: &Value, operation: &Value, answer: &Answer) {
    let responses = &operation["responses"];
    let declared = responses
        .get(answer.status.as_str())
        .unwrap_or_else(|| &responses["default"]);
    for name in declared["headers"].as_object().unwrap().keys() {
        assert!(answer.headers.contains_key(name), "no header {name}");
    }
    let content_type = answer.header("content-type").split(';').next().unwrap();
    let content = &declared["content"][content_type];
    assert!(
        content.is_object(),
        "{content_type} is not declared: {declared}"
    );
    if content_type == "application/json" {
        let json = answer.json();
        schema::check(doc, &content["schema"], &json)
            .unwrap_or_else(|wrong| panic!("{wrong}: {json}"));
    }
}

#[test]
fn the_description_in_docs_is_the_code_s() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let now = openapi_json();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(
        kept == now,
        "docs/openapi.json is old; UPDATE_DOCS=1 writes it anew"
    );
}

#[tokio::test]
async fn every_example_is_answered_as_it_says() {
    let doc = doc();
    let mut sent = 0;
    for (path, method, operation) in operations(&doc) {
        let id = operation["operationId"].as_str().unwrap();
        for example in examples::all()
            .iter()
            .filter(|example| example.operation == id)
        {
            let library = Library::of_examples();
            let world = library.world_with(|state| {
                state.settings.namespaces.push(Namespace::Siprec);
            });
            let answer = match &example.request {
                Value::Null => world.get(&path).await,
                Value::String(query) => world.get(&format!("{path}{query}")).await,
                body => {
                    shown_and_valid(&doc, &operation, example);
                    assert_eq!(method, Method::POST);
                    world.post(&path, body).await
                }
            };
            assert_eq!(answer.json(), example.response, "{id} {}", example.name);
            assert_eq!(answer.status.as_u16(), example.status);
            conforms(&doc, &operation, &answer);
            let shown = &operation["responses"][answer.status.as_str()]["content"];
            let shown = &shown["application/json"]["examples"][example.name]["value"];
            assert_eq!(*shown, example.response);
            sent += 1;
        }
    }
    assert_eq!(
        sent,
        examples::all().len(),
        "an example belongs to no operation"
    );
}

/// The request is shown, and whoever believes the schema would take it, unless it shows a mistake.
fn shown_and_valid(doc: &Value, operation: &Value, example: &Example) {
    let content = &operation["requestBody"]["content"]["application/json"];
    assert_eq!(content["examples"][example.name]["value"], example.request);
    let valid = schema::check(doc, &content["schema"], &example.request);
    let mistaken = ["noCustomer", "language"].contains(&example.name);
    assert_eq!(valid.is_err(), mistaken, "{}: {valid:?}", example.name);
}

#[tokio::test]
async fn every_operation_is_routed_and_declares_its_answers() {
    let doc = doc();
    for (path, method, operation) in operations(&doc) {
        let path = path
            .replace("{namespace}", "twilio")
            .replace("{guid}", CALL)
            .replace("{conversationId}", "1")
            .replace("{fileName}", "utterances-2021-11-23-12.csv")
            .replace("{name}", "hook");
        let path = match path.ends_with("/events") {
            true => format!("{path}?follow=false"),
            false => path,
        };
        let world = World::new();
        let answer = match method {
            Method::POST => world.post(&path, &json!({})).await,
            _ => {
                let request = keyed_request(method.clone(), &path, Body::empty());
                world.raw(request).await
            }
        };
        let is_unrouted = answer.status == 404 && answer.message() == "Not found";
        assert!(!is_unrouted && answer.status != 405, "{path} is not routed");
        if answer.status == 200 && answer.header("content-type").starts_with("text/") {
            continue;
        }
        conforms(&doc, &operation, &answer);
        let bare = world.raw(request(method, &path, Body::empty())).await;
        assert_eq!(
            bare.status == 401,
            operation.get("security").is_none(),
            "{path}"
        );
        if bare.status == 401 {
            conforms(&doc, &operation, &bare);
        }
    }
}

#[test]
fn the_description_of_events_in_docs_is_the_code_s() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/asyncapi.json");
    let now = asyncapi_json();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == now,
        "docs/asyncapi.json is old; UPDATE_DOCS=1 writes it anew"
    );
}

#[test]
fn every_reference_in_the_description_of_events_leads_somewhere() {
    fn check(doc: &Value, part: &Value, seen: &mut usize) {
        if let Some(to) = part.get("$ref").and_then(Value::as_str) {
            let pointer = to.trim_start_matches('#');
            assert!(doc.pointer(pointer).is_some(), "{to} leads nowhere");
            *seen += 1;
        }
        let items = part.as_array().into_iter().flatten();
        let members = part
            .as_object()
            .into_iter()
            .flat_map(|object| object.values());
        items.chain(members).for_each(|part| check(doc, part, seen));
    }
    let doc: Value = serde_json::from_str(&asyncapi_json()).unwrap();
    let mut seen = 0;
    check(&doc, &doc, &mut seen);
    assert!(seen > 20 && doc["asyncapi"] == "3.0.0", "{seen}");
    for message in ["event", "note", "subscribe"] {
        assert!(doc["components"]["messages"][message]["payload"].is_object());
    }
}

#[test]
fn the_contracts_statuses_are_all_declared() {
    let doc = doc();
    for (operation, statuses) in [
        (
            "/mg-autotranscribe/v1/start-streaming",
            "post 200 400 401 403 404 409 413 422 429 503",
        ),
        (
            "/mg-autotranscribe/v1/stop-streaming",
            "post 200 400 401 403 404 409 413 422 429 503",
        ),
        (
            "/mg-autotranscribe/v1/twilio-media-stream-url",
            "get 200 401 403 404 429 503",
        ),
    ] {
        let (method, statuses) = statuses.split_once(' ').unwrap();
        let responses = doc["paths"][operation][method]["responses"]
            .as_object()
            .unwrap();
        for status in statuses.split(' ').chain(["default"]) {
            assert!(responses.contains_key(status), "{operation} {status}");
        }
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_and_a_summary() {
    let doc = doc();
    let operations = operations(&doc);
    let names: BTreeSet<_> = operations
        .iter()
        .map(|(_, _, operation)| operation["operationId"].to_string())
        .collect();
    assert_eq!(names.len(), operations.len());
    for (path, _, operation) in &operations {
        assert!(operation["summary"].is_string(), "{path}");
        assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{path}");
    }
}
