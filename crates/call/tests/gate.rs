//! The PCI rule at the gate: whatever is pushed, opened, shut, paused, resumed and dropped, in
//! whatever order, not one sample that came while the gate was not open reaches a stream.
//! `SEED=36` repeats one interleaving.

#[path = "walk/chance.rs"]
mod chance;
#[path = "gate/party.rs"]
mod party;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use call::audio::{Codec, Frame};
use call::backlog::{Backlog, Taken};
use call::feed::{LineConfig, MediaClock};
use call::leg::{Gate, Leg, LegConfig};
use chance::Chance;
use party::{FRAME, Table, marked};
use proptest::prelude::*;

const INTERLEAVINGS: u64 = 400;
const EVENTS: usize = 300;

#[expect(clippy::disallowed_methods, reason = "a test begins at some time")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn no_sample_that_came_behind_a_gate_that_was_not_open_reaches_a_stream() {
    #[expect(
        clippy::disallowed_methods,
        reason = "a failed test is repeated by its seed"
    )]
    let only = std::env::var("SEED").ok().map(|seed| seed.parse().unwrap());
    let seeds = only.map_or(0..INTERLEAVINGS, |seed: u64| seed..seed + 1);
    let (mut heard, mut withheld) = (0, 0);
    for seed in seeds {
        let mut table = Table::new(Chance::new(seed), now());
        for step in 0..EVENTS {
            let broken = table.step().and_then(|()| table.check()).err();
            assert_eq!(broken, None, "SEED={seed}, step {step}");
        }
        assert_eq!(table.close().err(), None, "SEED={seed}, at the end");
        heard += table.heard;
        withheld += table.withheld;
    }
    println!("{heard} samples were heard, {withheld} were not");
    assert!(heard > 1_000_000 && withheld > 1_000_000 || only.is_some());
}

/// One thread brings frames, the other commands the gate, neither waits for the other. A frame
/// whose push lay wholly between a shutting's return and the next opening must not be heard.
#[test]
fn a_gate_is_shut_when_the_call_that_shuts_it_returns() {
    let (feed, control) = call::feed::leg(now(), LegConfig::default(), MediaClock::default());
    // Even: the gate may be open. Odd: it is not.
    let epoch = AtomicU64::new(1);
    let done = AtomicBool::new(false);
    let config = LineConfig {
        chunk_samples: 160,
        chunks_max: 100_000,
    };
    let (sealed, mut sources) = thread::scope(|scope| {
        let pusher = scope.spawn(|| {
            let mut sealed = HashSet::new();
            for mark in 1..i16::MAX {
                let payload = marked(mark);
                let position = u64::from(mark.unsigned_abs() - 1) * FRAME;
                let frame = Frame {
                    position,
                    codec: Codec::L16,
                    payload: &payload,
                };
                let before = epoch.load(Ordering::SeqCst);
                feed.push(now(), frame);
                if before % 2 == 1 && epoch.load(Ordering::SeqCst) == before {
                    sealed.insert(mark);
                }
            }
            done.store(true, Ordering::SeqCst);
            sealed
        });
        let mut sources = Vec::new();
        let mut chance = Chance::new(36);
        while !done.load(Ordering::SeqCst) {
            epoch.fetch_add(1, Ordering::SeqCst);
            if !chance.percent(50) || !control.resume() {
                sources.extend(control.open(control.clock().now(), config));
            }
            (0..chance.below(2_000)).for_each(|_| std::hint::spin_loop());
            if chance.percent(50) {
                control.pause(false)
            } else {
                control.shut(false)
            }
            epoch.fetch_add(1, Ordering::SeqCst);
            (0..chance.below(2_000)).for_each(|_| std::hint::spin_loop());
        }
        (pusher.join().unwrap(), sources)
    });
    drop(feed);
    let heard: HashSet<_> = sources.iter_mut().flat_map(party::drain).collect();
    println!(
        "{} frames were heard, {} came behind the gate",
        heard.len(),
        sealed.len()
    );
    assert!(
        heard.len() > 100 && sealed.len() > 100,
        "neither side of the gate was tried"
    );
    assert_eq!(heard.intersection(&sealed).count(), 0);
}

/// What can happen to a leg, as a value.
#[derive(Clone, Debug)]
enum Event {
    Advance(u64),
    Discard,
    Open(i64),
    Pause,
    Push(i64, Codec, usize),
    Resume,
    Shut,
    Take,
    Withhold(i64, u64),
}

fn event() -> impl Strategy<Value = Event> {
    let codec = prop_oneof![Just(Codec::L16), Just(Codec::Pcma), Just(Codec::Pcmu)];
    // Near, a little off, a few frames off, beyond what is filled.
    let ahead = || prop_oneof![6 => Just(0), 2 => -60..60i64, 2 => -800..800i64, 1 => 0..99_999i64];
    let push = (ahead(), codec, 0..400usize);
    prop_oneof![
        1 => (0..9_000u64).prop_map(Event::Advance),
        1 => Just(Event::Discard),
        1 => (-400..2_000i64).prop_map(Event::Open),
        1 => Just(Event::Pause),
        9 => push.prop_map(|(at, codec, size)| Event::Push(at, codec, size)),
        1 => Just(Event::Resume),
        1 => Just(Event::Shut),
        2 => Just(Event::Take),
        2 => (ahead(), 0..400u64).prop_map(|(at, samples)| Event::Withhold(at, samples)),
    ]
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    /// The leg's clock is the sum of its stats and never goes back but for what an opening takes
    /// back of the gated; the stream's clock runs with it; the backlog loses nothing uncounted.
    #[test]
    fn every_sample_is_accounted_for(events in prop::collection::vec(event(), 1..120)) {
        let now = now();
        let mut leg = Leg::new(now, LegConfig::default());
        let mut line: Option<(u64, Backlog)> = None;
        for event in events {
            let clock = leg.clock();
            act(&mut leg, &mut line, now, &event);
            prop_assert_eq!(leg.stats().clock(), leg.clock(), "{:?}", event);
            prop_assert!(leg.clock() >= clock || matches!(event, Event::Open(_)));
            if let Some((zero, backlog)) = &line {
                let counts = backlog.counts();
                prop_assert_eq!(backlog.end(), leg.clock() - zero, "{:?}", event);
                prop_assert_eq!(counts.appended + counts.skipped, backlog.end());
                prop_assert_eq!(counts.appended, counts.taken + counts.dropped + backlog.waiting());
            }
        }
    }
}

fn act(leg: &mut Leg, line: &mut Option<(u64, Backlog)>, now: Instant, event: &Event) {
    let clock = leg.clock();
    let place = |ahead: i64| clock.saturating_add_signed(ahead);
    let out = line.as_mut().map(|(_, backlog)| backlog);
    match (*event).clone() {
        Event::Advance(ahead) => {
            leg.advance(now, clock + ahead, out);
        }
        Event::Open(ahead) => {
            if let Some(out) = out {
                leg.shut(out);
            }
            leg.open(place(ahead));
            *line = Some((leg.clock(), Backlog::new(800, 5)));
        }
        Event::Push(ahead, codec, size) => {
            let payload = vec![b'x'; size];
            let frame = Frame {
                position: place(ahead),
                codec,
                payload: &payload,
            };
            match out {
                Some(out) => leg.push(now, frame, out),
                None => leg.withhold(now, frame.position, codec.samples(size), None),
            };
        }
        Event::Resume if leg.gate() == Gate::Paused => leg.resume(),
        Event::Shut => {
            if let Some(out) = out {
                leg.shut(out);
                *line = None;
            }
        }
        Event::Withhold(ahead, samples) if leg.gate() != Gate::Open => {
            leg.withhold(now, place(ahead), samples, out);
        }
        Event::Resume | Event::Withhold(..) => {}
        Event::Discard => out.into_iter().for_each(Backlog::discard),
        Event::Pause => out.into_iter().for_each(|out| leg.pause(out)),
        Event::Take => out.into_iter().for_each(take),
    }
}

fn take(backlog: &mut Backlog) {
    if let Taken::Chunk(chunk) = backlog.take()
        && chunk.position % 3 == 0
    {
        backlog.untake(chunk);
    }
}
