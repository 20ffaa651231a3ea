//! The streams of events described in AsyncAPI 3.0, with the schemas of the OpenAPI description:
//! there is one shape of an event, however it is sent.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::ws::PROTOCOL;

/// `/asyncapi.json`, indented.
pub fn asyncapi_json() -> String {
    let openapi: Value = serde_json::from_str(&super::openapi_json()).expect("it is JSON");
    let known = &openapi["components"]["schemas"];
    let mut schemas = Map::new();
    for name in ["Event", "EventNote", "SubscribeMessage"] {
        collect(known, name, &mut schemas);
    }
    let description = json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Antiphon's events",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "allEvents": channel("/v1/events", SSE, &["event", "note"]),
            "allEventsWebSocket": channel("/v1/events/ws", WEBSOCKET, &ALL),
            "callEvents": of_call("/v1/calls/{namespace}/{guid}/events", SSE, &["event", "note"]),
            "callEventsWebSocket": of_call(
                "/v1/calls/{namespace}/{guid}/events/ws", WEBSOCKET, &ALL,
            ),
        },
        "operations": {
            "tellAllEvents": operation("send", "allEvents", &["event", "note"]),
            "tellAllEventsByWebSocket": operation(
                "send", "allEventsWebSocket", &["event", "note"],
            ),
            "tellCallEvents": operation("send", "callEvents", &["event", "note"]),
            "tellCallEventsByWebSocket": operation(
                "send", "callEventsWebSocket", &["event", "note"],
            ),
            "subscribe": operation("receive", "allEventsWebSocket", &["subscribe"]),
            "subscribeToCall": operation("receive", "callEventsWebSocket", &["subscribe"]),
        },
        "components": {
            "messages": {
                "event": message("Event", "Something happened to a call."),
                "note": message("EventNote", "Something about the reading itself."),
                "subscribe": message("SubscribeMessage", "What the client wants from now on."),
            },
            "schemas": schemas,
        },
    });
    let mut text = serde_json::to_string_pretty(&description).expect("it has string keys only");
    text.push('\n');
    text
}

const ALL: [&str; 3] = ["event", "note", "subscribe"];

const ABOUT: &str = "What happens to calls, as it happens, by server-sent events or by WebSocket. \
    Keys, tokens and parameters are in the OpenAPI description.";

const SSE: &str = "Server-sent events: `id` and `event` are those of the message in `data`.";

const WEBSOCKET: &str = "A WebSocket: each message is a text message.";

fn channel(address: &str, about: &str, messages: &[&str]) -> Value {
    let messages = messages.iter().map(|&name| {
        let reference = json!({"$ref": format!("#/components/messages/{name}")});
        (name.to_owned(), reference)
    });
    let mut channel = json!({
        "address": address,
        "description": about,
        "messages": Value::Object(messages.collect()),
    });
    if about == WEBSOCKET {
        let protocol = json!({"type": "string", "const": PROTOCOL});
        channel["bindings"] = json!({"ws": {
            "method": "GET",
            "headers": {"type": "object", "properties": {"Sec-WebSocket-Protocol": protocol}},
        }});
    }
    channel
}

fn of_call(address: &str, about: &str, messages: &[&str]) -> Value {
    let mut channel = channel(address, about, messages);
    let platforms = ["siprec", "twilio", "amazonconnect", "genesysaudiohook"];
    channel["parameters"] = json!({
        "namespace": {"description": "The platform.", "enum": platforms},
        "guid": {"description": "The platform's id of the call."},
    });
    channel
}

fn operation(action: &str, channel: &str, messages: &[&str]) -> Value {
    let messages: Vec<Value> = messages
        .iter()
        .map(|name| json!({"$ref": format!("#/channels/{channel}/messages/{name}")}))
        .collect();
    json!({
        "action": action,
        "channel": {"$ref": format!("#/channels/{channel}")},
        "messages": messages,
    })
}

fn message(schema: &str, about: &str) -> Value {
    json!({
        "name": schema,
        "summary": about,
        "contentType": "application/json",
        "payload": {"$ref": format!("#/components/schemas/{schema}")},
    })
}

/// A schema, and those that it refers to.
fn collect(known: &Value, name: &str, into: &mut Map<String, Value>) {
    if into.contains_key(name) {
        return;
    }
    let schema = known[name].clone();
    let mut referred = BTreeSet::new();
    references(&schema, &mut referred);
    into.insert(name.to_owned(), schema);
    for name in referred {
        collect(known, &name, into);
    }
}

fn references(schema: &Value, into: &mut BTreeSet<String>) {
    match schema {
        Value::Array(items) => items.iter().for_each(|item| references(item, into)),
        Value::Object(members) => {
            let name = members.get("$ref").and_then(Value::as_str);
            let name = name.and_then(|name| name.strip_prefix("#/components/schemas/"));
            into.extend(name.map(str::to_owned));
            members.values().for_each(|member| references(member, into));
        }
        _ => {}
    }
}
