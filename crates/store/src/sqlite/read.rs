//! Conversations by name: their messages, and all that is known of them.

use call::name::Role;
use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::keys;
use super::rows::{MessageId, RoleColumn, Uint, call_name, ids_of, spoken, text};
use crate::StoreError;
use crate::entry::StreamSummary;
use crate::query::{
    ByName, Commanded, Conversation, Gap, Leg, Line, Message, Pause, Scope, Stream,
};
use crate::seal::{Place, Sealer, Table, Vault};
use crate::spoken::Spoken;

/// What of a conversation's row makes a [`Line`]; see [`line()`].
pub(super) const LINE: &str = "id, ulid, namespace, guid, began, ended, utterances, lost_ms";

/// The conversation that goes by a name; of several the newest.
pub(super) fn resolve(
    db: &Connection,
    by: &ByName,
    scope: &Scope,
) -> Result<Option<i64>, StoreError> {
    let tenant = scope.tenant.as_deref();
    let found = match by {
        ByName::External(name) => {
            let sql = "SELECT max(id) FROM (
                SELECT id, tenant, leaving FROM conversations WHERE guid = ?1
                UNION ALL
                SELECT id, tenant, leaving FROM conversations
                    WHERE id IN (SELECT conversation FROM names WHERE guid = ?1))
                WHERE leaving = 0 AND (?2 IS NULL OR tenant = ?2)";
            db.prepare_cached(sql)?
                .query_row(params![name, tenant], |row| row.get(0))
        }
        ByName::Id(id) => {
            let sql = "SELECT max(id) FROM conversations
                WHERE ulid = ?1 AND leaving = 0 AND (?2 IS NULL OR tenant = ?2)";
            let id = MessageId(id.clone());
            db.prepare_cached(sql)?
                .query_row(params![id, tenant], |row| row.get(0))
        }
        ByName::Call(call) => {
            let sql = "SELECT max(id) FROM conversations WHERE guid = ?1 AND namespace = ?3
                AND leaving = 0 AND (?2 IS NULL OR tenant = ?2)";
            let wanted = params![call.guid.as_str(), tenant, call.namespace.as_str()];
            db.prepare_cached(sql)?.query_row(wanted, |row| row.get(0))
        }
    };
    Ok(found?)
}

pub(super) fn messages(
    db: &Connection,
    vault: &Vault,
    conversation: i64,
    most: usize,
) -> Result<Vec<Message>, StoreError> {
    let sealer = keys::sealer(db, vault, conversation)?;
    let (first, last) = ids_of(conversation);
    let sql = "SELECT id, message, role, created, said, spoken FROM utterances
        WHERE id BETWEEN ?1 AND ?2 ORDER BY said, id LIMIT ?3";
    let mut select = db.prepare_cached(sql)?;
    let mut rows = select.query(params![first, last, most as i64])?;
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        messages.push(message(&sealer, row)?.0);
    }
    Ok(messages)
}

/// A message from a row that begins with id, message, role, created, said, spoken; and all that was
/// sealed of it.
pub(super) fn message(sealer: &Sealer, row: &Row<'_>) -> Result<(Message, Spoken), StoreError> {
    let sealed = row.get_ref(5)?.as_blob().map_err(rusqlite::Error::from)?;
    let spoken = spoken(sealer, row.get(0)?, sealed)?;
    let is_told = !spoken.sender.reveal().is_empty();
    let message = Message {
        id: row.get::<_, MessageId>(1)?.0,
        role: row.get::<_, RoleColumn>(2)?.0,
        sender: is_told.then(|| spoken.sender.clone()),
        text: spoken.text().to_owned().into(),
        created_unix_ms: row.get::<_, Uint>(3)?.0,
        said_unix_ms: row.get::<_, Uint>(4)?.0,
    };
    Ok((message, spoken))
}

pub(super) fn conversation(
    db: &Connection,
    vault: &Vault,
    id: i64,
) -> Result<Option<Conversation>, StoreError> {
    let sql = format!("SELECT {LINE}, fault, reason FROM conversations WHERE id = ?1");
    let found = db
        .prepare_cached(&sql)?
        .query_row([id], |row| Ok((line(row)?, pair(row, 8)?)));
    let Some((Some((_, line)), ending)) = found.optional()? else {
        return Ok(None);
    };
    Ok(Some(Conversation {
        line,
        names: names(db, id)?,
        ending,
        legs: legs(db, id)?,
        streams: streams(db, id)?,
        gaps: gaps(db, id)?,
        pauses: pauses(db, id)?,
        commands: commands(db, &keys::sealer(db, vault, id)?, id)?,
    }))
}

/// A conversation in a list, with its number; from a row that begins with [`LINE`].
pub(super) fn line(row: &Row<'_>) -> rusqlite::Result<Option<(i64, Line)>> {
    let Some(call) = call_name(row, 2)? else {
        return Ok(None);
    };
    let line = Line {
        id: row.get::<_, MessageId>(1)?.0,
        call,
        began_unix_ms: row.get::<_, Uint>(4)?.0,
        ended_unix_ms: row.get::<_, Option<Uint>>(5)?.map(|ended| ended.0),
        utterances: row.get::<_, Uint>(6)?.0,
        lost_ms: row.get::<_, Uint>(7)?.0,
    };
    Ok(Some((row.get(0)?, line)))
}

/// Rows of a conversation, each as something.
fn each<T>(
    db: &Connection,
    sql: &str,
    conversation: i64,
    make: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    let mut select = db.prepare_cached(sql)?;
    let rows = select.query_map([conversation], make)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn names(db: &Connection, id: i64) -> Result<Vec<call::name::CallName>, StoreError> {
    let sql = "SELECT namespace, guid FROM names WHERE conversation = ?1 ORDER BY namespace, guid";
    let names = each(db, sql, id, |row| call_name(row, 0))?;
    Ok(names.into_iter().flatten().collect())
}

fn legs(db: &Connection, id: i64) -> Result<Vec<Leg>, StoreError> {
    let sql = "SELECT leg, side, role, role_reason, role_confidence, opened, ended, fault, reason,
        counters FROM legs WHERE conversation = ?1 ORDER BY boot, leg";
    each(db, sql, id, |row| {
        Ok(Leg {
            leg: row.get::<_, Uint>(0)?.0,
            side: row
                .get::<_, Option<String>>(1)?
                .unwrap_or_else(|| "unknown".into()),
            role: row.get::<_, Option<RoleColumn>>(2)?.map(|role| role.0),
            role_reason: row.get(3)?,
            role_confidence: row.get(4)?,
            opened_unix_ms: row.get::<_, Uint>(5)?.0,
            ended_unix_ms: row.get::<_, Option<Uint>>(6)?.map(|ended| ended.0),
            ending: pair(row, 7)?,
            counters: row.get(9)?,
        })
    })
}

fn streams(db: &Connection, id: i64) -> Result<Vec<Stream>, StoreError> {
    let sql = "SELECT stream, role, service, opened, ended, code, description,
        audio_bytes, audio_ms, streaming_ms, transcripts
        FROM streams WHERE conversation = ?1 ORDER BY number";
    each(db, sql, id, |row| {
        let role = row.get::<_, Option<RoleColumn>>(1)?;
        Ok(Stream {
            id: row.get(0)?,
            // Told of only by its ending, nobody knows who spoke.
            role: role.map_or(Role::Mixed, |role| role.0),
            service: row.get(2)?,
            opened_unix_ms: row.get::<_, Uint>(3)?.0,
            ended_unix_ms: row.get::<_, Option<Uint>>(4)?.map(|ended| ended.0),
            status: pair(row, 5)?,
            summary: summary(row)?,
        })
    })
}

fn summary(row: &Row<'_>) -> rusqlite::Result<Option<StreamSummary>> {
    let Some(Uint(audio_bytes)) = row.get(7)? else {
        return Ok(None);
    };
    Ok(Some(StreamSummary {
        audio_bytes,
        audio_ms: row.get::<_, Uint>(8)?.0,
        streaming_ms: row.get::<_, Uint>(9)?.0,
        transcripts: row.get(10)?,
    }))
}

fn gaps(db: &Connection, id: i64) -> Result<Vec<Gap>, StoreError> {
    let sql = "SELECT streams.stream, gaps.role, from_ms, to_ms, gaps.reason FROM gaps
        JOIN streams ON streams.conversation = gaps.conversation AND streams.number = gaps.stream
        WHERE gaps.conversation = ?1 ORDER BY gaps.number";
    each(db, sql, id, |row| {
        Ok(Gap {
            stream: row.get(0)?,
            role: row.get::<_, RoleColumn>(1)?.0,
            from_ms: row.get::<_, Uint>(2)?.0,
            to_ms: row.get::<_, Uint>(3)?.0,
            reason: row.get(4)?,
        })
    })
}

fn pauses(db: &Connection, id: i64) -> Result<Vec<Pause>, StoreError> {
    let sql = "SELECT began, ended FROM pauses WHERE conversation = ?1 ORDER BY number";
    each(db, sql, id, |row| {
        Ok(Pause {
            from_unix_ms: row.get::<_, Uint>(0)?.0,
            to_unix_ms: row.get::<_, Option<Uint>>(1)?.map(|ended| ended.0),
        })
    })
}

fn commands(db: &Connection, sealer: &Sealer, id: i64) -> Result<Vec<Commanded>, StoreError> {
    let sql = "SELECT id, at, verb, key, address, outcome, request FROM commands
        WHERE conversation = ?1 ORDER BY id";
    let rows = each(db, sql, id, |row| {
        let commanded = Commanded {
            at_unix_ms: row.get::<_, Uint>(1)?.0,
            verb: row.get(2)?,
            key: row.get(3)?,
            from: String::new().into(),
            outcome: row.get(5)?,
            request: row.get(6)?,
        };
        Ok((row.get(0)?, row.get::<_, Vec<u8>>(4)?, commanded))
    })?;
    let open = |(id, address, commanded): (i64, Vec<u8>, Commanded)| {
        let from = text(sealer, Place::new(Table::Commands, id), &address)?.into();
        Ok(Commanded { from, ..commanded })
    };
    rows.into_iter().map(open).collect()
}

/// Two columns that are there together or not at all.
fn pair<A: FromSql, B: FromSql>(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<(A, B)>> {
    let (a, b): (Option<A>, Option<B>) = (row.get(first)?, row.get(first + 1)?);
    Ok(a.zip(b))
}
