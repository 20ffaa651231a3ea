//! Conversations go: erased at once, or expired in small steps.

use rusqlite::{Connection, OptionalExtension, params};

use super::rows::{Uint, ids_of, spoken};
use super::{keys, terms};
use crate::StoreError;
use crate::query::{Expired, Expiry};
use crate::seal::{Sealer, TermKind, Vault};

/// What belongs to a conversation and is never much.
const SMALL: [&str; 6] = ["commands", "gaps", "legs", "names", "pauses", "streams"];

/// Pages go back to the file system when more than one of so many is free.
const FREE_SHARE: u64 = 8;

/// What was removed of a conversation.
struct Stripped {
    rows: usize,
    /// Nothing is left.
    is_bare: bool,
}

/// Removes a conversation with all that belongs to it, and what waits to be delivered of it.
pub(super) fn erase(db: &Connection, vault: &Vault, id: i64) -> Result<(), StoreError> {
    let stripped = strip(db, vault, id, usize::MAX)?;
    debug_assert!(stripped.is_bare);
    for table in ["outbox", "dead"] {
        let sql = format!("DELETE FROM {table} WHERE conversation = ?1");
        db.prepare_cached(&sql)?.execute([id])?;
    }
    finish(db, id)
}

/// Removes what is past its time, at most about `most` rows; and if what is left needs more than
/// `bytes_max`, the oldest conversations.
pub(super) fn expire(
    db: &Connection,
    vault: &Vault,
    expiry: &Expiry,
    most: usize,
) -> Result<Expired, StoreError> {
    let mut expired = Expired::default();
    let mut left = most;
    let before = Uint(expiry.dead_letters_before_unix_ms);
    let sql = "DELETE FROM dead WHERE number IN
        (SELECT number FROM dead WHERE died < ?1 ORDER BY died LIMIT ?2)";
    expired.dead_letters = remove(db, sql, before, &mut left)?;
    expired.dead_letters += bury_excess(db, expiry.dead_letters_bytes_max, &mut left)?;
    let before = Uint(expiry.events_before_unix_ms);
    let sql = "DELETE FROM events WHERE id IN
        (SELECT id FROM events WHERE at < ?1 ORDER BY at LIMIT ?2)";
    expired.events = remove(db, sql, before, &mut left)?;
    while left > 0
        && let Some(id) = next_to_go(db, expiry, &mut expired)?
    {
        let stripped = strip(db, vault, id, left)?;
        left = left.saturating_sub(stripped.rows.max(1));
        if !stripped.is_bare {
            left = 0;
            break;
        }
        finish(db, id)?;
    }
    left = left.saturating_sub(let_go(db, left)?);
    keys::sweep(db)?;
    expired.more = give_back(db, expiry.bytes_max, most)? || left == 0;
    Ok(expired)
}

/// Removes the oldest dead letters that are too much.
fn bury_excess(db: &Connection, bytes_max: u64, left: &mut usize) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce(sum(dead_bytes), 0) FROM depths";
    let mut bytes = db
        .prepare_cached(sql)?
        .query_row([], |row| row.get::<_, Uint>(0))?
        .0;
    let sql = "SELECT number, bytes FROM dead ORDER BY died, number LIMIT 1";
    let mut oldest = db.prepare_cached(sql)?;
    let mut buried = 0;
    while bytes > bytes_max && *left > 0 {
        let found = oldest.query_row([], |row| Ok((row.get::<_, Uint>(0)?, row.get(1)?)));
        let Some((number, Uint(length))) = found.optional()? else {
            break;
        };
        db.prepare_cached("DELETE FROM dead WHERE number = ?1")?
            .execute([number])?;
        bytes = bytes.saturating_sub(length);
        *left -= 1;
        buried += 1;
    }
    Ok(buried)
}

fn remove(db: &Connection, sql: &str, before: Uint, left: &mut usize) -> Result<u64, StoreError> {
    let removed = db
        .prepare_cached(sql)?
        .execute(params![before, *left as i64])?;
    *left = left.saturating_sub(removed);
    Ok(removed as u64)
}

/// The conversation that is next to go: one that is half gone already, one past its time, or for
/// lack of room the oldest. From then on nobody sees it.
fn next_to_go(
    db: &Connection,
    expiry: &Expiry,
    expired: &mut Expired,
) -> Result<Option<i64>, StoreError> {
    let half_gone = "SELECT id FROM conversations WHERE leaving > 0 AND leaving = 1 LIMIT 1";
    let found = db
        .prepare_cached(half_gone)?
        .query_row([], |row| row.get(0));
    if let Some(id) = found.optional()? {
        return Ok(Some(id));
    }
    let oldest = "SELECT id, last_heard FROM conversations WHERE leaving = 0
        ORDER BY last_heard LIMIT 1";
    let found = db.prepare_cached(oldest)?.query_row([], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, Uint>(1)?))
    });
    let Some((id, last_heard)) = found.optional()? else {
        return Ok(None);
    };
    let is_past = last_heard < Uint(expiry.conversations_before_unix_ms);
    if !is_past && Room::of(db)?.used() <= expiry.bytes_max {
        return Ok(None);
    }
    expired.conversations += 1;
    expired.for_room += u64::from(!is_past);
    leave(db, id, 1)?;
    Ok(Some(id))
}

/// Removes rows of a conversation, at most about `most`.
fn strip(db: &Connection, vault: &Vault, id: i64, most: usize) -> Result<Stripped, StoreError> {
    let unsaid = unsay(db, vault, id, most)?;
    let left = most.saturating_sub(unsaid.rows);
    let sql = "DELETE FROM events WHERE id IN
        (SELECT id FROM events WHERE conversation = ?1 LIMIT ?2)";
    let limit = i64::try_from(left).unwrap_or(i64::MAX);
    let events = db.prepare_cached(sql)?.execute(params![id, limit])?;
    let mut rows = unsaid.rows + events;
    if !unsaid.is_bare || events == left {
        return Ok(Stripped {
            rows,
            is_bare: false,
        });
    }
    for table in SMALL {
        let sql = format!("DELETE FROM {table} WHERE conversation = ?1");
        rows += db.prepare_cached(&sql)?.execute([id])?;
    }
    Ok(Stripped {
        rows,
        is_bare: true,
    })
}

/// Removes utterances of a conversation, and their terms.
fn unsay(db: &Connection, vault: &Vault, id: i64, most: usize) -> Result<Stripped, StoreError> {
    let sealer = keys::sealer(db, vault, id)?;
    let (first, last) = ids_of(id);
    let tenant = tenant_of(db, id)?;
    let tenant = tenant.map(|tenant| vault.term(TermKind::Tenant, &tenant));
    let mut of_it: Vec<i64> = tenant.into_iter().collect();
    let mut end = first;
    let mut removed = 0;
    let mut is_bare = false;
    let sql = "SELECT id, spoken FROM utterances WHERE id BETWEEN ?1 AND ?2 ORDER BY id";
    let mut select = db.prepare_cached(sql)?;
    let mut rows = select.query([first, last])?;
    // One at least, or it would never end.
    while (removed == 0 || removed + of_it.len() < most) && !is_bare {
        match rows.next()? {
            Some(row) => {
                end = row.get(0)?;
                removed += 1;
                let sealed = row.get_ref(1)?.as_blob().unwrap_or_default();
                of_it.extend(terms_of(vault, &sealer, end, sealed));
            }
            None => is_bare = true,
        }
    }
    drop(rows);
    let sql = "DELETE FROM utterances WHERE id BETWEEN ?1 AND ?2";
    db.prepare_cached(sql)?.execute([first, end])?;
    Ok(Stripped {
        rows: removed + terms::remove(db, of_it, id)?,
        is_bare,
    })
}

/// The terms of an utterance. What cannot be opened has none: it must go all the same.
fn terms_of(vault: &Vault, sealer: &Sealer, id: i64, sealed: &[u8]) -> Vec<i64> {
    spoken(sealer, id, sealed).map_or_else(
        |_| Vec::new(),
        |spoken| terms::of(vault, spoken.text(), spoken.sender.reveal()).collect(),
    )
}

fn tenant_of(db: &Connection, id: i64) -> Result<Option<String>, StoreError> {
    let sql = "SELECT tenant FROM conversations WHERE id = ?1";
    let found = db.prepare_cached(sql)?.query_row([id], |row| row.get(0));
    Ok(found.optional()?.flatten())
}

/// The last of a conversation: its row, and its key unless something waits in the outbox that was
/// sealed with it.
fn finish(db: &Connection, id: i64) -> Result<(), StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM outbox WHERE conversation = ?1)
        OR EXISTS (SELECT 1 FROM dead WHERE conversation = ?1)";
    if db.prepare_cached(sql)?.query_row([id], |row| row.get(0))? {
        return leave(db, id, 2);
    }
    keys::destroy(db, id)?;
    db.prepare_cached("DELETE FROM conversations WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

/// Finishes conversations of which something waited, and does no longer. How many.
fn let_go(db: &Connection, most: usize) -> Result<usize, StoreError> {
    let sql = "SELECT id FROM conversations AS c WHERE leaving > 0 AND leaving = 2
        AND NOT EXISTS (SELECT 1 FROM outbox WHERE conversation = c.id)
        AND NOT EXISTS (SELECT 1 FROM dead WHERE conversation = c.id) LIMIT ?1";
    let mut select = db.prepare_cached(sql)?;
    let rows = select.query_map([most as i64], |row| row.get(0))?;
    let free: Vec<i64> = rows.collect::<Result<_, _>>()?;
    for id in &free {
        finish(db, *id)?;
    }
    Ok(free.len())
}

fn leave(db: &Connection, id: i64, how_far: i64) -> Result<(), StoreError> {
    let sql = "UPDATE conversations SET leaving = ?2 WHERE id = ?1";
    db.prepare_cached(sql)?.execute([id, how_far])?;
    Ok(())
}

/// Pages of the file, and how many of them are free.
struct Room {
    page_bytes: u64,
    pages: u64,
    free: u64,
}

impl Room {
    fn of(db: &Connection) -> Result<Self, StoreError> {
        let sql = "SELECT page_size, page_count, freelist_count
            FROM pragma_page_size, pragma_page_count, pragma_freelist_count";
        let room = db.prepare_cached(sql)?.query_row([], |row| {
            Ok(Self {
                page_bytes: row.get::<_, Uint>(0)?.0,
                pages: row.get::<_, Uint>(1)?.0,
                free: row.get::<_, Uint>(2)?.0,
            })
        });
        Ok(room?)
    }

    fn used(&self) -> u64 {
        (self.pages - self.free) * self.page_bytes
    }

    /// Free pages that are not worth keeping.
    fn to_give_back(&self, bytes_max: u64) -> u64 {
        let over = self
            .pages
            .saturating_sub(bytes_max / self.page_bytes.max(1));
        let idle = self.free.saturating_sub(self.pages / FREE_SHARE);
        over.max(idle).min(self.free)
    }
}

/// Makes the file shorter by free pages, at most `most`. Whether there are more.
fn give_back(db: &Connection, bytes_max: u64, most: usize) -> Result<bool, StoreError> {
    let pages = Room::of(db)?.to_give_back(bytes_max);
    let now = pages.min(most as u64);
    if now > 0 {
        // A row a page: it stops with whoever stops asking.
        let mut vacuum = db.prepare(&format!("PRAGMA incremental_vacuum({now})"))?;
        let mut rows = vacuum.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok(pages > now)
}
