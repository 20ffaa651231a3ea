mod contract;
mod conversation;
mod events;
mod expiry;
mod export;
mod faults;
mod find;
mod model;
mod privacy;
mod upgrade;

use std::time::Duration;

use call::name::{CallName, Guid, Namespace, Role, StreamId};
use call::transcript::{Alternative, Utterance};
use tempfile::TempDir;

use super::*;
use crate::entry::{Entry, Said, What};
use crate::outbox::Parcel;

/// A store in a directory of its own, and what writes to it.
pub(super) struct World {
    pub(super) directory: TempDir,
    pub(super) config: StoreConfig,
    pub(super) store: SqliteStore,
    number: u64,
}

pub(super) fn call(guid: &str) -> CallName {
    CallName {
        namespace: Namespace::Twilio,
        guid: Guid::parse(guid).unwrap(),
    }
}

/// When the world's first entry happened, unix time in milliseconds.
pub(super) const BEGIN: u64 = 1_700_000_000_000;

impl World {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut StoreConfig)) -> Self {
        let directory = TempDir::new().unwrap();
        let mut config = StoreConfig::at(directory.path().join("antiphon.db"));
        change(&mut config);
        let (store, opened) = SqliteStore::open(&config).unwrap();
        assert_eq!(opened, Opened::default());
        Self {
            directory,
            config,
            store,
            number: 0,
        }
    }

    /// An entry a second after the one before.
    pub(super) fn entry(&mut self, guid: &str, what: What) -> Entry {
        self.number += 1;
        Entry {
            place: EventPlace {
                boot: BEGIN,
                number: self.number,
            },
            seq: self.number,
            at_unix_ms: BEGIN + self.number * 1000,
            call: call(guid),
            also: [].into(),
            tenant: None,
            kind: "transcript",
            json: format!("{{\"number\":{}}}", self.number).into(),
            what,
        }
    }

    pub(super) fn said(&mut self, guid: &str, text: &str) -> Entry {
        let said = said(guid, text, self.number + 1);
        self.entry(guid, What::Said(said))
    }

    pub(super) fn write(&self, entries: Vec<Entry>) {
        self.store.write(&of(entries)).unwrap();
    }

    pub(super) fn texts(&self, guid: &str) -> Vec<String> {
        let by = ByName::Call(call(guid));
        let messages = self.store.messages(&by, &Scope::default(), 1000).unwrap();
        let messages = messages.unwrap_or_default();
        messages
            .iter()
            .map(|message| message.text.reveal().clone())
            .collect()
    }
}

pub(super) fn of(entries: Vec<Entry>) -> Batch {
    Batch {
        entries,
        parcels: Vec::new(),
    }
}

pub(super) fn said(guid: &str, text: &str, number: u64) -> Said {
    let alternative = Alternative {
        text: text.to_owned().into(),
        tokens: Vec::new(),
    };
    Said {
        message: ulid::Ulid::from_parts(BEGIN + number, number.into()).to_string(),
        utterance: Utterance {
            call: call(guid),
            stream: StreamId::new("stream-1"),
            role: Role::Customer,
            sender: "+15550100".to_owned().into(),
            alternatives: vec![alternative],
            start: Duration::from_millis(number),
            end: Duration::from_millis(number + 500),
            is_final: true,
        },
        said_at_unix_ms: BEGIN + number * 1000,
    }
}

pub(super) fn parcel(guid: &str, id: &str) -> Parcel {
    Parcel {
        endpoint: "crm".into(),
        lane: format!("twilio/{guid}").into(),
        id: id.into(),
        kind: "transcript",
        content_type: "application/json",
        body: format!("body of {id}").into_bytes().into(),
        at_unix_ms: BEGIN,
    }
}

/// Everything in the directory, to look for what must not be there.
pub(super) fn raw(directory: &TempDir) -> Vec<u8> {
    let files = std::fs::read_dir(directory.path()).unwrap();
    files
        .flat_map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .collect()
}

pub(super) fn contains(raw: &[u8], text: &[u8]) -> bool {
    raw.windows(text.len()).any(|window| window == text)
}

pub(super) fn everybody() -> Scope {
    Scope::default()
}

pub(super) fn only(tenant: &str) -> Scope {
    Scope {
        tenant: Some(tenant.into()),
    }
}

#[test]
fn what_was_said_is_found_again_in_its_order() {
    let mut world = World::new();
    let entries = vec![
        world.said("CA1", "good morning"),
        world.said("CA1", "my order is late"),
    ];
    world.write(entries);
    assert_eq!(world.texts("CA1"), ["good morning", "my order is late"]);
    assert_eq!(world.texts("CA2"), [""; 0]);
}

#[test]
fn a_parcel_waits_until_it_is_settled() {
    let mut world = World::new();
    let batch = Batch {
        entries: vec![world.said("CA1", "good morning")],
        parcels: vec![parcel("CA1", "msg_1"), parcel("CA1", "msg_2")],
    };
    world.store.write(&batch).unwrap();
    let waiting = world.store.waiting("crm", 0, 10).unwrap();
    assert_eq!(
        waiting.iter().map(|one| &*one.id).collect::<Vec<_>>(),
        ["msg_1", "msg_2"]
    );
    let number = waiting[0].number;
    let carried = world.store.parcel(number).unwrap().unwrap();
    assert_eq!(carried.body.reveal(), b"body of msg_1");
    world
        .store
        .settle(&[Settled::Delivered { number }])
        .unwrap();
    assert_eq!(world.store.parcel(number).unwrap(), None);
    assert_eq!(world.store.depth("crm").unwrap().waiting, 1);
}

#[test]
fn what_waits_for_a_webhook_that_is_gone_becomes_dead_letters_a_few_at_a_time() {
    let mut world = World::new();
    let of = |endpoint: &str, id: &str| Parcel {
        endpoint: endpoint.into(),
        ..parcel("CA1", id)
    };
    let old = (1..=5).map(|number| of("old", &format!("msg_{number}")));
    let batch = Batch {
        entries: vec![world.said("CA1", "good morning")],
        parcels: old.chain([of("crm", "msg_6")]).collect(),
    };
    world.store.write(&batch).unwrap();
    let configured = ["crm".to_owned(), "other".to_owned()];
    let retire = || world.store.retire(&configured, 2).unwrap();
    assert_eq!([retire(), retire(), retire(), retire()], [2, 2, 1, 0]);
    let depth = |endpoint| world.store.depth(endpoint).unwrap();
    assert_eq!((depth("old").waiting, depth("old").dead), (0, 5));
    assert_eq!((depth("crm").waiting, depth("crm").dead), (1, 0));
    let which = DeadLetters {
        endpoint: Some("old".into()),
        most: 10,
        ..DeadLetters::default()
    };
    let letters = world.store.dead_letters(&which).unwrap();
    assert!(
        letters
            .iter()
            .all(|letter| letter.why == "no longer configured")
    );
    assert_eq!(world.store.replay(&which).unwrap(), 5);
    assert_eq!(depth("old").waiting, 5);
}

#[test]
fn how_often_a_parcel_was_refused_is_known_after_a_restart() {
    let mut world = World::new();
    let batch = Batch {
        entries: vec![world.said("CA1", "good morning")],
        parcels: vec![parcel("CA1", "msg_1")],
    };
    world.store.write(&batch).unwrap();
    let later = Settled::Later {
        number: 1,
        attempts: 9,
        refusals: 7,
        not_before_unix_ms: 5,
    };
    world.store.settle(&[later]).unwrap();
    drop(world.store);
    world.store = SqliteStore::open(&world.config).unwrap().0;
    let waiting = world.store.waiting("crm", 0, 1).unwrap().remove(0);
    assert_eq!((waiting.attempts, waiting.refusals), (9, 7));
}
