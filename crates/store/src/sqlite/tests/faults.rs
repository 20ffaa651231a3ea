use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use super::*;

fn opened(config: &StoreConfig) -> (World, Opened) {
    let (store, opened) = SqliteStore::open(config).unwrap();
    let world = World {
        directory: TempDir::new().unwrap(),
        config: config.clone(),
        store,
        number: 1000,
    };
    (world, opened)
}

fn works(config: &StoreConfig) -> Opened {
    let (mut world, opened) = opened(config);
    let entry = world.said("CAnew", "a new beginning");
    world.write(vec![entry]);
    assert_eq!(world.texts("CAnew"), ["a new beginning"]);
    opened
}

/// Overwrites all but the header page.
fn break_pages(path: &Path) {
    let length = fs::metadata(path).unwrap().len();
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(4096)).unwrap();
    file.write_all(&vec![0xa5; usize::try_from(length).unwrap() - 4096])
        .unwrap();
}

fn filled(change: impl FnOnce(&mut StoreConfig)) -> World {
    let mut world = World::with(change);
    for number in 0..50 {
        let entry = world.said(&format!("CA{number}"), &"many words ".repeat(20));
        world.write(vec![entry]);
    }
    world
}

#[test]
fn a_file_that_is_none_of_ours_is_moved_aside_and_not_lost() {
    let directory = TempDir::new().unwrap();
    let config = StoreConfig::at(directory.path().join("antiphon.db"));
    let letter = b"Dear Sir or Madam".repeat(300);
    fs::write(&config.path, &letter).unwrap();
    let aside = works(&config).moved_aside.unwrap();
    assert!(aside.to_string_lossy().contains("antiphon.db.corrupt-"));
    assert_eq!(fs::read(aside).unwrap(), letter);
    assert_eq!(works(&config).moved_aside, None);
}

#[test]
fn a_database_of_another_program_is_moved_aside() {
    let directory = TempDir::new().unwrap();
    let config = StoreConfig::at(directory.path().join("antiphon.db"));
    let other = Connection::open(&config.path).unwrap();
    other
        .execute_batch("CREATE TABLE stamps (id); PRAGMA user_version = 1")
        .unwrap();
    drop(other);
    let aside = works(&config).moved_aside.unwrap();
    let count = "SELECT count(*) FROM stamps";
    let other = Connection::open(aside).unwrap();
    assert_eq!(
        other.query_row(count, [], |row| row.get::<_, i64>(0)),
        Ok(0)
    );
}

#[test]
fn a_broken_file_is_moved_aside() {
    let world = filled(|_| {});
    drop(world.store);
    break_pages(&world.config.path);
    assert!(works(&world.config).moved_aside.is_some());
}

#[test]
fn a_file_that_was_cut_off_is_moved_aside() {
    let world = filled(|_| {});
    drop(world.store);
    let length = fs::metadata(&world.config.path).unwrap().len();
    let file = fs::OpenOptions::new()
        .write(true)
        .open(&world.config.path)
        .unwrap();
    file.set_len(length / 2).unwrap();
    assert!(works(&world.config).moved_aside.is_some());
}

#[test]
fn a_mark_without_a_file_moves_nothing_aside() {
    let directory = TempDir::new().unwrap();
    let config = StoreConfig::at(directory.path().join("antiphon.db"));
    file::mark_broken(&config.path).unwrap();
    assert_eq!(works(&config), Opened::default());
    assert_eq!(works(&config), Opened::default());
}

#[test]
fn an_empty_file_is_begun() {
    let directory = TempDir::new().unwrap();
    let config = StoreConfig::at(directory.path().join("antiphon.db"));
    fs::write(&config.path, b"").unwrap();
    assert_eq!(works(&config), Opened::default());
}

#[test]
fn what_breaks_while_it_runs_is_told_and_then_begun_anew() {
    let mut world = filled(|config| (config.cache_bytes, config.log_bytes) = (0, 4096));
    break_pages(&world.config.path);
    let broken = (0..100).find_map(|number| {
        let entry = world.said(&format!("CA{number}"), "one more");
        world.store.write(&of(vec![entry])).err()
    });
    assert!(matches!(broken, Some(StoreError::Corrupt(_))), "{broken:?}");
    let entry = world.said("CA1", "again");
    let again = world.store.write(&of(vec![entry.clone()]));
    assert!(matches!(again, Err(StoreError::Corrupt(_))));
    assert!(world.store.begin_anew().unwrap().moved_aside.is_some());
    world.write(vec![entry]);
    assert_eq!(world.texts("CA1"), ["again"]);
}

#[test]
fn what_broke_is_moved_aside_by_whoever_opens_it_next() {
    let mut world = filled(|config| {
        (config.cache_bytes, config.log_bytes, config.check_bytes_max) = (0, 4096, 0);
    });
    break_pages(&world.config.path);
    let broken = (0..100).find_map(|number| {
        let entry = world.said(&format!("CA{number}"), "one more");
        world.store.write(&of(vec![entry])).err()
    });
    assert!(matches!(broken, Some(StoreError::Corrupt(_))), "{broken:?}");
    // The one that found it broken may live on for a while, and must not touch the new one's log.
    let (mut anew, opened) = opened(&world.config);
    assert!(opened.moved_aside.is_some());
    let entry = anew.said("CA1", "first");
    anew.write(vec![entry]);
    drop(world.store);
    let entry = anew.said("CA1", "second");
    anew.write(vec![entry]);
    drop(anew.store);
    let (anew, opened) = self::opened(&world.config);
    assert_eq!(opened, Opened::default());
    assert_eq!(anew.texts("CA1"), ["first", "second"]);
}

#[test]
fn a_file_of_a_newer_version_is_refused_and_left_as_it_is() {
    let world = filled(|_| {});
    drop(world.store);
    let newer = Connection::open(&world.config.path).unwrap();
    newer.execute_batch("PRAGMA user_version = 99").unwrap();
    newer.close().unwrap();
    let before = raw(&world.directory);
    for _ in 0..2 {
        let Err(StoreError::TooNew { found, known }) = SqliteStore::open(&world.config).map(drop)
        else {
            panic!("it was opened");
        };
        assert_eq!((found, known), (99, schema::newest()));
    }
    assert!(raw(&world.directory) == before, "it was changed");
}

#[test]
fn a_full_file_takes_whole_batches_or_nothing_and_goes_on_when_there_is_room() {
    let mut world = World::with(|config| config.file_bytes_max = 600 << 10);
    let mut written = Vec::new();
    let full = (0..10_000).find_map(|number| {
        let guid = format!("CA{}", number % 4);
        let texts = [
            format!("{number} first"),
            format!("{number} second {}", "x".repeat(900)),
        ];
        let batch = Batch {
            entries: texts.iter().map(|text| world.said(&guid, text)).collect(),
            parcels: vec![parcel(&guid, &format!("msg_{number}"))],
        };
        match world.store.write(&batch) {
            Ok(()) => {
                written.extend(texts);
                None
            }
            Err(error) => Some((error, batch)),
        }
    });
    let (error, batch) = full.unwrap();
    assert!(matches!(error, StoreError::Full), "{error}");
    let kept = |world: &World| {
        let all = (0..4).flat_map(|guid| world.texts(&format!("CA{guid}")));
        let mut all: Vec<String> = all.collect();
        all.sort_by_key(|text| text.split(' ').next().unwrap().parse::<u32>().unwrap());
        all
    };
    assert_eq!(kept(&world), written);
    assert_eq!(
        world.store.depth("crm").unwrap().waiting,
        written.len() as u64 / 2
    );
    assert!(matches!(world.store.write(&batch), Err(StoreError::Full)));
    let by = ByName::Call(call("CA0"));
    assert!(world.store.erase(&by, &everybody()).unwrap());
    world.store.write(&batch).unwrap();
    let last = batch.entries[0].clone();
    let What::Said(last) = last.what else {
        panic!("nothing was said")
    };
    assert!(kept(&world).contains(last.utterance.alternatives[0].text.reveal()));
}

#[test]
fn who_finds_the_file_locked_is_told_and_nothing_is_lost() {
    let mut world = World::with(|config| config.busy_timeout = Duration::from_millis(20));
    let other = Connection::open(&world.config.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let entry = world.said("CA1", "hello");
    let batch = of(vec![entry]);
    assert!(matches!(world.store.write(&batch), Err(StoreError::Locked)));
    assert_eq!(world.texts("CA1"), [""; 0]);
    other.execute_batch("ROLLBACK").unwrap();
    world.store.write(&batch).unwrap();
    assert_eq!(world.texts("CA1"), ["hello"]);
}

#[test]
fn reading_does_not_hinder_writing_and_sees_one_moment() {
    let mut world = World::new();
    let entry = world.said("CA1", "before");
    world.write(vec![entry]);
    let entry = world.said("CA1", "after");
    let count = |db: &Connection| {
        let sql = "SELECT count(*) FROM utterances";
        Ok::<i64, StoreError>(db.query_row(sql, [], |row| row.get(0))?)
    };
    let store = &world.store;
    let both = store.read(|db, _| {
        let before = count(db)?;
        store.write(&of(vec![entry]))?;
        Ok((before, count(db)?))
    });
    assert_eq!(both.unwrap(), (1, 1));
    assert_eq!(world.texts("CA1"), ["before", "after"]);
}

#[test]
fn who_finds_all_readers_busy_waits_and_is_then_told() {
    let world = World::with(|config| {
        (config.readers, config.busy_timeout) = (1, Duration::from_millis(20));
    });
    let busy = world.store.read(|_, _| Ok(world.store.newest_event()));
    assert!(matches!(busy.unwrap(), Err(StoreError::Locked)));
    assert_eq!(world.store.newest_event().unwrap(), None);
}

#[test]
fn a_panic_while_writing_keeps_nothing_and_hinders_nobody() {
    let mut world = World::new();
    let entry = world.said("CA1", "half");
    let fallen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        world.store.change(|db, vault| -> Result<(), StoreError> {
            write::batch(db, vault, &of(vec![entry.clone()]))?;
            panic!("a defect");
        })
    }));
    assert!(fallen.is_err());
    assert_eq!(world.texts("CA1"), [""; 0]);
    world.write(vec![entry]);
    assert_eq!(world.texts("CA1"), ["half"]);
}
