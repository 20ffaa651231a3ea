use call::name::{Guid, Namespace};
use prometheus::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// The service's HTTP side, played by hand.
struct Api {
    listener: TcpListener,
    registry: Registry,
}

struct Asked {
    tcp: TcpStream,
    request: String,
}

impl Api {
    async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            listener,
            registry: Registry::new(),
        }
    }

    fn locator(&self) -> Locator {
        self.locator_with(|_| {})
    }

    fn locator_with(&self, adjust: impl FnOnce(&mut AutoTranscribeConfig)) -> Locator {
        let base = format!("http://{}", self.listener.local_addr().unwrap());
        let base = Url::parse(&base).unwrap();
        let mut config = AutoTranscribeConfig::new(base, "id".to_owned(), secret());
        adjust(&mut config);
        let metrics = Arc::new(Metrics::register(&self.registry).unwrap());
        Locator::new(&config, &Trust::new(None).unwrap(), metrics).unwrap()
    }

    async fn asked(&self) -> Asked {
        let (mut tcp, _) = self.listener.accept().await.unwrap();
        let (mut request, mut piece) = (Vec::new(), [0; 4096]);
        while !request.ends_with(b"}") {
            let length = tcp.read(&mut piece).await.unwrap();
            assert!(length > 0, "the request has no end");
            request.extend_from_slice(&piece[..length]);
        }
        Asked {
            tcp,
            request: String::from_utf8(request).unwrap(),
        }
    }

    async fn answer(&self, head: &str, body: &str) -> String {
        let mut asked = self.asked().await;
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        asked.tcp.write_all(answer.as_bytes()).await.unwrap();
        asked.request
    }

    async fn give(&self, url: &str) -> String {
        self.answer("200 OK", &format!(r#"{{"streamingUrl":"{url}"}}"#))
            .await
    }

    fn count(&self, line: &str) -> bool {
        let families = self.registry.gather();
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&families)
            .unwrap();
        text.lines().any(|each| each == line)
    }
}

fn secret() -> call::private::Private<String> {
    "swordfish".to_owned().into()
}

fn call(guid: &str) -> CallName {
    CallName {
        namespace: Namespace::Twilio,
        guid: Guid::parse(guid).unwrap(),
    }
}

/// Under the call's own guid.
async fn ask(locator: &Locator, call: &CallName) -> Result<Located, LocateError> {
    locator.locate(call, call.guid.as_str()).await
}

fn uri(located: Located) -> String {
    located.request.uri().to_string()
}

fn stored(name: &str, issued: Instant) -> Option<Address> {
    Some(Address {
        uri: format!("wss://service/{name}").parse().unwrap(),
        issued,
    })
}

fn shelf(calls_max: usize) -> Shelf {
    let age_max = Duration::from_secs(240);
    Shelf {
        calls: Mutex::default(),
        per_call: 2,
        calls_max,
        age_max,
    }
}

#[tokio::test]
async fn an_address_is_asked_for_as_the_contract_says() {
    let api = Api::bind().await;
    let (locator, call) = (api.locator(), call("CA0042"));
    let giving = api.give("wss://service.example?token=hunter2");
    let (located, request) = tokio::join!(ask(&locator, &call), giving);
    let request = request.to_lowercase();
    assert!(
        request.starts_with("post /autotranscribe/v1/streaming-url http/1.1\r\n"),
        "{request}"
    );
    assert!(request.contains("\r\nasapp-api-id: id\r\n"), "{request}");
    assert!(
        request.contains("\r\nasapp-api-secret: swordfish\r\n"),
        "{request}"
    );
    assert!(
        request.contains("\r\ncontent-type: application/json\r\n"),
        "{request}"
    );
    assert!(request.ends_with(r#"{"externalid":"ca0042"}"#), "{request}");
    let located = located.unwrap();
    assert!(located.fresh);
    // The contract's address has no path; a request line needs one.
    assert_eq!(
        located.request.uri().path_and_query().unwrap(),
        "/?token=hunter2"
    );
}

#[tokio::test]
async fn a_guid_that_is_written_otherwise_needs_an_address_of_its_own() {
    let api = Api::bind().await;
    let (locator, call) = (api.locator(), call("00001"));
    let giving = async {
        api.give("wss://service/?token=1").await;
        api.give("wss://service/?token=2").await;
    };
    tokio::join!(locator.prepare(&call), giving);
    let giving = api.give("wss://service/?token=3");
    let (located, request) = tokio::join!(locator.locate(&call, "1"), giving);
    assert!(located.unwrap().fresh);
    assert!(request.ends_with(r#"{"externalId":"1"}"#), "{request}");
    assert!(
        !locator
            .locate(&call, call.guid.as_str())
            .await
            .unwrap()
            .fresh
    );
}

#[tokio::test]
async fn addresses_fetched_ahead_are_used_once_each() {
    let api = Api::bind().await;
    let (locator, call) = (api.locator(), call("CA1"));
    let giving = async {
        api.give("wss://service/?token=1").await;
        api.give("wss://service/?token=2").await;
    };
    tokio::join!(locator.prepare(&call), giving);
    // Nothing is missing, so nobody is asked again.
    locator.prepare(&call).await;
    let first = ask(&locator, &call).await.unwrap();
    assert!(!first.fresh);
    let second = ask(&locator, &call).await.unwrap();
    let mut tokens = [uri(first), uri(second)];
    tokens.sort();
    assert_eq!(tokens, ["wss://service/?token=1", "wss://service/?token=2"]);
    let (third, _) = tokio::join!(ask(&locator, &call), api.give("wss://service/?token=3"));
    assert!(third.unwrap().fresh);
    assert!(api.count("antiphon_upstream_url_lookups_total{outcome=\"hit\"} 2"));
    assert!(api.count("antiphon_upstream_url_lookups_total{outcome=\"miss\"} 1"));
}

#[tokio::test]
async fn an_address_that_comes_after_its_call_is_thrown_away() {
    let api = Api::bind().await;
    let (locator, call) = (
        api.locator_with(|config| config.urls_per_call = 1),
        call("CA1"),
    );
    let giving = async {
        let mut asked = api.asked().await;
        locator.forget(&call);
        let answer =
            "HTTP/1.1 200 OK\r\nContent-Length: 34\r\n\r\n{\"streamingUrl\":\"wss://service/?1\"}";
        asked.tcp.write_all(answer.as_bytes()).await.unwrap();
    };
    tokio::join!(locator.prepare(&call), giving);
    assert!(locator.shelf.lock().is_empty());
}

#[tokio::test]
async fn a_failed_fetch_is_counted_and_may_be_tried_again() {
    let api = Api::bind().await;
    let (locator, call) = (
        api.locator_with(|config| config.urls_per_call = 1),
        call("CA1"),
    );
    tokio::join!(
        locator.prepare(&call),
        api.answer("503 Service Unavailable", "{}")
    );
    assert!(api.count("antiphon_upstream_prefetch_failures_total 1"));
    tokio::join!(locator.prepare(&call), api.give("wss://service/?token=1"));
    assert!(
        !locator
            .locate(&call, call.guid.as_str())
            .await
            .unwrap()
            .fresh
    );
}

#[tokio::test]
async fn a_refusal_has_its_class_and_the_services_words() {
    let error = |said: &str| format!(r#"{{"error":{{"requestId":"1","message":"{said}"}}}}"#);
    let seven = Duration::from_secs(7);
    let cases = [
        ("400 Bad Request", error("Bad request"), Retry::Session),
        ("401 Unauthorized", error("Unauthorized"), Retry::Credential),
        ("403 Forbidden", String::new(), Retry::Credential),
        ("404 Not Found", error("Not Found"), Retry::Session),
        ("409 Conflict", error("Conflict"), Retry::Session),
        (
            "413 Request Entity Too Large",
            error("Too Large"),
            Retry::Session,
        ),
        (
            "422 Unprocessable Entity",
            error("Unprocessable"),
            Retry::Session,
        ),
        ("429 Too Many Requests", error("Slow down"), Retry::Backoff),
        (
            "429 Too Many Requests\r\nRetry-After: 7",
            error("Slow down"),
            Retry::After(seven),
        ),
        (
            "302 Found\r\nLocation: http://127.0.0.1:1/",
            String::new(),
            Retry::Session,
        ),
        (
            "500 Internal Server Error",
            "oops".to_owned(),
            Retry::Backoff,
        ),
        (
            "503 Service Unavailable",
            error("Unavailable"),
            Retry::Backoff,
        ),
        ("200 OK", "{}".to_owned(), Retry::Backoff),
        (
            "200 OK",
            r#"{"streamingUrl":"https://service/"}"#.to_owned(),
            Retry::Backoff,
        ),
        (
            "200 OK",
            r#"{"streamingUrl":"wss://"}"#.to_owned(),
            Retry::Backoff,
        ),
    ];
    let api = Api::bind().await;
    let (locator, call) = (api.locator(), call("CA1"));
    for (head, body, retry) in cases {
        let (located, _) = tokio::join!(ask(&locator, &call), api.answer(head, &body));
        let Err(error) = located else {
            panic!("{head} gave an address")
        };
        assert_eq!(error.retry, retry, "{head}");
        assert!(!error.reason.contains("swordfish"));
    }
    let who = error("Who?");
    let (located, _) = tokio::join!(ask(&locator, &call), api.answer("401 Unauthorized", &who));
    let reason = located.map(|_| ()).unwrap_err().reason;
    assert_eq!(reason, "the service gave no address, HTTP status 401: Who?");
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_refused() {
    let api = Api::bind().await;
    let locator = api.locator_with(|config| config.answer_bytes_max = 1000);
    let (call, long) = (call("CA1"), "x".repeat(1001));
    let (located, _) = tokio::join!(ask(&locator, &call), api.answer("200 OK", &long));
    assert!(
        located
            .map(|_| ())
            .unwrap_err()
            .reason
            .ends_with("is too long")
    );
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_given_up_in_time() {
    let api = Api::bind().await;
    let locator = api.locator_with(|config| config.locate_timeout = Duration::from_millis(50));
    let error = locator
        .locate(&call("CA1"), "CA1")
        .await
        .map(|_| ())
        .unwrap_err();
    assert_eq!(error.reason, "the service did not answer in time");
    assert_eq!(error.retry, Retry::Backoff);
    drop(api);
    let error = locator
        .locate(&call("CA1"), "CA1")
        .await
        .map(|_| ())
        .unwrap_err();
    assert_eq!(error.reason, "the service cannot be reached");
}

#[tokio::test]
async fn an_old_address_is_not_used() {
    let (shelf, start, call) = (shelf(10), Instant::now(), call("CA1"));
    assert_eq!(shelf.reserve(&call, start), 2);
    shelf.put(&call, stored("old", start));
    shelf.put(&call, stored("young", start + Duration::from_secs(60)));
    let late = start + Duration::from_secs(240);
    assert_eq!(shelf.take(&call, late).unwrap(), "wss://service/young");
    assert_eq!(shelf.take(&call, late), None);
}

#[tokio::test]
async fn the_shelf_is_bounded_and_old_entries_make_room() {
    let (shelf, start) = (shelf(2), Instant::now());
    for name in ["CA1", "CA2"] {
        assert_eq!(shelf.reserve(&call(name), start), 2);
        shelf.put(&call(name), stored(name, start));
        shelf.put(&call(name), None);
    }
    assert_eq!(shelf.reserve(&call("CA3"), start), 0);
    assert_eq!(shelf.reserve(&call("CA1"), start), 1);
    let late = start + Duration::from_secs(240);
    // CA2 has nothing left; CA1 still awaits one.
    assert_eq!(shelf.reserve(&call("CA3"), late), 2);
    assert_eq!(shelf.lock().len(), 2);
}

#[test]
fn a_base_url_without_tls_is_for_this_machine_only() {
    let refused = |url: &str, adjust: fn(&mut AutoTranscribeConfig)| {
        let base = Url::parse(url).unwrap();
        let mut config = AutoTranscribeConfig::new(base, "id".to_owned(), secret());
        adjust(&mut config);
        let metrics = Arc::new(Metrics::register(&Registry::new()).unwrap());
        super::super::AutoTranscribe::new(&config, &Trust::new(None).unwrap(), metrics)
            .err()
            .map(|error| error.to_string())
    };
    assert_eq!(refused("https://api.sandbox.asapp.com", |_| {}), None);
    assert_eq!(refused("http://localhost:8080/prefix/", |_| {}), None);
    assert_eq!(
        refused("http://service:8080", |config| config.allow_plain = true),
        None
    );
    assert!(
        refused("http://service:8080", |_| {})
            .unwrap()
            .contains("base_url")
    );
    assert!(
        refused("ftp://localhost", |_| {})
            .unwrap()
            .contains("base_url")
    );
    let chunk = |config: &mut AutoTranscribeConfig| config.chunk = Duration::from_millis(19);
    assert!(refused("https://service", chunk).unwrap().contains("chunk"));
    let secret = |config: &mut AutoTranscribeConfig| config.api_secret = "a\nb".to_owned().into();
    assert!(
        refused("https://service", secret)
            .unwrap()
            .contains("api_secret")
    );
}
