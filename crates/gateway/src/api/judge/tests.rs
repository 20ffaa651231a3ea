use call::name::{Guid, Side};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::body::understand;
use super::*;

fn judged(body: &Value) -> Result<Start, ApiError> {
    let request = understand::<StartRequest>(body.to_string().as_bytes(), 16)?;
    start(request.body, &[], || "id".to_owned())
}

fn with(extra: Value) -> Value {
    let mut body = json!({
        "namespace": "twilio", "guid": "CA1", "customerId": "c", "agentId": "a"
    });
    for (name, value) in extra.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn refused(extra: Value) -> (&'static str, String) {
    let error = judged(&with(extra.clone())).expect_err(&extra.to_string());
    (error.code.as_str(), error.message.into_owned())
}

#[test]
fn a_start_has_the_contracts_defaults() {
    let start = judged(&with(json!({}))).unwrap();
    assert_eq!(
        (start.first.role, start.second.role),
        (Role::Customer, Role::Agent)
    );
    assert_eq!(start.first.sender.reveal(), "c");
    assert_eq!(start.second.sender.reveal(), "a");
    assert_eq!(*start.first.options, StreamOptions::default());
    assert_eq!(start.side(Side::First).call.to_string(), "twilio/CA1");
    assert_eq!(&*start.side(Side::Second).external, "CA1");
}

#[test]
fn a_siprec_guid_is_understood_in_each_spelling_and_told_on_as_it_was_written() {
    let start = judged(&with(
        json!({"namespace": "siprec", "guid": "0001183F5093914D"}),
    ));
    let start = start.unwrap();
    assert_eq!(start.first.call.to_string(), "siprec/00001062071351848269");
    assert_eq!(&*start.first.external, "0001183F5093914D");
}

fn each_is_refused<const N: usize>(code: &str, cases: [(Value, &str); N]) {
    for (extra, message) in cases {
        let (refused_code, refused_message) = refused(extra);
        assert_eq!(refused_code, code, "{refused_message}");
        assert!(refused_message.starts_with(message), "{refused_message}");
    }
}

#[test]
fn a_message_names_the_place_and_what_is_wrong_there() {
    let siprec = json!({"siprecParams": {"mediaLineOrder": "X"}});
    let integer = "$.guid: invalid type: integer `7`, expected a string";
    let cases = [
        (
            json!({"namespace": "skype"}),
            "$.namespace: unknown variant `skype`",
        ),
        (
            json!({"namespace": {"twilio": null}}),
            "$.namespace: invalid type: map",
        ),
        (json!({"guid": ""}), "$.guid: is empty"),
        (json!({"guid": 7}), integer),
        (
            json!({"guid": "a b"}),
            "$.guid: has a character that is not visible ASCII",
        ),
        (
            json!({"customerId": ""}),
            "$.customerId: must have 1 to 256 characters",
        ),
        (
            json!({"agentId": null}),
            "$.agentId: invalid type: null, expected a string",
        ),
        (
            json!({"autotranscribeParams": []}),
            "$.autotranscribeParams: invalid type: seq",
        ),
        (siprec, "$.siprecParams.mediaLineOrder: unknown variant `X`"),
        (
            json!({"twilioParams": null}),
            "$.twilioParams: invalid type: null",
        ),
    ];
    each_is_refused("400-201", cases);
}

#[test]
fn a_wrong_value_in_autotranscribe_params_has_its_own_code() {
    let params = |params: Value| json!({ "autotranscribeParams": params });
    let string = "$.autotranscribeParams.detailedToken: invalid type: string \"yes\", expected a";
    let null = "$.autotranscribeParams.language: invalid type: null";
    let german = "$.autotranscribeParams.language: must be en-US or es-US";
    let all = "$.autotranscribeParams.redactionOutput: unknown variant `all`";
    let cases = [
        (params(json!({"detailedToken": "yes"})), string),
        (params(json!({"language": null})), null),
        (params(json!({"language": "de-DE"})), german),
        (params(json!({"redactionOutput": "all"})), all),
    ];
    each_is_refused("400-202", cases);
}

#[test]
fn a_missing_member_is_named() {
    for missing in ["namespace", "guid", "customerId", "agentId"] {
        let mut body = with(json!({}));
        body.as_object_mut().unwrap().remove(missing);
        let error = judged(&body).unwrap_err();
        assert_eq!(error.code.as_str(), "400-201");
        assert_eq!(error.message, format!("$: missing field `{missing}`"));
    }
    assert_eq!(
        judged(&json!(["twilio", "CA1", "c", "a"]))
            .unwrap_err()
            .code
            .as_str(),
        "400-201"
    );
}

#[test]
fn languages_are_taken_in_any_case() {
    for (given, meant) in [("en-us", "en-US"), ("ES-us", "es-US")] {
        let start = judged(&with(json!({"autotranscribeParams": {"language": given}}))).unwrap();
        assert_eq!(start.first.options.language, meant);
    }
}

#[test]
fn detailed_tokens_need_unredacted_said_aloud() {
    for redaction in ["redacted", "redacted_and_unredacted"] {
        let params = json!({"detailedToken": true, "redactionOutput": redaction});
        assert_eq!(
            refused(json!({"autotranscribeParams": params})).0,
            "400-202"
        );
    }
    let (code, message) = refused(json!({"autotranscribeParams": {"detailedToken": true}}));
    assert_eq!(code, "400-202");
    assert!(message.contains("set it to \"unredacted\""), "{message}");
    let params = json!({"detailedToken": true, "redactionOutput": "unredacted"});
    let start = judged(&with(json!({"autotranscribeParams": params}))).unwrap();
    assert!(start.first.options.detailed_token);
    assert_eq!(start.first.options.redaction, Redaction::Unredacted);
    for redaction in Redaction::ALL {
        let params = json!({"redactionOutput": redaction.as_str()});
        let start = judged(&with(json!({"autotranscribeParams": params}))).unwrap();
        assert_eq!(start.first.options.redaction, redaction);
    }
}

#[test]
fn who_speaks_on_which_side_follows_the_platforms_own_parameters() {
    let first = |extra| judged(&with(extra)).unwrap().first.role;
    let swapped = json!({"trackMap": {"inbound": "agent", "outbound": "customer"}});
    assert_eq!(first(json!({"twilioParams": swapped})), Role::Agent);
    let siprec = json!({"namespace": "siprec", "twilioParams": swapped});
    assert_eq!(
        first(siprec),
        Role::Customer,
        "another platform's parameters have no say"
    );
    let order = json!({"mediaLineOrder": "AGENT_FIRST"});
    assert_eq!(
        first(json!({"namespace": "siprec", "siprecParams": order})),
        Role::Agent
    );
    assert_eq!(
        first(json!({"namespace": "genesysaudiohook"})),
        Role::Customer
    );
    let is_ordered = |extra| judged(&with(extra)).unwrap().is_ordered;
    assert!(is_ordered(json!({})));
    assert!(is_ordered(
        json!({"namespace": "siprec", "siprecParams": order})
    ));
    assert!(!is_ordered(
        json!({"namespace": "siprec", "siprecParams": {}})
    ));
    let (code, message) = refused(json!({"twilioParams": {"trackMap": {"inbound": "agent"}}}));
    assert_eq!(code, "400-201");
    assert!(
        message.starts_with("$.twilioParams.trackMap: maps both"),
        "{message}"
    );
}

#[test]
fn a_fragment_number_is_mandatory_when_it_is_announced() {
    let amazon = |params| json!({"namespace": "amazonconnect", "amazonConnectParams": params});
    let fragment = json!({"startSelectorType": "FRAGMENT_NUMBER"});
    assert_eq!(refused(amazon(fragment)).0, "400-201");
    let letters = json!({"startSelectorType": "NOW", "afterFragmentNumber": "12a"});
    assert_eq!(refused(amazon(letters)).0, "400-201");
    let good = json!({"startSelectorType": "FRAGMENT_NUMBER", "afterFragmentNumber": "12"});
    judged(&with(amazon(good))).unwrap();
    judged(&with(amazon(json!({"startSelectorType": "NOW"})))).unwrap();
}

#[test]
fn a_vocabulary_has_limits() {
    let vocabulary = |entries: Value| json!({"autotranscribeParams": {"vocabulary": entries}});
    let entry = json!({"phrase": "IEEE", "soundsLike": ["i triple e"], "category": "company"});
    let start = judged(&with(vocabulary(json!([entry])))).unwrap();
    let phrase = &start.first.options.vocabulary[0];
    assert_eq!(phrase.phrase.reveal(), "IEEE");
    assert_eq!(phrase.sounds_like[0].reveal(), "i triple e");
    assert_eq!(phrase.category.as_deref(), Some("company"));
    for bad in [
        json!([{"phrase": "x".repeat(41)}]),
        json!([{"phrase": ""}]),
        json!([{"phrase": "a", "soundsLike": vec!["b"; 6]}]),
        json!([{"phrase": "a", "soundsLike": [""]}]),
        json!([{"phrase": "a", "category": "animal"}]),
        json!([["a", []]]),
        json!(vec![json!({"phrase": "a"}); 201]),
        json!(null),
    ] {
        assert_eq!(refused(vocabulary(bad)).0, "400-202");
    }
    judged(&with(vocabulary(json!(vec![
        json!({"phrase": "ñ".repeat(40)});
        200
    ]))))
    .unwrap();
}

#[test]
fn the_configurations_phrases_come_first_and_count() {
    let phrase = Phrase {
        phrase: "first".to_owned().into(),
        sounds_like: vec![],
        category: None,
    };
    let entry = |text: &str| VocabularyEntry {
        phrase: text.to_owned(),
        sounds_like: vec![],
        category: None,
    };
    let all = vocabulary(vec![entry("second")], std::slice::from_ref(&phrase)).unwrap();
    let texts: Vec<_> = all
        .iter()
        .map(|phrase| phrase.phrase.reveal().as_str())
        .collect();
    assert_eq!(texts, ["first", "second"]);
    let error = vocabulary(vec![entry("x")], &vec![phrase; PHRASES_MAX]).unwrap_err();
    assert!(
        error.message.contains("the configuration 200"),
        "{}",
        error.message
    );
}

#[test]
fn members_that_are_not_known_are_tolerated_and_counted() {
    let body = with(json!({"x": {"y": [1]}, "autotranscribeParams": {"smartFormatting": true}}));
    let request = understand::<StartRequest>(body.to_string().as_bytes(), 16).unwrap();
    assert_eq!(request.unknown_fields, 2);
}

#[test]
fn a_start_may_wish_for_a_service_and_its_parameters() {
    let start = judged(&with(
        json!({"antiphon": {"service": "assemblyai", "parameters": {
            "max_turn_silence": 1280, "format_turns": true, "prompt": "300", "vad_threshold": 0.4,
            "keyterms_prompt": ["IEEE"],
        }}}),
    ))
    .unwrap();
    assert_eq!(start.first.wish, start.second.wish);
    assert_eq!(start.first.wish.service.as_deref(), Some("assemblyai"));
    let parameters = start.first.wish.parameters.iter();
    let told: Vec<_> = parameters
        .map(|(name, value)| (&**name, value.reveal().as_str()))
        .collect();
    let expected = [
        ("format_turns", "true"),
        ("keyterms_prompt", r#"["IEEE"]"#),
        ("max_turn_silence", "1280"),
        ("prompt", r#""300""#),
        ("vad_threshold", "0.4"),
    ];
    assert_eq!(told, expected);
    assert!(judged(&with(json!({}))).unwrap().first.wish.is_empty());
}

#[test]
fn a_wish_that_cannot_be_read_is_refused_with_its_place() {
    let wish = |wish: Value| json!({ "antiphon": wish });
    let parameters = |parameters: Value| wish(json!({ "parameters": parameters }));
    let many: serde_json::Map<_, _> = (0..=Wish::PARAMETERS_MAX)
        .map(|number| (format!("p{number}"), json!(1)))
        .collect();
    let long = "x".repeat(Wish::VALUE_BYTES_MAX);
    let names = "names must have 1 to 64 letters, digits, dots, dashes or underscores";
    let (service, parameter) = (
        format!("$.antiphon.service: {names}"),
        format!("$.antiphon.parameters: {names}"),
    );
    let cases = [
        (wish(json!(7)), "$.antiphon: invalid type: integer"),
        (wish(json!(null)), "$.antiphon: invalid type: null"),
        (
            wish(json!({"service": null})),
            "$.antiphon.service: invalid type: null",
        ),
        (wish(json!({"service": "two words"})), &service),
        (
            parameters(json!([])),
            "$.antiphon.parameters: invalid type: sequence",
        ),
        (parameters(json!({"a b": 1})), &parameter),
        (
            parameters(json!(many)),
            "$.antiphon.parameters: may have 64 members at most",
        ),
        (
            parameters(json!({"prompt": long})),
            "$.antiphon.parameters.prompt: is longer than 8192 bytes",
        ),
    ];
    each_is_refused("400-201", cases);
}

#[test]
fn a_wish_that_cannot_be_had_is_refused_with_its_place() {
    let start = judged(&with(json!({}))).unwrap();
    let refused = |name: &str| {
        let bad = |role, _: &Wish| match role {
            Role::Agent => Err(BadParameter {
                name: name.to_owned(),
                what: "is wrong".to_owned(),
            }),
            _ => Ok(()),
        };
        let error = fulfillable(&start, bad).unwrap_err();
        (error.code.as_str(), error.message.into_owned())
    };
    let service = "$.antiphon.service: is wrong".to_owned();
    assert_eq!(refused("service"), ("400-201", service));
    let parameter = "$.antiphon.parameters.mode: is wrong".to_owned();
    assert_eq!(refused("mode"), ("400-201", parameter));
    fulfillable(&start, |_, _| Ok(())).unwrap();
}

proptest! {
    #[test]
    fn no_body_is_too_strange(body in any::<Vec<u8>>()) {
        let _answer = understand::<StartRequest>(&body, 16);
    }

    #[test]
    fn every_start_that_is_taken_has_two_roles_and_valid_names(
        guid in "[ -~]{0,3}", namespace in "(siprec|twilio|amazonconnect|genesysaudiohook|x)",
        customer in ".{0,3}", inbound in "(agent|customer|x)", detailed in any::<bool>(),
    ) {
        let body = with(json!({
            "namespace": namespace, "guid": guid, "customerId": customer,
            "twilioParams": {"trackMap": {"inbound": inbound, "outbound": "agent"}},
            "autotranscribeParams": {"detailedToken": detailed},
        }));
        if let Ok(start) = judged(&body) {
            prop_assert_ne!(start.first.role, start.second.role);
            prop_assert!(inbound == "customer" && !detailed && namespace != "x");
            prop_assert!(Guid::parse(&guid).is_ok() && !customer.is_empty());
        }
    }
}
