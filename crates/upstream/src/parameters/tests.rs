use proptest::prelude::*;

use super::*;

const WORD: Kind = Kind::Text { chars_max: 8 };

const TABLE: Table = Table {
    service: "probe",
    lists: Lists::Repeated,
    rows: &[
        Row {
            name: "endpointing",
            kind: Kind::Either(&[Kind::OneOf(&["false"]), Kind::Whole { min: 10, max: 5000 }]),
        },
        Row {
            name: "format",
            kind: Kind::Flag,
        },
        Row {
            name: "keyterm",
            kind: Kind::List {
                of: &WORD,
                items_max: 3,
            },
        },
        Row {
            name: "model",
            kind: Kind::OneOf(&["large", "small"]),
        },
        Row {
            name: "sample_rate",
            kind: Kind::Refused("is 8000"),
        },
        Row {
            name: "threshold",
            kind: Kind::Fraction { min: 0.0, max: 1.0 },
        },
    ],
};

fn pairs_of(given: &[(&str, &str)]) -> Vec<(&'static str, String)> {
    TABLE
        .read(given.iter().copied())
        .unwrap()
        .pairs(Lists::Repeated)
}

fn refusal(name: &str, text: &str) -> String {
    TABLE.read([(name, text)]).unwrap_err().to_string()
}

fn wish(service: Option<&str>, parameters: &[(&str, &str)]) -> Wish {
    let own = |&(name, value): &(&str, &str)| (name.into(), Private::new(value.to_owned()));
    Wish {
        service: service.map(Into::into),
        parameters: parameters.iter().map(own).collect(),
    }
}

#[test]
fn a_value_is_json_or_a_bare_word() {
    let given = [
        ("endpointing", "300"),
        ("format", "true"),
        ("keyterm", r#"["a b",7,true]"#),
        ("model", "\"large\""),
        ("threshold", " 0.50 "),
    ];
    let expected = [
        ("endpointing", "300"),
        ("format", "true"),
        ("keyterm", "a b"),
        ("keyterm", "7"),
        ("keyterm", "true"),
        ("model", "large"),
        ("threshold", "0.50"),
    ];
    assert_eq!(
        pairs_of(&given),
        expected.map(|(name, text)| (name, text.to_owned()))
    );
}

#[test]
fn blanks_of_any_kind_around_json_are_no_part_of_it() {
    let given = [("model", "\u{b}\r\"small\"\u{a0}")];
    assert_eq!(pairs_of(&given), [("model", "small".to_owned())]);
}

#[test]
fn a_single_value_is_a_list_of_one() {
    assert_eq!(
        pairs_of(&[("keyterm", "hello")]),
        [("keyterm", "hello".to_owned())]
    );
}

#[test]
fn a_list_is_written_as_its_service_wants_it() {
    let parameters = TABLE.read([("keyterm", r#"["a","\"b\""]"#)]).unwrap();
    assert_eq!(
        parameters.pairs(Lists::Json),
        [("keyterm", r#"["a","\"b\""]"#.to_owned())]
    );
    assert_eq!(parameters.pairs(Lists::Repeated).len(), 2);
}

#[test]
fn a_typo_is_refused_with_the_name_that_is_nearest() {
    assert_eq!(
        refusal("keyterms", "a"),
        "keyterms is no parameter of probe; the nearest is keyterm"
    );
    assert_eq!(
        refusal("endpoint", "a"),
        "endpoint is no parameter of probe; the nearest is endpointing"
    );
}

#[test]
fn a_refusal_says_what_would_do_and_never_the_value() {
    let cases = [
        (
            "endpointing",
            "true",
            "endpointing must be false, or a whole number from 10 to 5000",
        ),
        (
            "endpointing",
            "9",
            "endpointing must be false, or a whole number from 10 to 5000",
        ),
        ("format", "True", "format must be true or false"),
        (
            "keyterm",
            r#"["hunter2hunter2"]"#,
            "keyterm must be at most 3 of: text of at most 8 characters",
        ),
        (
            "keyterm",
            r#"["a","b","c","d"]"#,
            "keyterm must be at most 3 of: text of at most 8 characters",
        ),
        ("model", "hunter2", "model must be one of large, small"),
        ("model", "[\"large\"]", "model must be one of large, small"),
        ("sample_rate", "16000", "sample_rate is 8000"),
        ("threshold", "1.1", "threshold must be a number from 0 to 1"),
        ("threshold", "NaN", "threshold must be a number from 0 to 1"),
        (
            "threshold",
            "null",
            "threshold must be a number from 0 to 1",
        ),
    ];
    for (name, text, expected) in cases {
        assert_eq!(refusal(name, text), expected, "{text}");
    }
}

#[test]
fn a_name_that_is_given_twice_is_refused() {
    let twice = TABLE.read([("format", "true"), ("format", "false")]);
    assert_eq!(twice.unwrap_err().to_string(), "format is given twice");
}

#[test]
fn a_name_from_outside_is_cut_before_it_is_shown() {
    let long = format!("a\nb{}", "c".repeat(10_000));
    let refusal = refusal(&long, "1");
    assert!(
        refusal.starts_with("abccc") && refusal.len() < 200,
        "{refusal}"
    );
}

#[test]
fn a_wish_goes_over_the_configuration() {
    let configured = TABLE
        .read([("format", "true"), ("threshold", "0.2")])
        .unwrap();
    let wished = TABLE.wished(&wish(None, &[("format", "false")]));
    assert_eq!(
        wished.over(configured).pairs(Lists::Repeated),
        [
            ("format", "false".to_owned()),
            ("threshold", "0.2".to_owned())
        ]
    );
}

#[test]
fn what_was_wished_of_another_service_is_left_out() {
    let wished = TABLE.wished(&wish(Some("other"), &[("format", "false")]));
    assert_eq!(wished, Parameters::default());
    // Nobody said whose they are: what is known here counts.
    let wished = TABLE.wished(&wish(None, &[("speed", "9"), ("format", "false")]));
    assert_eq!(
        wished.pairs(Lists::Repeated),
        [("format", "false".to_owned())]
    );
}

#[test]
fn a_wish_is_checked_before_a_call_suffers_from_it() {
    assert_eq!(TABLE.check(&wish(None, &[("format", "true")])), Ok(()));
    let refused = TABLE.check(&wish(Some("probe"), &[("format", "1")]));
    assert_eq!(refused.unwrap_err().name, "format");
}

#[test]
fn values_are_added_once() {
    let mut parameters = TABLE.read([("keyterm", "a")]).unwrap();
    parameters.add("keyterm", ["b".to_owned(), "a".to_owned()]);
    parameters.add("model", []);
    assert_eq!(parameters.count("keyterm"), 2);
    assert!(!parameters.has("model"));
}

#[test]
fn nothing_that_is_logged_shows_a_value() {
    let parameters = TABLE.read([("keyterm", "hunter2")]).unwrap();
    assert!(!format!("{parameters:?}").contains("hunter2"));
}

proptest! {
    #[test]
    fn whatever_is_given_is_taken_or_refused(
        name in prop_oneof![
            "[a-z_]{0,12}",
            Just("endpointing".to_owned()),
            Just("keyterm".to_owned()),
            Just("threshold".to_owned()),
        ],
        text in ".{0,40}",
    ) {
        match TABLE.read([(name.as_str(), text.as_str())]) {
            Ok(parameters) => {
                for (known, value) in parameters.pairs(Lists::Repeated) {
                    prop_assert_eq!(known, name.as_str());
                    prop_assert!(!value.is_empty());
                    prop_assert!(!value.chars().any(char::is_control));
                    // What was taken is taken again.
                    let again = serde_json::to_string(&value).unwrap();
                    prop_assert!(TABLE.read([(known, again.as_str())]).is_ok());
                }
            }
            Err(refusal) => prop_assert!(refusal.to_string().len() < 300),
        }
    }
}
