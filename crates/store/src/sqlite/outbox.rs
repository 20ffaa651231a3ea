//! What waits to be delivered, and what could not be.

mod limits;

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

pub(super) use self::limits::{Limits, retire, trim};
use super::keys;
use super::rows::Uint;
use crate::StoreError;
use crate::outbox::{Carried, DeadLetter, DeadLetters, Depth, Parcel, Settled, Waiting};
use crate::seal::{Place, Sealer, Table, Vault};

/// Appends parcels, each to its conversation by its lane.
pub(super) struct Lanes<'a> {
    db: &'a Connection,
    vault: &'a Vault,
    conversations: HashMap<Arc<str>, (i64, Arc<Sealer>)>,
    sealers: HashMap<i64, Arc<Sealer>>,
    number: i64,
}

/// A parcel in either table.
struct Stored {
    number: i64,
    conversation: i64,
    endpoint: String,
    lane: String,
    id: String,
    kind: String,
    content_type: String,
    made: Uint,
    body: Vec<u8>,
}

impl<'a> Lanes<'a> {
    pub(super) fn new(db: &'a Connection, vault: &'a Vault) -> Result<Self, StoreError> {
        let sql = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbox'";
        let number = db.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        Ok(Self {
            db,
            vault,
            conversations: HashMap::new(),
            sealers: HashMap::new(),
            number,
        })
    }

    pub(super) fn append(&mut self, parcel: &Parcel) -> Result<(), StoreError> {
        let (conversation, sealer) = self.conversation(&parcel.lane)?;
        let body = parcel.body.reveal();
        self.number += 1;
        let sealed = sealer.seal(Place::new(Table::Parcels, self.number), body)?;
        let sql = "INSERT INTO outbox
            (number, endpoint, lane, conversation, id, kind, content_type, made, bytes, body)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        self.db.prepare_cached(sql)?.execute(params![
            self.number,
            parcel.endpoint,
            parcel.lane,
            conversation,
            parcel.id,
            parcel.kind,
            parcel.content_type,
            Uint(parcel.at_unix_ms),
            body.len() as i64,
            sealed,
        ])?;
        Ok(())
    }

    /// Has a dead letter wait once more, behind what waits.
    fn again(&mut self, letter: &Stored) -> Result<(), StoreError> {
        let sealer = self.sealer(letter.conversation)?;
        let body = sealer.open(Place::new(Table::Parcels, letter.number), &letter.body)?;
        self.number += 1;
        let sealed = sealer.seal(Place::new(Table::Parcels, self.number), &body)?;
        let sql = "INSERT INTO outbox
            (number, endpoint, lane, conversation, id, kind, content_type, made, bytes, body)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        self.db.prepare_cached(sql)?.execute(params![
            self.number,
            letter.endpoint,
            letter.lane,
            letter.conversation,
            letter.id,
            letter.kind,
            letter.content_type,
            letter.made,
            body.len() as i64,
            sealed,
        ])?;
        Ok(())
    }

    /// The newest conversation of a lane, which is named as its call.
    fn conversation(&mut self, lane: &Arc<str>) -> Result<(i64, Arc<Sealer>), StoreError> {
        if let Some(known) = self.conversations.get(lane) {
            return Ok(known.clone());
        }
        let (namespace, guid) = lane.split_once('/').unwrap_or(("", lane));
        let sql = "SELECT max(id) FROM conversations
            WHERE guid = ?1 AND namespace = ?2 AND leaving = 0";
        let found: Option<i64> = self
            .db
            .prepare_cached(sql)?
            .query_row([guid, namespace], |row| row.get(0))?;
        let conversation = found.unwrap_or(keys::NOBODY);
        let known = (conversation, self.sealer(conversation)?);
        self.conversations.insert(lane.clone(), known.clone());
        Ok(known)
    }

    fn sealer(&mut self, conversation: i64) -> Result<Arc<Sealer>, StoreError> {
        if let Some(sealer) = self.sealers.get(&conversation) {
            return Ok(sealer.clone());
        }
        if conversation == keys::NOBODY {
            keys::make(self.db, conversation)?;
        }
        let sealer = Arc::new(keys::sealer(self.db, self.vault, conversation)?);
        self.sealers.insert(conversation, sealer.clone());
        Ok(sealer)
    }
}

pub(super) fn waiting(
    db: &Connection,
    endpoint: &str,
    after: u64,
    most: usize,
) -> Result<Vec<Waiting>, StoreError> {
    let sql = "SELECT number, lane, id, attempts, not_before, made, bytes, refusals FROM outbox
        WHERE endpoint = ?1 AND number > ?2 ORDER BY number LIMIT ?3";
    let mut select = db.prepare_cached(sql)?;
    let rows = select.query_map(params![endpoint, Uint(after), most as i64], |row| {
        Ok(Waiting {
            number: row.get::<_, Uint>(0)?.0,
            lane: row.get(1)?,
            id: row.get(2)?,
            attempts: row.get(3)?,
            refusals: row.get(7)?,
            not_before_unix_ms: row.get::<_, Uint>(4)?.0,
            at_unix_ms: row.get::<_, Uint>(5)?.0,
            bytes: row.get(6)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn parcel(
    db: &Connection,
    vault: &Vault,
    number: u64,
) -> Result<Option<Carried>, StoreError> {
    let sql = "SELECT number, conversation, endpoint, lane, id, kind, content_type, made, body
        FROM outbox WHERE number = ?1";
    let found = db
        .prepare_cached(sql)?
        .query_row([Uint(number)], stored)
        .optional()?;
    let Some(found) = found else { return Ok(None) };
    let sealer = keys::sealer(db, vault, found.conversation)?;
    let body = sealer.open(Place::new(Table::Parcels, found.number), &found.body)?;
    Ok(Some(Carried {
        id: found.id,
        kind: found.kind,
        content_type: found.content_type,
        body: body.into(),
    }))
}

pub(super) fn settle(db: &Connection, settled: &[Settled]) -> Result<(), StoreError> {
    for settled in settled {
        match settled {
            Settled::Delivered { number } | Settled::Dropped { number } => {
                let sql = "DELETE FROM outbox WHERE number = ?1";
                db.prepare_cached(sql)?.execute([Uint(*number)])?;
            }
            Settled::Later {
                number,
                attempts,
                refusals,
                not_before_unix_ms,
            } => {
                let sql = "UPDATE outbox SET attempts = ?2, not_before = ?3, refusals = ?4
                    WHERE number = ?1";
                let when = Uint(*not_before_unix_ms);
                db.prepare_cached(sql)?.execute(params![
                    Uint(*number),
                    attempts,
                    when,
                    refusals
                ])?;
            }
            Settled::Dead {
                number,
                attempts,
                at_unix_ms,
                why,
            } => {
                let sql = "UPDATE outbox SET attempts = ?2 WHERE number = ?1";
                db.prepare_cached(sql)?
                    .execute(params![Uint(*number), attempts])?;
                die(db, Uint(*number), Uint(*at_unix_ms), why)?;
            }
        }
    }
    Ok(())
}

pub(super) fn depth(db: &Connection, endpoint: &str) -> Result<Depth, StoreError> {
    let sql = "SELECT waiting, bytes, dead,
        (SELECT min(made) FROM outbox WHERE endpoint = ?1) FROM depths WHERE endpoint = ?1";
    let depth = db.prepare_cached(sql)?.query_row([endpoint], |row| {
        Ok(Depth {
            waiting: row.get::<_, Uint>(0)?.0,
            bytes: row.get::<_, Uint>(1)?.0,
            dead: row.get::<_, Uint>(2)?.0,
            oldest_unix_ms: row.get::<_, Option<Uint>>(3)?.map(|oldest| oldest.0),
        })
    });
    Ok(depth.optional()?.unwrap_or_default())
}

pub(super) fn dead_letters(
    db: &Connection,
    which: &DeadLetters,
) -> Result<Vec<DeadLetter>, StoreError> {
    let mut letters = Vec::new();
    for number in numbers(db, which)? {
        let sql = "SELECT number, endpoint, lane, id, kind, attempts, made, died, why
            FROM dead WHERE number = ?1";
        letters.push(db.prepare_cached(sql)?.query_row([number], |row| {
            Ok(DeadLetter {
                number: row.get::<_, Uint>(0)?.0,
                endpoint: row.get(1)?,
                lane: row.get(2)?,
                id: row.get(3)?,
                kind: row.get(4)?,
                attempts: row.get(5)?,
                made_unix_ms: row.get::<_, Uint>(6)?.0,
                dead_unix_ms: row.get::<_, Uint>(7)?.0,
                why: row.get(8)?,
            })
        })?);
    }
    Ok(letters)
}

pub(super) fn replay(
    db: &Connection,
    vault: &Vault,
    which: &DeadLetters,
) -> Result<u64, StoreError> {
    let mut lanes = Lanes::new(db, vault)?;
    let numbers = numbers(db, which)?;
    for number in &numbers {
        let sql = "SELECT number, conversation, endpoint, lane, id, kind, content_type, made, body
            FROM dead WHERE number = ?1";
        let letter = db.prepare_cached(sql)?.query_row([number], stored)?;
        lanes.again(&letter)?;
        forget(db, *number)?;
    }
    Ok(numbers.len() as u64)
}

pub(super) fn bury(db: &Connection, which: &DeadLetters) -> Result<u64, StoreError> {
    let numbers = numbers(db, which)?;
    for number in &numbers {
        forget(db, *number)?;
    }
    Ok(numbers.len() as u64)
}

/// Which dead letters are meant, the oldest first. Named ones are looked up one by one; of an
/// endpoint's or all, so many as are asked for.
fn numbers(db: &Connection, which: &DeadLetters) -> Result<Vec<i64>, StoreError> {
    let endpoint = which.endpoint.as_deref();
    if which.numbers.is_empty() {
        let sql = match endpoint {
            Some(_) => {
                "SELECT number FROM dead WHERE endpoint = ?1 AND number > ?2
                ORDER BY number LIMIT ?3"
            }
            None => {
                "SELECT number FROM dead WHERE ?1 IS NULL AND number > ?2
                ORDER BY number LIMIT ?3"
            }
        };
        let mut select = db.prepare_cached(sql)?;
        let wanted = params![endpoint, Uint(which.after), which.most as i64];
        let rows = select.query_map(wanted, |row| row.get(0))?;
        return Ok(rows.collect::<Result<_, _>>()?);
    }
    let mut wanted: Vec<u64> = which.numbers.clone();
    wanted.sort_unstable();
    wanted.dedup();
    let sql = "SELECT number FROM dead WHERE number = ?1 AND (?2 IS NULL OR endpoint = ?2)";
    let mut select = db.prepare_cached(sql)?;
    let mut found = Vec::new();
    for number in wanted.into_iter().filter(|number| *number > which.after) {
        if found.len() >= which.most {
            break;
        }
        let row = select.query_row(params![Uint(number), endpoint], |row| row.get::<_, i64>(0));
        found.extend(row.optional()?);
    }
    Ok(found)
}

/// Makes a dead letter of a parcel. The body stays sealed: its number is the same.
fn die(db: &Connection, number: Uint, at: Uint, why: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO dead (number, endpoint, lane, conversation, id, kind, content_type,
        attempts, made, died, why, bytes, body)
        SELECT number, endpoint, lane, conversation, id, kind, content_type,
        attempts, made, ?2, ?3, bytes, body FROM outbox WHERE number = ?1";
    db.prepare_cached(sql)?.execute(params![number, at, why])?;
    db.prepare_cached("DELETE FROM outbox WHERE number = ?1")?
        .execute([number])?;
    Ok(())
}

fn forget(db: &Connection, number: i64) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM dead WHERE number = ?1")?
        .execute([number])?;
    Ok(())
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        number: row.get(0)?,
        conversation: row.get(1)?,
        endpoint: row.get(2)?,
        lane: row.get(3)?,
        id: row.get(4)?,
        kind: row.get(5)?,
        content_type: row.get(6)?,
        made: row.get(7)?,
        body: row.get(8)?,
    })
}
