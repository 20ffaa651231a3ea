//! The search index: of each word, sender and tenant the conversations in which they occur.
//!
//! It knows conversations, not utterances, because that is what is searched for: a word counts once
//! in a conversation, and the newest conversations of a word lie at its end.

use rusqlite::{Connection, OptionalExtension};

use super::keys;
use super::rows::{conversation_of, spoken};
use crate::StoreError;
use crate::seal::{Sealer, TermKind, Vault};
use crate::words::words;

/// How many terms are kept at a time when a file gets its index.
const FILL_TERMS: usize = 100_000;

/// A walk through conversations, from the newest to the oldest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    pub(super) oldest: i64,
    /// What is newer has been looked at.
    pub(super) newest: i64,
    /// How often the file may still be asked.
    pub(super) steps: u32,
}

/// The terms of an utterance: the words of its first reading, and its sender.
pub(super) fn of(vault: &Vault, text: &str, sender: &str) -> impl Iterator<Item = i64> {
    let sender = (!sender.is_empty()).then(|| vault.term(TermKind::Sender, sender));
    words(text)
        .map(|word| vault.term(TermKind::Word, &word))
        .chain(sender)
}

/// Keeps terms of conversations. In their order, they touch the fewest pages.
pub(super) fn keep(db: &Connection, mut terms: Vec<(i64, i64)>) -> Result<(), StoreError> {
    terms.sort_unstable();
    terms.dedup();
    let sql = "INSERT OR IGNORE INTO terms (term, conversation) VALUES (?1, ?2)";
    let mut insert = db.prepare_cached(sql)?;
    for (term, conversation) in terms {
        insert.execute([term, conversation])?;
    }
    Ok(())
}

/// Removes terms of a conversation. How many there were.
pub(super) fn remove(
    db: &Connection,
    mut terms: Vec<i64>,
    conversation: i64,
) -> Result<usize, StoreError> {
    terms.sort_unstable();
    terms.dedup();
    let sql = "DELETE FROM terms WHERE term = ?1 AND conversation = ?2";
    let mut delete = db.prepare_cached(sql)?;
    let mut removed = 0;
    for term in terms {
        removed += delete.execute([term, conversation])?;
    }
    Ok(removed)
}

/// The newest conversation of a walk in which all terms occur; each term is asked in turn for its
/// newest that is not newer than what the others said. `None` too if there are no steps left.
pub(super) fn newest_with_all(
    db: &Connection,
    terms: &[i64],
    walk: &mut Walk,
) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT conversation FROM terms WHERE term = ?1 AND conversation <= ?2
        ORDER BY conversation DESC LIMIT 1";
    let mut ask = db.prepare_cached(sql)?;
    let mut agreed = 0;
    for term in terms.iter().cycle() {
        if walk.steps == 0 {
            return Ok(None);
        }
        walk.steps -= 1;
        let found: Option<i64> = ask
            .query_row([*term, walk.newest], |row| row.get(0))
            .optional()?;
        let Some(found) = found.filter(|found| *found >= walk.oldest) else {
            return Ok(None);
        };
        agreed = if found == walk.newest { agreed + 1 } else { 1 };
        walk.newest = found;
        if agreed == terms.len() {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Fills the index of a file that had none, or another.
pub(super) fn index_everything(db: &Connection, vault: &Vault) -> Result<(), StoreError> {
    let mut sealer: Option<(i64, Sealer)> = None;
    let mut terms = tenants(db, vault)?;
    let mut all = db.prepare("SELECT id, spoken FROM utterances ORDER BY id")?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        let (id, sealed): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let conversation = conversation_of(id);
        let sealer = match sealer.take() {
            Some((of, known)) if of == conversation => sealer.insert((of, known)),
            _ => sealer.insert((conversation, keys::sealer(db, vault, conversation)?)),
        };
        // What cannot be opened cannot be searched for.
        let Ok(spoken) = spoken(&sealer.1, id, &sealed) else {
            continue;
        };
        let of_it = of(vault, spoken.text(), spoken.sender.reveal());
        terms.extend(of_it.map(|term| (term, conversation)));
        if terms.len() > FILL_TERMS {
            keep(db, std::mem::take(&mut terms))?;
        }
    }
    keep(db, terms)
}

fn tenants(db: &Connection, vault: &Vault) -> Result<Vec<(i64, i64)>, StoreError> {
    let sql = "SELECT tenant, id FROM conversations WHERE tenant IS NOT NULL";
    let mut select = db.prepare(sql)?;
    let rows = select.query_map([], |row| {
        let tenant: String = row.get(0)?;
        Ok((vault.term(TermKind::Tenant, &tenant), row.get(1)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
