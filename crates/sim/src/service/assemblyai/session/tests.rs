//! Messages in, answers out, without a socket.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::caller::ulaw;
use crate::service::record::{Recorded, Records};
use crate::service::settings::Settings;
use crate::speech::Script;

const FORMATTED: &str = "sample_rate=8000&format_turns=true&include_partial_turns=false";

struct World {
    session: AssemblyAiSession,
    records: Arc<Records>,
    now: Instant,
}

fn world_with(query: &str, rules: Rules, settings: &Settings) -> World {
    let now = Instant::now();
    let (ear, records) = Ear::alone(settings);
    let query = url::form_urlencoded::parse(query.as_bytes());
    let opened = Opened {
        parameters: Parameters::read(&query.into_owned().collect::<Vec<_>>()),
        rules,
        duration_max: rules.duration_max,
        expires_at: 1_745_483_367,
        version: "2025-05-12".to_owned(),
    };
    World {
        session: AssemblyAiSession::new(ear, opened, now),
        records,
        now,
    }
}

fn deaf(query: &str, rules: Rules) -> World {
    let settings = Settings {
        lexicon: None,
        ..Settings::default()
    };
    world_with(query, rules, &settings)
}

fn hearing(query: &str) -> World {
    world_with(query, Rules::default(), &Settings::default())
}

impl World {
    fn open(&mut self) -> Vec<Value> {
        shown(self.session.open(self.now))
    }

    fn say(&mut self, message: &Value) -> Vec<Value> {
        shown(self.session.text(self.now, &message.to_string()))
    }

    /// Plays L16 in messages of 100 ms, as fast as the clock.
    fn play(&mut self, bytes: &[u8], per_message: usize) -> Vec<Value> {
        let mut all = Vec::new();
        for message in bytes.chunks(per_message) {
            self.now += Duration::from_millis(100);
            let mut message = message.to_vec();
            message.resize(per_message, 0);
            all.extend(shown(self.session.binary(self.now, &message)));
        }
        all
    }

    fn record(&self) -> Recorded {
        self.records.streams().remove(0)
    }
}

fn shown(answers: Vec<Answer>) -> Vec<Value> {
    let show = |answer| match answer {
        Answer::Close(code, _) => json!(code),
        Answer::Final(_, text) | Answer::Text(text) | Answer::Transcript(text) => {
            serde_json::from_str(&text).unwrap()
        }
    };
    answers.into_iter().map(show).collect()
}

fn spoken(id: &str) -> Vec<u8> {
    let phrase = Script::standard().phrase(id).unwrap();
    let mut bytes: Vec<u8> = phrase
        .samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    // With the pause that ends it.
    bytes.resize(bytes.len() + 8000, 0);
    bytes
}

fn kinds(messages: &[Value]) -> Vec<String> {
    let kind = |message: &Value| match message["type"].as_str() {
        Some("Turn") => {
            let ends = if message["end_of_turn"] == true {
                "end"
            } else {
                "partial"
            };
            let formatted = match &message["turn_is_formatted"] {
                Value::Bool(true) => " formatted",
                Value::Bool(false) => " raw",
                _ => "",
            };
            format!("{ends} {}{formatted}", message["turn_order"])
        }
        Some(kind) => kind.to_owned(),
        None => message.to_string(),
    };
    messages.iter().map(kind).collect()
}

#[test]
fn a_session_begins_with_its_id_its_end_and_its_model() {
    let mut world = deaf(
        "sample_rate=8000&speech_model=u3-rt-pro&typo=1",
        Rules::default(),
    );
    let begin = world.open().remove(0);
    assert_eq!(
        (&begin["type"], &begin["id"]),
        (&json!("Begin"), &json!("stream-1"))
    );
    assert_eq!(begin["expires_at"], 1_745_483_367);
    assert_eq!(begin["configuration"]["model"], "u3-rt-pro");
    assert_eq!(begin["configuration"]["api_version"], "2025-05-12");
    assert_eq!(world.record().unknown_parameters, ["typo"]);
}

#[test]
fn a_turn_ends_raw_and_then_formatted_with_the_same_number() {
    let mut world = hearing(FORMATTED);
    world.open();
    let silence = world.play(&[0; 8000], 1600);
    assert!(silence.is_empty());
    let turns = world.play(&spoken("customer-greeting"), 1600);
    assert_eq!(kinds(&turns), ["end 0 raw", "end 0 formatted"]);
    let phrase = Script::standard().phrase("customer-greeting").unwrap();
    assert_eq!(turns[0]["transcript"], *phrase.spoken);
    assert_eq!(turns[1]["transcript"], *phrase.text);
    assert_eq!(turns[1]["utterance"], *phrase.text);
    let words = turns[1]["words"].as_array().unwrap();
    assert_eq!(words.len(), phrase.text.split_whitespace().count());
    let start = words[0]["start"].as_u64().unwrap();
    assert!(start.abs_diff(500) <= 20, "it begins at {start} ms");
    assert!(words.iter().all(|word| word["word_is_final"] == true));
    let again = world.play(&spoken("customer-goodbye"), 1600);
    assert_eq!(kinds(&again), ["end 1 raw", "end 1 formatted"]);
    let record = world.record();
    assert_eq!(record.heard(), ["customer-greeting", "customer-goodbye"]);
    assert_eq!(record.texts()[0], &*phrase.text);
    assert_eq!(record.role(), Some(crate::speech::Role::Customer));
    assert!(record.complaints.is_empty(), "{:?}", record.complaints);
}

#[test]
fn mu_law_is_heard_as_well_as_linear_sound() {
    let mut world = hearing("sample_rate=8000&encoding=pcm_mulaw&include_partial_turns=false");
    world.open();
    let linear = spoken("agent-greeting");
    let samples: Vec<i16> = linear
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    let turns = world.play(&ulaw::encode_all(&samples), 800);
    assert_eq!(kinds(&turns), ["end 0 raw"]);
    let record = world.record();
    assert_eq!(record.heard(), ["agent-greeting"]);
    assert_eq!(record.audio_samples, record.audio_bytes);
    assert_eq!(record.samples[..samples.len()], samples);
}

#[test]
fn what_is_not_final_yet_says_so_and_never_has_more_words_than_the_end() {
    let mut world = hearing("sample_rate=8000");
    world.open();
    let turns = world.play(&spoken("customer-account"), 1600);
    assert_eq!(
        kinds(&turns),
        ["partial 0 raw", "partial 0 raw", "end 0 raw"]
    );
    let words = |turn: &Value| turn["words"].as_array().unwrap().clone();
    let end = words(&turns[2]);
    for partial in &turns[..2] {
        let (newest, settled) = words(partial)
            .split_last()
            .map(|(a, b)| (a.clone(), b.to_vec()))
            .unwrap();
        assert_eq!(settled, end[..settled.len()]);
        assert_eq!(newest["word_is_final"], false);
        let transcript = partial["transcript"].as_str().unwrap();
        assert_eq!(transcript.split_whitespace().count(), settled.len());
    }
}

#[test]
fn a_model_that_always_formats_tells_each_turn_once_and_when_somebody_speaks() {
    let mut world = hearing("sample_rate=8000&speech_model=u3-rt-pro&include_partial_turns=false");
    world.open();
    let turns = world.play(&spoken("customer-greeting"), 1600);
    assert_eq!(kinds(&turns), ["SpeechStarted", "end 0 formatted"]);
    assert!(turns[0]["timestamp"].as_u64().unwrap() < 500);
}

#[test]
fn without_the_flag_there_is_one_copy() {
    let mut world = hearing(FORMATTED);
    world.open();
    world.session.go_wrong(Lapses {
        unflagged: true,
        bytes_off: 0,
    });
    let turns = world.play(&spoken("customer-greeting"), 1600);
    assert_eq!(kinds(&turns), ["end 0"]);
    let text = &*Script::standard().phrase("customer-greeting").unwrap().text;
    assert_eq!(turns[0]["transcript"], text);
}

#[test]
fn a_forced_endpoint_ends_the_turn_and_what_follows_is_another() {
    let mut world = hearing(FORMATTED);
    world.open();
    let mut sound = spoken("customer-greeting");
    // The last of it is heard, the pause behind it is not.
    sound.truncate(sound.len() - 7000);
    assert!(world.play(&sound, 1600).is_empty());
    let turns = world.say(&json!({"type": "ForceEndpoint"}));
    assert_eq!(kinds(&turns), ["end 0 raw", "end 0 formatted"]);
    assert!(world.say(&json!({"type": "ForceEndpoint"})).is_empty());
    world.play(&[0; 8000], 1600);
    let turns = world.play(&spoken("customer-goodbye"), 1600);
    assert_eq!(kinds(&turns), ["end 1 raw", "end 1 formatted"]);
    assert_eq!(
        world.record().heard(),
        ["customer-greeting", "customer-goodbye"]
    );
}

#[test]
fn an_update_counts_from_the_next_turn_on() {
    let mut world = hearing("sample_rate=8000&include_partial_turns=false");
    world.open();
    let update = json!({"keyterms_prompt": ["Jon"], "format_turns": true, "rate": 1,
        "type": "UpdateConfiguration"});
    assert!(world.say(&update).is_empty());
    let turns = world.play(&spoken("customer-greeting"), 1600);
    assert_eq!(kinds(&turns), ["end 0 raw", "end 0 formatted"]);
    let record = world.record();
    assert_eq!(record.vocabulary, [json!("Jon")]);
    assert_eq!(record.complaints, ["rate cannot be updated"]);
    let bad = json!({"type": "UpdateConfiguration", "format_turns": 1});
    assert_eq!(kinds(&world.say(&bad)), ["Error", "3006"]);
}

#[test]
fn termination_sums_up_what_came_and_what_came_late_is_counted() {
    let mut world = deaf(FORMATTED, Rules::default());
    world.open();
    world.play(&[0; 16_000 * 3], 1600);
    let answers = world.say(&json!({"type": "Terminate"}));
    let termination = json!({"type": "Termination", "audio_duration_seconds": 3,
        "session_duration_seconds": 3});
    assert_eq!(answers, [termination, json!(1000)]);
    assert!(world.play(&[0; 1600], 1600).is_empty());
    assert!(world.say(&json!({"type": "Terminate"})).is_empty());
    let record = world.record();
    assert_eq!((record.audio_bytes, record.late_bytes), (48_000, 1600));
    assert!(record.finished_at.is_some());
    assert_eq!(world.session.deadline(), None);
}

#[test]
fn a_message_of_sound_is_from_50_to_1000_ms_long() {
    for (bytes, ms) in [
        (400, "25.0"),
        (798, "49.875"),
        (16_002, "1000.125"),
        (0, "0.0"),
    ] {
        let mut world = deaf(FORMATTED, Rules::default());
        world.open();
        let answers = shown(world.session.binary(world.now, &vec![0; bytes]));
        let error = format!(
            "Input Duration Error: Input Duration Violation: {ms} ms. Expected between 50 and \
             1000 ms"
        );
        assert_eq!(
            answers[0],
            json!({"type": "Error", "error_code": 3007, "error": error})
        );
        assert_eq!(answers[1], 3007);
        assert_eq!(world.record().audio_bytes, 0);
    }
    for bytes in [800, 16_000] {
        let mut world = deaf(FORMATTED, Rules::default());
        assert!(world.session.binary(world.now, &vec![0; bytes]).is_empty());
    }
}

#[test]
fn sound_that_comes_too_fast_ends_the_session() {
    let rules = Rules {
        rate_max_percent: 125,
        burst: Duration::from_secs(2),
        ..Rules::default()
    };
    let mut world = deaf(FORMATTED, rules);
    world.open();
    // At 1.2 times the clock for a minute all is well.
    for _ in 0..600 {
        world.now += Duration::from_millis(84);
        assert!(world.session.binary(world.now, &[0; 1600]).is_empty());
    }
    let mut answers = Vec::new();
    while answers.is_empty() {
        answers = shown(world.session.binary(world.now, &[0; 16_000]));
    }
    let error = answers[0]["error"].as_str().unwrap();
    assert!(
        error.starts_with("Audio Transmission Rate Exceeded: Received"),
        "{error}"
    );
    assert_eq!(answers[1], 3007);
}

#[test]
fn a_session_ends_when_its_time_is_over_or_nothing_comes() {
    let mut world = deaf("sample_rate=8000&inactivity_timeout=5", Rules::default());
    world.open();
    let five = Duration::from_secs(5);
    assert_eq!(world.session.deadline(), Some(world.now + five));
    world.now += five / 2;
    assert!(world.say(&json!({"type": "KeepAlive"})).is_empty());
    assert!(shown(world.session.tick(world.now + five / 2)).is_empty());
    let ended = shown(world.session.tick(world.now + five));
    assert_eq!(kinds(&ended), ["Error", "3006"]);

    let rules = Rules {
        duration_max: five,
        ..Rules::default()
    };
    let mut world = deaf(FORMATTED, rules);
    world.open();
    assert_eq!(world.session.deadline(), Some(world.now + five));
    let ended = shown(world.session.tick(world.now + five));
    assert_eq!(
        ended[0]["error"],
        "Session Expired: Maximum session duration exceeded"
    );
    assert_eq!(ended[1], 3008);
}

#[test]
fn heartbeats_come_to_who_asks_and_can_be_wrong() {
    let mut world = deaf("sample_rate=8000&session_heartbeat=TRUE", Rules::default());
    world.open();
    world.play(&[0; 16_000 * 4], 1600);
    world.now = world.session.deadline().unwrap();
    let beat = shown(world.session.tick(world.now)).remove(0);
    assert_eq!(
        (&beat["type"], &beat["total_audio_received_ms"]),
        (&json!("Heartbeat"), &json!(4000))
    );
    assert_eq!(beat["total_duration_ms"], 5000);
    world.session.go_wrong(Lapses {
        bytes_off: -3200,
        unflagged: false,
    });
    world.now = world.session.deadline().unwrap();
    let beat = shown(world.session.tick(world.now)).remove(0);
    assert_eq!(beat["total_audio_received_ms"], 3800);
    world.say(&json!({"type": "UpdateConfiguration", "session_heartbeat": false}));
    assert!(world.session.deadline().unwrap() > world.now + Duration::from_secs(60));
}

#[test]
fn what_is_not_a_message_ends_the_session_and_says_why() {
    for (text, why) in [
        ("?", "Invalid JSON: "),
        ("[]", "Invalid Message: not an object"),
        ("{}", "Invalid Message: no type"),
        ("{\"type\":\"Finalize\"}", "Invalid Message Type: Finalize"),
    ] {
        let mut world = deaf(FORMATTED, Rules::default());
        world.open();
        let answers = shown(world.session.text(world.now, text));
        assert_eq!(
            (&answers[0]["error_code"], &answers[1]),
            (&json!(3006), &json!(3006))
        );
        let error = answers[0]["error"].as_str().unwrap();
        assert!(error.starts_with(why), "{error}");
    }
}

#[test]
fn a_session_with_a_bad_parameter_never_begins() {
    let mut world = deaf("sample_rate=8000&encoding=pcm_alaw", Rules::default());
    let answers = world.open();
    assert_eq!(kinds(&answers), ["Error", "3006"]);
    assert!(!world.session.has_begun());
    assert_eq!(world.record().complaints.len(), 1);
}

#[test]
fn a_secret_that_is_said_can_be_redacted() {
    let mut world = hearing("sample_rate=8000&redact_pii=true&include_partial_turns=false");
    world.open();
    let turns = world.play(&spoken("customer-card"), 1600);
    assert_eq!(turns[0]["transcript"], "#### #### #### ####.");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_comes_it_ends_at_most_once_and_counts_every_byte(
        messages in proptest::collection::vec(
            prop_oneof![
                Just(Ok(1600_usize)),
                (0_usize..20_000).prop_map(Ok),
                "[{}\"a-zA-Z:, ]{0,20}".prop_map(Err),
                Just(Err("{\"type\":\"KeepAlive\"}".to_owned())),
                Just(Err("{\"type\":\"ForceEndpoint\"}".to_owned())),
                Just(Err("{\"type\":\"Terminate\"}".to_owned())),
            ],
            0..20,
        ),
    ) {
        let mut world = deaf(FORMATTED, Rules::default());
        world.open();
        let (mut ends, mut sent) = (0, 0);
        for message in messages {
            world.now += Duration::from_millis(100);
            let answers = match message {
                Ok(bytes) => {
                    sent += bytes as u64;
                    world.session.binary(world.now, &vec![0; bytes])
                }
                Err(text) => world.session.text(world.now, &text),
            };
            let closes = |answer: &&Answer| matches!(answer, Answer::Close(..));
            ends += answers.iter().filter(closes).count();
            let record = world.record();
            // Only the message that ended it is in neither sum.
            prop_assert!(record.audio_bytes + record.late_bytes <= sent);
            prop_assert!(sent - record.audio_bytes - record.late_bytes <= 20_000);
            prop_assert!(ends <= 1);
        }
    }
}
