//! What was said and done, kept: conversations with their legs, streams, utterances, gaps, pauses
//! and commands, the events that readers come back for, and what waits to be delivered.
//!
//! Calls block: they are made from threads that may wait, never from one that reads media. Nothing
//! here has a queue; who writes brings a [`entry::Batch`], which is kept whole or not at all.

#![cfg_attr(test, allow(clippy::unwrap_used, missing_docs))]

mod clock;
pub mod entry;
pub mod key;
pub mod memory;
pub mod outbox;
pub mod query;
pub mod seal;
pub mod spoken;
pub mod sqlite;
pub mod words;

use call::name::CallName;
use entry::{Batch, EventPlace, Kept};
use query::{
    ByName, Conversation, EventSearch, Export, ExportedUtterance, Message, Page, Scope, Search,
};

/// Why the store could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another holds the lock for longer than we wait.
    #[error("the database is locked")]
    Locked,
    /// The disk, or the size that is allowed, is full.
    #[error("there is no room left for the database")]
    Full,
    /// The file is no database of ours, or a broken one.
    #[error("the database cannot be read: {0}")]
    Corrupt(String),
    /// The file was written by a newer version.
    #[error("the database has schema {found}, and this version knows {known} at most")]
    TooNew {
        /// Of the file.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The text was written with another key, or with one and there is none now.
    #[error("the database was written with another key, or with a key where there is none now")]
    WrongKey,
    /// Anything else that the file system or SQLite says.
    #[error("{0}")]
    Other(String),
}

/// A place where conversations are kept. All calls block.
pub trait Store: outbox::Outbox {
    /// Keeps a batch: everything in one transaction that is on the disk when this returns.
    fn write(&self, batch: &Batch) -> Result<(), StoreError>;

    /// The messages of the conversation that goes by a name, the first said first, at most `most`;
    /// `None` if nobody knows it, or who asks may not see it.
    fn messages(
        &self,
        by: &ByName,
        scope: &Scope,
        most: usize,
    ) -> Result<Option<Vec<Message>>, StoreError>;

    /// Conversations, the newest first.
    fn find(&self, search: &Search, scope: &Scope) -> Result<Page, StoreError>;

    /// One conversation with all that is known of it.
    fn conversation(&self, by: &ByName, scope: &Scope) -> Result<Option<Conversation>, StoreError>;

    /// Events behind a place, the oldest first, at most `search.most`.
    fn events(&self, search: &EventSearch, scope: &Scope) -> Result<Vec<Kept>, StoreError>;

    /// The place of the newest event that is kept.
    fn newest_event(&self) -> Result<Option<EventPlace>, StoreError>;

    /// The number of the newest event that the conversations of a call ever had, or 0.
    fn newest_seq(&self, call: &CallName) -> Result<u64, StoreError>;

    /// Final utterances of a span of time in the order in which they were kept, at most
    /// `export.most`, behind `export.after`.
    fn export(&self, export: &Export, scope: &Scope) -> Result<Vec<ExportedUtterance>, StoreError>;

    /// Removes a conversation, and what waits to be delivered of it, so that nothing of its text is
    /// left in any file. Whether there was one.
    fn erase(&self, by: &ByName, scope: &Scope) -> Result<bool, StoreError>;

    /// Makes dead letters of what waits for endpoints that are none of these, the oldest of each
    /// first, at most `most`. How many.
    fn retire(&self, endpoints: &[String], most: usize) -> Result<u64, StoreError>;

    /// Removes what is past its time, in small steps: at most `most` rows a call.
    fn expire(&self, expiry: &query::Expiry, most: usize) -> Result<query::Expired, StoreError>;
}
