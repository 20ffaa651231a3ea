use std::io::Write;

use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tempfile::NamedTempFile;

use super::testing::{Said, Server};
use super::*;

fn request(url: &str) -> http::Request<()> {
    http::Request::get(url)
        .header("x-key", "value")
        .body(())
        .unwrap()
}

fn wire(config: WireConfig) -> Wire {
    Wire::new(config, Trust::new(None).unwrap())
}

async fn error(config: WireConfig, url: &str) -> WireError {
    wire(config)
        .connect(request(url))
        .await
        .expect_err("a socket")
}

/// A certificate for `localhost`, trusted by the file that is also given.
fn certificate() -> (std::sync::Arc<ServerConfig>, NamedTempFile) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (std::sync::Arc::new(config), file(&made.cert.pem()))
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[tokio::test]
async fn tls_trusts_the_configured_authority() {
    let (config, file) = certificate();
    let server = Server::bind();
    let wire = Wire::new(
        WireConfig::default(),
        Trust::new(Some(file.path())).unwrap(),
    );
    let url = format!("wss://localhost:{}/?token=hunter2", server.port());
    let (link, peer) = tokio::join!(wire.connect(request(&url)), server.accept_tls(config));
    let (mut link, mut peer) = (link.unwrap(), peer.unwrap());
    link.feed(Message::Text("hello".to_owned())).unwrap();
    std::future::poll_fn(|context| link.poll_flush(context))
        .await
        .unwrap();
    assert_eq!(peer.next().await, Said::Text("hello".to_owned()));
    peer.say("hello yourself").await;
    let received = std::future::poll_fn(|context| link.poll_hear(context))
        .await
        .unwrap();
    assert!(matches!(received, Received::Text(text) if &*text == "hello yourself"));
}

#[tokio::test]
async fn tls_does_not_trust_a_stranger() {
    let (config, _file) = certificate();
    let (_, other) = certificate();
    let server = Server::bind();
    let wire = Wire::new(
        WireConfig::default(),
        Trust::new(Some(other.path())).unwrap(),
    );
    let url = format!("wss://localhost:{}/?token=hunter2", server.port());
    let (link, peer) = tokio::join!(wire.connect(request(&url)), server.accept_tls(config));
    assert!(peer.is_none());
    let error = link.unwrap_err();
    assert!(matches!(error, WireError::Network(_)), "{error:?}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn a_file_without_certificates_is_refused() {
    let nothing = file("nothing");
    assert!(matches!(
        Trust::new(Some(nothing.path())),
        Err(crate::trust::TrustError::Nobody)
    ));
}

#[tokio::test]
async fn without_tls_only_this_machine_is_spoken_with() {
    assert_eq!(
        error(WireConfig::default(), "ws://192.0.2.1/").await,
        WireError::Plain
    );
    assert_eq!(
        error(WireConfig::default(), "http://127.0.0.1/").await,
        WireError::NotAnAddress
    );
    assert_eq!(
        error(WireConfig::default(), "/path").await,
        WireError::NotAnAddress
    );
    for host in [
        "localhost",
        "127.0.0.1",
        "127.8.8.8",
        "[::1]",
        "::1",
        "LOCALHOST",
    ] {
        assert!(is_this_machine(host), "{host}");
    }
    for host in ["localhost.example", "10.0.0.1", "[fe80::1]"] {
        assert!(!is_this_machine(host), "{host}");
    }
}

#[tokio::test]
async fn an_address_where_nobody_answers_is_given_up_in_time() {
    let server = Server::bind();
    let config = WireConfig {
        connect_timeout: Duration::from_millis(50),
        ..WireConfig::default()
    };
    assert_eq!(error(config, &server.url()).await, WireError::Timeout);
}

#[tokio::test]
async fn a_refusal_has_its_status_and_its_class() {
    let cases = [
        ("401 Unauthorized", 401, None, Retry::Token),
        ("404 Not Found", 404, None, Retry::Token),
        ("503 Service Unavailable", 503, None, Retry::Backoff),
        ("429 Too Many Requests", 429, None, Retry::Backoff),
        (
            "429 Too Many Requests\r\nRetry-After: 7",
            429,
            Some(Duration::from_secs(7)),
            Retry::After(Duration::from_secs(7)),
        ),
    ];
    let server = Server::bind();
    let (url, config) = (server.url(), WireConfig::default());
    for (head, status, retry_after, retry) in cases {
        let (error, ()) = tokio::join!(error(config, &url), server.refuse(head));
        assert_eq!(
            error,
            WireError::Refused {
                status,
                retry_after
            }
        );
        assert_eq!(error.retry(), retry);
    }
}

#[tokio::test]
async fn a_message_beyond_the_limit_ends_the_socket() {
    let server = Server::bind();
    let config = WireConfig {
        message_bytes_max: 1000,
        ..WireConfig::default()
    };
    let wire = wire(config);
    let (link, mut peer) = tokio::join!(wire.connect(request(&server.url())), server.accept());
    let mut link = link.unwrap();
    peer.say(&"x".repeat(1001)).await;
    let error = std::future::poll_fn(|context| link.poll_hear(context))
        .await
        .unwrap_err();
    assert!(matches!(error, WireError::Protocol(_)), "{error:?}");
}

#[tokio::test]
async fn a_message_longer_than_the_write_buffer_is_refused_not_kept() {
    let server = Server::bind();
    let config = WireConfig {
        write_buffer_bytes_max: 1000,
        ..WireConfig::default()
    };
    let wire = wire(config);
    let (link, _peer) = tokio::join!(wire.connect(request(&server.url())), server.accept());
    let error = link
        .unwrap()
        .feed(Message::Text("x".repeat(1001)))
        .unwrap_err();
    assert!(matches!(error, WireError::Protocol(_)), "{error:?}");
}

#[tokio::test]
async fn a_close_code_is_told_and_answered() {
    let server = Server::bind();
    let wire = wire(WireConfig::default());
    let (link, peer) = tokio::join!(wire.connect(request(&server.url())), server.accept());
    let mut link = link.unwrap();
    let client = async {
        let error = std::future::poll_fn(|context| link.poll_hear(context))
            .await
            .unwrap_err();
        assert!(matches!(error, WireError::Closed(Some(1008), _)));
        assert_eq!(error.retry(), Retry::Token);
        link.close().await;
    };
    tokio::join!(client, peer.close(1008));
}
