//! Connections to the database, and what goes wrong with them.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::store::StoreError;

/// The engine failed, or what it holds does not make sense. Whoever writes stops at the first one, but for damage that an
/// outcome meets before its group's transaction begins.
#[derive(Debug, thiserror::Error)]
pub(super) enum EngineError {
    /// SQLite said so.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// A row that this version cannot have written.
    #[error("damaged row: {0}")]
    Damaged(&'static str),
}

impl EngineError {
    /// Whether what was read makes no sense, while the engine itself works.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::Damaged(_) => true,
            // Without a code it is a value that is none of its column's.
            Self::Sqlite(error) => error
                .sqlite_error_code()
                .is_none_or(|code| matches!(code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)),
        }
    }
}

impl From<EngineError> for StoreError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error.to_string().into())
    }
}

/// The result of working with the engine.
pub(super) type Result<T> = std::result::Result<T, EngineError>;

/// Prepared statements that each connection keeps.
const STATEMENTS: usize = 128;

/// How long a connection waits for another's lock. Of the store's own only checkpoints lock, and shortly.
const BUSY: Duration = Duration::from_secs(5);

/// Whether another connection has what was asked for locked.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

/// Opens a connection that writes durably: every commit is synced.
///
/// `secure_delete` overwrites what is deleted, so that blanked content does not stay in the file.
pub(super) fn connect(path: &Path, vfs: Option<&'static str>, cache_kib: u32) -> Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = match vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs)?,
        None => Connection::open_with_flags(path, flags)?,
    };
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    db.busy_timeout(BUSY)?;
    db.execute_batch(&format!(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0; PRAGMA secure_delete=ON;
         PRAGMA temp_store=MEMORY; PRAGMA cache_size=-{cache_kib};"
    ))?;
    Ok(db)
}

/// Opens a connection that can only read.
pub(super) fn connect_reader(path: &Path, vfs: Option<&'static str>, cache_kib: u32) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = match vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs)?,
        None => Connection::open_with_flags(path, flags)?,
    };
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    db.busy_timeout(BUSY)?;
    db.execute_batch(&format!(
        "PRAGMA query_only=ON; PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-{cache_kib};"
    ))?;
    Ok(db)
}

/// One row, or none.
pub(super) fn optional<T>(result: rusqlite::Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
