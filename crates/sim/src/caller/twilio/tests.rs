use futures_util::StreamExt;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::*;
use crate::caller::tls;
use crate::caller::wav::Recording;
use crate::network::{Conditions, Network};

const CLOSING: Duration = Duration::from_secs(5);

async fn listener() -> (TcpListener, Options) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/media", listener.local_addr().unwrap());
    let mut options = Options::new(url, tls::client_config(None).unwrap());
    options.speed = 0.0;
    (listener, options)
}

async fn accept(listener: &TcpListener) -> WebSocketStream<TcpStream> {
    let (tcp, _) = listener.accept().await.unwrap();
    accept_async(tcp).await.unwrap()
}

async fn dialled() -> (TwilioCall, WebSocketStream<TcpStream>) {
    let (listener, options) = listener().await;
    let (call, gateway) = tokio::join!(TwilioCall::dial(options), accept(&listener));
    (call.unwrap(), gateway)
}

/// All messages until the socket closes.
async fn heard(mut gateway: WebSocketStream<TcpStream>) -> Vec<Value> {
    let mut messages = Vec::new();
    while let Some(Ok(message)) = gateway.next().await {
        if let Message::Text(text) = message {
            messages.push(serde_json::from_str(&text).unwrap());
        }
    }
    messages
}

fn field(message: &Value, pointer: &str) -> u64 {
    message
        .pointer(pointer)
        .unwrap()
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}

#[tokio::test]
async fn a_call_is_connected_start_media_stop() {
    let (mut call, gateway) = dialled().await;
    let voice = [1_000_i16; 400];
    let (ended, messages) = tokio::join!(
        async move {
            call.say(Side::Outbound, &voice).await.unwrap();
            assert_eq!(
                (call.frames_sent(), call.sent(Side::Outbound).samples),
                (6, 480)
            );
            assert_eq!(call.media_time(), Duration::from_millis(60));
            call.hang_up().await.unwrap()
        },
        heard(gateway)
    );
    assert_eq!(ended.code, Some(1000));
    let events: Vec<&str> = messages
        .iter()
        .map(|message| message["event"].as_str().unwrap())
        .collect();
    let media = ["media"; 6];
    assert_eq!(
        events,
        [&["connected", "start"][..], &media, &["stop"]].concat()
    );
    for (index, message) in messages.iter().enumerate().skip(1) {
        assert_eq!(field(message, "/sequenceNumber"), index as u64);
    }
    let last = &messages[7];
    assert_eq!(last["media"]["track"], "outbound");
    assert_eq!(
        (field(last, "/media/chunk"), field(last, "/media/timestamp")),
        (3, 92)
    );
    let silent = &messages[6]["media"];
    assert_eq!(
        (silent["track"].as_str(), silent["timestamp"].as_str()),
        (Some("inbound"), Some("92"))
    );
}

#[tokio::test]
async fn the_tape_holds_what_was_sent_and_the_last_frame_is_filled_up() {
    let (mut call, _gateway) = dialled().await;
    call.say(Side::Inbound, &[8; 200]).await.unwrap();
    let mut expected = vec![ulaw::encode(8); 200];
    expected.resize(320, ulaw::SILENCE);
    assert_eq!(call.sent(Side::Inbound).tape, expected);
    assert_eq!(call.sent(Side::Outbound).tape, [ulaw::SILENCE; 320]);
}

#[tokio::test]
async fn what_is_lost_jumps_the_timestamp_and_takes_no_number() {
    let (mut call, gateway) = dialled().await;
    let recording = Recording {
        inbound: vec![0; 160 * 500],
        outbound: Vec::new(),
    };
    let mut network = Network::new(
        7,
        Conditions {
            loss: 0.1,
            ..Conditions::PERFECT
        },
    );
    call.set_sides(&[Side::Inbound]);
    let (lost, messages) = tokio::join!(
        async {
            call.play(&recording, &mut network, || {}).await.unwrap();
            call.silence(Duration::from_millis(20)).await.unwrap();
            call.hang_up().await.unwrap();
            network.counts().lost
        },
        heard(gateway)
    );
    let media: Vec<&Value> = messages
        .iter()
        .filter(|message| message["event"] == "media")
        .collect();
    assert_eq!(media.len() as u64, 501 - lost);
    assert!(lost > 20, "{lost}");
    let numbers: Vec<u64> = messages[1..]
        .iter()
        .map(|message| field(message, "/sequenceNumber"))
        .collect();
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u64));
    assert_eq!(
        field(media[media.len() - 1], "/media/timestamp"),
        52 + 500 * 20
    );
}

#[tokio::test]
async fn what_is_overtaken_keeps_its_number() {
    let (mut call, gateway) = dialled().await;
    let recording = Recording {
        inbound: vec![0; 160 * 200],
        outbound: Vec::new(),
    };
    let mut network = Network::new(
        7,
        Conditions {
            reorder: 0.1,
            ..Conditions::PERFECT
        },
    );
    call.set_sides(&[Side::Inbound]);
    let ((), messages) = tokio::join!(
        async {
            call.play(&recording, &mut network, || {}).await.unwrap();
            call.hang_up().await.unwrap();
        },
        heard(gateway)
    );
    let numbers: Vec<u64> = messages[1..]
        .iter()
        .map(|message| field(message, "/sequenceNumber"))
        .collect();
    assert!(!numbers.is_sorted());
    for message in messages
        .iter()
        .filter(|message| message["event"] == "media")
    {
        let place = field(message, "/media/chunk");
        assert_eq!(field(message, "/media/timestamp"), 52 + (place - 1) * 20);
        assert_eq!(field(message, "/sequenceNumber"), place + 1);
    }
    let stop = &messages[messages.len() - 1];
    assert_eq!(field(stop, "/sequenceNumber"), 202);
}

#[tokio::test]
async fn a_skip_moves_the_clock_and_sends_nothing() {
    let (mut call, gateway) = dialled().await;
    let ((), messages) = tokio::join!(
        async {
            call.skip(Duration::from_secs(3));
            call.silence(Duration::from_millis(20)).await.unwrap();
            call.hang_up().await.unwrap();
        },
        heard(gateway)
    );
    assert_eq!(field(&messages[2], "/media/timestamp"), 3_052);
}

#[tokio::test]
async fn silence_goes_on_until_the_event() {
    let (mut call, gateway) = dialled().await;
    let event = tokio::time::sleep(Duration::from_millis(50));
    let ((), messages) = tokio::join!(
        async {
            call.silence_while(event).await.unwrap();
            call.hang_up().await.unwrap();
        },
        heard(gateway)
    );
    assert!(messages.iter().any(|message| message["event"] == "media"));
}

#[tokio::test]
async fn a_refusal_tells_status_headers_and_body() {
    let (listener, options) = listener().await;
    let answer = async {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut request = [0; 2048];
        assert!(tcp.read(&mut request).await.unwrap() > 0);
        let answer =
            "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy";
        tcp.write_all(answer.as_bytes()).await.unwrap();
        tcp
    };
    let (dialled, _tcp) = tokio::join!(TwilioCall::dial(options), answer);
    let Err(DialError::Refused(refusal)) = dialled else {
        panic!("not refused")
    };
    assert_eq!(
        (refusal.status, refusal.header("retry-after")),
        (503, Some("7"))
    );
    assert_eq!(refusal.body, "busy");
}

#[tokio::test]
async fn the_gateways_close_code_is_what_a_failed_write_reports() {
    let (mut call, mut gateway) = dialled().await;
    let frame = CloseFrame {
        code: CloseCode::Policy,
        reason: "no start".into(),
    };
    gateway.close(Some(frame)).await.unwrap();
    let closed = call.closed(CLOSING).await.unwrap();
    assert_eq!(
        (closed.code, closed.reason.as_str()),
        (Some(1008), "no start")
    );
    let failed = call.silence(Duration::from_secs(1)).await;
    assert!(matches!(failed, Err(CallError::Closed(same)) if same == closed));
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    let (call, mut gateway) = dialled().await;
    call.reset();
    let mut last = None;
    while let Some(message) = gateway.next().await {
        last = Some(message);
    }
    assert!(matches!(last, Some(Err(_))), "{last:?}");
}

#[tokio::test]
async fn a_silent_call_keeps_its_socket_and_says_nothing() {
    let (call, mut gateway) = dialled().await;
    let _silent = call.go_silent();
    for _ in ["connected", "start"] {
        gateway.next().await.unwrap().unwrap();
    }
    let more = timeout(Duration::from_millis(50), gateway.next()).await;
    assert!(more.is_err(), "{more:?}");
}
