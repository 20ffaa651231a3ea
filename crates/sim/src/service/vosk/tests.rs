//! Sessions over a real socket, and their messages.

use std::time::Instant;

use serde_json::json;

use super::session::VoskSession;
use super::*;
use crate::service::client::{Seen, hear, see, see_all};
use crate::service::dialect::{Answer, Session};
use crate::service::ear::Ear;
use crate::speech::Script;
use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::Message;

const END: &str = r#"{"eof" : 1}"#;

#[tokio::test]
async fn each_piece_of_sound_has_one_answer_and_the_end_the_last_words() {
    let service = Vosk::start(Config::default()).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::connect_async(service.socket_url())
        .await
        .unwrap();
    let config = json!({"config": {"sample_rate": 8000, "words": true}});
    socket
        .send(Message::text(config.to_string()))
        .await
        .unwrap();
    let script = Script::standard();
    let phrase = &script.phrases()[0];
    hear(&mut socket, &phrase.samples).await;
    socket.send(Message::text(END)).await.unwrap();
    let seen = see_all(&mut socket).await;
    let texts = seen.iter().filter(|seen| matches!(seen, Seen::Text(_)));
    assert_eq!(texts.count(), phrase.samples.chunks(800).count() + 1);
    let spoken = phrase
        .spoken
        .to_lowercase()
        .replace(['.', ',', '?', '!'], "");
    let words = spoken.split_whitespace().count();
    let told = seen.iter().find_map(|seen| match seen {
        Seen::Text(message) if message["text"] == spoken => Some(message),
        _ => None,
    });
    let told = told.expect("the phrase is told");
    assert_eq!(told["result"].as_array().map(Vec::len), Some(words));
    assert!(seen.contains(&Seen::Close(1000)));
    assert_eq!(service.streams()[0].heard(), [&*phrase.id]);
}

#[tokio::test]
async fn an_end_without_its_blanks_is_no_end() {
    let service = Vosk::start(Config::default()).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::connect_async(service.socket_url())
        .await
        .unwrap();
    socket.send(Message::text(r#"{"eof":1}"#)).await.unwrap();
    assert_eq!(see(&mut socket).await, Seen::Close(1011));
    service.wait_for(|streams| streams[0].is_closed()).await;
    assert!(service.streams()[0].complaints[0].contains("byte for byte"));
}

#[test]
fn a_config_is_read_and_what_it_does_not_know_is_kept() {
    let (ear, records) = Ear::alone(&Settings::default());
    let mut session = VoskSession::new(ear, Rules::default());
    let config = json!({"config": {"phrase_list": ["yes"], "wordz": 1}});
    let answers = session.text(Instant::now(), &config.to_string());
    assert!(answers.is_empty());
    let recorded = records.streams().remove(0);
    assert_eq!(recorded.vocabulary, [json!("yes")]);
    assert_eq!(recorded.unknown_parameters, ["wordz"]);
    assert!(recorded.complaints.is_empty());
}

#[test]
fn silence_ends_with_no_words() {
    let (ear, _) = Ear::alone(&Settings::default());
    let mut session = VoskSession::new(ear, Rules::default());
    let answers = session.binary(Instant::now(), &[0; 1600]);
    assert_eq!(answers, [Answer::Text(r#"{"partial":""}"#.to_owned())]);
    let answers = session.text(Instant::now(), END);
    assert_eq!(
        answers,
        [
            Answer::Final(1000, r#"{"text":""}"#.to_owned()),
            Answer::Close(1000, String::new())
        ]
    );
}
