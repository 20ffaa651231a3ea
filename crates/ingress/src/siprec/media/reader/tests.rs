use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::task::{Context, Poll};

use call::backlog::Taken;
use call::feed::{ChunkSource, LegControl, LineConfig};
use call::leg::LegConfig;
use call::name::{CallName, Guid, Namespace, Side};
use prometheus::Registry;
use siprec::offer::{Codec, Format};
use siprec::server::{MediaLine, SessionId};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::super::{Order, Readers};
use super::*;
use crate::intake::{Arrival, Feed, Intake, Introduction};
use crate::metrics::Metrics;
use crate::siprec::clock::SessionClock;
use crate::siprec::config::PortRange;
use crate::siprec::line::{Line, LineLimits};
use crate::siprec::ports::{Lease, Ports};

const EVERY: Duration = Duration::from_millis(1);

/// A reader that is called by hand, and lines of which the test has the other ends.
struct World {
    reader: Reader,
    sender: mpsc::UnboundedSender<Note>,
    intake: Intake,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    ports: Arc<Ports>,
    metrics: Arc<Metrics>,
    peer: UdpSocket,
    ends: Vec<Ends>,
}

/// What others have of a line.
struct Ends {
    control: LegControl,
    orders: watch::Sender<Order>,
    retire: tokio_util::sync::CancellationToken,
    key: Key,
    port: u16,
    sequence: u16,
}

fn media(port: u16) -> MediaLine {
    MediaLine {
        port,
        remote: None,
        remote_rtcp: None,
        rtcp_mux: false,
        formats: vec![Format {
            number: "0".to_owned(),
            codec: Codec::Pcmu,
            name: String::new(),
            clock_rate: 8000,
            channels: 1,
            parameters: None,
        }],
        crypto: None,
        our_crypto: None,
        label: None,
        is_active: true,
    }
}

fn line(now: Instant, feed: Feed, clock: Arc<SessionClock>, port: u16) -> Line {
    let limits = LineLimits {
        source_packets: 3,
        source_timeout: Duration::from_secs(1),
    };
    Line::new((now, 7), feed, clock, media(port), limits)
}

impl World {
    /// Each test has a stretch of ports of its own.
    #[expect(clippy::disallowed_methods, reason = "a few notes")]
    fn new(first: u16, lines: usize) -> Self {
        let (sender, notes) = mpsc::unbounded_channel();
        let (intake, arrivals) = Intake::new(LegConfig::default());
        let metrics = Arc::new(Metrics::register(&Registry::new()).unwrap());
        let last = first + 2 * lines.max(1) as u16 - 1;
        let range = PortRange::new(first, last).unwrap();
        let resting = (Duration::ZERO, 1 << 20);
        let mut world = Self {
            reader: Reader::new(notes, sender.downgrade(), EVERY).unwrap(),
            sender,
            intake,
            arrivals,
            ports: Ports::new(range, 0, resting, Arc::clone(&metrics)),
            metrics,
            peer: UdpSocket::bind("127.0.0.1:0").unwrap(),
            ends: Vec::new(),
        };
        for _ in 0..lines {
            let (reception, mut ends) = world.reception();
            world.reader.begin(Instant::now(), reception);
            ends.key = *world.reader.lines.keys().last().unwrap();
            world.ends.push(ends);
        }
        world
    }

    fn reception(&mut self) -> (Reception, Ends) {
        let now = Instant::now();
        let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
        let lease: Lease = self.ports.lease(now, loopback, 1).unwrap().remove(0);
        let clock = Arc::new(SessionClock::new(now));
        let call = CallName {
            namespace: Namespace::Siprec,
            guid: Guid::parse("0042").unwrap(),
        };
        let introduction = Introduction::new(call, Side::First, Vec::new());
        let feed = self.intake.open(now, clock.media(), introduction);
        let Ok(Arrival::Opened(opened)) = self.arrivals.try_recv() else {
            panic!("no leg")
        };
        let port = lease.port();
        let (sender, orders) = watch::channel(Order::Receive(Arc::new(media(port))));
        let ends = Ends {
            control: opened.control,
            orders: sender,
            retire: opened.retire,
            key: Seats::new().seat(|_| ()),
            port,
            sequence: 0,
        };
        let reception = Reception {
            session: SessionId(1),
            index: 0,
            retired: feed.retired(),
            line: line(now, feed, clock, port),
            lease,
            orders,
            signals: mpsc::channel(8).0,
            metrics: Arc::clone(&self.metrics),
            rtcp_interval: Duration::from_secs(5),
            media_timeout: Duration::ZERO,
        };
        (reception, ends)
    }

    /// So many packets of 20 ms of one byte come to a line's socket.
    fn say(&mut self, line: usize, byte: u8, packets: u16) {
        let Ends { port, sequence, .. } = &mut self.ends[line];
        for _ in 0..packets {
            *sequence += 1;
            let mut packet = vec![0x80, 0];
            packet.extend(sequence.to_be_bytes());
            packet.extend((u32::from(*sequence) * 160).to_be_bytes());
            packet.extend([0, 0, 0, 7]);
            packet.extend([byte; 160]);
            self.peer.send_to(&packet, ("127.0.0.1", *port)).unwrap();
        }
    }

    fn open(&self, line: usize) -> ChunkSource {
        let control = &self.ends[line].control;
        let config = LineConfig {
            chunk_samples: 160,
            chunks_max: 1000,
        };
        control.open(control.clock().now(), config).unwrap()
    }

    /// Packets that were read of a line.
    fn read(&self, line: usize) -> u64 {
        self.ends[line].control.stats().frames
    }

    fn ended(&mut self) -> Option<&'static str> {
        match self.arrivals.try_recv() {
            Ok(Arrival::Ended(_, ending)) => Some(ending.reason),
            _ => None,
        }
    }
}

/// The samples that are not silence.
fn heard(source: &mut ChunkSource) -> Vec<i16> {
    let context = Context::from_waker(Waker::noop());
    let mut samples = Vec::new();
    while let Poll::Ready(Taken::Chunk(chunk)) = source.poll_take(&context) {
        samples.extend(chunk.samples.iter().filter(|sample| **sample != 0));
    }
    samples
}

// 0x00 is the least sample of mu-law, 0x80 the greatest.
const BEFORE: u8 = 0x00;
const AFTER: u8 = 0x80;

#[tokio::test]
async fn what_had_arrived_when_a_gate_opened_is_never_heard() {
    // Whether the reader comes to the packets or to the opening first.
    for (first, is_answered_first) in [(31_000, true), (31_020, false)] {
        let mut world = World::new(first, 1);
        world.say(0, BEFORE, 70);
        let mut source = world.open(0);
        if is_answered_first {
            world.reader.take_notes();
            assert_eq!(world.read(0), 70, "the socket is drained at once");
        } else {
            world.reader.pass().await;
        }
        world.reader.take_notes();
        world.say(0, AFTER, 5);
        world.reader.pass().await;
        assert_eq!(world.read(0), 75);
        assert_eq!(heard(&mut source), [32_124; 5 * 160]);
    }
}

#[tokio::test]
async fn what_was_said_through_a_shut_gate_is_not_heard_though_it_opened_before_it_was_read() {
    let mut world = World::new(31_040, 1);
    let mut earlier = world.open(0);
    world.reader.take_notes();
    world.say(0, AFTER, 1);
    world.reader.pass().await;
    world.ends[0].control.shut(false);
    world.say(0, BEFORE, 3);
    let mut source = world.open(0);
    world.reader.pass().await;
    world.ends[0].control.pause(false);
    world.say(0, BEFORE, 3);
    assert!(world.ends[0].control.resume());
    world.reader.pass().await;
    world.say(0, AFTER, 2);
    world.reader.pass().await;
    assert_eq!(heard(&mut earlier), [32_124; 160]);
    assert_eq!(heard(&mut source), [32_124; 2 * 160]);
}

#[tokio::test]
async fn a_flood_at_one_line_has_its_share_and_keeps_no_other_waiting() {
    let mut world = World::new(31_060, 2);
    world.say(0, BEFORE, 100);
    world.say(1, BEFORE, 3);
    world.reader.pass().await;
    let share = u64::from(DATAGRAMS_MAX);
    assert_eq!((world.read(0), world.read(1)), (share, 3));
    for passes in 2..=4 {
        world.reader.pass().await;
        assert_eq!(world.read(0), (passes * share).min(100));
    }
}

#[tokio::test]
async fn a_line_that_falls_over_ends_its_own_leg_and_no_other() {
    let mut world = World::new(31_080, 2);
    let key = world.ends[0].key;
    let falls = |_: &mut Seated, _: &mut Packet| -> Result<(), LineEnd> {
        std::panic::resume_unwind(Box::new("as a test wants it"))
    };
    let done = world.reader.turn(key, falls);
    assert_eq!((done, world.ended()), (None, Some("dropped")));
    world.say(0, BEFORE, 1);
    world.say(1, BEFORE, 1);
    world.reader.pass().await;
    assert_eq!((world.read(0), world.read(1)), (0, 1));
}

#[tokio::test]
async fn an_order_is_carried_out_between_intervals() {
    let mut world = World::new(31_100, 2);
    let end = Order::End(LineEnd::Ended);
    world.ends[0].orders.send(end).unwrap();
    world.ends[1].retire.cancel();
    world.reader.take_notes();
    let mut endings = [world.ended(), world.ended()];
    endings.sort_unstable();
    assert_eq!(endings, [Some("retired"), Some("stopped")]);
    // Nobody waits for the first one's socket any more; the second's is drained.
    world.say(0, BEFORE, 1);
    world.say(1, BEFORE, 1);
    let mut tokens = [0; BATCH];
    assert_eq!(world.reader.ready(&mut tokens).unwrap(), 1);
    world.reader.pass().await;
    assert_eq!(world.reader.ready(&mut tokens).unwrap(), 0);
    assert_eq!(world.reader.lines.keys(), [world.ends[1].key]);
}

/// More than a task may do before it has to wait.
#[tokio::test]
async fn many_orders_are_all_carried_out_at_once() {
    let mut world = World::new(31_200, 2);
    for _ in 0..100 {
        for ends in &world.ends {
            let same = Order::Receive(Arc::new(media(ends.port)));
            ends.orders.send(same).unwrap();
        }
        world.reader.take_notes();
    }
    for ends in &world.ends {
        ends.orders.send(Order::End(LineEnd::Removed)).unwrap();
    }
    world.reader.take_notes();
    for _ in 0..2 {
        assert_eq!(world.ended(), Some("line_removed"));
    }
}

#[tokio::test]
async fn what_came_before_the_end_is_heard_though_it_was_not_read_yet() {
    let mut world = World::new(31_220, 1);
    let mut source = world.open(0);
    world.reader.take_notes();
    world.say(0, AFTER, 3);
    let end = Order::End(LineEnd::Ended);
    world.ends[0].orders.send(end).unwrap();
    world.reader.take_notes();
    assert_eq!(world.ended(), Some("stopped"));
    assert_eq!(heard(&mut source), [32_124; 3 * 160]);
}

#[tokio::test]
async fn a_line_that_is_flooded_while_its_gate_opens_is_looked_at_again() {
    let mut world = World::new(31_180, 1);
    let mut source = world.open(0);
    let key = world.ends[0].key;
    world.say(0, BEFORE, 1);
    world.reader.undrained.push(key);
    world.reader.pass().await;
    world.say(0, AFTER, 1);
    world.reader.pass().await;
    assert_eq!(heard(&mut source), [32_124; 160]);
    assert!(world.reader.undrained.is_empty());
}

#[tokio::test]
async fn a_line_that_nobody_can_order_any_more_is_over() {
    let mut world = World::new(31_120, 1);
    world.ends.clear();
    world.reader.take_notes();
    assert_eq!(world.ended(), Some("shutdown"));
    assert!(world.reader.lines.is_empty());
}

#[tokio::test]
async fn a_reader_that_is_not_needed_any_more_ends_its_lines() {
    let mut world = World::new(31_140, 2);
    let World { reader, sender, .. } = world;
    drop(sender);
    reader.run().await;
    for _ in 0..2 {
        let arrival = world.arrivals.try_recv();
        let Ok(Arrival::Ended(_, ending)) = arrival else {
            panic!("{arrival:?}")
        };
        assert_eq!(ending.reason, "shutdown");
    }
}

#[tokio::test]
async fn a_reader_that_fell_over_is_replaced() {
    let mut world = World::new(31_160, 0);
    let tasks = TaskTracker::new();
    let mut readers = Readers::new(EVERY, tasks.clone());
    readers.fall_over();
    let (reception, ends) = world.reception();
    readers.begin(reception);
    world.ends.push(ends);
    let mut source = world.open(0);
    tokio::time::timeout(Duration::from_secs(10), async {
        while heard(&mut source).is_empty() {
            world.say(0, AFTER, 1);
            tokio::time::sleep(EVERY).await;
        }
    })
    .await
    .expect("nobody reads");
    drop(readers);
    tasks.close();
    tasks.wait().await;
    assert_eq!(world.ended(), Some("shutdown"));
}
