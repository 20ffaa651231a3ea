//! Conversations by what was said in them, and when.

use std::sync::Arc;

use call::private::Private;
use rusqlite::{Connection, OptionalExtension, params};
use ulid::Ulid;

use super::read::{LINE, line};
use super::rows::{MessageId, Uint};
use super::terms::{self, Walk};
use crate::StoreError;
use crate::query::{Line, Page, Scope, Search};
use crate::seal::{TermKind, Vault};
use crate::words::asked;

/// Conversations, the newest first. A page may have fewer than were asked for, or none, and yet be
/// followed by another: after so many steps a search answers with what it has.
pub(super) fn find(
    db: &Connection,
    vault: &Vault,
    (search, scope): (&Search, &Scope),
    steps_max: u32,
) -> Result<Page, StoreError> {
    let words = asked(&search.words);
    if words.is_empty() && !search.words.is_empty() {
        return Ok(Page::default());
    }
    let word = |word: &String| vault.term(TermKind::Word, word);
    let sender = |sender: &Private<String>| vault.term(TermKind::Sender, sender.reveal());
    let tenant = |tenant: &Arc<str>| vault.term(TermKind::Tenant, tenant);
    let mut wanted: Vec<i64> = words.iter().map(word).collect();
    wanted.extend(search.sender.as_ref().map(sender));
    wanted.extend(scope.tenant.as_ref().map(tenant));
    // Each time at least one conversation is looked at.
    let steps_min = u32::try_from(wanted.len() * 2 + 2).unwrap_or(u32::MAX);
    let Some(mut walk) = walk(db, search, steps_max.max(steps_min))? else {
        return Ok(Page::default());
    };
    let mut page = Page::default();
    while let Some(found) = next(db, &wanted, &mut walk)? {
        if let Some(line) = matching(db, found, search, scope)? {
            if page.conversations.len() == search.most {
                page.next = page.conversations.last().map(|last| last.id.clone());
                return Ok(page);
            }
            page.conversations.push(line);
        }
        walk.newest = found - 1;
    }
    if walk.steps == 0 {
        page.next = id_behind(db, walk.newest)?;
    }
    Ok(page)
}

/// The newest conversation of a walk that may be wanted; `None` too if there are no steps left.
fn next(db: &Connection, wanted: &[i64], walk: &mut Walk) -> Result<Option<i64>, StoreError> {
    if !wanted.is_empty() {
        return terms::newest_with_all(db, wanted, walk);
    }
    if walk.steps == 0 {
        return Ok(None);
    }
    walk.steps -= 1;
    let sql = "SELECT id FROM conversations WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT 1";
    let ends = [walk.oldest, walk.newest];
    let found = db.prepare_cached(sql)?.query_row(ends, |row| row.get(0));
    Ok(found.optional()?)
}

/// The id of the conversation behind which a later search goes on where this one stopped.
fn id_behind(db: &Connection, newest: i64) -> Result<Option<String>, StoreError> {
    let sql = "SELECT ulid FROM conversations WHERE id > ?1 ORDER BY id LIMIT 1";
    let found = db
        .prepare_cached(sql)?
        .query_row([newest], |row| row.get::<_, MessageId>(0));
    Ok(found.optional()?.map(|id| id.0))
}

/// A conversation as it stands in a list, if it is what is looked for and may be seen.
fn matching(
    db: &Connection,
    id: i64,
    search: &Search,
    scope: &Scope,
) -> Result<Option<Line>, StoreError> {
    let sql = format!(
        "SELECT {LINE} FROM conversations WHERE id = ?1 AND leaving = 0
        AND (?2 IS NULL OR tenant = ?2) AND (?3 IS NULL OR namespace = ?3)
        AND began >= ?4 AND began < ?5"
    );
    let (from, to) = times(search);
    let namespace = search.namespace.map(call::name::Namespace::as_str);
    let wanted = params![id, scope.tenant, namespace, from, to];
    let found = db
        .prepare_cached(&sql)?
        .query_row(wanted, line)
        .optional()?;
    Ok(found.flatten().map(|(_, line)| line))
}

/// Where in the order of conversations to look; `None`: nowhere.
fn walk(db: &Connection, search: &Search, steps: u32) -> Result<Option<Walk>, StoreError> {
    let mut walk = Walk {
        oldest: 1,
        newest: i64::MAX,
        steps,
    };
    if search.from_unix_ms.is_some() || search.to_unix_ms.is_some() {
        let sql = "SELECT min(id), max(id) FROM conversations WHERE began >= ?1 AND began < ?2";
        let (from, to) = times(search);
        let ends = db
            .prepare_cached(sql)?
            .query_row(params![from, to], |row| {
                Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?))
            })?;
        let (Some(oldest), Some(newest)) = ends else {
            return Ok(None);
        };
        (walk.oldest, walk.newest) = (oldest, newest);
    }
    if let Some(after) = &search.after {
        let Some(last) = place(db, after)? else {
            return Ok(None);
        };
        walk.newest = walk.newest.min(last - 1);
    }
    Ok(Some(walk))
}

/// Where the conversation with this id stands; if it was removed meanwhile, where the next newer
/// one does.
fn place(db: &Connection, id: &str) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT id FROM conversations WHERE ulid = ?1";
    let ulid = MessageId(id.to_owned());
    let found = db
        .prepare_cached(sql)?
        .query_row([ulid], |row| row.get(0))
        .optional()?;
    let Some(began) = Ulid::from_string(id).ok().map(|ulid| ulid.timestamp_ms()) else {
        return Ok(found);
    };
    if found.is_some() {
        return Ok(found);
    }
    let sql = "SELECT coalesce(min(id), ?2) FROM conversations WHERE began > ?1";
    let found = db
        .prepare_cached(sql)?
        .query_row(params![Uint(began), i64::MAX], |row| row.get(0));
    Ok(Some(found?))
}

fn times(search: &Search) -> (Uint, Uint) {
    let from = search.from_unix_ms.unwrap_or(0);
    let to = search.to_unix_ms.unwrap_or(u64::MAX);
    (Uint(from), Uint(to))
}
