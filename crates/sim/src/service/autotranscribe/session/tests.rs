//! Messages in, answers out, without a socket.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::hearing::Lexicon;
use crate::service::autotranscribe::start::RedactionOutput;
use crate::service::record::{Recorded, Records};
use crate::service::settings::Settings;
use crate::speech::{Role, Script};

struct World {
    session: AutoTranscribeSession,
    records: Arc<Records>,
    now: Instant,
}

fn world_with(change: impl FnOnce(&mut Rules, &mut Settings)) -> World {
    let now = Instant::now();
    let (mut rules, mut settings) = (Rules::default(), Settings::default());
    settings.lexicon = None;
    change(&mut rules, &mut settings);
    let (ear, records) = Ear::alone(&settings);
    World {
        session: AutoTranscribeSession::new(ear, rules, now),
        records,
        now,
    }
}

fn world() -> World {
    world_with(|_, _| {})
}

fn started() -> World {
    let mut world = world();
    world.start(json!({}));
    world
}

impl World {
    fn say(&mut self, message: &Value) -> Vec<Value> {
        shown(self.session.text(self.now, &message.to_string()))
    }

    fn start(&mut self, more: Value) -> Vec<Value> {
        self.say(&start(more))
    }

    fn record(&self) -> Recorded {
        self.records.streams().remove(0)
    }
}

fn start(more: Value) -> Value {
    let sender = json!({ "role": "customer", "externalId": "JD232442" });
    let mut message = json!({ "message": "startStream", "sender": sender });
    message
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    message
}

fn shown(answers: Vec<Answer>) -> Vec<Value> {
    answers
        .into_iter()
        .map(|answer| match answer {
            Answer::Close(code, _) => {
                assert_eq!(code, 1000);
                json!("close")
            }
            Answer::Final(_, text) | Answer::Text(text) | Answer::Transcript(text) => {
                serde_json::from_str(&text).unwrap()
            }
        })
        .collect()
}

fn code(answers: &[Value]) -> &str {
    assert_eq!(answers[0]["message"], "finalResponse", "{answers:?}");
    assert_eq!(answers[1], "close");
    answers[0]["status"]["code"].as_str().unwrap()
}

#[test]
fn a_stream_starts_as_documented_and_ends_with_a_summary() {
    let mut world = world();
    let status = json!({ "code": "1000", "description": "OK" });
    let answers = world.start(json!({}));
    assert_eq!(
        answers,
        [json!({ "message": "startResponse", "streamID": "stream-1", "status": status })]
    );
    for _ in 0..10 {
        assert!(world.session.binary(world.now, &[0; 1600]).is_empty());
    }
    world.now += Duration::from_millis(1001);
    let answers = world.say(&json!({ "message": "finishStream" }));
    let summary = json!({
        "totalAudioBytes": 16000, "audioDurationMs": 1000, "streamingSeconds": 2, "transcripts": 0,
    });
    let last = json!({
        "message": "finalResponse", "streamId": "stream-1", "status": status, "summary": summary,
    });
    assert_eq!(answers, [last, json!("close")]);
    let record = world.record();
    assert_eq!((record.audio_bytes, record.messages), (16000, 10));
    assert!(record.complaints.is_empty() && record.finished_at.is_some());
}

#[test]
fn defaults_are_those_of_the_guide() {
    let expected = StartStream {
        role: Role::Customer,
        sender: "JD232442".to_owned(),
        language: "en-US".to_owned(),
        smart_formatting: true,
        detailed_token: false,
        audio_recording_allowed: false,
        redaction: RedactionOutput::Redacted,
    };
    assert_eq!(started().record().start, Some(expected));
}

#[test]
fn what_a_start_may_not_ask_is_refused_with_its_code() {
    let cases = [
        (json!({ "sender": null }), "4040"),
        (
            json!({ "sender": { "role": "supervisor", "externalId": "1" } }),
            "4040",
        ),
        (json!({ "sender": { "role": "agent" } }), "4040"),
        (
            json!({ "sender": { "role": "agent", "externalId": "" } }),
            "4040",
        ),
        (
            json!({ "sender": { "role": "agent", "externalId": 7 } }),
            "4040",
        ),
        (json!({ "smartFormatting": "true" }), "4040"),
        (json!({ "redactionOutput": "some" }), "4040"),
        (json!({ "samplingRate": "8000" }), "4040"),
        (json!({ "language": "de-DE" }), "4050"),
        (json!({ "encoding": "PCMU" }), "4051"),
        (json!({ "samplingRate": 16000 }), "4053"),
        (json!({ "smartFormatting": false }), "4092"),
        (
            json!({ "smartFormatting": false, "redactionOutput": "redacted_and_unredacted" }),
            "4092",
        ),
        (json!({ "detailedToken": true }), "4093"),
        (
            json!({ "detailedToken": true, "redactionOutput": "redacted_and_unredacted" }),
            "4093",
        ),
    ];
    for (more, expected) in cases {
        let mut world = world();
        let answers = world.start(more.clone());
        assert_eq!(code(&answers), expected, "{more}");
        assert!(world.record().complaints[0].starts_with(expected));
        assert!(
            world.session.binary(world.now, &[0; 320]).is_empty(),
            "audio is dropped"
        );
        assert_eq!(world.record().audio_bytes, 0);
    }
}

#[test]
fn what_a_start_may_ask_is_granted() {
    for more in [
        json!({ "language": "es-US", "samplingRate": 8000, "encoding": "L16" }),
        json!({ "audioRecordingAllowed": true, "smartFormatting": true }),
        json!({ "smartFormatting": false, "redactionOutput": "unredacted" }),
        json!({ "detailedToken": true, "redactionOutput": "unredacted" }),
        json!({ "redactionOutput": "redacted_and_unredacted" }),
    ] {
        let mut world = world();
        assert_eq!(world.start(more)[0]["message"], "startResponse");
        assert!(world.record().complaints.is_empty());
    }
}

#[test]
fn where_everything_is_redacted_nothing_else_is_granted() {
    for redaction in ["unredacted", "redacted_and_unredacted"] {
        let mut world = world_with(|rules, _| rules.always_redact = true);
        assert_eq!(
            code(&world.start(json!({ "redactionOutput": redaction }))),
            "4094"
        );
    }
    let mut world = world_with(|rules, _| rules.always_redact = true);
    assert_eq!(world.start(json!({}))[0]["message"], "startResponse");
}

#[test]
fn a_field_nobody_knows_is_ignored_but_noted() {
    let mut world = world();
    assert_eq!(
        world.start(json!({ "detailedTokens": true }))[0]["message"],
        "startResponse"
    );
    assert_eq!(
        world.record().complaints,
        ["startStream has an unknown field \"detailedTokens\""]
    );
}

#[test]
fn messages_out_of_order_end_the_stream_with_4056() {
    for early in [
        json!({ "message": "finishStream" }),
        json!({ "message": "updateVocabulary", "phrases": [] }),
    ] {
        assert_eq!(code(&world().say(&early)), "4056");
    }
    let mut early = world();
    assert_eq!(
        code(&shown(early.session.binary(early.now, &[0; 320]))),
        "4056"
    );
    assert_eq!(code(&started().start(json!({}))), "4056");
    for late in [
        "{\"message\":\"updateVocabulary\",\"phrases\":[]}",
        "{\"message\":\"finishStream\"}",
        "?",
    ] {
        let mut world = started();
        world.say(&json!({ "message": "finishStream" }));
        assert_eq!(code(&shown(world.session.text(world.now, late))), "4056");
    }
}

#[test]
fn audio_after_the_end_is_dropped_and_counted() {
    let mut world = started();
    world.say(&json!({ "message": "finishStream" }));
    assert!(world.session.binary(world.now, &[0; 320]).is_empty());
    assert_eq!(
        (world.record().audio_bytes, world.record().late_bytes),
        (0, 320)
    );
}

#[test]
fn what_is_not_a_message_ends_the_stream_with_4040() {
    for text in [
        "",
        "hello",
        "[]",
        "7",
        "{}",
        "{\"message\":7}",
        "{\"message\":\"stopStream\"}",
        "{\"message\"",
    ] {
        let mut world = started();
        assert_eq!(
            code(&shown(world.session.text(world.now, text))),
            "4040",
            "{text}"
        );
    }
}

#[test]
fn silence_for_a_minute_ends_the_stream_and_so_do_three_hours() {
    let mut world = started();
    let minute = Duration::from_secs(60);
    assert_eq!(world.session.deadline(), Some(world.now + minute));
    assert!(
        world
            .session
            .tick(world.now + minute - Duration::from_millis(1))
            .is_empty()
    );
    assert_eq!(code(&shown(world.session.tick(world.now + minute))), "4083");
    assert_eq!(world.session.deadline(), None);

    let mut world = started();
    let begun = world.now;
    while world.now < begun + Duration::from_secs(3 * 3600) {
        assert!(world.session.tick(world.now).is_empty());
        world.session.binary(world.now, &[0; 2]);
        world.now += minute / 2;
    }
    assert_eq!(code(&shown(world.session.tick(world.now))), "4090");
}

#[test]
fn a_vocabulary_is_additive_and_judged() {
    let phrases = json!([
        { "phrase": "IEEE", "category": "company", "soundsLike": ["I triple E"] },
        { "phrase": "717 N Shoreline Blvd", "category": "address" },
    ]);
    let mut world = started();
    for count in [2, 4] {
        let answers = world.say(&json!({ "message": "updateVocabulary", "phrases": phrases }));
        assert_eq!(answers[0]["message"], "vocabularyResponse");
        assert_eq!(answers[0]["status"]["code"], "1000");
        assert_eq!(world.record().vocabulary.len(), count);
    }
    let long = "x".repeat(101);
    for (phrases, expected) in [
        (json!(null), "4091"),
        (json!([{ "phrase": "" }]), "4091"),
        (json!(["IEEE"]), "4091"),
        (json!([{ "phrase": "a", "category": "colour" }]), "4091"),
        (json!([{ "phrase": "a", "soundsLike": "b" }]), "4091"),
        (json!([{ "phrase": "a", "soundsLike": [1] }]), "4091"),
        (json!([{ "phrase": long }]), "4084"),
        (json!(vec![json!({ "phrase": "a" }); 1001]), "4084"),
    ] {
        let message = json!({ "message": "updateVocabulary", "phrases": phrases });
        assert_eq!(code(&started().say(&message)), expected, "{message}");

        let mut lenient = world_with(|rules, _| rules.vocabulary_refusal_ends = false);
        lenient.start(json!({}));
        let answers = lenient.say(&message);
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0]["status"]["code"], expected);
    }
}

fn heard(more: Value, phrase: &str) -> Value {
    let lexicon = Arc::new(Lexicon::new(Script::standard().phrases()).unwrap());
    let mut world = world_with(|_, settings| settings.lexicon = Some(lexicon));
    world.start(more);
    let phrase = Script::standard().phrase(phrase).unwrap();
    let bytes: Vec<u8> = phrase
        .samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    // Odd pieces: a sample may be cut in two.
    for piece in bytes.chunks(1601) {
        assert!(world.session.binary(world.now, piece).is_empty());
    }
    let mut answers = world.say(&json!({ "message": "finishStream" }));
    assert_eq!(answers.len(), 3);
    assert_eq!(answers[1]["summary"]["transcripts"], 1);
    assert_eq!(world.record().heard(), [&*phrase.id]);
    answers.remove(0)
}

#[test]
fn an_utterance_is_written_as_the_stream_wants_it() {
    let card = "customer-card";
    let text = |answer: &Value| {
        answer["utterance"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["text"].clone())
            .collect()
    };
    let texts = |more| -> Vec<Value> { text(&heard(more, card)) };
    assert_eq!(texts(json!({})), ["#### #### #### ####."]);
    assert_eq!(
        texts(json!({ "redactionOutput": "unredacted" })),
        ["4111 1111 1111 1111."]
    );
    let both = texts(json!({ "redactionOutput": "redacted_and_unredacted" }));
    assert_eq!(both, ["#### #### #### ####.", "4111 1111 1111 1111."]);
    let plain = texts(json!({ "redactionOutput": "unredacted", "smartFormatting": false }));
    assert!(plain[0].as_str().unwrap().starts_with("four one one one"));
}

#[test]
fn tokens_cover_the_utterance_in_order() {
    let answer = heard(
        json!({ "detailedToken": true, "redactionOutput": "unredacted" }),
        "customer-goodbye",
    );
    let tokens = answer["utterance"][0]["token"].as_array().unwrap();
    assert_eq!(
        tokens[0],
        json!({ "content": "No", "start": 0, "end": tokens[0]["end"], "punctuationAfter": "," })
    );
    assert_eq!(tokens.last().unwrap()["content"], "goodbye");
    let ends: Vec<_> = tokens
        .iter()
        .map(|token| token["end"].as_u64().unwrap())
        .collect();
    assert!(ends.is_sorted() && *ends.last().unwrap() <= answer["end"].as_u64().unwrap());
}

#[test]
fn the_other_partys_phrase_is_nonsense_to_the_client_but_known_to_the_record() {
    let answer = heard(json!({}), "agent-paid");
    assert_eq!(answer["utterance"], json!([{ "text": "???" }]));
}

proptest! {
    #[test]
    fn whatever_is_said_a_stream_ends_once_and_never_breaks(
        said in prop::collection::vec((0..6_u8, ".{0,40}"), 0..20),
    ) {
        let mut world = world();
        let mut finals = 0;
        for (kind, noise) in said {
            let answers = match kind {
                0 => world.session.binary(world.now, noise.as_bytes()),
                1 => world.session.text(world.now, &noise),
                2 => world.session.text(world.now, "{\"message\":\"finishStream\"}"),
                3 => {
                    let message = json!({ "message": "updateVocabulary", "phrases": [noise] });
                    world.session.text(world.now, &message.to_string())
                }
                4 => world.session.tick(world.now + Duration::from_secs(61)),
                _ => world.session.text(world.now, &start(json!({})).to_string()),
            };
            let failed = |answer: &&Answer| matches!(answer, Answer::Final(1001.., _));
            finals += answers.iter().filter(failed).count();
        }
        prop_assert!(finals <= 1);
    }
}

#[test]
fn remarks_come_as_often_as_asked_for() {
    let mut world = world_with(|rules, _| rules.remark_every = Duration::from_secs(1));
    world.start(json!({}));
    let second = vec![0; 16_000];
    let told: Vec<_> = second
        .chunks(1600)
        .flat_map(|chunk| world.session.binary(world.now, chunk))
        .collect();
    let [Answer::Transcript(told)] = &told[..] else {
        panic!("{told:?}")
    };
    let told: Value = serde_json::from_str(told).unwrap();
    assert_eq!((&told["start"], &told["end"]), (&json!(0), &json!(1000)));
}
