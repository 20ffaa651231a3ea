//! The store in one SQLite file: one connection writes, some read, and neither waits for the other.
//!
//! A commit is on the disk when it returns (WAL, `synchronous=FULL`): it survives the end of the
//! process and of the machine, as far as the disk keeps its word. What is private is sealed.

mod events;
mod export;
mod fault;
mod file;
mod find;
mod keys;
mod outbox;
mod pool;
mod read;
mod rekey;
mod remove;
mod rows;
mod schema;
mod settings;
mod terms;
mod write;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use call::name::CallName;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use self::file::Kind;
use self::pool::{Pool, Reader};
pub use self::settings::StoreConfig;
use crate::clock::unix_ms;
use crate::entry::{Batch, EventPlace, Kept};
use crate::outbox::{Carried, DeadLetter, DeadLetters, Depth, Outbox, Settled, Waiting};
use crate::query::{
    ByName, Conversation, EventSearch, Expired, Expiry, Export, ExportedUtterance, Message, Page,
    Scope, Search,
};
use crate::seal::Vault;
use crate::{Store, StoreError};

/// Conversations in a file.
pub struct SqliteStore {
    config: StoreConfig,
    // Before the writer, which carries the log into the file if it is the last to close.
    readers: Pool,
    writer: Mutex<Writer>,
    /// Something was removed that may still be in the log.
    has_remains: AtomicBool,
}

/// How the file was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// It was broken or none of ours, lies here now, and a new one was begun.
    pub moved_aside: Option<PathBuf>,
    /// It had this older schema.
    pub migrated_from: Option<u32>,
    /// It was written without a key, and everything in it was sealed with the key there is now.
    pub is_newly_encrypted: bool,
}

/// What whoever writes needs.
enum Writer {
    /// The file was found broken, and is let go of until it is begun anew.
    Broken,
    /// The file is only read, or could not be opened.
    Closed,
    Open(Connection, Arc<Vault>),
}

impl SqliteStore {
    /// Opens the file, or makes it. A broken file, or one of another program's, is moved aside; one
    /// of a newer version is refused and left as it is.
    pub fn open(config: &StoreConfig) -> Result<(Self, Opened), StoreError> {
        let store = Self::closed(config);
        let opened = store.begin(&mut store.writer())?;
        Ok((store, opened))
    }

    /// Opens a file to read it while another process may write to it. Nothing is made, changed or
    /// moved; what would write is refused.
    pub fn open_to_read(config: &StoreConfig) -> Result<Self, StoreError> {
        match file::kind(&config.path)? {
            Kind::Absent => return Err(StoreError::Other("there is no database".into())),
            Kind::Foreign(why) => return Err(StoreError::Corrupt(why.into())),
            Kind::Ours(_) => {}
        }
        let store = Self::closed(config);
        let vault = Arc::new(schema::as_it_is(
            &file::reader(config)?,
            config.key.as_ref(),
        )?);
        let readers = store.readers(&vault)?;
        store.readers.silence()?.replace(readers);
        Ok(store)
    }

    /// Moves the file aside after it was found broken, and begins anew. What was opened before goes
    /// on with the new file.
    pub fn begin_anew(&self) -> Result<Opened, StoreError> {
        let mut writer = self.writer();
        file::mark_broken(&self.config.path)?;
        self.begin(&mut writer)
    }

    /// How many bytes the file and its log have.
    pub fn bytes(&self) -> u64 {
        file::bytes(&self.config.path)
    }

    fn closed(config: &StoreConfig) -> Self {
        Self {
            config: config.clone(),
            readers: Pool::new(config.busy_timeout),
            writer: Mutex::new(Writer::Closed),
            has_remains: AtomicBool::new(false),
        }
    }

    fn begin(&self, writer: &mut Writer) -> Result<Opened, StoreError> {
        let silence = self.readers.silence()?;
        silence.replace(Vec::new());
        *writer = Writer::Closed;
        let mut opened = Opened::default();
        match file::kind(&self.config.path)? {
            Kind::Absent => {}
            Kind::Foreign(why) => {
                tracing::error!(why, "The database is moved aside.");
                opened.moved_aside = file::move_aside(&self.config.path)?;
            }
            Kind::Ours(found) if found > schema::newest() => {
                let known = schema::newest();
                return Err(StoreError::TooNew { found, known });
            }
            Kind::Ours(_) => {}
        }
        let prepared = match self.prepared(&mut opened) {
            Err(StoreError::Corrupt(why)) if opened.moved_aside.is_none() => {
                tracing::error!(why, "The database is moved aside.");
                opened.moved_aside = file::move_aside(&self.config.path)?;
                self.prepared(&mut opened)
            }
            prepared => prepared,
        };
        let (db, vault) = prepared?;
        // What was removed before the process ended may still be in the log.
        let has_remains = file::empty_log(&db).is_err();
        self.has_remains.store(has_remains, Relaxed);
        let vault = Arc::new(vault);
        silence.replace(self.readers(&vault)?);
        *writer = Writer::Open(db, vault);
        Ok(opened)
    }

    fn readers(&self, vault: &Arc<Vault>) -> Result<Vec<Reader>, StoreError> {
        let reader = |_| Ok(Reader(file::reader(&self.config)?, vault.clone()));
        (0..self.config.readers.max(1)).map(reader).collect()
    }

    fn prepared(&self, opened: &mut Opened) -> Result<(Connection, Vault), StoreError> {
        let mut db = file::writer(&self.config)?;
        file::check(&db, &self.config)?;
        let key = self.config.key.as_ref();
        if let Some(key) = key
            && schema::is_without_key(&db)?
        {
            opened.migrated_from = schema::migrate(&mut db, None)?.1;
            let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let vault = rekey::rekey(&change, &schema::as_it_is(&change, None)?, Some(key))?;
            change.commit()?;
            file::empty_log(&db)?;
            opened.is_newly_encrypted = true;
            return Ok((db, vault));
        }
        let (vault, migrated_from) = schema::migrate(&mut db, key)?;
        opened.migrated_from = migrated_from;
        Ok((db, vault))
    }

    /// Does something in one transaction.
    fn change<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>, &Vault) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut writer = self.writer();
        let (db, vault) = writer.open()?;
        let done = db
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(StoreError::from)
            .and_then(|change| {
                let done = work(&change, vault)?;
                change.commit()?;
                Ok(done)
            });
        if let Err(StoreError::Corrupt(why)) = &done {
            tracing::error!(why, "The database is broken.");
            writer.give_up(&self.config);
        }
        done
    }

    /// Reads something, all of it as of the same moment.
    fn read<T>(
        &self,
        work: impl FnOnce(&Connection, &Vault) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let reader = self.readers.lend()?;
        let moment = reader.connection().unchecked_transaction()?;
        let read = work(&moment, reader.vault())?;
        moment.finish()?;
        Ok(read)
    }

    /// Has nothing of what was removed remain in the log. Nobody may read meanwhile; `Locked` if
    /// somebody does, for longer than this.
    fn empty_log(&self, patience: Duration) -> Result<(), StoreError> {
        let mut writer = self.writer();
        let _silence = self.readers.silence_within(patience)?;
        let (db, _) = writer.open()?;
        file::empty_log(db)?;
        self.has_remains.store(false, Relaxed);
        Ok(())
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    fn open(&mut self) -> Result<(&mut Connection, &Vault), StoreError> {
        match self {
            Self::Broken => Err(StoreError::Corrupt("it was found broken before".into())),
            Self::Closed => Err(StoreError::Other(
                "the database cannot be written to".into(),
            )),
            Self::Open(db, vault) => Ok((db, vault)),
        }
    }

    /// Lets go of a broken file, so that it can be moved aside.
    fn give_up(&mut self, config: &StoreConfig) {
        if let Self::Open(db, _) = self {
            let marked = file::leave_log_alone(db, true);
            let marked = marked.and_then(|()| file::mark_broken(&config.path));
            if let Err(error) = marked {
                tracing::warn!(%error, "That the database is broken cannot be marked.");
            }
        }
        *self = Self::Broken;
    }
}

impl Store for SqliteStore {
    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        self.change(|db, vault| write::batch(db, vault, batch))
    }

    fn messages(
        &self,
        by: &ByName,
        scope: &Scope,
        most: usize,
    ) -> Result<Option<Vec<Message>>, StoreError> {
        self.read(|db, vault| {
            let found = read::resolve(db, by, scope)?;
            found
                .map(|id| read::messages(db, vault, id, most))
                .transpose()
        })
    }

    fn find(&self, search: &Search, scope: &Scope) -> Result<Page, StoreError> {
        let steps_max = self.config.search_steps_max;
        self.read(|db, vault| find::find(db, vault, (search, scope), steps_max))
    }

    fn conversation(&self, by: &ByName, scope: &Scope) -> Result<Option<Conversation>, StoreError> {
        self.read(|db, vault| match read::resolve(db, by, scope)? {
            Some(id) => read::conversation(db, vault, id),
            None => Ok(None),
        })
    }

    fn events(&self, search: &EventSearch, scope: &Scope) -> Result<Vec<Kept>, StoreError> {
        self.read(|db, vault| events::events(db, vault, search, scope))
    }

    fn newest_event(&self) -> Result<Option<EventPlace>, StoreError> {
        self.read(|db, _| events::newest(db))
    }

    fn newest_seq(&self, call: &CallName) -> Result<u64, StoreError> {
        self.read(|db, _| events::newest_seq(db, call))
    }

    fn export(&self, export: &Export, scope: &Scope) -> Result<Vec<ExportedUtterance>, StoreError> {
        self.read(|db, vault| export::export(db, vault, export, scope))
    }

    fn erase(&self, by: &ByName, scope: &Scope) -> Result<bool, StoreError> {
        let is_there = self.change(|db, vault| {
            let found = read::resolve(db, by, scope)?;
            found.map(|id| remove::erase(db, vault, id)).transpose()
        })?;
        self.has_remains.fetch_or(is_there.is_some(), Relaxed);
        // Also if there is none now: an erasure before may have found the log in use.
        if self.has_remains.load(Relaxed) {
            self.empty_log(self.config.busy_timeout)?;
        }
        Ok(is_there.is_some())
    }

    fn retire(&self, endpoints: &[String], most: usize) -> Result<u64, StoreError> {
        self.change(|db, _| outbox::retire(db, endpoints, (unix_ms(), most)))
    }

    fn expire(&self, expiry: &Expiry, most: usize) -> Result<Expired, StoreError> {
        let log_bytes = self.config.log_bytes.min(expiry.bytes_max / 2);
        let expiry = Expiry {
            bytes_max: expiry.bytes_max - log_bytes,
            ..*expiry
        };
        let expired = self.change(|db, vault| remove::expire(db, vault, &expiry, most))?;
        if expired != Expired::default() {
            self.has_remains.store(true, Relaxed);
        }
        if self.has_remains.load(Relaxed) && !expired.more {
            // There is no hurry: it would keep whoever writes from writing.
            match self.empty_log(Duration::ZERO) {
                Err(StoreError::Locked) => {}
                emptied => emptied?,
            }
        }
        Ok(expired)
    }
}

impl Outbox for SqliteStore {
    fn waiting(&self, endpoint: &str, after: u64, most: usize) -> Result<Vec<Waiting>, StoreError> {
        self.read(|db, _| outbox::waiting(db, endpoint, after, most))
    }

    fn parcel(&self, number: u64) -> Result<Option<Carried>, StoreError> {
        self.read(|db, vault| outbox::parcel(db, vault, number))
    }

    fn settle(&self, settled: &[Settled]) -> Result<(), StoreError> {
        self.change(|db, _| outbox::settle(db, settled))
    }

    fn depth(&self, endpoint: &str) -> Result<Depth, StoreError> {
        self.read(|db, _| outbox::depth(db, endpoint))
    }

    fn trim(
        &self,
        endpoint: &str,
        bytes_max: u64,
        made_before_unix_ms: u64,
    ) -> Result<u64, StoreError> {
        let limits = outbox::Limits {
            bytes_max,
            made_before_unix_ms,
            now_unix_ms: unix_ms(),
        };
        self.change(|db, _| outbox::trim(db, endpoint, &limits))
    }

    fn dead_letters(&self, which: &DeadLetters) -> Result<Vec<DeadLetter>, StoreError> {
        self.read(|db, _| outbox::dead_letters(db, which))
    }

    fn replay(&self, which: &DeadLetters) -> Result<u64, StoreError> {
        self.change(|db, vault| outbox::replay(db, vault, which))
    }

    fn bury(&self, which: &DeadLetters) -> Result<u64, StoreError> {
        self.change(|db, _| outbox::bury(db, which))
    }
}

#[cfg(test)]
mod tests;
