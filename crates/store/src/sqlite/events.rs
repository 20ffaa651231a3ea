//! Events for readers that come back.

use call::name::CallName;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::keys;
use super::rows::{Uint, text};
use crate::StoreError;
use crate::entry::{EventPlace, Kept};
use crate::query::{EventSearch, Scope};
use crate::seal::{Place, Table, Vault};

/// An event as it lies in its row.
struct Sealed {
    place: EventPlace,
    conversation: i64,
    kind: String,
    json: Vec<u8>,
}

/// Which rows are read: all from a place on, or those of a conversation.
const ALL: &str = "SELECT boot, number, conversation, kind, json FROM events
    WHERE (boot, number) > (?1, ?2) AND (boot, number) <= (?3, ?4) ORDER BY boot, number";
const OF_ONE: &str = "SELECT boot, number, conversation, kind, json FROM events
    WHERE conversation = ?5 AND (boot, number) > (?1, ?2) AND (boot, number) <= (?3, ?4)
    ORDER BY boot, number";

pub(super) fn events(
    db: &Connection,
    vault: &Vault,
    search: &EventSearch,
    scope: &Scope,
) -> Result<Vec<Kept>, StoreError> {
    let mut found = Vec::new();
    match &search.call {
        None => collect(db, (search, scope), None, &mut found)?,
        Some(_) => {
            for conversation in conversations(db, search)? {
                collect(db, (search, scope), Some(conversation), &mut found)?;
            }
            found.sort_by_key(|event| event.place);
            found.truncate(search.most);
        }
    }
    let open = |event: Sealed| {
        let sealer = keys::sealer(db, vault, event.conversation)?;
        let place = Place {
            table: Table::Events,
            row: (event.place.boot, event.place.number),
        };
        Ok(Kept {
            place: event.place,
            kind: event.kind,
            json: text(&sealer, place, &event.json)?.into(),
        })
    };
    found.into_iter().map(open).collect()
}

pub(super) fn newest(db: &Connection) -> Result<Option<EventPlace>, StoreError> {
    let sql = "SELECT boot, number FROM events ORDER BY boot DESC, number DESC LIMIT 1";
    Ok(db.prepare_cached(sql)?.query_row([], place).optional()?)
}

/// The number of a call's newest event, of all its conversations.
pub(super) fn newest_seq(db: &Connection, call: &CallName) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce(max(seq), 0) FROM conversations
        WHERE guid = ?1 AND namespace = ?2";
    let name = [call.guid.as_str(), call.namespace.as_str()];
    let newest: Uint = db.prepare_cached(sql)?.query_row(name, |row| row.get(0))?;
    Ok(newest.0)
}

/// Adds at most `search.most` events to those that were found.
fn collect(
    db: &Connection,
    (search, scope): (&EventSearch, &Scope),
    conversation: Option<i64>,
    found: &mut Vec<Sealed>,
) -> Result<(), StoreError> {
    let mut select = db.prepare_cached(conversation.map_or(ALL, |_| OF_ONE))?;
    let (after, until) = (search.after, search.until);
    let last = until.unwrap_or(EventPlace {
        boot: u64::MAX,
        number: u64::MAX,
    });
    let (after, last) = (
        (Uint(after.boot), Uint(after.number)),
        (Uint(last.boot), Uint(last.number)),
    );
    let mut rows = match conversation {
        None => select.query(params![after.0, after.1, last.0, last.1])?,
        Some(one) => select.query(params![after.0, after.1, last.0, last.1, one])?,
    };
    let mut left = search.most;
    let mut seen = (0, false);
    while left > 0
        && let Some(row) = rows.next()?
    {
        let kind = row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?;
        let is_wanted = search.kinds.is_empty() || search.kinds.iter().any(|wanted| wanted == kind);
        let conversation = row.get(2)?;
        if !is_wanted {
            continue;
        }
        if seen.0 != conversation {
            seen = (conversation, is_seen(db, conversation, scope)?);
        }
        if !seen.1 {
            continue;
        }
        left -= 1;
        found.push(Sealed {
            place: place(row)?,
            conversation,
            kind: kind.to_owned(),
            json: row.get(4)?,
        });
    }
    Ok(())
}

/// The conversations that go by the name that is looked for.
fn conversations(db: &Connection, search: &EventSearch) -> Result<Vec<i64>, StoreError> {
    let Some(call) = &search.call else {
        return Ok(Vec::new());
    };
    let sql = "SELECT id FROM conversations WHERE guid = ?1 AND namespace = ?2
        UNION SELECT conversation FROM names WHERE guid = ?1 AND namespace = ?2";
    let mut select = db.prepare_cached(sql)?;
    let name = [call.guid.as_str(), call.namespace.as_str()];
    let rows = select.query_map(name, |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether who asks may see a conversation.
fn is_seen(db: &Connection, conversation: i64, scope: &Scope) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM conversations
        WHERE id = ?1 AND leaving = 0 AND (?2 IS NULL OR tenant = ?2)";
    Ok(db
        .prepare_cached(sql)?
        .exists(params![conversation, scope.tenant])?)
}

fn place(row: &Row<'_>) -> rusqlite::Result<EventPlace> {
    Ok(EventPlace {
        boot: row.get::<_, Uint>(0)?.0,
        number: row.get::<_, Uint>(1)?.0,
    })
}
