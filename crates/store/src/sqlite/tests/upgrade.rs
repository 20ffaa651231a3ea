use super::*;

/// Builds a file of schema 1, as it was left by the version that wrote it.
fn schema_1() -> (TempDir, StoreConfig) {
    let directory = TempDir::new().unwrap();
    let config = StoreConfig::at(directory.path().join("antiphon.db"));
    let db = Connection::open(&config.path).unwrap();
    db.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL")
        .unwrap();
    db.execute_batch(include_str!("fixtures/schema-1.sql"))
        .unwrap();
    let marks = format!(
        "PRAGMA application_id = {}; PRAGMA user_version = 1",
        0x416e_7469
    );
    db.execute_batch(&marks).unwrap();
    (directory, config)
}

#[test]
fn an_older_file_is_brought_up_to_date_with_all_that_is_in_it() {
    let (directory, config) = schema_1();
    let (store, opened) = SqliteStore::open(&config).unwrap();
    assert_eq!((opened.migrated_from, opened.moved_aside), (Some(1), None));
    let mut world = World {
        directory,
        config,
        store,
        number: 100,
    };
    assert_eq!(world.texts("CA1"), ["I want a refund", "for my parcel"]);
    assert_eq!(world.store.waiting("crm", 0, 10).unwrap().len(), 3);
    assert_eq!(
        world.store.parcel(2).unwrap().unwrap().body.reveal(),
        b"body of msg_CA2"
    );
    // What is new: where to count on from, and the search.
    assert_eq!(world.store.newest_seq(&call("CA1")).unwrap(), 2 + 2);
    assert_eq!(world.store.waiting("crm", 0, 1).unwrap()[0].refusals, 0);
    let found = |words: &str, scope: &Scope| {
        let search = Search {
            words: vec![words.to_owned()],
            most: 10,
            ..Search::default()
        };
        let found = world.store.find(&search, scope).unwrap().conversations;
        found
            .iter()
            .map(|line| line.call.guid.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(found("parcel", &everybody()), ["CA2", "CA1"]);
    assert_eq!(found("parcel refund", &everybody()), ["CA1"]);
    assert_eq!(found("parcel", &only("red")), ["CA1"]);
    let entry = world.said("CA2", "still late");
    world.write(vec![entry]);
    assert_eq!(world.texts("CA2"), ["my parcel is late", "still late"]);
    drop(world.store);
    assert_eq!(
        SqliteStore::open(&world.config).unwrap().1,
        Opened::default()
    );
}

#[test]
fn an_older_file_is_not_changed_by_who_only_reads() {
    let (directory, config) = schema_1();
    let before = std::fs::read(&config.path).unwrap();
    let refused = SqliteStore::open_to_read(&config).map(drop);
    assert!(matches!(refused, Err(StoreError::Other(_))));
    assert_eq!(std::fs::read(&config.path).unwrap(), before);
    drop(directory);
}

#[test]
fn an_utterance_that_cannot_be_opened_does_not_hinder_the_upgrade() {
    let (_directory, config) = schema_1();
    let db = Connection::open(&config.path).unwrap();
    let sql = "UPDATE utterances SET spoken = x'00' WHERE id = 268435456";
    assert_eq!(db.execute(sql, []), Ok(1));
    drop(db);
    let (store, opened) = SqliteStore::open(&config).unwrap();
    assert_eq!(opened.migrated_from, Some(1));
    let by = ByName::Call(call("CA2"));
    let found = store.messages(&by, &everybody(), 9).unwrap().unwrap();
    assert_eq!(found.len(), 1);
}

#[test]
fn an_upgrade_that_fails_leaves_the_older_file() {
    let (_directory, config) = schema_1();
    let full = StoreConfig {
        file_bytes_max: 0,
        ..config
    };
    let mut db = file::writer(&full).unwrap();
    let failed = schema::migrate(&mut db, None).map(drop);
    assert!(matches!(failed, Err(StoreError::Full)));
    assert_eq!(schema::version(&db).unwrap(), 1);
    let sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'terms'";
    assert_eq!(db.query_row(sql, [], |row| row.get::<_, i64>(0)), Ok(0));
}
