//! Keys, pressed and let go.

use proptest::prelude::*;

use super::*;

const END: u8 = 0x80;

struct World {
    keypad: Keypad,
    rate: u32,
    is_next: bool,
    heard: Vec<(char, u128)>,
}

impl World {
    fn new(rate: u32) -> Self {
        Self {
            keypad: Keypad::default(),
            rate,
            is_next: true,
            heard: Vec::new(),
        }
    }

    fn hear(&mut self, timestamp: u32, code: u8, flags: u8, units: u16) {
        let [high, low] = units.to_be_bytes();
        self.hear_from(1, timestamp, &[code, flags, high, low]);
    }

    fn hear_from(&mut self, ssrc: u32, timestamp: u32, payload: &[u8]) {
        let packet = packet(ssrc, timestamp, payload);
        let keys = self.keypad.hear(&packet, self.rate, self.is_next);
        for pressed in keys.into_iter().flatten() {
            let ms = pressed.duration.as_millis();
            self.heard.push((pressed.key.as_char(), ms));
        }
    }
}

fn packet(ssrc: u32, timestamp: u32, payload: &[u8]) -> Packet<'_> {
    Packet {
        payload_type: 101,
        sequence: 0,
        timestamp,
        ssrc,
        marker: false,
        payload,
    }
}

#[test]
fn three_end_packets_are_one_key() {
    let mut world = World::new(8000);
    for units in [160, 320, 480] {
        world.hear(1000, 5, 10, units);
    }
    for _ in 0..3 {
        world.hear(1000, 5, END | 10, 640);
    }
    assert_eq!(world.heard, [('5', 80)]);
}

#[test]
fn the_same_key_twice_is_two_keys() {
    let mut world = World::new(8000);
    world.hear(1000, 11, END, 800);
    world.hear(1000, 11, END, 800);
    world.hear(3000, 11, END, 400);
    assert_eq!(world.heard, [('#', 100), ('#', 50)]);
}

#[test]
fn a_key_whose_ends_were_lost_ends_with_the_next() {
    let mut world = World::new(8000);
    world.hear(1000, 1, 0, 320);
    world.hear(9000, 2, END, 800);
    assert_eq!(world.heard, [('1', 40), ('2', 100)]);
}

#[test]
fn a_packet_that_was_overtaken_is_no_key() {
    let mut world = World::new(8000);
    world.hear(1000, 1, END, 320);
    world.hear(4000, 2, 0, 160);
    world.hear(1000, 1, 0, 160);
    world.hear(1000, 1, END, 320);
    world.hear(4000, 2, END, 320);
    world.hear(4000, 2, 0, 160);
    assert_eq!(world.heard, [('1', 40), ('2', 40)]);
}

#[test]
fn a_source_that_counts_anew_is_heard() {
    let mut world = World::new(8000);
    world.hear(1_000_000, 1, END, 320);
    world.hear(1000, 1, END, 320);
    world.hear_from(2, 900, &[1, END, 0, 160]);
    assert_eq!(world.heard, [('1', 40), ('1', 40), ('1', 20)]);
}

#[test]
fn the_timestamp_may_wrap() {
    let mut world = World::new(8000);
    world.hear(u32::MAX - 100, 3, END, 320);
    world.hear(2000, 4, END, 320);
    assert_eq!(world.heard, [('3', 40), ('4', 40)]);
}

#[test]
fn the_clock_rate_makes_the_length() {
    let mut world = World::new(48_000);
    world.hear(1000, 14, END, 4800);
    assert_eq!(world.heard, [('C', 100)]);
}

#[test]
fn a_key_held_for_long_comes_in_segments_and_is_one() {
    let mut world = World::new(8000);
    world.hear(1000, 7, 0, 32_000);
    world.hear(1000, 7, 0, 65_535);
    world.hear(66_535, 7, 0, 8000);
    world.hear(66_535, 7, END, 14_465);
    world.hear(66_535, 7, END, 14_465);
    assert_eq!(world.heard, [('7', 10_000)]);
}

#[test]
fn tones_flash_and_short_payloads_are_no_keys() {
    let mut world = World::new(8000);
    world.hear(1000, 16, END, 800);
    world.hear(2000, 66, END, 800);
    world.hear_from(1, 3000, &[1, END, 0]);
    world.hear_from(1, 3000, &[]);
    assert!(world.heard.is_empty());
}

#[test]
fn the_reserved_bit_and_the_volume_are_not_looked_at() {
    let mut world = World::new(8000);
    world.hear(1000, 0, 0x7f, 160);
    world.hear(1000, 0, 0xff, 800);
    assert_eq!(world.heard, [('0', 100)]);
}

#[test]
fn a_key_that_was_forgotten_does_not_come_back_by_another() {
    let mut world = World::new(8000);
    world.hear(1000, 1, 0, 320);
    world.keypad.forget();
    world.hear(1000, 1, END, 480);
    world.hear(9000, 2, END, 800);
    assert_eq!(world.heard, [('2', 100)]);
}

#[test]
fn a_key_that_began_behind_a_shut_gate_is_not_heard_behind_an_open_one() {
    let mut world = World::new(8000);
    let header = packet(1, 1000, &[5, 0, 0, 160]).header();
    world.keypad.withhold(&header, world.rate);
    world.hear(1000, 5, 0, 320);
    world.hear(1000, 5, END, 480);
    world.hear(1000, 5, END, 480);
    world.hear(3000, 6, END, 480);
    assert_eq!(world.heard, [('6', 60)]);
}

#[test]
fn nor_is_one_held_for_so_long_that_it_comes_in_segments() {
    let mut world = World::new(8000);
    let header = packet(1, 1000, &[7, 0, 0xff, 0]).header();
    world.keypad.withhold(&header, world.rate);
    world.hear(66_535, 7, 0, 8000);
    world.hear(66_535, 7, END, 14_465);
    assert!(world.heard.is_empty());
}

#[test]
fn a_packet_from_before_that_is_overtaken_by_an_opening_says_nothing() {
    let mut world = World::new(8000);
    for timestamp in [5000, 1000] {
        let header = packet(1, timestamp, &[]).header();
        world.keypad.withhold(&header, world.rate);
    }
    world.hear(1000, 4, END, 480);
    world.hear(5000, 5, END, 480);
    world.hear(9000, 6, END, 480);
    assert_eq!(world.heard, [('6', 60)]);
}

#[test]
fn the_first_key_behind_an_opening_counts_if_its_beginning_was_heard() {
    let mut world = World::new(8000);
    world.keypad.forget();
    world.is_next = false;
    world.hear(1000, 1, 0, 320);
    world.is_next = true;
    world.hear(1000, 1, END, 480);
    world.hear(3000, 2, END, 480);
    world.is_next = false;
    world.hear(5000, 3, END, 480);
    assert_eq!(world.heard, [('2', 60), ('3', 60)]);
}

#[test]
fn a_marked_packet_is_a_beginning_whatever_was_lost_before_it() {
    let mut world = World::new(8000);
    world.keypad.forget();
    let beginning = Packet {
        marker: true,
        ..packet(1, 1000, &[1, 0, 0, 160])
    };
    assert_eq!(world.keypad.hear(&beginning, 8000, false), [None, None]);
    world.hear(1000, 1, END, 320);
    assert_eq!(world.heard, [('1', 40)]);
}

#[test]
fn no_key_is_ever_printed() {
    let mut keypad = Keypad::default();
    let packet = Packet {
        payload_type: 101,
        sequence: 0,
        timestamp: 1,
        ssrc: 1,
        marker: true,
        payload: &[9, END, 0, 8],
    };
    let pressed = keypad.hear(&packet, 8000, true);
    assert!(pressed[1].is_some());
    assert!(!format!("{pressed:?} {keypad:?}").contains('9'));
}

proptest! {
    #[test]
    fn whatever_comes_in_makes_no_more_keys_than_packets(
        data in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        fuzz(&data);
    }

    #[test]
    fn keys_come_out_as_they_were_pressed_when_some_packets_are_lost(
        keys in prop::collection::vec((0_u8..16, 1_u16..20, 1_usize..4), 1..20),
    ) {
        let mut world = World::new(8000);
        let mut timestamp = u32::MAX - 5000;
        let mut expected = Vec::new();
        for &(code, frames, ends) in &keys {
            for frame in (1..frames).step_by(2) {
                world.hear(timestamp, code, 10, frame * 160);
            }
            for _ in 0..ends {
                world.hear(timestamp, code, END | 10, frames * 160);
            }
            let key = char::from(b"0123456789*#ABCD"[usize::from(code)]);
            expected.push((key, u128::from(frames) * 20));
            timestamp = timestamp.wrapping_add(u32::from(frames) * 160 + 400);
        }
        prop_assert_eq!(world.heard, expected);
    }
}
