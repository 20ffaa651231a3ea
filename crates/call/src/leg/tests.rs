//! What a leg does with frames, gaps, order and its gate.

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

    #[expect(clippy::disallowed_methods, reason = "a test begins at some time")]
    fn shut() -> Self {
        let now = Instant::now();
        Self {
            leg: Leg::new(now, LegConfig::default()),
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
