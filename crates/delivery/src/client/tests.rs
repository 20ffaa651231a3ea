//! The client against receivers on this machine that answer as the tests will have it.

mod authenticated;
mod secured;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Request, Response as Answer};
use prometheus::Registry;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;
use crate::metrics::Metrics;

/// A request as it came.
#[derive(Clone, Debug)]
struct Seen {
    uri: String,
    headers: HeaderMap,
    body: Bytes,
}

type Answering = Box<dyn Fn(&Seen, usize) -> Answer<Body> + Send + Sync>;

struct World {
    seen: Mutex<Vec<Seen>>,
    answer: Answering,
}

/// Ends when it is dropped.
struct Receiver {
    address: SocketAddr,
    world: Arc<World>,
    _task: JoinSet<()>,
}

impl Receiver {
    /// The number counts the requests from 0.
    async fn start(answer: impl Fn(&Seen, usize) -> Answer<Body> + Send + Sync + 'static) -> Self {
        let world = Arc::new(World {
            seen: Mutex::default(),
            answer: Box::new(answer),
        });
        let app = Router::new()
            .fallback(receive)
            .with_state(Arc::clone(&world));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut task = JoinSet::new();
        task.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            address,
            world,
            _task: task,
        }
    }

    async fn saying(status: u16, headers: &'static [(&'static str, &'static str)]) -> Self {
        Self::start(move |_, _| answer(status, headers, "")).await
    }

    fn seen(&self) -> Vec<Seen> {
        self.world.seen.lock().unwrap().clone()
    }
}

async fn receive(State(world): State<Arc<World>>, request: Request<Body>) -> Answer<Body> {
    let (head, body) = request.into_parts();
    let seen = Seen {
        uri: head.uri.to_string(),
        headers: head.headers,
        body: axum::body::to_bytes(body, 1 << 20).await.unwrap(),
    };
    let mut all = world.seen.lock().unwrap();
    let answer = (world.answer)(&seen, all.len());
    all.push(seen);
    answer
}

fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer<Body> {
    let mut answer = Answer::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    answer.body(body.into()).unwrap()
}

fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint {
        allow_http: true,
        allow_private: true,
        timeout: Duration::from_secs(10),
        ..Endpoint::new("crm", format!("http://{address}/hook?x=1").parse().unwrap())
    }
}

fn client(endpoint: &Endpoint, limits: &Limits) -> Client {
    let metrics = Metrics::register(&Registry::new()).unwrap();
    Client::new(endpoint, limits, Arc::new(metrics.of("crm"))).unwrap()
}

fn letter() -> Letter {
    Letter {
        id: "msg_1".to_owned(),
        content_type: "application/json".to_owned(),
        body: Bytes::from_static(b"{\"type\":\"transcript\"}").into(),
        late: false,
    }
}

async fn post(endpoint: &Endpoint) -> Outcome {
    client(endpoint, &Limits::default()).carry(letter()).await
}

#[tokio::test]
async fn a_letter_arrives_as_it_is_with_its_headers() {
    let receiver = Receiver::saying(204, &[]).await;
    let outcome = post(&endpoint(receiver.address)).await;
    assert_eq!(
        (outcome.class, outcome.why.as_str()),
        (Class::Delivered, "status 204")
    );
    let seen = &receiver.seen()[0];
    assert_eq!(
        (&seen.body[..], seen.uri.as_str()),
        (&letter().body.reveal()[..], "/hook?x=1")
    );
    assert_eq!(seen.headers["content-type"], "application/json");
    assert_eq!(seen.headers["webhook-id"], "msg_1");
    assert!(seen.headers.contains_key("webhook-timestamp"));
    assert!(
        seen.headers["user-agent"]
            .to_str()
            .unwrap()
            .starts_with("antiphon/")
    );
    for absent in ["webhook-signature", "webhook-out-of-order", "authorization"] {
        assert!(!seen.headers.contains_key(absent), "{absent}");
    }
}

#[tokio::test]
async fn every_status_has_its_class() {
    let cases = [
        (200, Class::Delivered),
        (301, Class::Failed),
        (307, Class::Failed),
        (400, Class::Refused),
        (401, Class::Refused),
        (408, Class::Failed),
        (410, Class::Gone),
        (413, Class::Refused),
        (425, Class::Failed),
        (429, Class::Busy),
        (500, Class::Failed),
        (502, Class::Overloaded),
        (503, Class::Overloaded),
        (504, Class::Overloaded),
        (599, Class::Failed),
    ];
    for (status, class) in cases {
        let receiver = Receiver::saying(status, &[("location", "/elsewhere")]).await;
        let outcome = post(&endpoint(receiver.address)).await;
        assert_eq!(
            (outcome.class, outcome.why),
            (class, format!("status {status}"))
        );
        assert_eq!(
            receiver.seen().len(),
            1,
            "{status} is not followed and not repeated"
        );
    }
}

#[tokio::test]
async fn retry_after_is_told() {
    let receiver = Receiver::saying(429, &[("retry-after", "120")]).await;
    assert_eq!(post(&endpoint(receiver.address)).await.after, Some(120_000));
    let receiver = Receiver::saying(503, &[]).await;
    assert_eq!(post(&endpoint(receiver.address)).await.after, None);
}

#[tokio::test]
async fn a_late_letter_says_so() {
    let receiver = Receiver::saying(200, &[]).await;
    let late = Letter {
        late: true,
        ..letter()
    };
    client(&endpoint(receiver.address), &Limits::default())
        .carry(late)
        .await;
    assert_eq!(receiver.seen()[0].headers["webhook-out-of-order"], "true");
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_is_left_in_time() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let endpoint = Endpoint {
        timeout: Duration::from_millis(100),
        ..endpoint(silent.local_addr().unwrap())
    };
    assert_eq!(
        post(&endpoint).await,
        Outcome::new(Class::Failed, "timeout")
    );
}

#[tokio::test]
async fn a_connection_that_is_refused_or_cut_is_a_failure() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let endpoint = endpoint(listener.local_addr().unwrap());
    let cut = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.read_u8().await.unwrap();
        socket.set_zero_linger().unwrap();
    };
    let (outcome, ()) = tokio::join!(post(&endpoint), cut);
    assert_eq!(
        outcome,
        Outcome::new(Class::Failed, "the connection was lost")
    );
    drop(listener);
    assert_eq!(
        post(&endpoint).await,
        Outcome::new(Class::Failed, "no connection")
    );
}

#[tokio::test]
async fn an_answer_that_is_no_http_is_a_failure() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let endpoint = endpoint(listener.local_addr().unwrap());
    let babble = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.read_u8().await.unwrap();
        socket.write_all(&[0xff; 1000]).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(post(&endpoint), babble);
    assert_eq!(outcome.class, Class::Failed);
}

/// An answer whose body never ends.
async fn endless(chunk: usize, pause: Duration) -> Receiver {
    Receiver::start(move |_, _| {
        let pieces = futures_util::stream::unfold((), move |()| async move {
            tokio::time::sleep(pause).await;
            Some((
                Ok::<_, std::convert::Infallible>(Bytes::from(vec![0; chunk])),
                (),
            ))
        });
        answer(200, &[], Body::from_stream(pieces))
    })
    .await
}

#[tokio::test]
async fn a_body_without_end_costs_neither_memory_nor_the_delivery() {
    let receiver = endless(60_000, Duration::ZERO).await;
    let outcome = post(&endpoint(receiver.address)).await;
    assert_eq!(outcome.class, Class::Delivered);
}

#[tokio::test]
async fn a_body_that_drips_is_not_waited_for() {
    let receiver = endless(1, Duration::from_millis(20)).await;
    let limits = Limits {
        response_wait: Duration::from_millis(100),
        ..Limits::default()
    };
    let client = client(&endpoint(receiver.address), &limits);
    let outcome = timeout(Duration::from_secs(5), client.carry(letter()))
        .await
        .unwrap();
    assert_eq!(outcome.class, Class::Delivered);
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_connected_to() {
    let receiver = Receiver::saying(200, &[]).await;
    let url = format!("http://localhost:{}/", receiver.address.port());
    let inside = Endpoint {
        url: url.parse().unwrap(),
        allow_private: false,
        ..endpoint(receiver.address)
    };
    let outcome = post(&inside).await;
    assert_eq!(
        outcome,
        Outcome::new(Class::Failed, "its address is not public")
    );
    assert_eq!(receiver.seen().len(), 0);
    let allowed = Endpoint {
        allow_private: true,
        ..inside
    };
    assert_eq!(post(&allowed).await.class, Class::Delivered);
}

#[tokio::test]
async fn a_proxy_is_asked_for_everything_wherever_it_is() {
    let proxy = Receiver::saying(200, &[]).await;
    let url = format!("http://localhost:{}", proxy.address.port());
    let through = Endpoint {
        url: "http://crm.example.com/hook".parse().unwrap(),
        proxy: Some(url.parse().unwrap()),
        allow_private: false,
        ..endpoint(proxy.address)
    };
    assert_eq!(post(&through).await.class, Class::Delivered);
    assert_eq!(proxy.seen()[0].uri, "http://crm.example.com/hook");
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
    let cases = [
        ("0", Some(0)),
        ("120", Some(120_000)),
        ("99999999999999999999999", Some(u64::MAX)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
        ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60_000)),
        ("Sun, 06 Nov 1994 08:48:37 GMT", Some(0)),
        ("", None),
        ("-1", None),
        ("soon", None),
    ];
    for (text, expected) in cases {
        assert_eq!(answer::parse(text, now), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_as_retry_after_panics(text in "\\PC{0,40}") {
        let _ = answer::parse(&text, SystemTime::UNIX_EPOCH);
    }
}
