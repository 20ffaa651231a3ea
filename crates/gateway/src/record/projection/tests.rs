use call::backlog::GapReason;
use call::ending::{Ending, Fault};
use call::leg::LegStats;
use call::name::{Guid, LegId, Namespace, Side};
use call::private::Private;
use call::start::{Report, Status, Summary};
use call::transcript::Alternative;
use proptest::prelude::*;
use store::entry::EventPlace;

use super::*;
use crate::events::{self};
use crate::switchboard_task::LegRole;

fn call(guid: &str) -> CallName {
    CallName {
        namespace: Namespace::Siprec,
        guid: Guid::parse(guid).unwrap(),
    }
}

fn stream(id: &str) -> StreamId {
    StreamId::new(id)
}

/// What happened to call `1`, so many milliseconds after its beginning.
fn record(ms: u64, event: Event) -> Record {
    Record {
        id: EventPlace {
            boot: 7,
            number: ms,
        },
        at_unix_ms: 1_700_000_000_000 + ms,
        call: call("1"),
        also: None,
        tenant: None,
        event,
    }
}

fn opened(id: &str, external: &str) -> Event {
    Event::StreamOpened {
        stream: stream(id),
        role: Role::Agent,
        external: external.into(),
    }
}

fn said(id: &str, (start, end): (u64, u64), is_final: bool) -> Event {
    Event::Transcript(Utterance {
        call: call("1"),
        stream: stream(id),
        role: Role::Agent,
        sender: Private::new("agent-7".to_owned()),
        alternatives: vec![Alternative {
            text: Private::new("Good morning.".to_owned()),
            tokens: Vec::new(),
        }],
        start: Duration::from_millis(start),
        end: Duration::from_millis(end),
        is_final,
    })
}

fn all(records: &[Record]) -> Vec<Projected> {
    let mut projection = Projection::new();
    let project = |record: &Record| projection.project(record);
    records.iter().map(project).collect()
}

#[test]
fn an_utterance_was_said_when_its_stream_was_opened_and_so_much_later() {
    let projected = all(&[
        record(0, opened("a", "The-Call")),
        record(60_000, opened("b", "The-Call")),
        record(65_000, said("a", (1_500, 3_000), true)),
    ]);
    let What::Said(said) = &projected[2].entry.what else {
        panic!("{:?}", projected[2]);
    };
    assert_eq!(said.said_at_unix_ms, 1_700_000_001_500);
    assert_eq!(said.message, projected[2].id);
    assert_eq!(projected[2].entry.at_unix_ms, 1_700_000_065_000);
}

#[test]
fn an_utterance_of_an_unknown_stream_had_just_been_said() {
    let projected = all(&[record(65_000, said("a", (1_500, 3_000), true))]);
    let What::Said(said) = &projected[0].entry.what else {
        panic!("{:?}", projected[0]);
    };
    assert_eq!(said.said_at_unix_ms, 1_700_000_063_500);
}

#[test]
fn a_guess_is_no_message() {
    let projected = all(&[record(1, said("a", (0, 1), false))]);
    assert!(matches!(projected[0].entry.what, What::Nothing));
}

#[test]
fn a_pause_lasts_from_the_state_paused_to_the_next() {
    let states = [
        StateName::Streaming,
        StateName::Paused,
        StateName::Streaming,
        StateName::Paused,
        StateName::Draining,
        StateName::Idle,
    ];
    let records: Vec<_> = states
        .iter()
        .zip(1..)
        .map(|(state, ms)| record(ms, Event::CallChanged(*state)))
        .collect();
    let pauses: Vec<_> = all(&records)
        .iter()
        .map(|projected| match projected.entry.what {
            What::Paused { begins } => Some(begins),
            _ => None,
        })
        .collect();
    let (begins, ends) = (Some(true), Some(false));
    assert_eq!(pauses, [None, begins, ends, begins, ends, None]);
}

#[test]
fn a_call_is_told_by_the_name_that_its_start_wrote() {
    let projected = all(&[
        record(1, Event::CallStarted),
        record(2, opened("a", "The-Call")),
        record(3, Event::CallChanged(StateName::Streaming)),
        record(4, opened("b", "THE-CALL")),
        record(5, said("a", (0, 1), true)),
        record(6, Event::CallEnded(Ending::new(Fault::Nobody, "bye"))),
    ]);
    let names: Vec<_> = projected.iter().map(|one| &*one.external).collect();
    let (first, second) = ("The-Call", "THE-CALL");
    assert_eq!(names, ["1", first, first, second, first, second]);
}

#[test]
fn whose_a_call_is_stays_known_after_its_end() {
    let mut projection = Projection::new();
    let mut owned = record(1, Event::CallChanged(StateName::Streaming));
    owned.tenant = Some("north".into());
    assert_eq!(
        projection.project(&owned).entry.tenant.as_deref(),
        Some("north")
    );
    let ended = record(2, Event::CallEnded(Ending::new(Fault::Nobody, "bye")));
    let projected = projection.project(&ended);
    assert_eq!(projected.fact(&ended).tenant, Some("north"));
}

#[test]
fn the_trail_of_a_command_has_the_address_and_the_event_has_not() {
    let command = events::Command {
        verb: "pause",
        key: "desktop".into(),
        from: Private::new("192.0.2.77".to_owned()),
        outcome: "409-201",
        request: "r-1".to_owned(),
    };
    let projected = all(&[record(1, Event::Command(command))]);
    let What::Command(kept) = &projected[0].entry.what else {
        panic!("{:?}", projected[0]);
    };
    assert_eq!((kept.verb, &*kept.key), ("pause", "desktop"));
    assert_eq!(kept.from.reveal(), "192.0.2.77");
    assert_eq!((&*kept.outcome, &*kept.request), ("409-201", "r-1"));
    let json = projected[0].entry.json.reveal();
    assert!(
        json.contains("\"verb\":\"pause\"") && !json.contains("192.0.2.77"),
        "{json}"
    );
}

#[test]
fn legs_are_kept_with_their_roles_and_what_they_saw() {
    let role = LegRole {
        role: Role::Customer,
        reason: "trackMap of the start".to_owned(),
        confidence: "high",
    };
    let (leg, side) = (LegId(3), Side::First);
    let stats = LegStats {
        frames: 50,
        ..LegStats::default()
    };
    let ending = Ending::new(Fault::Client, "bye");
    let projected = all(&[
        record(1, Event::LegOpened { leg, side }),
        record(2, Event::LegRole { leg, side, role }),
        record(
            3,
            Event::LegEnded {
                leg,
                side,
                ending,
                stats,
            },
        ),
    ]);
    let what: Vec<_> = projected.iter().map(|one| &one.entry.what).collect();
    assert!(matches!(
        what[0],
        What::LegOpened {
            leg: 3,
            side: "first"
        }
    ));
    let What::LegRole {
        role,
        reason,
        confidence,
        ..
    } = what[1]
    else {
        panic!("{what:?}");
    };
    assert_eq!((*role, *confidence), (Role::Customer, Some("high")));
    assert_eq!(reason, "trackMap of the start");
    let What::LegEnded {
        counters, fault, ..
    } = what[2]
    else {
        panic!("{what:?}");
    };
    assert!(counters.contains("\"frames\":50"), "{counters}");
    assert_eq!(*fault, "client");
}

#[test]
fn a_stream_is_kept_with_what_the_service_counted() {
    let summary = Summary {
        audio_bytes: 16_000,
        audio: Duration::from_secs(1),
        streaming: Duration::from_millis(1_250),
        transcripts: 2,
    };
    let report = Report {
        id: stream("a"),
        role: Role::Agent,
        status: Status::ok(),
        summary: Some(summary),
    };
    let (gap, ready) = (
        Event::Gap {
            stream: stream("a"),
            role: Role::Agent,
            from_ms: 10,
            to_ms: 30,
            reason: GapReason::Lost,
        },
        Event::StreamReady {
            stream: stream("a"),
            role: Role::Agent,
            service: "vosk",
        },
    );
    let projected = all(&[
        record(1, ready),
        record(2, gap),
        record(3, Event::StreamEnded(report)),
    ]);
    let what: Vec<_> = projected.iter().map(|one| &one.entry.what).collect();
    assert!(matches!(
        what[0],
        What::StreamReady {
            service: "vosk",
            ..
        }
    ));
    assert!(matches!(
        what[1],
        What::Gap {
            from_ms: 10,
            to_ms: 30,
            reason: "lost",
            ..
        }
    ));
    let What::StreamEnded { code, summary, .. } = what[2] else {
        panic!("{what:?}");
    };
    let summary = summary.unwrap();
    assert_eq!(
        (*code, summary.audio_bytes, summary.transcripts),
        (1000, 16_000, 2)
    );
    assert_eq!((summary.audio_ms, summary.streaming_ms), (1_000, 1_250));
}

#[test]
fn a_call_is_numbered_on_from_where_the_store_has_it() {
    let mut projection = Projection::new();
    assert!(!projection.knows(&call("1")));
    projection.begin(&call("1"), 41);
    assert!(projection.knows(&call("1")));
    assert_eq!(
        projection.project(&record(1, Event::CallStarted)).entry.seq,
        42
    );
}

#[test]
fn calls_that_are_over_are_forgotten_and_live_ones_never() {
    let mut projection = Projection::new();
    let hour = 3_600_000;
    projection.project(&record(0, Event::CallStarted));
    projection.forget(record(hour, Event::CallStarted).at_unix_ms);
    assert!(projection.knows(&call("1")));
    let ending = Ending::new(Fault::Nobody, "bye");
    projection.project(&record(hour, Event::CallEnded(ending)));
    projection.forget(record(hour + 60_000, Event::CallStarted).at_unix_ms);
    assert!(projection.knows(&call("1")));
    projection.forget(record(2 * hour, Event::CallStarted).at_unix_ms);
    assert!(!projection.knows(&call("1")));
}

fn something() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::CallStarted),
        Just(Event::CallChanged(StateName::Paused)),
        Just(Event::CallChanged(StateName::Streaming)),
        Just(Event::CallEnded(Ending::new(Fault::Nobody, "bye"))),
        (0..40_u8).prop_map(|id| opened(&id.to_string(), "The-Call")),
        (0..40_u8, 0..10_000_u64).prop_map(|(id, at)| said(&id.to_string(), (at, at + 100), true)),
    ]
}

proptest! {
    #[test]
    fn numbers_are_consecutive_ids_grow_and_pauses_alternate(
        events in proptest::collection::vec((0..3_u8, something(), 0..5_u64), 0..200),
    ) {
        let mut projection = Projection::new();
        let mut seqs = HashMap::new();
        let mut pauses = HashMap::new();
        let (mut newest, mut ms) = (String::new(), 1_000_u64);
        for (which, event, step) in events {
            // A clock may also be set back.
            ms = (ms + step).saturating_sub(2);
            let mut record = record(ms, event);
            record.call = call(&which.to_string());
            let projected = projection.project(&record);
            let seq = seqs.entry(which).or_insert(0);
            *seq += 1;
            prop_assert_eq!(projected.entry.seq, *seq);
            prop_assert!(projected.id > newest, "{} after {}", projected.id, newest);
            newest.clone_from(&projected.id);
            if let What::Paused { begins } = projected.entry.what {
                let was = pauses.insert(which, begins);
                prop_assert_eq!(was.unwrap_or(false), !begins);
            }
            for memory in projection.calls.values() {
                prop_assert!(memory.streams.len() <= Memory::STREAMS_MAX);
            }
        }
    }
}
