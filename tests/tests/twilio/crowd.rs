//! Too much of everything: headers, connections, sockets, patience.

use futures_util::future::join_all;
use rig::{AUTH_TOKEN, World, eventually};
use sim::caller::twilio::{DialError, Greeting, Options, Signature, TwilioCall};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{SHORT_GOODBYE, Witness, close, closed, until_metric};

/// A connection to the gateway.
async fn connect(world: &World) -> TcpStream {
    TcpStream::connect(world.base.strip_prefix("http://").unwrap())
        .await
        .unwrap()
}

/// All that the gateway says until it closes.
async fn rest(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    // A connection that is reset has said what it had to say.
    let _end = eventually("the gateway to close", stream.read_to_end(&mut said)).await;
    String::from_utf8_lossy(&said).into_owned()
}

/// Says something; gives the answer.
pub(crate) async fn speak(world: &World, bytes: &[u8]) -> String {
    let mut stream = connect(world).await;
    // The gateway may have closed before it has read all of it.
    let _sent = stream.write_all(bytes).await;
    rest(stream).await
}

/// An upgrade that Twilio could have sent, without its last empty line.
async fn upgrade(world: &World) -> String {
    let url = world.api.twilio_url().await.unwrap();
    let path = url
        .strip_prefix(&rig::PUBLIC_URL.replace("https", "wss"))
        .unwrap();
    let (name, value) = &Signature::AuthToken(AUTH_TOKEN.to_owned()).headers(&url)[0];
    format!(
        "GET {path} HTTP/1.1\r\nhost: gateway.example.com\r\nconnection: Upgrade\r\n\
         upgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{name}: {value}\r\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_are_too_large_or_too_many_are_told_so() {
    let world = World::new().await;
    let witness = Witness::of(&world).await;
    let upgrade = upgrade(&world).await;
    let large = format!("{upgrade}x-large: {}\r\n\r\n", "x".repeat(20_000));
    let many: String = (0..150).map(|n| format!("x-{n}: y\r\n")).collect();
    let path = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "p".repeat(20_000));
    for request in [large, format!("{upgrade}{many}\r\n"), path] {
        let answer = speak(&world, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    let endless = format!("{upgrade}x-endless: {}", "x".repeat(1 << 20));
    let answer = speak(&world, endless.as_bytes()).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
        "{answer}"
    );
    witness.assert_unharmed(&world).await;
    until_metric(&world, "antiphon_http_connections", |open| open <= 5.0).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_http_is_answered_or_dropped_at_once() {
    let world = World::new().await;
    let garbage: [&[u8]; 4] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello",
        b"\x00\x00\x00\x00\x00\x00\x00\x00\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
    ];
    for bytes in garbage {
        let answer = speak(&world, bytes).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
            "{answer}"
        );
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrades_that_never_come_to_their_end_are_given_up() {
    let world = World::with("[limits]\nheaders_timeout = \"2s\"\n").await;
    let witness = Witness::of(&world).await;
    let upgrade = upgrade(&world).await;
    let crowd = join_all((0..500).map(|_| connect(&world))).await;
    let halves = crowd.into_iter().enumerate().map(|(nth, mut stream)| {
        let half = &upgrade.as_bytes()[..nth * upgrade.len() / 500];
        async move {
            let _sent = stream.write_all(half).await;
            stream
        }
    });
    let crowd = join_all(halves).await;
    let accepted = "antiphon_http_connections_accepted_total";
    until_metric(&world, accepted, |accepted| accepted >= 500.0).await;
    // Amid all of them a call is what it always is.
    witness.assert_unharmed(&world).await;
    let answers = join_all(crowd.into_iter().map(rest)).await;
    assert!(answers.iter().all(|answer| !answer.contains(" 101 ")));
    until_metric(&world, "antiphon_http_connections", |open| open <= 5.0).await;
    Witness::of(&world).await.assert_unharmed(&world).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_that_never_say_a_word_are_closed() {
    let world = World::with(&format!("{SHORT_GOODBYE}start_timeout = \"500ms\"\n")).await;
    let witness = Witness::of(&world).await;
    let mut options = world.options().await;
    options.greeting = Greeting::None;
    let dialled = join_all((0..200).map(|_| TwilioCall::dial(options.clone()))).await;
    let mut crowd: Vec<TwilioCall> = dialled.into_iter().map(Result::unwrap).collect();
    witness.assert_unharmed(&world).await;
    for call in &mut crowd {
        assert_eq!(closed(call).await, close(1008, "no_start"));
    }
    let ended = "antiphon_twilio_sockets_ended_total{reason=\"no_start\"}";
    until_metric(&world, ended, |sockets| sockets == 200.0).await;
    until_metric(&world, "antiphon_twilio_sockets", |sockets| sockets == 0.0).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_too_many_is_sent_away_until_there_is_room() {
    let world = World::with("[twilio]\nsockets_max = 2\n[limits]\nretry_after = \"7s\"\n").await;
    let witness = Witness::of(&world).await;
    let second = world.dial().await;
    let Err(DialError::Refused(refusal)) = TwilioCall::dial(world.options().await).await else {
        panic!("there is no room for a third");
    };
    assert_eq!(
        (refusal.status, refusal.header("retry-after")),
        (503, Some("7"))
    );
    let full = "antiphon_twilio_upgrades_total{result=\"full\"}";
    assert_eq!(world.metric(full).await, 1.0);
    second.hang_up().await.unwrap();
    let options = world.options().await;
    let room = async {
        loop {
            let again = Options {
                greeting: Greeting::None,
                ..options.clone()
            };
            if let Ok(call) = TwilioCall::dial(again).await {
                break call;
            }
        }
    };
    let third = eventually("room for another", room).await;
    witness.assert_unharmed(&world).await;
    drop(third);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_too_many_is_sent_away_and_those_inside_stay() {
    let world = World::with("[limits]\nconnections_max = 40\n").await;
    let witness = Witness::of(&world).await;
    let mut crowd = join_all((0..60).map(|_| connect(&world))).await;
    // The last of them came when there was no room any more.
    let answer = rest(crowd.pop().unwrap()).await;
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && answer.contains("Retry-After: 5"),
        "{answer}"
    );
    let refused = "antiphon_http_connections_refused_total{cause=\"limit\"}";
    drop(crowd);
    until_metric(&world, refused, |refused| refused >= 20.0).await;
    until_metric(&world, "antiphon_http_connections", |open| open <= 5.0).await;
    witness.assert_unharmed(&world).await;
    world.end().await;
}
