//! The file and what lies beside it: opened, judged, moved aside.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::schema;
use super::settings::StoreConfig;
use crate::StoreError;
use crate::clock::unix_ms;

/// How long a page of the file is.
const PAGE_BYTES: i64 = 4096;

/// Statements that are kept ready, a connection.
const STATEMENTS_MAX: usize = 128;

/// Marks a file of ours (`PRAGMA application_id`): "Anti".
pub(super) const APPLICATION_ID: i32 = 0x416e_7469;

/// How every file of SQLite's begins.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Where in a file's header user_version and application_id lie, big-endian (SQLite file format,
/// 1.3).
const USER_VERSION_AT: usize = 60;
const APPLICATION_ID_AT: usize = 68;
const HEADER_BYTES: usize = 100;

/// What a file is, as far as one can tell without opening it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// There is none, or it is empty.
    Absent,
    /// It is none of ours, or known to be broken.
    Foreign(&'static str),
    /// It says it is ours, of this schema.
    Ours(u32),
}

/// Looks at a file and changes nothing.
pub(super) fn kind(path: &Path) -> Result<Kind, StoreError> {
    let mut header = Vec::new();
    match File::open(path) {
        Ok(file) => file
            .take(HEADER_BYTES as u64)
            .read_to_end(&mut header)
            .map_err(refused)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(refused(error)),
    };
    if beside(path, MARK).exists() {
        return Ok(Kind::Foreign("it was found broken before"));
    }
    if header.is_empty() {
        return Ok(Kind::Absent);
    }
    let number = |at: usize| {
        let bytes = header.get(at..at + 4)?;
        Some(u32::from_be_bytes(<[u8; 4]>::try_from(bytes).ok()?))
    };
    let is_sqlite = header.starts_with(MAGIC);
    match (number(USER_VERSION_AT), number(APPLICATION_ID_AT)) {
        (Some(version), Some(id)) if is_sqlite && i32::try_from(id) == Ok(APPLICATION_ID) => {
            Ok(Kind::Ours(version))
        }
        // Perhaps one whose process ended while it was made; see `judge`.
        (Some(0), Some(0)) if is_sqlite => Ok(Kind::Ours(0)),
        _ => Ok(Kind::Foreign("it is no database of this program")),
    }
}

/// The connection that writes. The file is made if there is none, for its owner only.
pub(super) fn writer(config: &StoreConfig) -> Result<Connection, StoreError> {
    make(&config.path)?;
    let db = connect(
        config,
        OpenFlags::SQLITE_OPEN_READ_WRITE,
        config.cache_bytes,
    )?;
    prepared(db, config)
}

/// As [`writer`], of a file that is there and that nobody else has open, nor can open meanwhile;
/// else `Locked`.
pub(super) fn lone_writer(config: &StoreConfig) -> Result<Connection, StoreError> {
    let db = connect(
        config,
        OpenFlags::SQLITE_OPEN_READ_WRITE,
        config.cache_bytes,
    )?;
    // Before the file is read for the first time: then its lock is kept until it is closed.
    db.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |row| {
        row.get::<_, String>(0)
    })?;
    db.execute_batch("BEGIN EXCLUSIVE; COMMIT")?;
    prepared(db, config)
}

fn prepared(db: Connection, config: &StoreConfig) -> Result<Connection, StoreError> {
    leave_log_alone(&db, true)?;
    judge(&db)?;
    leave_log_alone(&db, false)?;
    // See `keys`, which relies on it.
    db.pragma_update(None, "page_size", PAGE_BYTES)?;
    db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
    // Each commit is on the disk when it returns: after a kill and after a loss of power.
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", true)?;
    db.pragma_update_and_check(None, "secure_delete", true, |row| row.get::<_, i64>(0))?;
    // None at all would mean: without a limit.
    let pages = |bytes: u64| (int(bytes) / PAGE_BYTES).max(1);
    db.pragma_update_and_check(None, "wal_autocheckpoint", pages(config.log_bytes), ignored)?;
    db.pragma_update_and_check(None, "journal_size_limit", int(config.log_bytes), ignored)?;
    db.pragma_update_and_check(
        None,
        "max_page_count",
        pages(config.file_bytes_max),
        ignored,
    )?;
    Ok(db)
}

/// A connection that reads.
pub(super) fn reader(config: &StoreConfig) -> Result<Connection, StoreError> {
    let db = connect(
        config,
        OpenFlags::SQLITE_OPEN_READ_ONLY,
        config.cache_bytes / 8,
    )?;
    leave_log_alone(&db, true)?;
    Ok(db)
}

/// Whether a connection, when it closes, does not touch the log, which by then may be another
/// file's.
pub(super) fn leave_log_alone(db: &Connection, is_left: bool) -> Result<(), StoreError> {
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, is_left)?;
    Ok(())
}

/// Refuses what is not ours to change: the file's header may be older than what the log says.
fn judge(db: &Connection) -> Result<(), StoreError> {
    let (found, known) = (schema::version(db)?, schema::newest());
    let id: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema)";
    let is_empty = !db.query_row(sql, [], |row| row.get::<_, bool>(0))?;
    if id != APPLICATION_ID && !(is_empty && found == 0) {
        return Err(StoreError::Corrupt(
            "it is no database of this program".into(),
        ));
    }
    (found <= known)
        .then_some(())
        .ok_or(StoreError::TooNew { found, known })
}

fn connect(
    config: &StoreConfig,
    access: OpenFlags,
    cache_bytes: u64,
) -> Result<Connection, StoreError> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(&config.path, flags)?;
    db.busy_timeout(config.busy_timeout)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // None at all would mean the default, whenever the schema is read again.
    db.pragma_update(None, "cache_size", -int(cache_bytes / 1024).max(1))?;
    // What is sorted never lies in a file of its own.
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.pragma_update(None, "trusted_schema", false)?;
    Ok(db)
}

/// Whether a file is whole, as far as `check_bytes_max` lets us look.
pub(super) fn check(db: &Connection, config: &StoreConfig) -> Result<(), StoreError> {
    if bytes(&config.path) > config.check_bytes_max {
        return Ok(());
    }
    let found: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    let is_whole = found == "ok";
    is_whole.then_some(()).ok_or(StoreError::Corrupt(found))
}

/// Carries the log into the file and leaves nothing in it; `Locked` if somebody else reads it.
pub(super) fn empty_log(db: &Connection) -> Result<(), StoreError> {
    let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
    let is_busy: bool = db.query_row(sql, [], |row| row.get(0))?;
    (!is_busy).then_some(()).ok_or(StoreError::Locked)
}

/// How many bytes the file and its log have.
pub(super) fn bytes(path: &Path) -> u64 {
    let length = |path: PathBuf| fs::metadata(path).map_or(0, |file| file.len());
    length(path.to_owned()) + length(beside(path, "-wal"))
}

/// Renames the file and what belongs to it to `<path>.corrupt-<unix ms>`; where to, if there was
/// one.
pub(super) fn move_aside(path: &Path) -> Result<Option<PathBuf>, StoreError> {
    let mut at = unix_ms();
    while beside(path, &format!(".corrupt-{at}")).exists() {
        at += 1;
    }
    let aside = beside(path, &format!(".corrupt-{at}"));
    for tail in ["-wal", "-shm", "-journal"] {
        is_there(fs::rename(beside(path, tail), beside(&aside, tail)))?;
    }
    let is_moved = is_there(fs::rename(path, &aside))?;
    is_there(fs::remove_file(beside(path, MARK)))?;
    sync_directory(path)?;
    Ok(is_moved.then_some(aside))
}

/// Whether what was to be touched was there.
fn is_there(touched: io::Result<()>) -> Result<bool, StoreError> {
    match touched {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(refused(error)),
    }
}

/// Remembers, over the end of the process too, that the file is to be moved aside when it is opened
/// next.
pub(super) fn mark_broken(path: &Path) -> Result<(), StoreError> {
    File::create(beside(path, MARK)).map(drop).map_err(refused)
}

const MARK: &str = "-broken";

fn make(path: &Path) -> Result<(), StoreError> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(_) => sync_directory(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(refused(error)),
    }
}

fn sync_directory(path: &Path) -> Result<(), StoreError> {
    let directory = match path.parent() {
        Some(directory) if directory != Path::new("") => directory,
        _ => Path::new("."),
    };
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(refused)
}

fn beside(path: &Path, tail: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(tail);
    name.into()
}

fn refused(error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full,
        _ => StoreError::Other(error.to_string()),
    }
}

fn ignored(row: &rusqlite::Row<'_>) -> rusqlite::Result<i64> {
    row.get(0)
}

/// A number as SQLite has them: signed. What is beyond is the greatest.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number as SQLite has them, back.
pub(super) fn uint(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
