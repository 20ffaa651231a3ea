use std::sync::Mutex;
use std::time::Instant;

use axum::extract::Request as AxumRequest;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::routing::get;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;

use super::*;

/// A server on a port of its own, which stops when dropped.
struct World {
    address: SocketAddr,
    stop: CancellationToken,
    noticed: mpsc::Receiver<Noticed>,
    tasks: TaskTracker,
}

fn config() -> ServerConfig {
    let long = Duration::from_secs(60);
    ServerConfig {
        listen: ([127, 0, 0, 1], 0).into(),
        connections_max: 100,
        connections_per_address_max: None,
        header_bytes_max: 8 << 10,
        headers_max: 32,
        headers_timeout: long,
        handshake_timeout: long,
        goodbye_timeout: long,
    }
}

fn router() -> Router {
    let echo = |upgrade: WebSocketUpgrade| async {
        upgrade.on_upgrade(|mut socket| async move {
            while let Some(Ok(Message::Text(text))) = socket.recv().await {
                socket.send(Message::Text(text)).await.unwrap();
            }
        })
    };
    let whoami = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() };
    Router::new()
        .route("/whoami", get(whoami))
        .route("/ever", get(|_: AxumRequest| std::future::pending::<()>()))
        .route("/ws", get(echo))
}

impl World {
    async fn new(config: ServerConfig) -> Self {
        Self::with(config, None).await
    }

    async fn with(config: ServerConfig, certificates: Option<Certificates>) -> Self {
        let (teller, noticed) = mpsc::channel(1_000);
        let notice: Notice = Arc::new(move |fact| {
            // Connections may close after the test is over.
            let _told = teller.try_send(fact);
        });
        let server = Server::bind(config, certificates, notice).await.unwrap();
        let (address, stop) = (server.address(), CancellationToken::new());
        let tasks = TaskTracker::new();
        tasks.spawn(server.run(router(), stop.clone()));
        tasks.close();
        Self {
            address,
            stop,
            noticed,
            tasks,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends a text on a new connection and reads until the server closes it.
    async fn ask(&self, text: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(text.as_bytes()).await.unwrap();
        rest(&mut stream).await
    }

    async fn until(&mut self, fact: Noticed) {
        while self.noticed.recv().await.unwrap() != fact {}
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// All that comes until the end; a reset is an end as well.
async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut piece).await {
        bytes.extend_from_slice(&piece[..length]);
    }
    String::from_utf8(bytes).unwrap()
}

/// What comes up to and with a text.
async fn up_to(stream: &mut (impl AsyncRead + Unpin), end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        text.push(char::from(stream.read_u8().await.unwrap()));
    }
    text
}

fn get_once(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n")
}

#[tokio::test]
async fn handlers_see_who_is_asking() {
    let world = World::new(config()).await;
    let mut stream = world.connect().await;
    let local = stream.local_addr().unwrap().to_string();
    stream
        .write_all(get_once("/whoami", "").as_bytes())
        .await
        .unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with(&local), "{answer}");
}

#[tokio::test]
async fn headers_that_are_too_long_or_too_many_answer_431() {
    let world = World::new(config()).await;
    let long = format!("X-Long: {}\r\n", "x".repeat(9 << 10));
    let many: String = (0..40).map(|n| format!("X-{n}: y\r\n")).collect();
    for more in [long, many] {
        let answer = world.ask(&get_once("/whoami", &more)).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    let answer = world.ask(&get_once("/whoami", "X-Short: x\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_headers_is_disconnected() {
    let quick = ServerConfig {
        headers_timeout: Duration::from_millis(50),
        ..config()
    };
    let mut world = World::new(quick).await;
    let began = Instant::now();
    assert_eq!(world.ask("GET /whoami HTTP/1.1\r\nHost: ").await, "");
    assert!(began.elapsed() >= Duration::from_millis(50));
    world.until(Noticed::ConnectionClosed).await;
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_disconnected_before_and_after_a_request() {
    let quick = ServerConfig {
        headers_timeout: Duration::from_millis(50),
        ..config()
    };
    let world = World::new(quick).await;
    assert_eq!(world.ask("").await, "");
    let answer = world.ask("GET /whoami HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn connections_over_the_limit_are_refused_and_room_is_made_by_those_that_go() {
    let narrow = ServerConfig {
        connections_max: 2,
        ..config()
    };
    let mut world = World::new(narrow).await;
    let (first, second) = (world.connect().await, world.connect().await);
    world.until(Noticed::ConnectionOpened).await;
    world.until(Noticed::ConnectionOpened).await;
    let refused = rest(&mut world.connect().await).await;
    assert!(
        refused.starts_with("HTTP/1.1 503") && refused.contains("Retry-After"),
        "{refused}"
    );
    world.until(Noticed::ConnectionRefused).await;
    drop(first);
    world.until(Noticed::ConnectionClosed).await;
    assert!(
        world
            .ask(&get_once("/whoami", ""))
            .await
            .starts_with("HTTP/1.1 200")
    );
    drop(second);
}

#[tokio::test]
async fn one_address_cannot_take_all_the_room() {
    let fair = ServerConfig {
        connections_per_address_max: Some(1),
        ..config()
    };
    let mut world = World::new(fair).await;
    let first = world.connect().await;
    world.until(Noticed::ConnectionOpened).await;
    assert!(
        rest(&mut world.connect().await)
            .await
            .starts_with("HTTP/1.1 503")
    );
    let other = tokio::net::TcpSocket::new_v4().unwrap();
    other.bind(([127, 0, 0, 2], 0).into()).unwrap();
    let mut other = other.connect(world.address).await.unwrap();
    other
        .write_all(get_once("/whoami", "").as_bytes())
        .await
        .unwrap();
    assert!(rest(&mut other).await.starts_with("HTTP/1.1 200"));
    drop(first);
}

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[tokio::test]
async fn a_websocket_counts_as_a_connection_and_outlives_the_server() {
    let narrow = ServerConfig {
        connections_max: 1,
        ..config()
    };
    let mut world = World::new(narrow).await;
    let mut stream = world.connect().await;
    stream.write_all(UPGRADE.as_bytes()).await.unwrap();
    assert!(
        up_to(&mut stream, "\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 101")
    );
    assert!(
        rest(&mut world.connect().await)
            .await
            .starts_with("HTTP/1.1 503")
    );
    world.stop.cancel();
    world.tasks.wait().await;
    // "hi", masked with zeros; it comes back unmasked.
    stream
        .write_all(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i'])
        .await
        .unwrap();
    assert_eq!(up_to(&mut stream, "hi").await, "\u{81}\u{2}hi");
    drop(stream);
    world.until(Noticed::ConnectionClosed).await;
}

#[tokio::test]
async fn a_server_that_stops_takes_nobody_in_and_lets_idle_ones_go() {
    let world = World::new(config()).await;
    let mut idle = world.connect().await;
    idle.write_all(b"GET /whoami HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    up_to(&mut idle, "127.0.0.1:").await;
    world.stop.cancel();
    world.tasks.wait().await;
    rest(&mut idle).await;
    assert!(TcpStream::connect(world.address).await.is_err());
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_hold_the_server() {
    let quick = ServerConfig {
        goodbye_timeout: Duration::from_millis(50),
        ..config()
    };
    let mut world = World::new(quick).await;
    let mut stream = world.connect().await;
    stream
        .write_all(get_once("/ever", "").as_bytes())
        .await
        .unwrap();
    world.until(Noticed::ConnectionOpened).await;
    world.stop.cancel();
    world.tasks.wait().await;
    assert_eq!(rest(&mut stream).await, "");
}

/// Remembers the certificate of the last handshake, and trusts anybody.
#[derive(Debug, Default)]
struct Trusting(Mutex<Vec<u8>>);

impl rustls::client::danger::ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        shown: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        *self.0.lock().unwrap() = shown.to_vec();
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

fn connector(trusting: &Arc<Trusting>) -> TlsConnector {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(trusting.clone())
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_the_next_client_and_old_connections_live_on() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    let renew = || {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        std::fs::write(&cert, made.cert.pem()).unwrap();
        made.cert.der().to_vec()
    };
    let first = renew();
    let certificates = Certificates::load(&cert, &key, Duration::from_millis(10)).unwrap();
    let mut world = World::with(config(), Some(certificates)).await;
    let trusting = Arc::new(Trusting::default());
    let name = ServerName::try_from("localhost").unwrap();
    let connect = async |world: &World| {
        connector(&trusting)
            .connect(name.clone(), world.connect().await)
            .await
            .unwrap()
    };
    let mut old = connect(&world).await;
    assert_eq!(*trusting.0.lock().unwrap(), first);
    let second = renew();
    world.until(Noticed::CertificateTaken).await;
    let mut new = connect(&world).await;
    assert_eq!(*trusting.0.lock().unwrap(), second);
    for stream in [&mut old, &mut new] {
        stream
            .write_all(get_once("/whoami", "").as_bytes())
            .await
            .unwrap();
        assert!(rest(stream).await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_handshake_is_disconnected() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    std::fs::write(&cert, made.cert.pem()).unwrap();
    let certificates = Certificates::load(&cert, &key, Duration::from_secs(60)).unwrap();
    let quick = ServerConfig {
        handshake_timeout: Duration::from_millis(50),
        ..config()
    };
    let mut world = World::with(quick, Some(certificates)).await;
    assert_eq!(rest(&mut world.connect().await).await, "");
    world.until(Noticed::HandshakeFailed).await;
    world.until(Noticed::ConnectionClosed).await;
    world.ask("GET / HTTP/1.1\r\n\r\n").await;
    world.until(Noticed::HandshakeFailed).await;
}
