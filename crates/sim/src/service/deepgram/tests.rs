//! Sessions over a real socket, and their messages.

use std::sync::Arc;

use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::parameters::Parameters;
use super::session::DeepgramSession;
use super::*;
use crate::service::client::{Seen, Socket, hear, say, see_all};
use crate::service::dialect::{Answer, Session};
use crate::service::ear::Ear;
use crate::service::record::Records;
use crate::speech::Script;
use std::time::Instant;

const QUERY: &str = "encoding=linear16&sample_rate=8000&model=nova-3";

async fn connect(service: &Running, query: &str, authorization: &str) -> Result<Socket, u16> {
    let url = format!("{}/v1/listen?{query}", service.socket_url());
    let mut request = url.into_client_request().unwrap();
    let value = authorization.parse().unwrap();
    request.headers_mut().insert("authorization", value);
    match tokio_tungstenite::connect_async(request).await {
        Ok((socket, _)) => Ok(socket),
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
            assert!(response.headers().contains_key("dg-request-id"));
            Err(response.status().as_u16())
        }
        Err(error) => panic!("{error}"),
    }
}

fn alone(parameters: Parameters, rules: Rules) -> (DeepgramSession, Arc<Records>, Instant) {
    let (ear, records) = Ear::alone(&Settings::default());
    let now = Instant::now();
    let parameters = Parameters {
        sample_rate: 8000,
        ..parameters
    };
    (
        DeepgramSession::new(ear, parameters, rules, now),
        records,
        now,
    )
}

fn results(seen: &[Seen]) -> Vec<&Value> {
    fn of_type(seen: &Seen) -> Option<&Value> {
        match seen {
            Seen::Text(message) if message["type"] == "Results" => Some(message),
            _ => None,
        }
    }
    seen.iter().filter_map(of_type).collect()
}

#[tokio::test]
async fn what_is_said_is_told_and_the_end_is_acknowledged() {
    let service = Deepgram::start(Config::default()).await.unwrap();
    let query = format!("{QUERY}&smart_format=true&interim_results=true");
    let mut socket = connect(&service, &query, "Token sim-api-key")
        .await
        .unwrap();
    let phrase = &Script::standard().phrases()[0];
    hear(&mut socket, &phrase.samples).await;
    say(&mut socket, json!({"type": "Finalize"})).await;
    say(&mut socket, json!({"type": "CloseStream"})).await;
    let seen = see_all(&mut socket).await;
    let results = results(&seen);
    assert_eq!(results[0]["is_final"], false);
    let told = results[1];
    assert_eq!(told["is_final"], true);
    assert_eq!(
        told["channel"]["alternatives"][0]["transcript"],
        *phrase.text
    );
    let metadata = seen.iter().find_map(|seen| match seen {
        Seen::Text(message) if message["type"] == "Metadata" => Some(message),
        _ => None,
    });
    let duration = metadata.expect("metadata comes last")["duration"].as_f64();
    assert_eq!(duration, Some((phrase.samples.len() / 8) as f64 / 1e3));
    assert!(seen.contains(&Seen::Close(1000)));
    assert_eq!(service.streams()[0].heard(), [&*phrase.id]);
}

#[tokio::test]
async fn a_bad_key_and_a_bad_query_are_refused() {
    let service = Deepgram::start(Config::default()).await.unwrap();
    let refused = connect(&service, QUERY, "Token other").await;
    assert_eq!(refused.err(), Some(401));
    let refused = connect(&service, QUERY, "sim-api-key").await;
    assert_eq!(refused.err(), Some(401));
    let refused = connect(
        &service,
        "encoding=opera&sample_rate=8000",
        "Bearer sim-api-key",
    )
    .await;
    assert_eq!(refused.err(), Some(400));
}

#[tokio::test]
async fn an_empty_message_ends_the_session() {
    let service = Deepgram::start(Config::default()).await.unwrap();
    let mut socket = connect(&service, QUERY, "Bearer sim-api-key")
        .await
        .unwrap();
    socket.send(Message::binary(Vec::new())).await.unwrap();
    assert!(see_all(&mut socket).await.contains(&Seen::Close(1000)));
}

#[test]
fn silence_of_the_client_ends_the_session_unless_it_keeps_it_alive() {
    let (mut session, _, now) = alone(Parameters::default(), Rules::default());
    let later = now + Duration::from_secs(9);
    assert!(session.text(later, r#"{"type":"KeepAlive"}"#).is_empty());
    assert!(session.tick(now + Duration::from_secs(10)).is_empty());
    let answers = session.tick(now + Duration::from_secs(19));
    assert_eq!(
        answers.last(),
        Some(&Answer::Close(1011, "NET-0001".to_owned()))
    );
    assert_eq!(session.deadline(), None);
}

#[test]
fn a_long_utterance_may_be_told_in_pieces() {
    let rules = Rules {
        piece_words: 2,
        ..Rules::default()
    };
    let (mut session, records, now) = alone(Parameters::default(), rules);
    let phrase = &Script::standard().phrases()[0];
    let bytes: Vec<u8> = phrase
        .samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    let mut answers = session.binary(now, &bytes);
    answers.extend(session.text(now, r#"{"type":"Finalize"}"#));
    let pieces: Vec<Value> = answers
        .iter()
        .filter_map(|answer| match answer {
            Answer::Transcript(text) => serde_json::from_str(text).ok(),
            _ => None,
        })
        .collect();
    let words = phrase.spoken.split_whitespace().count();
    assert_eq!(pieces.len(), words.div_ceil(2));
    let finals = pieces.iter().filter(|piece| piece["speech_final"] == true);
    assert_eq!(finals.count(), 1);
    let times = pieces.iter().map(|piece| piece["start"].as_f64().unwrap());
    assert!(times.is_sorted());
    assert_eq!(records.streams()[0].heard(), [&*phrase.id]);
}
