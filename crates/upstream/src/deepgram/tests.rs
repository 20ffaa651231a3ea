use std::time::Instant;

use bytes::Bytes;
use call::name::{Role, StreamId};
use call::start::{Phrase, Redaction, Status, StreamOptions, Summary};
use call::transcript::{Alternative, Token};
use prometheus::Registry;
use proptest::prelude::*;

use super::*;
use crate::example;

const KEY: &str = "hunter2";

fn config() -> DeepgramConfig {
    DeepgramConfig::new(KEY.to_owned().into())
}

fn spec(options: StreamOptions) -> StreamSpec {
    example::stream(options).unwrap()
}

fn service(config: &DeepgramConfig) -> Deepgram {
    let metrics = Metrics::register(&Registry::new()).unwrap();
    Deepgram::new(config, Arc::new(metrics)).unwrap()
}

/// The query of the address of a stream.
fn query_of(config: &DeepgramConfig, spec: &StreamSpec) -> String {
    let request = service(config).request(spec).unwrap();
    request.uri().query().unwrap().to_owned()
}

fn dialect_of(config: &DeepgramConfig, options: StreamOptions) -> DeepgramDialect {
    DeepgramDialect {
        encoding: config.encoding,
        conversation: Conversation::new(&spec(options), config),
    }
}

fn dialect() -> DeepgramDialect {
    dialect_of(&config(), StreamOptions::default())
}

fn chunk(samples: Vec<i16>) -> Chunk {
    Chunk {
        position: 0,
        samples,
        arrived: Instant::now(),
    }
}

/// A `Results` message; what it says of itself is among `flags`.
fn results(start: f64, duration: f64, flags: &str, transcript: &str) -> String {
    let flag = |name: &str| flags.split(' ').any(|flag| flag == name);
    format!(
        r#"{{"type":"Results","channel_index":[0,1],"duration":{duration},"start":{start},
            "is_final":{},"speech_final":{},"from_finalize":{},
            "channel":{{"alternatives":[{{"transcript":"{transcript}","confidence":0.9,
            "words":[]}}]}},"metadata":{{"request_id":"1"}}}}"#,
        flag("final"),
        flag("speech"),
        flag("finalize"),
    )
}

fn utterance(heard: Heard) -> Utterance {
    match heard {
        Heard::Transcript(utterance) => utterance,
        heard => panic!("{heard:?}"),
    }
}

fn said(utterance: &Utterance) -> (&str, u128, u128) {
    let text = utterance.alternatives[0].text.reveal();
    let (start, end) = (utterance.start.as_millis(), utterance.end.as_millis());
    (text, start, end)
}

fn received(millis: u64) -> Heard {
    Heard::Received(Duration::from_millis(millis))
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

fn wish(parameters: &[(&str, &str)]) -> Wish {
    let own = |&(name, value): &(&str, &str)| (name.into(), Private::new(value.to_owned()));
    Wish {
        service: Some("deepgram".into()),
        parameters: parameters.iter().map(own).collect(),
    }
}

// ---- the address

#[test]
fn the_address_says_it_all() {
    let request = service(&config()).request(&spec(StreamOptions::default()));
    let expected = concat!(
        "wss://api.deepgram.com/v1/listen?channels=1&encoding=linear16&endpointing=300",
        "&language=en-US&mip_opt_out=true&model=nova-3&redact=pci&redact=ssn&sample_rate=8000",
        "&smart_format=true",
    );
    let request = request.unwrap();
    assert_eq!(request.uri(), expected);
    assert_eq!(request.headers()[AUTHORIZATION], "Token hunter2");
    assert_eq!(request.headers().len(), 1);
}

#[test]
fn an_engine_of_ones_own_may_be_behind_a_path_and_take_another_credential() {
    let config = DeepgramConfig {
        base_url: Url::parse("ws://localhost:8080/speech/").unwrap(),
        auth: Auth::Bearer,
        encoding: Encoding::Mulaw,
        ..config()
    };
    let options = StreamOptions {
        audio_recording_allowed: true,
        redaction: Redaction::Unredacted,
        language: "es-US".to_owned(),
        ..StreamOptions::default()
    };
    let expected = concat!(
        "ws://localhost:8080/speech/v1/listen?channels=1&encoding=mulaw&endpointing=300",
        "&language=es-US&model=nova-3&sample_rate=8000&smart_format=true",
    );
    let request = service(&config).request(&spec(options)).unwrap();
    assert_eq!(request.uri(), expected);
    assert_eq!(request.headers()[AUTHORIZATION], "Bearer hunter2");
}

#[test]
fn entities_are_redacted_in_english_and_numbers_in_any_language() {
    let redacted = |language: &str, redaction| {
        let options = StreamOptions {
            language: language.to_owned(),
            redaction,
            ..StreamOptions::default()
        };
        let query = query_of(&config(), &spec(options));
        let redact = query.split('&').filter(|pair| pair.starts_with("redact="));
        redact.collect::<Vec<_>>().join("&")
    };
    assert_eq!(
        redacted("en-GB", Redaction::Redacted),
        "redact=pci&redact=ssn"
    );
    assert_eq!(redacted("fr", Redaction::Redacted), "redact=numbers");
    assert_eq!(
        redacted("en", Redaction::RedactedAndUnredacted),
        "redact=pci&redact=ssn"
    );
    assert_eq!(redacted("en", Redaction::Unredacted), "");
}

#[test]
fn what_is_configured_to_be_redacted_is_redacted_whatever_a_start_says() {
    let config = DeepgramConfig {
        parameters: read_parameters([("redact", "pii")]).unwrap(),
        ..config()
    };
    let options = StreamOptions {
        redaction: Redaction::Unredacted,
        ..StreamOptions::default()
    };
    assert!(query_of(&config, &spec(options)).contains("&redact=pii&"));
}

#[test]
fn a_wish_goes_over_the_configuration_and_that_over_the_start() {
    let config = DeepgramConfig {
        parameters: read_parameters([("endpointing", "500"), ("language", "multi")]).unwrap(),
        ..config()
    };
    let mut spec = spec(StreamOptions::default());
    spec.wish = wish(&[
        ("endpointing", "false"),
        ("model", "nova-2-phonecall"),
        ("tag", r#"["a b","c&d"]"#),
    ]);
    let query = query_of(&config, &spec);
    for pair in [
        "endpointing=false",
        "language=multi",
        "model=nova-2-phonecall",
        "tag=a+b&tag=c%26d",
    ] {
        assert!(query.contains(pair), "{query}");
    }
}

#[test]
fn interim_results_are_asked_for_if_they_are_used() {
    let asked = |config: &DeepgramConfig| {
        query_of(config, &spec(StreamOptions::default())).contains("interim_results=true")
    };
    assert!(!asked(&config()));
    assert!(asked(&DeepgramConfig {
        partials: true,
        ..config()
    }));
    assert!(asked(&DeepgramConfig {
        parameters: read_parameters([("utterance_end_ms", "1000")]).unwrap(),
        ..config()
    }));
}

#[test]
fn a_vocabulary_becomes_what_the_model_knows() {
    let spec = spec(vocabulary(&["IEEE", "717 N Shoreline Blvd", "a:b"]));
    let query = query_of(&config(), &spec);
    let expected = "keyterm=IEEE&keyterm=717+N+Shoreline+Blvd&keyterm=a%3Ab";
    assert!(query.contains(expected), "{query}");
    let older = DeepgramConfig {
        model: "nova-2-phonecall".to_owned(),
        ..config()
    };
    let query = query_of(&older, &spec);
    let expected = "keywords=IEEE&keywords=717+N+Shoreline+Blvd&keywords=a+b";
    assert!(query.contains(expected), "{query}");
}

#[test]
fn a_vocabulary_that_is_too_long_is_cut_and_counted() {
    let registry = Registry::new();
    let metrics = Arc::new(Metrics::register(&registry).unwrap());
    let service = Deepgram::new(&config(), metrics).unwrap();
    // 500 tokens of two bytes are 1000 bytes.
    let many: Vec<_> = (0..90)
        .map(|n| format!("abcdefghijklmnopqrstuvwxy{n:02}"))
        .collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let request = service.request(&spec(vocabulary(&many))).unwrap();
    let sent = request.uri().query().unwrap().matches("keyterm=").count();
    assert_eq!(sent, 35);
    let families = registry.gather();
    let counts = families.iter().flat_map(|family| family.get_metric());
    let counted = counts.map(|one| one.get_counter().get_value()).sum::<f64>();
    assert!((counted - 1.0).abs() < f64::EPSILON, "{counted}");
}

#[test]
fn a_typo_in_a_parameter_is_refused_by_name() {
    let refusal = read_parameters([("end_pointing", "300")]).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "end_pointing is no parameter of deepgram; the nearest is endpointing"
    );
    let service = service(&config());
    assert_eq!(service.check(&wish(&[("numerals", "true")])), Ok(()));
    let refusal = service.check(&wish(&[("redact", "pcii")])).unwrap_err();
    assert_eq!(refusal.name, "redact");
}

#[test]
fn nobody_can_have_sound_kept_that_a_start_does_not_allow() {
    assert!(read_parameters([("mip_opt_out", "false")]).is_err());
    for name in ["callback", "encoding", "sample_rate", "interim_results"] {
        assert!(read_parameters([(name, "true")]).is_err(), "{name}");
    }
}

#[test]
fn the_table_is_in_alphabetical_order_without_doubles() {
    let names: Vec<_> = PARAMETERS.rows.iter().map(|row| row.name).collect();
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
}

#[test]
fn the_guide_names_every_parameter() {
    let guide = include_str!("../../../../docs/deepgram.md");
    for row in PARAMETERS.rows {
        assert!(guide.contains(&format!("`{}`", row.name)), "{}", row.name);
    }
}

#[test]
fn a_configuration_out_of_range_is_refused() {
    type Change = fn(&mut DeepgramConfig);
    let refused = |change: Change| {
        let mut config = config();
        change(&mut config);
        let metrics = Arc::new(Metrics::register(&Registry::new()).unwrap());
        let refused = Deepgram::new(&config, metrics).map(drop).unwrap_err();
        refused.to_string()
    };
    let cases: [(Change, &str); 10] = [
        (
            |config| config.base_url = Url::parse("ws://deepgram.example").unwrap(),
            "base_url",
        ),
        (
            |config| config.base_url = Url::parse("ftp://api.deepgram.com").unwrap(),
            "base_url",
        ),
        (|config| config.chunk = Duration::from_millis(300), "chunk"),
        (|config| config.chunk = Duration::ZERO, "chunk"),
        (|config| config.api_key = Private::default(), "api_key"),
        (|config| config.idle = Duration::from_secs(9), "idle"),
        (|config| config.pace_percent = 126, "pace_percent"),
        (|config| config.model = "nova 3".to_owned(), "model"),
        (
            |config| config.api_key = "hunter2\n".to_owned().into(),
            "api_key",
        ),
        (
            |config| config.parameters = read_parameters([("model", "nova-2")]).unwrap(),
            "parameters: model has a setting of its own",
        ),
    ];
    for (change, expected) in cases {
        let refusal = refused(change);
        assert!(refusal.starts_with(expected), "{refusal}");
        assert!(!refusal.contains(KEY), "{refusal}");
    }
}

#[test]
fn nothing_that_is_logged_shows_the_key_or_the_vocabulary() {
    let mut config = config();
    config.parameters = read_parameters([("keyterm", "hunter2")]).unwrap();
    assert!(!format!("{config:?}").contains(KEY));
    let request = service(&config).request(&spec(StreamOptions::default()));
    let headers = format!("{:?}", request.unwrap().headers());
    assert!(!headers.contains(KEY), "{headers}");
}

#[test]
fn every_refusal_has_its_class() {
    let service = service(&config());
    for (status, retry) in [
        (400, Retry::Session),
        (401, Retry::Credential),
        (402, Retry::Credential),
        (403, Retry::Credential),
        (404, Retry::Session),
        (405, Retry::Session),
        (408, Retry::Backoff),
    ] {
        assert_eq!(service.refused(status), retry, "{status}");
    }
}

// ---- what is said

#[test]
fn it_says_sound_as_it_is_configured() {
    let samples = || chunk(vec![1, -2, 0]);
    assert!(dialect().greet().is_empty());
    let linear = Bytes::from_static(&[0x01, 0x00, 0xfe, 0xff, 0, 0]);
    assert_eq!(dialect().say(&samples()), Message::Binary(linear));
    let config = DeepgramConfig {
        encoding: Encoding::Mulaw,
        ..config()
    };
    let mut dialect = dialect_of(&config, StreamOptions::default());
    let Message::Binary(bytes) = dialect.say(&samples()) else {
        panic!("sound is binary")
    };
    assert_eq!(bytes.len(), 3);
}

#[test]
fn a_message_of_no_bytes_is_never_sent() {
    let expected = Message::Text(r#"{"type":"KeepAlive"}"#.to_owned());
    assert_eq!(dialect().say(&chunk(Vec::new())), expected);
}

#[test]
fn the_end_and_a_pause_have_their_words() {
    let text = |text: &str| Message::Text(text.to_owned());
    let mut dialect = dialect();
    assert_eq!(dialect.endpoint(), Some(text(r#"{"type":"Finalize"}"#)));
    assert_eq!(dialect.finish(), [text(r#"{"type":"CloseStream"}"#)]);
}

#[test]
fn a_socket_without_any_sound_is_kept_open_by_silence_only() {
    let mut dialect = dialect();
    assert_eq!(dialect.keep_alive(), None);
    dialect.say(&chunk(vec![0; 800]));
    let expected = Message::Text(r#"{"type":"KeepAlive"}"#.to_owned());
    assert_eq!(dialect.keep_alive(), Some(expected));
}

// ---- what is heard

const PHRASE: &str = r#"{"type":"Results","channel_index":[0,1],"duration":1.039875,"start":1.5,
    "is_final":true,"speech_final":true,"channel":{"alternatives":[{"transcript":"Another big.",
    "confidence":0.9600255,"words":[
    {"word":"another","start":1.7971154,"end":2.2971154,"confidence":0.95,
     "punctuated_word":"Another"},
    {"word":"big","start":2.35173076,"end":2.53,"confidence":0.96,"punctuated_word":"big."}]}]},
    "metadata":{"request_id":"4d4d","model_info":{"name":"nova-3","version":"1","arch":"nova-3"},
    "model_uuid":"c7c7"},"from_finalize":false}"#;

#[test]
fn a_phrase_is_an_utterance_with_the_times_of_its_words() {
    let utterance = utterance(dialect().hear(PHRASE).unwrap());
    let expected = Utterance {
        call: spec(StreamOptions::default()).call,
        stream: StreamId::new("5ce2b755"),
        role: Role::Customer,
        sender: "JD232442".to_owned().into(),
        alternatives: vec![Alternative {
            text: "Another big.".to_owned().into(),
            tokens: Vec::new(),
        }],
        start: Duration::from_nanos(1_797_115_400),
        end: Duration::from_millis(2530),
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
    let mut dialect = dialect_of(&config(), options);
    let utterance = utterance(dialect.hear(PHRASE).unwrap());
    let [another, big] = &utterance.alternatives[0].tokens[..] else {
        panic!("two words")
    };
    let expected = Token {
        content: "big".to_owned().into(),
        start: Duration::from_nanos(2_351_730_760),
        end: Duration::from_millis(2530),
        punctuation_after: Some(".".to_owned()),
        punctuation_before: None,
    };
    assert_eq!(big, &expected);
    assert_eq!(another.content.reveal(), "Another");
    assert_eq!(another.punctuation_after, None);
}

#[test]
fn marks_are_taken_off_a_word_unless_they_are_its_own() {
    let cases = [
        ("qué", "¿Qué", Some("¿"), "Qué", None),
        ("no", "no?!", None, "no", Some("?!")),
        ("a.m.", "a.m.", None, "a.m.", None),
        ("...", "...", None, "...", None),
        ("[SSN_1]", "[SSN_1],", None, "[SSN_1]", Some(",")),
        ("3.5", "3.5", None, "3.5", None),
    ];
    let options = || StreamOptions {
        detailed_token: true,
        ..StreamOptions::default()
    };
    for (word, written, before, content, after) in cases {
        let text = format!(
            r#"{{"type":"Results","is_final":true,"speech_final":true,"channel":{{"alternatives":
                [{{"transcript":"x","words":[{{"word":"{word}","punctuated_word":"{written}"}}]}}]
                }}}}"#
        );
        let mut dialect = dialect_of(&config(), options());
        let utterance = utterance(dialect.hear(&text).unwrap());
        let token = &utterance.alternatives[0].tokens[0];
        assert_eq!(token.content.reveal(), content);
        assert_eq!(token.punctuation_before.as_deref(), before, "{written}");
        assert_eq!(token.punctuation_after.as_deref(), after, "{written}");
    }
}

#[test]
fn segments_are_joined_until_their_phrase_ends() {
    let mut dialect = dialect();
    let heard = dialect.hear(&results(0.5, 2.5, "final", "my number is"));
    assert_eq!(heard.unwrap(), received(3000));
    let heard = dialect.hear(&results(3.0, 1.0, "final speech", "one two"));
    let phrase = utterance(heard.unwrap());
    assert_eq!(said(&phrase), ("my number is one two", 500, 4000));
    assert!(phrase.is_final);
    assert_eq!(dialect.leftover(), None);
}

#[test]
fn silence_the_end_of_an_utterance_and_a_finalize_end_a_phrase_too() {
    let ends = [
        results(3.0, 3.0, "final", ""),
        results(3.0, 0.0, "final finalize", " "),
        r#"{"type":"UtteranceEnd","channel":[0,1],"last_word_end":2.8}"#.to_owned(),
    ];
    for end in ends {
        let mut dialect = dialect();
        dialect.hear(&results(0.0, 3.0, "final", "yes")).unwrap();
        let phrase = utterance(dialect.hear(&end).unwrap());
        assert_eq!(said(&phrase).0, "yes", "{end}");
        // And only once.
        let again = dialect.hear(&end).unwrap();
        assert!(!matches!(again, Heard::Transcript(_)), "{again:?}");
    }
}

#[test]
fn a_phrase_without_end_is_cut_where_it_is_long_enough() {
    let mut dialect = dialect();
    for n in 0..4 {
        let text = results(f64::from(n) * 3.0, 3.0, "final", "and");
        assert!(matches!(dialect.hear(&text).unwrap(), Heard::Received(_)));
    }
    let phrase = utterance(dialect.hear(&results(12.0, 3.0, "final", "on")).unwrap());
    assert_eq!(said(&phrase), ("and and and and on", 0, 15_000));
    // Times that stand still do not make it longer for ever.
    let mut joined = 0;
    while !matches!(
        dialect.hear(&results(0.0, 0.0, "final", "and")).unwrap(),
        Heard::Transcript(_)
    ) {
        joined += 1;
    }
    assert_eq!(joined, 63);
}

#[test]
fn segments_are_utterances_if_nothing_is_to_be_joined() {
    let config = DeepgramConfig {
        utterance_max: Duration::ZERO,
        ..config()
    };
    let mut dialect = dialect_of(&config, StreamOptions::default());
    let phrase = utterance(dialect.hear(&results(0.0, 1.0, "final", "yes")).unwrap());
    assert_eq!(said(&phrase), ("yes", 0, 1000));
}

#[test]
fn what_is_held_is_left_over_when_the_socket_dies() {
    let mut dialect = dialect();
    dialect
        .hear(&results(0.5, 2.5, "final", "my number"))
        .unwrap();
    dialect.hear(&results(3.0, 1.0, "final", "is one")).unwrap();
    assert_eq!(dialect.closed(None, ""), None);
    let left = dialect.leftover().unwrap();
    assert_eq!(said(&left), ("my number is one", 500, 4000));
    assert!(left.is_final);
    assert_eq!(dialect.leftover(), None);
}

#[test]
fn a_pause_parts_what_was_said_before_it_from_what_is_said_after() {
    let mut dialect = dialect();
    dialect.hear(&results(0.0, 3.0, "final", "before")).unwrap();
    dialect.endpoint();
    // The service need not answer if it has little sound.
    let heard = dialect.hear(&results(3.0, 2.0, "final speech", "after"));
    assert_eq!(said(&utterance(heard.unwrap())), ("before", 0, 3000));
    let heard = dialect.hear(&results(5.0, 1.0, "", "and"));
    assert_eq!(said(&utterance(heard.unwrap())), ("after", 3000, 5000));
    // If it does, that belongs before the pause.
    dialect.hear(&results(6.0, 1.0, "final", "one")).unwrap();
    dialect.endpoint();
    let heard = dialect.hear(&results(7.0, 0.5, "final finalize", "two"));
    assert_eq!(said(&utterance(heard.unwrap())), ("one two", 6000, 7500));
}

#[test]
fn guesses_are_passed_on_if_they_are_wanted() {
    let guess = results(0.0, 1.0, "", "yes i");
    assert_eq!(dialect().hear(&guess).unwrap(), received(1000));
    let config = DeepgramConfig {
        partials: true,
        ..config()
    };
    let mut dialect = dialect_of(&config, StreamOptions::default());
    let first = utterance(dialect.hear(&guess).unwrap());
    assert_eq!((said(&first), first.is_final), (("yes i", 0, 1000), false));
    let held = dialect.hear(&results(0.0, 1.5, "final", "yes i am"));
    let held = utterance(held.unwrap());
    assert_eq!((said(&held), held.is_final), (("yes i am", 0, 1500), false));
    let next = utterance(dialect.hear(&results(1.5, 0.5, "", "he")).unwrap());
    assert_eq!((said(&next).0, next.is_final), ("yes i am he", false));
    let last = dialect.hear(&results(1.5, 1.0, "final speech", "here"));
    let last = utterance(last.unwrap());
    assert_eq!(
        (said(&last), last.is_final),
        (("yes i am here", 0, 2500), true)
    );
}

#[test]
fn nothing_is_told_of_nothing_but_how_much_was_heard() {
    let mut dialect = dialect();
    let heard = dialect.hear(&results(3.0, 1.5, "final speech", ""));
    assert_eq!(heard.unwrap(), received(4500));
    let started = r#"{"type":"SpeechStarted","channel":[0,1],"timestamp":9.54}"#;
    assert_eq!(dialect.hear(started).unwrap(), Heard::Nothing);
    let none = r#"{"type":"Results","is_final":true,"channel":{"alternatives":[]}}"#;
    assert_eq!(dialect.hear(none).unwrap(), received(0));
}

const METADATA: &str = r#"{"type":"Metadata","transaction_key":"deprecated","request_id":
    "8c8ebea9-dbec-45fa-a035-e4632cb05b5f","sha256":"e3b0","created":"2024-08-29T22:37:55.202Z",
    "duration":3.5,"channels":1}"#;

fn summary(transcripts: u32) -> Option<Summary> {
    Some(Summary {
        audio_bytes: 56_000,
        audio: Duration::from_millis(3500),
        streaming: Duration::from_millis(3500),
        transcripts,
    })
}

#[test]
fn after_the_end_the_metadata_is_the_last_message() {
    let mut dialect = dialect();
    dialect.hear(PHRASE).unwrap();
    assert_eq!(dialect.hear(METADATA).unwrap(), Heard::Nothing);
    dialect.finish();
    let expected = Final {
        status: Status::ok(),
        retry: Retry::Backoff,
        summary: summary(1),
    };
    assert_eq!(dialect.hear(METADATA).unwrap(), Heard::Final(expected));
}

#[test]
fn words_still_held_at_the_end_are_told_before_the_close_is_the_last_word() {
    let mut dialect = dialect();
    dialect.finish();
    dialect
        .hear(&results(0.0, 3.0, "final", "goodbye"))
        .unwrap();
    let last = utterance(dialect.hear(METADATA).unwrap());
    assert_eq!(said(&last).0, "goodbye");
    let ending = dialect.closed(None, "").unwrap();
    assert_eq!((ending.status, ending.summary), (Status::ok(), summary(1)));
}

#[test]
fn a_clean_close_nobody_asked_for_is_a_loss() {
    let mut dialect = dialect();
    assert_eq!(dialect.closed(Some(1000), ""), None);
    dialect.finish();
    let ending = dialect.closed(Some(1000), "").unwrap();
    assert_eq!((ending.status, ending.summary), (Status::ok(), None));
    let mut cut = self::dialect();
    cut.finish();
    assert_eq!(cut.closed(Some(1006), ""), None);
}

#[test]
fn every_close_has_its_class() {
    let net0001 = "Deepgram did not receive audio data or a text message within the timeout \
        window. See https://dpgr.am/net0001";
    let cases = [
        (Some(1008), "DATA-0000", 4082, Retry::Session),
        (Some(1002), "https://dpgr.am/data0000", 4082, Retry::Session),
        (Some(1011), net0001, 4083, Retry::Sound),
        (None, "NET-0001", 4083, Retry::Sound),
        (Some(1011), "https://dpgr.am/net0000", 5000, Retry::Backoff),
        (Some(1011), "", 5000, Retry::Backoff),
        (Some(1012), "", 5001, Retry::Now),
        (Some(1001), "", 5001, Retry::Now),
        (Some(1013), "", 5002, Retry::Backoff),
    ];
    for (close, reason, code, retry) in cases {
        let mut dialect = dialect();
        dialect.say(&chunk(vec![0; 800]));
        let ending = dialect.closed(close, reason).unwrap();
        assert_eq!(
            (ending.status.code, ending.retry),
            (code, retry),
            "{reason}"
        );
        assert!(!ending.status.description.contains("dpgr"), "our own words");
    }
    // Without any sound it had nothing to answer.
    let ending = dialect().closed(Some(1011), "NET-0000").unwrap();
    assert_eq!((ending.status.code, ending.retry), (4083, Retry::Sound));
    assert_eq!(dialect().closed(Some(1008), "policy"), None);
}

#[test]
fn an_error_is_a_warning_until_the_close_that_follows() {
    let mut dialect = dialect();
    let text = r#"{"type":"Error","description":"It broke.","message":"m","variant":"v"}"#;
    let status = Status {
        code: 5000,
        description: "It broke.".to_owned(),
    };
    assert_eq!(dialect.hear(text).unwrap(), Heard::Warning(status.clone()));
    let ending = dialect.closed(Some(1006), "").unwrap();
    assert_eq!((ending.status, ending.retry), (status, Retry::Backoff));
    // Its words may say more than the close.
    let text = r#"{"type":"Error","err_msg":"See DATA-0000."}"#;
    dialect.hear(text).unwrap();
    let ending = dialect.closed(None, "").unwrap();
    assert_eq!((ending.status.code, ending.retry), (4082, Retry::Session));
}

#[test]
fn a_message_of_an_unknown_kind_is_unknown_whatever_is_in_it() {
    for text in [
        r#"{"type":"Configured","channel":7}"#,
        "{}",
        r#"{"type":""}"#,
    ] {
        assert_eq!(dialect().hear(text).unwrap(), Heard::Unknown, "{text}");
    }
}

#[test]
fn odd_parts_do_not_lose_the_words() {
    let odd = r#"{"type":"Results","start":"soon","duration":{},"is_final":true,"speech_final":true,
        "from_finalize":null,"channel":{"alternatives":[{"transcript":"yes","words":"none"}]}}"#;
    assert_eq!(
        said(&utterance(dialect().hear(odd).unwrap())),
        ("yes", 0, 0)
    );
    let far = results(1e300, 1e300, "final speech", "yes");
    let far = utterance(dialect().hear(&far).unwrap());
    assert!(far.start <= far.end);
}

#[test]
fn gibberish_is_named_without_quoting_it() {
    for text in [
        "",
        "{",
        "hunter2",
        r#"{"type":7}"#,
        r#"{"type":"Results","channel":"hunter2"}"#,
    ] {
        let gibberish = dialect().hear(text).unwrap_err();
        assert!(!gibberish.to_string().contains(KEY), "{gibberish}");
    }
}

fn any_line() -> impl Strategy<Value = String> {
    let flags = prop::sample::select(vec![
        "",
        "speech",
        "final",
        "final speech",
        "final finalize",
    ]);
    let text = prop::sample::select(vec!["", " ", "yes", "no", "and so on"]);
    let result = (0.0f64..100.0, 0.0f64..5.0, flags, text)
        .prop_map(|(start, duration, flags, text)| results(start, duration, flags, text))
        .prop_map(|line| line.replace('\n', ""));
    prop_oneof![
        8 => result,
        1 => Just(METADATA.replace('\n', "")),
        1 => Just(r#"{"type":"UtteranceEnd","channel":[0,1],"last_word_end":2.8}"#.to_owned()),
        1 => ".{0,20}".prop_map(|line| line.replace(['\n', '\r'], "")),
    ]
}

proptest! {
    #[test]
    fn no_text_is_too_much(text in ".{0,200}") {
        fuzz(text.as_bytes());
    }

    /// Whatever comes in whatever order: every final word is told once, in its order.
    #[test]
    fn no_final_word_is_lost_or_told_twice(lines in prop::collection::vec(any_line(), 0..120)) {
        fuzz(lines.join("\n").as_bytes());
    }

    #[test]
    fn no_mutation_of_a_message_is_too_much(
        which in 0usize..2,
        at in any::<prop::sample::Index>(),
        piece in r#"[\[\]{}",:0-9a-zé-]{0,6}"#,
    ) {
        let mut text = [PHRASE, METADATA][which].replace('\n', "");
        let at = at.index(text.len());
        text.replace_range(at..at + 1, &piece);
        fuzz(format!("{text}\n{}", PHRASE.replace('\n', "")).as_bytes());
    }

    #[test]
    fn whatever_is_asked_for_makes_an_address_or_is_refused(
        lines in prop::collection::vec(
            (
                any::<prop::sample::Index>().prop_map(|row| row.get(PARAMETERS.rows).name),
                prop_oneof![".{0,20}", Just("true".to_owned()), Just("1000".to_owned())],
            ),
            0..4,
        ),
    ) {
        let lines: Vec<_> = lines.iter().map(|(name, text)| format!("{name}={text}")).collect();
        fuzz_parameters(lines.join("\n").as_bytes());
    }
}
