use std::collections::BTreeSet;

use call::private::Private;
use proptest::prelude::*;

use super::*;
use crate::parameters::Kind;

fn bad(name: &str, text: &str) -> String {
    read_parameters([(name, text)]).unwrap_err().to_string()
}

#[test]
fn every_parameter_is_read_as_it_is_named() {
    let pairs = [
        ("agent_context", "What is your order number?"),
        ("continuous_partials", "true"),
        ("customer_support_audio_capture", "false"),
        ("domain", "medical-v1"),
        ("end_of_turn_confidence_threshold", "0.4"),
        ("filter_profanity", "true"),
        ("format_turns", "false"),
        ("formatted_finals", "true"),
        ("inactivity_timeout", "60"),
        ("include_partial_turns", "true"),
        ("interruption_delay", "500"),
        ("keyterms_prompt", r#"["IEEE"]"#),
        ("language_codes", r#"["en","es"]"#),
        ("language_detection", "true"),
        ("max_speakers", "2"),
        ("max_turn_silence", "1280"),
        ("min_turn_silence", "400"),
        ("mode", "max_accuracy"),
        ("previous_context_n_turns", "5"),
        ("prompt", "A call about an order."),
        ("redact_pii", "true"),
        (
            "redact_pii_policies",
            r#"["credit_card_number","credit_card_cvv"]"#,
        ),
        ("redact_pii_sub", "hash"),
        ("session_heartbeat", "true"),
        ("speaker_labels", "false"),
        ("speech_model", "universal-3-5-pro"),
        ("turn_left_pad_ms", "200"),
        ("vad_threshold", "0.3"),
        ("voice_focus", "near-field"),
        ("voice_focus_threshold", "0.7"),
        ("webhook_auth_header_name", "X-Key"),
        ("webhook_auth_header_value", "swordfish"),
        ("webhook_url", "https://example.com/turns"),
        ("word_finalization_max_wait_time", "160"),
    ];
    let parameters = read_parameters(pairs).unwrap();
    let told = parameters.pairs(PARAMETERS.lists);
    let told: Vec<_> = told.iter().map(|(name, text)| (*name, &**text)).collect();
    assert_eq!(told, pairs);
    // Whatever the table has beside these cannot be set, or is another name for one of them.
    let named: BTreeSet<_> = pairs.iter().map(|(name, _)| *name).collect();
    for row in PARAMETERS.rows {
        let is_set = !matches!(row.kind, Kind::Refused(_) | Kind::Renamed(_));
        assert_eq!(is_set, named.contains(row.name), "{}", row.name);
    }
    assert!(PARAMETERS.rows.is_sorted_by_key(|row| row.name));
    assert!(!format!("{parameters:?}").contains("swordfish"));
}

#[test]
fn a_slip_of_the_pen_is_named_with_what_was_meant() {
    let told = bad("min_turn_silense", "400");
    assert!(
        told.contains("min_turn_silense is no parameter of assemblyai"),
        "{told}"
    );
    assert!(told.contains("min_turn_silence"), "{told}");
    assert!(bad("keyterm_prompt", "[]").contains("keyterms_prompt"));
    assert!(bad("speechModel", "whisper-rt").contains("speech_model"));
}

#[test]
fn what_is_out_of_range_is_refused_without_repeating_it() {
    for (name, text) in [
        ("format_turns", "maybe"),
        ("end_of_turn_confidence_threshold", "1.1"),
        ("end_of_turn_confidence_threshold", "NaN"),
        ("vad_threshold", "-0.1"),
        ("inactivity_timeout", "4"),
        ("inactivity_timeout", "3601"),
        ("max_speakers", "0"),
        ("max_speakers", "11"),
        ("min_turn_silence", "4.5"),
        ("speech_model", "u3-pro"),
        ("speech_model", "universal-streaming-englsh"),
        ("mode", "fast"),
        ("voice_focus", "mid-field"),
        ("redact_pii_sub", "stars"),
        ("redact_pii_policies", r#"["credit_card_nubmer"]"#),
        ("language_codes", r#"["xx"]"#),
        ("language_codes", r#"["en","multi"]"#),
        ("keyterms_prompt", r#"{"a":1}"#),
        ("domain", "legal"),
    ] {
        let told = bad(name, text);
        assert!(told.starts_with(&format!("{name} must be ")), "{told}");
    }
    let term = "hunter2 ".repeat(7);
    assert!(!bad("keyterms_prompt", &term).contains("hunter2"));
    let many = serde_json::to_string(&vec!["x"; 101]).unwrap();
    assert!(bad("keyterms_prompt", &many).contains("at most 100"));
    assert!(!bad("prompt", &"hunter2".repeat(1000)).contains("hunter2"));
}

#[test]
fn an_old_name_is_read_as_the_new_one() {
    let parameters = read_parameters([
        ("min_end_of_turn_silence_when_confident", "400"),
        ("noise_suppression_model", "far-field"),
        ("noise_suppression_threshold", "0.5"),
        ("language_code", "es"),
    ]);
    let told = parameters.unwrap().pairs(PARAMETERS.lists);
    let told: Vec<_> = told.iter().map(|(name, text)| (*name, &**text)).collect();
    let expected = [
        ("min_turn_silence", "400"),
        ("voice_focus", "far-field"),
        ("voice_focus_threshold", "0.5"),
        ("language_codes", r#"["es"]"#),
    ];
    assert_eq!(told, expected);
    let both = read_parameters([
        ("min_turn_silence", "300"),
        ("min_end_of_turn_silence_when_confident", "400"),
    ]);
    let told = both.unwrap_err().to_string();
    assert!(told.contains("is given twice"), "{told}");
}

#[test]
fn what_is_ours_to_say_is_refused_with_the_reason() {
    for (name, why) in [
        ("sample_rate", "8000"),
        ("encoding", "`encoding`"),
        ("token", "`auth`"),
        ("language", "language_codes"),
        ("llm_gateway", "language model"),
    ] {
        let told = bad(name, "x");
        assert!(told.starts_with(name) && told.contains(why), "{told}");
    }
}

#[test]
fn a_wish_is_checked_as_a_configuration_is() {
    let service = service(&config());
    let wished = |name: &str, text: &str| service.check(&wish(None, &[(name, text)]));
    assert_eq!(wished("min_turn_silence", "400"), Ok(()));
    assert_eq!(wished("keyterms_prompt", "IEEE"), Ok(()));
    assert_eq!(
        wished("min_turn_silense", "400").unwrap_err().name,
        "min_turn_silense"
    );
    assert_eq!(
        wished("format_turns", "1").unwrap_err().name,
        "format_turns"
    );
}

/// What is documented is what there is.
#[test]
fn the_documentation_has_every_parameter_as_it_is() {
    let text = include_str!("../../../../../docs/assemblyai.md");
    let (_, text) = text.split_once("\n## Parameters\n").unwrap();
    let lines = text.lines();
    let documented: Vec<_> = lines
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split_once("` | "))
        .collect();
    for row in PARAMETERS.rows {
        let wants = match row.kind {
            Kind::List {
                of: Kind::OneOf(words),
                items_max,
            } => format!(
                "a list of at most {items_max} of {} words, see below",
                words.len()
            ),
            Kind::Refused(why) => why.to_owned(),
            Kind::Renamed(name) => format!("the old name of `{name}`"),
            kind => kind.wants(),
        };
        let found = documented.iter().find(|(name, _)| *name == row.name);
        let (_, rest) = found.unwrap_or_else(|| panic!("{} is not documented", row.name));
        assert!(rest.starts_with(&wants), "{}: {wants}", row.name);
        if let Kind::List {
            of: Kind::OneOf(words),
            ..
        } = row.kind
        {
            for word in *words {
                assert!(text.contains(&format!("`{word}`")), "{word}");
            }
        }
    }
}

proptest! {
    #[test]
    fn no_parameter_is_too_much(
        lines in prop::collection::vec(
            (
                prop_oneof![
                    prop::sample::select(
                        PARAMETERS.rows.iter().map(|row| row.name.to_owned()).collect::<Vec<_>>(),
                    ),
                    ".{0,80}",
                ],
                prop_oneof![
                    Just("true".to_owned()),
                    Just(r#"["en"]"#.to_owned()),
                    "[0-9]{1,5}",
                    "[0-9.eE+-]{0,8}",
                    r#"[\[\]{}",a-z é\\]{0,12}"#,
                ],
            ),
            0..6,
        ),
    ) {
        let lines: Vec<_> = lines.iter().map(|(name, text)| format!("{name}={text}")).collect();
        fuzz_parameters(lines.join("\n").as_bytes());
    }

    /// A stream gets an address whatever it wishes for, or is told why not.
    #[test]
    fn every_wish_that_is_granted_makes_an_address(
        phrases in prop::collection::vec(".{0,60}", 0..120),
        prompt in ".{0,40}",
        language in "[a-z]{2}-[A-Z]{2}",
    ) {
        let mut spec = spec(StreamOptions { language, ..options() });
        spec.wish = wish(None, &[("prompt", &prompt)]);
        let vocabulary = phrases.into_iter().map(|phrase| call::start::Phrase {
            phrase: Private::new(phrase),
            sounds_like: Vec::new(),
            category: None,
        });
        Arc::get_mut(&mut spec.options).unwrap().vocabulary = vocabulary.collect();
        let service = service(&config());
        let located = futures_util::FutureExt::now_or_never(service.locate(&spec)).unwrap();
        match located {
            Ok(located) => {
                let length = located.request.uri().to_string().len();
                prop_assert!(length < 8 << 10, "{length}");
            }
            Err(error) => prop_assert_eq!(error.retry, Retry::Session),
        }
    }
}
