//! The service over real sockets on loopback.

use std::time::{Instant, SystemTime};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::*;
use crate::service::client::{SECONDS, Seen, Socket, hear, say, see, see_all};
use crate::service::faults::{Cut, CutAfter, EndFault, Faults, RestFault, TokenFault};
use crate::service::tokens::TokenRefusal;
use crate::speech::Script;

const QUERY: &str = "sample_rate=8000&format_turns=True&include_partial_turns=false";

async fn service(change: impl FnOnce(&mut Config)) -> Running {
    let mut config = Config::default();
    config.settings.lexicon = None;
    change(&mut config);
    AssemblyAi::start(config).await.unwrap()
}

async fn faulty(faults: Faults) -> Running {
    service(|config| config.settings.faults = faults).await
}

async fn try_connect(running: &Running, query: &str, key: &str) -> Result<Socket, Error> {
    let url = format!("{}/v3/ws?{query}", running.socket_url());
    let mut request = url.into_client_request().unwrap();
    if !key.is_empty() {
        let headers = request.headers_mut();
        headers.insert("authorization", key.parse().unwrap());
    }
    let connected = tokio_tungstenite::connect_async(request).await;
    connected.map(|(socket, _)| socket)
}

async fn connect(running: &Running) -> Socket {
    try_connect(running, QUERY, "sim-api-key").await.unwrap()
}

/// A session that has begun.
async fn begun(running: &Running) -> Socket {
    let mut socket = connect(running).await;
    assert_eq!(see(&mut socket).await.text()["type"], "Begin");
    socket
}

async fn terminate(socket: &mut Socket) {
    say(socket, json!({"type": "Terminate"})).await;
}

// What was seen, in short: "Begin", "Error 3007", "close 1000", "end".
async fn summary(socket: &mut Socket) -> Vec<String> {
    let short = |seen| match seen {
        Seen::Text(message) => match message["type"].as_str().unwrap() {
            "Error" => format!("Error {}", message["error_code"]),
            kind => kind.to_owned(),
        },
        Seen::Close(code) => format!("close {code}"),
        Seen::End => "end".to_owned(),
        Seen::Broken => "broken".to_owned(),
    };
    see_all(socket).await.into_iter().map(short).collect()
}

fn token_request(running: &Running, query: &str) -> reqwest::RequestBuilder {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    reqwest::Client::new()
        .get(format!("{}/v3/token?{query}", running.url()))
        .header("authorization", "sim-api-key")
}

async fn token(running: &Running) -> String {
    let response = token_request(running, "expires_in_seconds=60").send().await;
    let body: Value = response.unwrap().json().await.unwrap();
    assert_eq!(body["expires_in_seconds"], 60);
    body["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_conversation_is_heard_and_kept_byte_for_byte() {
    let running = service(|config| config.settings.lexicon = Settings::default().lexicon).await;
    let call = Script::standard().payment_call().unwrap();
    let channel = crate::speech::conversation::Channel::Outbound;
    let samples = call.channel(channel);
    let whole = samples.len() / 800 * 800;

    let mut socket = begun(&running).await;
    hear(&mut socket, &samples[..whole]).await;
    terminate(&mut socket).await;
    let seen = see_all(&mut socket).await;
    running.wait_for(|streams| streams[0].is_closed()).await;

    let record = running.streams().remove(0);
    let said: Vec<_> = call
        .segments()
        .iter()
        .filter(|segment| segment.channel == channel)
        .collect();
    let ids: Vec<_> = said.iter().map(|segment| &*segment.phrase.id).collect();
    assert_eq!(record.heard(), ids);
    for (transcript, segment) in record.transcripts.iter().zip(said) {
        assert!(transcript.start_ms.abs_diff(segment.at_ms) <= 10);
        assert_eq!(transcript.text, &*segment.phrase.text);
    }
    assert_eq!(record.samples, samples[..whole]);
    assert_eq!(record.said, ["{\"type\":\"Terminate\"}"]);
    assert_eq!(record.parameter("format_turns"), Some("True"));
    assert!(record.complaints.is_empty(), "{:?}", record.complaints);
    assert_eq!(record.final_code, Some(1000));
    // Each turn raw and formatted, then the end.
    assert_eq!(seen.len(), 2 * ids.len() + 3);
    assert_eq!(seen[2 * ids.len() + 1..], [Seen::Close(1000), Seen::End]);
}

#[tokio::test]
async fn a_bare_key_in_the_header_or_a_token_in_the_query_opens_a_session() {
    let running = service(|_| {}).await;
    let token = token(&running).await;
    let query = format!("{QUERY}&token={token}");
    let mut socket = try_connect(&running, &query, "").await.unwrap();
    assert_eq!(see(&mut socket).await.text()["type"], "Begin");
    assert_eq!(running.streams()[0].parameter("token"), None);
    let in_header = self::token(&running).await;
    let mut socket = try_connect(&running, QUERY, &in_header).await.unwrap();
    assert_eq!(see(&mut socket).await.text()["type"], "Begin");

    let refused = [
        (query.as_str(), ""),
        ("token=invented", "sim-api-key"),
        (QUERY, ""),
        (QUERY, "Bearer sim-api-key"),
    ];
    for (query, key) in refused {
        let mut socket = try_connect(&running, query, key).await.unwrap();
        let seen = summary(&mut socket).await;
        assert_eq!(seen, ["Error 1008", "close 1008", "end"], "{query} {key}");
    }
    assert_eq!(running.streams().len(), 2);
    let closed = running
        .knocks()
        .iter()
        .filter_map(|knock| knock.closed)
        .count();
    assert_eq!(closed, 4);

    let strict = service(|config| config.tokens.refusal = TokenRefusal::Http401).await;
    let refused = try_connect(&strict, QUERY, "wrong").await.unwrap_err();
    assert!(matches!(refused, Error::Http(response) if response.status() == 401));
    assert_eq!(strict.knocks()[0].status, 401);
}

#[tokio::test]
async fn a_token_is_given_to_who_asks_rightly_and_can_be_no_good() {
    let running = service(|_| {}).await;
    for (query, status) in [
        ("", 400),
        ("expires_in_seconds=0", 400),
        ("expires_in_seconds=601", 400),
        (
            "expires_in_seconds=600&max_session_duration_seconds=59",
            400,
        ),
        (
            "expires_in_seconds=600&max_session_duration_seconds=60",
            200,
        ),
    ] {
        let response = token_request(&running, query).send().await.unwrap();
        assert_eq!(response.status(), status, "{query}");
    }
    let url = format!("{}/v3/token?expires_in_seconds=60", running.url());
    assert_eq!(reqwest::get(url).await.unwrap().status(), 401);

    for token_fault in [TokenFault::Bad, TokenFault::Expired] {
        let running = faulty(Faults {
            token: token_fault,
            ..Faults::default()
        })
        .await;
        let query = format!("{QUERY}&token={}", token(&running).await);
        let mut socket = try_connect(&running, &query, "").await.unwrap();
        assert_eq!(
            summary(&mut socket).await,
            ["Error 1008", "close 1008", "end"]
        );
    }
    let retry_after = Some(Duration::from_secs(3));
    let running = faulty(Faults {
        rest: Some(RestFault {
            status: 429,
            retry_after,
        }),
        ..Faults::default()
    })
    .await;
    let request = token_request(&running, "expires_in_seconds=60");
    let response = request.send().await.unwrap();
    assert_eq!(
        (
            response.status().as_u16(),
            &response.headers()["retry-after"]
        ),
        (429, &"3".parse().unwrap())
    );
    assert_eq!(running.asked()[0].status, 429);
}

#[tokio::test]
async fn a_session_of_a_token_is_as_short_as_the_token_says() {
    let running = service(|_| {}).await;
    let query = "expires_in_seconds=60&max_session_duration_seconds=90";
    let response = token_request(&running, query).send().await.unwrap();
    let body: Value = response.json().await.unwrap();
    let query = format!("{QUERY}&token={}", body["token"].as_str().unwrap());
    let mut socket = try_connect(&running, &query, "").await.unwrap();
    let expires_at = see(&mut socket).await.text()["expires_at"]
        .as_u64()
        .unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    assert!((88..=90).contains(&(expires_at - now.unwrap().as_secs())));
}

#[tokio::test]
async fn the_upgrade_is_refused_with_any_status_as_often_as_asked() {
    for status in [401, 402, 403, 429, 500, 503] {
        let running = faulty(Faults {
            upgrade: Some(RestFault {
                status,
                retry_after: Some(Duration::from_secs(7)),
            }),
            skip: 1,
            times: Some(1),
            ..Faults::default()
        })
        .await;
        let _first = begun(&running).await;
        let Err(Error::Http(response)) = try_connect(&running, QUERY, "sim-api-key").await else {
            panic!("it was not refused")
        };
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers()["retry-after"], "7");
        let _third = begun(&running).await;
        let knocks = running.knocks();
        let statuses: Vec<_> = knocks.iter().map(|knock| knock.status).collect();
        assert_eq!(statuses, [101, status, 101]);
        assert_eq!(knocks[1].fault, Some(format!("upgrade:{status}")));
    }
}

#[tokio::test]
async fn too_many_sessions_are_refused_with_either_code() {
    for code in [1008, 3009] {
        let running = service(|config| {
            config.rules.sessions_max = Some(1);
            config.rules.refusal_code = code;
        })
        .await;
        let mut first = begun(&running).await;
        let mut second = connect(&running).await;
        let error = see(&mut second).await.text();
        assert_eq!(error["error_code"], code);
        assert_eq!(
            error["error"],
            "Unauthorized Connection: Too many concurrent sessions"
        );
        assert_eq!(see(&mut second).await, Seen::Close(code));
        terminate(&mut first).await;
        see_all(&mut first).await;
        running.wait_for(|streams| streams[0].is_closed()).await;
        begun(&running).await;
    }
    let running = service(|config| config.rules.opens_per_minute = Some(2)).await;
    for _ in 0..2 {
        terminate(&mut begun(&running).await).await;
    }
    assert_eq!(summary(&mut connect(&running).await).await[0], "Error 3009");
}

#[tokio::test]
async fn a_session_is_refused_after_it_opened_in_every_way() {
    let accept = Faults {
        accept_then_close: Some(1011),
        ..Faults::default()
    };
    let running = faulty(accept).await;
    assert_eq!(
        summary(&mut connect(&running).await).await,
        ["close 1011", "end"]
    );
    let knock = running.knocks().remove(0);
    assert_eq!(knock.fault.as_deref(), Some("accept-then-close:1011"));
    for code in [1008, 1011, 3005, 3009] {
        let running = faulty(Faults {
            refuse: Some(code),
            ..Faults::default()
        })
        .await;
        let seen = summary(&mut connect(&running).await).await;
        assert_eq!(
            seen,
            [
                format!("Error {code}"),
                format!("close {code}"),
                "end".into()
            ]
        );
        running.wait_for(|streams| streams[0].is_closed()).await;
        let record = running.streams().remove(0);
        assert_eq!(record.faults, [format!("refuse:{code}")]);
        assert_eq!(record.final_code, Some(code));
    }
}

#[tokio::test]
async fn a_session_breaks_in_every_way() {
    let cases: [(Cut, &[&str]); 7] = [
        (Cut::Close(1000), &["close 1000", "end"]),
        (Cut::Close(3005), &["close 3005", "end"]),
        (Cut::Final(3005), &["Error 3005", "close 3005", "end"]),
        (Cut::Final(3008), &["Error 3008", "close 3008", "end"]),
        (Cut::Drop, &["broken"]),
        (Cut::Reset, &["broken"]),
        (Cut::Tear, &["broken"]),
    ];
    for (cut, expected) in cases {
        let audio = Duration::from_millis(200);
        let running = faulty(Faults {
            cut: Some(CutAfter { audio, cut }),
            ..Faults::default()
        })
        .await;
        let mut socket = begun(&running).await;
        hear(&mut socket, &[0; 800]).await;
        running
            .wait_for(|streams| streams[0].audio_samples == 800)
            .await;
        assert!(!running.streams()[0].is_closed());
        hear(&mut socket, &[0; 800]).await;
        assert_eq!(summary(&mut socket).await, expected, "{cut:?}");
        running.wait_for(|streams| streams[0].is_closed()).await;
        assert_eq!(running.streams()[0].faults, [cut.to_string()]);
    }
}

#[tokio::test]
async fn a_tear_is_a_reset_in_the_middle_of_a_frame() {
    let running = service(|_| {}).await;
    // By hand: a WebSocket library hides how far a frame came.
    let mut tcp = tokio::net::TcpStream::connect(running.url().replace("http://", ""))
        .await
        .unwrap();
    let request = format!(
        "GET /v3/ws?{QUERY} HTTP/1.1\r\nhost: a\r\nauthorization: sim-api-key\r\nupgrade: \
         websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: \
         dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    tcp.write_all(request.as_bytes()).await.unwrap();
    running.wait_for(|streams| !streams.is_empty()).await;
    let mut all = Vec::new();
    while !String::from_utf8_lossy(&all).contains("Begin") {
        tcp.read_buf(&mut all).await.unwrap();
    }
    assert!(running.inflict(0, Cut::Tear));
    let mut torn = Vec::new();
    let error = loop {
        match tcp.read_buf(&mut torn).await {
            Ok(0) => panic!("it ended without a reset"),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    // A text frame, of which less came than it says.
    assert_eq!(torn[0], 0x81);
    assert!(
        torn.len() < 2 + usize::from(torn[1]) && torn.len() > 2,
        "{torn:?}"
    );
}

#[tokio::test]
async fn an_end_is_acknowledged_late_twice_wrongly_or_not_at_all() {
    let long = Duration::from_millis(150);
    let slow = faulty(Faults {
        start_delay: long,
        final_delay: long,
        final_twice: true,
        bytes_off: 16_000,
        ..Faults::default()
    })
    .await;
    let began = Instant::now();
    let mut socket = begun(&slow).await;
    assert!(began.elapsed() >= long);
    hear(&mut socket, &[0; 8000]).await;
    terminate(&mut socket).await;
    let seen = see_all(&mut socket).await;
    assert!(began.elapsed() >= 2 * long);
    let Seen::Text(termination) = &seen[0] else {
        panic!("{seen:?}")
    };
    assert_eq!(termination["audio_duration_seconds"], 2);
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[2..], [Seen::Close(1000), Seen::End]);

    let ends = |end| Faults {
        end,
        ..Faults::default()
    };
    let running = faulty(ends(EndFault::CloseOnly)).await;
    let mut socket = begun(&running).await;
    terminate(&mut socket).await;
    assert_eq!(summary(&mut socket).await, ["close 1000", "end"]);

    let running = faulty(ends(EndFault::Silence)).await;
    let mut socket = begun(&running).await;
    terminate(&mut socket).await;
    let nothing = tokio::time::timeout(Duration::from_millis(100), see(&mut socket)).await;
    assert!(nothing.is_err());
    socket.close(None).await.unwrap();
    running.wait_for(|streams| streams[0].is_closed()).await;
    assert_eq!(running.streams()[0].final_code, None);
}

#[tokio::test]
async fn transcripts_come_twice_or_late_and_strange_messages_come_when_asked() {
    let running = service(|config| {
        config.settings.lexicon = Settings::default().lexicon;
        config.settings.faults = Faults {
            transcript_twice: true,
            transcript_late: true,
            unknown_message: true,
            huge_message: true,
            warning: true,
            unflagged: true,
            ..Faults::default()
        };
    })
    .await;
    let mut socket = begun(&running).await;
    let phrase = Script::standard().phrase("customer-greeting").unwrap();
    let mut samples = phrase.samples.to_vec();
    samples.resize((samples.len() + 4000).next_multiple_of(800), 0);
    hear(&mut socket, &samples).await;
    terminate(&mut socket).await;
    let seen = see_all(&mut socket).await;
    let texts: Vec<&Value> = seen
        .iter()
        .filter_map(|seen| match seen {
            Seen::Text(message) => Some(message),
            _ => None,
        })
        .collect();
    let kinds: Vec<_> = texts
        .iter()
        .map(|text| text["type"].as_str().unwrap())
        .collect();
    let expected = [
        "WeatherReport",
        "Turn",
        "Warning",
        "Turn",
        "Turn",
        "Termination",
        "Turn",
    ];
    assert_eq!(kinds, expected);
    assert!(texts[1]["transcript"].as_str().unwrap().len() > 1_000_000);
    assert_eq!(texts[3], texts[4]);
    assert_eq!(texts[3], texts[6]);
    assert_eq!(texts[3].get("turn_is_formatted"), None);
    let record = running.streams().remove(0);
    assert_eq!(record.transcripts.len(), 1);
    let faults = "transcript-late transcript-twice unflagged unknown-message huge-message warning";
    assert_eq!(record.faults.join(" "), faults);
}

#[tokio::test]
async fn a_fault_for_one_voice_waits_until_somebody_is_heard() {
    let running = service(|config| {
        config.settings.lexicon = Settings::default().lexicon;
        config.settings.faults = Faults {
            role: Some(crate::speech::Role::Agent),
            cut: Some(CutAfter {
                audio: Duration::ZERO,
                cut: Cut::Close(3005),
            }),
            ..Faults::default()
        };
    })
    .await;
    for (id, last) in [
        ("agent-greeting", "close 3005"),
        ("customer-greeting", "close 1000"),
    ] {
        let mut socket = begun(&running).await;
        let phrase = Script::standard().phrase(id).unwrap();
        let mut samples = phrase.samples.to_vec();
        samples.resize((samples.len() + 4000).next_multiple_of(800), 0);
        hear(&mut socket, &samples).await;
        running
            .wait_for(|streams| streams.last().unwrap().role().is_some())
            .await;
        // The one that was cut is gone by now, and does not take it.
        drop(
            futures_util::SinkExt::send(&mut socket, Message::text("{\"type\":\"Terminate\"}"))
                .await,
        );
        let seen = summary(&mut socket).await;
        assert!(seen.iter().any(|seen| seen == last), "{id}: {seen:?}");
    }
}

#[tokio::test]
async fn chaos_does_the_same_to_the_same_sessions_again() {
    use crate::service::chaos::Chaos;
    let mut runs = Vec::new();
    for _ in 0..2 {
        let running = service(|config| {
            config.settings.chaos = Some(Chaos {
                mean: Duration::from_millis(100),
                wait_max: Duration::from_millis(10),
                ..Chaos::new(11)
            });
        })
        .await;
        let (mut seen, mut opened) = (Vec::new(), 0);
        for _ in 0..20 {
            match try_connect(&running, QUERY, "sim-api-key").await {
                Err(Error::Http(response)) => seen.push(response.status().to_string()),
                Err(error) => panic!("{error}"),
                Ok(mut socket) => {
                    opened += 1;
                    for _ in 0..12 {
                        if futures_util::SinkExt::send(&mut socket, Message::binary(vec![0; 1600]))
                            .await
                            .is_err()
                        {
                            break;
                        }
                    }
                    let struck = |streams: &[crate::service::record::Recorded]| {
                        streams.get(opened - 1).is_some_and(|stream| {
                            stream.is_closed()
                                || stream.audio_samples == 9600
                                || stream.faults.iter().any(|fault| fault == "black-hole")
                        })
                    };
                    tokio::time::timeout(SECONDS, running.wait_for(struck))
                        .await
                        .unwrap();
                    let streams = running.streams();
                    seen.push(streams.last().unwrap().faults.join(" "));
                }
            }
        }
        runs.push(seen);
    }
    assert_eq!(runs[0], runs[1]);
    let kinds: std::collections::BTreeSet<_> = runs[0].iter().collect();
    assert!(kinds.len() >= 5, "{kinds:?}");
}

#[tokio::test]
async fn all_sessions_break_at_once_when_the_service_is_killed() {
    let running = service(|_| {}).await;
    let mut sockets = [begun(&running).await, begun(&running).await];
    assert_eq!(running.inflict_all(Cut::Reset), 2);
    for socket in &mut sockets {
        assert_eq!(summary(socket).await, ["broken"]);
    }
    running
        .wait_for(|streams| streams.iter().all(|stream| stream.is_closed()))
        .await;
    assert_eq!(running.inflict_all(Cut::Reset), 0);
}

#[tokio::test]
async fn limits_of_time_are_kept_in_milliseconds_when_asked() {
    let short = Duration::from_millis(80);
    let running = service(|config| config.rules.duration_max = short).await;
    let expected = ["Begin", "Error 3008", "close 3008", "end"];
    assert_eq!(summary(&mut connect(&running).await).await, expected);
    let running = service(|config| config.rules.inactivity_timeout = Some(short)).await;
    let expected = ["Begin", "Error 3006", "close 3006", "end"];
    assert_eq!(summary(&mut connect(&running).await).await, expected);
}

#[tokio::test]
async fn stopping_ends_all_sessions_with_an_error() {
    let running = service(|_| {}).await;
    let mut socket = begun(&running).await;
    let (seen, ()) = tokio::join!(summary(&mut socket), running.stop());
    assert_eq!(seen, ["Error 3005", "close 3005", "end"]);
}
