//! What the file's tables are, and how an older file gets them.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::file::APPLICATION_ID;
use super::terms;
use crate::StoreError;
use crate::key::Key;
use crate::seal::{CHECK_BYTES, SECRET_BYTES, Vault, random};

/// One step from a schema to the next.
struct Migration {
    tables: &'static str,
    /// What SQL alone cannot do.
    fill: fn(&Connection, &Vault) -> Result<(), StoreError>,
}

/// In their order; the first makes schema 1.
const MIGRATIONS: [Migration; 3] = [
    Migration {
        tables: include_str!("schema/0001.sql"),
        fill: |_, _| Ok(()),
    },
    Migration {
        tables: include_str!("schema/0002.sql"),
        fill: terms::index_everything,
    },
    Migration {
        tables: include_str!("schema/0003.sql"),
        fill: |_, _| Ok(()),
    },
];

/// The schema this version writes.
pub(super) fn newest() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// The schema of a file; 0 if it has no tables yet.
pub(super) fn version(db: &Connection) -> Result<u32, StoreError> {
    Ok(db.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Brings a file to the newest schema, a transaction a step, and finds out whether the key is the
/// one it was written with. Which schema it had, if that was an older one.
pub(super) fn migrate(
    db: &mut Connection,
    key: Option<&Key>,
) -> Result<(Vault, Option<u32>), StoreError> {
    let found = version(db)?;
    let mut vault = None;
    for step in found..newest() {
        let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let migration = &MIGRATIONS[step as usize];
        change.execute_batch(migration.tables)?;
        let opened = match vault {
            Some(vault) => vault,
            None => unlock(&change, key)?,
        };
        (migration.fill)(&change, &opened)?;
        vault = Some(opened);
        change.pragma_update(None, "application_id", APPLICATION_ID)?;
        change.pragma_update(None, "user_version", step + 1)?;
        change.commit()?;
    }
    let vault = match vault {
        Some(vault) => vault,
        None => unlock(db, key)?,
    };
    Ok((vault, (found > 0 && found < newest()).then_some(found)))
}

/// Whether a file was written without a key.
pub(super) fn is_without_key(db: &Connection) -> Result<bool, StoreError> {
    if version(db)? == 0 {
        return Ok(false);
    }
    match recognise(db, None) {
        Ok(vault) => Ok(vault.is_some()),
        Err(StoreError::WrongKey) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The vault of a file that is only read, and must have the newest schema.
pub(super) fn as_it_is(db: &Connection, key: Option<&Key>) -> Result<Vault, StoreError> {
    let (found, known) = (version(db)?, newest());
    if found > known {
        return Err(StoreError::TooNew { found, known });
    }
    if found < known {
        let old = format!("the database has the older schema {found}: it must be written to first");
        return Err(StoreError::Other(old));
    }
    recognise(db, key)?.ok_or_else(misshapen)
}

/// Makes the vault of a file, which gets its salt if it has none.
fn unlock(db: &Connection, key: Option<&Key>) -> Result<Vault, StoreError> {
    if let Some(vault) = recognise(db, key)? {
        return Ok(vault);
    }
    resalt(db, key)
}

/// Gives a file another salt, and remembers how to recognise its key.
pub(super) fn resalt(db: &Connection, key: Option<&Key>) -> Result<Vault, StoreError> {
    let salt = random()?;
    let vault = Vault::new(&salt, key)?;
    let keep = |name: &str, value: &[u8]| {
        let sql = "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)";
        db.execute(sql, params![name, value])
    };
    keep("salt", &salt)?;
    keep("check", vault.check())?;
    Ok(vault)
}

/// The vault of a file that has its salt. `WrongKey` if the file was written with another key, or
/// with one where there is none now, or without.
fn recognise(db: &Connection, key: Option<&Key>) -> Result<Option<Vault>, StoreError> {
    let fact = |name: &str| {
        let sql = "SELECT value FROM meta WHERE name = ?1";
        db.query_row(sql, [name], |row| row.get::<_, Vec<u8>>(0))
            .optional()
    };
    let Some(salt) = fact("salt")? else {
        return Ok(None);
    };
    let salt = <[u8; SECRET_BYTES]>::try_from(salt).map_err(|_| misshapen())?;
    let vault = Vault::new(&salt, key)?;
    let check = fact("check")?.ok_or_else(misshapen)?;
    if check.len() != CHECK_BYTES {
        return Err(misshapen());
    }
    let is_it = check == vault.check();
    is_it.then_some(Some(vault)).ok_or(StoreError::WrongKey)
}

fn misshapen() -> StoreError {
    StoreError::Corrupt("what recognises the key is not there".into())
}
