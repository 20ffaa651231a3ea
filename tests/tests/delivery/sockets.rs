//! Readers of events at WebSockets: what they ask for, what they come back for, and what becomes of
//! those that do not read.

use futures_util::{SinkExt, StreamExt};
use rig::apart::Apart;
use rig::shown::until_metric;
use rig::told::of;
use rig::{World, eventually};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::GATEWAY;
use crate::resumed::{ids, until_kept};
use crate::scene::{conversation, kept_in, until_open};

const PHRASES: [&str; 2] = ["customer-greeting", "agent-greeting"];

/// One who reads.
struct Reader(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// What comes of a socket.
enum Heard {
    Closed(u16, String),
    /// It broke, without a word.
    Gone,
    Told(Value),
}

impl Reader {
    async fn at(world: &World, path: &str) -> Self {
        let url = format!("{}{path}", world.base.replacen("http", "ws", 1));
        let mut request = url.into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("asapp-api-id", rig::API_ID.parse().unwrap());
        headers.insert("asapp-api-secret", rig::API_SECRET.parse().unwrap());
        let protocol = "antiphon.events.v1";
        headers.insert("sec-websocket-protocol", protocol.parse().unwrap());
        let (socket, answer) = connect_async(request).await.unwrap();
        assert_eq!(answer.headers()["sec-websocket-protocol"], protocol);
        Self(socket)
    }

    async fn subscribe(&mut self, wanted: &Value) {
        let message = json!({"subscribe": wanted}).to_string();
        self.0.send(Message::text(message)).await.unwrap();
    }

    async fn next(&mut self) -> Heard {
        let heard = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Text(text))) => {
                        return Heard::Told(serde_json::from_str(&text).unwrap());
                    }
                    Some(Ok(Message::Close(Some(close)))) => {
                        return Heard::Closed(close.code.into(), close.reason.to_string());
                    }
                    Some(Ok(_)) => {}
                    None | Some(Err(_)) => return Heard::Gone,
                }
            }
        };
        eventually("something to be told", heard).await
    }

    /// What is told until this is.
    async fn until(&mut self, so: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut told = Vec::new();
        loop {
            match self.next().await {
                Heard::Closed(code, reason) => panic!("closed with {code}: {reason}"),
                Heard::Gone => panic!("it broke"),
                Heard::Told(event) => {
                    told.push(event);
                    if told.last().is_some_and(&so) {
                        return told;
                    }
                }
            }
        }
    }

    /// What is told until the end, and the end, if it comes with a word.
    async fn read_out(&mut self) -> (Vec<Value>, Option<(u16, String)>) {
        let mut told = Vec::new();
        loop {
            match self.next().await {
                Heard::Closed(code, reason) => return (told, Some((code, reason))),
                Heard::Gone => return (told, None),
                Heard::Told(event) => told.push(event),
            }
        }
    }
}

fn is_end_of(guid: &str) -> impl Fn(&Value) -> bool {
    move |event| event["type"] == "callEnded" && event["call"]["guid"] == *guid
}

/// All events of all calls, as server-sent events tell them.
async fn everything(world: &World) -> Vec<Value> {
    let path = "/v1/events?after=0&follow=false";
    let text = world.api.text(path).await.unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let told = data.map(|data| serde_json::from_str(data).unwrap());
    told.collect()
}

fn last_id(told: &[Value]) -> String {
    told.last().unwrap()["id"].as_str().unwrap().to_owned()
}

fn all_ids(told: &[Value]) -> Vec<&str> {
    told.iter()
        .map(|event| event["id"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_is_told_what_it_asks_for_and_may_ask_for_something_else() {
    let world = World::new().await;
    let one = conversation(&world, &PHRASES).await;
    let other = conversation(&world, &PHRASES).await;
    let named = |guid: &str| json!([{"namespace": "twilio", "guid": guid}]);
    let mut reader = Reader::at(&world, "/v1/events/ws?wait=true").await;
    let finals = json!({
        "after": "0", "calls": named(&one), "kinds": ["transcript", "callEnded"],
        "partials": false,
    });
    reader.subscribe(&finals).await;
    let told = reader.until(is_end_of(&one)).await;
    let expected: Vec<Value> = world
        .told(&one)
        .await
        .into_iter()
        .filter(|event| {
            let is_final = event["type"] == "transcript" && event["isFinal"] == true;
            is_final || event["type"] == "callEnded"
        })
        .collect();
    assert_eq!(told, expected);
    assert_eq!(told.len(), 3);

    reader
        .subscribe(&json!({"after": "0", "calls": named(&other)}))
        .await;
    assert_eq!(
        reader.until(is_end_of(&other)).await,
        world.told(&other).await
    );

    // One call by its path, up to what there is.
    let path = format!("/v1/calls/twilio/{one}/events/ws?after=0&follow=false");
    let (told, end) = Reader::at(&world, &path).await.read_out().await;
    assert_eq!(told, world.told(&one).await);
    assert_eq!(end, Some((1000, last_id(&told))));
    let mut curious = Reader::at(&world, &path.replace("&follow=false", "")).await;
    curious.subscribe(&json!({"calls": named(&other)})).await;
    let (_, end) = curious.read_out().await;
    let (code, _) = end.unwrap();
    assert_eq!(code, 1008, "another call is not for this stream");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_comes_back_to_another_process_misses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let more = kept_in(folder.path());
    let mut gateway = Apart::new(rig::service_config(), &more, GATEWAY, folder.path()).await;
    until_open(&gateway.world).await;
    let mut reader = Reader::at(&gateway.world, "/v1/events/ws?after=0").await;
    let first = conversation(&gateway.world, &PHRASES).await;
    let told = reader.until(is_end_of(&first)).await;
    until_kept(&gateway.world, &first).await;
    gateway.kill().await;
    gateway.start_again().await;

    let world = &gateway.world;
    until_open(world).await;
    let second = conversation(world, &PHRASES).await;
    let known = ids(&told);
    let half = known.len() / 2;
    let path = format!("/v1/events/ws?after={}", known[half]);
    let again = Reader::at(world, &path)
        .await
        .until(is_end_of(&second))
        .await;
    assert!(
        of(&again, "lost", "").is_empty(),
        "something is said to be lost"
    );
    let again = ids(&again);
    let missed = &known[half + 1..];
    assert_eq!(again[..missed.len()], *missed);
    let unique: std::collections::BTreeSet<_> = again.iter().collect();
    assert_eq!(unique.len(), again.len(), "something is told twice");
    let theirs = world.told(&second).await;
    assert_eq!(again[missed.len()..], ids(&theirs));
    gateway.end().await;
}

/// It is told where to come back to, if it ever reads again.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_does_not_read_is_cut_and_counted_and_comes_back_without_a_hole() {
    let world =
        World::with("[limits]\nevent_heartbeat = \"1s\"\nevent_subscriber_stall = \"2s\"\n").await;
    let cut = "antiphon_event_subscribers_cut_total";
    let present = "antiphon_event_subscribers";
    let mut slow = Reader::at(&world, "/v1/events/ws?after=0").await;
    let first = conversation(&world, &PHRASES).await;
    until_metric(&world, cut, |cut| cut == 1.0).await;
    until_metric(&world, present, |present| present == 0.0).await;
    let second = conversation(&world, &PHRASES).await;

    let (mut told, end) = slow.read_out().await;
    let last = last_id(&told);
    // A pong that it sends too late may break the connection before the end of it is read.
    assert!(end.is_none_or(|end| end == (4008, last.clone())));
    assert!(told.iter().any(is_end_of(&first)));
    let path = format!("/v1/events/ws?after={last}");
    let mut back = Reader::at(&world, &path).await;
    told.extend(back.until(is_end_of(&second)).await);
    let everything = everything(&world).await;
    assert_eq!(all_ids(&told), all_ids(&everything));
    assert_eq!(world.metric(cut).await, 1.0);
    world.end().await;
}
