//! `[store]`: what is kept of calls, where, and for how long.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ::store::key::Key;
use ::store::sqlite::StoreConfig;
use call::private::Private;

use super::{DAY, ms, s};
use crate::config::kind::{Count, Flag, NewFile, Period, Secret, Size};
use crate::config::section::{Field, Section, Settings, optional, preset};
use crate::events::tap::TapLimits;
use crate::record::RecorderConfig;

const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;
const YEAR: Duration = s(366 * 86_400);

settings! {
    /// What was said and done, kept in one SQLite file: for the messages API, the search, the
    /// export, the audit trail, readers of events that come back, and webhooks. A store that cannot
    /// be opened or written never stops the gateway and never slows media: it is tried again, and
    /// readiness, log and metrics say so.
    pub struct Store {
        /// Whether there is one. Without it webhooks wait in memory only.
        enabled: bool = preset(Flag, true);
        /// The file; SQLite has two more beside it. It is made if it is not there. Only one gateway
        /// may use it at a time.
        path: PathBuf = preset(NewFile, PathBuf::from("antiphon.db"));
        /// What is spoken or private is encrypted with this: 32 random bytes, as hex or base64.
        /// A store that was begun with a key cannot be read without it, nor the reverse.
        key: Option<Private<String>> = optional(Secret, "env:ANTIPHON_STORE_KEY");
        /// How long conversations are kept, from their end on.
        retention: Duration = preset(Period(s(60)..=20 * YEAR), 7 * DAY);
        /// How long events are kept for readers that come back with `Last-Event-ID`.
        events_retention: Duration = preset(Period(s(60)..=YEAR), DAY);
        /// How long deliveries that were given up are kept, to be sent once more.
        dead_letters_retention: Duration = preset(Period(s(60)..=YEAR), 7 * DAY);
        /// When all of these are bigger than this, the oldest go before their time.
        dead_letters_bytes_max: usize = preset(Size(64 << 10..=64 * 1024 * GIB), GIB);
        /// When the files are bigger than this, the oldest conversations go before their time.
        bytes_max: usize = preset(Size(16 * MIB..=64 * 1024 * GIB), 10 * GIB);
        /// What happens in this time is written in one transaction.
        commit_interval: Duration = preset(Period(ms(1)..=s(10)), ms(20));
        /// Or so many events at most.
        batch_max: usize = preset(Count(1..=100_000), 1_000);
        /// Events that may wait to be written; then the oldest are lost, which is counted and
        /// logged.
        queue_max: usize = preset(Count(100..=10_000_000), 100_000);
        /// Bytes of them, roughly.
        queue_bytes_max: usize = preset(Size(MIB..=64 * GIB), 64 * MIB);
        /// How long a write waits for another program that holds the file's lock, before it is
        /// given up and tried again.
        busy_timeout: Duration = preset(Period(ms(1)..=s(60)), ms(1_000));
        /// A store that cannot be opened or written is tried again after a tenth of a second, then
        /// after twice as long each time, but not longer than this.
        retry_max: Duration = preset(Period(ms(100)..=s(600)), s(5));
        /// How many questions are answered at once. More wait for their turn.
        readers: usize = preset(Count(1..=64), 2);
        /// The files do not grow beyond this, whatever there is to keep: it is as if the disk were
        /// full.
        file_bytes_max: usize = preset(Size(MIB..=1024 * 1024 * GIB), 64 * GIB);
        /// How much of the file is kept in memory.
        cache_bytes: usize = preset(Size(MIB..=1024 * GIB), 64 * MIB);
        /// SQLite's write-ahead log is carried into the file when it is this big.
        log_bytes: usize = preset(Size(64 << 10..=64 * GIB), 32 * MIB);
        /// A file up to this size is checked page by page when it is opened.
        check_bytes_max: usize = preset(Size(0..=1024 * GIB), 64 * MIB);
        /// How often a search looks at the index before it answers with what it has found, and
        /// where to go on.
        search_steps_max: u32 = preset(Count(100..=1_000_000_000), 100_000);
        /// How often what is past its time is looked for.
        expire_interval: Duration = preset(Period(ms(100)..=DAY), s(60));
        /// How many rows are removed in one step; between steps events are written.
        expire_step: usize = preset(Count(1..=100_000), 500);
    }
    check usable
}

impl Store {
    /// How it is opened; `folder` is the configuration file's.
    pub fn sqlite(&self, folder: &Path) -> StoreConfig {
        StoreConfig {
            key: self.key(),
            busy_timeout: self.busy_timeout,
            readers: self.readers,
            cache_bytes: self.cache_bytes as u64,
            log_bytes: self.log_bytes as u64,
            check_bytes_max: self.check_bytes_max as u64,
            file_bytes_max: self.file_bytes_max as u64,
            search_steps_max: self.search_steps_max,
            ..StoreConfig::at(folder.join(&self.path))
        }
    }

    /// What is private is encrypted with this.
    fn key(&self) -> Option<Key> {
        let key = self.key.as_ref()?;
        Key::parse(key.reveal().as_bytes()).ok()
    }

    fn usable(&self, s: &mut Section<'_>) {
        if self.key.is_some() && self.key().is_none() {
            s.refuse("key", "is not a key of 32 bytes, written as hex or base64");
        }
        if self.bytes_max > self.file_bytes_max {
            s.refuse("bytes_max", "is more than store.file_bytes_max");
        }
    }

    /// How much may wait to be written.
    pub fn queue(&self) -> TapLimits {
        TapLimits {
            events_max: self.queue_max,
            bytes_max: self.queue_bytes_max,
        }
    }

    /// What the recorder is told; `goodbye` is how long it may take at the end.
    pub fn recorder(&self, goodbye: Duration) -> RecorderConfig {
        RecorderConfig {
            commit_interval: self.commit_interval,
            batch_max: self.batch_max,
            backlog: self.queue(),
            retry_max: self.retry_max,
            retention: self.retention,
            events_retention: self.events_retention,
            dead_letters_retention: self.dead_letters_retention,
            dead_letters_bytes_max: self.dead_letters_bytes_max as u64,
            bytes_max: self.bytes_max as u64,
            expire_interval: self.expire_interval,
            expire_step: self.expire_step,
            goodbye,
        }
    }

    /// Files that are open at once: of each connection the database, its journal and its index.
    pub fn open_files_max(&self) -> usize {
        if self.enabled {
            3 * (self.readers + 1)
        } else {
            0
        }
    }
}
