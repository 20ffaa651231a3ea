use std::task::{Context, Poll, Waker};

use call::backlog::Taken;
use call::feed::{ChunkSource, LegControl, LineConfig};
use call::leg::LegConfig;
use call::name::{CallName, Guid, Namespace, Side};
use rtp::rtcp::{self, Item, Report};
use siprec::offer::{Codec as Encoding, Format};
use siprec::sdes::{self, CryptoLine};
use tokio::sync::mpsc;

use super::*;
use crate::intake::{Arrival, Intake, Introduction};
use crate::siprec::tally::RtcpKind;

const PEER: &str = "192.0.2.1:4000";
const PEER_RTCP: &str = "192.0.2.1:4001";
const STRANGER: &str = "198.51.100.1:4000";
const SSRC: u32 = 0x1234_5678;
const FRAME: u64 = 160;

struct World {
    line: Line,
    control: LegControl,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    now: Instant,
    sequence: u16,
    timestamp: u32,
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn format(number: &str, codec: Encoding) -> Format {
    Format {
        number: number.to_owned(),
        codec,
        name: String::new(),
        clock_rate: 8000,
        channels: 1,
        parameters: None,
    }
}

fn media() -> MediaLine {
    MediaLine {
        port: 20_000,
        remote: Some(address(PEER)),
        remote_rtcp: Some(address(PEER_RTCP)),
        rtcp_mux: false,
        formats: vec![
            format("0", Encoding::Pcmu),
            format("96", Encoding::L16),
            format("101", Encoding::TelephoneEvent),
            format("13", Encoding::ComfortNoise),
        ],
        crypto: None,
        our_crypto: None,
        label: Some("1".to_owned()),
        is_active: true,
    }
}

fn crypto(key: u8) -> CryptoLine {
    CryptoLine {
        tag: 1,
        suite: sdes::Suite::AesCm128HmacSha1_80,
        keys: vec![sdes::Keys {
            key: vec![key; 16],
            salt: vec![key; 14],
            mki: None,
        }],
    }
}

fn rtp_packet(payload_type: u8, sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80, payload_type];
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(timestamp.to_be_bytes());
    bytes.extend(SSRC.to_be_bytes());
    bytes.extend(payload);
    bytes
}

impl World {
    fn new(media: MediaLine) -> Self {
        let now = Instant::now();
        let (intake, mut arrivals) = Intake::new(LegConfig::default());
        let clock = Arc::new(SessionClock::new(now));
        let call = CallName {
            namespace: Namespace::Siprec,
            guid: Guid::parse("0042").unwrap(),
        };
        let introduction = Introduction::new(call, Side::First, Vec::new());
        let feed = intake.open(now, clock.media(), introduction);
        let Ok(Arrival::Opened(opened)) = arrivals.try_recv() else {
            panic!("no leg")
        };
        let limits = LineLimits {
            source_packets: 3,
            source_timeout: Duration::from_secs(1),
        };
        Self {
            line: Line::new((now, 7), feed, clock, media, limits),
            control: opened.control,
            arrivals,
            now,
            sequence: 1000,
            timestamp: 50_000,
        }
    }

    fn open(&mut self) -> ChunkSource {
        let config = LineConfig {
            chunk_samples: FRAME as usize,
            chunks_max: 10_000,
        };
        let source = self.control.open(self.control.clock().now(), config);
        self.empty();
        source.unwrap()
    }

    fn empty(&mut self) {
        let opening = self.line.opened(&Context::from_waker(Waker::noop()));
        self.line.emptied(opening.unwrap());
    }

    /// 20 ms of one byte, 20 ms after the last.
    fn sound(&mut self, byte: u8) -> Fate {
        self.packet(PEER, 0, &[byte; FRAME as usize])
    }

    fn packet(&mut self, from: &str, payload_type: u8, payload: &[u8]) -> Fate {
        self.now += Duration::from_millis(20);
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(FRAME as u32);
        let bytes = rtp_packet(payload_type, self.sequence, self.timestamp, payload);
        self.bytes(from, &bytes)
    }

    fn bytes(&mut self, from: &str, bytes: &[u8]) -> Fate {
        self.line.take_tally();
        self.line.rtp(self.now, address(from), &mut bytes.to_vec());
        self.line.settle(self.now);
        let tally = self.line.take_tally();
        let mut fates = Fate::ALL.iter().copied();
        fates
            .find(|fate| tally.packets[*fate as usize] == 1)
            .expect("every packet has one fate")
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now += Duration::from_millis(100);
            self.line.tick(self.now);
        }
        self.timestamp = self.timestamp.wrapping_add((time.as_millis() as u32) * 8);
    }

    fn rtcp(&mut self, from: &str, bytes: &[u8]) -> RtcpKind {
        self.line.take_tally();
        self.line.rtcp(self.now, address(from), &mut bytes.to_vec());
        let tally = self.line.take_tally();
        let mut kinds = RtcpKind::ALL.iter().copied();
        kinds
            .find(|kind| tally.rtcp_received[*kind as usize] == 1)
            .expect("every report is of one kind")
    }
}

fn take_all(source: &mut ChunkSource) -> Vec<i16> {
    let context = Context::from_waker(Waker::noop());
    let mut samples = Vec::new();
    while let Poll::Ready(Taken::Chunk(chunk)) = source.poll_take(&context) {
        samples.extend(chunk.samples);
    }
    samples
}

#[test]
fn what_is_said_behind_a_shut_gate_never_becomes_sound() {
    let mut world = World::new(media());
    for _ in 0..10 {
        assert_eq!(world.sound(0x00), Fate::Withheld);
    }
    assert_eq!(world.control.stats().gated, 10 * FRAME);
    let mut source = world.open();
    assert_eq!(world.sound(0xff), Fate::Passed);
    assert_eq!(take_all(&mut source), vec![0; FRAME as usize]);
    world.control.shut(false);
    assert_eq!(world.sound(0x00), Fate::Withheld);
    assert_eq!(take_all(&mut source), Vec::<i16>::new());
}

#[test]
fn what_arrived_before_an_opening_is_withheld_though_it_is_read_after_it() {
    let mut world = World::new(media());
    let _before = world.open();
    assert_eq!(world.sound(0xff), Fate::Passed);
    world.control.shut(false);
    // Shut and opened again before the socket is read.
    let config = LineConfig {
        chunk_samples: FRAME as usize,
        chunks_max: 100,
    };
    let mut source = world.control.open(0, config).unwrap();
    assert_eq!(world.sound(0x00), Fate::Withheld);
    world.empty();
    assert_eq!(world.sound(0xff), Fate::Passed);
    assert!(take_all(&mut source).iter().all(|sample| *sample == 0));
}

#[test]
fn a_paused_gate_puts_silence_where_sound_was() {
    let mut world = World::new(media());
    let mut source = world.open();
    world.sound(0x80);
    world.control.pause(false);
    assert_eq!(world.sound(0x00), Fate::Withheld);
    assert!(world.control.resume());
    world.empty();
    world.sound(0x80);
    let samples = take_all(&mut source);
    assert_eq!(samples.len(), 3 * FRAME as usize);
    assert!(samples[160..320].iter().all(|sample| *sample == 0));
    assert!(
        samples[..160]
            .iter()
            .chain(&samples[320..])
            .all(|sample| *sample > 30_000)
    );
}

#[test]
fn linear_sound_is_turned_into_our_byte_order() {
    let mut world = World::new(media());
    let mut source = world.open();
    let payload: Vec<u8> = (0..FRAME).flat_map(|_| [0x12, 0x34]).collect();
    assert_eq!(world.packet(PEER, 96, &payload), Fate::Passed);
    assert_eq!(take_all(&mut source), vec![0x1234; FRAME as usize]);
}

#[test]
fn what_a_stranger_sends_is_counted_and_not_heard() {
    let mut world = World::new(media());
    let mut source = world.open();
    world.sound(0xff);
    assert_eq!(world.packet(STRANGER, 0, &[0; 160]), Fate::ForeignAddress);
    assert_eq!(world.sound(0xff), Fate::Passed);
    assert!(take_all(&mut source).iter().all(|sample| *sample == 0));
}

#[test]
fn what_is_no_packet_or_of_no_agreed_format_is_not_heard() {
    let mut world = World::new(media());
    let _source = world.open();
    assert_eq!(world.bytes(PEER, b"hello"), Fate::Malformed);
    assert_eq!(world.packet(PEER, 18, &[0; 20]), Fate::WrongType);
    assert_eq!(world.sound(0xff), Fate::Passed);
    let again = rtp_packet(0, world.sequence, world.timestamp, &[0; 160]);
    assert_eq!(world.bytes(PEER, &again), Fate::Duplicate);
}

impl World {
    /// A key of 100 ms: three packets that begin it, three that end it.
    fn press(&mut self, code: u8) {
        for flags in [10, 10, 10, 0x8a, 0x8a, 0x8a] {
            self.event(&[code, flags, 0x03, 0x20]);
        }
        self.released();
    }

    fn event(&mut self, payload: &[u8]) {
        self.sequence += 1;
        let mut bytes = rtp_packet(101, self.sequence, self.timestamp, payload);
        self.line.rtp(self.now, address(PEER), &mut bytes);
    }

    fn released(&mut self) {
        self.timestamp += 8000;
        self.now += Duration::from_secs(1);
    }

    /// What the gateway heard of keys since this was last asked.
    fn keys(&mut self) -> String {
        let arrivals = std::iter::from_fn(|| self.arrivals.try_recv().ok());
        let keys = arrivals.filter_map(|arrival| match arrival {
            Arrival::Pressed(_, pressed) => {
                assert_eq!(pressed.duration, Some(Duration::from_millis(100)));
                Some(pressed.key.into_revealed())
            }
            _ => None,
        });
        keys.collect()
    }
}

#[test]
fn a_key_is_told_and_counted_while_the_gate_is_open_and_never_otherwise() {
    let mut world = World::new(media());
    world.sound(0xff);
    world.press(1);
    let _source = world.open();
    world.sound(0xff);
    world.press(5);
    world.press(11);
    world.control.pause(false);
    world.press(2);
    world.control.resume();
    world.empty();
    world.press(9);
    world.control.shut(false);
    world.press(3);
    assert_eq!(world.keys(), "5#9");
    let tally = world.line.take_tally();
    assert_eq!((tally.keys, tally.keys_untold), (3, 0));
    assert_eq!(tally.packets[Fate::Event as usize], 18);
}

#[test]
fn a_key_of_which_a_gate_kept_out_a_part_is_none() {
    let mut world = World::new(media());
    let _source = world.open();
    world.sound(0xff);
    // It begins behind the open gate and ends behind a shut one.
    world.event(&[1, 10, 0x01, 0x20]);
    world.control.pause(false);
    world.event(&[1, 0x8a, 0x03, 0x20]);
    world.control.resume();
    world.empty();
    world.event(&[1, 0x8a, 0x03, 0x20]);
    world.released();
    // The other way round.
    world.control.pause(false);
    world.event(&[2, 10, 0x01, 0x20]);
    world.control.resume();
    world.empty();
    world.event(&[2, 10, 0x02, 0x20]);
    world.event(&[2, 0x8a, 0x03, 0x20]);
    world.released();
    // It goes on while the gate is shut and opened again, of which no packet says anything.
    world.event(&[3, 10, 0x01, 0x20]);
    world.control.pause(false);
    world.control.resume();
    world.empty();
    world.event(&[3, 0x8a, 0x03, 0x20]);
    world.released();
    // Its beginning was lost, perhaps while the gate was shut.
    world.control.pause(false);
    world.sequence += 1;
    world.control.resume();
    world.empty();
    world.event(&[3, 0x8a, 0x03, 0x20]);
    world.released();
    world.press(4);
    assert_eq!(world.keys(), "4");
    assert_eq!(world.line.take_tally().keys, 1);
}

#[test]
fn keys_faster_than_anybody_presses_are_counted_and_not_told() {
    let mut world = World::new(media());
    let _source = world.open();
    for _ in 0..200 {
        world.event(&[5, 0x8a, 0x03, 0x20]);
        world.timestamp += 800;
    }
    let told = world.keys().len() as u64;
    let tally = world.line.take_tally();
    assert_eq!(told, u64::from(Feed::KEYS_PER_SECOND_MAX));
    assert_eq!((tally.keys, tally.keys_untold), (200, 200 - told));
}

#[test]
fn a_leg_that_newer_media_replaced_hears_nothing_any_more() {
    let mut world = World::new(media());
    world.line.end(LineEnd::Retired);
    assert_eq!(world.sound(0xff), Fate::Retired);
    assert_eq!(world.line.silent_for(world.now), None);
    let Ok(Arrival::Ended(_, ending)) = world.arrivals.try_recv() else {
        panic!("no end")
    };
    assert_eq!(ending.reason, "retired");
}

#[test]
fn a_hold_is_silence_of_its_own_length() {
    let mut world = World::new(media());
    let mut source = world.open();
    world.sound(0xff);
    let held = MediaLine {
        is_active: false,
        ..media()
    };
    world.line.change(world.now, held);
    assert_eq!(world.line.silent_for(world.now), None);
    world.pass(Duration::from_secs(30));
    world.line.change(world.now, media());
    assert_eq!(world.sound(0xff), Fate::Passed);
    let millis = take_all(&mut source).len() / 8;
    assert!(millis.abs_diff(30_040) <= 40, "{millis} ms");
    let stats = world.control.stats();
    assert_eq!(
        (stats.filled, source.take_gap()),
        (0, None),
        "nothing was lost"
    );
}

#[test]
fn suppressed_silence_is_silence_and_a_missing_packet_is_loss() {
    let mut world = World::new(media());
    let _source = world.open();
    world.sound(0xff);
    world.timestamp += 3 * FRAME as u32;
    world.now += Duration::from_millis(60);
    world.sound(0xff);
    let stats = world.control.stats();
    assert_eq!((stats.quiet, stats.filled), (3 * FRAME, 0));
    world.sequence += 3;
    world.timestamp += 3 * FRAME as u32;
    world.now += Duration::from_millis(60);
    for _ in 0..4 {
        world.sound(0xff);
    }
    let stats = world.control.stats();
    assert_eq!((stats.quiet, stats.filled), (3 * FRAME, 3 * FRAME));
}

#[test]
fn a_new_address_is_followed_without_a_new_leg() {
    let mut world = World::new(media());
    world.sound(0xff);
    let moved = MediaLine {
        remote: Some(address("192.0.2.1:4002")),
        ..media()
    };
    world.line.change(world.now, moved);
    assert_eq!(world.packet("192.0.2.1:4002", 0, &[0; 160]), Fate::Withheld);
    assert_eq!(world.sound(0xff), Fate::ForeignAddress);
    assert!(world.arrivals.try_recv().is_err());
}

#[test]
fn reports_go_where_the_peer_says_until_it_reports_itself() {
    let mut world = World::new(media());
    let to = |world: &mut World| world.line.report(world.now, false).unwrap().0;
    assert_eq!(to(&mut world), address(PEER_RTCP));
    let report = Report {
        ssrc: SSRC,
        cname: "peer",
        blocks: &[],
        leaving: false,
    };
    assert_eq!(world.rtcp(STRANGER, &report.write()), RtcpKind::Refused);
    assert_eq!(
        world.rtcp("192.0.2.1:5005", &report.write()),
        RtcpKind::Other
    );
    assert_eq!(to(&mut world), address("192.0.2.1:5005"));
}

#[test]
fn a_peer_behind_translation_is_reported_to_where_its_sound_comes_from() {
    let mut world = World::new(media());
    for _ in 0..3 {
        world.packet(STRANGER, 0, &[0; 160]);
    }
    let (to, _) = world.line.report(world.now, false).unwrap();
    assert_eq!(to, address("198.51.100.1:4001"));
}

#[test]
fn a_report_tells_what_was_received_and_a_last_one_says_goodbye() {
    let mut world = World::new(media());
    world.sound(0xff);
    let (_, bytes) = world.line.report(world.now, true).unwrap();
    let items = rtcp::parse(&bytes).unwrap();
    assert!(items.contains(&Item::ReceiverReport { ssrc: 7 }));
    assert!(items.contains(&Item::Goodbye { ssrc: 7 }));
    assert_eq!(world.line.take_tally().rtcp_sent, 1);
}

#[test]
fn muxed_reports_are_told_from_sound_and_answered_at_its_address() {
    let mut world = World::new(MediaLine {
        rtcp_mux: true,
        ..media()
    });
    world.sound(0xff);
    let goodbye = Report {
        ssrc: SSRC,
        cname: "peer",
        blocks: &[],
        leaving: true,
    };
    world
        .line
        .rtp(world.now, address(PEER), &mut goodbye.write());
    let tally = world.line.take_tally();
    assert_eq!(tally.rtcp_received[RtcpKind::Bye as usize], 1);
    assert_eq!(
        world.line.report(world.now, false).unwrap().0,
        address(PEER)
    );
}

#[test]
fn a_protected_line_takes_nothing_that_is_not_sealed_and_seals_its_reports() {
    let mut world = World::new(MediaLine {
        crypto: Some(crypto(1)),
        our_crypto: Some(crypto(2)),
        ..media()
    });
    let _source = world.open();
    assert_eq!(world.sound(0xff), Fate::Unauthentic);
    assert_eq!(
        world.line.source.locked(),
        None,
        "who cannot seal is not listened to"
    );
    let (_, mut bytes) = world.line.report(world.now, false).unwrap();
    let mut peer = Seal::new(&crypto(2), None).unwrap();
    let opened = peer.open_rtcp(world.now, &mut bytes).unwrap();
    let items = rtcp::parse(&opened).unwrap();
    assert!(items.contains(&Item::ReceiverReport { ssrc: 7 }));
}

#[test]
fn keys_that_cannot_be_used_let_nothing_in() {
    let mut broken = crypto(1);
    broken.keys[0].key.pop();
    let mut world = World::new(MediaLine {
        crypto: Some(broken),
        ..media()
    });
    assert_eq!(world.sound(0xff), Fate::Unauthentic);
    assert!(world.line.report(world.now, false).is_none());
    world.line.change(world.now, media());
    assert_eq!(world.sound(0xff), Fate::Withheld);
}

#[test]
fn lost_packets_are_counted_once_and_never_back() {
    let mut world = World::new(media());
    let mut lost = 0;
    for number in 0..100 {
        if number % 10 == 5 {
            world.sequence += 1;
            world.timestamp += FRAME as u32;
            world.now += Duration::from_millis(20);
        }
        world.now += Duration::from_millis(20);
        world.sequence += 1;
        world.timestamp += FRAME as u32;
        let mut bytes = rtp_packet(0, world.sequence, world.timestamp, &[0xff; 160]);
        world.line.rtp(world.now, address(PEER), &mut bytes);
        lost += world.line.take_tally().lost;
    }
    world.line.end(LineEnd::Ended);
    lost += world.line.take_tally().lost;
    assert_eq!(lost, 10);
}

#[test]
fn a_packet_that_was_only_overtaken_is_never_told_as_lost() {
    let mut world = World::new(media());
    let mut lost = 0;
    for number in [1, 3, 2, 4, 6, 7, 5, 8, 10] {
        world.now += Duration::from_millis(20);
        let timestamp = u32::from(number) * FRAME as u32;
        let mut bytes = rtp_packet(0, number, timestamp, &[0xff; 160]);
        world.line.rtp(world.now, address(PEER), &mut bytes);
        if number % 3 == 0 {
            lost += world.line.take_tally().lost;
        }
    }
    assert_eq!(lost, 0);
    world.line.end(LineEnd::Ended);
    assert_eq!(world.line.take_tally().lost, 1, "the one that never came");
}
