//! Random walks over the switchboard. `SEED=36` repeats one and tells it, `WALKS=100000` walks
//! more.

#![expect(clippy::unwrap_used, reason = "a test says what it needs by failing")]

#[path = "walk/chance.rs"]
mod chance;
#[path = "walk/steps.rs"]
mod steps;
#[path = "walk/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::thread;

use call::switchboard::StateName;
use steps::EVENTS;
use world::{Command, Kind, Visits};

const WALKS: u64 = 5_000;
const THREADS: u64 = 2;

fn walk(seed: u64, trace: bool) -> Visits {
    let mut world = steps::world(seed);
    world.trace = trace;
    if let Err((step, broken)) = steps::walk(&mut world) {
        panic!(
            "SEED={seed}, step {step}, invariant {}: {}",
            broken.invariant, broken.what
        );
    }
    world.visits
}

fn number(variable: &str) -> Option<u64> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a failed walk is repeated by its seed"
    )]
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap())
}

#[test]
fn whatever_happens_the_invariants_hold_and_every_cell_is_visited() {
    if let Some(seed) = number("SEED") {
        walk(seed, true);
        return;
    }
    let walks = number("WALKS").unwrap_or(WALKS);
    let visits = thread::scope(|scope| {
        let strand = |first| {
            move || {
                (first..walks)
                    .step_by(THREADS as usize)
                    .map(|seed| walk(seed, false))
            }
        };
        let strands: Vec<_> = (0..THREADS)
            .map(|first| scope.spawn(move || strand(first)().collect::<Vec<_>>()))
            .collect();
        strands
            .into_iter()
            .flat_map(|strand| strand.join().unwrap())
            .fold(Visits::new(), |mut sum, visits| {
                visits
                    .into_iter()
                    .for_each(|(cell, count)| *sum.entry(cell).or_default() += count);
                sum
            })
    });
    println!("{walks} walks of {EVENTS} events");
    report(&visits);
    assert_visited(&visits);
}

/// Every command in every state, and every event in every state in which it can happen.
fn assert_visited(visits: &Visits) {
    let states = || {
        StateName::ALL
            .map(|state| Some(state.as_str()))
            .into_iter()
            .chain([None])
    };
    let mut cells = Vec::new();
    for state in states() {
        for command in [
            Command::Pause,
            Command::Resume,
            Command::Start,
            Command::Stop,
        ] {
            cells.push((state, Kind::Command(command)));
        }
        cells.push((state, Kind::LegOpened));
        cells.push((state, Kind::Moved));
        cells.push((state, Kind::Renamed));
        cells.push((state, Kind::Tick));
        if !matches!(state, None | Some("awaited")) {
            cells.extend(
                [Kind::StreamFailed, Kind::StreamFinished, Kind::StreamReady]
                    .map(|kind| (state, kind)),
            );
            cells.push((state, Kind::LegEnded));
            cells.push((state, Kind::LegLearned));
        }
        if !matches!(state, None | Some("awaited" | "draining" | "idle")) {
            cells.push((state, Kind::GateShut));
        }
    }
    let missed: Vec<_> = cells
        .iter()
        .filter(|cell| !visits.contains_key(cell))
        .collect();
    assert!(missed.is_empty(), "never visited: {missed:?}");
}

fn report(visits: &Visits) {
    let mut rows = BTreeMap::<_, Vec<_>>::new();
    for ((state, kind), count) in visits {
        rows.entry(state.unwrap_or("nothing"))
            .or_default()
            .push(format!("{kind:?} {count}"));
    }
    for (state, cells) in rows {
        println!("{state:>9}: {}", cells.join(", "));
    }
}
