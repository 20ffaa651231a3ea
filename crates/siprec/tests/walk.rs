//! Random walks of recording clients against the server, over a network that loses, repeats and
//! reorders, in virtual time. `SEED=36` repeats one, `WALKS=5000` walks more.

#![expect(clippy::unwrap_used, reason = "a test says what it needs by failing")]

#[path = "walk/chance.rs"]
mod chance;
#[path = "walk/ledger.rs"]
mod ledger;
#[path = "walk/network.rs"]
mod network;
#[path = "walk/source.rs"]
mod source;
#[path = "walk/steps.rs"]
mod steps;
#[expect(dead_code, reason = "made for the conversations, which use all of it")]
#[path = "conversations/run/world.rs"]
mod world;

use std::collections::BTreeMap;

/// What the walks must have met, each more than once.
const SEEN: [&str; 33] = [
    "BindPorts",
    "Granted false Ok",
    "Granted true Err",
    "Granted true Ok",
    "LineChanged",
    "LineEnded",
    "LineOpened",
    "SessionEnded BadOffer",
    "SessionEnded Bye",
    "SessionEnded Cancelled",
    "SessionEnded Expired",
    "SessionEnded Lost",
    "SessionEnded NoAck",
    "SessionEnded Ours",
    "SessionLearned",
    "SessionOpened",
    "answered BYE 200",
    "answered BYE 481",
    "answered CANCEL 200",
    "answered INVITE 200",
    "answered INVITE 481",
    "answered INVITE 487",
    "answered INVITE 488",
    "answered INVITE 491",
    "answered INVITE 500",
    "answered INVITE 503",
    "answered OPTIONS 200",
    "answered UPDATE 200",
    "answered UPDATE 491",
    "asked BYE",
    "asked INVITE",
    "asked UPDATE",
    "repeated 200",
];

#[expect(clippy::disallowed_methods, reason = "a walk is repeated by its seed")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn whatever_is_lost_nothing_is_left_over_and_nothing_is_said_twice_differently() {
    let seed = number("SEED");
    let first = seed.unwrap_or(0);
    let walks = seed.map_or_else(|| number("WALKS").unwrap_or(200), |_| 1);
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for seed in first..first + walks {
        match steps::walk(seed) {
            Ok(visits) => {
                for (what, count) in visits {
                    *seen.entry(what).or_default() += count;
                }
            }
            Err(why) => panic!("SEED={seed}: {why}"),
        }
    }
    let missed = SEEN
        .iter()
        .filter(|what| seen.get(**what).is_none_or(|count| *count < 2));
    let missed = missed.collect::<Vec<_>>();
    assert!(
        walks < 100 || missed.is_empty(),
        "never met: {missed:?}\n{seen:#?}"
    );
}
