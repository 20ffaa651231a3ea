//! What a leg does with frames, gaps, order and its gate.

use std::time::Duration;

use super::*;
use crate::audio::Codec;
use crate::backlog::Taken;

const FRAME: u64 = 160;

struct World {
    leg: Leg,
    out: Backlog,
    now: Instant,
}

impl World {
    fn open() -> Self {
        let mut world = Self::shut();
        world.leg.open(0);
        world
    }

    fn shut() -> Self {
        Self::with(LegConfig::default())
    }

    /// Open, and holes of up to 60 ms are concealed.
    fn concealing() -> Self {
        let mut world = Self::with(LegConfig {
            conceal_max: Duration::from_millis(60),
            ..LegConfig::default()
        });
        world.leg.open(0);
        world
    }

    #[expect(clippy::disallowed_methods, reason = "a test begins at some time")]
    fn with(config: LegConfig) -> Self {
        let now = Instant::now();
        Self {
            leg: Leg::new(now, config),
            out: Backlog::new(800, 10_000),
            now,
        }
    }

    /// A frame whose every sample decodes to a value of its own.
    fn say(&mut self, position: u64, mark: u8) {
        let payload = [mark; FRAME as usize];
        let frame = Frame {
            position,
            codec: Codec::Pcmu,
            payload: &payload,
        };
        self.leg.push(self.now, frame, &mut self.out);
    }

    /// Frames of a tone of 200 Hz, but for the lost ones.
    fn sing(&mut self, frames: std::ops::Range<u64>, lost: &[u64]) {
        for index in frames.filter(|index| !lost.contains(index)) {
            let payload: Vec<u8> = (index * FRAME..(index + 1) * FRAME)
                .flat_map(|at| sung(at).to_le_bytes())
                .collect();
            let frame = Frame {
                position: index * FRAME,
                codec: Codec::L16,
                payload: &payload,
            };
            self.leg.push(self.now, frame, &mut self.out);
        }
    }

    fn heard(mut self) -> Vec<i16> {
        self.leg.shut(&mut self.out);
        let mut heard = Vec::new();
        while let Taken::Chunk(chunk) = self.out.take() {
            heard.extend(chunk.samples);
        }
        assert_eq!(self.leg.stats().clock(), self.leg.clock());
        heard
    }
}

fn mark(byte: u8) -> i16 {
    let mut out = Vec::new();
    Codec::Pcmu.decode(&[byte], &mut out);
    out[0]
}

fn sung(at: u64) -> i16 {
    let turn = at as f64 * 200.0 / 8000.0 * std::f64::consts::TAU;
    (turn.sin() * 8000.0) as i16
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

#[test]
fn frames_in_order_come_out_as_they_went_in() {
    let mut world = World::open();
    for (index, letter) in (b'a'..=b'h').enumerate() {
        world.say(index as u64 * FRAME, letter);
    }
    assert_eq!(spell(&world.heard()), "abcdefgh");
}

#[test]
fn nothing_passes_a_shut_gate() {
    let mut world = World::shut();
    world.say(0, b'a');
    assert_eq!(world.leg.stats().gated, FRAME);
    assert!(world.heard().is_empty());
}

#[test]
fn a_lost_frame_becomes_silence_of_its_length_once_the_window_is_over() {
    let mut world = World::open();
    for index in [0, 1, 3, 4, 5, 6, 7] {
        world.say(index * FRAME, b'a' + index as u8);
    }
    assert_eq!(world.leg.stats().filled, FRAME);
    assert_eq!(world.leg.stats().reordered, 0, "nothing was overtaken");
    assert_eq!(spell(&world.heard()), "ab.defgh");
}

#[test]
fn overtaken_frames_are_put_back_and_nothing_is_filled() {
    let mut world = World::open();
    for index in [0, 3, 2, 1, 4] {
        world.say(index * FRAME, b'a' + index as u8);
    }
    assert_eq!(world.leg.stats().filled, 0);
    assert_eq!(world.leg.stats().reordered, 2);
    assert_eq!(spell(&world.heard()), "abcde");
}

#[test]
fn a_double_frame_is_dropped_once_and_counted() {
    let mut world = World::open();
    for index in [0, 1, 1, 2] {
        world.say(index * FRAME, b'a' + index as u8);
    }
    assert_eq!(world.leg.stats().late, FRAME);
    assert_eq!(spell(&world.heard()), "abc");
}

#[test]
fn wobble_of_a_few_milliseconds_inserts_nothing() {
    let mut world = World::open();
    for (ms, letter) in [(0, b'a'), (20, b'b'), (41, b'c'), (59, b'd'), (80, b'e')] {
        world.say(ms * 8, letter);
    }
    assert_eq!(spell(&world.heard()), "abcde");
}

#[test]
fn a_jump_of_a_minute_is_a_discontinuity_and_not_a_minute_of_silence() {
    let mut world = World::open();
    world.say(0, b'a');
    world.say(60_000 * 8, b'b');
    assert_eq!(world.leg.stats().skipped, 60_000 * 8 - FRAME);
    assert_eq!(world.out.end(), 60_000 * 8 + FRAME);
    assert_eq!(
        world.out.take_gap().unwrap().reason,
        GapReason::Discontinuity
    );
    assert_eq!(spell(&world.heard()), "ab");
}

#[test]
fn a_pause_is_silence_of_its_exact_length() {
    let mut world = World::open();
    world.say(0, b'a');
    world.leg.pause(&mut world.out);
    world.say(FRAME, b'x');
    world.say(3 * FRAME, b'y');
    world.leg.resume();
    world.say(4 * FRAME, b'e');
    assert_eq!(world.leg.stats().paused, 3 * FRAME);
    assert_eq!(spell(&world.heard()), "a...e");
}

#[test]
fn what_was_held_back_goes_out_before_the_gate_shuts() {
    let mut world = World::open();
    world.say(0, b'a');
    world.say(2 * FRAME, b'c');
    assert_eq!(spell(&world.heard()), "a.c");
}

#[test]
fn a_quiet_side_is_filled_up_to_the_session_clock() {
    let mut world = World::open();
    world
        .leg
        .advance(world.now, 3_000 * 8, Some(&mut world.out));
    assert_eq!(world.leg.stats().quiet, 2_800 * 8);
    world.say(2_948 * 8, b'a');
    world.leg.pause(&mut world.out);
    assert_eq!(world.out.end(), 2_948 * 8 + FRAME);
}

#[test]
fn a_side_that_was_not_quiet_waits_on_for_what_was_overtaken() {
    let mut world = World::open();
    for index in [0, 2, 3, 1, 4] {
        let at = index * FRAME;
        if index == 3 {
            world.leg.quiet_until(world.now, at, Some(&mut world.out));
        }
        world.say(at, b'a' + index as u8);
    }
    assert_eq!(world.leg.stats().filled, 0);
    assert_eq!(world.leg.stats().late, 0);
    assert_eq!(spell(&world.heard()), "abcde");
}

#[test]
fn what_is_missing_before_a_silence_is_lost_and_the_silence_is_not() {
    let mut world = World::open();
    for index in [0, 2, 6, 7] {
        let at = index * FRAME;
        if index == 6 {
            world.leg.quiet_until(world.now, at, Some(&mut world.out));
        }
        world.say(at, b'a' + index as u8);
    }
    assert_eq!(world.leg.stats().filled, FRAME);
    assert_eq!(world.leg.stats().quiet, 3 * FRAME);
    assert_eq!(spell(&world.heard()), "a.c...gh");
}

#[test]
fn a_quiet_side_follows_a_jump_of_the_session_clock_without_being_filled() {
    let mut world = World::open();
    world.say(0, b'a');
    world
        .leg
        .advance(world.now, 60_000 * 8, Some(&mut world.out));
    assert_eq!(world.leg.stats().quiet, 0);
    assert_eq!(world.leg.stats().skipped, 59_800 * 8 - FRAME);
    assert_eq!(
        world.out.take_gap().unwrap().reason,
        GapReason::Discontinuity
    );
    assert_eq!(spell(&world.heard()), "a");
}

#[test]
fn the_end_of_a_jump_that_a_side_followed_is_no_loss() {
    let mut world = World::open();
    world
        .leg
        .advance(world.now, 60_000 * 8, Some(&mut world.out));
    world.say(60_000 * 8, b'a');
    assert_eq!(world.leg.stats().skipped, 60_000 * 8);
    assert_eq!(world.leg.stats().filled, 0);
    assert_eq!(spell(&world.heard()), "a");
}

#[test]
fn both_sides_of_a_start_have_one_zero() {
    let mut world = World::shut();
    world.say(0, b'a');
    world.leg.open(10 * FRAME);
    world.say(10 * FRAME, b'k');
    assert_eq!(world.leg.stats().gated, 10 * FRAME);
    assert_eq!(spell(&world.heard()), "k");
}

#[test]
fn a_tone_goes_on_through_a_hole_that_is_concealed() {
    let mut world = World::concealing();
    world.sing(0..20, &[10]);
    let stats = world.leg.stats();
    assert_eq!((stats.filled, stats.concealed), (FRAME, FRAME));
    assert_eq!(
        world.out.take_gap().unwrap().reason,
        GapReason::Lost,
        "concealed is lost all the same"
    );
    let heard = world.heard();
    assert_eq!(heard.len() as u64, 20 * FRAME);
    let far = |(at, sample): (usize, &i16)| sample.abs_diff(sung(at as u64)) > 1700;
    assert_eq!(heard.iter().enumerate().position(far), None);
}

#[test]
fn only_the_beginning_of_a_long_hole_is_concealed_and_its_length_is_exact() {
    let mut world = World::concealing();
    world.sing(0..20, &[8, 9, 10, 11, 12]);
    let stats = world.leg.stats();
    assert_eq!((stats.filled, stats.concealed), (5 * FRAME, 3 * FRAME));
    let heard = world.heard();
    assert_eq!(heard.len() as u64, 20 * FRAME);
    let silence = 11 * FRAME as usize..13 * FRAME as usize;
    assert!(heard[silence].iter().all(|&it| it == 0));
    let after = heard.iter().enumerate().skip(13 * FRAME as usize);
    assert!(after.into_iter().all(|(at, &it)| it == sung(at as u64)));
}

#[test]
fn what_was_said_before_a_pause_is_not_heard_in_a_hole_after_it() {
    for is_stop in [false, true] {
        let mut world = World::concealing();
        world.sing(0..10, &[]);
        if is_stop {
            world.leg.shut(&mut world.out);
            world.leg.open(10 * FRAME);
        } else {
            world.leg.pause(&mut world.out);
            world.leg.resume();
        }
        world.sing(11..20, &[]);
        let stats = world.leg.stats();
        assert_eq!((stats.filled, stats.concealed), (FRAME, 0));
    }
}

#[test]
fn a_side_that_was_quiet_or_jumped_has_nothing_to_go_on_with() {
    let mut quiet = World::concealing();
    quiet.sing(0..10, &[]);
    quiet
        .leg
        .advance(quiet.now, 40 * FRAME, Some(&mut quiet.out));
    quiet.sing(31..40, &[]);
    let mut jumped = World::concealing();
    jumped.sing(0..10, &[]);
    jumped.sing(1000..1002, &[]);
    jumped.sing(1003..1010, &[]);
    for world in [quiet, jumped] {
        let stats = world.leg.stats();
        assert_eq!((stats.filled, stats.concealed), (FRAME, 0));
        assert_eq!(stats.clock(), world.leg.clock());
    }
}
