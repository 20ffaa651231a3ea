use std::sync::atomic::AtomicUsize;

use call::name::{CallName, Guid, Namespace, Role, StreamId};
use call::private::Private;
use call::transcript::{Alternative, Utterance};
use futures_util::future::BoxFuture;
use prometheus::Registry;
use store::memory::{MemoryLimits, MemoryOutbox};
use tokio::time::timeout;

use super::*;
use crate::client::Letter;
use crate::lanes::{Class, Outcome};

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::register(&Registry::new()).unwrap())
}

fn endpoint(name: &str, format: Format) -> Endpoint {
    Endpoint {
        format,
        ..Endpoint::new(name, "https://crm.example.com/?key=geheim".parse().unwrap())
    }
}

fn delivery(endpoints: Vec<Endpoint>) -> Result<Arc<Delivery>, EndpointError> {
    Delivery::new(endpoints, Limits::default(), metrics())
}

fn utterance(call: &CallName) -> Utterance {
    Utterance {
        call: call.clone(),
        stream: StreamId::new("s"),
        role: Role::Agent,
        sender: "a".to_owned().into(),
        alternatives: vec![Alternative {
            text: "hello".to_owned().into(),
            tokens: Vec::new(),
        }],
        start: Duration::ZERO,
        end: Duration::from_secs(1),
        is_final: true,
    }
}

#[test]
fn each_endpoint_gets_its_own_shape_under_the_same_id() {
    let mut all = endpoint("all", Format::Envelope);
    all.filter.kinds.push("gap".to_owned());
    let delivery = delivery(vec![endpoint("asapp", Format::Asapp), all]).unwrap();
    let call = CallName {
        namespace: Namespace::Twilio,
        guid: Guid::parse("CA1").unwrap(),
    };
    let said = utterance(&call);
    let fact = Fact {
        id: "01HF0000000000000000000000",
        seq: 1,
        at_unix_ms: 7,
        call: &call,
        external: "CA1",
        tenant: None,
        kind: "transcript",
        role: Some(Role::Agent),
        json: "{}",
        said: Some(&said),
    };
    let parcels = delivery.parcels(&fact);
    let endpoints: Vec<_> = parcels.iter().map(|parcel| &*parcel.endpoint).collect();
    assert_eq!(endpoints, ["asapp", "all"]);
    for parcel in &parcels {
        assert_eq!(parcel.id, "msg_01HF0000000000000000000000");
        assert_eq!((&*parcel.lane, parcel.at_unix_ms), ("twilio/CA1", 7));
    }
    assert_ne!(parcels[0].body, parcels[1].body);
    let gap = Fact {
        kind: "gap",
        said: None,
        ..fact
    };
    let parcels = delivery.parcels(&gap);
    assert_eq!(parcels.len(), 1);
    assert_eq!(&*parcels[0].endpoint, "all");
}

#[test]
fn two_endpoints_of_one_name_are_refused() {
    let twice = vec![
        endpoint("a", Format::Asapp),
        endpoint("a", Format::Envelope),
    ];
    let error = delivery(twice).err().unwrap();
    assert_eq!(error.to_string(), "webhook `a`: there are two of this name");
}

#[test]
fn the_state_of_an_endpoint_shows_its_host_and_nothing_more_of_its_url() {
    let delivery = delivery(vec![endpoint("a", Format::Asapp)]).unwrap();
    let states = delivery.states();
    assert_eq!(
        (states[0].name.as_str(), states[0].host.as_str()),
        ("a", "crm.example.com")
    );
    assert!(!format!("{states:?}").contains("geheim"));
}

#[test]
fn secrets_that_cannot_be_used_leave_the_old_ones_and_enable_all_the_same() {
    let delivery = delivery(vec![endpoint("a", Format::Asapp)]).unwrap();
    let mut changed = endpoint("a", Format::Asapp);
    changed.secrets = vec![Private::new("geheim".to_owned())];
    delivery.replace_secrets(&[changed, endpoint("new", Format::Asapp)]);
    assert!(delivery.routes[0].0.is_to_be_enabled());
    assert!(!delivery.routes[0].0.is_to_be_enabled(), "once");
    assert!(delivery.enable("a") && !delivery.enable("b"));
}

fn now_unix_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_millis().try_into().unwrap()
}

/// Panics at the first letter.
#[derive(Default)]
struct Clumsy(AtomicUsize);

impl Carrier for Clumsy {
    fn carry(&self, _: Letter) -> BoxFuture<'_, Outcome> {
        assert!(
            self.0.fetch_add(1, Ordering::Relaxed) > 0,
            "the first of all"
        );
        Box::pin(async { Outcome::new(Class::Delivered, "status 200") })
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_panics_is_started_again_and_loses_nothing() {
    let endpoint = endpoint("a", Format::Asapp);
    let route = Arc::new(Route::new(&endpoint, &Limits::default(), &metrics()));
    let outbox = Arc::new(MemoryOutbox::new(MemoryLimits::default()));
    outbox.append(&[Parcel {
        endpoint: "a".into(),
        lane: "twilio/1".into(),
        id: "msg_1".to_owned(),
        kind: "transcript",
        content_type: "application/json",
        body: b"{}".to_vec().into(),
        at_unix_ms: now_unix_ms(),
    }]);
    let clumsy = Arc::new(Clumsy::default());
    let stop = CancellationToken::new();
    let mut task = JoinSet::new();
    let carrier: Arc<dyn Carrier> = Arc::<Clumsy>::clone(&clumsy);
    let held: Arc<dyn Outbox> = Arc::<MemoryOutbox>::clone(&outbox);
    task.spawn(employ(
        route,
        carrier,
        held,
        Limits::default(),
        stop.clone(),
    ));
    let taken = async {
        while outbox.depth("a").unwrap().waiting > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(5), taken).await.unwrap();
    assert_eq!(clumsy.0.load(Ordering::Relaxed), 2);
    stop.cancel();
    task.join_next().await.unwrap().unwrap();
}

/// Answers 503 to every other request, and keeps the bodies of the rest.
async fn moody(bodies: Arc<Mutex<Vec<String>>>) -> (std::net::SocketAddr, JoinSet<()>) {
    let count = Arc::new(AtomicUsize::new(0));
    let receive = move |body: String| {
        let (bodies, count) = (Arc::clone(&bodies), Arc::clone(&count));
        async move {
            if count.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
                return http::StatusCode::SERVICE_UNAVAILABLE;
            }
            bodies.lock().unwrap().push(body);
            http::StatusCode::OK
        }
    };
    let app = axum::Router::new().route("/", axum::routing::post(receive));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut task = JoinSet::new();
    task.spawn(async move { axum::serve(listener, app).await.unwrap() });
    (address, task)
}

#[tokio::test]
async fn what_was_said_is_at_the_receiver_in_order_although_it_fails_now_and_then() {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let (address, _receiver) = moody(Arc::clone(&bodies)).await;
    let delay = Duration::from_millis(20);
    let crm = Endpoint {
        allow_http: true,
        allow_private: true,
        retries: crate::Retries::Schedule(vec![delay; 50]),
        ..Endpoint::new("crm", format!("http://{address}/").parse().unwrap())
    };
    let limits = Limits {
        rest_min: delay,
        ..Limits::default()
    };
    let delivery = Delivery::new(vec![crm], limits, metrics()).unwrap();
    let call = CallName {
        namespace: Namespace::Twilio,
        guid: Guid::parse("CA1").unwrap(),
    };
    let outbox = Arc::new(MemoryOutbox::new(MemoryLimits::default()));
    let stop = CancellationToken::new();
    let mut task = JoinSet::new();
    let held: Arc<dyn Outbox> = Arc::<MemoryOutbox>::clone(&outbox);
    task.spawn(Arc::clone(&delivery).run(held, stop.clone()));
    let mut expected = Vec::new();
    for seq in 1..=5 {
        let mut said = utterance(&call);
        said.start = Duration::from_millis(seq);
        let fact = Fact {
            id: &format!("{seq}"),
            seq,
            at_unix_ms: now_unix_ms(),
            call: &call,
            external: "CA1",
            tenant: None,
            kind: "transcript",
            role: Some(Role::Agent),
            json: "{}",
            said: Some(&said),
        };
        let parcels = delivery.parcels(&fact);
        expected.push(String::from_utf8(parcels[0].body.reveal().clone()).unwrap());
        outbox.append(&parcels);
        delivery.wake();
    }
    let taken = async {
        while outbox.depth("crm").unwrap().waiting > 0 {
            sleep(delay).await;
        }
    };
    timeout(Duration::from_secs(30), taken).await.unwrap();
    assert_eq!(*bodies.lock().unwrap(), expected);
    assert_eq!(
        delivery.states()[0].last_error.as_ref().unwrap().0,
        "status 503"
    );
    stop.cancel();
    task.join_next().await.unwrap().unwrap();
}
