//! Another key: every seal is broken and set anew, in one transaction.

use rusqlite::{Connection, TransactionBehavior, params};

use super::file::Kind;
use super::rows::{Uint, conversation_of};
use super::{SqliteStore, StoreConfig, file, keys, schema, terms};
use crate::StoreError;
use crate::key::Key;
use crate::seal::{Place, Sealer, Table, Vault};

/// How many rows are sealed anew at a time.
const ROWS: usize = 1000;

/// A sealed column, and the query that reads it: key, place in two numbers, conversation, column;
/// behind a key.
struct Sealed {
    table: Table,
    read: &'static str,
    write: &'static str,
}

const ALL: [Sealed; 5] = [
    Sealed {
        table: Table::Commands,
        read: "SELECT id, id, 0, conversation, address FROM commands
            WHERE id > ?1 ORDER BY id LIMIT ?2",
        write: "UPDATE commands SET address = ?2 WHERE id = ?1",
    },
    Sealed {
        table: Table::Events,
        read: "SELECT id, boot, number, conversation, json FROM events
            WHERE id > ?1 ORDER BY id LIMIT ?2",
        write: "UPDATE events SET json = ?2 WHERE id = ?1",
    },
    Sealed {
        table: Table::Parcels,
        read: "SELECT number, number, 0, conversation, body FROM outbox
            WHERE number > ?1 ORDER BY number LIMIT ?2",
        write: "UPDATE outbox SET body = ?2 WHERE number = ?1",
    },
    Sealed {
        table: Table::Parcels,
        read: "SELECT number, number, 0, conversation, body FROM dead
            WHERE number > ?1 ORDER BY number LIMIT ?2",
        write: "UPDATE dead SET body = ?2 WHERE number = ?1",
    },
    Sealed {
        table: Table::Utterances,
        read: "SELECT id, id, 0, id, spoken FROM utterances WHERE id > ?1 ORDER BY id LIMIT ?2",
        write: "UPDATE utterances SET spoken = ?2 WHERE id = ?1",
    },
];

/// A row of any table with a sealed column.
struct Row {
    id: i64,
    place: Place,
    conversation: i64,
    sealed: Vec<u8>,
}

impl SqliteStore {
    /// Opens the file with its present key, and seals everything in it with another or none, in one
    /// transaction. Nobody else may have it open: `Locked`. It takes as long as reading and writing
    /// all of it, and the log grows to the file's size.
    pub fn rekey(config: &StoreConfig, key: Option<&Key>) -> Result<(), StoreError> {
        match file::kind(&config.path)? {
            Kind::Absent => return Err(StoreError::Other("there is no database".into())),
            Kind::Foreign(why) => return Err(StoreError::Corrupt(why.into())),
            Kind::Ours(_) => {}
        }
        let mut db = file::lone_writer(config)?;
        file::check(&db, config)?;
        // A key that is configured and was never used yet.
        let present = config.key.as_ref();
        let present = present.filter(|_| !matches!(schema::is_without_key(&db), Ok(true)));
        let (vault, _) = schema::migrate(&mut db, present)?;
        let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        rekey(&change, &vault, key)?;
        change.commit()?;
        file::empty_log(&db)
    }
}

/// Seals everything anew: with another key or none, under another salt, and with other keys of all
/// conversations, so that nothing opens what may be left of before. Whoever calls has a transaction
/// open.
pub(super) fn rekey(
    db: &Connection,
    before: &Vault,
    key: Option<&Key>,
) -> Result<Vault, StoreError> {
    let vault = schema::resalt(db, key)?;
    let old_keys = keys::replace_all(db)?;
    let mut unreadable = 0_u64;
    for sealed in &ALL {
        let mut last = -1;
        let mut pair: Option<(i64, Sealer, Sealer)> = None;
        loop {
            let rows = rows(db, sealed, last)?;
            let Some(end) = rows.last() else { break };
            last = end.id;
            for row in rows {
                let (_, old, new) = match pair.take() {
                    Some(known) if known.0 == row.conversation => pair.insert(known),
                    _ => {
                        let old = before.sealer(&old_keys.of(row.conversation)?)?;
                        let new = keys::sealer(db, &vault, row.conversation)?;
                        pair.insert((row.conversation, old, new))
                    }
                };
                let Ok(text) = old.open(row.place, &row.sealed) else {
                    unreadable += 1;
                    continue;
                };
                let anew = new.seal(row.place, &text)?;
                db.prepare_cached(sealed.write)?
                    .execute(params![row.id, anew])?;
            }
        }
    }
    if unreadable > 0 {
        tracing::warn!(
            unreadable,
            "Some texts could not be opened, and never will be."
        );
    }
    db.execute("DELETE FROM terms", [])?;
    terms::index_everything(db, &vault)?;
    Ok(vault)
}

fn rows(db: &Connection, sealed: &Sealed, after: i64) -> Result<Vec<Row>, StoreError> {
    let mut select = db.prepare_cached(sealed.read)?;
    let rows = select.query_map(params![after, ROWS as i64], |row| {
        let (first, second): (Uint, Uint) = (row.get(1)?, row.get(2)?);
        let place = Place {
            table: sealed.table,
            row: (first.0, second.0),
        };
        let conversation = row.get(3)?;
        Ok(Row {
            id: row.get(0)?,
            place,
            conversation: match sealed.table {
                Table::Utterances => conversation_of(conversation),
                _ => conversation,
            },
            sealed: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
