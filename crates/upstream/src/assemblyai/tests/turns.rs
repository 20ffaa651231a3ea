use call::transcript::Utterance;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::service::Heard;

/// A socket whose guesses are told, with or without formatted copies.
fn socket(formats: bool) -> Box<dyn Dialect> {
    let formats = if formats { "true" } else { "false" };
    let mut config = configured(&[("format_turns", formats)]);
    config.partials = true;
    service(&config).dialect(&spec(options()))
}

/// The words of a turn 200 ms apart from its beginning.
fn turn(order: u64, start: u64, text: &str) -> serde_json::Value {
    let words = text.split_whitespace().zip(0..);
    let words: Vec<_> = words
        .map(|(text, index)| {
            let start = start + index * 200;
            json!({"text": text, "start": start, "end": start + 150, "confidence": 0.9,
                "word_is_final": true})
        })
        .collect();
    json!({"type": "Turn", "turn_order": order, "turn_is_formatted": false, "end_of_turn": false,
        "transcript": text, "utterance": "", "end_of_turn_confidence": 0.1, "words": words})
}

fn raw(order: u64, start: u64, text: &str) -> serde_json::Value {
    let mut turn = turn(order, start, text);
    turn["end_of_turn"] = json!(true);
    turn
}

fn formatted(order: u64, start: u64, text: &str) -> serde_json::Value {
    let mut turn = raw(order, start, text);
    turn["turn_is_formatted"] = json!(true);
    turn
}

fn unflagged(order: u64, start: u64, text: &str) -> serde_json::Value {
    let mut turn = raw(order, start, text);
    turn.as_object_mut().unwrap().remove("turn_is_formatted");
    turn
}

/// `~` for a guess, then the words and where they are.
fn shown(utterance: &Utterance) -> String {
    let mark = if utterance.is_final { "" } else { "~" };
    let text = utterance.alternatives[0].text.reveal();
    let (start, end) = (utterance.start.as_millis(), utterance.end.as_millis());
    format!("{mark}{text} {start}-{end}")
}

fn hear(socket: &mut dyn Dialect, message: &serde_json::Value) -> Option<String> {
    match socket.hear(&message.to_string()).unwrap() {
        Heard::Nothing => None,
        Heard::Transcript(utterance) => Some(shown(&utterance)),
        heard => panic!("{heard:?}"),
    }
}

/// What is told of all these messages, and of what is left in the end.
fn told(mut socket: Box<dyn Dialect>, messages: &[serde_json::Value]) -> Vec<String> {
    let mut told: Vec<_> = messages
        .iter()
        .filter_map(|message| hear(&mut *socket, message))
        .collect();
    while let Some(left) = socket.leftover() {
        told.push(shown(&left));
    }
    told
}

fn quiet() -> serde_json::Value {
    json!({"type": "SpeechStarted", "timestamp": 0})
}

#[test]
fn a_turn_grows_and_ends_twice_and_is_told_once() {
    let messages = [
        turn(0, 1920, "hi"),
        turn(0, 1920, "hi my name"),
        raw(0, 1920, "hi my name is sonny"),
        formatted(0, 1920, "Hi, my name is Sonny."),
        turn(1, 9000, "i"),
        raw(1, 9000, "i am a voice agent"),
        formatted(1, 9000, "I am a voice agent."),
    ];
    let expected = [
        "~hi 1920-2070",
        "~hi my name 1920-2470",
        "~hi my name is sonny 1920-2870",
        "Hi, my name is Sonny. 1920-2870",
        "~i 9000-9150",
        "~i am a voice agent 9000-9950",
        "I am a voice agent. 9000-9950",
    ];
    assert_eq!(told(socket(true), &messages), expected);
}

#[test]
fn guesses_are_not_told_unless_they_are_wanted() {
    let messages = [
        turn(0, 0, "hi"),
        raw(0, 0, "hi there"),
        formatted(0, 0, "Hi there."),
        raw(1, 900, "well"),
    ];
    let socket = service(&config()).dialect(&spec(options()));
    assert_eq!(
        told(socket, &messages),
        ["Hi there. 0-350", "well 900-1050"]
    );
}

#[test]
fn where_text_is_redacted_no_guess_is_told_unless_it_is_asked_for_by_name() {
    let messages = [
        turn(0, 0, "hi"),
        raw(0, 0, "hi sonny"),
        formatted(0, 0, "Hi, #####."),
    ];
    let redacted = spec(StreamOptions::default());
    let mut config = config();
    config.partials = true;
    let socket = service(&config).dialect(&redacted);
    assert_eq!(told(socket, &messages), ["Hi, #####. 0-350"]);
    config.parameters = read_parameters([("include_partial_turns", "true")]).unwrap();
    let socket = service(&config).dialect(&redacted);
    assert_eq!(told(socket, &messages).len(), 3);
}

#[test]
fn an_end_without_a_flag_or_without_formatting_is_the_only_one() {
    let messages = [unflagged(0, 0, "hi there"), raw(1, 900, "well")];
    let expected = ["hi there 0-350", "~well 900-1050", "well 900-1050"];
    assert_eq!(told(socket(true), &messages), expected);
    let expected = ["hi there 0-350", "well 900-1050"];
    assert_eq!(told(socket(false), &messages), expected);
}

#[test]
fn an_end_whose_copy_does_not_come_is_told_before_the_next_turn() {
    let guess = [
        raw(0, 0, "hi there"),
        turn(1, 900, "well"),
        turn(1, 900, "well now"),
    ];
    let expected = ["~hi there 0-350", "hi there 0-350", "~well now 900-1250"];
    assert_eq!(told(socket(true), &guess), expected);
    let ends = [
        raw(0, 0, "hi there"),
        raw(1, 900, "well"),
        formatted(1, 900, "Well."),
    ];
    let expected = ["~hi there 0-350", "hi there 0-350", "Well. 900-1050"];
    assert_eq!(told(socket(true), &ends), expected);
}

#[test]
fn two_ends_at_once_are_told_one_after_the_other() {
    let messages = [raw(0, 0, "hi there"), formatted(1, 900, "Well."), quiet()];
    let mut socket = socket(true);
    hear(&mut *socket, &messages[0]);
    assert_eq!(hear(&mut *socket, &messages[1]).unwrap(), "hi there 0-350");
    assert_eq!(hear(&mut *socket, &messages[2]).unwrap(), "Well. 900-1050");
    assert_eq!(socket.leftover(), None);
}

#[test]
fn whatever_comes_next_an_end_that_is_due_is_told() {
    let beat = json!({"type": "Heartbeat", "total_audio_received_ms": 9});
    for next in [
        quiet(),
        beat,
        turn(2, 2000, "so"),
        raw(2, 2000, "so"),
        turn(1, 900, "well"),
    ] {
        let messages = [raw(0, 0, "hi there"), formatted(1, 900, "Well."), next];
        let told = told(socket(true), &messages);
        assert_eq!(told[1..3], ["hi there 0-350", "Well. 900-1050"]);
    }
}

#[test]
fn what_is_left_when_the_socket_is_gone_is_told_and_only_once() {
    let mut socket = socket(true);
    hear(&mut *socket, &raw(0, 0, "hi there"));
    let end = r#"{"type":"Termination","audio_duration_seconds":1}"#;
    assert!(matches!(socket.hear(end), Ok(Heard::Final(_))));
    assert_eq!(shown(&socket.leftover().unwrap()), "hi there 0-350");
    assert_eq!(socket.leftover(), None);
}

#[test]
fn a_guess_is_no_leftover_for_its_sound_is_sent_again() {
    assert_eq!(told(socket(true), &[turn(0, 0, "hi")]), ["~hi 0-150"]);
}

#[test]
fn a_copy_that_comes_late_or_again_is_not_told() {
    let messages = [
        raw(0, 0, "hi there"),
        turn(1, 900, "well"),
        formatted(0, 0, "Hi there."),
        formatted(1, 900, "Well."),
        formatted(1, 900, "Well."),
        raw(1, 900, "well"),
        turn(1, 900, "well"),
        turn(0, 0, "hi"),
    ];
    let expected = ["~hi there 0-350", "hi there 0-350", "Well. 900-1050"];
    assert_eq!(told(socket(true), &messages), expected);
}

#[test]
fn a_turn_that_is_rewritten_and_moves_replaces_itself() {
    // As models write that format as they go: the flag is set all along.
    let partial = |start, text: &str| {
        let mut turn = formatted(4, start, text);
        turn["end_of_turn"] = json!(false);
        turn
    };
    let messages = [
        partial(4480, "My name was Rupert."),
        partial(5488, "My name was Rupert Pennaise. I"),
        formatted(4, 5488, "My name was Rupert Pennaise."),
    ];
    let expected = [
        "~My name was Rupert. 4480-5230",
        "~My name was Rupert Pennaise. I 5488-6638",
        "My name was Rupert Pennaise. 5488-6438",
    ];
    assert_eq!(told(socket(false), &messages), expected);
    assert_eq!(told(socket(true), &messages), expected);
}

#[test]
fn a_word_that_may_still_change_is_in_the_guess() {
    let mut guess = turn(0, 1000, "hi my");
    guess["transcript"] = json!("hi");
    guess["words"][1]["word_is_final"] = json!(false);
    assert_eq!(told(socket(true), &[guess]), ["~hi my 1000-1350"]);
}

#[test]
fn a_turn_without_words_is_not_told() {
    let mut empty = formatted(0, 0, "");
    let mut blank = turn(1, 0, "");
    blank["transcript"] = json!("  ");
    assert_eq!(told(socket(true), &[empty.clone(), blank]), [""; 0]);
    // An empty copy does not undo what was heard.
    let messages = [raw(0, 0, "hi there"), empty.clone()];
    assert_eq!(told(socket(true), &messages)[1..], ["hi there 0-350"]);
    // Words without a transcript are words all the same.
    empty["words"] = json!([{"text": "Yes.", "start": 10, "end": 20}]);
    assert_eq!(told(socket(true), &[empty]), ["Yes. 10-20"]);
}

#[test]
fn odd_parts_do_not_lose_the_words() {
    for (field, value) in [
        ("turn_order", json!(null)),
        ("turn_order", json!("first")),
        ("turn_order", json!("0")),
        ("turn_order", json!(-1)),
        ("turn_is_formatted", json!("yes")),
        ("end_of_turn_confidence", json!({})),
        ("utterance", json!([])),
        ("language_code", json!(7)),
        ("words", json!("hi")),
        ("words", json!([7])),
        ("words", json!([{"text": "Hi.", "start": "0", "end": null}])),
        (
            "words",
            json!([{"text": "Hi.", "start": 900, "end": 100.4}]),
        ),
    ] {
        let mut turn = formatted(0, 0, "Hi.");
        turn[field] = value.clone();
        let told = told(socket(true), &[turn]);
        assert!(
            told.len() == 1 && told[0].starts_with("Hi. "),
            "{field} {value}: {told:?}"
        );
    }
    // Without numbers each end is a turn of its own.
    let mut nameless = formatted(0, 0, "Hi.");
    nameless["turn_order"] = json!(null);
    assert_eq!(told(socket(true), &[nameless.clone(), nameless]).len(), 2);
}

#[test]
fn a_turn_without_times_stands_behind_the_one_before() {
    let mut timeless = formatted(1, 0, "Well.");
    timeless["words"] = json!([]);
    let messages = [formatted(0, 700, "Hi."), timeless];
    assert_eq!(
        told(socket(true), &messages),
        ["Hi. 700-850", "Well. 850-850"]
    );
}

#[test]
fn words_are_told_one_by_one_if_the_start_asked_for_them() {
    let options = StreamOptions {
        detailed_token: true,
        ..options()
    };
    let mut socket = service(&config()).dialect(&spec(options));
    let text = formatted(0, 100, "¿Qué? I'm No. 5, … [NAME]").to_string();
    let Ok(Heard::Transcript(utterance)) = socket.hear(&text) else {
        panic!("a transcript")
    };
    let tokens = utterance.alternatives[0].tokens.iter().map(|token| {
        let before = token.punctuation_before.as_deref().unwrap_or("");
        let after = token.punctuation_after.as_deref().unwrap_or("");
        let (start, end) = (token.start.as_millis(), token.end.as_millis());
        format!("{before}|{}|{after} {start}-{end}", token.content.reveal())
    });
    let expected = [
        "¿|Qué|? 100-250",
        "|I'm| 300-450",
        "|No|. 500-650",
        "|5|, 700-850",
        "|…| 900-1050",
        "|[NAME]| 1100-1250",
    ];
    assert_eq!(tokens.collect::<Vec<_>>(), expected);
    assert!(!format!("{utterance:?}").contains("NAME"));
}

/// What a service may say of a turn, in the order of its turns.
#[derive(Clone, Debug)]
struct Spoken {
    guesses: usize,
    raw: bool,
    formatted: bool,
    /// Something else is said behind it.
    quiet: bool,
}

fn spoken() -> impl Strategy<Value = Spoken> {
    let ends = prop_oneof![Just((true, true)), Just((true, false)), Just((false, true))];
    (0usize..3, ends, any::<bool>()).prop_map(|(guesses, (raw, formatted), quiet)| Spoken {
        guesses,
        raw,
        formatted,
        quiet,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Every turn is told as final once, in order, in its best copy.
    #[test]
    fn no_turn_is_lost_and_none_told_twice(
        turns in prop::collection::vec(spoken(), 0..12),
        partials in any::<bool>(),
    ) {
        let mut messages = Vec::new();
        let mut expected = Vec::new();
        for (index, spoken) in turns.iter().enumerate() {
            let (order, start) = (index as u64, index as u64 * 1000);
            let rough = format!("turn {index}");
            let fine = format!("Turn {index}.");
            messages.extend((0..spoken.guesses).map(|_| turn(order, start, &rough)));
            messages.extend(spoken.raw.then(|| raw(order, start, &rough)));
            messages.extend(spoken.formatted.then(|| formatted(order, start, &fine)));
            messages.extend(spoken.quiet.then(quiet));
            let best = if spoken.formatted { fine } else { rough };
            expected.push(format!("{best} {start}-{}", start + 350));
        }
        let mut config = config();
        config.partials = partials;
        let socket = service(&config).dialect(&spec(options()));
        let told = told(socket, &messages);
        prop_assert!(partials || told.iter().all(|one| !one.starts_with('~')));
        let finals: Vec<_> = told.into_iter().filter(|one| !one.starts_with('~')).collect();
        prop_assert_eq!(finals, expected);
    }

    #[test]
    fn no_text_is_too_much(text in "(?s).{0,300}") {
        fuzz(text.as_bytes());
    }

    #[test]
    fn no_mutation_of_messages_is_too_much(
        which in prop::collection::vec(0usize..8, 1..6),
        at in any::<prop::sample::Index>(),
        piece in r#"[\[\]{}",:0-9a-zé-]{0,6}"#,
    ) {
        let messages = [
            r#"{"type":"Begin","expires_at":1,"configuration":{"model":"m","redact_pii":true}}"#,
            concat!(
                r#"{"type":"Turn","turn_order":0,"turn_is_formatted":false,"end_of_turn":true,"#,
                r#""transcript":"a","words":[{"text":"a","start":1e300,"end":2}]}"#,
            ),
            concat!(
                r#"{"type":"Turn","turn_order":0,"turn_is_formatted":true,"end_of_turn":true,"#,
                r#""transcript":"A."}"#,
            ),
            concat!(
                r#"{"type":"Turn","turn_order":1,"end_of_turn":false,"transcript":"","#,
                r#""words":[{"text":"b","word_is_final":false}]}"#,
            ),
            r#"{"type":"Heartbeat","total_audio_received_ms":18446744073709551615}"#,
            r#"{"type":"Termination","audio_duration_seconds":1e300}"#,
            r#"{"type":"Error","error_code":70000,"error":"x"}"#,
            r#"{"error":"x"}"#,
        ];
        let mut text = which.iter().map(|&index| messages[index]).collect::<Vec<_>>().join("\n");
        let at = at.index(text.len());
        text.replace_range(at..at + 1, &piece);
        fuzz(text.as_bytes());
    }
}
