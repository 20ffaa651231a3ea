//! The switchboard's two tables, a row a cell: where the call stands, what happens, what comes of
//! it.

#![expect(clippy::unwrap_used, reason = "a test says what it needs by failing")]

#[path = "table/rows.rs"]
mod rows;
#[path = "table/script.rs"]
mod script;

use std::collections::BTreeSet;
use std::time::Duration;

use call::name::{Role, Side};
use call::start::Grounds;
use call::switchboard::{Output, Patience};

use rows::{COMMANDS, EVENTS, NOTES, Row, STATES};
use script::{PATIENCE, Script};

fn check(rows: &[Row]) {
    for ((way, state), event, expected) in rows {
        let mut script = Script::new(PATIENCE);
        script.say(way);
        assert_eq!(script.state("CA1"), *state, "after {way:?}");
        assert_eq!(
            script.say(event),
            *expected,
            "{state}, after {way:?}: {event}"
        );
    }
}

/// Which states have a row with this event.
fn states(rows: &[Row], word: &str) -> BTreeSet<&'static str> {
    let has = |events: &str| events.split("; ").any(|event| event.starts_with(word));
    rows.iter()
        .filter(|(_, events, _)| has(events))
        .map(|((_, state), ..)| *state)
        .collect()
}

#[test]
fn each_command_does_in_each_state_what_the_table_says() {
    check(COMMANDS);
    for command in ["start", "stop", "pause", "resume"] {
        assert_eq!(
            states(COMMANDS, command),
            STATES.map(|(_, state)| state).into(),
            "{command}"
        );
    }
}

#[test]
fn each_event_does_in_each_state_what_the_table_says() {
    check(EVENTS);
    assert_eq!(states(EVENTS, "leg"), STATES.map(|(_, state)| state).into());
    let with_legs = ["idle", "starting", "streaming", "paused", "stopping"];
    let renamed = STATES.map(|(_, state)| state);
    assert_eq!(states(EVENTS, "rename"), renamed.into());
    for event in ["ready", "fail", "finish", "shut", "learn", "wait"] {
        let states = states(EVENTS, event);
        assert!(
            with_legs.iter().all(|state| states.contains(state)),
            "{event}: {states:?}"
        );
        assert!(states.contains("draining"), "{event}: {states:?}");
    }
    assert!(
        with_legs
            .iter()
            .all(|state| states(EVENTS, "end").contains(state))
    );
}

#[test]
fn what_the_tables_do_not_show() {
    check(NOTES);
}

#[test]
fn without_grace_a_start_for_an_unknown_call_is_refused_at_once() {
    let mut script = Script::new(Patience {
        start_grace: Duration::ZERO,
        ..PATIENCE
    });
    assert_eq!(script.say("start a"), "a: 400-203");
    assert!(script.board.is_empty());
}

#[test]
fn a_call_that_is_over_leaves_nothing() {
    let mut script = Script::new(PATIENCE);
    script.say("leg 1; leg 2; start a; ready a1; stop b; shut 1 b; shut 2 b; wait 5s; start c");
    script.say("end 1; end 2");
    assert!(!script.board.is_empty());
    script.say("wait 10s");
    assert!(script.board.is_empty());
}

#[test]
fn a_view_shows_legs_and_streams_as_they_stand() {
    let mut script = Script::new(PATIENCE);
    script.say("leg 1; leg 2; start a; ready a1; ready a2; end 2; stop b; shut 1 b; wait 5s");
    script.say("start c; ready c1; leg 2");
    let views = script.board.calls();
    let [view] = &views[..] else {
        panic!("one call: {views:?}")
    };
    let legs: Vec<_> = view.legs.iter().map(|leg| (leg.id.0, leg.side)).collect();
    assert_eq!(legs, [(1, Side::First), (2, Side::Second)]);
    let streams = view.streams.iter();
    let streams: Vec<_> = streams
        .map(|stream| {
            (
                stream.id.as_str(),
                stream.leg.map(|leg| leg.0),
                stream.state,
            )
        })
        .collect();
    assert_eq!(
        streams,
        [
            ("c1", Some(1), "ready"),
            ("c2", Some(2), "opening"),
            ("a1", None, "finishing"),
            ("a2", None, "finishing")
        ]
    );
}

#[test]
fn an_opening_says_why_the_stream_has_its_role() {
    let role = |output: Output| match output {
        Output::OpenGate(_, spec, grounds) => Some((spec.role, grounds)),
        _ => None,
    };
    let told = |lines| {
        let mut script = Script::new(PATIENCE);
        script.say(lines);
        let outputs = script.unheard("start a").into_iter();
        outputs.filter_map(role).collect::<Vec<_>>()
    };
    assert_eq!(
        told("leg 1; leg 2 customer"),
        [
            (Role::Customer, Grounds::Suggestion),
            (Role::Agent, Grounds::Remainder)
        ]
    );
    assert_eq!(told("leg 2"), [(Role::Agent, Grounds::Side)]);
    assert_eq!(told("leg 2 mixed"), [(Role::Mixed, Grounds::Suggestion)]);
}

#[test]
fn an_order_that_is_given_is_the_reason() {
    let mut script = Script::new(PATIENCE);
    script.say("leg 1 agent");
    let outputs = script.unheard("start a ordered");
    let Some(Output::OpenGate(_, spec, grounds)) = outputs.first() else {
        panic!("{outputs:?}")
    };
    assert_eq!((spec.role, *grounds), (Role::Customer, Grounds::Order));
}

#[test]
fn an_answer_says_whose_stream_failed_and_why() {
    let mut script = Script::new(PATIENCE);
    script.say("leg 1; leg 2; start a; ready a2; fail a1");
    script.own_receipt("1");
    let Some(Output::Answer(_, Ok(outcome))) = script.board.poll() else {
        panic!("no answer")
    };
    assert_eq!(
        outcome.error.as_deref(),
        Some("customer: Service Unavailable")
    );
    assert_eq!(outcome.reports[1].role, Role::Agent);
}
