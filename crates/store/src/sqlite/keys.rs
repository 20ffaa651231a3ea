//! The keys of conversations: 32 random bytes each, which are overwritten when the conversation is
//! removed.
//!
//! SQLite moves rows between pages and can leave copies of them where nothing is any more. So keys
//! do not lie in rows of their own: many lie in one row, behind so much padding that all of them
//! are in the part which SQLite puts into overflow pages, and these are neither moved nor copied.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};
use zeroize::Zeroize;

use crate::StoreError;
use crate::seal::{SECRET_BYTES, Sealer, Vault, random};

/// Keys in a row. With the padding a row is a little longer than what SQLite would still keep in
/// the page of the row itself (4,061 bytes of a page of 4,096; then it keeps 489).
const SLAB_KEYS: i64 = 112;
const PADDING: usize = 512;
const SLAB_BYTES: usize = PADDING + 112 * SECRET_BYTES;

/// The key of what belongs to no conversation.
pub(super) const NOBODY: i64 = 0;

/// Seals and opens what belongs to a conversation. Its key must be there.
pub(super) fn sealer(
    db: &Connection,
    vault: &Vault,
    conversation: i64,
) -> Result<Sealer, StoreError> {
    let (slab, at) = place(conversation);
    let sql = "SELECT substr(keys, ?2, ?3) FROM seals WHERE slab = ?1";
    let key: Option<Vec<u8>> = db
        .prepare_cached(sql)?
        .query_row(params![slab, at as i64, SECRET_BYTES as i64], |row| {
            row.get(0)
        })
        .optional()?;
    let key = key.and_then(|key| <[u8; SECRET_BYTES]>::try_from(key).ok());
    vault.sealer(&key.ok_or_else(keyless)?)
}

/// All keys, before others took their places.
pub(super) struct Former(HashMap<i64, Vec<u8>>);

impl Former {
    /// The key that a conversation had.
    pub(super) fn of(&self, conversation: i64) -> Result<[u8; SECRET_BYTES], StoreError> {
        let (slab, at) = place(conversation);
        let key = self
            .0
            .get(&slab)
            .and_then(|keys| keys.get(at - 1..at - 1 + SECRET_BYTES));
        let key = key.and_then(|key| <[u8; SECRET_BYTES]>::try_from(key).ok());
        key.ok_or_else(keyless)
    }
}

impl Drop for Former {
    fn drop(&mut self) {
        self.0.values_mut().for_each(Zeroize::zeroize);
    }
}

/// Puts other keys in the places of all.
pub(super) fn replace_all(db: &Connection) -> Result<Former, StoreError> {
    let mut select = db.prepare("SELECT slab, keys FROM seals")?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let former = Former(rows.collect::<Result<_, _>>()?);
    for slab in former.0.keys() {
        let sql = "UPDATE seals SET keys = ?2 WHERE slab = ?1";
        db.prepare_cached(sql)?
            .execute(params![slab, slab_of_keys()?])?;
    }
    Ok(former)
}

/// Makes the key of a conversation, if it has none yet.
pub(super) fn make(db: &Connection, conversation: i64) -> Result<(), StoreError> {
    let (slab, _) = place(conversation);
    let is_there = "SELECT 1 FROM seals WHERE slab = ?1";
    if db.prepare_cached(is_there)?.exists([slab])? {
        return Ok(());
    }
    let sql = "INSERT INTO seals (slab, keys) VALUES (?1, ?2)";
    db.prepare_cached(sql)?
        .execute(params![slab, slab_of_keys()?])?;
    Ok(())
}

/// Overwrites the key of a conversation, in its place.
pub(super) fn destroy(db: &Connection, conversation: i64) -> Result<(), StoreError> {
    let (slab, at) = place(conversation);
    let sql = "SELECT keys FROM seals WHERE slab = ?1";
    let keys: Option<Vec<u8>> = db
        .prepare_cached(sql)?
        .query_row([slab], |row| row.get(0))
        .optional()?;
    let Some(mut keys) = keys else { return Ok(()) };
    if let Some(key) = keys.get_mut(at - 1..at - 1 + SECRET_BYTES) {
        key.fill(0);
    }
    let sql = "UPDATE seals SET keys = ?2 WHERE slab = ?1";
    db.prepare_cached(sql)?.execute(params![slab, keys])?;
    keys.zeroize();
    Ok(())
}

/// Removes rows whose conversations are all gone: those below the oldest that is still there.
pub(super) fn sweep(db: &Connection) -> Result<(), StoreError> {
    let oldest = "SELECT coalesce(
        (SELECT min(id) FROM conversations),
        (SELECT seq FROM sqlite_sequence WHERE name = 'conversations'), 0)";
    let oldest: i64 = db.prepare_cached(oldest)?.query_row([], |row| row.get(0))?;
    let (slab, _) = place(oldest);
    let sql = "DELETE FROM seals WHERE slab > 0 AND slab < ?1";
    db.prepare_cached(sql)?.execute([slab])?;
    Ok(())
}

fn slab_of_keys() -> Result<[u8; SLAB_BYTES], StoreError> {
    let mut keys = random::<SLAB_BYTES>()?;
    keys[..PADDING].fill(0);
    Ok(keys)
}

fn keyless() -> StoreError {
    StoreError::Corrupt("a conversation has no key".into())
}

/// The row, and where in it, as SQLite counts: from 1.
fn place(conversation: i64) -> (i64, usize) {
    let number = usize::try_from(conversation % SLAB_KEYS).unwrap_or_default();
    (
        conversation / SLAB_KEYS,
        PADDING + number * SECRET_BYTES + 1,
    )
}
