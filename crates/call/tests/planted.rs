//! The walks are worth something: each deliberate fault in the table is found by them.

#![expect(clippy::unwrap_used, reason = "a test says what it needs by failing")]

#[path = "walk/chance.rs"]
mod chance;
#[path = "walk/steps.rs"]
mod steps;
#[path = "walk/world.rs"]
mod world;

use call::planted::Planted;

/// As many as `tests/walk.rs` walks by default.
const WALKS: u64 = 2_000;

#[test]
fn every_planted_fault_is_found_by_the_walks() {
    let mut unseen = Vec::new();
    for fault in Planted::ALL {
        let found = (0..WALKS).find_map(|seed| {
            let mut world = steps::world(seed);
            world.board.plant(fault);
            steps::walk(&mut world)
                .err()
                .map(|(step, broken)| (seed, step, broken))
        });
        match found {
            Some((seed, step, broken)) => {
                let world::Broken { invariant, what } = broken;
                println!("{fault:?}: seed {seed}, step {step}, invariant {invariant}: {what:.100}");
            }
            None => unseen.push(fault),
        }
    }
    assert!(unseen.is_empty(), "not seen in {WALKS} walks: {unseen:?}");
}
