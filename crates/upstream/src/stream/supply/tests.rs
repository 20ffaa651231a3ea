use std::task::Waker;
use std::time::{Duration, Instant};

use call::audio::{self, Codec, Frame};
use call::budget::Budget;
use call::feed::{LegControl, LegFeed, LineConfig, MediaClock, leg};
use call::leg::LegConfig;
use proptest::prelude::*;

use super::*;
use crate::stream::replay::{Replay, Sent};
use crate::timeline::TimeLine;

const LOUD: i16 = 1000;

/// What can happen to a stream, with how much of it.
#[derive(Clone, Debug)]
enum Step {
    /// The service accepts the socket.
    Accept,
    /// A final transcript ends so many samples before the newest that was sent.
    Final(u64),
    /// The platform's clock jumps.
    Jump(u64),
    /// The socket is lost, perhaps in the middle of a chunk.
    Lose { in_writing: bool },
    /// The gate is shut for a while; what is unsent may be thrown away.
    Pause { discard: bool },
    /// The gate opens again.
    Resume,
    /// Another socket takes over, and the old one gives its last word or does not.
    RollOver { is_answered: bool },
    /// So many messages go out.
    Send(u8),
    /// Sound comes in.
    Sound { samples: u64, is_loud: bool },
    /// From here on a service that wants its sound otherwise.
    Turn(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Accept),
        2 => (0u64..4000).prop_map(Step::Final),
        1 => (1u64..60_000).prop_map(Step::Jump),
        2 => any::<bool>().prop_map(|in_writing| Step::Lose { in_writing }),
        1 => any::<bool>().prop_map(|discard| Step::Pause { discard }),
        1 => Just(Step::Resume),
        1 => any::<bool>().prop_map(|is_answered| Step::RollOver { is_answered }),
        6 => (1u8..12).prop_map(Step::Send),
        8 => (1u64..2000, any::<bool>())
            .prop_map(|(samples, is_loud)| Step::Sound { samples, is_loud }),
        1 => (0u8..3).prop_map(Step::Turn),
    ]
}

fn limits(of: u8) -> Limits {
    let (chunk, min, max) = [(20, 0, 1000), (50, 50, 200), (10, 0, 10)][usize::from(of)];
    let [chunk, chunk_min, chunk_max] = [chunk, min, max].map(Duration::from_millis);
    Limits {
        chunk,
        chunk_min,
        chunk_max,
        pace_percent: 120,
        burst: Duration::ZERO,
        idle: Duration::ZERO,
        session_max: Duration::ZERO,
        accepts_at_open: false,
        counts_bytes: true,
    }
}

struct Socket {
    replay: Replay,
    line: TimeLine,
    is_accepted: bool,
    /// For each of its samples the stream's clock, if it was not padding.
    heard: Vec<Option<u64>>,
}

/// A stream without its sockets' wires.
struct World {
    feed: LegFeed,
    control: LegControl,
    supply: Supply,
    socket: Socket,
    limits: Limits,
    replay: Duration,
    /// The leg's clock.
    at: u64,
    /// By the stream's clock: whether a service was sent it, and it is of somebody's voice.
    voice: Vec<bool>,
    /// By the stream's clock: whether a final has confirmed it, or it was told as lost.
    settled: Vec<bool>,
    /// The same, if a final has confirmed it.
    confirmed: Vec<bool>,
    /// Where finals ended.
    finals: Vec<u64>,
    /// Samples of gaps told of what was never sent.
    unsent: u64,
}

fn mark(marks: &mut Vec<bool>, from: u64, to: u64) {
    if marks.len() < to as usize {
        marks.resize(to as usize, false);
    }
    marks[from as usize..to as usize].fill(true);
}

impl Socket {
    fn new(replay: Duration, budget: &Budget) -> Self {
        Self {
            replay: Replay::new(replay, budget),
            line: TimeLine::default(),
            is_accepted: false,
            heard: Vec::new(),
        }
    }
}

impl World {
    fn new(replay: Duration) -> Self {
        Self::within(replay, &Budget::unlimited())
    }

    fn within(replay: Duration, budget: &Budget) -> Self {
        let now = Instant::now();
        let (feed, control) = leg(now, LegConfig::default(), MediaClock::default());
        let config = LineConfig {
            chunk_samples: 160,
            chunks_max: 30,
        };
        let source = control.open_within(0, config, budget).unwrap();
        Self {
            feed,
            control,
            supply: Supply::new(source),
            socket: Socket::new(replay, budget),
            limits: limits(0),
            replay,
            at: 0,
            voice: Vec::new(),
            settled: Vec::new(),
            confirmed: Vec::new(),
            finals: Vec::new(),
            unsent: 0,
        }
    }

    fn happen(&mut self, step: Step) {
        match step {
            Step::Accept => {
                self.socket.is_accepted = true;
                self.socket.replay.age();
            }
            Step::Final(before) => self.hear_final(before),
            Step::Jump(samples) => self.at += samples,
            Step::Lose { in_writing } => {
                if in_writing {
                    self.send(false);
                }
                self.lose();
            }
            Step::Pause { discard } => self.control.pause(discard),
            Step::Resume => drop(self.control.resume()),
            Step::RollOver { is_answered } if self.socket.is_accepted => {
                if is_answered {
                    self.hear_final(0);
                }
                let old = std::mem::replace(
                    &mut self.socket,
                    Socket::new(self.replay, self.supply.budget()),
                );
                self.socket.replay.confirm(self.supply.confirmed_to());
                self.settle(old.replay.leave().forsaken());
                self.socket.is_accepted = true;
            }
            Step::RollOver { .. } => {}
            Step::Send(messages) => {
                for _ in 0..messages {
                    if !self.send(true) {
                        break;
                    }
                }
            }
            Step::Sound { samples, is_loud } => {
                let sample = if is_loud { LOUD } else { 0 };
                let payload: Vec<u8> = (0..samples).flat_map(|_| sample.to_le_bytes()).collect();
                let frame = Frame {
                    position: self.at,
                    codec: Codec::L16,
                    payload: &payload,
                };
                self.feed.push(Instant::now(), frame);
                self.at += samples;
            }
            Step::Turn(of) => self.limits = limits(of),
        }
    }

    fn hear_final(&mut self, before: u64) {
        let sent = self.socket.heard.iter().flatten();
        let Some(newest) = sent.clone().max().filter(|_| self.socket.is_accepted) else {
            return;
        };
        let to = (newest + 1).saturating_sub(before);
        for &at in sent.filter(|at| **at < to) {
            mark(&mut self.settled, at, at + 1);
            mark(&mut self.confirmed, at, at + 1);
        }
        self.finals.push(to);
        self.socket.replay.confirm(to);
    }

    /// One message goes out, perhaps not to its end. False if there is none.
    fn send(&mut self, to_its_end: bool) -> bool {
        self.purge();
        let context = Context::from_waker(Waker::noop());
        let piece = match self.supply.poll_next(&context, &self.limits) {
            Poll::Ready(Next::Sound(piece)) => piece,
            Poll::Ready(Next::Endpoint) => return true,
            Poll::Ready(Next::Ended) | Poll::Pending => return false,
        };
        let Piece { chunk, padding } = piece;
        let length = audio::duration(chunk.len() + padding);
        assert!(length >= self.limits.chunk_min && length <= self.limits.chunk_max);
        let (from, to) = (chunk.position, chunk.position + chunk.len());
        let fresh = self.supply.send(&chunk);
        self.socket.line.sent(&chunk);
        self.socket.line.padded(padding);
        self.socket.heard.extend((from..to).map(Some));
        self.socket.heard.extend((0..padding).map(|_| None));
        let voice: Vec<_> = (from..to).zip(&chunk.samples).collect();
        for (at, _) in voice.into_iter().filter(|(_, sample)| **sample == LOUD) {
            mark(&mut self.voice, at, at + 1);
        }
        self.socket.replay.write(Sent::new(chunk, fresh));
        if to_its_end {
            self.socket.replay.written();
            if self.socket.is_accepted {
                self.socket.replay.age();
            }
        }
        true
    }

    fn lose(&mut self) {
        let lost = std::mem::replace(
            &mut self.socket,
            Socket::new(self.replay, self.supply.budget()),
        );
        let beyond = self.supply.take_back(lost.replay.leave(), lost.is_accepted);
        self.socket.replay.confirm(self.supply.confirmed_to());
        self.settle(beyond);
    }

    fn shed(&mut self) {
        let mut forsaken = Forsaken::default();
        self.supply.shed(&mut forsaken);
        self.forsake(forsaken);
    }

    /// Whether it belongs to what a final told, which ended a little too early.
    fn is_tail(&self, at: usize) -> bool {
        let tail = audio::samples(Stretches::TAIL);
        let mut finals = self.finals.iter();
        finals.any(|to| (*to..*to + tail).contains(&(at as u64)))
    }

    fn purge(&mut self) {
        let mut forsaken = Forsaken::default();
        if let Some(before) = self.supply.purge(&mut forsaken) {
            self.socket.replay.purge(before);
        }
        self.forsake(forsaken);
    }

    fn forsake(&mut self, forsaken: Forsaken) {
        self.settle(forsaken.unconfirmed);
        for gap in forsaken.unsent {
            self.unsent += gap.to - gap.from;
            mark(&mut self.settled, gap.from, gap.to);
        }
    }

    fn settle(&mut self, stretches: Stretches) {
        for gap in stretches.unconfirmed() {
            let told = gap.from as usize..gap.to as usize;
            let mut heard = self.confirmed.iter().take(told.end).skip(told.start);
            assert!(!heard.any(|heard| *heard), "{gap:?} was confirmed");
            mark(&mut self.settled, gap.from, gap.to);
        }
    }

    /// Of every sample that was taken exactly one is true.
    fn check_sums(&self) {
        let counts = self.supply.source.counts();
        let account = self.supply.account();
        assert_eq!(
            counts.taken,
            account.sent() + account.dropped() + self.supply.held()
        );
        assert_eq!(
            counts.appended,
            counts.taken + counts.dropped + self.supply.source.waiting()
        );
        assert_eq!(account.dropped(), self.unsent);
    }

    /// A service's times lead to the sample it heard then, and never go back but for a replay.
    fn check_times(&self) {
        let (line, mut before) = (&self.socket.line, Duration::ZERO);
        for (index, position) in self.socket.heard.iter().enumerate().step_by(40) {
            let start = line.start(audio::duration(index as u64));
            let end = line.end(audio::duration(index as u64 + 1));
            if let Some(position) = position {
                assert_eq!(start, audio::duration(*position));
                assert_eq!(end, audio::duration(*position + 1));
            }
            assert!(start >= before && end >= start);
            before = start;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn every_sample_is_sent_or_dropped_or_waits_and_no_voice_goes_missing_untold(
        steps in prop::collection::vec(step(), 1..80),
        replay_ms in prop_oneof![Just(0u64), 1u64..800],
        bytes_max in prop_oneof![Just(0u64), 1u64..20_000],
    ) {
        let budget = Budget::new(bytes_max, Duration::from_millis(60));
        let mut world = World::within(Duration::from_millis(replay_ms), &budget);
        for step in steps {
            world.happen(step);
            world.shed();
            world.check_sums();
            world.check_times();
        }
        // The stream is given up in the end.
        world.control.shut(false);
        world.purge();
        world.lose();
        let mut forsaken = Forsaken::default();
        world.supply.give_up(&mut forsaken);
        world.forsake(forsaken);
        world.check_sums();
        prop_assert_eq!(world.supply.waiting(), 0);
        let untold = world.voice.iter().enumerate().position(|(at, voice)| {
            let is_settled = world.settled.get(at).copied().unwrap_or(false);
            *voice && !is_settled && !world.is_tail(at)
        });
        prop_assert_eq!(untold, None);
        drop(world);
        prop_assert_eq!((budget.bytes(), budget.kept_bytes()), (0, 0));
    }
}

fn taken_back(world: &mut World) -> Vec<(u64, i16)> {
    let context = Context::from_waker(Waker::noop());
    let mut chunks = Vec::new();
    while let Poll::Ready(Next::Sound(piece)) = world.supply.poll_next(&context, &world.limits) {
        world.supply.send(&piece.chunk);
        chunks.push((piece.chunk.position, piece.chunk.samples[0]));
    }
    chunks
}

#[test]
fn what_a_lost_socket_had_not_delivered_comes_first_and_in_order() {
    let mut world = World::new(Duration::from_secs(15));
    world.happen(Step::Accept);
    world.happen(Step::Sound {
        samples: 800,
        is_loud: true,
    });
    world.happen(Step::Send(3));
    world.happen(Step::Final(320));
    world.happen(Step::Lose { in_writing: true });
    assert!(world.supply.is_replay());
    let expected = [(160, LOUD), (320, LOUD), (480, LOUD), (640, LOUD)];
    assert_eq!(taken_back(&mut world), expected);
    assert_eq!(world.supply.account().sent(), 800);
}

#[test]
fn what_was_thrown_away_by_order_is_not_sent_again() {
    let mut world = World::new(Duration::from_secs(15));
    world.happen(Step::Accept);
    world.happen(Step::Sound {
        samples: 800,
        is_loud: true,
    });
    world.happen(Step::Send(2));
    world.happen(Step::Lose { in_writing: true });
    world.happen(Step::Pause { discard: true });
    let mut forsaken = Forsaken::default();
    assert_eq!(world.supply.purge(&mut forsaken), Some(800));
    let gap = |from, to, reason| Gap { from, to, reason };
    // Two chunks had been sent, the third had not; the leg itself tells of the rest.
    assert_eq!(forsaken.unsent, [gap(320, 480, GapReason::Discarded)]);
    let unconfirmed: Vec<_> = forsaken.unconfirmed.unconfirmed().collect();
    assert_eq!(unconfirmed, [gap(0, 320, GapReason::Unconfirmed)]);
    assert_eq!(taken_back(&mut world), []);
}

#[test]
fn a_pause_alone_takes_nothing_from_what_was_said_before_it() {
    let mut world = World::new(Duration::from_secs(15));
    world.happen(Step::Accept);
    world.happen(Step::Sound {
        samples: 320,
        is_loud: true,
    });
    world.happen(Step::Send(2));
    world.happen(Step::Pause { discard: false });
    world.happen(Step::Lose { in_writing: false });
    assert_eq!(taken_back(&mut world), [(0, LOUD), (160, LOUD)]);
}

#[test]
fn the_end_of_what_was_said_before_a_pause_does_not_wait_for_more() {
    let mut world = World::new(Duration::ZERO);
    world.happen(Step::Turn(1));
    world.happen(Step::Sound {
        samples: 500,
        is_loud: true,
    });
    let context = Context::from_waker(Waker::noop());
    let next = |world: &mut World| match world.supply.poll_next(&context, &world.limits) {
        Poll::Ready(Next::Sound(Piece { chunk, padding })) => {
            world.supply.send(&chunk);
            Some((chunk.len(), padding))
        }
        Poll::Ready(Next::Endpoint) => None,
        other => panic!("{other:?}"),
    };
    assert_eq!(next(&mut world), Some((480, 0)));
    world.happen(Step::Pause { discard: false });
    assert_eq!(next(&mut world), Some((20, 380)));
    assert_eq!(next(&mut world), None);
}
