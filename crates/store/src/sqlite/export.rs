//! Utterances of a span of time, page by page.

use rusqlite::{Connection, OptionalExtension, params};

use super::rows::{MessageId, Uint, call_name, conversation_of};
use super::{keys, read};
use crate::StoreError;
use crate::query::{Export, ExportedUtterance, Scope};
use crate::seal::{Sealer, Vault};

/// Where a page begins: behind this time and, within it, this id.
struct Start {
    created: Uint,
    id: i64,
    /// The last of the page before, if it was removed meanwhile: ids of messages rise with time.
    message: Option<MessageId>,
}

/// Utterances in the order in which they were kept; within one millisecond, by conversation.
pub(super) fn export(
    db: &Connection,
    vault: &Vault,
    export: &Export,
    scope: &Scope,
) -> Result<Vec<ExportedUtterance>, StoreError> {
    let Start {
        created,
        id,
        message,
    } = start(db, export)?;
    let sql = "SELECT u.id, u.message, u.role, u.created, u.said, u.spoken, u.start_ms, u.end_ms,
        c.ulid, c.namespace, c.guid, s.stream
        FROM utterances AS u
        JOIN conversations AS c ON c.id = u.id >> 28
        LEFT JOIN streams AS s ON s.conversation = c.id AND s.number = u.stream
        WHERE u.created >= ?1 AND u.created < ?2 AND (u.created > ?1 OR u.id > ?3)
        AND (?6 IS NULL OR u.message > ?6) AND c.leaving = 0 AND (?4 IS NULL OR c.tenant = ?4)
        ORDER BY u.created, u.id LIMIT ?5";
    let mut select = db.prepare_cached(sql)?;
    let to = Uint(export.to_unix_ms);
    let most = export.most as i64;
    let mut rows = select.query(params![created, to, id, scope.tenant, most, message])?;
    let mut sealer: Option<(i64, Sealer)> = None;
    let mut exported = Vec::new();
    while let Some(row) = rows.next()? {
        let conversation = conversation_of(row.get(0)?);
        let sealer = match sealer.take() {
            Some((of, known)) if of == conversation => sealer.insert((of, known)),
            _ => sealer.insert((conversation, keys::sealer(db, vault, conversation)?)),
        };
        let (message, spoken) = read::message(&sealer.1, row)?;
        let Some(call) = call_name(row, 9)? else {
            continue;
        };
        let mut readings = spoken.alternatives.into_iter();
        exported.push(ExportedUtterance {
            conversation: row.get::<_, MessageId>(8)?.0,
            call,
            stream: row.get::<_, Option<String>>(11)?.unwrap_or_default(),
            message,
            start_ms: row.get::<_, Uint>(6)?.0,
            end_ms: row.get::<_, Uint>(7)?.0,
            tokens: readings
                .next()
                .map(|first| first.tokens)
                .unwrap_or_default(),
            others: readings.map(|other| other.text).collect(),
        });
    }
    Ok(exported)
}

/// Where a page begins.
fn start(db: &Connection, export: &Export) -> Result<Start, StoreError> {
    let from = Uint(export.from_unix_ms);
    let beginning = Start {
        created: from,
        id: -1,
        message: None,
    };
    let Some(after) = &export.after else {
        return Ok(beginning);
    };
    let sql = "SELECT created, id FROM utterances WHERE message = ?1";
    let message = MessageId(after.clone());
    let found: Option<(Uint, i64)> = db
        .prepare_cached(sql)?
        .query_row([&message], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(match found {
        Some((created, id)) if created >= from => Start {
            created,
            id,
            message: None,
        },
        Some(_) => beginning,
        None => Start {
            message: Some(message),
            ..beginning
        },
    })
}
