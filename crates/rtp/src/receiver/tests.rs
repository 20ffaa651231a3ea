//! What a receiver makes of streams as networks and senders spoil them.

use proptest::prelude::*;

use super::*;

const FRAME: u64 = 160;
const SOUND: Option<PayloadKind> = Some(PayloadKind::Sound {
    bytes_per_sample: 1,
});

/// A line 10 s after its session began. Time is counted in samples, from there.
struct World {
    receiver: Receiver,
    began: Instant,
    wall: u64,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "a test begins at some time")]
    fn new() -> Self {
        Self {
            receiver: Receiver::new(),
            began: Instant::now(),
            wall: 80_000,
        }
    }

    fn now(&self) -> Instant {
        self.began + Duration::from_micros(self.wall * 125)
    }

    fn send(&mut self, header: Header, kind: Option<PayloadKind>) -> Placed {
        let now = self.now();
        self.receiver.place_header(now, self.wall, &header, kind)
    }

    /// A frame of sound, 20 ms after the one before.
    fn say(&mut self, ssrc: u32, sequence: u16, timestamp: u32) -> Placed {
        let placed = self.send(header(ssrc, sequence, timestamp), SOUND);
        self.wall += FRAME;
        placed
    }

    /// So many frames that go on from one another; the place of the last.
    fn talk(&mut self, ssrc: u32, from: u16, timestamp: u32, frames: u16) -> Placed {
        let mut last = Placed::Event;
        for frame in 0..frames {
            let timestamp = timestamp.wrapping_add(u32::from(frame) * FRAME as u32);
            last = self.say(ssrc, from.wrapping_add(frame), timestamp);
        }
        last
    }

    fn stats(&self) -> ReceiverStats {
        self.receiver.stats()
    }
}

fn header(ssrc: u32, sequence: u16, timestamp: u32) -> Header {
    Header {
        payload_type: 0,
        sequence,
        timestamp,
        ssrc,
        payload_len: FRAME as usize,
    }
}

fn sound(position: u64) -> Placed {
    Placed::Sound { position }
}

fn anew(position: u64) -> Placed {
    Placed::Restarted { position }
}

fn refused(why: Discarded) -> Placed {
    Placed::Discarded(why)
}

#[test]
fn the_first_packet_stands_where_the_session_is_and_the_next_by_their_timestamps() {
    let mut world = World::new();
    assert_eq!(world.say(1, 7, 500), sound(80_000));
    assert_eq!(world.say(1, 8, 660), sound(80_160));
    world.wall += 37;
    assert_eq!(world.say(1, 9, 820), sound(80_320));
    assert_eq!(world.receiver.ssrc(), Some(1));
}

#[test]
fn sequence_and_timestamp_wrap_without_anybody_noticing() {
    let mut world = World::new();
    let placed = world.talk(1, 65_530, u32::MAX - 500, 20);
    assert_eq!(placed, sound(80_000 + 19 * FRAME));
    let stats = world.stats();
    assert_eq!((stats.received, stats.lost, stats.jumps), (20, 0, 0));
}

#[test]
fn lost_packets_leave_a_hole_of_their_length_and_are_counted() {
    let mut world = World::new();
    world.talk(1, 0, 0, 3);
    world.wall += 2 * FRAME;
    assert_eq!(world.say(1, 5, 800), sound(80_800));
    assert_eq!(world.stats().lost, 2);
}

#[test]
fn what_was_overtaken_finds_its_place_and_what_came_twice_does_not() {
    let mut world = World::new();
    world.say(1, 0, 0);
    world.say(1, 2, 320);
    assert_eq!(world.say(1, 1, 160), sound(80_160));
    assert_eq!(world.say(1, 1, 160), refused(Discarded::Duplicate));
    assert_eq!(world.say(1, 2, 320), refused(Discarded::Duplicate));
    let stats = world.stats();
    assert_eq!((stats.received, stats.reordered), (3, 1));
    assert_eq!((stats.duplicates, stats.lost), (2, 0));
}

#[test]
fn what_was_overtaken_by_the_very_first_packet_finds_its_place() {
    let mut world = World::new();
    world.say(1, 1, 160);
    assert_eq!(world.say(1, 0, 0), sound(80_000 - FRAME));
    assert_eq!(world.stats().lost, 0);
}

#[test]
fn a_packet_from_long_ago_is_late() {
    let mut world = World::new();
    world.talk(1, 0, 0, 10);
    world.talk(1, 11, 11 * 160, 600);
    assert_eq!(world.say(1, 10, 1600), refused(Discarded::Late));
    assert_eq!((world.stats().late, world.stats().lost), (1, 1));
}

#[test]
fn a_hold_with_a_running_timestamp_is_silence_of_its_real_length() {
    let mut world = World::new();
    world.talk(1, 0, 0, 10);
    world.wall += 30 * 8000;
    let timestamp = 10 * 160 + 30 * 8000;
    assert_eq!(
        world.say(1, 10, timestamp + 40),
        sound(81_600 + 240_000 + 40)
    );
    assert_eq!(world.stats().jumps, 0);
}

#[test]
fn a_hold_with_a_frozen_timestamp_begins_anew_by_the_clock() {
    let mut world = World::new();
    world.talk(1, 0, 0, 10);
    world.wall += 30 * 8000;
    assert_eq!(world.say(1, 10, 1600), anew(81_600 + 240_000));
    assert_eq!(world.say(1, 11, 1760), sound(81_760 + 240_000));
    assert_eq!(world.stats().jumps, 1);
}

#[test]
fn a_timestamp_that_jumps_begins_anew_right_behind_the_sound_before() {
    for jump in [5_000_000, -5_000_000_i32, -80, 0] {
        let mut world = World::new();
        world.talk(1, 0, 9_000_000, 10);
        let timestamp = (9_000_000 + 9 * 160_u32).wrapping_add_signed(jump);
        assert_eq!(world.say(1, 10, timestamp), anew(81_600), "{jump}");
        assert_eq!(world.say(1, 11, timestamp + 160), sound(81_760), "{jump}");
        assert_eq!((world.stats().jumps, world.stats().lost), (1, 0), "{jump}");
    }
}

#[test]
fn what_was_sent_before_a_jump_is_late_after_it() {
    let mut world = World::new();
    world.talk(1, 0, 0, 10);
    world.say(1, 11, 5_000_000);
    assert_eq!(world.say(1, 10, 1600), refused(Discarded::Late));
    assert_eq!(world.stats().reordered, 0);
}

#[test]
fn after_a_stall_of_the_network_the_line_comes_back_to_the_clock_at_the_next_silence() {
    let mut world = World::new();
    world.talk(1, 0, 0, 10);
    world.wall += 3 * 8000;
    // Three seconds come at once.
    let stalled = world.wall;
    for frame in 10..160_u16 {
        world.say(1, frame, u32::from(frame) * 160);
        world.wall -= FRAME;
    }
    assert_eq!(world.wall, stalled);
    let end = 80_000 + 10 * FRAME + 3 * 8000 + 150 * FRAME;
    let next = world.say(1, 160, 160 * 160);
    assert_eq!(next, sound(end), "not in the middle of speech");
    // Then nobody speaks for five seconds.
    world.wall += 5 * 8000;
    let clock = world.wall;
    assert_eq!(world.say(1, 161, 161 * 160 + 5 * 8000), sound(clock));
}

#[test]
fn a_line_never_runs_away_from_the_clock() {
    let mut world = World::new();
    world.say(1, 0, 0);
    let (mut last, mut timestamp) = (0, 0);
    for frame in 1..200 {
        timestamp += 1700;
        let (Placed::Sound { position } | Placed::Restarted { position }) =
            world.say(1, frame, timestamp)
        else {
            panic!("lost")
        };
        assert!(position > last && position < world.wall + 11 * 8000);
        last = position;
    }
    assert!(world.stats().jumps > 0);
}

#[test]
fn comfort_noise_keys_and_empty_packets_are_placed_without_moving_the_line() {
    let mut world = World::new();
    world.talk(1, 0, 0, 2);
    let noise = Header {
        payload_len: 1,
        ..header(1, 2, 320)
    };
    assert_eq!(
        world.send(noise, Some(PayloadKind::ComfortNoise)),
        Placed::Event
    );
    let event = Header {
        payload_len: 4,
        ..header(1, 3, 77_000_000)
    };
    assert_eq!(
        world.send(event, Some(PayloadKind::Events(48_000))),
        Placed::Event
    );
    let empty = Header {
        payload_len: 0,
        ..header(1, 4, 0)
    };
    assert_eq!(world.send(empty, SOUND), Placed::Event);
    assert_eq!(
        world.send(header(1, 5, 0), None),
        refused(Discarded::WrongType)
    );
    assert_eq!(world.say(1, 6, 320), sound(80_320));
    let stats = world.stats();
    assert_eq!((stats.received, stats.discarded, stats.lost), (6, 1, 0));
}

#[test]
fn l16_counts_two_bytes_a_sample_and_frames_may_be_of_any_length() {
    let mut world = World::new();
    let wide = Some(PayloadKind::Sound {
        bytes_per_sample: 2,
    });
    world.send(header(1, 0, 0), wide);
    world.wall += 80;
    assert_eq!(world.send(header(1, 1, 80), wide), sound(80_080));
    world.wall += 80;
    let long = Header {
        payload_len: 1600,
        ..header(1, 2, 160)
    };
    assert_eq!(world.send(long, SOUND), sound(80_160));
    world.wall += 1600;
    assert_eq!(world.send(header(1, 3, 1760), SOUND), sound(81_760));
}

#[test]
fn a_stray_packet_does_not_steal_the_line() {
    let mut world = World::new();
    world.talk(1, 0, 0, 10);
    for stray in 0..20 {
        assert_eq!(world.say(2, stray, 9), refused(Discarded::Foreign));
        world.wall -= FRAME;
        let sequence = 10 + stray;
        let placed = world.say(1, sequence, u32::from(sequence) * 160);
        assert_eq!(placed, sound(80_000 + u64::from(sequence) * FRAME));
    }
    assert_eq!(world.stats().sources, 0);
}

#[test]
fn a_burst_from_elsewhere_does_not_steal_the_line() {
    let mut world = World::new();
    world.talk(1, 0, 0, 10);
    for sequence in 0..100 {
        let placed = world.send(header(2, sequence, 0), SOUND);
        assert_eq!(placed, refused(Discarded::Foreign));
    }
    assert_eq!(world.say(1, 10, 1600), sound(81_600));
}

#[test]
fn another_source_is_taken_after_some_packets_in_a_row() {
    let mut world = World::new();
    world.talk(1, 0, 0, 10);
    assert_eq!(world.say(2, 100, 7_000_000), refused(Discarded::Foreign));
    assert_eq!(world.say(2, 101, 7_000_160), refused(Discarded::Foreign));
    assert_eq!(world.say(2, 102, 7_000_320), anew(80_000 + 12 * FRAME));
    assert_eq!(world.say(2, 103, 7_000_480), sound(80_000 + 13 * FRAME));
    assert_eq!(world.say(1, 10, 1600), refused(Discarded::Foreign));
    assert_eq!((world.stats().sources, world.stats().discarded), (1, 3));
}

#[test]
fn another_source_is_taken_at_once_after_silence_goodbye_or_signalling() {
    let silence = |world: &mut World| world.wall += 4000;
    let goodbye = |world: &mut World| world.receiver.goodbye(1);
    let signalling = |world: &mut World| world.receiver.renew();
    for happened in [silence as fn(&mut World), goodbye, signalling] {
        let mut world = World::new();
        world.talk(1, 0, 0, 10);
        happened(&mut world);
        let clock = world.wall;
        assert_eq!(world.say(2, 100, 7_000_000), anew(clock));
    }
}

#[test]
fn a_goodbye_that_was_not_meant_is_forgotten() {
    let mut world = World::new();
    world.talk(1, 0, 0, 10);
    world.receiver.goodbye(2);
    assert_eq!(world.say(2, 1, 0), refused(Discarded::Foreign));
    world.receiver.goodbye(1);
    world.talk(1, 11, 1760, 50);
    assert_eq!(world.say(2, 2, 0), refused(Discarded::Foreign));
}

#[test]
fn a_stray_first_packet_holds_the_line_for_no_longer_than_it_lasts() {
    let mut world = World::new();
    world.say(9, 4444, 1);
    world.wall += 240;
    assert_eq!(world.say(1, 0, 0), refused(Discarded::Foreign));
    assert_eq!(world.say(1, 1, 160), anew(world.wall - FRAME));
}

#[test]
fn a_source_that_counts_anew_under_its_old_name_is_followed() {
    // Far off, a little behind, and where its old numbers were.
    for from in [30_000, 60_000, 5] {
        let mut world = World::new();
        world.talk(1, 2000, 0, 600);
        assert_eq!(world.stats().received, 600);
        let from = u16::wrapping_add(from, 2000);
        world.talk(1, from, 900_000_000, 10);
        let stats = world.stats();
        assert_eq!((stats.jumps, stats.lost), (1, 0), "{from}");
        assert!(stats.received >= 608, "{from}: {stats:?}");
    }
}

#[test]
fn an_outage_of_many_minutes_is_loss_and_not_a_jump() {
    let mut world = World::new();
    world.talk(1, 0, 0, 10);
    let frames = 20_000;
    world.wall += frames * FRAME;
    let timestamp = (10 + frames) as u32 * 160;
    let placed = world.say(1, (10 + frames) as u16, timestamp);
    assert_eq!(placed, sound(81_600 + frames * FRAME));
    assert_eq!((world.stats().lost, world.stats().jumps), (frames, 0));
}

#[test]
fn jitter_is_that_of_the_rfc() {
    let mut world = World::new();
    world.talk(1, 0, 0, 50);
    assert_eq!(world.stats().jitter, 0);
    for frame in 50..400_u16 {
        world.wall += if frame % 2 == 0 { 40 } else { 0 };
        world.say(1, frame, u32::from(frame) * 160);
        world.wall -= if frame % 2 == 0 { 40 } else { 0 };
    }
    assert!(
        (35..=40).contains(&world.stats().jitter),
        "{:?}",
        world.stats()
    );
}

#[test]
fn a_report_tells_of_what_came_since_the_last_one() {
    let mut world = World::new();
    assert_eq!(world.receiver.report(world.wall), None);
    world.talk(1, 65_534, 0, 3);
    world
        .receiver
        .sender_report(1, 0x1122_3344_5566_7788, 0, world.wall);
    world.wall += FRAME;
    world.say(1, 2, 640);
    let report = world
        .receiver
        .report(world.wall + 4000 - 2 * FRAME)
        .unwrap();
    assert_eq!((report.ssrc, report.highest), (1, 65_538));
    assert_eq!(
        (report.lost, report.fraction_lost),
        (1, 256_u32.div_euclid(5) as u8)
    );
    assert_eq!(report.last_report, 0x3344_5566);
    assert_eq!(report.delay, 65_536 / 2);
    assert_eq!(world.receiver.report(world.wall), None);
    world.say(1, 3, 800);
    let report = world.receiver.report(world.wall).unwrap();
    assert_eq!((report.lost, report.fraction_lost), (1, 0));
}

#[test]
fn lines_with_one_clock_are_put_right_after_a_silence_by_their_reports() {
    let ntp = |samples: u64| (3_000_000_000 << 32) + (samples << 32) / 8000;
    let mut first = World::new();
    let mut second = World::new();
    first.talk(1, 0, 0, 10);
    // The second line's first packet was on its way for 100 ms longer than the others.
    second.wall += 800;
    second.say(2, 0, 0);
    second.wall -= 800;
    second.talk(2, 1, 160, 9);
    first.receiver.sender_report(1, ntp(80_000), 0, 80_000);
    second.receiver.sender_report(2, ntp(80_000), 0, 80_000);
    second
        .receiver
        .refer_to(first.receiver.ntp_reference().unwrap());
    let placed = second.say(2, 10, 1600);
    assert_eq!(placed, sound(80_800 + 1600), "not in the middle of speech");
    // A word is held up on its way for 300 ms, and the rest of it comes with it.
    second.wall += 2400;
    for frame in 11..26_u16 {
        let timestamp = u32::from(frame) * 160;
        let placed = second.say(2, frame, timestamp);
        assert_eq!(
            placed,
            sound(80_800 + u64::from(timestamp)),
            "not there either"
        );
        second.wall -= FRAME;
    }
    second.wall += 8000;
    let timestamp = 26 * 160 + 8000;
    let placed = second.say(2, 26, timestamp);
    assert_eq!(placed, sound(80_000 + u64::from(timestamp)));
    // Where one delay comes upon another, the reports still know where it belongs.
    for (frame, delay) in [(27, 7200), (28, 4800)] {
        second.wall += delay;
        let timestamp = 8000 + u32::from(frame) * 160;
        let placed = second.say(2, frame, timestamp);
        assert_eq!(placed, sound(80_000 + u64::from(timestamp)), "{delay}");
    }
}

#[test]
fn lines_whose_senders_have_clocks_of_their_own_are_left_alone() {
    let mut world = World::new();
    world.talk(1, 0, 0, 10);
    let mut other = World::new();
    other.say(2, 0, 0);
    other.receiver.sender_report(2, 9 << 32, 0, other.wall);
    let reference = other.receiver.ntp_reference().unwrap();
    world.receiver.sender_report(1, 12 << 32, 0, 80_000);
    world.receiver.refer_to(reference);
    world.wall += 8000;
    assert_eq!(world.say(1, 10, 9600 + 3), sound(89_603));
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Arrives,
    ComesTwice,
    IsLost,
    IsOvertaken(usize),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        8 => Just(Fate::Arrives),
        1 => Just(Fate::ComesTwice),
        1 => Just(Fate::IsLost),
        1 => (1_usize..8).prop_map(Fate::IsOvertaken),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_packet_is_placed_exactly_once_where_it_belongs(
        fates in prop::collection::vec(fate(), 1..400),
        sequence in any::<u16>(),
        timestamp in any::<u32>(),
        jitter in prop::collection::vec(0_u64..400, 16),
    ) {
        let mut order: Vec<(usize, usize)> = Vec::new();
        for (index, fate) in fates.iter().enumerate() {
            match *fate {
                Fate::Arrives => order.push((index, index)),
                Fate::ComesTwice => order.extend([(index, index), (index + 3, index)]),
                Fate::IsLost => {}
                Fate::IsOvertaken(by) => order.push((index + by, index)),
            }
        }
        order.sort_by_key(|&(slot, _)| slot);
        let mut world = World::new();
        let mut origin = None;
        let mut placed = std::collections::BTreeSet::new();
        for &(slot, index) in &order {
            world.wall = 80_000 + slot as u64 * FRAME + jitter[slot % jitter.len()];
            let header = header(
                5,
                sequence.wrapping_add(index as u16),
                timestamp.wrapping_add(index as u32 * 160),
            );
            match world.send(header, SOUND) {
                Placed::Sound { position } => {
                    let begin = position - index as u64 * FRAME;
                    prop_assert_eq!(*origin.get_or_insert(begin), begin);
                    prop_assert!(placed.insert(index), "placed twice");
                }
                Placed::Discarded(Discarded::Duplicate) => prop_assert!(placed.contains(&index)),
                other => prop_assert!(false, "{:?}", other),
            }
        }
        let distinct: std::collections::BTreeSet<usize> = order.iter().map(|it| it.1).collect();
        let stats = world.stats();
        prop_assert_eq!(&placed, &distinct);
        prop_assert_eq!(stats.received + stats.duplicates, order.len() as u64);
        if let (Some(first), Some(last)) = (distinct.first(), distinct.last()) {
            prop_assert_eq!(stats.lost as usize, last - first + 1 - distinct.len());
        }
    }

    #[test]
    fn whatever_comes_in_is_counted_once_and_placed_near_the_clock(
        data in prop::collection::vec(any::<u8>(), 0..6000),
    ) {
        fuzz(&data);
    }
}
