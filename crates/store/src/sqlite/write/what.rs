//! What an entry adds to its conversation, table by table.

use call::name::{Role, StreamId};
use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::Talk;
use crate::StoreError;
use crate::clock::millis;
use crate::entry::{Command, Entry, Said, StreamSummary, What};
use crate::seal::{Place, Table};
use crate::spoken::Spoken;
use crate::sqlite::rows::{MessageId, RoleColumn, Uint, utterance_id};

/// The gaps that are no loss: what was not to be heard.
const NOT_LOST: &str = "paused";

/// A stretch of a stream's clock that was not heard.
struct Unheard<'a> {
    stream: &'a StreamId,
    role: Role,
    from_ms: u64,
    to_ms: u64,
    reason: &'static str,
}

/// How something ended.
struct Ending {
    fault: &'static str,
    reason: &'static str,
}

/// The text one can search for, and who said it.
pub(super) fn searchable(entry: &Entry) -> Option<(&str, &str)> {
    let What::Said(said) = &entry.what else {
        return None;
    };
    let first = said.utterance.alternatives.first();
    let text = first.map_or("", |first| first.text.reveal());
    Some((text, said.utterance.sender.reveal()))
}

impl Talk {
    pub(super) fn what(&mut self, db: &Connection, entry: &Entry) -> Result<(), StoreError> {
        let at = Uint(entry.at_unix_ms);
        match &entry.what {
            What::Command(command) => self.command(db, at, command),
            What::Ended { fault, reason } => self.ended(db, at, Ending { fault, reason }),
            What::Gap {
                stream,
                role,
                from_ms,
                to_ms,
                reason,
            } => {
                let unheard = Unheard {
                    stream,
                    role: *role,
                    from_ms: *from_ms,
                    to_ms: *to_ms,
                    reason,
                };
                self.gap(db, at, &unheard)
            }
            What::LegEnded { .. } | What::LegOpened { .. } | What::LegRole { .. } => {
                self.leg(db, entry)
            }
            What::Nothing => Ok(()),
            What::Paused { begins } => self.paused(db, at, *begins),
            What::Said(said) => self.said(db, at, said),
            What::Started => self.started(db),
            What::StreamEnded { .. } | What::StreamOpened { .. } | What::StreamReady { .. } => {
                self.on_stream(db, entry)
            }
        }
    }

    fn on_stream(&mut self, db: &Connection, entry: &Entry) -> Result<(), StoreError> {
        let at = Uint(entry.at_unix_ms);
        match &entry.what {
            What::StreamEnded {
                stream,
                code,
                description,
                summary,
            } => self.stream_ended(db, (stream, at), (*code, description), summary.as_ref()),
            What::StreamOpened {
                stream,
                role,
                external,
            } => {
                if **external != *entry.call.guid.as_str() {
                    self.name(db, external, entry.call.namespace.as_str())?;
                }
                let number = self.stream(db, stream, at, Some(*role))?;
                let sql = "UPDATE streams SET role = ?3 WHERE conversation = ?1 AND number = ?2";
                db.prepare_cached(sql)?
                    .execute(params![self.id, number, RoleColumn(*role)])?;
                Ok(())
            }
            What::StreamReady { stream, service } => {
                let number = self.stream(db, stream, at, None)?;
                let sql = "UPDATE streams SET service = ?3 WHERE conversation = ?1 AND number = ?2";
                db.prepare_cached(sql)?
                    .execute(params![self.id, number, service])?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn started(&self, db: &Connection) -> Result<(), StoreError> {
        let sql = "UPDATE conversations SET ended = NULL, fault = NULL, reason = NULL
            WHERE id = ?1 AND ended IS NOT NULL";
        db.prepare_cached(sql)?.execute([self.id])?;
        Ok(())
    }

    fn ended(&self, db: &Connection, at: Uint, ending: Ending) -> Result<(), StoreError> {
        let sql = "UPDATE conversations SET ended = ?2, fault = ?3, reason = ?4 WHERE id = ?1";
        let how = params![self.id, at, ending.fault, ending.reason];
        db.prepare_cached(sql)?.execute(how)?;
        Ok(())
    }

    fn command(&self, db: &Connection, at: Uint, command: &Command) -> Result<(), StoreError> {
        let next = "SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'commands'";
        let id: i64 = db.prepare_cached(next)?.query_row([], |row| row.get(0))?;
        let place = Place::new(Table::Commands, id);
        let address = self.sealer.seal(place, command.from.reveal().as_bytes())?;
        let sql = "INSERT INTO commands
            (id, conversation, at, verb, key, address, outcome, request)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        db.prepare_cached(sql)?.execute(params![
            id,
            self.id,
            at,
            command.verb,
            command.key,
            address,
            command.outcome,
            command.request,
        ])?;
        Ok(())
    }

    fn leg(&self, db: &Connection, entry: &Entry) -> Result<(), StoreError> {
        let at = Uint(entry.at_unix_ms);
        match &entry.what {
            What::LegEnded {
                leg,
                fault,
                reason,
                counters,
            } => {
                let set = "ended = ?4, fault = ?5, reason = ?6, counters = ?7";
                self.on_leg(db, (entry, *leg), set, &[&at, fault, reason, counters])
            }
            What::LegOpened { leg, side } => {
                self.on_leg(db, (entry, *leg), "side = ?4, opened = ?5", &[side, &at])
            }
            What::LegRole {
                leg,
                role,
                reason,
                confidence,
            } => {
                let set = "role = ?4, role_reason = ?5, role_confidence = ?6";
                self.on_leg(
                    db,
                    (entry, *leg),
                    set,
                    &[&RoleColumn(*role), reason, confidence],
                )
            }
            _ => Ok(()),
        }
    }

    /// A leg is known by its number and its process. What is told of one whose opening was not kept
    /// makes its row.
    fn on_leg(
        &self,
        db: &Connection,
        (entry, leg): (&Entry, u64),
        set: &str,
        to: &[&dyn ToSql],
    ) -> Result<(), StoreError> {
        let (boot, leg, at) = (Uint(entry.place.boot), Uint(leg), Uint(entry.at_unix_ms));
        let sql = "INSERT OR IGNORE INTO legs (conversation, boot, leg, opened)
            VALUES (?1, ?2, ?3, ?4)";
        db.prepare_cached(sql)?
            .execute(params![self.id, boot, leg, at])?;
        let row: [&dyn ToSql; 3] = [&self.id, &boot, &leg];
        let sql =
            format!("UPDATE legs SET {set} WHERE conversation = ?1 AND boot = ?2 AND leg = ?3");
        db.prepare_cached(&sql)?
            .execute([&row, to].concat().as_slice())?;
        Ok(())
    }

    fn paused(&self, db: &Connection, at: Uint, begins: bool) -> Result<(), StoreError> {
        let sql = if begins {
            "INSERT INTO pauses (conversation, number, began)
                SELECT ?1, coalesce(max(number), 0) + 1, ?2 FROM pauses WHERE conversation = ?1
                HAVING coalesce(max(ended IS NULL), 0) = 0"
        } else {
            "UPDATE pauses SET ended = ?2 WHERE conversation = ?1 AND ended IS NULL"
        };
        db.prepare_cached(sql)?.execute(params![self.id, at])?;
        Ok(())
    }

    fn gap(&mut self, db: &Connection, at: Uint, gap: &Unheard<'_>) -> Result<(), StoreError> {
        let stream = self.stream(db, gap.stream, at, Some(gap.role))?;
        let sql = "INSERT INTO gaps (conversation, number, stream, role, from_ms, to_ms, reason)
            SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4, ?5, ?6
            FROM gaps WHERE conversation = ?1";
        db.prepare_cached(sql)?.execute(params![
            self.id,
            stream,
            RoleColumn(gap.role),
            Uint(gap.from_ms),
            Uint(gap.to_ms),
            gap.reason,
        ])?;
        if gap.reason != NOT_LOST {
            let lost_ms = gap.to_ms.saturating_sub(gap.from_ms);
            self.lost_ms = self.lost_ms.saturating_add(lost_ms);
        }
        Ok(())
    }

    fn said(&mut self, db: &Connection, at: Uint, said: &Said) -> Result<(), StoreError> {
        let utterance = &said.utterance;
        let stream = self.stream(db, &utterance.stream, at, Some(utterance.role))?;
        let Some(id) = utterance_id(self.id, self.utterances) else {
            tracing::error!(conversation = self.id, "A conversation can hold no more.");
            return Ok(());
        };
        let spoken = Spoken::encode(utterance.sender.reveal(), &utterance.alternatives);
        let sealed = self
            .sealer
            .seal(Place::new(Table::Utterances, id), &spoken)?;
        let sql = "INSERT OR IGNORE INTO utterances
            (id, message, stream, role, created, said, start_ms, end_ms, spoken)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let added = db.prepare_cached(sql)?.execute(params![
            id,
            MessageId(said.message.clone()),
            stream,
            RoleColumn(utterance.role),
            at,
            Uint(said.said_at_unix_ms),
            Uint(millis(utterance.start)),
            Uint(millis(utterance.end)),
            sealed,
        ])?;
        self.utterances += u64::from(added > 0);
        Ok(())
    }

    /// The number of a stream in its conversation. What is told of one whose opening was not kept
    /// makes its row.
    fn stream(
        &mut self,
        db: &Connection,
        stream: &StreamId,
        at: Uint,
        role: Option<Role>,
    ) -> Result<i64, StoreError> {
        if let Some(number) = self.streams.get(stream) {
            return Ok(*number);
        }
        let sql = "SELECT number FROM streams WHERE conversation = ?1 AND stream = ?2";
        let known = params![self.id, stream.as_str()];
        let found = db
            .prepare_cached(sql)?
            .query_row(known, |row| row.get(0))
            .optional()?;
        let number = match found {
            Some(number) => number,
            None => {
                let sql = "INSERT INTO streams (conversation, number, stream, role, opened)
                    SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4
                    FROM streams WHERE conversation = ?1 RETURNING number";
                let new = params![self.id, stream.as_str(), role.map(RoleColumn), at];
                db.prepare_cached(sql)?.query_row(new, |row| row.get(0))?
            }
        };
        self.streams.insert(stream.clone(), number);
        Ok(number)
    }

    fn stream_ended(
        &mut self,
        db: &Connection,
        (stream, at): (&StreamId, Uint),
        (code, description): (u16, &str),
        summary: Option<&StreamSummary>,
    ) -> Result<(), StoreError> {
        let number = self.stream(db, stream, at, None)?;
        let sql = "UPDATE streams SET ended = ?3, code = ?4, description = ?5, audio_bytes = ?6,
            audio_ms = ?7, streaming_ms = ?8, transcripts = ?9
            WHERE conversation = ?1 AND number = ?2";
        db.prepare_cached(sql)?.execute(params![
            self.id,
            number,
            at,
            code,
            description,
            summary.map(|summary| Uint(summary.audio_bytes)),
            summary.map(|summary| Uint(summary.audio_ms)),
            summary.map(|summary| Uint(summary.streaming_ms)),
            summary.map(|summary| summary.transcripts),
        ])?;
        Ok(())
    }
}
