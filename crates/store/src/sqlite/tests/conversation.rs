use std::sync::Arc;

use call::private::Private;

use super::*;
use crate::entry::{Command, StreamSummary};
use crate::query::{Commanded, Gap, Pause, Stream};

fn all(world: &World, guid: &str) -> Conversation {
    let by = ByName::Call(call(guid));
    world
        .store
        .conversation(&by, &everybody())
        .unwrap()
        .unwrap()
}

fn stream() -> StreamId {
    StreamId::new("stream-1")
}

const SUMMARY: StreamSummary = StreamSummary {
    audio_bytes: 1,
    audio_ms: 2,
    streaming_ms: 3,
    transcripts: 4,
};

/// A call from its beginning to its end, a second a step.
fn course() -> [What; 9] {
    let opened = What::LegOpened {
        leg: 7,
        side: "first",
    };
    let role = What::LegRole {
        leg: 7,
        role: Role::Agent,
        reason: "order".into(),
        confidence: Some("high"),
    };
    let over = What::LegEnded {
        leg: 7,
        fault: "nobody",
        reason: "hangup",
        counters: "{}".into(),
    };
    let stream_opened = What::StreamOpened {
        stream: stream(),
        role: Role::Agent,
        external: "ca1".into(),
    };
    let ready = What::StreamReady {
        stream: stream(),
        service: "vosk",
    };
    let stream_ended = What::StreamEnded {
        stream: stream(),
        code: 1000,
        description: "OK".into(),
        summary: Some(SUMMARY),
    };
    let ended = What::Ended {
        fault: "client",
        reason: "stopped",
    };
    [
        What::Started,
        opened,
        role,
        stream_opened,
        ready,
        stream_ended,
        over,
        ended,
        What::Nothing,
    ]
}

#[test]
fn a_conversation_has_what_was_told_of_it() {
    let mut world = World::new();
    let course = course().map(|what| world.entry("CA1", what));
    world.write(course.into());
    let found = all(&world, "CA1");
    assert_eq!(found.line.call, call("CA1"));
    assert_eq!(found.line.began_unix_ms, BEGIN + 1000);
    assert_eq!(found.line.ended_unix_ms, Some(BEGIN + 8000));
    assert_eq!(found.ending, Some(("client".into(), "stopped".into())));
    assert_eq!(found.names, [call("ca1")]);
    let leg = &found.legs[0];
    assert_eq!(
        (leg.leg, &*leg.side, leg.role),
        (7, "first", Some(Role::Agent))
    );
    assert_eq!(leg.role_reason.as_deref(), Some("order"));
    assert_eq!(leg.role_confidence.as_deref(), Some("high"));
    assert_eq!(
        (leg.opened_unix_ms, leg.ended_unix_ms),
        (BEGIN + 2000, Some(BEGIN + 7000))
    );
    assert_eq!(leg.ending, Some(("nobody".into(), "hangup".into())));
    assert_eq!(leg.counters.as_deref(), Some("{}"));
    let told = Stream {
        id: "stream-1".into(),
        role: Role::Agent,
        service: Some("vosk".into()),
        opened_unix_ms: BEGIN + 4000,
        ended_unix_ms: Some(BEGIN + 6000),
        status: Some((1000, "OK".into())),
        summary: Some(SUMMARY),
    };
    assert_eq!(found.streams, [told]);
}

#[test]
fn gaps_are_lost_time_but_for_pauses() {
    let mut world = World::new();
    let gap = |from_ms, to_ms, reason| What::Gap {
        stream: stream(),
        role: Role::Customer,
        from_ms,
        to_ms,
        reason,
    };
    let gaps = [
        gap(0, 500, "outage"),
        gap(500, 900, "paused"),
        gap(900, 1000, "overflow"),
    ];
    let gaps = gaps.map(|what| world.entry("CA1", what));
    world.write(gaps.into());
    let found = all(&world, "CA1");
    assert_eq!(found.line.lost_ms, 600);
    assert_eq!(found.gaps.len(), 3);
    let second = Gap {
        stream: "stream-1".into(),
        role: Role::Customer,
        from_ms: 500,
        to_ms: 900,
        reason: "paused".into(),
    };
    assert_eq!(found.gaps[1], second);
}

#[test]
fn a_pause_that_is_told_twice_is_one() {
    let mut world = World::new();
    let course = [true, true, false, false, true];
    let course = course.map(|begins| world.entry("CA1", What::Paused { begins }));
    world.write(course.into());
    let pause = |from, to: Option<u64>| Pause {
        from_unix_ms: BEGIN + from,
        to_unix_ms: to.map(|to| BEGIN + to),
    };
    assert_eq!(
        all(&world, "CA1").pauses,
        [pause(1000, Some(3000)), pause(5000, None)]
    );
}

#[test]
fn the_audit_trail_says_who_asked_for_what_from_where() {
    let mut world = World::new();
    let command = |verb, outcome: &str| {
        What::Command(Command {
            verb,
            key: "crm".into(),
            from: Private::new("192.0.2.7".to_owned()),
            outcome: outcome.into(),
            request: "request-1".into(),
        })
    };
    let commands = [command("pause", "ok"), command("pause", "409-201")];
    let commands = commands.map(|what| world.entry("CA1", what));
    world.write(commands.into());
    let refused = Commanded {
        at_unix_ms: BEGIN + 2000,
        verb: "pause".into(),
        key: "crm".into(),
        from: Private::new("192.0.2.7".to_owned()),
        outcome: "409-201".into(),
        request: "request-1".into(),
    };
    let found = all(&world, "CA1");
    assert_eq!((found.commands.len(), &found.commands[1]), (2, &refused));
    assert!(!contains(&raw(&world.directory), b"192.0.2.7"));
}

#[test]
fn a_call_that_comes_again_goes_on_with_its_conversation() {
    let mut world = World::new();
    let ended = What::Ended {
        fault: "nobody",
        reason: "stopped",
    };
    let first = [world.said("CA1", "one"), world.entry("CA1", ended)];
    world.write(first.into());
    let id = all(&world, "CA1").line.id;
    let again = [world.entry("CA1", What::Started), world.said("CA1", "two")];
    world.write(again.into());
    let found = all(&world, "CA1");
    assert_eq!(
        (&found.line.id, found.line.ended_unix_ms, found.ending),
        (&id, None, None)
    );
    assert_eq!(world.texts("CA1"), ["one", "two"]);
}

#[test]
fn a_name_that_another_tenant_uses_is_another_conversation() {
    let mut world = World::new();
    let mut of = |tenant: Option<&str>, text: &str| {
        let entry = world.said("CA1", text);
        world.write(vec![Entry {
            tenant: tenant.map(Arc::from),
            ..entry
        }]);
    };
    of(None, "nobody knows yet");
    of(Some("red"), "for red");
    of(Some("blue"), "for blue");
    of(None, "still blue");
    let texts = |scope: &Scope| {
        let by = ByName::External("CA1".into());
        let found = world.store.messages(&by, scope, 10).unwrap();
        found.map(|all| {
            all.iter()
                .map(|one| one.text.reveal().clone())
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(
        texts(&only("red")).unwrap(),
        ["nobody knows yet", "for red"]
    );
    assert_eq!(texts(&only("blue")).unwrap(), ["for blue", "still blue"]);
    assert_eq!(texts(&only("green")), None);
    assert_eq!(texts(&everybody()).unwrap(), ["for blue", "still blue"]);
}

#[test]
fn another_name_of_the_call_leads_to_it_and_the_newest_of_several_does() {
    let mut world = World::new();
    let dialogs = [("CA1", "first"), ("CA2", "second")].map(|(guid, text)| Entry {
        also: [call("shared")].into(),
        ..world.said(guid, text)
    });
    world.write(dialogs.into());
    let by = ByName::External("shared".into());
    let found = world
        .store
        .messages(&by, &everybody(), 10)
        .unwrap()
        .unwrap();
    assert_eq!(found[0].text.reveal(), "second");
    let by = ByName::External("Shared".into());
    assert_eq!(world.store.messages(&by, &everybody(), 10).unwrap(), None);
    let by = ByName::Id(all(&world, "CA1").line.id);
    let found = world
        .store
        .messages(&by, &everybody(), 10)
        .unwrap()
        .unwrap();
    assert_eq!(found[0].text.reveal(), "first");
}

#[test]
fn messages_come_in_the_order_in_which_they_were_said() {
    let mut world = World::new();
    let mut late = world.said("CA1", "kept first, said last");
    if let What::Said(said) = &mut late.what {
        said.said_at_unix_ms += 60_000;
    }
    let entries = vec![
        late,
        world.said("CA1", "said first"),
        world.said("CA1", "said second"),
    ];
    world.write(entries);
    assert_eq!(
        world.texts("CA1"),
        ["said first", "said second", "kept first, said last"]
    );
    let by = ByName::Call(call("CA1"));
    let two = world.store.messages(&by, &everybody(), 2).unwrap().unwrap();
    assert_eq!(two[1].text.reveal(), "said second");
}

#[test]
fn a_message_that_is_written_again_is_kept_once() {
    let mut world = World::new();
    let entry = world.said("CA1", "once");
    world.write(vec![entry.clone()]);
    world.write(vec![entry]);
    assert_eq!(world.texts("CA1"), ["once"]);
    assert_eq!(all(&world, "CA1").line.utterances, 1);
}

#[test]
fn a_stream_whose_opening_was_not_kept_is_told_of_all_the_same() {
    let mut world = World::new();
    let said = world.said("CA1", "hello");
    let ready = world.entry(
        "CA2",
        What::StreamReady {
            stream: stream(),
            service: "vosk",
        },
    );
    world.write(vec![said, ready]);
    assert_eq!(all(&world, "CA1").streams[0].role, Role::Customer);
    assert_eq!(
        all(&world, "CA2").streams[0].service.as_deref(),
        Some("vosk")
    );
}

#[test]
fn what_is_only_read_does_not_write() {
    let mut world = World::new();
    let entry = world.said("CA1", "hello");
    world.write(vec![entry]);
    let other = SqliteStore::open_to_read(&world.config).unwrap();
    let by = ByName::External("CA1".into());
    assert_eq!(
        other
            .messages(&by, &everybody(), 10)
            .unwrap()
            .unwrap()
            .len(),
        1
    );
    let entry = world.said("CA1", "while it is open");
    world.write(vec![entry]);
    assert_eq!(
        other
            .messages(&by, &everybody(), 10)
            .unwrap()
            .unwrap()
            .len(),
        2
    );
    assert!(matches!(
        other.write(&Batch::default()),
        Err(StoreError::Other(_))
    ));
    assert!(matches!(
        other.erase(&by, &everybody()),
        Err(StoreError::Other(_))
    ));
    let nowhere = StoreConfig::at(world.directory.path().join("none.db"));
    assert!(matches!(
        SqliteStore::open_to_read(&nowhere),
        Err(StoreError::Other(_))
    ));
    assert!(!nowhere.path.exists());
}

#[test]
fn only_the_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let mut world = World::new();
    let entry = world.said("CA1", "hello");
    world.write(vec![entry]);
    for file in std::fs::read_dir(world.directory.path()).unwrap() {
        let mode = file.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn the_number_of_a_calls_newest_event_outlives_its_events() {
    let mut world = World::new();
    let newest = |world: &World, guid: &str| world.store.newest_seq(&call(guid)).unwrap();
    let entries = vec![world.said("CA1", "hello"), world.said("CA1", "again")];
    world.write(entries);
    let entry = Entry {
        seq: 12,
        ..world.said("CA1", "after ten that were lost")
    };
    world.write(vec![entry]);
    assert_eq!((newest(&world, "CA1"), newest(&world, "CA2")), (12, 0));
    let expiry = Expiry {
        conversations_before_unix_ms: 0,
        events_before_unix_ms: u64::MAX,
        dead_letters_before_unix_ms: 0,
        dead_letters_bytes_max: u64::MAX,
        bytes_max: u64::MAX,
    };
    assert_eq!(world.store.expire(&expiry, 100).unwrap().events, 3);
    drop(world.store);
    world.store = SqliteStore::open(&world.config).unwrap().0;
    assert_eq!(newest(&world, "CA1"), 12);
    let late = Entry {
        seq: 5,
        ..world.said("CA1", "written late")
    };
    world.write(vec![late]);
    assert_eq!(newest(&world, "CA1"), 12);
}
