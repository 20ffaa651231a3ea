//! Readers of events over real WebSockets.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::*;
use crate::events::Event;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A world that listens.
struct Listening {
    world: World,
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Listening {
    async fn new(change: impl FnOnce(&mut ApiState)) -> Self {
        let world = World::with(change);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = world.router.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            world,
            address,
            _tasks: tasks,
        }
    }

    async fn connect(&self, path: &str) -> Result<Socket, Error> {
        let url = format!("ws://{}{path}", self.address);
        let mut request = url.into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("asapp-api-id", "key".parse().unwrap());
        headers.insert("asapp-api-secret", "secret".parse().unwrap());
        connect_async(request).await.map(|(socket, _)| socket)
    }
}

async fn told(socket: &mut Socket) -> Value {
    loop {
        if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

/// Code and reason of the close.
async fn closed(socket: &mut Socket) -> (u16, String) {
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Close(Some(close)) = message {
            return (close.code.into(), close.reason.to_string());
        }
    }
    panic!("it is gone without a close");
}

#[tokio::test]
async fn a_websocket_tells_the_same_events_as_server_sent_events() {
    let listening = Listening::new(|_| ()).await;
    let bus = &listening.world.state.bus;
    bus.publish(&twilio("1"), Event::CallStarted);
    bus.publish(&twilio("2"), Event::CallStarted);
    let mut all = listening.connect("/v1/events/ws?after=0").await.unwrap();
    let first = told(&mut all).await;
    assert_eq!(
        (&first["type"], &first["call"]["guid"]),
        (&json!("callStarted"), &json!("1"))
    );
    let sent = listening
        .world
        .get("/v1/events?after=0&follow=false")
        .await
        .text();
    let data = sent
        .lines()
        .find_map(|line| line.strip_prefix("data: "))
        .unwrap();
    assert_eq!(serde_json::from_str::<Value>(data).unwrap(), first);
    let path = "/v1/calls/twilio/2/events/ws?after=0&follow=false";
    let mut one = listening.connect(path).await.unwrap();
    assert_eq!(told(&mut one).await["call"]["guid"], "2");
    assert_eq!(closed(&mut one).await.0, 1000);
    bus.close();
    assert_eq!(told(&mut all).await["call"]["guid"], "2");
    assert_eq!(closed(&mut all).await, (1001, bus.id(2).to_string()));
}

#[tokio::test]
async fn a_client_subscribes_to_what_it_wants() {
    let listening = Listening::new(|_| ()).await;
    let bus = &listening.world.state.bus;
    for guid in ["1", "2", "3"] {
        bus.publish(&twilio(guid), Event::CallStarted);
        bus.publish(&twilio(guid), Event::CallChanged(StateName::Idle));
    }
    let mut socket = listening.connect("/v1/events/ws?wait=true").await.unwrap();
    let wanted = json!({"subscribe": {
        "after": "0", "kinds": ["callChanged"],
        "calls": [{"namespace": "twilio", "guid": "1"}, {"namespace": "twilio", "guid": "3"}],
    }});
    let message = Message::text(wanted.to_string());
    socket.send(message).await.unwrap();
    for guid in ["1", "3"] {
        let event = told(&mut socket).await;
        let about = (&event["type"], &event["call"]["guid"]);
        assert_eq!(about, (&json!("callChanged"), &json!(guid)));
    }
}

#[tokio::test]
async fn what_cannot_be_subscribed_to_closes_the_socket_with_the_reason() {
    let listening = Listening::new(|_| ()).await;
    for (path, message, code) in [
        ("/v1/events/ws", r#"{"subscribe": {"kinds": ["x"]}}"#, 1008),
        ("/v1/events/ws", "nonsense", 1008),
        (
            "/v1/calls/twilio/1/events/ws",
            r#"{"subscribe": {"calls": [{"namespace": "twilio", "guid": "2"}]}}"#,
            1008,
        ),
    ] {
        let mut socket = listening.connect(path).await.unwrap();
        socket.send(Message::text(message)).await.unwrap();
        let (was, reason) = closed(&mut socket).await;
        assert!(
            was == code && !reason.is_empty(),
            "{message}: {was} {reason}"
        );
    }
    let mut socket = listening.connect("/v1/events/ws").await.unwrap();
    socket.send(Message::binary(vec![1])).await.unwrap();
    assert_eq!(closed(&mut socket).await.0, 1003);
}

#[tokio::test]
async fn a_token_among_the_protocols_opens_a_websocket() {
    let listening = Listening::new(|_| ()).await;
    let body = json!({"scope": "events"});
    let token = listening.world.post("/v1/tokens", &body).await.json();
    let token = token["token"].as_str().unwrap().to_owned();
    let connect = async |protocols: String| {
        let url = format!("ws://{}/v1/events/ws", listening.address);
        let mut request = url.into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", protocols.parse().unwrap());
        connect_async(request).await
    };
    let (_socket, response) = connect(format!("antiphon.events.v1, token.{token}"))
        .await
        .unwrap();
    assert_eq!(
        response.headers()["sec-websocket-protocol"],
        "antiphon.events.v1"
    );
    let refused = connect("antiphon.events.v1, token.v1.e30.c2ln".to_owned()).await;
    assert!(matches!(refused, Err(Error::Http(response)) if response.status() == 401));
}

#[tokio::test]
async fn a_reader_that_is_silent_for_long_is_cut_with_the_place_to_come_back_to() {
    let listening = Listening::new(|state| {
        state.settings.subscriber_stall = Duration::from_millis(50);
    })
    .await;
    let bus = &listening.world.state.bus;
    bus.publish(&twilio("1"), Event::CallStarted);
    let path = "/v1/events/ws?after=0";
    let mut socket = listening.connect(path).await.unwrap();
    assert_eq!(told(&mut socket).await["type"], "callStarted");
    assert_eq!(closed(&mut socket).await, (4008, bus.id(1).to_string()));
}

#[tokio::test]
async fn without_a_handshake_there_is_a_clear_answer() {
    let world = World::new();
    assert_eq!(world.get("/v1/events/ws").await.code(), "400-01");
}
