use super::*;
use crate::key::Key;

/// Conversations with words of their own, and what waits of them.
fn many(world: &mut World, count: usize) {
    for round in 0..4 {
        let of_round = |number: usize| {
            let text = format!(
                "zebra{number}x{round} quagga{number}y {}",
                "filling ".repeat(round)
            );
            (format!("CA{number}"), text)
        };
        let all: Vec<_> = (0..count).map(of_round).collect();
        let entries = all.iter().map(|(guid, text)| Entry {
            json: format!("{{\"text\":\"{text}\"}}").into(),
            ..world.said(guid, text)
        });
        let entries = entries.collect();
        let parcels = all.iter().map(|(guid, text)| Parcel {
            body: text.clone().into_bytes().into(),
            ..parcel(guid, &format!("msg_{guid}_{round}"))
        });
        let parcels = parcels.collect();
        world.store.write(&Batch { entries, parcels }).unwrap();
    }
}

#[test]
fn no_text_is_readable_in_any_file_with_or_without_a_key() {
    for key in [None, Some(Key::parse(&[7; 32]).unwrap())] {
        let mut world = World::with(|config| config.key = key);
        many(&mut world, 20);
        let found = world.texts("CA3");
        assert!(found[0].starts_with("zebra3x0 quagga3y"));
        let raw = raw(&world.directory);
        for text in ["zebra", "quagga", "filling", "+1555"] {
            assert!(!contains(&raw, text.as_bytes()), "{text}");
        }
    }
}

#[test]
fn nothing_opens_what_was_erased() {
    let mut world = World::new();
    many(&mut world, 150);
    let before = slabs(&world);
    let key = |id: usize| before[id / 112][512 + id % 112 * 32..][..32].to_vec();
    let on_disk = raw(&world.directory);
    assert!(contains(&on_disk, &key(5)) && contains(&on_disk, &key(6)));
    // Conversation numbers count from 1: CA4 is the fifth.
    for number in (0..150).filter(|number| number % 3 == 1) {
        let by = ByName::External(format!("CA{number}"));
        assert!(world.store.erase(&by, &everybody()).unwrap());
        assert!(!world.store.erase(&by, &everybody()).unwrap());
    }
    let on_disk = raw(&world.directory);
    for number in 0..150 {
        let is_there = number % 3 != 1;
        assert_eq!(
            contains(&on_disk, &key(number + 1)),
            is_there,
            "the key of CA{number}"
        );
        assert_eq!(
            world.texts(&format!("CA{number}")).len(),
            if is_there { 4 } else { 0 }
        );
    }
    let waiting = world.store.waiting("crm", 0, 10_000).unwrap();
    assert_eq!(waiting.len(), 400);
    let search = Search {
        words: vec!["quagga4y".into()],
        most: 10,
        ..Search::default()
    };
    assert!(
        world
            .store
            .find(&search, &everybody())
            .unwrap()
            .conversations
            .is_empty()
    );
}

#[test]
fn an_erasure_leaves_no_name_in_any_file() {
    let mut world = World::new();
    let guids: Vec<String> = (0..100)
        .map(|number| format!("CAunique{number:05}end"))
        .collect();
    for round in 0..5 {
        let entries = guids.iter().map(|guid| Entry {
            also: [call(&format!("{guid}also"))].into(),
            ..world.said(guid, &format!("round {round}"))
        });
        let entries = entries.collect();
        let parcels = guids
            .iter()
            .map(|guid| parcel(guid, &format!("msg_{guid}{round}")));
        let parcels = parcels.collect();
        world.store.write(&Batch { entries, parcels }).unwrap();
    }
    for guid in guids.iter().skip(20) {
        assert!(
            world
                .store
                .erase(&ByName::External(guid.clone()), &everybody())
                .unwrap()
        );
    }
    let raw = raw(&world.directory);
    let left: Vec<_> = guids
        .iter()
        .filter(|guid| contains(&raw, guid.as_bytes()))
        .collect();
    assert_eq!(left, guids[..20].iter().collect::<Vec<_>>());
}

#[test]
fn an_erasure_waits_for_readers_and_says_so_if_they_do_not_end() {
    let mut world = World::with(|config| config.busy_timeout = Duration::from_millis(30));
    let entry = world.said("CA1", "hello");
    world.write(vec![entry]);
    let by = ByName::External("CA1".into());
    let erased = world
        .store
        .read(|_, _| Ok(world.store.erase(&by, &everybody())))
        .unwrap();
    assert!(matches!(erased, Err(StoreError::Locked)));
    assert!(
        !world.store.erase(&by, &everybody()).unwrap(),
        "it is gone, and now the log too"
    );
    let log = world.directory.path().join("antiphon.db-wal");
    assert_eq!(std::fs::metadata(log).unwrap().len(), 0);
}

#[test]
fn a_store_whose_process_ended_before_the_log_was_emptied_empties_it_when_it_opens() {
    let mut world = World::new();
    many(&mut world, 3);
    let key = slabs(&world)[0][512 + 32..][..32].to_vec();
    let erased = |db: &Transaction<'_>, vault: &Vault| remove::erase(db, vault, 1);
    world.store.change(erased).unwrap();
    let end = TempDir::new().unwrap();
    for file in std::fs::read_dir(world.directory.path()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), end.path().join(file.file_name())).unwrap();
    }
    assert!(contains(&raw(&end), &key));
    let (_store, _) = SqliteStore::open(&StoreConfig::at(end.path().join("antiphon.db"))).unwrap();
    assert!(!contains(&raw(&end), &key));
}

#[test]
fn only_the_key_that_wrote_it_opens_a_file() {
    let key = |byte| Some(Key::parse(&[byte; 32]).unwrap());
    for (wrote, opens) in [(key(1), key(2)), (key(1), None)] {
        let mut world = World::with(|config| config.key = wrote.clone());
        let entry = world.said("CA1", "hello");
        world.write(vec![entry]);
        drop(world.store);
        let other = StoreConfig {
            key: opens,
            ..world.config.clone()
        };
        assert!(matches!(
            SqliteStore::open(&other),
            Err(StoreError::WrongKey)
        ));
        assert!(matches!(
            SqliteStore::open_to_read(&other),
            Err(StoreError::WrongKey)
        ));
        let (store, opened) = SqliteStore::open(&world.config).unwrap();
        assert_eq!(opened, Opened::default());
        let by = ByName::External("CA1".into());
        assert_eq!(
            store
                .messages(&by, &everybody(), 10)
                .unwrap()
                .unwrap()
                .len(),
            1
        );
    }
}

#[test]
fn a_row_that_was_put_in_the_place_of_another_is_refused() {
    let mut world = World::new();
    let entries = vec![world.said("CA1", "yes"), world.said("CA1", "no")];
    world.write(entries);
    let swap = "UPDATE utterances SET spoken = (SELECT spoken FROM utterances AS other
        WHERE other.id <> utterances.id)";
    Connection::open(&world.config.path)
        .unwrap()
        .execute(swap, [])
        .unwrap();
    let by = ByName::External("CA1".into());
    let found = world.store.messages(&by, &everybody(), 10);
    assert!(matches!(found, Err(StoreError::Other(_))));
    assert!(
        world.store.erase(&by, &everybody()).unwrap(),
        "it can be erased all the same"
    );
}

/// All keys of conversations, with their padding.
fn slabs(world: &World) -> Vec<Vec<u8>> {
    let keys = |db: &Connection, _: &Vault| {
        let mut select = db.prepare("SELECT keys FROM seals ORDER BY slab")?;
        let rows = select.query_map([], |row| row.get::<_, Vec<u8>>(0))?;
        Ok(rows.collect::<Result<Vec<_>, _>>()?)
    };
    world.store.read(keys).unwrap()
}

/// Everything that is sealed is there: texts, events, the audit trail, what waits and what is dead.
fn is_all_there(world: &World) {
    assert_eq!(world.texts("CA3").len(), 4);
    let by = ByName::External("CA3".into());
    let whole = world
        .store
        .conversation(&by, &everybody())
        .unwrap()
        .unwrap();
    assert_eq!(whole.commands[0].from.reveal(), "192.0.2.7");
    let search = EventSearch {
        after: EventPlace { boot: 0, number: 0 },
        until: None,
        call: None,
        kinds: Vec::new(),
        most: 1000,
    };
    assert_eq!(world.store.events(&search, &everybody()).unwrap().len(), 81);
    assert!(world.store.parcel(4).unwrap().is_some());
    let dead = DeadLetters {
        most: 9,
        ..DeadLetters::default()
    };
    assert_eq!(world.store.replay(&dead).unwrap(), 1);
    let newest = world.store.waiting("crm", 0, 1000).unwrap().pop().unwrap();
    assert!(world.store.parcel(newest.number).unwrap().is_some());
    let dead = Settled::Dead {
        number: newest.number,
        attempts: 1,
        at_unix_ms: BEGIN,
        why: "timeout".into(),
    };
    world.store.settle(&[dead]).unwrap();
    let search = Search {
        words: vec!["zebra3x2".into()],
        most: 9,
        ..Search::default()
    };
    assert_eq!(
        world
            .store
            .find(&search, &everybody())
            .unwrap()
            .conversations
            .len(),
        1
    );
}

fn key(byte: u8) -> Key {
    Key::parse(&[byte; 32]).unwrap()
}

#[test]
fn another_key_seals_everything_anew_and_a_first_key_does_so_when_it_opens() {
    let mut world = World::new();
    many(&mut world, 20);
    let command = What::Command(crate::entry::Command {
        verb: "pause",
        key: "crm".into(),
        from: "192.0.2.7".to_owned().into(),
        outcome: "ok".into(),
        request: "request-1".into(),
    });
    let entry = world.entry("CA3", command);
    world.write(vec![entry]);
    let dead = Settled::Dead {
        number: 5,
        attempts: 1,
        at_unix_ms: BEGIN,
        why: "timeout".into(),
    };
    world.store.settle(&[dead]).unwrap();
    is_all_there(&world);
    let former = slabs(&world);
    for step in 0..3 {
        let aside = StoreConfig::at(world.directory.path().join("aside.db"));
        world.store = SqliteStore::open(&aside).unwrap().0;
        if step == 1 {
            SqliteStore::rekey(&world.config, Some(&key(2))).unwrap();
            assert!(matches!(
                SqliteStore::open(&world.config),
                Err(StoreError::WrongKey)
            ));
        } else if step == 2 {
            SqliteStore::rekey(&world.config, None).unwrap();
        }
        world.config.key = [Some(key(1)), Some(key(2)), None][step].clone();
        let (store, opened) = SqliteStore::open(&world.config).unwrap();
        assert_eq!(opened.is_newly_encrypted, step == 0);
        world.store = store;
        is_all_there(&world);
        let raw = raw(&world.directory);
        for former in former[0][512..].chunks_exact(32) {
            assert!(!contains(&raw, former), "a former key is left");
        }
    }
}

#[test]
fn a_store_that_somebody_has_open_gets_no_other_key() {
    let mut world = World::with(|config| {
        config.key = Some(key(1));
        config.busy_timeout = Duration::from_millis(50);
    });
    let entry = world.said("CA1", "good morning");
    world.write(vec![entry]);
    let refused = SqliteStore::rekey(&world.config, Some(&key(2)));
    assert!(matches!(refused, Err(StoreError::Locked)), "{refused:?}");
    let reader = SqliteStore::open_to_read(&world.config).unwrap();
    drop(std::mem::replace(&mut world.store, reader));
    let refused = SqliteStore::rekey(&world.config, Some(&key(2)));
    assert!(matches!(refused, Err(StoreError::Locked)), "{refused:?}");
    assert_eq!(world.texts("CA1"), ["good morning"]);
}

#[test]
fn what_is_not_there_or_has_another_key_is_not_sealed_anew() {
    let directory = TempDir::new().unwrap();
    let mut config = StoreConfig::at(directory.path().join("antiphon.db"));
    config.key = Some(key(1));
    let refused = SqliteStore::rekey(&config, Some(&key(2)));
    assert!(matches!(refused, Err(StoreError::Other(_))), "{refused:?}");
    assert!(!config.path.exists());
    drop(SqliteStore::open(&config).unwrap());
    config.key = Some(key(3));
    let refused = SqliteStore::rekey(&config, Some(&key(2)));
    assert!(matches!(refused, Err(StoreError::WrongKey)), "{refused:?}");
}
