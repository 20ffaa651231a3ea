//! Anything may be written, erased and expired in any order: the file holds what a list would.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Erase(u8),
    /// Conversations and events before so many seconds ago, so many rows a step.
    Expire(u64, u64, usize),
    Reopen,
    Write(Vec<(u8, String)>),
}

/// What is known of a conversation.
#[derive(Default)]
struct Talk {
    texts: Vec<String>,
    events: Vec<(u64, u64)>,
    last_heard: u64,
    began: u64,
}

fn step() -> impl Strategy<Value = Step> {
    let entry = (0_u8..6, "[a-d]{1,2}( [a-d]{1,2}){0,4}");
    prop_oneof![
        5 => prop::collection::vec(entry, 1..8).prop_map(Step::Write),
        2 => (0_u8..6).prop_map(Step::Erase),
        2 => (0_u64..40, 0_u64..40, 1_usize..60)
            .prop_map(|(talks, events, most)| Step::Expire(talks, events, most)),
        1 => Just(Step::Reopen),
    ]
}

fn guid(number: u8) -> String {
    format!("CA{number}")
}

fn apply(world: &mut World, model: &mut BTreeMap<u8, Talk>, step: &Step) {
    match step {
        Step::Erase(number) => {
            let by = ByName::External(guid(*number));
            let was_there = world.store.erase(&by, &everybody()).unwrap();
            assert_eq!(was_there, model.remove(number).is_some());
        }
        Step::Expire(talks, events, most) => {
            let now = BEGIN + world.number * 1000;
            let expiry = Expiry {
                conversations_before_unix_ms: now - talks * 1000,
                events_before_unix_ms: now - events * 1000,
                dead_letters_before_unix_ms: 0,
                dead_letters_bytes_max: u64::MAX,
                bytes_max: u64::MAX,
            };
            while world.store.expire(&expiry, *most).unwrap().more {}
            model.retain(|_, talk| talk.last_heard >= expiry.conversations_before_unix_ms);
            for talk in model.values_mut() {
                talk.events
                    .retain(|(_, at)| *at >= expiry.events_before_unix_ms);
            }
        }
        Step::Reopen => {
            let aside = StoreConfig::at(world.directory.path().join("aside.db"));
            world.store = SqliteStore::open(&aside).unwrap().0;
            world.store = SqliteStore::open(&world.config).unwrap().0;
        }
        Step::Write(entries) => {
            let mut batch = Vec::new();
            for (number, text) in entries {
                let mut entry = world.said(&guid(*number), text);
                entry.tenant = (number % 2 == 0).then(|| "red".into());
                let talk = model.entry(*number).or_default();
                talk.texts.push(text.clone());
                talk.events.push((entry.place.number, entry.at_unix_ms));
                talk.last_heard = entry.at_unix_ms;
                if talk.began == 0 {
                    talk.began = world.number;
                }
                batch.push(entry);
            }
            world.write(batch);
        }
    }
}

fn compare(world: &World, model: &BTreeMap<u8, Talk>, word: &str) {
    for number in 0..6 {
        let texts = model.get(&number).map(|talk| talk.texts.clone());
        assert_eq!(world.texts(&guid(number)), texts.unwrap_or_default());
    }
    let search = EventSearch {
        after: EventPlace { boot: 0, number: 0 },
        until: None,
        call: None,
        kinds: Vec::new(),
        most: 1000,
    };
    let kept = world.store.events(&search, &everybody()).unwrap();
    let kept: Vec<u64> = kept.iter().map(|event| event.place.number).collect();
    let events = model.values().flat_map(|talk| &talk.events);
    let mut events: Vec<u64> = events.map(|(number, _)| *number).collect();
    events.sort_unstable();
    assert_eq!(kept, events);
    let search = Search {
        words: vec![word.into()],
        most: 100,
        ..Search::default()
    };
    let found = world
        .store
        .find(&search, &everybody())
        .unwrap()
        .conversations;
    let found: Vec<String> = found
        .iter()
        .map(|line| line.call.guid.to_string())
        .collect();
    let says = |talk: &Talk| {
        talk.texts
            .iter()
            .any(|text| text.split(' ').any(|it| it == word))
    };
    let mut who: Vec<_> = model.iter().filter(|(_, talk)| says(talk)).collect();
    who.sort_by_key(|(_, talk)| std::cmp::Reverse(talk.began));
    assert_eq!(
        found,
        who.iter()
            .map(|(number, _)| guid(**number))
            .collect::<Vec<_>>()
    );
    let everything = Export {
        from_unix_ms: 0,
        to_unix_ms: u64::MAX,
        after: None,
        most: 10_000,
    };
    let exported = world.store.export(&everything, &everybody()).unwrap();
    assert_eq!(
        exported.len(),
        model.values().map(|talk| talk.texts.len()).sum::<usize>()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn the_file_holds_what_a_list_would(
        steps in prop::collection::vec(step(), 1..25),
        word in "[a-d]{1,2}",
    ) {
        let mut world = World::new();
        let mut model = BTreeMap::new();
        for step in &steps {
            apply(&mut world, &mut model, step);
            compare(&world, &model, &word);
        }
        let check = |db: &Connection, _: &Vault| {
            let terms = "SELECT count(*) FROM terms WHERE conversation NOT IN
                (SELECT id FROM conversations)";
            let lost: i64 = db.query_row(terms, [], |row| row.get(0))?;
            let whole: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
            Ok((lost, whole))
        };
        prop_assert_eq!(world.store.read(check).unwrap(), (0, "ok".into()));
    }
}
