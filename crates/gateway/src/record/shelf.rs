//! The store on the disk: where it is, how it is opened, how much it takes.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use store::query::Expiry;
use store::sqlite::{SqliteStore, StoreConfig};

use super::{Opened, RecorderConfig, Shelf};
use crate::clock::millis;

impl Shelf {
    /// The SQLite store that is configured.
    pub fn sqlite(config: StoreConfig) -> Self {
        let file = config.path.clone();
        let begun: Mutex<Option<Arc<SqliteStore>>> = Mutex::default();
        let open = move || {
            let mut begun = begun.lock().unwrap_or_else(PoisonError::into_inner);
            let (store, opened) = match &*begun {
                // It was open, and found broken. What was opened of it goes on with the new file.
                Some(store) => (Arc::clone(store), store.begin_anew()?),
                None => {
                    let (store, opened) = SqliteStore::open(&config)?;
                    (Arc::new(store), opened)
                }
            };
            *begun = Some(Arc::clone(&store));
            Ok(Opened {
                store,
                moved_aside: opened.moved_aside,
                migrated_from: opened.migrated_from,
            })
        };
        Self {
            open: Box::new(open),
            file,
        }
    }

    /// How big its files are.
    pub(super) fn bytes(&self) -> u64 {
        let named = |more: &str| {
            let mut name = OsString::from(&self.file);
            name.push(more);
            PathBuf::from(name)
        };
        let files = ["", "-wal", "-shm"].map(named);
        let bytes = |file: &PathBuf| std::fs::metadata(file).map_or(0, |of| of.len());
        files.iter().map(bytes).sum()
    }
}

impl RecorderConfig {
    /// What is past its time.
    pub(super) fn expiry(&self, now_unix_ms: u64) -> Expiry {
        let before = |kept| now_unix_ms.saturating_sub(millis(kept));
        Expiry {
            conversations_before_unix_ms: before(self.retention),
            events_before_unix_ms: before(self.events_retention),
            dead_letters_before_unix_ms: before(self.dead_letters_retention),
            dead_letters_bytes_max: self.dead_letters_bytes_max,
            bytes_max: self.bytes_max,
        }
    }
}
