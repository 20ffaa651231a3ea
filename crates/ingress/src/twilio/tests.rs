//! The adapter through real sockets: who is let in, what is answered, and how sockets end.

use std::net::SocketAddr;
use std::time::UNIX_EPOCH;

use call::ending::Ending;
use call::leg::LegConfig;
use futures_util::{SinkExt, StreamExt};
use http::{Request, StatusCode};
use prometheus::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::*;
use crate::intake::{Arrival, Opened};

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

const AUTH_TOKEN: &str = "12345678901234567890123456789012";
const START: &str = r#"{"event":"start","start":{
    "streamSid":"MZ1","callSid":"CA1","tracks":["inbound","outbound"]}}"#;
const MEDIA: &str =
    r#"{"event":"media","media":{"track":"inbound","timestamp":"52","payload":"AAAA"}}"#;

struct World {
    twilio: Arc<Twilio>,
    address: SocketAddr,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    registry: Registry,
    _server: JoinSet<()>,
}

fn private(text: &str) -> Private<String> {
    Private::new(text.to_owned())
}

fn config() -> TwilioConfig {
    TwilioConfig {
        public_url: Url::parse("https://gw.example.com").unwrap(),
        auth_tokens: vec![private(AUTH_TOKEN)],
        token_secret: private("secret"),
        close_timeout: Duration::from_secs(1),
        ..TwilioConfig::default()
    }
}

impl World {
    async fn new(config: TwilioConfig) -> Self {
        let (intake, arrivals) = Intake::new(LegConfig::default());
        let registry = Registry::new();
        let metrics = Arc::new(Metrics::register(&registry).unwrap());
        let twilio = Twilio::new(config, intake, metrics);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = twilio.routes();
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self {
            twilio,
            address,
            arrivals,
            registry,
            _server: server,
        }
    }

    fn path(&self) -> String {
        let url = self.twilio.streaming_url(SystemTime::now());
        url.strip_prefix("wss://gw.example.com").unwrap().to_owned()
    }

    fn request(&self, path: &str, signed: &str) -> Request<()> {
        let url = format!("ws://{}{path}", self.address);
        let mut request = url.into_client_request().unwrap();
        let signature =
            signature::compute(AUTH_TOKEN, &format!("wss://gw.example.com{signed}"), &[]);
        request
            .headers_mut()
            .insert("x-twilio-signature", signature.parse().unwrap());
        request
    }

    /// Opens a socket as Twilio would.
    async fn dial(&self) -> Client {
        let path = self.path();
        let (client, response) = tokio_tungstenite::connect_async(self.request(&path, &path))
            .await
            .unwrap();
        assert_eq!(response.headers().get("sec-websocket-protocol"), None);
        assert_eq!(response.headers().get("sec-websocket-extensions"), None);
        client
    }

    async fn refused(&self, request: Request<()>) -> (StatusCode, String, HeaderMap) {
        let error = tokio_tungstenite::connect_async(request).await.unwrap_err();
        let tungstenite::Error::Http(response) = error else {
            panic!("{error}")
        };
        let (parts, body) = response.into_parts();
        (
            parts.status,
            String::from_utf8(body.unwrap_or_default()).unwrap(),
            parts.headers,
        )
    }

    async fn opened(&mut self) -> Opened {
        match self.arrivals.recv().await {
            Some(Arrival::Opened(opened)) => opened,
            other => panic!("{other:?}"),
        }
    }

    async fn ended(&mut self) -> Ending {
        match self.arrivals.recv().await {
            Some(Arrival::Ended(_, ending)) => ending,
            other => panic!("{other:?}"),
        }
    }

    fn count(&self, name: &str, value: &str) -> u64 {
        let families = self.registry.gather();
        let family = families
            .iter()
            .find(|family| family.name() == name)
            .unwrap();
        let labelled = |metric: &&prometheus::proto::Metric| {
            value.is_empty()
                || metric
                    .get_label()
                    .iter()
                    .any(|label| label.value() == value)
        };
        let metric = family.get_metric().iter().find(labelled).unwrap();
        metric.get_counter().get_value() as u64
    }
}

async fn say(client: &mut Client, text: &str) {
    client.send(Message::text(text)).await.unwrap();
}

/// The code that the gateway closed with; it says nothing else.
async fn closed(client: &mut Client) -> Option<u16> {
    match client.next().await {
        Some(Ok(Message::Close(frame))) => frame.map(|frame| frame.code.into()),
        Some(Ok(other)) => panic!("the gateway said {other:?}"),
        Some(Err(_)) | None => None,
    }
}

fn code(body: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["error"]["requestId"].as_str().unwrap().len(), 36);
    assert!(body["error"]["message"].is_string());
    body["error"]["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_signed_socket_with_a_token_is_opened_fed_and_stopped() {
    let mut world = World::new(config()).await;
    let mut client = world.dial().await;
    say(
        &mut client,
        r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#,
    )
    .await;
    say(&mut client, START).await;
    let first = world.opened().await;
    let second = world.opened().await;
    assert_eq!(
        (
            first.introduction.call.to_string(),
            second.introduction.call.to_string()
        ),
        ("twilio/CA1".into(), "twilio/CA1".into())
    );
    assert_eq!(
        first.introduction.identifiers,
        [("streamSid", "MZ1".to_owned())]
    );
    assert!(first.control.clock().is_same(second.control.clock()));
    say(&mut client, MEDIA).await;
    say(&mut client, r#"{"event":"stop"}"#).await;
    assert_eq!(world.ended().await.reason, "stopped");
    assert_eq!(world.ended().await.reason, "stopped");
    assert_eq!(first.control.stats().received, 3);
    client.close(None).await.unwrap();
    assert_eq!(closed(&mut client).await, None);
    world.twilio.close_all().await;
    assert_eq!(world.twilio.sockets(), 0);
    assert_eq!(world.count("antiphon_twilio_upgrades_total", "accepted"), 1);
    assert_eq!(world.count("antiphon_twilio_messages_total", "media"), 1);
    assert_eq!(
        world.count("antiphon_twilio_sockets_ended_total", "peer"),
        1
    );
}

#[tokio::test]
async fn a_token_is_taken_as_a_segment_or_as_a_query() {
    let world = World::new(config()).await;
    let path = world.path();
    let token = path.rsplit('/').next().unwrap();
    for base in [STREAM_PATH, "/twilio-media"] {
        let path = format!("{base}?token={token}");
        for signed in [base, &path] {
            let opened = tokio_tungstenite::connect_async(world.request(&path, signed)).await;
            assert!(opened.is_ok(), "{path} signed as {signed}");
        }
    }
}

#[tokio::test]
async fn without_a_good_token_nobody_is_let_in_nor_told_why() {
    let world = World::new(config()).await;
    let path = world.path();
    let past = world
        .twilio
        .streaming_url(UNIX_EPOCH)
        .replace("wss://gw.example.com", "");
    let tampered = path.replace(&path[path.len() - 20..], "AAAAAAAAAAAAAAAAAAAA");
    let cases = [
        (past, "expired_token"),
        (tampered, "bad_token"),
        (format!("{STREAM_PATH}/{}", "x".repeat(2_000)), "bad_token"),
        (STREAM_PATH.to_owned(), "missing_token"),
        ("/twilio-media?tok=en".to_owned(), "missing_token"),
    ];
    let mut messages = std::collections::HashSet::new();
    for (path, reason) in cases {
        let before = world.count("antiphon_twilio_upgrades_total", reason);
        let (status, body, headers) = world.refused(world.request(&path, &path)).await;
        assert_eq!(
            (status, code(&body).as_str()),
            (StatusCode::UNAUTHORIZED, "401-01"),
            "{reason}"
        );
        assert!(headers.contains_key("x-request-id"));
        assert_eq!(
            world.count("antiphon_twilio_upgrades_total", reason),
            before + 1
        );
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        messages.insert(body["error"]["message"].to_string());
    }
    assert_eq!(messages.len(), 1, "{messages:?}");
}

#[tokio::test]
async fn without_a_good_signature_nobody_is_let_in() {
    let world = World::new(config()).await;
    let path = world.path();
    let mut unsigned = world.request(&path, &path);
    unsigned.headers_mut().remove("x-twilio-signature");
    let mut unknown = world.request(&path, &path);
    unknown.headers_mut().insert(
        "x-twilio-webhooks-signature-settings",
        "key=k,algorithm=MD5".parse().unwrap(),
    );
    for (request, reason) in [
        (unsigned, "missing_signature"),
        (world.request(&path, "/elsewhere"), "bad_signature"),
        (unknown, "unknown_algorithm"),
    ] {
        let (status, body, _) = world.refused(request).await;
        assert_eq!(
            (status, code(&body).as_str()),
            (StatusCode::FORBIDDEN, "403-01"),
            "{reason}"
        );
        assert_eq!(world.count("antiphon_twilio_upgrades_total", reason), 1);
    }
    let world = World::new(TwilioConfig {
        require_signature: false,
        ..config()
    })
    .await;
    let path = world.path();
    assert!(
        tokio_tungstenite::connect_async(world.request(&path, "/elsewhere"))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn secrets_can_be_replaced_while_sockets_are_open() {
    let world = World::new(config()).await;
    let _open = world.dial().await;
    let before = world.path();
    world.twilio.reload(
        &[private("new")],
        &[],
        &[private("other"), private("secret")],
    );
    let (status, ..) = world.refused(world.request(&before, &before)).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    world
        .twilio
        .reload(&[private("new"), private(AUTH_TOKEN)], &[], &[]);
    assert!(
        tokio_tungstenite::connect_async(world.request(&before, &before))
            .await
            .is_ok()
    );
    world
        .twilio
        .reload(&[private(AUTH_TOKEN)], &[], &[private("other")]);
    let (status, ..) = world.refused(world.request(&before, &before)).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    drop(world.dial().await);
}

#[tokio::test]
async fn more_sockets_than_the_limit_and_a_drain_are_answered_503() {
    let mut world = World::new(TwilioConfig {
        sockets_max: 2,
        ..config()
    })
    .await;
    let mut first = world.dial().await;
    let second = world.dial().await;
    assert_eq!(world.twilio.sockets(), 2);
    let path = world.path();
    let (status, body, headers) = world.refused(world.request(&path, &path)).await;
    assert_eq!(
        (status, code(&body).as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "503-01")
    );
    assert_eq!(headers.get("retry-after").unwrap(), "5");
    drop(second);
    world.twilio.refuse_new();
    let (status, ..) = world.refused(world.request(&path, &path)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.count("antiphon_twilio_upgrades_total", "full"), 1);
    assert_eq!(world.count("antiphon_twilio_upgrades_total", "draining"), 1);
    // What is open goes on.
    say(&mut first, START).await;
    world.opened().await;
}

#[tokio::test]
async fn what_is_left_is_ended_and_closed() {
    let mut world = World::new(config()).await;
    let mut client = world.dial().await;
    say(&mut client, START).await;
    world.opened().await;
    world.opened().await;
    let (code, ()) = tokio::join!(closed(&mut client), world.twilio.close_all());
    assert_eq!(code, Some(1001));
    assert_eq!(world.ended().await.reason, "shutdown");
    assert_eq!(world.twilio.sockets(), 0);
}

#[tokio::test]
async fn a_request_that_is_no_handshake_is_told_so() {
    let world = World::new(config()).await;
    let path = world.path();
    let signature = signature::compute(AUTH_TOKEN, &format!("wss://gw.example.com{path}"), &[]);
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let headers = format!("host: x\r\nx-twilio-signature: {signature}\r\nconnection: close");
    let request = format!("GET {path} HTTP/1.1\r\n{headers}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("400-01"),
        "{answer}"
    );
    assert_eq!(world.twilio.sockets(), 0);
}

#[tokio::test]
async fn large_payloads_are_taken_and_a_message_over_the_limit_closes() {
    let mut world = World::new(config()).await;
    let mut client = world.dial().await;
    say(&mut client, START).await;
    let first = world.opened().await;
    world.opened().await;
    say(
        &mut client,
        &MEDIA.replace("AAAA", &payload::encode(&[0; 8_000])),
    )
    .await;
    // It may not get to writing it all, but it hears why.
    drop(client.send(Message::text("x".repeat(1 << 20))).await);
    assert_eq!(closed(&mut client).await, Some(1009));
    assert_eq!(world.ended().await.reason, "refused");
    assert_eq!(first.control.stats().received, 8_000);
}

#[tokio::test]
async fn violations_have_their_codes() {
    let mut world = World::new(TwilioConfig {
        bad_messages_max: 3,
        ..config()
    })
    .await;
    let mut client = world.dial().await;
    for _ in 0..3 {
        say(&mut client, "nonsense").await;
    }
    assert_eq!(closed(&mut client).await, Some(1007));
    let mut client = world.dial().await;
    say(
        &mut client,
        r#"{"event":"start","start":{"callSid":"CA1","mediaFormat":{"sampleRate":16000}}}"#,
    )
    .await;
    assert_eq!(closed(&mut client).await, Some(1003));
    let mut client = world.dial().await;
    say(&mut client, START).await;
    say(&mut client, &START.replace("CA1", "CA2")).await;
    assert_eq!(closed(&mut client).await, Some(1008));
    world.opened().await;
}

#[tokio::test]
async fn a_socket_that_never_starts_is_closed_with_1008() {
    let world = World::new(TwilioConfig {
        start_timeout: Duration::from_millis(50),
        ..config()
    })
    .await;
    let mut client = world.dial().await;
    assert_eq!(closed(&mut client).await, Some(1008));
}

#[tokio::test]
async fn a_silent_socket_loses_its_legs_and_later_itself() {
    let limits = TwilioConfig {
        media_timeout: Duration::from_millis(50),
        socket_timeout: Duration::from_millis(200),
        ..config()
    };
    let mut world = World::new(limits).await;
    let mut client = world.dial().await;
    say(&mut client, START).await;
    world.opened().await;
    world.opened().await;
    assert_eq!(world.ended().await.reason, "media_timeout");
    assert_eq!(world.ended().await.reason, "media_timeout");
    assert_eq!(closed(&mut client).await, Some(1001));
}

#[tokio::test]
async fn a_socket_that_breaks_or_closes_without_stop_is_lost() {
    let mut world = World::new(config()).await;
    for rude in [true, false] {
        let mut client = world.dial().await;
        say(&mut client, START).await;
        world.opened().await;
        world.opened().await;
        if rude {
            let MaybeTlsStream::Plain(stream) = client.get_ref() else {
                panic!("it is plain")
            };
            stream.set_zero_linger().unwrap();
            drop(client);
        } else {
            client.close(None).await.unwrap();
            assert_eq!(closed(&mut client).await, None);
        }
        let ending = world.ended().await;
        assert_eq!(
            (ending.fault.as_str(), ending.reason),
            ("client", "socket_lost")
        );
        world.ended().await;
    }
}

#[tokio::test]
async fn a_retired_leg_ends_at_once_and_its_socket_is_drained() {
    let mut world = World::new(config()).await;
    let mut client = world.dial().await;
    say(&mut client, START).await;
    let first = world.opened().await;
    let second = world.opened().await;
    first.retire.cancel();
    assert_eq!(world.ended().await.reason, "retired");
    second.retire.cancel();
    assert_eq!(world.ended().await.reason, "retired");
    for _ in 0..1_000 {
        say(&mut client, MEDIA).await;
    }
    client.close(None).await.unwrap();
    assert_eq!(closed(&mut client).await, None);
    world.twilio.close_all().await;
    assert_eq!(
        world.count("antiphon_twilio_ignored_frames_total", "retired"),
        1_000
    );
}

#[tokio::test]
async fn many_sockets_of_one_url_are_all_served() {
    let mut world = World::new(config()).await;
    let path = world.path();
    let mut clients = Vec::new();
    for index in 0..50 {
        let request = world.request(&path, &path);
        let (mut client, _) = tokio_tungstenite::connect_async(request).await.unwrap();
        say(&mut client, &START.replace("CA1", &format!("CA{index}"))).await;
        say(&mut client, MEDIA).await;
        clients.push(client);
    }
    let mut legs = std::collections::HashSet::new();
    for _ in 0..100 {
        let opened = world.opened().await;
        legs.insert((opened.introduction.call, opened.introduction.side));
    }
    assert_eq!((legs.len(), world.twilio.sockets()), (100, 50));
}
