//! The service over real sockets on loopback, and a client of a few lines.

use std::sync::Mutex;
use std::time::Instant;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio_tungstenite::Connector;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::faults::{Cut, CutAfter, EndFault, RestFault, TokenFault};
use super::*;
use crate::service::client::{SECONDS, Seen, Socket, hear, say, see, see_all};
use crate::speech::{Role, Script};

async fn service(change: impl FnOnce(&mut Config)) -> Running {
    let _again = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut config = Config {
        lexicon: None,
        ..Config::default()
    };
    change(&mut config);
    AutoTranscribe::start(config).await.unwrap()
}

async fn faulty(faults: Faults) -> Running {
    service(|config| config.faults = faults).await
}

fn request(running: &Running) -> reqwest::RequestBuilder {
    reqwest::Client::new()
        .post(format!("{}/autotranscribe/v1/streaming-url", running.url()))
        .header("asapp-api-id", "sim-api-id")
        .header("asapp-api-secret", "sim-api-secret")
}

async fn url(running: &Running) -> String {
    let response = request(running)
        .json(&json!({ "externalId": "CA42" }))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let body: Value = response.json().await.unwrap();
    body["streamingUrl"].as_str().unwrap().to_owned()
}

// The documented URL has no path, and tungstenite would ask for none.
fn with_path(url: &str) -> String {
    url.replacen("?token=", "/?token=", 1)
}

async fn connect(running: &Running) -> Socket {
    tokio_tungstenite::connect_async(with_path(&url(running).await))
        .await
        .unwrap()
        .0
}

async fn start(running: &Running, role: &str) -> Socket {
    let mut socket = connect(running).await;
    say(
        &mut socket,
        json!({ "message": "startStream", "sender": { "role": role, "externalId": "7" } }),
    )
    .await;
    socket
}

// What was seen, in short: "startResponse", "finalResponse 1000", "close 1000", "end".
async fn summary(socket: &mut Socket) -> Vec<String> {
    let short = |seen| match seen {
        Seen::Text(message) => match &message["status"]["code"] {
            Value::String(code) if message["message"] == "finalResponse" => {
                format!("finalResponse {code}")
            }
            _ => message["message"].as_str().unwrap().to_owned(),
        },
        Seen::Close(code) => format!("close {code}"),
        Seen::End => "end".to_owned(),
        Seen::Broken => "broken".to_owned(),
    };
    see_all(socket).await.into_iter().map(short).collect()
}

async fn finish(socket: &mut Socket) {
    say(socket, json!({ "message": "finishStream" })).await;
}

#[tokio::test]
async fn a_conversation_is_heard_and_kept_byte_for_byte() {
    let arrivals = Arc::new(Mutex::new(Vec::new()));
    let seen = arrivals.clone();
    let running = service(|config| {
        config.lexicon = Config::default().lexicon;
        config.observer = Some(Arc::new(move |arrival: Arrival<'_>| {
            assert_eq!(
                (arrival.external_id, arrival.role),
                ("CA42", Some(Role::Customer))
            );
            seen.lock().unwrap().push(arrival.samples);
        }));
    })
    .await;
    let call = Script::standard().payment_call().unwrap();
    let channel = crate::speech::conversation::Channel::Inbound;
    let samples = call.channel(channel);

    let mut socket = start(&running, "customer").await;
    hear(&mut socket, &samples).await;
    finish(&mut socket).await;
    let seen = see_all(&mut socket).await;
    running.wait_for(|streams| streams[0].is_closed()).await;

    let record = running.streams().remove(0);
    let said = || {
        call.segments()
            .iter()
            .filter(|segment| segment.channel == channel)
    };
    assert_eq!(
        record.texts(),
        said()
            .map(|segment| segment.phrase.redacted())
            .collect::<Vec<_>>()
    );
    for (transcript, segment) in record.transcripts.iter().zip(said()) {
        assert!(
            transcript.start_ms.abs_diff(segment.at_ms) <= 10,
            "{transcript:?}"
        );
    }
    assert_eq!(record.samples, samples);
    assert!(
        record.ahead_max > Duration::from_secs(10),
        "it was sent at once"
    );
    let bytes: Vec<u8> = samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    let digest: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(record.sha256, Some(digest));
    assert!(record.complaints.is_empty(), "{:?}", record.complaints);
    assert_eq!(
        (record.external_id.as_deref(), record.final_code),
        (Some("CA42"), Some(1000))
    );
    assert_eq!(
        arrivals.lock().unwrap().last(),
        Some(&(samples.len() as u64))
    );

    expect_answers(&seen, record.transcripts.len(), bytes.len());
}

fn expect_answers(seen: &[Seen], transcripts: usize, bytes: usize) {
    assert_eq!(seen.len(), transcripts + 4);
    let message = |place: usize| match &seen[place] {
        Seen::Text(message) => message,
        other => panic!("{other:?}"),
    };
    assert_eq!(message(0)["message"], "startResponse");
    assert!((1..=transcripts).all(|place| message(place)["message"] == "transcript"));
    let summary = &message(transcripts + 1)["summary"];
    assert_eq!(
        (&summary["totalAudioBytes"], &summary["transcripts"]),
        (&json!(bytes), &json!(transcripts))
    );
    assert_eq!(seen[transcripts + 2..], [Seen::Close(1000), Seen::End]);
}

#[tokio::test]
async fn the_url_is_as_documented_and_wants_the_right_keys() {
    let running = service(|_| {}).await;
    let host = running.url().replace("http://", "ws://");
    assert!(url(&running).await.starts_with(&format!("{host}?token=")));

    let no_body = request(&running).send().await.unwrap();
    assert_eq!(no_body.status(), 200);

    let wrong =
        reqwest::Client::new().post(format!("{}/autotranscribe/v1/streaming-url", running.url()));
    let response = wrong
        .header("asapp-api-id", "sim-api-id")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 401);
    let body: Value = response.json().await.unwrap();
    assert_eq!(
        (&body["error"]["code"], &body["error"]["message"]),
        (&json!("401-01"), &json!("Unauthorized"))
    );
    assert!(body["error"]["requestId"].is_string());

    for (body, status) in [
        ("{", 400),
        ("[]", 400),
        ("{\"externalId\":7}", 422),
        ("{}", 200),
    ] {
        assert_eq!(
            request(&running).body(body).send().await.unwrap().status(),
            status,
            "{body}"
        );
    }
    assert_eq!(
        request(&running)
            .body("x".repeat(20_000))
            .send()
            .await
            .unwrap()
            .status(),
        413
    );
    let elsewhere = reqwest::get(format!("{}/elsewhere", running.url()))
        .await
        .unwrap();
    assert_eq!(elsewhere.status(), 404);
    let asked = running.asked();
    assert_eq!(asked[0].external_id.as_deref(), Some("CA42"));
    assert_eq!(
        asked.iter().map(|asked| asked.status).collect::<Vec<_>>(),
        [200, 200, 401, 400, 400, 422, 200, 413]
    );
}

#[tokio::test]
async fn a_token_opens_one_socket_for_its_time() {
    let running = service(|_| {}).await;
    let url = with_path(&url(&running).await);
    let (_first, _) = tokio_tungstenite::connect_async(&url).await.unwrap();
    let (mut second, _) = tokio_tungstenite::connect_async(&url).await.unwrap();
    assert_eq!(summary(&mut second).await, ["close 1008", "end"]);

    let short = service(|config| config.tokens.ttl = Duration::ZERO).await;
    assert_eq!(
        summary(&mut connect(&short).await).await,
        ["close 1008", "end"]
    );
    for token in [TokenFault::Bad, TokenFault::Expired] {
        let running = faulty(Faults {
            token,
            ..Faults::default()
        })
        .await;
        assert_eq!(
            summary(&mut connect(&running).await).await,
            ["close 1008", "end"]
        );
    }

    let strict = service(|config| {
        config.tokens = Tokens {
            refusal: TokenRefusal::Http401,
            ..Tokens::default()
        };
        config.faults.token = TokenFault::Bad;
    })
    .await;
    let refused = tokio_tungstenite::connect_async(with_path(&self::url(&strict).await))
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::Http(response) if response.status() == 401));

    let reusable = service(|config| config.tokens.single_use = false).await;
    let url = with_path(&self::url(&reusable).await);
    for _ in 0..2 {
        let (mut socket, _) = tokio_tungstenite::connect_async(&url).await.unwrap();
        say(&mut socket, json!({ "message": "finishStream" })).await;
        assert_eq!(
            summary(&mut socket).await,
            ["finalResponse 4056", "close 1000", "end"]
        );
    }
}

#[tokio::test]
async fn a_rest_call_fails_as_often_as_asked() {
    let retry_after = Some(Duration::from_secs(7));
    for status in [401, 403, 429, 500, 503] {
        let rest = Some(RestFault {
            status,
            retry_after,
        });
        let running = faulty(Faults {
            rest,
            times: Some(1),
            ..Faults::default()
        })
        .await;
        let response = request(&running).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers()["retry-after"], "7");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"]["code"], format!("{status}-01"));
        assert_eq!(request(&running).send().await.unwrap().status(), 200);
        let both = running.wait_for_asked(|asked| asked.len() == 2 && asked[1].status == 200);
        tokio::time::timeout(SECONDS, both).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_kept_has_limits() {
    let keep = Keep {
        samples_max: 1000,
        arrivals_max: 1,
        streams_max: 1,
    };
    let running = service(|config| config.keep = keep).await;
    let mut socket = start(&running, "agent").await;
    hear(&mut socket, &[1; 1600]).await;
    finish(&mut socket).await;
    assert_eq!(summary(&mut socket).await.len(), 4);
    let record = running.streams().remove(0);
    assert_eq!(
        (
            record.samples.len(),
            record.arrivals.len(),
            record.audio_bytes
        ),
        (1000, 1, 3200)
    );
    assert_eq!(
        summary(&mut connect(&running).await).await,
        ["close 1013", "end"]
    );
}

#[tokio::test]
async fn a_slow_rest_call_takes_its_time() {
    let rest_delay = Duration::from_millis(120);
    let running = faulty(Faults {
        rest_delay,
        ..Faults::default()
    })
    .await;
    let asked = Instant::now();
    url(&running).await;
    assert!(asked.elapsed() >= rest_delay);
}

#[tokio::test]
async fn a_stream_is_refused_with_any_code() {
    for code in [2002, 4080, 4082, 5000, 5001, 5002] {
        let running = faulty(Faults {
            refuse: Some(code),
            ..Faults::default()
        })
        .await;
        let mut socket = start(&running, "agent").await;
        assert_eq!(
            summary(&mut socket).await,
            [
                format!("finalResponse {code}"),
                "close 1000".into(),
                "end".into()
            ]
        );
        running
            .wait_for(|streams| streams[0].final_code == Some(code))
            .await;
    }
}

#[tokio::test]
async fn a_fault_for_one_role_leaves_the_other_alone() {
    let running = faulty(Faults {
        refuse: Some(5000),
        role: Some(Role::Agent),
        ..Faults::default()
    })
    .await;
    let mut customer = start(&running, "customer").await;
    let mut agent = start(&running, "agent").await;
    finish(&mut customer).await;
    assert_eq!(
        summary(&mut customer).await,
        ["startResponse", "finalResponse 1000", "close 1000", "end"]
    );
    assert_eq!(
        summary(&mut agent).await,
        ["finalResponse 5000", "close 1000", "end"]
    );
}

#[tokio::test]
async fn answers_come_late_twice_or_wrong_when_asked() {
    let started = Instant::now();
    let long = Duration::from_millis(150);
    let slow = faulty(Faults {
        start_delay: long,
        final_delay: long,
        ..Faults::default()
    })
    .await;
    let mut socket = start(&slow, "agent").await;
    hear(&mut socket, &[0; 800]).await;
    assert!(matches!(see(&mut socket).await, Seen::Text(_)));
    assert!(started.elapsed() >= long);
    finish(&mut socket).await;
    assert_eq!(
        summary(&mut socket).await,
        ["finalResponse 1000", "close 1000", "end"]
    );
    assert!(started.elapsed() >= 2 * long);

    // While the end is held back, another message is out of order.
    let mut socket = start(&slow, "agent").await;
    finish(&mut socket).await;
    finish(&mut socket).await;
    assert_eq!(
        summary(&mut socket).await,
        ["startResponse", "finalResponse 4056", "close 1000", "end"]
    );

    let twice = faulty(Faults {
        final_twice: true,
        bytes_off: -100,
        ..Faults::default()
    })
    .await;
    let mut socket = start(&twice, "agent").await;
    hear(&mut socket, &[0; 800]).await;
    finish(&mut socket).await;
    let seen = see_all(&mut socket).await;
    let bytes = |seen: &Seen| match seen {
        Seen::Text(message) => message["summary"]["totalAudioBytes"].as_u64(),
        _ => None,
    };
    assert_eq!(
        seen.iter().filter_map(bytes).collect::<Vec<_>>(),
        [1500, 1500]
    );

    let strange = faulty(Faults {
        unknown_message: true,
        huge_message: true,
        ..Faults::default()
    })
    .await;
    let mut socket = start(&strange, "agent").await;
    finish(&mut socket).await;
    let expected = [
        "startResponse",
        "weatherReport",
        "transcript",
        "finalResponse 1000",
        "close 1000",
        "end",
    ];
    assert_eq!(summary(&mut socket).await, expected);
}

#[tokio::test]
async fn a_stream_ends_without_its_last_words_when_asked() {
    let running = faulty(Faults {
        end: EndFault::CloseOnly,
        ..Faults::default()
    })
    .await;
    let mut socket = start(&running, "agent").await;
    finish(&mut socket).await;
    assert_eq!(
        summary(&mut socket).await,
        ["startResponse", "close 1000", "end"]
    );

    let running = faulty(Faults {
        end: EndFault::Silence,
        ..Faults::default()
    })
    .await;
    let mut socket = start(&running, "agent").await;
    finish(&mut socket).await;
    assert!(matches!(see(&mut socket).await, Seen::Text(_)));
    assert!(
        tokio::time::timeout(Duration::from_millis(100), socket.next())
            .await
            .is_err()
    );
    socket.close(None).await.unwrap();
    running
        .wait_for(|streams| streams[0].is_closed() && streams[0].final_code.is_none())
        .await;
}

#[tokio::test]
async fn a_stream_breaks_in_every_way() {
    let cases: [(Cut, &[&str]); 5] = [
        (Cut::Close(1000), &["startResponse", "close 1000", "end"]),
        (Cut::Close(1011), &["startResponse", "close 1011", "end"]),
        (
            Cut::Final(5000),
            &["startResponse", "finalResponse 5000", "close 1000", "end"],
        ),
        (Cut::Drop, &["startResponse", "broken"]),
        (Cut::Reset, &["startResponse", "broken"]),
    ];
    for (cut, expected) in cases {
        let audio = Duration::from_millis(200);
        let running = faulty(Faults {
            cut: Some(CutAfter { audio, cut }),
            ..Faults::default()
        })
        .await;
        let mut socket = start(&running, "agent").await;
        assert!(matches!(see(&mut socket).await, Seen::Text(_)));
        hear(&mut socket, &[0; 800]).await;
        running
            .wait_for(|streams| streams[0].audio_bytes == 1600)
            .await;
        assert!(!running.streams()[0].is_closed());
        hear(&mut socket, &[0; 800]).await;
        assert_eq!(summary(&mut socket).await, expected[1..], "{cut:?}");
        running.wait_for(|streams| streams[0].is_closed()).await;
    }
    let running = faulty(Faults {
        accept_then_close: Some(1011),
        ..Faults::default()
    })
    .await;
    assert_eq!(
        summary(&mut connect(&running).await).await,
        ["close 1011", "end"]
    );
}

#[tokio::test]
async fn a_reset_is_a_reset_and_not_an_end() {
    let running = service(|_| {}).await;
    let mut socket = start(&running, "agent").await;
    assert!(matches!(see(&mut socket).await, Seen::Text(_)));
    assert!(running.inflict(0, Cut::Reset));
    let Some(Err(Error::Io(error))) = socket.next().await else {
        panic!("no error")
    };
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    running.wait_for(|streams| streams[0].is_closed()).await;
    assert!(!running.inflict(0, Cut::Drop), "it is gone");
}

#[tokio::test]
async fn a_stalled_stream_takes_nothing_and_a_black_hole_everything() {
    let running = service(|config| config.receive_buffer_bytes = Some(4096)).await;
    let mut socket = start(&running, "agent").await;
    assert!(matches!(see(&mut socket).await, Seen::Text(_)));
    assert!(running.inflict(0, Cut::Stall(Duration::from_secs(60))));
    let megabytes = async {
        loop {
            socket
                .send(Message::binary(vec![0_u8; 64 * 1024]))
                .await
                .unwrap();
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(2), megabytes)
            .await
            .is_err(),
        "it stopped taking"
    );

    let mut socket = start(&running, "agent").await;
    assert!(matches!(see(&mut socket).await, Seen::Text(_)));
    assert!(running.inflict(1, Cut::BlackHole));
    let megabytes = async {
        for _ in 0..200 {
            socket
                .send(Message::binary(vec![0_u8; 64 * 1024]))
                .await
                .unwrap();
        }
        socket.send(Message::Ping("anybody?".into())).await.unwrap();
    };
    tokio::time::timeout(SECONDS, megabytes)
        .await
        .expect("it takes everything");
    assert!(
        tokio::time::timeout(Duration::from_millis(100), socket.next())
            .await
            .is_err(),
        "no pong, no end"
    );
    drop(socket);
    running.wait_for(|streams| streams[1].is_closed()).await;
}

#[tokio::test]
async fn a_stall_ends_and_what_waited_is_heard() {
    let running = service(|_| {}).await;
    let mut socket = start(&running, "agent").await;
    assert!(matches!(see(&mut socket).await, Seen::Text(_)));
    assert!(running.inflict(0, Cut::Stall(Duration::from_millis(100))));
    hear(&mut socket, &[0; 8000]).await;
    finish(&mut socket).await;
    assert_eq!(
        summary(&mut socket).await,
        ["finalResponse 1000", "close 1000", "end"]
    );
    assert_eq!(running.streams()[0].audio_bytes, 16_000);
}

#[tokio::test]
async fn limits_of_time_are_kept_in_milliseconds_when_asked() {
    let rules = Rules {
        idle_timeout: Duration::from_millis(80),
        ..Rules::default()
    };
    let running = service(|config| config.rules = rules).await;
    let mut socket = start(&running, "agent").await;
    assert_eq!(
        summary(&mut socket).await,
        ["startResponse", "finalResponse 4083", "close 1000", "end"]
    );

    let rules = Rules {
        duration_max: Duration::from_millis(80),
        ..Rules::default()
    };
    let running = service(|config| config.rules = rules).await;
    let mut socket = start(&running, "agent").await;
    assert_eq!(
        summary(&mut socket).await,
        ["startResponse", "finalResponse 4090", "close 1000", "end"]
    );
}

#[tokio::test]
async fn a_message_that_is_too_large_breaks_the_connection() {
    let rules = Rules {
        message_bytes_max: 10_000,
        ..Rules::default()
    };
    let running = service(|config| config.rules = rules).await;
    let mut socket = start(&running, "agent").await;
    assert!(matches!(see(&mut socket).await, Seen::Text(_)));
    socket.send(Message::binary(vec![0; 10_001])).await.unwrap();
    running
        .wait_for(|streams| streams[0].is_closed() && streams[0].complaints.len() == 1)
        .await;
}

#[tokio::test]
async fn stopping_ends_all_streams_with_5001() {
    let running = service(|_| {}).await;
    let mut socket = start(&running, "agent").await;
    assert!(matches!(see(&mut socket).await, Seen::Text(_)));
    let stopped = running.stop();
    let (seen, ()) = tokio::join!(summary(&mut socket), stopped);
    assert_eq!(seen, ["finalResponse 5001", "close 1000", "end"]);
}

#[tokio::test]
async fn it_speaks_tls() {
    let directory = std::env::temp_dir().join(format!("antiphon-sim-tls-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let files = TlsFiles {
        cert: directory.join("cert.pem"),
        key: directory.join("key.pem"),
    };
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])
        .unwrap();
    std::fs::write(&files.cert, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    let running = service(|config| config.tls = Some(files)).await;
    std::fs::remove_dir_all(&directory).unwrap();

    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let tls = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let http = reqwest::Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .build()
        .unwrap();
    let response = http
        .post(format!("{}/autotranscribe/v1/streaming-url", running.url()))
        .header("asapp-api-id", "sim-api-id")
        .header("asapp-api-secret", "sim-api-secret")
        .send()
        .await
        .unwrap();
    let body: Value = response.json().await.unwrap();
    let url = body["streamingUrl"].as_str().unwrap();
    assert!(url.starts_with("wss://"));
    let connector = Some(Connector::Rustls(Arc::new(tls)));
    let connected =
        tokio_tungstenite::connect_async_tls_with_config(with_path(url), None, true, connector)
            .await;
    let mut socket = connected.unwrap().0;
    say(
        &mut socket,
        json!({ "message": "startStream", "sender": { "role": "agent", "externalId": "7" } }),
    )
    .await;
    hear(&mut socket, &[0; 800]).await;
    assert!(matches!(see(&mut socket).await, Seen::Text(_)));
    assert!(running.inflict(0, Cut::Reset));
    assert_eq!(see(&mut socket).await, Seen::Broken);
    assert_eq!(running.streams()[0].audio_bytes, 1600);
}
