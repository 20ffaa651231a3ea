//! One walk: fresh odds, some hundred events, and everything's end.

use std::time::Duration;

use call::switchboard::Patience;

use crate::chance::Chance;
use crate::world::{Broken, Command, Holds, Odds, World};

/// Events a walk.
pub(crate) const EVENTS: usize = 300;

/// What can happen, in the order of the weights.
const HAPPENINGS: [fn(&mut World) -> Holds; 16] = [
    World::open_leg,
    World::end_leg,
    World::obey,
    World::deliver,
    World::ready,
    World::fail,
    World::finish,
    |world| world.command(Command::Start),
    |world| world.command(Command::Stop),
    |world| world.command(Command::Pause),
    |world| world.command(Command::Resume),
    World::sensible,
    World::wait,
    World::settle,
    World::learn,
    World::rename,
];

/// Weights of the first happenings in a walk where calls live long.
const CALM: [usize; 7] = [3, 1, 20, 20, 20, 1, 5];

/// A world of its own for each seed.
pub(crate) fn world(seed: u64) -> World {
    let mut chance = Chance::new(seed);
    let second = Duration::from_secs(1);
    let patience = Patience {
        start_grace: chance.one_of(&[0, 2, 2, 2]) * second,
        start_timeout: 5 * second,
        stop_timeout: chance.one_of(&[0, 1, 5]) * second,
        gate_timeout: chance.one_of(&[1, 1, 7]) * second,
        drain_timeout: chance.one_of(&[1, 10]) * second,
        awaited_max: chance.one_of(&[1, 10]),
    };
    let odds = Odds {
        deaf: chance.one_of(&[0, 0, 10, 30]),
        echo: chance.one_of(&[0, 0, 0, 30]),
        prompt: chance.one_of(&[0, 0, 50, 100]),
        never_ready: chance.one_of(&[0, 10, 50]),
        never_finish: chance.one_of(&[0, 10, 50]),
    };
    World::new(chance, patience, odds)
}

/// Walks through it; the step at which something did not hold, and what.
pub(crate) fn walk(world: &mut World) -> Result<(), (usize, Broken)> {
    let mut weights = [(); HAPPENINGS.len()].map(|()| world.chance.one_of(&[1, 2, 5, 12, 30]));
    if world.chance.percent(50) {
        weights[..CALM.len()].copy_from_slice(&CALM);
    }
    let sum: usize = weights.iter().sum();
    for step in 0..EVENTS {
        let mut drawn = world.chance.below(sum);
        let at = weights.iter().position(|weight| {
            let hit = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            hit
        });
        let happening = HAPPENINGS[at.unwrap_or(0)];
        happening(world).map_err(|broken| (step, broken))?;
    }
    world.close().map_err(|broken| (EVENTS, broken))
}
