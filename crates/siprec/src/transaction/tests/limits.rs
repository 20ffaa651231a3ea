//! What happens when there are too many, and when nothing happens.

use std::time::Duration;

use proptest::prelude::*;

use super::scene::{Scene, answer, request, tcp, udp};
use crate::message::Request;
use crate::transaction::fuzz::fuzz;
use crate::transaction::{Timers, Transactions};

const NOTHING: [&str; 0] = [];

fn small() -> Scene {
    let ours = Transactions::new(Timers::default(), 1);
    Scene::of(ours.with_retry_after(Duration::from_secs(7)))
}

/// A request of its own.
fn other(method: &str, branch: &str) -> Request {
    let mut request = request(method, branch);
    request.headers.set("Call-ID", branch);
    request
}

#[test]
fn one_transaction_too_many_is_answered_503_with_retry_after() {
    let mut scene = small();
    let (id, options) = scene.begin(udp(), &request("OPTIONS", "a"));
    scene.hear(&other("INVITE", "b"));
    assert_eq!(scene.words(), ["503"]);
    assert_eq!(scene.news(), NOTHING);
    let busy = scene.sent[0].1.headers();
    assert_eq!(busy.get("Retry-After"), Some("7"));
    assert!(busy.to().unwrap().tag().is_some());
    assert_eq!(scene.ours.counts(), (1, 0));

    scene.respond(id, &answer(&options, 200));
    scene.hear(&request("OPTIONS", "a"));
    assert_eq!(scene.words(), ["200", "200"], "the first lives on");
    scene.wait(32_000);
    scene.hear(&other("INVITE", "b"));
    assert_eq!(scene.news(), ["INVITE"], "there is room again");
}

#[test]
fn the_same_request_gets_the_same_503() {
    let mut scene = small();
    scene.begin(udp(), &request("OPTIONS", "a"));
    scene.hear(&other("INVITE", "b"));
    scene.hear(&other("INVITE", "b"));
    assert_eq!(scene.sent[0].1, scene.sent[1].1);
}

#[test]
fn a_cancel_has_its_effect_when_there_is_no_room() {
    let mut scene = small();
    let (id, invite) = scene.begin(udp(), &request("INVITE", "a"));
    scene.hear(&request("CANCEL", "a"));
    scene.hear(&request("CANCEL", "a"));
    scene.hear(&request("CANCEL", "b"));
    assert_eq!(scene.words(), ["100", "200", "200", "481"]);
    assert_eq!(scene.news(), ["cancelled"]);
    assert_eq!(scene.ours.counts(), (1, 0));
    scene.respond(id, &answer(&invite, 487));
    assert_eq!(scene.words(), ["487"]);
}

#[test]
fn a_merged_request_takes_no_room_that_is_not_there() {
    let mut scene = small();
    scene.begin(udp(), &request("OPTIONS", "a"));
    scene.hear(&request("OPTIONS", "b"));
    assert_eq!(scene.words(), ["482"]);
    assert_eq!(scene.ours.counts(), (1, 0));
}

#[test]
fn the_deadline_is_the_earliest_of_all_and_none_when_nothing_waits() {
    let mut scene = Scene::new();
    assert_eq!(scene.ours.deadline(), None);
    scene.ask(tcp(1), "BYE");
    let end = scene.now + Duration::from_secs(32);
    assert_eq!(scene.ours.deadline(), Some(end));
    scene.wait(1_000);
    let bye = super::scene::plain("INFO");
    scene.ours.request(scene.now, udp(), bye, "b");
    let repeat = scene.now + Duration::from_millis(500);
    assert_eq!(scene.ours.deadline(), Some(repeat));
    scene.wait(60_000);
    assert_eq!(scene.ours.deadline(), None);
}

#[test]
fn a_late_tick_repeats_once_not_once_for_each_time_missed() {
    let mut scene = Scene::new();
    scene.ask(udp(), "BYE");
    scene.now += Duration::from_secs(20);
    scene.ours.tick(scene.now);
    scene.drain();
    assert_eq!(scene.words(), ["BYE", "BYE"]);
}

#[test]
fn timers_of_no_length_do_not_repeat_without_a_pause() {
    let timers = Timers {
        t1: Duration::ZERO,
        t2: Duration::ZERO,
        t4: Duration::ZERO,
    };
    let mut scene = Scene::of(Transactions::new(timers, 10));
    scene.ask(udp(), "BYE");
    scene.wait(1_000);
    assert_eq!(scene.words().len(), 64);
    assert_eq!(scene.news(), ["timed out"]);
    assert!(scene.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_sequence_of_steps_stays_bounded_and_ends_empty(
        steps in prop::collection::vec((0_u8..7, prop::collection::vec(0_u8..0xFF, 0..6)), 0..100),
    ) {
        let data: Vec<u8> = steps
            .into_iter()
            .flat_map(|(kind, rest)| [vec![kind], rest, vec![0xFF]].concat())
            .collect();
        fuzz(&data);
    }
}
