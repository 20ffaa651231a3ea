use std::time::Instant;

use bytes::Bytes;
use call::name::{Role, StreamId};
use call::start::{Phrase, StreamOptions, Wish};
use call::transcript::{Alternative, Token, Utterance};
use proptest::prelude::*;

use super::*;
use crate::example;

fn config() -> VoskConfig {
    VoskConfig::default()
}

fn spec(options: StreamOptions) -> StreamSpec {
    StreamSpec {
        role: Role::Agent,
        ..example::stream(options).unwrap()
    }
}

fn dialect_of(config: &VoskConfig) -> VoskDialect {
    VoskDialect::new(&spec(StreamOptions::default()), config)
}

fn dialect() -> VoskDialect {
    dialect_of(&config())
}

/// So many milliseconds of sound.
fn say(dialect: &mut VoskDialect, millis: usize) -> Message {
    dialect.say(&Chunk {
        position: 0,
        samples: vec![1; millis * 8],
        arrived: Instant::now(),
    })
}

fn received(millis: u64) -> Heard {
    Heard::Received(Duration::from_millis(millis))
}

fn utterance(heard: Heard) -> Utterance {
    match heard {
        Heard::Transcript(utterance) => utterance,
        heard => panic!("{heard:?}"),
    }
}

fn said(utterance: &Utterance) -> (&str, u128, u128) {
    let text = utterance.alternatives[0].text.reveal();
    (text, utterance.start.as_millis(), utterance.end.as_millis())
}

fn vocabulary(phrases: &[&str]) -> StreamOptions {
    let phrase = |&phrase: &&str| Phrase {
        phrase: phrase.to_owned().into(),
        sounds_like: Vec::new(),
        category: None,
    };
    StreamOptions {
        vocabulary: phrases.iter().map(phrase).collect(),
        ..StreamOptions::default()
    }
}

const RESULT: &str = r#"{
  "result" : [{
      "conf" : 1.000000,
      "end" : 1.110000,
      "start" : 0.870000,
      "word" : "what"
    }, {
      "conf" : 0.952,
      "end" : 1.530000,
      "start" : 1.110000,
      "word" : "zero"
    }],
  "text" : "what zero"
}"#;

#[test]
fn it_greets_with_the_rate_of_the_sound() {
    let expected = r#"{"config":{"sample_rate":8000,"words":true}}"#;
    assert_eq!(dialect().greet(), [Message::Text(expected.to_owned())]);
}

#[test]
fn a_vocabulary_closes_the_grammar_only_if_that_is_wanted() {
    let spec = spec(vocabulary(&["Yes", "I triple E"]));
    let mut open = VoskDialect::new(&spec, &config());
    let expected = r#"{"config":{"sample_rate":8000,"words":true}}"#;
    assert_eq!(open.greet(), [Message::Text(expected.to_owned())]);
    let closed = VoskConfig {
        phrase_list: true,
        words: false,
        ..config()
    };
    let expected = concat!(
        r#"{"config":{"sample_rate":8000,"words":false,"#,
        r#""phrase_list":["yes","i triple e","[unk]"]}}"#,
    );
    let greetings = VoskDialect::new(&spec, &closed).greet();
    assert_eq!(greetings, [Message::Text(expected.to_owned())]);
}

#[test]
fn it_says_sound_in_little_endian_and_the_end_letter_by_letter() {
    let mut dialect = dialect();
    let chunk = Chunk {
        position: 0,
        samples: vec![1, -2],
        arrived: Instant::now(),
    };
    let expected = Bytes::from_static(&[0x01, 0x00, 0xfe, 0xff]);
    assert_eq!(dialect.say(&chunk), Message::Binary(expected));
    assert_eq!(
        dialect.finish(),
        [Message::Text("{\"eof\" : 1}".to_owned())]
    );
}

#[test]
fn it_has_no_words_but_those_two() {
    // Any other text would be taken for sound.
    let mut dialect = dialect();
    assert_eq!(dialect.endpoint(), None);
    assert_eq!(dialect.keep_alive(), None);
}

#[test]
fn a_result_is_an_utterance_with_the_times_of_its_words() {
    let mut dialect = dialect();
    say(&mut dialect, 2000);
    let utterance = utterance(dialect.hear(RESULT).unwrap());
    let expected = Utterance {
        call: spec(StreamOptions::default()).call,
        stream: StreamId::new("5ce2b755"),
        role: Role::Agent,
        sender: "JD232442".to_owned().into(),
        alternatives: vec![Alternative {
            text: "what zero".to_owned().into(),
            tokens: Vec::new(),
        }],
        start: Duration::from_millis(870),
        end: Duration::from_millis(1530),
        is_final: true,
    };
    assert_eq!(utterance, expected);
}

#[test]
fn words_are_told_one_by_one_if_the_start_asked_for_it() {
    let options = StreamOptions {
        detailed_token: true,
        ..StreamOptions::default()
    };
    let mut dialect = VoskDialect::new(&spec(options), &config());
    let utterance = utterance(dialect.hear(RESULT).unwrap());
    let tokens = &utterance.alternatives[0].tokens;
    let expected = Token {
        content: "zero".to_owned().into(),
        start: Duration::from_millis(1110),
        end: Duration::from_millis(1530),
        punctuation_after: None,
        punctuation_before: None,
    };
    assert_eq!(tokens.len(), 2);
    assert_eq!(tokens[1], expected);
}

#[test]
fn without_words_an_utterance_lies_between_its_neighbours() {
    let mut dialect = dialect();
    for _ in 0..4 {
        say(&mut dialect, 200);
    }
    dialect.hear(r#"{"partial" : ""}"#).unwrap();
    let one = utterance(dialect.hear(r#"{"text" : "one"}"#).unwrap());
    assert_eq!(said(&one), ("one", 0, 400));
    // Silence moves the bound.
    assert_eq!(dialect.hear(r#"{"text" : ""}"#).unwrap(), received(600));
    let two = utterance(dialect.hear(r#"{"text" : "two"}"#).unwrap());
    assert_eq!(said(&two), ("two", 600, 800));
}

#[test]
fn each_reply_tells_how_much_has_arrived() {
    let mut dialect = dialect();
    for _ in 0..3 {
        say(&mut dialect, 100);
    }
    let partial = r#"{"partial" : "what"}"#;
    assert_eq!(dialect.hear(partial).unwrap(), received(100));
    assert_eq!(dialect.hear(partial).unwrap(), received(200));
    say(&mut dialect, 50);
    assert_eq!(dialect.hear(partial).unwrap(), received(300));
    assert_eq!(dialect.hear(partial).unwrap(), received(350));
    assert_eq!(dialect.hear(partial).unwrap(), received(350));
}

#[test]
fn guesses_are_passed_on_if_they_are_wanted() {
    let wanted = VoskConfig {
        partials: true,
        ..config()
    };
    let mut dialect = dialect_of(&wanted);
    say(&mut dialect, 300);
    let guess = utterance(dialect.hear(r#"{"partial" : "what zero"}"#).unwrap());
    assert!(!guess.is_final);
    assert_eq!(said(&guess), ("what zero", 0, 300));
}

#[test]
fn of_several_guesses_the_first_is_the_best() {
    let text = r#"{"alternatives" : [{"confidence" : 231.5, "text" : "zero",
        "result" : [{"start" : 0.2, "end" : 0.5, "word" : "zero"}]},
        {"confidence" : 230.1, "text" : "hero"}]}"#;
    let zero = utterance(dialect().hear(text).unwrap());
    assert_eq!(said(&zero), ("zero", 200, 500));
    let none = dialect().hear(r#"{"alternatives" : []}"#).unwrap();
    assert_eq!(none, received(0));
}

#[test]
fn unanswered_messages_are_remembered_only_so_far() {
    let mut dialect = dialect();
    for _ in 0..10_000 {
        say(&mut dialect, 1);
    }
    assert_eq!(dialect.awaited.len(), VoskDialect::AWAITED_MAX);
    assert_eq!(dialect.awaited.back(), Some(&80_000));
}

#[test]
fn a_clean_close_after_the_end_is_the_end_and_before_it_a_loss() {
    let mut dialect = dialect();
    assert_eq!(dialect.closed(Some(1000), ""), None);
    dialect.finish();
    let ending = dialect.closed(Some(1000), "").unwrap();
    assert_eq!((ending.status, ending.summary), (Status::ok(), None));
}

#[test]
fn without_a_code_it_has_ended_well_only_if_the_last_reply_has_come() {
    let mut dialect = dialect();
    say(&mut dialect, 100);
    dialect.finish();
    dialect.hear(r#"{"partial" : "what"}"#).unwrap();
    assert_eq!(dialect.closed(None, ""), None);
    utterance(dialect.hear(r#"{"text" : "what zero"}"#).unwrap());
    assert_eq!(dialect.closed(None, "").unwrap().status, Status::ok());
}

#[test]
fn every_close_has_its_class() {
    let cases = [
        (1001, 5001, Retry::Now),
        (1011, 5000, Retry::Backoff),
        (1012, 5001, Retry::Now),
        (1013, 5002, Retry::Backoff),
    ];
    for (close, code, retry) in cases {
        let ending = dialect().closed(Some(close), "").unwrap();
        assert_eq!((ending.status.code, ending.retry), (code, retry), "{close}");
    }
    assert_eq!(dialect().closed(Some(4711), ""), None);
}

#[test]
fn a_message_that_is_no_reply_is_unknown_and_gibberish_is_not_quoted() {
    assert_eq!(dialect().hear("{}").unwrap(), Heard::Unknown);
    assert_eq!(dialect().hear(r#"{"spk":[1]}"#).unwrap(), Heard::Unknown);
    for text in ["", "{", "hunter2", "[]", r#"{"text":7}"#] {
        let gibberish = dialect().hear(text).unwrap_err();
        assert!(!gibberish.to_string().contains("hunter2"), "{gibberish}");
    }
}

#[test]
fn words_that_cannot_be_read_do_not_lose_the_text() {
    let odd = r#"{"result":"none","text":"yes"}"#;
    assert_eq!(said(&utterance(dialect().hear(odd).unwrap())).0, "yes");
}

#[test]
fn only_this_machine_may_be_reached_without_tls() {
    let at = |url: &str, allow_plain| {
        let base_url = Url::parse(url).unwrap();
        Vosk::new(&VoskConfig {
            base_url,
            allow_plain,
            ..config()
        })
        .map(drop)
    };
    for url in [
        "ws://127.0.0.1:2700",
        "ws://localhost",
        "wss://vosk.example",
    ] {
        assert_eq!(at(url, false), Ok(()), "{url}");
    }
    assert_eq!(at("ws://vosk.example", false), Err(VoskError::BaseUrl));
    assert_eq!(at("ws://vosk.example", true), Ok(()));
    assert_eq!(at("ftp://127.0.0.1", true), Err(VoskError::BaseUrl));
}

#[test]
fn limits_out_of_range_are_refused() {
    let with = |change: fn(&mut VoskConfig)| {
        let mut config = config();
        change(&mut config);
        Vosk::new(&config).map(drop)
    };
    assert_eq!(with(|_| ()), Ok(()));
    let second = Duration::from_secs(1);
    assert_eq!(
        with(|config| config.chunk = Duration::from_millis(19)),
        Err(VoskError::Chunk)
    );
    assert_eq!(with(|config| config.idle *= 13), Err(VoskError::Idle));
    assert_eq!(
        with(|config| config.pace_percent = 99),
        Err(VoskError::Pace)
    );
    assert!(config().chunk < second);
}

#[tokio::test]
async fn it_is_located_where_it_is_configured() {
    let service = Vosk::new(&config()).unwrap();
    let spec = spec(StreamOptions::default());
    let Ok(located) = service.locate(&spec).await else {
        panic!("located")
    };
    assert_eq!(located.request.uri(), "ws://127.0.0.1:2700/");
    assert!(located.fresh && located.request.headers().is_empty());
}

#[test]
fn it_has_no_parameters_to_wish_for() {
    let service = Vosk::new(&config()).unwrap();
    let wish = Wish {
        service: None,
        parameters: vec![("model".into(), "small".to_owned().into())],
    };
    assert_eq!(
        service.check(&wish).unwrap_err().to_string(),
        "model is no parameter of vosk"
    );
}

proptest! {
    #[test]
    fn no_text_is_too_much(text in ".{0,200}") {
        fuzz(text.as_bytes());
    }

    #[test]
    fn no_mutation_of_a_reply_is_too_much(
        at in any::<prop::sample::Index>(),
        piece in r#"[\[\]{}",:0-9a-zé-]{0,6}"#,
    ) {
        let mut text = RESULT.replace('\n', "");
        let at = at.index(text.len());
        text.replace_range(at..at + 1, &piece);
        fuzz(text.as_bytes());
    }

    /// However replies and sound interleave, times never run ahead of the sound, nor back.
    #[test]
    fn replies_never_tell_of_more_than_was_said(
        steps in prop::collection::vec((any::<bool>(), 1usize..300), 1..100),
    ) {
        let mut dialect = dialect();
        let (mut said, mut before) = (0, Duration::ZERO);
        for (is_sound, millis) in steps {
            if is_sound {
                say(&mut dialect, millis);
                said += millis as u64;
                continue;
            }
            let Heard::Received(heard) = dialect.hear(r#"{"partial" : ""}"#).unwrap() else {
                panic!("only so much was received")
            };
            prop_assert!(heard >= before && heard <= Duration::from_millis(said));
            before = heard;
        }
    }
}
