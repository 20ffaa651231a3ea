use std::time::Instant;

use bytes::Bytes;
use call::name::{Role, StreamId};
use call::start::{Phrase, Redaction, Status, StreamOptions, Summary};
use call::transcript::{Alternative, Token, Utterance};
use proptest::prelude::*;

use super::*;
use crate::example;
use crate::service::{Final, Retry};

fn spec(options: StreamOptions) -> StreamSpec {
    example::stream(options).unwrap()
}

fn dialect() -> AutoTranscribeDialect {
    AutoTranscribeDialect {
        spec: spec(StreamOptions::default()),
    }
}

fn hear(text: &str) -> Heard {
    dialect().hear(text).unwrap()
}

fn utterance(text: &str) -> Utterance {
    match hear(text) {
        Heard::Transcript(utterance) => utterance,
        heard => panic!("{heard:?}"),
    }
}

fn status(code: u16, description: &str) -> Status {
    Status {
        code,
        description: description.to_owned(),
    }
}

#[test]
fn it_greets_with_every_field_of_the_contract() {
    let greetings = dialect().greet();
    let expected = concat!(
        r#"{"message":"startStream","sender":{"role":"customer","#,
        r#""externalId":"JD232442"},"language":"en-US","samplingRate":8000,"#,
        r#""encoding":"L16","smartFormatting":true,"detailedToken":false,"#,
        r#""audioRecordingAllowed":false,"redactionOutput":"redacted"}"#,
    );
    assert_eq!(greetings, [Message::Text(expected.to_owned())]);
}

#[test]
fn it_greets_with_what_the_start_asked_for() {
    let options = StreamOptions {
        language: "es-US".to_owned(),
        detailed_token: true,
        audio_recording_allowed: true,
        redaction: Redaction::Unredacted,
        vocabulary: Vec::new(),
    };
    let mut spec = spec(options);
    spec.role = Role::Agent;
    let expected = concat!(
        r#"{"message":"startStream","sender":{"role":"agent","#,
        r#""externalId":"JD232442"},"language":"es-US","samplingRate":8000,"#,
        r#""encoding":"L16","smartFormatting":true,"detailedToken":true,"#,
        r#""audioRecordingAllowed":true,"redactionOutput":"unredacted"}"#,
    );
    let greetings = AutoTranscribeDialect { spec }.greet();
    assert_eq!(greetings, [Message::Text(expected.to_owned())]);
}

#[test]
fn a_line_with_both_parties_is_greeted_as_the_customer_and_told_as_mixed() {
    let mut spec = spec(StreamOptions::default());
    spec.role = Role::Mixed;
    let mut dialect = AutoTranscribeDialect { spec };
    let [Message::Text(greeting)] = &dialect.greet()[..] else {
        panic!("one greeting")
    };
    assert!(greeting.contains(r#""sender":{"role":"customer","#));
    let said = r#"{"message":"transcript","start":0,"end":1,"utterance":[{"text":"hello"}]}"#;
    let Heard::Transcript(utterance) = dialect.hear(said).unwrap() else {
        panic!("a transcript")
    };
    assert_eq!(utterance.role, Role::Mixed);
}

#[test]
fn the_vocabulary_follows_the_greeting() {
    let phrase = |phrase: &str, category: Option<&str>, sounds: &[&str]| Phrase {
        phrase: phrase.to_owned().into(),
        sounds_like: sounds
            .iter()
            .map(|&sound| sound.to_owned().into())
            .collect(),
        category: category.map(str::to_owned),
    };
    let vocabulary = vec![
        phrase("IEEE", Some("company"), &["i triple e"]),
        phrase("717 N Shoreline Blvd", None, &[]),
    ];
    let options = StreamOptions {
        vocabulary,
        ..StreamOptions::default()
    };
    let greetings = AutoTranscribeDialect {
        spec: spec(options),
    }
    .greet();
    let expected = concat!(
        r#"{"message":"updateVocabulary","phrases":[{"phrase":"IEEE","#,
        r#""category":"company","soundsLike":["i triple e"]},"#,
        r#"{"phrase":"717 N Shoreline Blvd"}]}"#,
    );
    assert_eq!(greetings.len(), 2);
    assert_eq!(greetings[1], Message::Text(expected.to_owned()));
}

#[test]
fn it_says_sound_in_little_endian_and_then_that_it_has_finished() {
    let chunk = Chunk {
        position: 0,
        samples: vec![1, -2, 0x1234],
        arrived: Instant::now(),
    };
    let expected = Bytes::from_static(&[0x01, 0x00, 0xfe, 0xff, 0x34, 0x12]);
    assert_eq!(dialect().say(&chunk), Message::Binary(expected));
    assert_eq!(
        dialect().finish(),
        vec![Message::Text(r#"{"message":"finishStream"}"#.to_owned())]
    );
}

#[test]
fn a_start_response_means_ready() {
    let text = concat!(
        r#"{"message":"startResponse","streamID":"128342213","#,
        r#""status":{"code":"1000","description":"OK"}}"#,
    );
    assert_eq!(hear(text), Heard::Ready { expires: None });
    assert_eq!(
        hear(r#"{"message":"startResponse","status":{"code":1000}}"#),
        Heard::Ready { expires: None }
    );
}

#[test]
fn a_start_response_with_another_code_is_the_end() {
    let text = concat!(
        r#"{"message":"startResponse","streamID":"1","status":{"code":"4050","#,
        r#""description":"Language not supported"}}"#,
    );
    let status = status(4050, "Language not supported");
    assert_eq!(
        hear(text),
        Heard::Final(Final {
            status,
            retry: Retry::Session,
            summary: None
        })
    );
}

#[test]
fn a_transcript_is_an_utterance_on_the_sockets_clock() {
    let text = concat!(
        r#"{"message":"transcript","start":170,"end":1000,"utterance":[{"text":"Hi,"#,
        r#" my ID is 123."}]}"#,
    );
    let expected = Utterance {
        call: spec(StreamOptions::default()).call,
        stream: StreamId::new("5ce2b755"),
        role: Role::Customer,
        sender: "JD232442".to_owned().into(),
        alternatives: vec![Alternative {
            text: "Hi, my ID is 123.".to_owned().into(),
            tokens: Vec::new(),
        }],
        start: Duration::from_millis(170),
        end: Duration::from_millis(1000),
        is_final: true,
    };
    assert_eq!(utterance(text), expected);
}

#[test]
fn tokens_are_found_whatever_holds_them() {
    let token = r#"{"content":"is","start":170,"end":200,"punctuationAfter":"?"}"#;
    let expected = Token {
        content: "is".to_owned().into(),
        start: Duration::from_millis(170),
        end: Duration::from_millis(200),
        punctuation_after: Some("?".to_owned()),
        punctuation_before: None,
    };
    for holder in [
        format!(r#""token":{token}"#),
        format!(r#""token":[{token}]"#),
        format!(r#""tokens":[{token}]"#),
        format!(r#""tokens":{token}"#),
    ] {
        let text = format!(
            r#"{{"message":"transcript","start":0,"end":300,
                "utterance":[{{"text":"is?",{holder}}}]}}"#
        );
        assert_eq!(
            utterance(&text).alternatives[0].tokens,
            std::slice::from_ref(&expected),
            "{holder}"
        );
    }
    let odd =
        r#"{"message":"transcript","start":0,"end":1,"utterance":[{"text":"is?","token":"is"}]}"#;
    assert_eq!(utterance(odd).alternatives[0].text.reveal(), "is?");
}

#[test]
fn odd_times_do_not_lose_the_words() {
    for (start, end) in [
        ("\"100\"", "300.4"),
        ("100.0", "\"300\""),
        ("-5", "300"),
        ("null", "{}"),
    ] {
        let text = format!(
            r#"{{"message":"transcript","start":{start},"end":{end},"utterance":{{"text":"yes"}}}}"#
        );
        let utterance = utterance(&text);
        assert_eq!(utterance.alternatives[0].text.reveal(), "yes");
        assert!(utterance.start <= utterance.end && utterance.end.as_millis() <= 300);
    }
}

#[test]
fn a_final_response_has_its_summary() {
    let text = r#"{"message":"finalResponse","streamId":"128342213","status":{"code":"1000",
        "description":"OK"},
        "summary":{"totalAudioBytes":1334720,"audioDurationMs":83420,"streamingSeconds":84,
            "transcripts":2}}"#;
    let summary = Summary {
        audio_bytes: 1_334_720,
        audio: Duration::from_millis(83_420),
        streaming: Duration::from_secs(84),
        transcripts: 2,
    };
    let expected = Heard::Final(Final {
        status: Status::ok(),
        retry: Retry::Backoff,
        summary: Some(summary),
    });
    assert_eq!(hear(text), expected);
}

#[test]
fn a_final_response_is_final_however_odd() {
    let cases = [
        (r#"{"message":"finalResponse"}"#, 5000, Retry::Unknown),
        (
            r#"{"message":"finalResponse","status":"gone","summary":[]}"#,
            5000,
            Retry::Unknown,
        ),
        (
            r#"{"message":"finalResponse","status":{"code":"gone"}}"#,
            5000,
            Retry::Unknown,
        ),
        (
            r#"{"message":"finalResponse","status":{"code":{}}}"#,
            5000,
            Retry::Unknown,
        ),
        (
            r#"{"message":"finalResponse","status":{"code":"70000"}}"#,
            5000,
            Retry::Unknown,
        ),
        (
            r#"{"message":"finalResponse","status":{"code":5001,"description":7}}"#,
            5001,
            Retry::Now,
        ),
    ];
    for (text, code, class) in cases {
        let Heard::Final(Final {
            status,
            retry,
            summary: None,
        }) = hear(text)
        else {
            panic!("{text}")
        };
        assert_eq!((status.code, retry), (code, class), "{text}");
    }
}

#[test]
fn a_long_description_is_cut() {
    let long = "é".repeat(100_000);
    let text = format!(
        r#"{{"message":"finalResponse","status":{{"code":"5000","description":"{long}"}}}}"#
    );
    let Heard::Final(Final { status, .. }) = hear(&text) else {
        panic!()
    };
    assert_eq!(status.description.chars().count(), 256);
}

#[test]
fn every_code_of_the_contract_has_its_class() {
    let classes = [
        (1008, Retry::Token),
        (2002, Retry::Few(2)),
        (4040, Retry::Session),
        (4050, Retry::Session),
        (4051, Retry::Session),
        (4053, Retry::Session),
        (4056, Retry::Session),
        (4080, Retry::Few(1)),
        (4082, Retry::Session),
        (4083, Retry::Sound),
        (4084, Retry::Session),
        (4090, Retry::Rollover),
        (4091, Retry::Session),
        (4092, Retry::Session),
        (4093, Retry::Session),
        (4094, Retry::Session),
        (5000, Retry::Backoff),
        (5001, Retry::Now),
        (5002, Retry::Backoff),
        (4711, Retry::Unknown),
    ];
    for (code, retry) in classes {
        assert_eq!(message::classify(code), retry, "{code}");
    }
}

#[test]
fn a_vocabulary_that_is_not_taken_does_not_end_the_stream() {
    let text = r#"{"message":"vocabularyResponse","status":{"code":"1000","description":"OK"}}"#;
    assert_eq!(hear(text), Heard::Nothing);
    let text =
        r#"{"message":"vocabularyResponse","status":{"code":"4084","description":"Too long"}}"#;
    assert_eq!(
        hear(text),
        Heard::VocabularyRefused(status(4084, "Too long"))
    );
}

#[test]
fn a_message_of_an_unknown_kind_is_unknown_whatever_is_in_it() {
    assert_eq!(
        hear(r#"{"message":"partial","start":"soon","utterance":7}"#),
        Heard::Unknown
    );
    assert_eq!(hear(r#"{"message":"tran\u0073cripts"}"#), Heard::Unknown);
}

#[test]
fn gibberish_is_named_without_quoting_it() {
    for text in [
        "",
        "{",
        "hunter2",
        "[]",
        r#"{"message":7}"#,
        r#"{"message":"transcript","utterance":"hunter2"}"#,
    ] {
        let gibberish = dialect().hear(text).unwrap_err();
        assert!(!gibberish.to_string().contains("hunter2"), "{gibberish}");
    }
}

proptest! {
    #[test]
    fn no_text_is_too_much(text in ".{0,200}") {
        fuzz(text.as_bytes());
    }

    #[test]
    fn no_mutation_of_a_message_is_too_much(
        which in 0usize..4,
        at in any::<prop::sample::Index>(),
        piece in r#"[\[\]{}",:0-9a-zé-]{0,6}"#,
    ) {
        let texts = [
            r#"{"message":"transcript","start":0,"end":18446744073709551615,
                "utterance":[{"text":"a","tokens":[{"content":"a","start":1e300,"end":2}]}]}"#,
            r#"{"message":"finalResponse","status":{"code":"1000"},
                "summary":{"totalAudioBytes":300}}"#,
            r#"{"message":"startResponse","streamID":"1","status":{"code":"1000",
                "description":"OK"}}"#,
            r#"{"message":"vocabularyResponse","status":{"code":"1000","description":"OK"}}"#,
        ];
        let mut text = texts[which].to_owned();
        let at = at.index(text.len());
        text.replace_range(at..at + 1, &piece);
        fuzz(text.as_bytes());
    }
}
