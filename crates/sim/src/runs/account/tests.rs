use proptest::prelude::*;

use super::*;
use crate::speech::Script;

const RELIEVED: &str = "Good, that is a weight off my mind.";
const ACCOUNT: &str = "my account number is five five two seven";
const BALANCE: &str = "I can see an open balance of ## dollars on your account.";
const CODE: &str = "The security code is ###.";

/// The places of the customer's `relieved` (1,731 ms) and `account` (2,851 ms), of eight words
/// each.
fn book() -> (Phrasebook, usize, usize) {
    let book = Phrasebook::new(Script::standard());
    let place = |text: &str| book.read(text)[0].phrase;
    let (relieved, account) = (place(RELIEVED), place(ACCOUNT));
    (book, relieved, account)
}

fn heard(start_ms: u64, text: &str) -> Final {
    Final {
        start_ms,
        end_ms: start_ms + if text == ACCOUNT { 2_851 } else { 1_731 },
        text: text.to_owned(),
    }
}

fn gap(from_ms: u64, to_ms: u64, reason: &str) -> Gap {
    Gap {
        from_ms,
        to_ms,
        reason: reason.to_owned(),
    }
}

/// The customer says `relieved` at 11 s and `account` at 15 s of a stream that began at 10 s.
fn settle(finals: Vec<Final>, gaps: Vec<Gap>) -> Tally {
    let (book, relieved, account) = book();
    let planted = [(relieved, 11_000), (account, 15_000)];
    let planted = planted.map(|(phrase, at_ms)| Planted { phrase, at_ms });
    let told = Told {
        finals,
        gaps,
        ended: None,
    };
    let page = Page {
        name: "call 1",
        role: Role::Customer,
        origin_ms: 10_000,
        planted: &planted,
        told: &told,
    };
    page.settle(&book)
}

#[test]
fn what_is_heard_in_its_place_is_all_well() {
    let tally = settle(vec![heard(1_000, RELIEVED), heard(5_000, ACCOUNT)], vec![]);
    let expected = Tally {
        planted: 16,
        heard: 16,
        finals: 2,
        ..Tally::default()
    };
    assert_eq!(tally, expected);
    assert_eq!(tally.faults(), [""; 0]);
}

#[test]
fn a_word_that_is_not_heard_and_not_told_is_missing() {
    let tally = settle(
        vec![heard(1_000, RELIEVED)],
        vec![gap(9_000, 9_500, "outage")],
    );
    assert_eq!((tally.heard, tally.told, tally.missing), (8, 0, 8));
    assert_eq!(
        tally.faults(),
        ["8 words are neither heard nor told as lost"]
    );
    assert_eq!(tally.gap_ms["outage"], 500);
    let complaint = "call 1: customer-account at 15000 ms (5000 ms) \
        is neither heard nor told as lost";
    assert_eq!(tally.complaints, [complaint]);
}

#[test]
fn a_word_in_a_stretch_that_was_told_is_told_and_its_pieces_are_nonsense() {
    let finals = vec![heard(1_000, RELIEVED), heard(5_200, "???")];
    let tally = settle(finals, vec![gap(4_000, 5_200, "overflow")]);
    assert_eq!((tally.heard, tally.told, tally.missing), (8, 8, 0));
    assert_eq!((tally.nonsense, tally.heard_and_told), (1, 0));
    assert_eq!(tally.faults(), [""; 0]);
}

#[test]
fn the_edge_of_a_gap_belongs_to_it_and_what_lies_beyond_does_not() {
    let length = book().0.entry(book().2).length_ms;
    let told = |from, to| settle(vec![], vec![gap(from, to, "outage")]).told;
    assert_eq!(told(4_000, 4_900), 8);
    assert_eq!(told(4_000, 4_800), 0);
    assert_eq!(told(5_000 + length + 100, 60_000), 8);
    assert_eq!(told(5_000 + length + 200, 60_000), 0);
}

#[test]
fn a_phrase_that_was_joined_to_another_over_a_gap_is_lost_with_it() {
    let glued = |start_ms, end_ms| Final {
        end_ms,
        ..heard(start_ms, "???")
    };
    let gaps = || vec![gap(8_500, 20_000, "overflow")];
    let tally = settle(vec![heard(1_000, RELIEVED), glued(5_000, 21_000)], gaps());
    assert_eq!((tally.heard, tally.told, tally.missing), (8, 8, 0));
    let tally = settle(vec![heard(1_000, RELIEVED), glued(5_000, 8_000)], gaps());
    assert_eq!((tally.told, tally.missing), (0, 8));
}

#[test]
fn a_pause_excuses_nothing() {
    let tally = settle(vec![], vec![gap(0, 60_000, "paused")]);
    assert_eq!((tally.told, tally.missing), (0, 16));
}

#[test]
fn a_word_may_be_heard_though_it_was_told_as_perhaps_lost() {
    let finals = vec![heard(1_000, RELIEVED), heard(5_000, ACCOUNT)];
    let tally = settle(finals, vec![gap(0, 3_000, "unconfirmed")]);
    assert_eq!((tally.heard, tally.told, tally.heard_and_told), (16, 0, 8));
    assert_eq!(tally.faults(), [""; 0]);
}

#[test]
fn what_comes_twice_is_counted_once_more() {
    let finals = vec![
        heard(1_000, RELIEVED),
        heard(1_040, RELIEVED),
        heard(5_000, ACCOUNT),
    ];
    let tally = settle(finals, vec![]);
    assert_eq!((tally.heard, tally.twice), (16, 8));
    assert_eq!(tally.faults(), ["8 words were heard twice"]);
}

#[test]
fn a_rough_origin_is_put_right_by_what_was_heard() {
    let finals = vec![heard(1_400, RELIEVED), heard(5_390, ACCOUNT)];
    assert_eq!(settle(finals, vec![]).faults(), [""; 0]);
    // One alone is where it is; against the other it is off.
    let finals = vec![
        heard(1_000, RELIEVED),
        heard(1_000, RELIEVED),
        heard(6_000, ACCOUNT),
    ];
    assert_eq!(settle(finals, vec![]).misplaced, 8);
}

#[test]
fn a_final_that_goes_over_a_gap_may_be_right_at_one_end_only() {
    let torn = |start_ms, end_ms| Final {
        end_ms,
        ..heard(start_ms, ACCOUNT)
    };
    let finals = |torn| vec![heard(1_000, RELIEVED), torn];
    let gaps = || vec![gap(3_000, 5_040, "outage")];
    let tally = settle(finals(torn(2_960, 7_851)), gaps());
    assert_eq!((tally.heard, tally.misplaced), (16, 0));
    assert_eq!(settle(finals(torn(0, 7_851)), gaps()).misplaced, 0);
    assert_eq!(settle(finals(torn(2_960, 9_000)), gaps()).misplaced, 8);
}

#[test]
fn what_nobody_said_is_told_apart_by_whose_it_is() {
    let finals = vec![
        heard(1_000, BALANCE),
        heard(2_000, CODE),
        heard(30_000, RELIEVED),
    ];
    let tally = settle(finals, vec![gap(0, 9_000, "outage")]);
    assert_eq!((tally.foreign, tally.leaked, tally.unplanted), (13, 7, 8));
    assert_eq!(tally.told, 16);
    assert_eq!(tally.faults().len(), 3);
}

#[test]
fn several_phrases_in_one_final_are_each_heard() {
    let both = Final {
        start_ms: 1_000,
        end_ms: 7_800,
        text: format!("{RELIEVED} {ACCOUNT}"),
    };
    let tally = settle(vec![both], vec![]);
    assert_eq!((tally.heard, tally.finals), (16, 1));
    assert_eq!(tally.faults(), [""; 0]);
}

#[test]
fn a_run_in_which_nothing_was_said_shows_nothing() {
    assert_eq!(Tally::default().faults(), ["nothing was said"]);
}

proptest! {
    #[test]
    fn whatever_is_told_each_planted_word_is_accounted_for_once(
        finals in proptest::collection::vec((0..60_000_u64, 0..5_000_u64, 0..4_usize), 0..20),
        gaps in proptest::collection::vec((0..60_000_u64, 0..5_000_u64), 0..10),
    ) {
        let texts = [RELIEVED, ACCOUNT, BALANCE, "???"];
        let finals = finals.into_iter().map(|(start_ms, lasts, text)| Final {
            start_ms,
            end_ms: start_ms + lasts,
            text: texts[text].to_owned(),
        });
        let gaps = gaps.into_iter().map(|(from, lasts)| gap(from, from + lasts, "outage"));
        let tally = settle(finals.collect(), gaps.collect());
        prop_assert_eq!(tally.planted, 16);
        prop_assert_eq!(tally.heard + tally.told + tally.missing, 16);
        prop_assert!(tally.heard_and_told <= tally.heard);
    }
}
