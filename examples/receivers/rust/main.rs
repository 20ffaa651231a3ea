//! A receiver of Antiphon's webhooks: verifies, answers at once, tells each event once.
//!
//! `WEBHOOK_SECRET=whsec_... cargo run -p antiphon-sim --example receiver [PORT]`
//!
//! While a secret is being replaced `WEBHOOK_SECRET` holds both, with a space between them.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use standardwebhooks::Webhook;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const BODY_BYTES_MAX: usize = 1 << 20;
/// Events that wait to be worked on; when there are more the sender is asked to come again.
const WAITING_MAX: usize = 10_000;
/// What came before these is forgotten. Who must not see an event twice after a restart either
/// keeps the ids where the events go, with a unique key.
const IDS_MAX: usize = 100_000;

struct Receiver {
    webhooks: Vec<Webhook>,
    seen: Mutex<Seen>,
    events: mpsc::Sender<Value>,
}

#[derive(Default)]
struct Seen {
    ids: HashSet<String>,
    order: VecDeque<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let secrets = std::env::var("WEBHOOK_SECRET").context("WEBHOOK_SECRET is not set")?;
    let webhooks: Vec<_> = secrets
        .split_whitespace()
        .map(Webhook::new)
        .collect::<Result<_, _>>()?;
    let (events, waiting) = mpsc::channel(WAITING_MAX);
    let receiver = Arc::new(Receiver {
        webhooks,
        seen: Mutex::default(),
        events,
    });
    let routes = Router::new()
        .fallback(post(take))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(receiver);
    let port = match std::env::args().nth(1) {
        Some(port) => port.parse().context("the port is no number")?,
        None => 8095,
    };
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?.port());
    tokio::select! {
        served = axum::serve(listener, routes) => served?,
        () = work(waiting) => {}
    }
    Ok(())
}

/// Whatever is not 2xx is sent again.
async fn take(
    State(receiver): State<Arc<Receiver>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let is_by = |webhook: &Webhook| webhook.verify(&body, &headers).is_ok();
    if !receiver.webhooks.iter().any(is_by) {
        return StatusCode::UNAUTHORIZED;
    }
    let Some(id) = headers.get("webhook-id").and_then(|id| id.to_str().ok()) else {
        return StatusCode::BAD_REQUEST;
    };
    let Ok(event) = serde_json::from_slice(&body) else {
        return StatusCode::BAD_REQUEST;
    };
    // Whoever comes twice at once must find the first one's id.
    let mut seen = receiver.seen.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.ids.contains(id) {
        return StatusCode::NO_CONTENT;
    }
    if receiver.events.try_send(event).is_err() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    seen.remember(id);
    StatusCode::NO_CONTENT
}

/// What takes its time happens here, not before the answer.
async fn work(mut waiting: mpsc::Receiver<Value>) {
    while let Some(event) = waiting.recv().await {
        let (conversation, sender, text) = match event["type"].as_str() {
            // format = "asapp"
            Some("transcript") => (
                &event["externalConversationId"],
                &event["sender"],
                &event["autotranscribeResponse"]["utterance"][0]["text"],
            ),
            // format = "envelope"
            Some("transcript.final") => (
                &event["data"]["conversation"]["guid"],
                &event["data"]["sender"],
                &event["data"]["alternatives"][0]["text"],
            ),
            _ => continue,
        };
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        println!(
            "{} {}: {}",
            word(conversation),
            word(&sender["role"]),
            word(text)
        );
    }
}

impl Seen {
    fn remember(&mut self, id: &str) {
        self.ids.insert(id.to_owned());
        self.order.push_back(id.to_owned());
        if self.order.len() > IDS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}
