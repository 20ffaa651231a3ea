//! The two outboxes are the same, but that one forgets.

use proptest::prelude::*;

use super::*;
use crate::memory::{MemoryLimits, MemoryOutbox};

#[derive(Clone, Debug)]
enum Step {
    Append(u8, u16),
    Bury(DeadLetters),
    Replay(DeadLetters),
    Settle(Vec<Settled>),
    Trim(u8, u64, u64),
}

const ENDPOINTS: [&str; 2] = ["crm", "archive"];

fn dead_letters() -> impl Strategy<Value = DeadLetters> {
    let numbers = prop::collection::vec(0_u64..30, 0..3);
    (prop::option::of(0..2_usize), numbers, 0_u64..10, 0_usize..8).prop_map(
        |(endpoint, numbers, after, most)| DeadLetters {
            endpoint: endpoint.map(|at| ENDPOINTS[at].to_owned()),
            numbers,
            after,
            most,
        },
    )
}

fn settled() -> impl Strategy<Value = Settled> {
    prop_oneof![
        (0_u64..30).prop_map(|number| Settled::Delivered { number }),
        (0_u64..30).prop_map(|number| Settled::Dropped { number }),
        (0_u64..30, any::<u32>(), any::<u32>(), 0_u64..1 << 60).prop_map(
            |(number, attempts, refusals, not_before_unix_ms)| Settled::Later {
                number,
                attempts,
                refusals,
                not_before_unix_ms
            }
        ),
        (0_u64..30, any::<u32>()).prop_map(|(number, attempts)| Settled::Dead {
            number,
            attempts,
            at_unix_ms: BEGIN,
            why: "status 410".into()
        }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..2, 0_u16..400).prop_map(|(endpoint, bytes)| Step::Append(endpoint, bytes)),
        1 => dead_letters().prop_map(Step::Bury),
        2 => dead_letters().prop_map(Step::Replay),
        3 => prop::collection::vec(settled(), 0..5).prop_map(Step::Settle),
        1 => (0_u8..2, 0_u64..2000, 0_u64..40)
            .prop_map(|(endpoint, bytes, made)| Step::Trim(endpoint, bytes, BEGIN + made)),
    ]
}

/// What one can see of an outbox; when something was given up is another matter.
type Seen = (Vec<Waiting>, Depth, Vec<DeadLetter>, Vec<Option<Carried>>);

fn seen(outbox: &dyn Outbox, endpoint: &str) -> Seen {
    let all = DeadLetters {
        endpoint: Some(endpoint.into()),
        most: 100,
        ..DeadLetters::default()
    };
    let mut dead = outbox.dead_letters(&all).unwrap();
    for letter in &mut dead {
        letter.dead_unix_ms = 0;
    }
    let waiting = outbox.waiting(endpoint, 3, 5).unwrap();
    let parcels = waiting
        .iter()
        .map(|one| outbox.parcel(one.number).unwrap())
        .collect();
    (waiting, outbox.depth(endpoint).unwrap(), dead, parcels)
}

/// Does a step to an outbox, but for appending. How many that touched.
fn done(outbox: &dyn Outbox, step: &Step) -> u64 {
    match step {
        Step::Append(..) => 0,
        Step::Bury(which) => outbox.bury(which).unwrap(),
        Step::Replay(which) => outbox.replay(which).unwrap(),
        Step::Settle(settled) => {
            outbox.settle(settled).unwrap();
            0
        }
        Step::Trim(endpoint, bytes_max, made_before) => {
            let endpoint = ENDPOINTS[usize::from(*endpoint)];
            outbox.trim(endpoint, *bytes_max, *made_before).unwrap()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn both_outboxes_do_the_same(steps in prop::collection::vec(step(), 1..40)) {
        let mut world = World::new();
        let memory = MemoryOutbox::new(MemoryLimits::default());
        let entry = world.said("CA0", "hello");
        world.write(vec![entry]);
        for (at, step) in (0_u64..).zip(&steps) {
            if let Step::Append(endpoint, bytes) = step {
                let parcel = Parcel {
                    endpoint: ENDPOINTS[usize::from(*endpoint)].into(),
                    body: vec![7; usize::from(*bytes)].into(),
                    at_unix_ms: BEGIN + at,
                    ..parcel(&format!("CA{}", bytes % 2), &format!("msg_{at}"))
                };
                memory.append(std::slice::from_ref(&parcel));
                let batch = Batch { parcels: vec![parcel], ..Batch::default() };
                world.store.write(&batch).unwrap();
            }
            prop_assert_eq!(done(&world.store, step), done(&memory, step), "{:?}", step);
            for endpoint in ENDPOINTS {
                prop_assert_eq!(seen(&world.store, endpoint), seen(&memory, endpoint));
            }
        }
    }
}
