//! Every behaviour of a socket that needs no socket: whole conversations, with real legs behind
//! them.

use std::task::{Context, Poll, Waker};

use aws_lc_rs::digest;
use proptest::prelude::*;
use tokio::sync::mpsc;

use call::backlog::{GapReason, Taken};
use call::feed::{ChunkSource, LegControl, LineConfig};
use call::leg::{LegConfig, LegStats};
use call::start::Wish;

use super::*;
use crate::intake::{Arrival, Intake};
use crate::twilio::TwilioConfig;
use crate::twilio::feeds::Feeds;
use crate::twilio::tally::{EventName, GATE_NAMES, Unsupported};

const START: &str = r#"{"event":"start","sequenceNumber":"1","start":{"accountSid":"AC1",
    "streamSid":"MZ1","callSid":"CA1","tracks":["inbound","outbound"],"mediaFormat":{
    "encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{}},
    "streamSid":"MZ1"}"#;
const STOP: &str =
    r#"{"event":"stop","sequenceNumber":"9","streamSid":"MZ1","stop":{"callSid":"CA1"}}"#;
const FRAME: u64 = 160;
const IN: &str = "inbound";
const OUT: &str = "outbound";

/// Side, call and identifiers.
type Leg = (Side, String, Vec<(&'static str, String)>);

/// One socket's session with real legs, and what the gateway sees of them.
struct World {
    session: Session,
    feeds: Feeds,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    now: Instant,
    sequence: u64,
    controls: [Option<LegControl>; 2],
    sources: [Option<ChunkSource>; 2],
    opened: Vec<Leg>,
    wishes: Vec<Wish>,
    endings: Vec<&'static str>,
    keys: String,
    tally: Tally,
}

impl World {
    fn new() -> Self {
        let (intake, arrivals) = Intake::new(LegConfig::default());
        let now = Instant::now();
        Self {
            session: Session::new(now, TwilioConfig::default().session_limits()),
            feeds: Feeds::new(intake),
            arrivals,
            now,
            sequence: 1,
            controls: [None, None],
            sources: [None, None],
            opened: Vec::new(),
            wishes: Vec::new(),
            endings: Vec::new(),
            keys: String::new(),
            tally: Tally::default(),
        }
    }

    fn started() -> Self {
        let mut world = Self::new();
        assert_eq!(world.tell(START), Verdict::Go);
        world
    }

    /// Started, and every gate open from position 0.
    fn open() -> Self {
        let mut world = Self::started();
        world.open_gates();
        world
    }

    fn open_gates(&mut self) {
        for (control, source) in self.controls.iter().zip(&mut self.sources) {
            let line = LineConfig {
                chunk_samples: 800,
                chunks_max: 10_000,
            };
            *source = control
                .as_ref()
                .and_then(|control| control.open(control.clock().now(), line));
        }
    }

    fn tell(&mut self, text: &str) -> Verdict {
        let verdict = self.session.text(self.now, text, &mut self.feeds);
        self.look();
        verdict
    }

    /// Sends a frame whose every sample is the mark's, and settles.
    fn say(&mut self, track: &str, timestamp: u64, mark: u8) {
        self.say_payload(track, timestamp, &payload::encode(&[mark; FRAME as usize]));
    }

    fn say_payload(&mut self, track: &str, timestamp: u64, payload: &str) {
        self.send(track, timestamp, payload);
        self.session.settle(self.now, &mut self.feeds);
    }

    fn send(&mut self, track: &str, timestamp: u64, payload: &str) {
        self.sequence += 1;
        let text = serde_json::json!({
            "event": "media",
            "sequenceNumber": self.sequence.to_string(),
            "media": {
                "track": track,
                "chunk": "1",
                "timestamp": timestamp.to_string(),
                "payload": payload,
            },
            "streamSid": "MZ1",
        });
        assert_eq!(self.tell(&text.to_string()), Verdict::Go);
    }

    fn wait(&mut self, time: Duration) -> Verdict {
        self.now += time;
        let verdict = self.session.tick(self.now, &mut self.feeds);
        self.look();
        verdict
    }

    fn lose(&mut self) {
        self.session.lost(self.now, &mut self.feeds);
        self.look();
    }

    fn look(&mut self) {
        while let Ok(arrival) = self.arrivals.try_recv() {
            match arrival {
                Arrival::Opened(opened) => {
                    self.opened.push((
                        opened.introduction.side,
                        opened.introduction.call.to_string(),
                        opened.introduction.identifiers,
                    ));
                    self.wishes.push(opened.introduction.wish);
                    self.controls[opened.introduction.side as usize] = Some(opened.control);
                }
                Arrival::Ended(_, ending) => self.endings.push(ending.reason),
                Arrival::Pressed(_, pressed) => self.keys.push(pressed.key.into_revealed()),
                Arrival::Granted(_) | Arrival::Learned(_) | Arrival::Refused(..) => {}
            }
        }
        let tally = self.session.take_tally();
        let sum =
            |into: &mut [u64], from: &[u64]| into.iter_mut().zip(from).for_each(|(a, b)| *a += b);
        self.tally.keys += tally.keys;
        self.tally.keys_untold += tally.keys_untold;
        sum(&mut self.tally.messages, &tally.messages);
        sum(&mut self.tally.bad, &tally.bad);
        sum(&mut self.tally.frames, &tally.frames);
        sum(&mut self.tally.ignored, &tally.ignored);
        sum(&mut self.tally.gap_samples, &tally.gap_samples);
        sum(&mut self.tally.unsupported, &tally.unsupported);
        self.tally.sequence_missing += tally.sequence_missing;
        self.tally.sequence_backward += tally.sequence_backward;
        self.tally.clock_restarts += tally.clock_restarts;
        self.tally.untimed += tally.untimed;
        self.tally.unlisted_tracks += tally.unlisted_tracks;
        self.tally.starts_repeated += tally.starts_repeated;
        self.tally.parameters_ignored += tally.parameters_ignored;
    }

    fn stats(&self, side: Side) -> LegStats {
        self.controls[side as usize].as_ref().unwrap().stats()
    }

    /// Ends the stream and hears one side out.
    fn heard(&mut self, side: Side) -> Vec<i16> {
        self.lose();
        let source = self.sources[side as usize].as_mut().unwrap();
        let context = Context::from_waker(Waker::noop());
        let mut heard = Vec::new();
        while let Poll::Ready(Taken::Chunk(chunk)) = source.poll_take(&context) {
            heard.extend(chunk.samples);
        }
        let stats = self.stats(side);
        assert_eq!(
            stats.clock(),
            stats.passed + stats.filled + stats.quiet + stats.skipped + stats.paused + stats.gated
        );
        heard
    }

    fn spelled(&mut self, side: Side) -> String {
        spell(&self.heard(side))
    }
}

fn mark(byte: u8) -> i16 {
    let mut out = Vec::new();
    Codec::Pcmu.decode(&[byte], &mut out);
    out[0]
}

/// One letter a frame: which mark it carries, or `.` for silence.
fn spell(heard: &[i16]) -> String {
    let letter = |frame: &[i16]| match frame[0] {
        0 => '.',
        value => (b'a'..=b'z')
            .find(|&byte| mark(byte) == value)
            .map_or('?', char::from),
    };
    heard.chunks(FRAME as usize).map(letter).collect()
}

fn sha256(samples: &[i16]) -> String {
    let bytes: Vec<u8> = samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    let digest = digest::digest(&digest::SHA256, &bytes);
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[test]
fn what_the_twiml_wishes_for_goes_with_each_leg_and_fails_no_start() {
    let mut world = World::new();
    let parameters = r#"{"antiphon.service":"deepgram","antiphon.model":"nova-3",
        "antiphon.":"nameless","antiphon.empty":"","name":"a private thing"}"#;
    let start = START.replace("{}}", &format!("{parameters}}}"));
    assert_eq!(world.tell(&start), Verdict::Go);
    let [first, second] = &world.wishes[..] else {
        panic!("{:?}", world.wishes)
    };
    assert_eq!(first, second);
    assert_eq!(first.service.as_deref(), Some("deepgram"));
    let [(name, value)] = &first.parameters[..] else {
        panic!("{first:?}")
    };
    assert_eq!((&**name, value.reveal().as_str()), ("model", "nova-3"));
    assert_eq!(world.tally.parameters_ignored, 2);
    let binding = world.session.binding().unwrap();
    assert_eq!(binding.parameters.ignored, ["antiphon.empty"]);
    let mut world = World::new();
    let nonsense = START.replace("\"customParameters\":{}", "\"customParameters\":[7]");
    assert_eq!(world.tell(&nonsense), Verdict::Go);
    assert!(world.wishes.iter().all(Wish::is_empty) && world.wishes.len() == 2);
}

#[test]
fn a_start_opens_a_leg_for_each_track_it_lists_and_names_the_call() {
    let world = World::started();
    let identifiers = vec![
        ("streamSid", "MZ1".to_owned()),
        ("accountSid", "AC1".to_owned()),
    ];
    let leg = |side| (side, "twilio/CA1".to_owned(), identifiers.clone());
    assert_eq!(world.opened, [leg(Side::First), leg(Side::Second)]);
    let mut world = World::new();
    assert_eq!(
        world.tell(r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#),
        Verdict::Go
    );
    assert_eq!(world.tell(&START.replace(r#""inbound","#, "")), Verdict::Go);
    assert_eq!(world.opened, [leg(Side::Second)]);
}

#[test]
fn a_frame_of_twilios_own_capture_is_decoded_to_the_sample() {
    let payload = "6/jk2NbZ3uXj5Oz+bmhiYnD07+XWy8bIzdjg6mpNPzk3Nzc2Njg/UXXl2s7Cu7u+xcnLzdr7aGp\
        98/94++PTztXc3NfV3PRnYGNhXVtfe9vMxcXJzM/X81JAOjY0MjEwMzlDVX3dzsK6tre8wsfK0OxdVFtx/nZw\
        89fMzNLb3NPS3v5kYXZvXl5q3snBvb3BxsrYakY3Ly0sKysrLjZCZA==";
    let mut world = World::open();
    world.say_payload(IN, 52, payload);
    let heard = world.heard(Side::First);
    assert_eq!(heard[..8], [196, 56, 308, 620, 684, 588, 428, 292]);
    assert_eq!(
        sha256(&heard),
        "0afc606c72242feb44524aa234642db32d245e529f8cce5b38fd43d1c411f4b4"
    );
}

#[test]
fn every_mu_law_byte_is_decoded_to_the_sample() {
    let bytes: Vec<u8> = (0..=255).collect();
    let mut world = World::open();
    world.say_payload(OUT, 0, &payload::encode(&bytes));
    let heard = world.heard(Side::Second);
    assert_eq!(
        [heard[0x00], heard[0x80], heard[0x7E], heard[0xFE]],
        [-32124, 32124, -8, 8]
    );
    assert_eq!([heard[0x7F], heard[0xFF]], [0, 0]);
    assert_eq!(
        sha256(&heard),
        "3dab54339e520bb2c924826e3b72a917a2b612e9fd12fc867500f1d983a75827"
    );
}

#[test]
fn a_single_track_has_as_many_samples_as_were_sent() {
    let mut world = World::new();
    assert_eq!(
        world.tell(&START.replace(r#","outbound""#, "")),
        Verdict::Go
    );
    world.open_gates();
    for index in 0..195 {
        world.say(IN, index * 20, b'a');
    }
    let stats = world.stats(Side::First);
    assert_eq!(
        (stats.passed, stats.filled, stats.quiet),
        (195 * FRAME, 0, 0)
    );
    assert_eq!(world.tally.gap_samples, [0, 0]);
    assert_eq!(world.heard(Side::First).len() as u64, 195 * FRAME);
}

#[test]
fn two_tracks_are_two_legs_without_cross_talk() {
    let mut world = World::open();
    for index in 0..10 {
        world.say(IN, 52 + index * 20, b'a');
        world.say(OUT, 52 + index * 20, b'b');
    }
    assert_eq!(world.spelled(Side::First), "aaaaaaaaaa");
    assert_eq!(world.spelled(Side::Second), "bbbbbbbbbb");
}

#[test]
fn lost_messages_become_silence_of_their_length_and_are_counted_as_lost() {
    let mut world = World::open();
    for index in 0..20 {
        if index % 5 == 3 {
            world.sequence += 1;
        } else {
            world.say(IN, index * 20, b'a');
        }
    }
    assert_eq!(world.tally.sequence_missing, 4);
    assert_eq!(world.tally.gap_samples, [4 * FRAME, 0]);
    assert_eq!(world.spelled(Side::First), "aaa.aaaa.aaaa.aaaa.a");
    assert_eq!(world.stats(Side::First).filled, 4 * FRAME);
}

#[test]
fn sound_the_platform_never_had_is_counted_apart() {
    let mut world = World::open();
    for timestamp in [0, 20, 80, 100, 120, 140] {
        world.say(IN, timestamp, b'a');
    }
    assert_eq!(world.tally.sequence_missing, 0);
    assert_eq!(world.tally.gap_samples, [0, 2 * FRAME]);
    assert_eq!(world.spelled(Side::First), "aa..aaaa");
}

#[test]
fn a_lost_control_message_is_no_lost_sound() {
    let mut world = World::open();
    world.say(IN, 0, b'a');
    world.sequence += 3;
    world.say(IN, 20, b'b');
    assert_eq!(
        (world.tally.sequence_missing, world.tally.gap_samples),
        (3, [0, 0])
    );
    world.sequence -= 1;
    world.say(IN, 40, b'c');
    assert_eq!(world.tally.sequence_backward, 1);
    world.say(IN, 80, b'e');
    assert_eq!(world.tally.gap_samples, [0, FRAME]);
    assert_eq!(world.spelled(Side::First), "abc.e");
}

#[test]
fn a_track_that_begins_late_keeps_its_distance() {
    let mut world = World::open();
    for index in 0..200 {
        world.say(IN, 52 + index * 20, b'a');
        if index * 20 >= 2_948 {
            world.say(OUT, 52 + index * 20, b'b');
        }
    }
    let stats = world.stats(Side::Second);
    assert_eq!(stats.quiet + stats.filled, 2_960 * 8);
    let (first, second) = (world.heard(Side::First), world.heard(Side::Second));
    assert_eq!(first.len(), second.len());
    assert_eq!(
        second.iter().position(|sample| *sample != 0),
        Some(2_960 * 8)
    );
}

#[test]
fn a_first_timestamp_of_52_is_the_beginning_for_a_side_that_comes_at_3000() {
    let mut world = World::open();
    world.say(IN, 52, b'a');
    world.say(OUT, 3_000, b'b');
    for index in 1..6 {
        world.say(OUT, 3_000 + index * 20, b'b');
    }
    let second = world.heard(Side::Second);
    assert_eq!(
        second.iter().position(|sample| *sample != 0),
        Some(2_948 * 8)
    );
}

#[test]
fn timestamps_that_wobble_insert_nothing() {
    let mut world = World::open();
    for (timestamp, letter) in [(0, b'a'), (20, b'b'), (41, b'c'), (59, b'd'), (80, b'e')] {
        world.say(IN, timestamp, letter);
    }
    assert_eq!(world.tally.gap_samples, [0, 0]);
    assert_eq!(world.spelled(Side::First), "abcde");
}

#[test]
fn a_jump_of_a_minute_is_a_discontinuity_for_both_sides() {
    let mut world = World::open();
    world.say(IN, 0, b'a');
    world.say(OUT, 0, b'b');
    world.say(IN, 60_000, b'c');
    let [first, second] = Side::BOTH.map(|side| world.stats(side));
    assert_eq!(first.skipped, 60_000 * 8 - FRAME);
    assert!(
        first.filled + second.filled + second.quiet < 5_000 * 8,
        "{second:?}"
    );
    let gap = world.sources[0].as_mut().unwrap().take_gap().unwrap();
    assert_eq!(gap.reason, GapReason::Discontinuity);
    assert_eq!(world.spelled(Side::First), "ac");
}

#[test]
fn frames_that_overtook_each_other_are_put_back_doubles_dropped_and_stragglers_counted() {
    let mut world = World::open();
    for (index, letter) in [
        (0, b'a'),
        (3, b'd'),
        (2, b'c'),
        (1, b'b'),
        (4, b'e'),
        (4, b'e'),
        (0, b'x'),
        (5, b'f'),
    ] {
        world.say(IN, index * 20, letter);
    }
    let stats = world.stats(Side::First);
    assert_eq!(
        (stats.reordered, stats.late, stats.filled),
        (2, 2 * FRAME, 0)
    );
    assert_eq!(world.spelled(Side::First), "abcdef");
}

#[test]
fn a_straggler_of_seconds_is_dropped_and_moves_nothing() {
    let mut world = World::open();
    for index in 0..200 {
        world.say(IN, index * 20, b'a');
    }
    world.say(IN, 0, b'x');
    world.say(IN, 4_000, b'b');
    assert_eq!(
        (world.stats(Side::First).late, world.tally.clock_restarts),
        (FRAME, 0)
    );
    assert!(world.spelled(Side::First).ends_with("aab"));
}

#[test]
fn a_clock_that_begins_anew_is_counted_and_goes_on_seamlessly() {
    let mut world = World::open();
    for index in 0..200 {
        world.say(IN, index * 20, b'a');
    }
    for index in 0..5 {
        world.say(IN, index * 20, b'b' + index as u8);
    }
    assert_eq!(world.tally.clock_restarts, 1);
    let spelled = world.spelled(Side::First);
    assert!(spelled.ends_with("aacdef"), "{spelled}");
}

#[test]
fn frames_without_a_timestamp_follow_each_other() {
    let mut world = World::open();
    for letter in [b'a', b'b', b'c'] {
        let payload = payload::encode(&[letter; FRAME as usize]);
        let text =
            format!(r#"{{"event":"media","media":{{"track":"inbound","payload":"{payload}"}}}}"#);
        assert_eq!(world.tell(&text), Verdict::Go);
    }
    assert_eq!(world.tally.untimed, 3);
    assert_eq!(world.spelled(Side::First), "abc");
}

#[test]
fn payloads_of_any_size_are_taken_and_bad_ones_skipped() {
    let mut world = World::open();
    let mut at = 0;
    for bytes in [8, 80, 320, 8_000, 40_000] {
        world.say_payload(IN, at, &payload::encode(&vec![b'a'; bytes]));
        at += bytes as u64 / 8;
    }
    world.say_payload(IN, at, "");
    world.say_payload(IN, at, "not base64!");
    world.say_payload(IN, at, "AAAAA");
    assert_eq!(world.tally.bad[Bad::Base64 as usize], 2);
    world.say_payload(IN, at, &payload::encode(b"b").replace('=', ""));
    assert_eq!(
        world.heard(Side::First).len(),
        8 + 80 + 320 + 8_000 + 40_000 + 1
    );
}

#[test]
fn behind_a_gate_that_is_not_open_a_payload_is_only_measured() {
    let mut world = World::started();
    for index in 0..10 {
        world.say(IN, index * 20, b'a');
    }
    // Its characters are not base64, its length is: it is not even looked at.
    world.say_payload(IN, 200, &"!".repeat(216));
    assert_eq!(world.tally.bad, [0; Bad::COUNT]);
    assert_eq!(world.stats(Side::First).gated, 10 * FRAME + 162);
    assert_eq!(world.tally.frames, [0, 0, 11]);
    assert_eq!(GATE_NAMES[2], "shut");
}

#[test]
fn a_pause_is_silence_of_its_exact_length() {
    let mut world = World::open();
    world.say(IN, 0, b'a');
    world.controls[0].as_ref().unwrap().pause(false);
    world.say(IN, 20, b'x');
    world.say(IN, 40, b'y');
    assert!(world.controls[0].as_ref().unwrap().resume());
    world.say(IN, 60, b'd');
    assert_eq!(world.tally.frames, [2, 2, 0]);
    assert_eq!(world.spelled(Side::First), "a..d");
}

#[test]
fn what_is_said_between_stop_and_start_is_never_heard() {
    let mut world = World::open();
    world.say(IN, 0, b'a');
    world.controls[0].as_ref().unwrap().shut(false);
    let before = world.sources[0].take();
    world.say(IN, 20, b'x');
    world.open_gates();
    world.say(IN, 40, b'c');
    assert_eq!(world.spelled(Side::First), "c");
    assert!(before.unwrap().is_ended());
}

#[test]
fn a_burst_of_one_side_before_the_other_silences_neither() {
    let mut world = World::open();
    for track in [IN, OUT] {
        for index in 0..50 {
            world.send(track, index * 20, &payload::encode(&[b'a'; FRAME as usize]));
        }
    }
    world.session.settle(world.now, &mut world.feeds);
    for side in Side::BOTH {
        let stats = world.stats(side);
        assert_eq!((stats.passed, stats.late, stats.quiet), (50 * FRAME, 0, 0));
    }
}

#[test]
fn a_silent_side_is_filled_while_the_other_speaks() {
    let mut world = World::open();
    for index in 0..100 {
        world.say(IN, index * 20, b'a');
    }
    assert_eq!(world.stats(Side::Second).quiet, (2_000 - 200) * 8);
}

#[test]
fn other_codecs_of_8_khz_are_taken() {
    for (encoding, payload, sample) in [
        ("audio/x-alaw", "1Q==", 8),
        ("AUDIO/X-MULAW", "AA==", -32124),
        ("audio/x-l16", "NBI=", 0x1234),
    ] {
        let mut world = World::new();
        assert_eq!(
            world.tell(&START.replace("audio/x-mulaw", encoding)),
            Verdict::Go
        );
        world.open_gates();
        world.say_payload(IN, 0, payload);
        assert_eq!(world.heard(Side::First), [sample], "{encoding}");
    }
}

#[test]
fn a_format_we_cannot_take_closes_the_socket_and_opens_no_leg() {
    for (from, to, part) in [
        ("audio/x-mulaw", "audio/opus", Unsupported::Encoding),
        ("8000", "16000", Unsupported::Rate),
        (r#""channels":1"#, r#""channels":2"#, Unsupported::Channels),
    ] {
        let mut world = World::new();
        let start = START.replace(from, to);
        assert_eq!(world.tell(&start), Verdict::Close(SocketEnd::Unsupported));
        assert_eq!(world.tally.unsupported[part as usize], 1);
        assert!(world.opened.is_empty());
    }
}

#[test]
fn a_track_that_start_did_not_list_opens_its_leg_late() {
    let mut world = World::new();
    assert_eq!(
        world.tell(r#"{"event":"start","start":{"callSid":"CA1"}}"#),
        Verdict::Go
    );
    assert!(world.opened.is_empty());
    world.say(OUT, 100, b'a');
    world.say(OUT, 120, b'a');
    assert_eq!(world.opened.len(), 1);
    assert_eq!(
        (world.opened[0].0, world.tally.unlisted_tracks),
        (Side::Second, 1)
    );
    world.say("sideways", 120, b'a');
    assert_eq!(world.tally.bad[Bad::Track as usize], 1);
}

#[test]
fn a_frame_without_a_track_belongs_to_the_only_one() {
    let mut world = World::new();
    assert_eq!(world.tell(&START.replace(r#""inbound","#, "")), Verdict::Go);
    assert_eq!(
        world.tell(r#"{"event":"media","media":{"payload":"AAAA"}}"#),
        Verdict::Go
    );
    assert_eq!(
        (world.opened.len(), world.stats(Side::Second).received),
        (1, 3)
    );
}

#[test]
fn marks_keys_and_unknown_events_are_counted() {
    let mut world = World::open();
    for text in [
        r#"{"event":"dtmf","sequenceNumber":2,"dtmf":{"track":"inbound_track","digit":"4"}}"#,
        r#"{"event":"mark","sequenceNumber":3,"mark":{"name":"m"}}"#,
        r#"{"event":"weather","sequenceNumber":4,"sun":true}"#,
    ] {
        assert_eq!(world.tell(text), Verdict::Go);
    }
    for name in [EventName::Dtmf, EventName::Mark, EventName::Unknown] {
        assert_eq!(world.tally.messages[name as usize], 1);
    }
    world.sequence = 4;
    world.say(IN, 0, b'a');
    assert_eq!(world.tally.sequence_missing, 0);
}

#[test]
fn a_key_is_told_behind_an_open_gate_and_read_behind_no_other() {
    let press = |world: &mut World, track: &str, digit: &str| {
        let part = format!(r#"{{"track":"{track}","digit":"{digit}"}}"#);
        let text = format!(r#"{{"event":"dtmf","dtmf":{part}}}"#);
        assert_eq!(world.tell(&text), Verdict::Go);
    };
    let pause = |world: &World| {
        world
            .controls
            .iter()
            .flatten()
            .for_each(|leg| leg.pause(false))
    };
    let mut world = World::new();
    press(&mut world, "inbound_track", "1");
    assert_eq!(world.tell(START), Verdict::Go);
    press(&mut world, "inbound_track", "2");
    world.open_gates();
    press(&mut world, "inbound_track", "#");
    press(&mut world, "outbound_track", "d");
    press(&mut world, "sideways", "3");
    press(&mut world, "inbound_track", "44");
    pause(&world);
    press(&mut world, "inbound_track", "5");
    assert_eq!(world.tell(STOP), Verdict::Go);
    press(&mut world, "inbound_track", "6");
    assert_eq!(world.keys, "#D");
    assert_eq!((world.tally.keys, world.tally.keys_untold), (2, 0));
    assert_eq!(world.tally.messages[EventName::Dtmf as usize], 8);
}

#[test]
fn keys_faster_than_anybody_presses_are_counted_and_not_told() {
    let mut world = World::open();
    for _ in 0..100 {
        let text = r#"{"event":"dtmf","dtmf":{"track":"inbound_track","digit":"4"}}"#;
        assert_eq!(world.tell(text), Verdict::Go);
    }
    let told = world.keys.len() as u64;
    assert_eq!(told, u64::from(crate::intake::Feed::KEYS_PER_SECOND_MAX));
    assert_eq!(
        (world.tally.keys, world.tally.keys_untold),
        (100, 100 - told)
    );
}

#[test]
fn sound_before_start_and_after_stop_is_ignored() {
    let mut world = World::new();
    world.say(IN, 0, b'a');
    assert_eq!(world.tell(START), Verdict::Go);
    assert_eq!(world.tell(STOP), Verdict::Go);
    world.say(IN, 20, b'a');
    assert_eq!((world.tally.ignored, world.opened.len()), ([1, 1, 0], 2));
}

#[test]
fn a_socket_that_never_starts_is_closed() {
    let mut world = World::new();
    assert_eq!(world.wait(Duration::from_millis(4_999)), Verdict::Go);
    world.say(IN, 0, b'a');
    assert_eq!(
        world.wait(Duration::from_millis(1)),
        Verdict::Close(SocketEnd::NoStart)
    );
}

#[test]
fn a_start_without_a_usable_call_sid_closes_the_socket() {
    for sid in ["", "CA 1", &"x".repeat(129)] {
        let mut world = World::new();
        let verdict = world.tell(&START.replace("CA1", sid));
        assert_eq!(verdict, Verdict::Close(SocketEnd::Unnamed), "{sid}");
        assert!(world.opened.is_empty());
    }
}

#[test]
fn a_second_start_is_ignored_for_the_same_call_and_refused_for_another() {
    let mut world = World::open();
    assert_eq!(world.tell(START), Verdict::Go);
    assert_eq!((world.tally.starts_repeated, world.opened.len()), (1, 2));
    assert_eq!(
        world.tell(&START.replace("CA1", "CA2")),
        Verdict::Close(SocketEnd::SecondCall)
    );
    assert_eq!(world.endings, ["refused", "refused"]);
}

#[test]
fn stop_ends_the_legs_and_leaves_the_close_to_the_other_side_for_a_while() {
    let mut world = World::open();
    world.say(IN, 0, b'a');
    assert_eq!(world.tell(STOP), Verdict::Go);
    assert_eq!(world.endings, ["stopped", "stopped"]);
    assert_eq!(world.tell(START), Verdict::Go);
    assert_eq!(
        world.wait(Duration::from_secs(5)),
        Verdict::Close(SocketEnd::Stopped)
    );
    world.lose();
    assert_eq!(world.endings.len(), 2);
}

#[test]
fn a_socket_that_is_lost_ends_its_legs_with_that_reason() {
    let mut world = World::open();
    world.say(IN, 0, b'a');
    assert_eq!(world.spelled(Side::First), "a");
    assert_eq!(world.endings, ["socket_lost", "socket_lost"]);
}

#[test]
fn half_open_sockets_lose_their_legs_by_silence_and_not_by_other_messages() {
    let mut world = World::open();
    world.say(IN, 0, b'a');
    assert_eq!(world.wait(Duration::from_secs(29)), Verdict::Go);
    assert_eq!(world.tell(r#"{"event":"mark"}"#), Verdict::Go);
    assert!(world.endings.is_empty());
    assert_eq!(world.wait(Duration::from_secs(1)), Verdict::Go);
    assert_eq!(world.endings, ["media_timeout", "media_timeout"]);
    assert_eq!(
        world.wait(Duration::from_secs(299)),
        Verdict::Close(SocketEnd::Idle)
    );
}

#[test]
fn a_track_that_sounds_again_after_a_long_silence_has_a_new_leg() {
    let mut world = World::open();
    world.say(OUT, 0, b'a');
    assert_eq!(world.wait(Duration::from_secs(30)), Verdict::Go);
    world.say(OUT, 31_000, b'b');
    assert_eq!((world.opened.len(), world.opened[2].0), (3, Side::Second));
    world.open_gates();
    world.say(OUT, 31_020, b'c');
    assert_eq!(world.spelled(Side::Second), "c");
}

#[test]
fn a_retired_socket_is_drained_and_ignored_and_never_closed_while_it_speaks() {
    let mut world = World::open();
    world.say(IN, 0, b'a');
    for side in Side::BOTH {
        world.session.retire(side, &mut world.feeds);
    }
    for index in 1..100 {
        assert_eq!(world.wait(Duration::from_secs(20)), Verdict::Go);
        world.say(IN, index * 20, b'x');
    }
    assert_eq!(world.tally.ignored[Ignored::Retired as usize], 99);
    assert_eq!(
        (world.opened.len(), &world.endings[..]),
        (2, &["retired", "retired"][..])
    );
    assert_eq!(world.tell(STOP), Verdict::Go);
    assert_eq!(world.spelled(Side::First), "a");
    assert_eq!(world.endings.len(), 2);
}

#[test]
fn one_side_can_be_retired_alone() {
    let mut world = World::open();
    world.session.retire(Side::First, &mut world.feeds);
    world.say(IN, 0, b'x');
    world.say(OUT, 0, b'b');
    assert_eq!(world.spelled(Side::Second), "b");
    assert_eq!(world.tally.ignored[Ignored::Retired as usize], 1);
}

#[test]
fn a_row_of_bad_messages_closes_the_socket_and_a_good_one_ends_the_row() {
    let mut world = World::open();
    for _ in 0..99 {
        assert_eq!(world.tell("{"), Verdict::Go);
    }
    assert_eq!(
        world.session.binary(world.now, &mut world.feeds),
        Verdict::Close(SocketEnd::Nonsense)
    );
    let mut world = World::open();
    for index in 0..1_000 {
        let text = if index % 50 == 49 {
            r#"{"event":"mark"}"#
        } else {
            "7"
        };
        assert_eq!(world.tell(text), Verdict::Go);
    }
    assert_eq!(world.tally.bad[Bad::Shape as usize], 980);
}

#[test]
fn a_shutdown_ends_the_legs_and_closes() {
    let mut world = World::open();
    assert_eq!(
        world.session.shut_down(&mut world.feeds),
        Verdict::Close(SocketEnd::ShutDown)
    );
    world.look();
    assert_eq!(world.endings, ["shutdown", "shutdown"]);
}

#[test]
fn identifiers_that_cannot_be_printed_are_left_out() {
    let mut world = World::new();
    let start = START
        .replace("MZ1", "M\\nZ")
        .replace("AC1", "bare-uuid-0001");
    assert_eq!(world.tell(&start), Verdict::Go);
    assert_eq!(
        world.opened[0].2,
        [("accountSid", "bare-uuid-0001".to_owned())]
    );
}

#[test]
fn times_that_cannot_be_hang_and_overflow_nothing() {
    let mut world = World::open();
    for timestamp in [
        0,
        u64::MAX,
        20,
        u64::MAX - 7,
        u64::MAX,
        u64::MAX,
        0,
        1 << 62,
        1 << 62,
        3_600_000,
        0,
        0,
    ] {
        world.say(IN, timestamp, b'a');
        world.say(OUT, timestamp / 2, b'b');
    }
    for side in Side::BOTH {
        let stats = world.stats(side);
        assert!(stats.filled + stats.quiet < 60 * 8_000, "{stats:?}");
    }
}

proptest! {
    /// Whatever the gates do, what comes while one is not open is never heard, and nothing else is
    /// missing.
    #[test]
    fn no_gated_sample_is_ever_heard(acts in proptest::collection::vec(0..6_u8, 1..300)) {
        let mut world = World::started();
        let mut heard = Vec::new();
        let mut said = 0;
        for (index, act) in acts.iter().enumerate() {
            let control = world.controls[0].clone().unwrap();
            match act {
                0 => control.shut(false),
                1 => control.pause(false),
                2 => { control.resume(); }
                3 => {
                    heard.extend(world.sources[0].take());
                    world.open_gates();
                }
                _ => {}
            }
            let open = control.gate() == Gate::Open;
            said += u64::from(open) * FRAME;
            world.say(IN, index as u64 * 20, if open { b'a' } else { b'x' });
        }
        world.lose();
        heard.extend(world.sources[0].take());
        let context = Context::from_waker(Waker::noop());
        let mut passed = 0;
        for source in &mut heard {
            while let Poll::Ready(Taken::Chunk(chunk)) = source.poll_take(&context) {
                prop_assert!(!chunk.samples.contains(&mark(b'x')));
                let said = chunk.samples.iter().filter(|sample| **sample == mark(b'a'));
                passed += said.count() as u64;
            }
        }
        prop_assert_eq!(passed, said);
    }
}
