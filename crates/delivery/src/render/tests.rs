use std::time::Duration;

use call::name::{Guid, Namespace, StreamId};
use call::transcript::{Alternative, Token};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const JSON: &str = r#"{"id":"18c-7","at":"2023-11-14T22:13:20.120Z","call":{"namespace":"siprec",
    "guid":"00002542391662063156"},"type":"transcript","streamId":"str-1","isFinal":true,
    "sender":{"role":"customer","externalId":"TT9833237"},"startMs":400,"endMs":3968,
    "alternatives":[{"text":"my PIN number is ####"}]}"#;

fn call(guid: &str) -> CallName {
    CallName {
        namespace: Namespace::Siprec,
        guid: Guid::parse(guid).unwrap(),
    }
}

fn said(call: &CallName, role: Role, texts: &[&str]) -> Utterance {
    let reading = |text: &&str| Alternative {
        text: (*text).to_owned().into(),
        tokens: Vec::new(),
    };
    Utterance {
        call: call.clone(),
        stream: StreamId::new("str-1"),
        role,
        sender: "TT9833237".to_owned().into(),
        alternatives: texts.iter().map(reading).collect(),
        start: Duration::from_millis(400),
        end: Duration::from_millis(3968),
        is_final: true,
    }
}

fn fact<'a>(call: &'a CallName, said: Option<&'a Utterance>) -> Fact<'a> {
    Fact {
        id: "01HF0000000000000000000000",
        seq: 7,
        at_unix_ms: 1_700_000_000_120,
        call,
        external: "00002542391662063156",
        tenant: None,
        kind: if said.is_some() {
            "transcript"
        } else {
            "callStarted"
        },
        role: said.map(|utterance| utterance.role),
        json: if said.is_some() {
            JSON
        } else {
            r#"{"type":"callStarted"}"#
        },
        said,
    }
}

fn body(fact: &Fact<'_>, format: Format) -> String {
    let rendered = fact.render(format).unwrap();
    String::from_utf8(rendered.body.reveal().clone()).unwrap()
}

fn value(fact: &Fact<'_>, format: Format) -> Value {
    serde_json::from_str(&body(fact, format)).unwrap()
}

#[test]
fn asapps_body_is_the_contracts_byte_for_byte() {
    let call = call("00002542391662063156");
    let text = "I need help upgrading my streaming package and my PIN number is ####";
    let said = said(&call, Role::Customer, &[text]);
    let expected = concat!(
        r#"{"type":"transcript","externalConversationId":"00002542391662063156","#,
        r#""streamId":"str-1","sender":{"externalId":"TT9833237","role":"customer"},"#,
        r#""autotranscribeResponse":{"message":"transcript","start":400,"end":3968,"utterance":["#,
        r#"{"text":"I need help upgrading my streaming package and my PIN number is ####"}]}}"#,
    );
    assert_eq!(body(&fact(&call, Some(&said)), Format::Asapp), expected);
}

#[test]
fn asapps_body_has_tokens_and_both_readings_and_knows_two_parties() {
    let call = call("1");
    let mut said = said(&call, Role::Mixed, &["Hi.", "Hi"]);
    said.alternatives[0].tokens = vec![Token {
        content: "Hi".to_owned().into(),
        start: Duration::from_millis(400),
        end: Duration::from_millis(700),
        punctuation_after: Some(".".to_owned()),
        punctuation_before: None,
    }];
    let body = value(&fact(&call, Some(&said)), Format::Asapp);
    assert_eq!(body["sender"]["role"], "customer");
    let token = json!({"content": "Hi", "start": 400, "end": 700, "punctuationAfter": "."});
    let utterance = json!([{"text": "Hi.", "token": [token]}, {"text": "Hi"}]);
    assert_eq!(body["autotranscribeResponse"]["utterance"], utterance);
}

#[test]
fn asapp_has_no_shape_for_other_events() {
    assert!(fact(&call("1"), None).render(Format::Asapp).is_none());
}

#[test]
fn the_envelope_has_type_timestamp_and_data() {
    let call = call("00002542391662063156");
    let said = said(&call, Role::Customer, &["x"]);
    let expected = json!({
        "type": "transcript.final",
        "timestamp": "2023-11-14T22:13:20.120Z",
        "data": {
            "id": "01HF0000000000000000000000",
            "seq": 7,
            "conversation": {"namespace": "siprec", "guid": "00002542391662063156"},
            "streamId": "str-1",
            "isFinal": true,
            "sender": {"role": "customer", "externalId": "TT9833237"},
            "startMs": 400,
            "endMs": 3968,
            "alternatives": [{"text": "my PIN number is ####"}],
        },
    });
    assert_eq!(value(&fact(&call, Some(&said)), Format::Envelope), expected);
    let started = value(&fact(&call, None), Format::Envelope);
    assert_eq!(started["type"], "call.started");
}

#[test]
fn a_cloud_event_has_its_attributes_and_extensions() {
    let call = call("a/b?%\"c");
    let said = said(&call, Role::Agent, &["x"]);
    let event = value(&fact(&call, Some(&said)), Format::CloudEvents);
    let attributes = [
        ("specversion", "1.0"),
        ("id", "msg_01HF0000000000000000000000"),
        ("source", "/antiphon/siprec/a%2Fb%3F%25%22c"),
        ("type", "antiphon.transcript.final.v1"),
        ("subject", "str-1"),
        ("time", "2023-11-14T22:13:20.120Z"),
        ("datacontenttype", "application/json"),
        ("sequence", "00000000000000000007"),
        ("partitionkey", "siprec/a/b?%\"c"),
    ];
    for (name, expected) in attributes {
        assert_eq!(event[name], expected, "{name}");
    }
    assert_eq!(event["data"]["seq"], 7);
    let started = value(&fact(&call, None), Format::CloudEvents);
    assert_eq!(started.get("subject"), None);
}

#[test]
fn a_batch_is_an_array_of_the_events() {
    let events = [b"{\"a\":1}".to_vec().into(), b"{}".to_vec().into()];
    assert_eq!(batch(&events).reveal(), b"[{\"a\":1},{}]");
    assert_eq!(batch(&[]).reveal(), b"[]");
}

#[test]
fn a_filter_is_for_kind_platform_speaker_and_tenant_together() {
    let call = call("1");
    let said = said(&call, Role::Agent, &["x"]);
    let fact = Fact {
        tenant: Some("north"),
        ..fact(&call, Some(&said))
    };
    let all = Filter::default();
    assert!(fact.passes(&all));
    let refusing = [
        Filter {
            kinds: vec!["gap".to_owned()],
            ..all.clone()
        },
        Filter {
            namespaces: vec![Namespace::Twilio],
            ..all.clone()
        },
        Filter {
            roles: vec![Role::Customer],
            ..all.clone()
        },
        Filter {
            tenant: Some("south".to_owned()),
            ..all.clone()
        },
    ];
    for filter in refusing {
        assert!(!fact.passes(&filter), "{filter:?}");
    }
    let passing = Filter {
        namespaces: vec![Namespace::Siprec],
        roles: vec![Role::Agent],
        tenant: Some("north".to_owned()),
        ..all.clone()
    };
    assert!(fact.passes(&passing));
    assert!(
        Fact { role: None, ..fact }.passes(&passing),
        "what is nobody's is everybody's"
    );
    assert!(
        !Fact {
            tenant: None,
            ..fact
        }
        .passes(&passing)
    );
}

#[test]
fn what_may_still_change_is_sent_to_nobody() {
    let call = call("1");
    let partial = Utterance {
        is_final: false,
        ..said(&call, Role::Agent, &["x"])
    };
    assert!(!fact(&call, Some(&partial)).passes(&Filter::default()));
}

#[test]
fn nothing_that_was_said_shows_in_debug() {
    let call = call("1");
    let said = said(&call, Role::Agent, &["geheim"]);
    let shown = format!("{:?}", fact(&call, Some(&said)));
    assert!(!shown.contains("PIN") && !shown.contains("geheim") && !shown.contains("TT98"));
}

#[test]
fn kinds_are_in_order_and_their_types_are_what_standard_webhooks_allows() {
    assert!(KINDS.is_sorted_by_key(|(kind, _)| *kind));
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"_.".contains(&byte);
    assert!(KINDS.iter().all(|(_, dotted)| dotted.bytes().all(is_good)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_format_is_json_whatever_was_said(
        text in "\\PC{0,40}",
        guid in "[!-~]{1,40}",
        told in "\\PC{0,40}",
        seq in any::<u64>(),
        at in any::<u64>(),
    ) {
        let call = call(&guid);
        let said = said(&call, Role::Customer, &[&text]);
        let fact = Fact { seq, at_unix_ms: at, json: &told, ..fact(&call, Some(&said)) };
        for format in Format::ALL {
            let body = fact.render(format).unwrap().body;
            prop_assert!(serde_json::from_slice::<Value>(body.reveal()).is_ok());
        }
        let event = value(&fact, Format::CloudEvents);
        let source = url::Url::parse("https://x").unwrap().join(event["source"].as_str().unwrap());
        prop_assert!(source.is_ok());
    }
}
