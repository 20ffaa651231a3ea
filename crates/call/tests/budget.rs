//! The budget that all backlogs share, walked at random.

use std::time::{Duration, Instant};

use call::audio::Chunk;
use call::backlog::{Backlog, Gap, GapReason, Taken};
use call::budget::Budget;
use proptest::collection::vec;
use proptest::prelude::*;

const CHUNK: usize = 100;
/// Two chunks and a half.
const FLOOR: Duration = Duration::from_micros(31_250);
const FLOOR_SAMPLES: u64 = 250;
const BACKLOGS: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    Discard,
    /// Gone, and another begins.
    Drop,
    Endpoint,
    Finish,
    Silence(u64),
    Skip(u64),
    Take,
    Untake,
}

/// A backlog, what was last taken of it, and how much of it is no whole chunk yet.
struct Entry {
    backlog: Backlog,
    taken: Option<Chunk>,
    filling: u64,
}

impl Entry {
    fn new(budget: &Budget) -> Self {
        Self {
            backlog: Backlog::within(CHUNK, 20, budget),
            taken: None,
            filling: 0,
        }
    }

    /// Whole chunks, in samples.
    fn ready(&self) -> u64 {
        let counts = self.backlog.counts();
        counts.appended - counts.taken - counts.dropped - self.filling
    }

    /// What a step can bring it to at most.
    fn longest(&self, step: &Step) -> u64 {
        let more = match *step {
            Step::Append(samples) => self.filling + samples as u64,
            Step::Silence(samples) => self.filling + samples,
            Step::Untake => self.taken.as_ref().map_or(0, Chunk::len),
            _ => self.filling,
        };
        self.ready() + more
    }

    fn act(&mut self, now: Instant, step: &Step) {
        let append = |filling: u64, samples: u64| (filling + samples) % CHUNK as u64;
        match *step {
            Step::Append(samples) => {
                let write = |out: &mut Vec<i16>| out.resize(out.len() + samples, 1);
                self.backlog.append(now, write);
                self.filling = append(self.filling, samples as u64);
            }
            Step::Silence(samples) => {
                self.backlog.append_silence(now, samples);
                self.filling = append(self.filling, samples);
            }
            Step::Discard => self.backlog.discard(),
            Step::Endpoint => self.backlog.endpoint(now),
            Step::Finish => self.backlog.finish(now),
            Step::Skip(samples) => self.backlog.skip(now, samples),
            Step::Take => {
                if let Taken::Chunk(chunk) = self.backlog.take() {
                    self.taken = Some(chunk);
                }
            }
            Step::Untake => {
                if let Some(chunk) = self.taken.take() {
                    self.backlog.untake(chunk);
                }
            }
            Step::Drop => unreachable!("that is done from outside"),
        }
        let cuts = matches!(
            step,
            Step::Discard | Step::Endpoint | Step::Finish | Step::Skip(_)
        );
        if cuts {
            self.filling = 0;
        }
    }

    /// Whether something was lost for lack of room since this was asked last.
    fn has_overflowed(&mut self) -> bool {
        let gaps = std::iter::from_fn(|| self.backlog.take_gap());
        let overflow = gaps.filter(|gap| gap.reason == GapReason::Overflow);
        overflow.count() > 0
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1..350_usize).prop_map(Step::Append),
        2 => (1..2_500_u64).prop_map(Step::Silence),
        1 => Just(Step::Discard),
        1 => Just(Step::Drop),
        1 => Just(Step::Endpoint),
        1 => Just(Step::Finish),
        1 => (1..1_000_u64).prop_map(Step::Skip),
        6 => Just(Step::Take),
        2 => Just(Step::Untake),
    ]
}

fn grows(step: &Step) -> bool {
    !matches!(step, Step::Discard | Step::Drop | Step::Take)
}

#[expect(clippy::disallowed_methods, reason = "a test begins at some time")]
fn now() -> Instant {
    Instant::now()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_budget_is_the_sum_of_what_backlogs_hold_and_only_the_long_ones_shed(
        bytes_max in 0..6_000_u64,
        walk in vec((0..BACKLOGS, step()), 1..200),
    ) {
        let now = now();
        let budget = Budget::new(bytes_max, FLOOR);
        let limit = if bytes_max == 0 { u64::MAX } else { bytes_max };
        let mut entries: Vec<Entry> = (0..BACKLOGS).map(|_| Entry::new(&budget)).collect();
        for (at, step) in &walk {
            if matches!(step, Step::Drop) {
                entries[*at] = Entry::new(&budget);
            } else {
                let before = budget.bytes();
                let entry = &mut entries[*at];
                let longest = entry.longest(step);
                entry.act(now, step);
                let has_overflowed = entry.has_overflowed();
                prop_assert!(longest > FLOOR_SAMPLES || !has_overflowed, "{:?}", step);
                if grows(step) && budget.bytes() > limit.max(before) {
                    prop_assert!(entry.ready() <= FLOOR_SAMPLES, "{:?}", step);
                }
            }
            let held: u64 = entries.iter().map(Entry::ready).sum();
            prop_assert_eq!(budget.bytes(), 2 * held, "{:?}", step);
            let floors = 2 * FLOOR_SAMPLES * BACKLOGS as u64;
            prop_assert!(budget.bytes() <= limit.saturating_add(floors));
        }
        drop(entries);
        prop_assert_eq!(budget.bytes(), 0);
    }
}

/// Appends so many chunks.
fn append(backlog: &mut Backlog, chunks: usize) {
    for _ in 0..chunks {
        backlog.append(now(), |out| out.resize(out.len() + CHUNK, 1));
    }
}

#[test]
fn who_has_more_than_the_floor_pays_for_what_others_need() {
    let budget = Budget::new(10 * 200, FLOOR);
    let mut dead = Backlog::within(CHUNK, 100, &budget);
    let mut fine = Backlog::within(CHUNK, 100, &budget);
    append(&mut dead, 10);
    assert_eq!(dead.counts().dropped, 0);
    append(&mut fine, 2);
    assert_eq!(budget.bytes(), 12 * 200);
    append(&mut dead, 1);
    assert_eq!((dead.waiting(), fine.waiting()), (800, 200));
    assert_eq!(budget.bytes(), 10 * 200);
    let gap = Gap {
        from: 0,
        to: 300,
        reason: GapReason::Overflow,
    };
    assert_eq!(dead.take_gap(), Some(gap));
    assert_eq!((fine.counts().dropped, fine.take_gap()), (0, None));
}

#[test]
fn when_all_are_short_nobody_sheds() {
    let budget = Budget::new(200, FLOOR);
    let mut backlogs: Vec<Backlog> = (0..10)
        .map(|_| Backlog::within(CHUNK, 100, &budget))
        .collect();
    for backlog in &mut backlogs {
        append(backlog, 2);
    }
    assert_eq!(budget.bytes(), 20 * 200);
    assert!(backlogs.iter().all(|backlog| backlog.counts().dropped == 0));
    append(&mut backlogs[0], 1);
    assert_eq!(backlogs[0].counts().dropped, 100);
}

#[test]
fn what_is_put_back_counts_again() {
    let budget = Budget::new(0, FLOOR);
    let mut backlog = Backlog::within(CHUNK, 100, &budget);
    append(&mut backlog, 3);
    let Taken::Chunk(chunk) = backlog.take() else {
        panic!("there are three")
    };
    assert_eq!(budget.bytes(), 400);
    assert!(backlog.untake(chunk));
    assert_eq!(budget.bytes(), 600);
}

#[test]
fn what_is_kept_of_sent_sound_has_the_room_that_backlogs_leave() {
    let budget = Budget::new(10 * 200, FLOOR);
    let mut backlog = Backlog::within(CHUNK, 100, &budget);
    let (mut one, mut other) = (budget.keep(), budget.keep());
    one.set(400);
    other.set(100);
    assert_eq!(budget.kept_bytes(), 1000);
    append(&mut backlog, 5);
    assert!(!one.is_to_shed() && !other.is_to_shed());
    append(&mut backlog, 1);
    assert!(one.is_to_shed() && other.is_to_shed());
    one.set(300);
    assert!(!one.is_to_shed() && !other.is_to_shed());
    // Whatever is kept, nothing that waits goes for it.
    append(&mut backlog, 4);
    one.set(5_000);
    append(&mut backlog, 0);
    assert_eq!((backlog.counts().dropped, budget.bytes()), (0, 10 * 200));
    one.set(0);
    other.set(0);
    assert!(!one.is_to_shed());
    other.set(1);
    drop(other);
    assert_eq!(budget.kept_bytes(), 0);
}
