//! How a database is opened.

use std::path::PathBuf;
use std::time::Duration;

use crate::key::Key;

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The file. Beside it lie `-wal` and `-shm`, and what was moved aside.
    pub path: PathBuf,
    /// With a key what is private can only be read with that key.
    pub key: Option<Key>,
    /// How long to wait for another that holds the lock; 5 s.
    pub busy_timeout: Duration,
    /// How many may read at the same time; 2. Further ones wait, up to `busy_timeout`.
    pub readers: usize,
    /// How much of the file whoever writes keeps in memory; 64 MiB. Readers have an eighth each.
    pub cache_bytes: u64,
    /// The log is carried into the file when it has this size; 32 MiB.
    pub log_bytes: u64,
    /// A file up to this size is checked page by page when it is opened; 64 MiB.
    pub check_bytes_max: u64,
    /// The file does not grow beyond this: what would is refused as `Full`. 64 GiB.
    pub file_bytes_max: u64,
    /// A search looks at the index so often and then answers with what it has and where to go on;
    /// 100,000, a fraction of a second.
    pub search_steps_max: u32,
}

impl StoreConfig {
    /// The defaults, for a file at this path.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            key: None,
            busy_timeout: Duration::from_secs(5),
            readers: 2,
            cache_bytes: 64 << 20,
            log_bytes: 32 << 20,
            check_bytes_max: 64 << 20,
            file_bytes_max: 64 << 30,
            search_steps_max: 100_000,
        }
    }
}
