use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// The service's HTTP side, played by hand: one request, and what is answered.
async fn located(answer: &str) -> (String, Result<String, LocateError>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = config();
    let base = format!("ws://{}", listener.local_addr().unwrap());
    config.base_url = Url::parse(&base).unwrap();
    config.auth = Auth::Token;
    config.token.answer_bytes_max = 4096;
    let service = service(&config);
    let spec = spec(options());
    let answering = async {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let (mut request, mut piece) = (Vec::new(), [0; 4096]);
        while !request.ends_with(b"\r\n\r\n") {
            let length = tcp.read(&mut piece).await.unwrap();
            assert!(length > 0, "the request has no end");
            request.extend_from_slice(&piece[..length]);
        }
        // Whoever has read enough hangs up.
        tcp.write_all(answer.as_bytes()).await.unwrap_or_default();
        String::from_utf8(request).unwrap()
    };
    let (request, located) = tokio::join!(answering, service.locate(&spec));
    let address = located.map(|located| {
        assert!(
            !located
                .request
                .headers()
                .contains_key(header::AUTHORIZATION)
        );
        let address = located.request.uri().to_string();
        let (_, query) = address.split_once("/v3/ws?").unwrap();
        query.to_owned()
    });
    (request, address)
}

fn answer(head: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

#[tokio::test]
async fn a_token_is_asked_for_with_the_key_and_stands_in_the_address() {
    let body = r#"{"token":"AQI+/=","expires_in_seconds":60}"#;
    let (request, query) = located(&answer("200 OK", body)).await;
    assert!(
        request.starts_with(
            "GET /v3/token?expires_in_seconds=60&max_session_duration_seconds=10800 HTTP/1.1\r\n"
        ),
        "{request}"
    );
    let request = request.to_ascii_lowercase();
    assert!(
        request.contains("\r\nauthorization: swordfish\r\n"),
        "{request}"
    );
    assert_eq!(
        query.unwrap(),
        "sample_rate=8000&encoding=pcm_s16le&speech_model=universal-streaming-english\
         &format_turns=true&session_heartbeat=true&include_partial_turns=false\
         &token=AQI%2B%2F%3D",
    );
}

#[tokio::test]
async fn a_refusal_has_its_class_and_the_services_words() {
    let cases = [
        (
            "401 Unauthorized",
            r#"{"error":"bad key"}"#,
            Retry::Credential,
        ),
        ("403 Forbidden", "", Retry::Credential),
        ("422 Unprocessable", r#"{"detail":[]}"#, Retry::Session),
        ("429 Too Many", r#"{"error":"slow down"}"#, Retry::Backoff),
        (
            "429 Too Many\r\nRetry-After: 7",
            "",
            Retry::After(Duration::from_secs(7)),
        ),
        ("500 Oops", "<html>", Retry::Backoff),
        (
            "302 Found\r\nLocation: http://127.0.0.1:1/",
            "",
            Retry::Session,
        ),
        ("200 OK", r#"{"token":""}"#, Retry::Backoff),
        ("200 OK", r#"{"token":7}"#, Retry::Backoff),
    ];
    for (head, body, retry) in cases {
        let (_, refused) = located(&answer(head, body)).await;
        assert_eq!(refused.unwrap_err().retry, retry, "{head}");
    }
    let (_, refused) = located(&answer("401 Unauthorized", r#"{"error":"bad key"}"#)).await;
    assert_eq!(
        refused.unwrap_err().reason,
        "the service gave no token, HTTP status 401: bad key"
    );
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    let body = format!(r#"{{"token":"{}"}}"#, "x".repeat(1 << 20));
    let (_, refused) = located(&answer("200 OK", &body)).await;
    let refused = refused.unwrap_err();
    assert!(
        refused.reason.ends_with("for a token is too long"),
        "{refused}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_answer_is_not_waited_for_for_ever() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = config();
    let base = format!("ws://{}", listener.local_addr().unwrap());
    config.base_url = Url::parse(&base).unwrap();
    config.auth = Auth::Token;
    let refused = service(&config)
        .locate(&spec(options()))
        .await
        .err()
        .unwrap();
    assert_eq!(refused.reason, "the service did not answer in time");
    assert_eq!(refused.retry, Retry::Backoff);
}

#[test]
fn a_token_lives_as_long_as_the_service_lets_it() {
    for (seconds, fits) in [(0, false), (1, true), (600, true), (601, false)] {
        let mut config = config();
        config.auth = Auth::Token;
        config.token.lifetime = Duration::from_secs(seconds);
        let service = AssemblyAi::new(&config, &Trust::new(None).unwrap());
        assert_eq!(service.is_ok(), fits, "{seconds}");
    }
}
