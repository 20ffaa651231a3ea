//! What is read from a message, and what is passed over.

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Message<'_> {
    Message::parse(text).unwrap()
}

fn media<'a>(message: &'a Message<'a>) -> &'a Media<'a> {
    let Event::Media(media) = &message.event else {
        panic!("{message:?}")
    };
    media
}

fn start<'a>(message: &'a Message<'a>) -> &'a Start<'a> {
    let Event::Start(start) = &message.event else {
        panic!("{message:?}")
    };
    start
}

#[test]
fn a_start_as_twilio_sends_it() {
    let message = read(
        r#"{"event":"start","sequenceNumber":"1","start":{"accountSid":"AC1","streamSid":"MZ1",
        "callSid":"CA1","tracks":["inbound","outbound"],
        "mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},
        "customParameters":{"name":"a private thing"}},"streamSid":"MZ1"}"#,
    );
    assert_eq!(message.sequence, Some(1));
    let start = start(&message);
    assert_eq!(start.call_sid.as_str(), "CA1");
    assert_eq!(start.account_sid.as_str(), "AC1");
    assert_eq!(start.stream_sid.as_str(), "MZ1");
    assert_eq!(
        start.tracks.as_deref(),
        Some(&[Track::Inbound, Track::Outbound][..])
    );
    let format = start.media_format.as_ref().unwrap();
    assert_eq!(format.encoding.as_str(), "audio/x-mulaw");
    assert_eq!(
        (format.sample_rate.0, format.channels.0),
        (Some(8000), Some(1))
    );
}

#[test]
fn a_media_message_is_read_without_copying() {
    let text = r#"{"event":"media","sequenceNumber":"3","media":{"track":"outbound","chunk":"1",
        "timestamp":"52","payload":"//8="},"streamSid":"MZ1"}"#;
    let message = read(text);
    assert_eq!(
        (message.sequence, message.stream_sid.as_str()),
        (Some(3), "MZ1")
    );
    let media = media(&message);
    assert_eq!(
        (media.track, media.timestamp.0),
        (Track::Outbound, Some(52))
    );
    assert!(matches!(media.payload.0, Cow::Borrowed("//8=")));
}

#[test]
fn the_order_of_fields_does_not_matter() {
    let message =
        read(r#"{"media":{"payload":"AA==","timestamp":5,"track":"inbound"},"event":"media"}"#);
    assert_eq!(
        (
            media(&message).payload.as_str(),
            media(&message).timestamp.0
        ),
        ("AA==", Some(5))
    );
    let message = read(r#"{"start":{"callSid":"CA1"},"streamSid":"MZ1","event":"start"}"#);
    assert_eq!(start(&message).call_sid.as_str(), "CA1");
}

#[test]
fn escapes_are_understood() {
    let message = read(r#"{"\u0065vent":"med\u0069a","media":{"payload":"\/\/8="}}"#);
    assert_eq!(media(&message).payload.as_str(), "//8=");
}

#[test]
fn counters_come_as_strings_or_as_numbers() {
    let counters = [
        (r#""52""#, Some(52)),
        ("52", Some(52)),
        ("52.0", Some(52)),
        (r#"" 52.9 ""#, Some(52)),
        (r#""18446744073709551615""#, Some(u64::MAX)),
        ("-1", None),
        ("1e300", None),
        (r#""-1""#, None),
        (r#""soon""#, None),
        (r#""""#, None),
        ("null", None),
        ("true", None),
    ];
    for (text, counter) in counters {
        let part = format!(r#"{{"timestamp":{text},"payload":""}}"#);
        let text = format!(r#"{{"event":"media","sequenceNumber":{text},"media":{part}}}"#);
        let message = read(&text);
        assert_eq!(
            (message.sequence, media(&message).timestamp.0),
            (counter, counter),
            "{text}"
        );
    }
}

#[test]
fn senders_that_spell_in_snake_case_are_understood() {
    let message = read(
        r#"{"event":"start","sequence_number":"1","stream_id":"s","start":{"call_sid":"CA1",
        "account_sid":"AC1",
        "media_format":{"encoding":"audio/x-alaw","sample_rate":"8000","channels":"1"}}}"#,
    );
    assert_eq!(
        (message.sequence, message.stream_sid.as_str()),
        (Some(1), "s")
    );
    assert_eq!(start(&message).call_sid.as_str(), "CA1");
    assert_eq!(
        start(&message).media_format.as_ref().unwrap().sample_rate.0,
        Some(8000)
    );
}

#[test]
fn both_spellings_of_a_track_are_one_track_and_others_are_unknown() {
    for (text, track) in [
        (r#""track":"inbound","#, Track::Inbound),
        (r#""track":"inbound_track","#, Track::Inbound),
        (r#""track":"outbound_track","#, Track::Outbound),
        (r#""track":"sideways","#, Track::Unknown),
        ("", Track::Untold),
    ] {
        let text = format!(r#"{{"event":"media","media":{{{text}"payload":""}}}}"#);
        assert_eq!(media(&read(&text)).track, track);
    }
}

#[test]
fn what_is_not_sound_is_named_and_nothing_else() {
    let part = r#"{"track":"inbound_track","digit":"4"}"#.to_owned();
    let dtmf = RawValue::from_string(part).unwrap();
    let events = [
        (
            r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#,
            Event::Connected,
        ),
        (
            r#"{"event":"dtmf","dtmf":{"track":"inbound_track","digit":"4"}}"#,
            Event::Dtmf(Dtmf::new(&dtmf)),
        ),
        (r#"{"event":"mark","mark":{"name":"m"}}"#, Event::Mark),
        (
            r#"{"event":"stop","stop":{"accountSid":"AC1","callSid":"CA1"}}"#,
            Event::Stop,
        ),
        (
            r#"{"event":"weather","media":7,"start":[[]],"weather":{"sun":true}}"#,
            Event::Unknown,
        ),
    ];
    for (text, event) in events {
        let message = read(text);
        assert!(!format!("{message:?}").contains('4'));
        assert_eq!(message.event, event);
    }
}

#[test]
fn nonsense_is_told_apart() {
    for text in [
        "",
        "{",
        "hello",
        r#"{"event":"media""#,
        "{\"event\":\"\u{0}\"}",
    ] {
        assert_eq!(Message::parse(text), Err(Bad::Json), "{text}");
    }
    for text in [
        "7",
        "[]",
        "{}",
        r#"{"event":7}"#,
        r#"{"event":"media"}"#,
        r#"{"event":"media","media":"AAAA"}"#,
        r#"{"media":"AAAA","event":"media"}"#,
        r#"{"event":"media","media":{"track":"inbound"}}"#,
        r#"{"event":"media","media":{"payload":[255]}}"#,
        r#"{"event":"start","start":{"tracks":"both"}}"#,
    ] {
        assert_eq!(Message::parse(text), Err(Bad::Shape), "{text}");
    }
}

#[test]
fn deep_nesting_is_passed_over_without_a_deep_stack() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(
        read(&format!(r#"{{"event":"mark","mark":{deep}}}"#)).event,
        Event::Mark
    );
    let before = format!(r#"{{"media":{deep},"event":"media"}}"#);
    assert_eq!(Message::parse(&before), Err(Bad::Shape));
    let inside = format!(r#"{{"event":"start","start":{{"tracks":{deep}}}}}"#);
    assert_eq!(Message::parse(&inside), Err(Bad::Shape));
}

#[test]
fn a_payload_is_not_printed() {
    let text = r#"{"event":"media","media":{"payload":"c2VjcmV0"}}"#;
    assert!(!format!("{:?}", read(text)).contains("c2VjcmV0"));
}

proptest! {
    #[test]
    fn a_media_message_is_read_as_it_was_written(
        sequence: u64,
        timestamp: u64,
        payload in "[A-Za-z0-9+/]{0,64}",
        field in "[a-z]{1,9}",
    ) {
        let extra = serde_json::json!({ &field: [1, null, "x", {}] });
        let part = serde_json::json!({
            "track": "inbound", "timestamp": timestamp, "payload": payload, "x": extra,
        });
        let text = serde_json::json!({
            "event": "media",
            "sequenceNumber": sequence.to_string(),
            "extra": extra,
            "media": part,
        });
        let text = text.to_string();
        let message = read(&text);
        prop_assert_eq!(message.sequence, Some(sequence));
        prop_assert_eq!(media(&message).timestamp.0, Some(timestamp));
        prop_assert_eq!(media(&message).payload.as_str(), payload);
    }
}
