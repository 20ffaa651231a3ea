//! The least that can stand between a caller and a service, so that this crate's own two ends can
//! be tested against each other without the gateway. It has none of the gateway's code.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::ws::{Message as ServerMessage, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::caller::ulaw;
use crate::control::Gateway;

const CHUNK_BYTES: usize = 1_600;
const ROLES: [&str; 2] = ["customer", "agent"];

/// A bridge on loopback.
pub(crate) struct Bridge {
    /// Where its API is.
    pub(crate) base: String,
    _server: JoinSet<()>,
}

/// What all handlers share.
#[derive(Clone)]
struct World {
    base: String,
    service: String,
    api_key: (&'static str, &'static str),
    calls: Arc<Mutex<HashMap<String, Vec<Leg>>>>,
    /// Drops every frame with this sequence number, to see that the loss is noticed.
    drops: Option<u64>,
}

/// An open stream towards the service.
struct Leg {
    sound: Sender<Vec<u8>>,
    stream: JoinSet<Value>,
}

impl Bridge {
    /// Starts one towards the service at `service`.
    pub(crate) async fn start(
        service: &str,
        api_key: (&'static str, &'static str),
        drops: Option<u64>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let world = World {
            base: base.clone(),
            service: service.to_owned(),
            api_key,
            calls: Arc::default(),
            drops,
        };
        let router = Router::new()
            .route("/health/ready", get(async || "ready"))
            .route("/mg-autotranscribe/v1/twilio-media-stream-url", get(url))
            .route("/mg-autotranscribe/v1/start-streaming", post(start))
            .route("/mg-autotranscribe/v1/stop-streaming", post(stop))
            .route("/media/{token}", get(media))
            .with_state(world);
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            base,
            _server: server,
        }
    }
}

async fn url(State(world): State<World>) -> Json<Value> {
    let base = world.base.replace("http", "ws");
    Json(json!({ "streamingUrl": format!("{base}/media/token") }))
}

async fn start(State(world): State<World>, Json(body): Json<Value>) -> Json<Value> {
    let guid = body["guid"].as_str().unwrap().to_owned();
    let mut legs = Vec::new();
    for role in ROLES {
        legs.push(open(&world, &guid, role).await);
    }
    world.calls.lock().unwrap().insert(guid, legs);
    let started = json!({"streamId": "s", "status": {"code": 1000, "description": "OK"}});
    let both = json!({"customer": started, "agent": started});
    Json(json!({"isOk": true, "autotranscribeResponse": both}))
}

async fn stop(State(world): State<World>, Json(body): Json<Value>) -> Json<Value> {
    let legs = world
        .calls
        .lock()
        .unwrap()
        .remove(body["guid"].as_str().unwrap())
        .unwrap();
    let mut both = serde_json::Map::new();
    for (Leg { sound, mut stream }, role) in legs.into_iter().zip(ROLES) {
        drop(sound);
        let summary = stream.join_next().await.unwrap().unwrap()["summary"].clone();
        both.insert(
            role.to_owned(),
            json!({"streamId": "s", "summary": summary}),
        );
    }
    Json(json!({"isOk": true, "autotranscribeResponse": both}))
}

async fn media(
    State(world): State<World>,
    Path(_): Path<String>,
    upgrade: WebSocketUpgrade,
) -> axum::response::Response {
    upgrade.on_upgrade(|socket| listen(world, socket))
}

async fn listen(world: World, mut socket: WebSocket) {
    let mut guid = String::new();
    while let Some(Ok(message)) = socket.recv().await {
        let ServerMessage::Text(text) = message else {
            continue;
        };
        let message: Value = serde_json::from_str(&text).unwrap();
        if let Some(sid) = message["start"]["callSid"].as_str() {
            guid = sid.to_owned();
        }
        let Some(payload) = message["media"]["payload"].as_str() else {
            continue;
        };
        let sequence = message["sequenceNumber"]
            .as_str()
            .and_then(|text| text.parse().ok());
        if sequence == world.drops {
            continue;
        }
        let side = usize::from(message["media"]["track"] == "outbound");
        let calls = world.calls.lock().unwrap();
        if let Some(legs) = calls.get(&guid) {
            let codes = STANDARD.decode(payload).unwrap();
            legs[side].sound.try_send(ulaw::l16(&codes)).unwrap();
        }
    }
}

async fn open(world: &World, guid: &str, role: &str) -> Leg {
    let (id, secret) = world.api_key;
    let service = Gateway::new(&world.service, id, secret, None).unwrap();
    let asked = json!({"externalId": guid});
    let answer = service
        .post("/autotranscribe/v1/streaming-url", &asked)
        .await
        .unwrap();
    // Such a URL has no path; a request line needs one.
    let url = answer.body["streamingUrl"]
        .as_str()
        .unwrap()
        .parse::<url::Url>()
        .unwrap();
    let (mut socket, _) = connect_async(url.as_str()).await.unwrap();
    let start = json!({"message": "startStream", "sender": {"role": role, "externalId": "x"}});
    socket.send(Message::text(start.to_string())).await.unwrap();
    socket.next().await.unwrap().unwrap();
    let (sound, frames) = channel(10_000);
    let mut stream = JoinSet::new();
    stream.spawn(forward(socket, frames));
    Leg { sound, stream }
}

type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn forward(mut socket: Socket, mut frames: Receiver<Vec<u8>>) -> Value {
    let mut chunk = Vec::new();
    while let Some(frame) = frames.recv().await {
        chunk.extend(frame);
        if chunk.len() >= CHUNK_BYTES {
            socket
                .send(Message::binary(std::mem::take(&mut chunk)))
                .await
                .unwrap();
        }
    }
    if !chunk.is_empty() {
        socket.send(Message::binary(chunk)).await.unwrap();
    }
    let finish = json!({"message": "finishStream"});
    socket
        .send(Message::text(finish.to_string()))
        .await
        .unwrap();
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else {
            continue;
        };
        let message: Value = serde_json::from_str(&text).unwrap();
        if message["message"] == "finalResponse" {
            return message;
        }
    }
    Value::Null
}
