//! A batch into its tables.

mod what;

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::Arc;

use call::name::{CallName, StreamId};
use rusqlite::{Connection, OptionalExtension, params};
use ulid::Ulid;

use super::rows::{MessageId, Uint};
use super::{keys, outbox, terms};
use crate::StoreError;
use crate::entry::{Batch, Entry};
use crate::seal::{Place, Sealer, Table, TermKind, Vault, random};

/// What a batch knows of a file while it is written.
struct Writing<'a> {
    db: &'a Connection,
    vault: &'a Vault,
    calls: HashMap<CallName, Talk>,
    /// Of all conversations, so that they are kept in their order.
    terms: Vec<(i64, i64)>,
}

/// A conversation that is being written to, and what is still to be added to its row.
struct Talk {
    id: i64,
    sealer: Sealer,
    tenant: Option<Arc<str>>,
    /// How many utterances it has.
    utterances: u64,
    last_heard: u64,
    lost_ms: u64,
    /// The greatest number of an event of this batch.
    seq: u64,
    streams: HashMap<StreamId, i64>,
    /// The other names that were written last.
    also: Option<Arc<[CallName]>>,
}

/// Writes everything of a batch. Whoever calls has a transaction open.
pub(super) fn batch(db: &Connection, vault: &Vault, batch: &Batch) -> Result<(), StoreError> {
    let mut writing = Writing {
        db,
        vault,
        calls: HashMap::new(),
        terms: Vec::new(),
    };
    for entry in &batch.entries {
        writing.entry(entry)?;
    }
    let mut lanes = outbox::Lanes::new(db, vault)?;
    for parcel in &batch.parcels {
        lanes.append(parcel)?;
    }
    for talk in writing.calls.values() {
        talk.settle(db)?;
    }
    terms::keep(db, writing.terms)
}

impl Writing<'_> {
    fn entry(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let Self { db, vault, .. } = *self;
        let talk = match self.calls.entry(entry.call.clone()) {
            Slot::Vacant(slot) => slot.insert(Talk::open(db, vault, entry)?),
            Slot::Occupied(slot) => {
                let talk = slot.into_mut();
                if talk.is_anothers(entry) {
                    talk.settle(db)?;
                    *talk = Talk::open(db, vault, entry)?;
                }
                talk
            }
        };
        talk.last_heard = talk.last_heard.max(entry.at_unix_ms);
        talk.seq = talk.seq.max(entry.seq);
        if let Some(tenant) = talk.belongs_to(db, entry)? {
            self.terms
                .push((vault.term(TermKind::Tenant, tenant), talk.id));
        }
        talk.names(db, entry)?;
        talk.what(db, entry)?;
        talk.event(db, entry)?;
        if let Some((text, sender)) = what::searchable(entry) {
            let found = terms::of(vault, text, sender);
            self.terms.extend(found.map(|term| (term, talk.id)));
        }
        Ok(())
    }
}

impl Talk {
    /// The conversation of an entry: the newest of its call, unless that is known to be another
    /// tenant's; or a new one.
    fn open(db: &Connection, vault: &Vault, entry: &Entry) -> Result<Self, StoreError> {
        let sql = "SELECT id, tenant, utterances, last_heard FROM conversations
            WHERE guid = ?1 AND namespace = ?2 AND leaving = 0
            AND (?3 IS NULL OR tenant IS NULL OR tenant = ?3) ORDER BY id DESC LIMIT 1";
        let name = (entry.call.guid.as_str(), entry.call.namespace.as_str());
        let wanted = params![name.0, name.1, entry.tenant];
        let found = db.prepare_cached(sql)?.query_row(wanted, |row| {
            let (utterances, last_heard): (Uint, Uint) = (row.get(2)?, row.get(3)?);
            Ok((row.get(0)?, row.get(1)?, utterances.0, last_heard.0))
        });
        let (id, tenant, utterances, last_heard) = match found.optional()? {
            Some(found) => found,
            None => (begin(db, entry)?, None, 0, entry.at_unix_ms),
        };
        Ok(Self {
            id,
            sealer: keys::sealer(db, vault, id)?,
            tenant,
            utterances,
            last_heard,
            lost_ms: 0,
            seq: 0,
            streams: HashMap::new(),
            also: None,
        })
    }

    /// Whether an entry is of another tenant's call, though it goes by the same name.
    fn is_anothers(&self, entry: &Entry) -> bool {
        matches!((&self.tenant, &entry.tenant), (Some(own), Some(other)) if own != other)
    }

    /// Keeps whose conversation it is, if that is new; then it is told.
    fn belongs_to<'a>(
        &mut self,
        db: &Connection,
        entry: &'a Entry,
    ) -> Result<Option<&'a str>, StoreError> {
        let (None, Some(tenant)) = (&self.tenant, &entry.tenant) else {
            return Ok(None);
        };
        let sql = "UPDATE conversations SET tenant = ?2 WHERE id = ?1";
        db.prepare_cached(sql)?.execute(params![self.id, tenant])?;
        self.tenant = Some(tenant.clone());
        Ok(Some(tenant))
    }

    /// Keeps the call's other names, as far as they are new.
    fn names(&mut self, db: &Connection, entry: &Entry) -> Result<(), StoreError> {
        let is_known = self.also.as_ref().is_some_and(|also| **also == *entry.also);
        if is_known {
            return Ok(());
        }
        for name in entry.also.iter().filter(|name| **name != entry.call) {
            self.name(db, name.guid.as_str(), name.namespace.as_str())?;
        }
        self.also = Some(entry.also.clone());
        Ok(())
    }

    fn name(&self, db: &Connection, guid: &str, namespace: &str) -> Result<(), StoreError> {
        let sql = "INSERT OR IGNORE INTO names (guid, namespace, conversation) VALUES (?1, ?2, ?3)";
        db.prepare_cached(sql)?
            .execute(params![guid, namespace, self.id])?;
        Ok(())
    }

    /// Keeps the event itself, for readers that come back.
    fn event(&self, db: &Connection, entry: &Entry) -> Result<(), StoreError> {
        let json = entry.json.reveal();
        if json.is_empty() {
            return Ok(());
        }
        let place = Place {
            table: Table::Events,
            row: (entry.place.boot, entry.place.number),
        };
        let sealed = self.sealer.seal(place, json.as_bytes())?;
        let sql = "INSERT OR IGNORE INTO events (boot, number, at, conversation, kind, json)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        db.prepare_cached(sql)?.execute(params![
            Uint(entry.place.boot),
            Uint(entry.place.number),
            Uint(entry.at_unix_ms),
            self.id,
            entry.kind,
            sealed,
        ])?;
        Ok(())
    }

    /// Adds to the conversation's row what the batch brought.
    fn settle(&self, db: &Connection) -> Result<(), StoreError> {
        let sql = "UPDATE conversations SET last_heard = ?2, utterances = ?3,
            lost_ms = lost_ms + ?4, seq = max(seq, ?5) WHERE id = ?1";
        db.prepare_cached(sql)?.execute(params![
            self.id,
            Uint(self.last_heard),
            Uint(self.utterances),
            Uint(self.lost_ms),
            Uint(self.seq),
        ])?;
        Ok(())
    }
}

/// Makes a conversation and its key.
fn begin(db: &Connection, entry: &Entry) -> Result<i64, StoreError> {
    let sql = "INSERT INTO conversations (ulid, namespace, guid, began, last_heard)
        VALUES (?1, ?2, ?3, ?4, ?4)";
    let ulid = Ulid::from_parts(entry.at_unix_ms, u128::from_be_bytes(random()?));
    db.prepare_cached(sql)?.execute(params![
        MessageId(ulid.to_string()),
        entry.call.namespace.as_str(),
        entry.call.guid.as_str(),
        Uint(entry.at_unix_ms),
    ])?;
    let id = db.last_insert_rowid();
    keys::make(db, id)?;
    Ok(id)
}
