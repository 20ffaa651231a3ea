//! What waits for too long, is too much, or waits for nobody.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Uint, depth, die};
use crate::StoreError;

/// Why [`trim`] made a dead letter of a parcel.
const TOO_OLD: &str = "too old";
const NO_ROOM: &str = "no room";

/// Why [`retire`] did.
const NOT_CONFIGURED: &str = "no longer configured";

/// What may wait for an endpoint.
pub(crate) struct Limits {
    pub(crate) bytes_max: u64,
    pub(crate) made_before_unix_ms: u64,
    pub(crate) now_unix_ms: u64,
}

pub(crate) fn trim(db: &Connection, endpoint: &str, limits: &Limits) -> Result<u64, StoreError> {
    let now = Uint(limits.now_unix_ms);
    let sql = "SELECT number FROM outbox WHERE endpoint = ?1 AND made < ?2 ORDER BY number";
    let mut select = db.prepare_cached(sql)?;
    let rows = select.query_map(params![endpoint, Uint(limits.made_before_unix_ms)], |row| {
        row.get(0)
    })?;
    let old: Vec<Uint> = rows.collect::<Result<_, _>>()?;
    for number in &old {
        die(db, *number, now, TOO_OLD)?;
    }
    let mut bytes = depth(db, endpoint)?.bytes;
    let mut trimmed = old.len() as u64;
    let sql = "SELECT number, bytes FROM outbox WHERE endpoint = ?1 ORDER BY number LIMIT 1";
    let mut oldest = db.prepare_cached(sql)?;
    while bytes > limits.bytes_max {
        let found = oldest.query_row([endpoint], |row| Ok((row.get(0)?, row.get::<_, Uint>(1)?)));
        let Some((number, length)) = found.optional()? else {
            break;
        };
        die(db, number, now, NO_ROOM)?;
        bytes = bytes.saturating_sub(length.0);
        trimmed += 1;
    }
    Ok(trimmed)
}

pub(crate) fn retire(
    db: &Connection,
    endpoints: &[String],
    (at, most): (u64, usize),
) -> Result<u64, StoreError> {
    let mut select = db.prepare_cached("SELECT endpoint FROM depths WHERE waiting > 0")?;
    let all = select.query_map([], |row| row.get(0))?;
    let all: Vec<String> = all.collect::<Result<_, _>>()?;
    let mut retired = 0;
    let sql = "SELECT number FROM outbox WHERE endpoint = ?1 ORDER BY number LIMIT ?2";
    let mut oldest = db.prepare_cached(sql)?;
    for endpoint in all.iter().filter(|one| !endpoints.contains(one)) {
        let left = most.saturating_sub(retired);
        let rows = oldest.query_map(params![endpoint, left as i64], |row| row.get(0))?;
        let numbers: Vec<Uint> = rows.collect::<Result<_, _>>()?;
        for number in &numbers {
            die(db, *number, Uint(at), NOT_CONFIGURED)?;
        }
        retired += numbers.len();
    }
    Ok(retired as u64)
}
