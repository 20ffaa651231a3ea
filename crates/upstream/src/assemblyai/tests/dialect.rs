use std::time::{Instant, SystemTime};

use bytes::Bytes;
use call::audio::{Chunk, Codec};
use call::start::{Phrase, Status, Summary};

use super::*;
use crate::service::{Final, Heard, Message};

fn dialect() -> Box<dyn Dialect> {
    service(&config()).dialect(&spec(options()))
}

fn text(text: &str) -> Message {
    Message::Text(text.to_owned())
}

fn chunk(samples: Vec<i16>) -> Chunk {
    Chunk {
        position: 0,
        samples,
        arrived: Instant::now(),
    }
}

fn final_of(heard: Heard) -> Final {
    match heard {
        Heard::Final(last) => last,
        heard => panic!("{heard:?}"),
    }
}

const FORCE_ENDPOINT: &str = r#"{"type":"ForceEndpoint"}"#;
const TERMINATE: &str = r#"{"type":"Terminate"}"#;
const END: &str = r#"{"type":"Turn","turn_order":0,"turn_is_formatted":true,"end_of_turn":true,
    "transcript":"Hello.","words":[{"text":"Hello.","start":100,"end":500}]}"#;

#[test]
fn it_greets_with_nothing_for_all_is_in_the_address() {
    assert_eq!(dialect().greet(), []);
}

#[test]
fn it_says_sound_as_the_address_says_it_would() {
    let expected = Bytes::from_static(&[0x01, 0x00, 0xfe, 0xff]);
    let said = dialect().say(&chunk(vec![1, -2]));
    assert_eq!(said, Message::Binary(expected));

    let mut config = config();
    config.encoding = Encoding::Mulaw;
    let mut mulaw = service(&config).dialect(&spec(options()));
    // As a platform would have sent it.
    let bytes = Bytes::from_static(&[0x00, 0x12, 0x80, 0xfe, 0xff]);
    let mut samples = Vec::new();
    Codec::Pcmu.decode(&bytes, &mut samples);
    assert_eq!(mulaw.say(&chunk(samples)), Message::Binary(bytes));
}

#[test]
fn it_ends_the_turn_before_it_says_good_bye() {
    let mut dialect = dialect();
    dialect.say(&chunk(vec![0; 800]));
    assert_eq!(dialect.finish(), [text(FORCE_ENDPOINT), text(TERMINATE)]);
}

#[test]
fn a_turn_that_a_pause_has_ended_is_not_ended_again() {
    let mut dialect = dialect();
    dialect.say(&chunk(vec![0; 800]));
    assert_eq!(dialect.endpoint(), Some(text(FORCE_ENDPOINT)));
    assert_eq!(dialect.finish(), [text(TERMINATE)]);
}

#[test]
fn where_nothing_was_said_no_turn_is_ended() {
    assert_eq!(dialect().finish(), [text(TERMINATE)]);
}

#[test]
fn it_keeps_a_socket_alive_by_a_message_only_where_the_service_counts_the_time() {
    assert_eq!(dialect().keep_alive(), None);
    let keep_alive = Some(text(r#"{"type":"KeepAlive"}"#));
    let service = service(&configured(&[("inactivity_timeout", "60")]));
    assert_eq!(service.dialect(&spec(options())).keep_alive(), keep_alive);
}

#[test]
fn begin_means_ready_and_says_until_when() {
    let begin = r#"{"type":"Begin","id":"3207b601-2054-48df-ba77-8784dfcf9fb8",
        "expires_at":1772570132}"#;
    let expires = SystemTime::UNIX_EPOCH + Duration::from_secs(1_772_570_132);
    let ready = Heard::Ready {
        expires: Some(expires),
    };
    assert_eq!(dialect().hear(begin), Ok(ready));
    for odd in [
        r#"{"type":"Begin"}"#,
        r#"{"type":"Begin","id":7,"expires_at":"2025-04-24T09:16:07Z"}"#,
        r#"{"type":"Begin","expires_at":1e300,"configuration":[]}"#,
        r#"{"configuration":null,"expires_at":null,"type":"Begin"}"#,
    ] {
        assert_eq!(
            dialect().hear(odd),
            Ok(Heard::Ready { expires: None }),
            "{odd}"
        );
    }
}

#[test]
fn another_model_than_was_asked_for_is_a_warning_behind_it() {
    let mut dialect = dialect();
    let begin = r#"{"type":"Begin","configuration":{"model":"universal-3-5-pro","mode":null}}"#;
    assert_eq!(dialect.hear(begin), Ok(Heard::Ready { expires: None }));
    let started = r#"{"type":"SpeechStarted","timestamp":14400,"confidence":0.9}"#;
    let Ok(Heard::Warning(warning)) = dialect.hear(started) else {
        panic!("a warning")
    };
    assert_eq!(
        warning.description,
        "the service uses its model universal-3-5-pro instead of universal-streaming-english"
    );
    assert_eq!(dialect.hear(started), Ok(Heard::Nothing));
}

#[test]
fn a_service_that_does_not_redact_as_asked_hears_nothing_more() {
    let redacted = spec(StreamOptions::default());
    let begin = |redacts: &str| {
        let begin = format!(r#"{{"type":"Begin","configuration":{{"redact_pii":{redacts}}}}}"#);
        service(&config()).dialect(&redacted).hear(&begin).unwrap()
    };
    let last = final_of(begin("false"));
    assert_eq!((last.status.code, last.retry), (4092, Retry::Session));
    assert_eq!(begin("true"), Heard::Ready { expires: None });
    assert_eq!(begin("null"), Heard::Ready { expires: None });
}

#[test]
fn phrases_that_are_left_out_are_told_once() {
    let phrase = Phrase {
        phrase: "x".repeat(51).into(),
        sounds_like: Vec::new(),
        category: None,
    };
    let options = StreamOptions {
        vocabulary: vec![phrase; 2],
        ..options()
    };
    let mut dialect = service(&config()).dialect(&spec(options));
    let begin = r#"{"type":"Begin"}"#;
    assert_eq!(dialect.hear(begin), Ok(Heard::Ready { expires: None }));
    let beat = r#"{"type":"Heartbeat","total_audio_received_ms":100}"#;
    assert_eq!(
        dialect.hear(beat),
        Ok(Heard::VocabularyRefused(Status {
            code: 4084,
            description: "2 phrases of the vocabulary do not fit and are left out".to_owned(),
        }))
    );
    assert_eq!(dialect.hear(beat), Ok(Heard::Received(ms(100))));
}

#[test]
fn a_heartbeat_tells_how_much_has_arrived() {
    let beat = r#"{"type":"Heartbeat","total_audio_received_ms":9888,"total_duration_ms":10096,
        "realtime_factor":1.02,"max_speech_probability":0.99}"#;
    assert_eq!(dialect().hear(beat), Ok(Heard::Received(ms(9888))));
    assert_eq!(
        dialect().hear(r#"{"type":"Heartbeat"}"#),
        Ok(Heard::Nothing)
    );
}

#[test]
fn a_termination_is_the_end_and_sums_up() {
    let end = r#"{"type":"Termination","audio_duration_seconds":83,
        "session_duration_seconds":84}"#;
    let summary = |audio: Duration, transcripts| Summary {
        audio_bytes: audio.as_millis() as u64 * 16,
        audio,
        streaming: Duration::from_secs(84),
        transcripts,
    };
    let mut plain = dialect();
    plain.hear(END).unwrap();
    let last = final_of(plain.hear(end).unwrap());
    assert_eq!(
        (last.status.clone(), last.retry),
        (Status::ok(), Retry::Backoff)
    );
    assert_eq!(last.summary, Some(summary(ms(83_000), 1)));

    // What was counted within the same second is more exact; what is older is not.
    for (counted, told) in [(83_420, 83_420), (82_200, 82_200), (80_000, 83_000)] {
        let mut dialect = dialect();
        let beat = format!(r#"{{"type":"Heartbeat","total_audio_received_ms":{counted}}}"#);
        dialect.hear(&beat).unwrap();
        let last = final_of(dialect.hear(end).unwrap());
        assert_eq!(last.summary, Some(summary(ms(told), 0)));
    }

    let fraction = r#"{"type":"Termination","audio_duration_seconds":83.42,
        "session_duration_seconds":"84"}"#;
    let last = final_of(dialect().hear(fraction).unwrap());
    assert_eq!(last.summary, Some(summary(ms(83_420), 0)));
    let bare = final_of(dialect().hear(r#"{"type":"Termination"}"#).unwrap());
    assert_eq!((bare.status.code, bare.summary), (1000, None));
}

#[test]
fn an_error_is_the_end_whether_it_has_a_code_or_words() {
    for (text, code, retry, told) in [
        (
            r#"{"type":"Error","error_code":3007,"error":"Input Duration Error: Input Duration
                Violation"}"#,
            4080,
            Retry::Session,
            "Input Duration",
        ),
        (
            r#"{"error":"Unauthorized Connection: Too many concurrent sessions",
                "error_code":"1008","type":"Error"}"#,
            5002,
            Retry::Backoff,
            "Too many",
        ),
        (
            r#"{"error":"Session Expired: Maximum session duration exceeded"}"#,
            4090,
            Retry::Rollover,
            "Maximum",
        ),
        (
            r#"{"type":"Error","error_code":3005}"#,
            5000,
            Retry::Backoff,
            "AssemblyAI 3005",
        ),
    ] {
        let text = text.replace("\n                ", " ");
        let last = final_of(dialect().hear(&text).unwrap());
        assert_eq!((last.status.code, last.retry), (code, retry), "{text}");
        assert!(last.status.description.contains(told), "{last:?}");
        assert_eq!(last.summary, None);
    }
}

#[test]
fn an_error_that_says_too_little_is_kept_for_the_close_behind_it() {
    let mut dialect = dialect();
    let Ok(Heard::Warning(warning)) = dialect.hear(r#"{"error":"something gave way"}"#) else {
        panic!("a warning")
    };
    assert_eq!(warning.description, "something gave way");
    let last = dialect.closed(Some(3009), "See Error message for details");
    let last = last.unwrap();
    assert_eq!((last.status.code, last.retry), (5002, Retry::Backoff));
    assert_eq!(
        last.status.description,
        "something gave way (AssemblyAI 3009)"
    );
}

#[test]
fn a_close_speaks_for_itself_if_it_can() {
    let mut dialect = dialect();
    let last = dialect.closed(
        Some(3008),
        "Session Expired: Maximum session duration exceeded",
    );
    assert_eq!(last.unwrap().retry, Retry::Rollover);
    assert_eq!(dialect.closed(Some(1000), ""), None);
    assert_eq!(dialect.closed(None, ""), None);
    let last = dialect
        .closed(Some(1008), "Unauthorized Connection: balance")
        .unwrap();
    assert_eq!((last.status.code, last.retry), (1008, Retry::Credential));
}

#[test]
fn a_warning_does_not_end_anything() {
    let warning = r#"{"type":"Warning","warning_code":7,"warning":"slow down"}"#;
    let Ok(Heard::Warning(status)) = dialect().hear(warning) else {
        panic!("a warning")
    };
    assert_eq!(status.description, "slow down (AssemblyAI warning 7)");
}

#[test]
fn what_is_not_for_us_is_nothing_and_what_is_new_is_unknown() {
    for text in [
        r#"{"type":"SpeechStarted","timestamp":0}"#,
        r#"{"type":"SpeakerRevision","revisions":[{"turn_order":9,"speaker_label":"B"}]}"#,
        r#"{"type":"LLMGatewayResponse","turn_order":0,"transcript":"hi","data":{}}"#,
    ] {
        assert_eq!(dialect().hear(text), Ok(Heard::Nothing), "{text}");
    }
    for text in [
        r#"{"type":"Mood","mood":"good"}"#,
        r#"{"type":"turn"}"#,
        r#"{"message":"hello"}"#,
        "{}",
    ] {
        assert_eq!(dialect().hear(text), Ok(Heard::Unknown), "{text}");
    }
}

#[test]
fn gibberish_is_named_without_quoting_it() {
    for text in [
        "",
        "{",
        "hunter2",
        "\"hunter2\"",
        r#"{"type":7}"#,
        r#"{"type":"hunter2"#,
    ] {
        let gibberish = dialect().hear(text).unwrap_err();
        assert!(!gibberish.to_string().contains("hunter2"), "{gibberish}");
    }
}
