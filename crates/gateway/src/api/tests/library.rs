//! A store in a folder of its own, and calls that were kept in it.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;

use call::transcript::{Alternative, Utterance};
use store::entry::{self, Batch, Entry, EventPlace, Said, What};
use store::outbox::Parcel;
use store::sqlite::{SqliteStore, StoreConfig};
use store::{Store, StoreError};
use tempfile::TempDir;

use super::*;

pub(super) struct Library {
    pub(super) store: Arc<SqliteStore>,
    _folder: TempDir,
    number: AtomicU64,
    /// Whose calls are whose.
    tenants: Mutex<HashMap<String, Arc<str>>>,
}

/// When everything in it happened, unless it says otherwise: 2021-11-23T12:13:14.555Z.
pub(super) const THEN: u64 = 1_637_669_594_555;

impl Library {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = StoreConfig::at(folder.path().join("kept.db"));
        let (store, _) = SqliteStore::open(&config).unwrap();
        Self {
            store: Arc::new(store),
            _folder: folder,
            number: AtomicU64::new(0),
            tenants: Mutex::default(),
        }
    }

    /// With the contract's example of a message in it.
    pub(super) fn of_examples() -> Self {
        let library = Self::new();
        library.began(CALL, None);
        let text = "I need help upgrading my streaming package and my PIN number is ####";
        library.said(CALL, Role::Customer, text, 0);
        library.began(STREAMING_CALL, None);
        library
    }

    /// A router over it.
    pub(super) fn world(&self) -> World {
        self.world_with(|_| ())
    }

    pub(super) fn world_with(&self, change: impl FnOnce(&mut ApiState)) -> World {
        let store: Arc<dyn Store> = Arc::clone(&self.store) as Arc<dyn Store>;
        World::with(|state| {
            state.keeping.opened(Some(store));
            change(state);
        })
    }

    pub(super) fn began(&self, guid: &str, tenant: Option<&str>) {
        if let Some(tenant) = tenant {
            let mut tenants = self.tenants.lock().unwrap();
            tenants.insert(guid.to_owned(), tenant.into());
        }
        self.keep(guid, (THEN, "callStarted"), What::Started);
    }

    /// A final transcript, so many milliseconds after the others began.
    pub(super) fn said(&self, guid: &str, role: Role, text: &str, after_ms: u64) -> String {
        let sender = match role {
            Role::Agent => "RE223444211993",
            _ => "123456",
        };
        self.said_by(guid, (role, sender), text, after_ms)
    }

    pub(super) fn said_by(
        &self,
        guid: &str,
        (role, sender): (Role, &str),
        text: &str,
        after_ms: u64,
    ) -> String {
        let message = format!("01GMXE90AEV7H3J4DPBD{:06}", self.next());
        let utterance = Utterance {
            call: twilio(guid),
            stream: StreamId::new(IDS[1]),
            role,
            sender: sender.to_owned().into(),
            alternatives: vec![Alternative {
                text: text.to_owned().into(),
                tokens: Vec::new(),
            }],
            start: Duration::from_millis(after_ms),
            end: Duration::from_millis(after_ms + 100),
            is_final: true,
        };
        let said = What::Said(Said {
            message: message.clone(),
            utterance,
            said_at_unix_ms: THEN + after_ms,
        });
        // It came a while after it was said.
        let at = THEN + after_ms + 2_298;
        self.keep(guid, (at, "transcript"), said);
        message
    }

    pub(super) fn commanded(&self, guid: &str, verb: &'static str) {
        let command = entry::Command {
            verb,
            key: "key".into(),
            from: "192.0.2.1".to_owned().into(),
            outcome: "ok".to_owned(),
            request: IDS[0].to_owned(),
        };
        self.keep(guid, (THEN, "command"), What::Command(command));
    }

    fn keep(&self, guid: &str, (at_unix_ms, kind): (u64, &'static str), what: What) {
        let entry = Entry {
            place: EventPlace {
                boot: 1,
                number: self.next(),
            },
            seq: 1,
            at_unix_ms,
            call: twilio(guid),
            also: Arc::from([]),
            tenant: self.tenants.lock().unwrap().get(guid).cloned(),
            kind,
            json: String::new().into(),
            what,
        };
        let entries = vec![entry];
        self.write(&Batch {
            entries,
            ..Batch::default()
        })
        .unwrap();
    }

    /// Something that waits for a webhook.
    pub(super) fn waits(&self, endpoint: &str, guid: &str) {
        let parcel = Parcel {
            endpoint: endpoint.into(),
            lane: format!("twilio/{guid}").into(),
            id: format!("msg_{}", self.next()),
            kind: "transcript",
            content_type: "application/json",
            body: b"{}".to_vec().into(),
            at_unix_ms: THEN,
        };
        let parcels = vec![parcel];
        self.write(&Batch {
            parcels,
            ..Batch::default()
        })
        .unwrap();
    }

    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        self.store.write(batch)
    }

    fn next(&self) -> u64 {
        self.number.fetch_add(1, Ordering::Relaxed) + 1
    }
}
