use super::*;

fn nothing() -> Expiry {
    Expiry {
        conversations_before_unix_ms: 0,
        events_before_unix_ms: 0,
        dead_letters_before_unix_ms: 0,
        dead_letters_bytes_max: u64::MAX,
        bytes_max: u64::MAX,
    }
}

/// Expires in steps of so many rows until nothing is left to do; what went, and in how many steps.
fn expire(world: &World, expiry: &Expiry, most: usize) -> (Expired, usize) {
    let mut all = Expired::default();
    for steps in 1..10_000 {
        let expired = world.store.expire(expiry, most).unwrap();
        all.conversations += expired.conversations;
        all.for_room += expired.for_room;
        all.events += expired.events;
        all.dead_letters += expired.dead_letters;
        if !expired.more {
            return (all, steps);
        }
    }
    panic!("it never ends");
}

fn count(world: &World, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    let count = |db: &Connection, _: &Vault| Ok(db.query_row(&sql, [], |row| row.get(0))?);
    world.store.read(count).unwrap()
}

#[test]
fn conversations_go_when_their_time_is_over_with_all_that_is_theirs() {
    let mut world = World::new();
    let entries: Vec<Entry> = (1..=20)
        .map(|number| Entry {
            also: [call("other")].into(),
            tenant: Some("red".into()),
            ..world.said(&format!("CA{}", number % 2), &format!("word{number}"))
        })
        .collect();
    world.write(entries);
    let late = world.said("CA1", "late");
    world.write(vec![late]);
    // CA0 was heard last at 20 s, CA1 at 21 s.
    let expiry = Expiry {
        conversations_before_unix_ms: BEGIN + 21_000,
        ..nothing()
    };
    let (expired, _) = expire(&world, &expiry, 1000);
    assert_eq!((expired.conversations, expired.for_room), (1, 0));
    assert_eq!(world.texts("CA0"), [""; 0]);
    assert_eq!(world.texts("CA1").len(), 11);
    let rest = Expiry {
        conversations_before_unix_ms: u64::MAX,
        ..nothing()
    };
    let (expired, steps) = expire(&world, &rest, 7);
    assert_eq!(expired.conversations, 1);
    assert!(steps > 2, "{steps} steps of seven rows");
    for table in [
        "conversations",
        "utterances",
        "terms",
        "events",
        "names",
        "streams",
    ] {
        assert_eq!(count(&world, table), 0, "{table}");
    }
}

#[test]
fn a_conversation_that_is_half_gone_is_gone_for_who_asks() {
    let mut world = World::new();
    let entries = (0..20).map(|_| world.said("CA1", "hello")).collect();
    world.write(entries);
    let expiry = Expiry {
        conversations_before_unix_ms: u64::MAX,
        ..nothing()
    };
    let expired = world.store.expire(&expiry, 5).unwrap();
    assert!(expired.more && count(&world, "utterances") > 0);
    let by = ByName::External("CA1".into());
    assert_eq!(world.store.messages(&by, &everybody(), 10).unwrap(), None);
    let entry = world.said("CA1", "again");
    world.write(vec![entry]);
    assert_eq!(world.texts("CA1"), ["again"]);
    expire(
        &world,
        &Expiry {
            conversations_before_unix_ms: 0,
            ..nothing()
        },
        5,
    );
    assert_eq!(world.texts("CA1"), ["again"]);
    assert_eq!(count(&world, "utterances"), 1);
}

#[test]
fn events_and_dead_letters_go_by_their_own_time() {
    let mut world = World::new();
    let parcels = vec![parcel("CA1", "msg_1"), parcel("CA1", "msg_2")];
    let entries = (0..4).map(|_| world.said("CA1", "hello")).collect();
    world.store.write(&Batch { entries, parcels }).unwrap();
    let dead = |number, at| Settled::Dead {
        number,
        attempts: 1,
        at_unix_ms: BEGIN + at,
        why: "timeout".into(),
    };
    world.store.settle(&[dead(1, 10), dead(2, 20)]).unwrap();
    let expiry = Expiry {
        events_before_unix_ms: BEGIN + 3000,
        dead_letters_before_unix_ms: BEGIN + 20,
        ..nothing()
    };
    let (expired, _) = expire(&world, &expiry, 100);
    assert_eq!(
        (expired.events, expired.dead_letters, expired.conversations),
        (2, 1, 0)
    );
    assert_eq!(world.store.depth("crm").unwrap().dead, 1);
    assert_eq!(world.texts("CA1").len(), 4);
}

#[test]
fn dead_letters_never_take_more_room_than_they_may() {
    let mut world = World::new();
    let parcels = (0..10).map(|number| parcel("CA1", &format!("msg_{number}")));
    let batch = Batch {
        entries: vec![world.said("CA1", "hello")],
        parcels: parcels.collect(),
    };
    world.store.write(&batch).unwrap();
    let dead = |number| Settled::Dead {
        number,
        attempts: 1,
        at_unix_ms: BEGIN,
        why: "timeout".into(),
    };
    let all: Vec<Settled> = (1..=10).map(dead).collect();
    world.store.settle(&all).unwrap();
    let body = "body of msg_0".len() as u64;
    let expiry = Expiry {
        dead_letters_bytes_max: 3 * body,
        ..nothing()
    };
    let (expired, steps) = expire(&world, &expiry, 2);
    assert_eq!((expired.dead_letters, expired.conversations), (7, 0));
    assert!(steps > 3, "{steps} steps of two rows");
    let which = DeadLetters {
        most: 10,
        ..DeadLetters::default()
    };
    let left = world.store.dead_letters(&which).unwrap();
    let left: Vec<u64> = left.iter().map(|letter| letter.number).collect();
    assert_eq!(left, [8, 9, 10], "the oldest went");
}

#[test]
fn the_oldest_conversations_go_for_lack_of_room_and_the_file_becomes_shorter() {
    let mut world = World::with(|config| config.log_bytes = 64 << 10);
    for number in 0..200 {
        let guid = format!("CA{number}");
        let text = "a long story ".repeat(200);
        let entries = vec![world.said(&guid, &text), world.said(&guid, &text)];
        world.write(entries);
    }
    let before = world.store.bytes();
    let expiry = Expiry {
        bytes_max: before / 2,
        ..nothing()
    };
    let (expired, _) = expire(&world, &expiry, 100);
    assert!(expired.for_room > 0 && expired.for_room == expired.conversations);
    assert!(
        world.store.bytes() <= before / 2,
        "{} of {before}",
        world.store.bytes()
    );
    assert_eq!(world.texts("CA0"), [""; 0]);
    assert_eq!(world.texts("CA199").len(), 2);
    let gone = (0..200)
        .take_while(|n| world.texts(&format!("CA{n}")).is_empty())
        .count();
    assert_eq!(
        gone as u64, expired.conversations,
        "the oldest, and no others"
    );
}

#[test]
fn what_waits_outlives_its_conversation_and_then_its_key_goes_too() {
    let mut world = World::new();
    let batch = Batch {
        entries: vec![world.said("CA1", "hello")],
        parcels: vec![parcel("CA1", "msg_1"), parcel("CA1", "msg_2")],
    };
    world.store.write(&batch).unwrap();
    let expiry = Expiry {
        conversations_before_unix_ms: u64::MAX,
        ..nothing()
    };
    let (expired, _) = expire(&world, &expiry, 100);
    assert_eq!((expired.conversations, count(&world, "utterances")), (1, 0));
    let carried = world.store.parcel(1).unwrap().unwrap();
    assert_eq!(carried.body.reveal(), b"body of msg_1");
    let given_up = Settled::Dead {
        number: 2,
        attempts: 1,
        at_unix_ms: BEGIN,
        why: "timeout".into(),
    };
    world
        .store
        .settle(&[Settled::Delivered { number: 1 }, given_up])
        .unwrap();
    assert_eq!(expire(&world, &expiry, 100).0.conversations, 0);
    assert_eq!(count(&world, "conversations"), 1);
    let all = DeadLetters {
        most: 10,
        ..DeadLetters::default()
    };
    assert_eq!(world.store.replay(&all).unwrap(), 1);
    assert_eq!(
        world.store.parcel(3).unwrap().unwrap().body.reveal(),
        b"body of msg_2"
    );
    world
        .store
        .settle(&[Settled::Dropped { number: 3 }])
        .unwrap();
    expire(&world, &expiry, 100);
    assert_eq!(count(&world, "conversations"), 0);
    let key = |db: &Connection, vault: &Vault| keys::sealer(db, vault, 1).map(drop);
    assert!(world.store.read(key).is_ok(), "its place is kept");
    let zeros = |db: &Connection, _: &Vault| {
        let sql = "SELECT keys FROM seals WHERE slab = 0";
        Ok(db.query_row(sql, [], |row| row.get::<_, Vec<u8>>(0))?)
    };
    assert!(contains(
        &world.store.read(zeros).unwrap()[512 + 32..],
        &[0; 32]
    ));
}

#[test]
fn rows_of_keys_go_when_none_of_their_conversations_is_left() {
    let mut world = World::new();
    let entries = (0..300)
        .map(|number| world.said(&format!("CA{number}"), "hello"))
        .collect();
    world.write(entries);
    assert_eq!(count(&world, "seals"), 3);
    let expiry = Expiry {
        conversations_before_unix_ms: BEGIN + 250_000,
        ..nothing()
    };
    expire(&world, &expiry, 1000);
    // That of nobody's parcels, and that of the conversations that are left.
    assert_eq!(count(&world, "seals"), 2);
    assert_eq!(world.texts("CA299"), ["hello"]);
}
