//! The router, with a switchboard that knows a few calls by their guid.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use call::leg::{Gate, LegStats};
use call::name::{CallName, Guid, LegId, Role, Side, StreamId};
use call::start::{Report, Status, Summary};
use call::switchboard::{Outcome, Refusal, StateName};
use http_body_util::BodyExt;
use serde_json::Value;
use store::memory::{MemoryLimits, MemoryOutbox};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::auth::{ApiKey, Scopes};
use super::examples::{
    CALL, ENDED_CALL, IDS, PENDING_CALL, REFUSED_CALL, SIPREC_CALL, STREAMING_CALL, STREAMING_URL,
};
use super::*;
use crate::switchboard_task::{
    CallSnapshot, Command, LegRole, LegSnapshot, Owner, Refused, StreamSnapshot, SwitchboardHandle,
};

mod authentication;
mod bodies;
mod control;
mod conversations;
mod described;
mod events;
mod exporter;
mod library;
mod messages;
mod native_calls;
mod restarted;
mod schema;
mod scopes;
mod sockets;
mod tokens;
mod watching;
mod webhooks;

/// A router and what stands behind it.
pub(super) struct World {
    pub(super) router: Router,
    pub(super) state: ApiState,
    /// What the switchboard was asked.
    pub(super) asked: Arc<Mutex<Vec<String>>>,
    _switchboard: JoinSet<()>,
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// AssemblyAI is the only service, and it has two parameters.
fn has(wish: &Wish) -> Result<(), BadParameter> {
    let bad = |name: &str, what: &str| {
        Err(BadParameter {
            name: name.to_owned(),
            what: what.to_owned(),
        })
    };
    if wish
        .service
        .as_deref()
        .is_some_and(|name| name != "assemblyai")
    {
        return bad("service", "names no service that is configured");
    }
    let mut names = wish.parameters.iter().map(|(name, _)| &**name);
    match names.find(|name| !["keyterms_prompt", "max_turn_silence"].contains(name)) {
        Some(name) => bad(name, "is no parameter of assemblyai"),
        None => Ok(()),
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(super) fn with(change: impl FnOnce(&mut ApiState)) -> Self {
        let registry = prometheus::Registry::new();
        let metrics = Arc::new(Metrics::register(&registry).unwrap());
        let (switchboard, requests) = SwitchboardHandle::new(16);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        tasks.spawn(answer(requests, Arc::clone(&asked)));
        let made = AtomicUsize::new(0);
        let id = move || match IDS.get(made.fetch_add(1, Ordering::Relaxed)) {
            Some(id) => id.parse().unwrap(),
            None => Uuid::new_v4(),
        };
        let delivered = delivery::metrics::Metrics::register(&registry).unwrap();
        let delivery = Delivery::new(Vec::new(), Default::default(), Arc::new(delivered));
        let mut state = ApiState {
            switchboard,
            bus: Bus::counted(8, Arc::clone(&metrics)),
            keeping: Keeping::new(false, MemoryOutbox::new(MemoryLimits::default())),
            delivery: delivery.unwrap(),
            keys: ApiKeys::new(&[key("key", "secret")]),
            streaming_url: Arc::new(|| STREAMING_URL.to_owned()),
            wishes: Arc::new(|_, wish| has(wish)),
            registry,
            metrics,
            settings: ApiSettings::default(),
            draining: CancellationToken::new(),
            admission: AdmissionControl::default(),
            build: Build {
                version: "1.2.3",
                commit: Some("abc"),
            },
            ids: Arc::new(id),
        };
        change(&mut state);
        Self {
            router: router(state.clone()),
            state,
            asked,
            _switchboard: tasks,
        }
    }

    pub(super) async fn raw(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.raw(keyed_request(Method::GET, path, Body::empty()))
            .await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Answer {
        let mut request = keyed_request(Method::POST, path, Body::from(body.to_string()));
        request
            .headers_mut()
            .insert("content-type", "application/json".parse().unwrap());
        self.raw(request).await
    }

    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    pub(super) fn metric(&self, line: &str) -> String {
        let text = prometheus::TextEncoder::new();
        let text = text
            .encode_to_string(&self.state.registry.gather())
            .unwrap();
        let value = text.lines().find_map(|other| other.strip_prefix(line));
        value
            .unwrap_or_else(|| panic!("no {line} in\n{text}"))
            .trim()
            .to_owned()
    }
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The envelope's code, after checking that the envelope is one.
    pub(super) fn code(&self) -> String {
        let json = self.json();
        let error = &json["error"];
        assert_eq!(error["requestId"], self.header("x-request-id"), "{json}");
        assert!(!error["message"].as_str().unwrap().is_empty());
        assert_eq!(json.as_object().unwrap().len(), 1);
        assert_eq!(error.as_object().unwrap().len(), 3);
        let code = error["code"].as_str().unwrap();
        assert!(
            code.starts_with(self.status.as_str()),
            "{code} with {}",
            self.status
        );
        code.to_owned()
    }

    pub(super) fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap().to_owned()
    }
}

pub(super) fn key(id: &str, secret: &str) -> ApiKey {
    ApiKey {
        id: id.to_owned(),
        secret: secret.to_owned().into(),
        scopes: Scopes::all(),
        tenant: None,
    }
}

pub(super) fn request(method: Method, path: &str, body: Body) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .body(body)
        .unwrap()
}

pub(super) fn keyed_request(method: Method, path: &str, body: Body) -> Request<Body> {
    let mut request = request(method, path, body);
    request
        .headers_mut()
        .insert("asapp-api-id", "key".parse().unwrap());
    request
        .headers_mut()
        .insert("asapp-api-secret", "secret".parse().unwrap());
    request
}

pub(super) fn twilio(guid: &str) -> CallName {
    CallName {
        namespace: Namespace::Twilio,
        guid: Guid::parse(guid).unwrap(),
    }
}

/// A switchboard that never changes its mind.
async fn answer(
    mut requests: mpsc::Receiver<crate::switchboard_task::Request>,
    asked: Arc<Mutex<Vec<String>>>,
) {
    use crate::switchboard_task::Request;
    while let Some(request) = requests.recv().await {
        match request {
            Request::Call(name, answer) => {
                let known = [CALL, STREAMING_CALL].contains(&name.guid.as_str());
                drop(answer.send(known.then(|| snapshot(name))));
            }
            Request::Calls(answer) => {
                let names = [STREAMING_CALL, ENDED_CALL, CALL].map(twilio);
                drop(answer.send(names.into_iter().map(snapshot).collect()));
            }
            Request::Command(name, command, by, answer) => {
                let mut word = command.verb().to_owned();
                if let Some(tenant) = by.tenant {
                    word += &format!(" for {tenant}");
                }
                asked.lock().unwrap().push(format!("{name} {word}"));
                drop(answer.send(outcome(name.guid.as_str(), &command)));
            }
        }
    }
}

fn outcome(guid: &str, command: &Command) -> Result<Outcome, Refused> {
    let ok = |reports| {
        Ok(Outcome {
            error: None,
            reports,
        })
    };
    match (guid, command) {
        ("gateway-draining", _) => Err(Refused::Draining),
        ("gateway-gone", _) => Err(Refused::Unavailable),
        (PENDING_CALL, _) => Err(Refused::ByState(Refusal::Pending)),
        (ENDED_CALL, _) => Err(Refused::ByState(Refusal::Draining)),
        (REFUSED_CALL, Command::Start(start)) => {
            let no_room = Status {
                code: 5002,
                description: "No instances available".to_owned(),
            };
            let error = Some("agent: No instances available".to_owned());
            let reports = vec![
                report(&start.first.id, start.first.role, Status::ok(), None),
                report(&start.second.id, start.second.role, no_room, None),
            ];
            Ok(Outcome { error, reports })
        }
        (CALL | SIPREC_CALL, Command::Start(start)) => ok(vec![
            report(&start.first.id, start.first.role, Status::ok(), None),
            report(&start.second.id, start.second.role, Status::ok(), None),
        ]),
        (STREAMING_CALL, Command::Stop) => {
            let report = |id, role| report(&StreamId::new(id), role, Status::ok(), Some(summary()));
            ok(vec![
                report(IDS[1], Role::Customer),
                report(IDS[2], Role::Agent),
            ])
        }
        ("awaited", Command::Stop) | (STREAMING_CALL, Command::Pause) => ok(Vec::new()),
        ("held", Command::Resume) => ok(Vec::new()),
        ("silent-service", Command::Stop) => {
            let silent = Status::internal("no finalResponse in time");
            let reports = vec![report(&StreamId::new(IDS[1]), Role::Customer, silent, None)];
            Ok(Outcome {
                error: Some("customer: no finalResponse in time".to_owned()),
                reports,
            })
        }
        (CALL | STREAMING_CALL, _) => Err(Refused::ByState(Refusal::Already)),
        _ => Err(Refused::ByState(Refusal::NoCall)),
    }
}

fn report(id: &StreamId, role: Role, status: Status, summary: Option<Summary>) -> Report {
    Report {
        id: id.clone(),
        role,
        status,
        summary,
    }
}

fn summary() -> Summary {
    Summary {
        audio_bytes: 1_334_720,
        audio: Duration::from_millis(83_420),
        streaming: Duration::from_millis(83_420),
        transcripts: 2,
    }
}

fn snapshot(name: CallName) -> CallSnapshot {
    let leg = LegSnapshot {
        id: LegId(7),
        side: Side::First,
        role: Some(LegRole {
            role: Role::Customer,
            reason: "trackMap of the start".to_owned(),
            confidence: "high",
        }),
        identifiers: vec![("label", "inbound".to_owned())],
        gate: Gate::Open,
        stats: LegStats {
            frames: 50,
            received: 8000,
            passed: 8000,
            ..LegStats::default()
        },
    };
    let stream = StreamSnapshot {
        id: StreamId::new(IDS[1]),
        role: Role::Customer,
        leg: Some(LegId(7)),
        service: Some("autotranscribe"),
        state: "ready",
        sent_bytes: 16_000,
        transcripts: 1,
        waiting: 80,
        report: None,
    };
    CallSnapshot {
        name,
        owner: Owner::Nobody,
        state: StateName::Streaming,
        began_unix_ms: 1_700_000_000_120,
        names: vec![Guid::parse("another").unwrap()],
        identifiers: vec![("streamSid", "MZ1".to_owned())],
        legs: vec![leg],
        streams: vec![stream],
    }
}
