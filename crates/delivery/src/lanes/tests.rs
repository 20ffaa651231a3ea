//! Single rules of the lanes, one after the other.

use std::sync::Arc;

use store::outbox::Waiting;

use super::walk::rules;
use super::*;

const START: u64 = 1_700_000_000_000;

struct Rig {
    lanes: Lanes,
    number: u64,
    now: u64,
}

impl Rig {
    fn new(rules: Rules) -> Self {
        Self {
            lanes: Lanes::new(rules, 1),
            number: 0,
            now: START,
        }
    }

    /// One parcel each for these lanes, in this order.
    fn put(&mut self, lanes: &[&str]) -> Vec<Settled> {
        let found: Vec<Waiting> = lanes
            .iter()
            .map(|lane| {
                self.number += 1;
                Waiting {
                    number: self.number,
                    lane: Arc::from(*lane),
                    id: format!("msg_{}", self.number),
                    attempts: 0,
                    refusals: 0,
                    not_before_unix_ms: 0,
                    at_unix_ms: self.now,
                    bytes: 10,
                }
            })
            .collect();
        self.lanes.news();
        let wish = self.lanes.wish(self.now).unwrap();
        self.lanes.load(wish, found, self.now)
    }

    fn next(&mut self) -> Vec<u64> {
        let next = self.lanes.next(self.now);
        next.map(|attempt| attempt.numbers).unwrap_or_default()
    }

    fn end(&mut self, ticket: u64, class: Class) -> Vec<Settled> {
        let outcome = Outcome::new(class, class.as_str());
        let verdict = self.lanes.outcome(ticket, &outcome, self.now);
        self.lanes.confirm(&verdict.settled);
        verdict.settled
    }

    fn end_after(&mut self, ticket: u64, class: Class, after: u64) {
        let outcome = Outcome {
            after: Some(after),
            ..Outcome::new(class, class.as_str())
        };
        self.lanes.outcome(ticket, &outcome, self.now);
    }

    /// To when something may go.
    fn wait(&mut self) -> u64 {
        let before = self.now;
        self.now = self.now.max(self.lanes.wake_at().unwrap());
        self.now - before
    }
}

fn about(time: u64, seconds: u64) -> bool {
    (seconds * 800..=seconds * 1200).contains(&time)
}

#[test]
fn a_lane_has_one_under_way_and_other_lanes_go_on() {
    let mut rig = Rig::new(rules());
    rig.put(&["a", "a", "b"]);
    assert_eq!(rig.next(), [1]);
    assert_eq!(rig.next(), [3]);
    assert_eq!(rig.next(), [] as [u64; 0]);
    rig.end(1, Class::Delivered);
    assert_eq!(rig.next(), [2]);
}

#[test]
fn no_more_are_under_way_than_allowed() {
    let mut rig = Rig::new(Rules {
        concurrency: 2,
        ..rules()
    });
    rig.put(&["a", "b", "c"]);
    assert_eq!(
        (rig.next(), rig.next(), rig.next()),
        (vec![1], vec![2], vec![])
    );
    assert_eq!(rig.lanes.wake_at(), None);
    rig.end(2, Class::Failed);
    assert_eq!(rig.next(), [3]);
}

#[test]
fn the_schedule_is_kept_and_then_it_is_a_dead_letter() {
    let mut rig = Rig::new(Rules {
        rest_after: 1000,
        ..rules()
    });
    rig.put(&["a", "a"]);
    for delay in crate::Retries::DEFAULT {
        assert_eq!(rig.next(), [1]);
        let settled = rig.end(1, Class::Failed);
        assert!(matches!(settled[..], [Settled::Later { number: 1, .. }]));
        assert!(about(rig.wait(), delay), "{delay}");
    }
    assert_eq!(rig.next(), [1]);
    let settled = rig.end(1, Class::Failed);
    let dead = Settled::Dead {
        number: 1,
        attempts: 13,
        at_unix_ms: rig.now,
        why: "failed".to_owned(),
    };
    assert_eq!(settled, [dead]);
    assert_eq!(rig.next(), [2], "the next of the lane goes on");
}

#[test]
fn what_is_refused_again_and_again_is_given_up_earlier() {
    let mut rig = Rig::new(Rules {
        give_up_after: 3,
        rest_after: 1000,
        ..rules()
    });
    rig.put(&["a"]);
    for _ in 0..2 {
        rig.next();
        assert!(matches!(
            rig.end(1, Class::Refused)[..],
            [Settled::Later { .. }]
        ));
        rig.wait();
    }
    rig.next();
    assert!(matches!(
        rig.end(1, Class::Refused)[..],
        [Settled::Dead { attempts: 3, .. }]
    ));
}

#[test]
fn refusals_are_counted_on_after_a_restart() {
    let rules = Rules {
        give_up_after: 3,
        rest_after: 1000,
        ..rules()
    };
    let mut rig = Rig::new(rules.clone());
    rig.put(&["a"]);
    rig.next();
    rig.end(1, Class::Failed);
    rig.wait();
    rig.next();
    rig.end(1, Class::Refused);
    rig.wait();
    rig.next();
    let settled = rig.end(1, Class::Refused);
    let [
        Settled::Later {
            attempts, refusals, ..
        },
    ] = settled[..]
    else {
        panic!("{settled:?}");
    };
    assert_eq!((attempts, refusals), (3, 2));
    let mut again = Rig::new(rules);
    let wish = again.lanes.wish(again.now).unwrap();
    let waiting = Waiting {
        number: 1,
        lane: "a".into(),
        id: "msg_1".to_owned(),
        attempts,
        refusals,
        not_before_unix_ms: 0,
        at_unix_ms: again.now,
        bytes: 10,
    };
    again.lanes.load(wish, vec![waiting], again.now);
    assert_eq!(again.next(), [1]);
    assert!(matches!(
        again.end(1, Class::Refused)[..],
        [Settled::Dead { attempts: 4, .. }]
    ));
}

#[test]
fn a_gone_endpoint_gets_nothing_until_it_is_enabled() {
    let mut rig = Rig::new(rules());
    rig.put(&["a", "b"]);
    assert_eq!((rig.next(), rig.next()), (vec![1], vec![2]));
    assert_eq!(rig.end(1, Class::Gone), []);
    assert_eq!(rig.lanes.standing(), Standing::Disabled);
    rig.end(2, Class::Delivered);
    assert_eq!(
        rig.lanes.standing(),
        Standing::Disabled,
        "what was under way changes nothing"
    );
    rig.put(&["c"]);
    assert_eq!((rig.next(), rig.lanes.wake_at()), (vec![], None));
    rig.lanes.enable(rig.now);
    assert_eq!((rig.next(), rig.next()), (vec![1], vec![3]));
}

#[test]
fn a_request_for_patience_is_for_the_whole_endpoint_and_has_its_limit() {
    let mut rig = Rig::new(rules());
    rig.put(&["a", "b"]);
    rig.next();
    rig.end_after(1, Class::Busy, 30_000);
    assert_eq!((rig.next(), rig.wait()), (vec![], 30_000));
    assert_eq!((rig.next(), rig.next()), (vec![1], vec![2]));
    rig.end_after(1, Class::Overloaded, u64::MAX);
    assert_eq!(rig.wait(), 3_600_000);
}

#[test]
fn patience_that_is_asked_for_without_a_time_grows() {
    let mut rig = Rig::new(Rules {
        rest_after: 1000,
        ..rules()
    });
    rig.put(&["a"]);
    let mut waits = Vec::new();
    for _ in 0..8 {
        assert_eq!(rig.next(), [1]);
        assert_eq!(rig.end(1, Class::Busy), [], "it is not the parcel's fault");
        waits.push(rig.wait() / 1000);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
}

#[test]
fn an_endpoint_that_rests_is_probed_and_then_all_lanes_go_on() {
    let mut rig = Rig::new(Rules {
        rest_after: 3,
        concurrency: 8,
        ..rules()
    });
    rig.put(&["a", "b", "c", "d"]);
    for number in 1..=4 {
        assert_eq!(rig.next(), [number]);
    }
    for number in 1..=3 {
        rig.end(number, Class::Failed);
    }
    assert_eq!(rig.lanes.standing(), Standing::Resting);
    assert_eq!(
        (rig.next(), rig.lanes.wake_at()),
        (vec![], None),
        "one is still under way"
    );
    rig.end(4, Class::Failed);
    let mut probed = Vec::new();
    for _ in 0..4 {
        rig.wait();
        let probe = rig.next();
        assert_eq!(rig.next(), [] as [u64; 0], "one at a time");
        assert_eq!(
            rig.end(probe[0], Class::Failed),
            [],
            "that says nothing about the parcel"
        );
        probed.extend(probe);
        rig.now += 1;
    }
    probed.sort_unstable();
    assert_eq!(probed, [1, 2, 3, 4], "each lane in its turn");
    rig.wait();
    let probe = rig.next();
    rig.end(probe[0], Class::Delivered);
    assert_eq!(rig.lanes.standing(), Standing::Enabled);
    assert_eq!([rig.next(), rig.next(), rig.next()].concat().len(), 3);
}

#[test]
fn when_an_endpoint_is_back_nobody_waits_for_a_time_of_its_own() {
    let schedule = Some(vec![3_600_000]);
    let mut rig = Rig::new(Rules {
        rest_after: 2,
        schedule,
        ..rules()
    });
    rig.put(&["a", "b"]);
    assert_eq!((rig.next(), rig.next()), (vec![1], vec![2]));
    rig.end(1, Class::Failed);
    rig.end(2, Class::Failed);
    assert!(about(rig.wait(), 1));
    let probe = rig.next();
    assert_eq!(rig.next(), [] as [u64; 0]);
    rig.end(probe[0], Class::Delivered);
    assert_eq!(rig.next().len(), 1);
}

#[test]
fn a_lane_goes_on_past_what_fails_if_it_may() {
    let mut rig = Rig::new(Rules {
        skip_after: 2,
        ..rules()
    });
    rig.put(&["a", "a", "a"]);
    rig.next();
    rig.end(1, Class::Failed);
    assert_eq!(rig.next(), [] as [u64; 0], "once is not enough");
    rig.wait();
    rig.next();
    rig.end(1, Class::Failed);
    assert_eq!(rig.next(), [2]);
    rig.end(2, Class::Delivered);
    assert_eq!(rig.next(), [3]);
    rig.end(3, Class::Delivered);
    rig.wait();
    let late = rig.lanes.next(rig.now).unwrap();
    assert_eq!((late.numbers, late.late), (vec![1], true));
}

#[test]
fn without_retries_the_oldest_go_first_when_too_many_wait() {
    let rules = Rules {
        schedule: None,
        pending_max: Some(3),
        concurrency: 1,
        ..rules()
    };
    let mut rig = Rig::new(rules);
    rig.put(&["a"]);
    assert_eq!(rig.next(), [1]);
    let dropped = rig.put(&["a", "b", "a", "c", "d"]);
    let numbers = [
        Settled::Dropped { number: 2 },
        Settled::Dropped { number: 3 },
    ];
    assert_eq!(dropped, numbers);
    assert_eq!(rig.end(1, Class::Failed), [Settled::Dropped { number: 1 }]);
    assert_eq!(rig.next(), [4]);
}

#[test]
fn a_batch_goes_when_it_is_full_or_has_waited() {
    let rules = Rules {
        batch_max: 3,
        batch_wait: 250,
        ..rules()
    };
    let mut rig = Rig::new(rules);
    rig.put(&["a", "a"]);
    assert_eq!((rig.next(), rig.wait()), (vec![], 250));
    rig.put(&["a", "a"]);
    assert_eq!(rig.next(), [1, 2, 3]);
    rig.end(1, Class::Refused);
    assert_eq!(rig.next(), [] as [u64; 0]);
    rig.wait();
    for number in 1..=4 {
        rig.wait();
        assert_eq!(rig.next(), [number], "what failed once goes alone");
        rig.end(number, Class::Delivered);
    }
}

#[test]
fn a_batch_has_no_more_bytes_than_allowed() {
    let rules = Rules {
        batch_max: 10,
        batch_bytes_max: 25,
        batch_wait: 250,
        ..rules()
    };
    let mut rig = Rig::new(rules);
    rig.put(&["a", "a", "a"]);
    assert_eq!(rig.next(), [1, 2], "no need to wait for what does not fit");
}

#[test]
fn what_was_removed_by_others_is_forgotten() {
    let mut rig = Rig::new(rules());
    rig.put(&["a", "a"]);
    let attempt = rig.lanes.next(rig.now).unwrap();
    rig.lanes.vanished(attempt.ticket, &attempt.numbers);
    assert_eq!(rig.end(1, Class::Unsent), []);
    assert_eq!(rig.next(), [2]);
}

#[test]
fn one_lane_that_waits_does_not_keep_others_from_being_read() {
    let mut rig = Rig::new(Rules {
        window_max: 8,
        give_up_after: 0,
        ..rules()
    });
    rig.put(&["a", "a", "b", "b", "c", "c", "d", "d"]);
    for number in [1, 3, 5, 7] {
        assert_eq!(rig.next(), [number]);
    }
    for number in [1, 3, 5, 7] {
        rig.end(number, Class::Failed);
    }
    let wish = rig.lanes.wish(rig.now).unwrap();
    assert_eq!(
        wish,
        Wish { after: 8, most: 4 },
        "only the first of each lane is kept"
    );
}

#[test]
fn what_comes_while_the_outbox_is_read_is_read_next() {
    let mut rig = Rig::new(rules());
    let wish = rig.lanes.wish(rig.now).unwrap();
    assert_eq!(rig.lanes.wish(rig.now), None, "once is enough");
    rig.lanes.news();
    rig.lanes.load(wish, Vec::new(), rig.now);
    assert!(rig.lanes.wish(rig.now).is_some());
}

#[test]
fn an_outbox_that_began_anew_is_read_from_its_beginning() {
    let mut rig = Rig::new(rules());
    rig.put(&["a", "a"]);
    rig.lanes.compare(2);
    assert_eq!(rig.lanes.wish(rig.now).unwrap().after, 2);
    rig.next();
    rig.end(1, Class::Delivered);
    rig.next();
    rig.end(2, Class::Delivered);
    rig.lanes.compare(0);
    assert_eq!(rig.lanes.wish(rig.now).unwrap().after, 2);
    rig.lanes.compare(1);
    assert_eq!(rig.lanes.wish(rig.now).unwrap().after, 0);
}

#[test]
fn a_time_in_the_far_future_is_not_believed() {
    let mut rig = Rig::new(rules());
    let wish = rig.lanes.wish(rig.now).unwrap();
    let waiting = Waiting {
        number: 1,
        lane: "a".into(),
        id: "msg_1".to_owned(),
        attempts: 1,
        refusals: 0,
        not_before_unix_ms: u64::MAX,
        at_unix_ms: u64::MAX,
        bytes: 10,
    };
    rig.lanes.load(wish, vec![waiting], rig.now);
    assert!(rig.wait() <= 86_400_000 * 6 / 5);
}
