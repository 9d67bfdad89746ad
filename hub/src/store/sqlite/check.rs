//! Before a database is opened: whether it is whole, ours and not newer. Nothing is changed here, and everything that
//! opening needs is read here, so that a damaged database is refused as it was found.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::engine::{EngineError, Result, optional};
use super::idempotency::Keys;
use super::options::{OpenError, Options};
use super::outbox::Outbox;
use super::wal::{self, Logged, PAGE};
use super::{probe, recovery, schema, watermark};

/// What every SQLite database begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// The page that SQLite never uses: it locks bytes in it.
const LOCK_PAGE: u64 = (1 << 30) / PAGE as u64 + 1;

type Checked<T> = std::result::Result<T, OpenError>;

/// What was read of a database of this version.
pub(super) struct Found {
    /// The keys that it remembers.
    pub(super) keys: Keys,
    /// What waits in it.
    pub(super) outbox: Outbox,
}

/// Refuses what is damaged, newer or not ours. Changes nothing. Gives what opening needs, where there is a database of
/// this version.
pub(super) fn check(options: &Options) -> Checked<Option<Found>> {
    let path = options.database();
    if options.vfs.is_none() {
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.len() > 0 => check_file(&path)?,
            Ok(_) | Err(_) => return refuse_lost(options).map(|()| None),
        }
    }
    let beside = ["db-wal", "db-shm"].map(|extension| path.with_extension(extension));
    let made: Vec<_> = beside.into_iter().filter(|file| !file.exists()).collect();
    let looked = match look(options, true) {
        // Somebody reads it, as who makes a back-up does. The files beside it are theirs as well then.
        Err(EngineError::Sqlite(error)) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
            look(options, false)
        }
        looked => looked,
    };
    for file in made {
        // What the engine made beside the database only to look at it. Where there is none, that is as it should be.
        let _ = std::fs::remove_file(file);
    }
    let (version, found) = looked.map_err(|error| match error {
        EngineError::Sqlite(error) => OpenError::Damaged { path: path.clone(), what: error.to_string() },
        EngineError::Damaged(what) => OpenError::Damaged { path: path.clone(), what: what.to_owned() },
    })?;
    refuse_newer(&path, version)?;
    Ok(found)
}

/// Refuses a database that was here and is gone or empty: what lies beside it may be all that is left of it.
fn refuse_lost(options: &Options) -> Checked<()> {
    let path = options.database();
    for left in [options.directory.join(watermark::NAME), path.with_extension("db-wal")] {
        if std::fs::metadata(&left).is_ok_and(|file| file.len() > 0) {
            let name = left.file_name().unwrap_or_default().display();
            let what = format!(
                "it is gone or empty, and {name} beside it is not; to begin anew remove that as well"
            );
            return Err(OpenError::Damaged { path, what });
        }
    }
    Ok(())
}

/// Looks at the files themselves, before the engine does.
fn check_file(path: &Path) -> Checked<()> {
    let damaged = |what: &str| OpenError::Damaged { path: path.to_owned(), what: what.to_owned() };
    let failed = |cause| OpenError::Folder { path: path.to_owned(), cause };
    let mut header = [0; 100];
    let mut file = File::open(path).map_err(failed)?;
    file.read_exact(&mut header).map_err(|_| damaged("it is shorter than a header"))?;
    let (magic, rest) = header.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(damaged("it is not a SQLite database"));
    }
    let number = |at: usize| {
        rest.get(at - MAGIC.len()..)
            .and_then(|rest| rest.first_chunk())
            .map_or(0, |bytes| u32::from_be_bytes(*bytes))
    };
    let (pages, version) = (number(28), i64::from(number(60)));
    let home = file.metadata().map_err(failed)?.len() / PAGE as u64;
    // The last commit's pages are in the file or in the log, also where a checkpoint was cut off.
    let Logged { pages, held } = wal::read(&path.with_extension("db-wal"), home)
        .map_err(failed)?
        .unwrap_or(Logged { pages, ..Logged::default() });
    let is_there =
        |page: u64| page == LOCK_PAGE || u32::try_from(page).is_ok_and(|page| held.contains(&page));
    if !(home + 1..=u64::from(pages)).all(is_there) {
        return Err(damaged("it is shorter than it says"));
    }
    refuse_newer(path, version)
}

fn refuse_newer(path: &Path, version: i64) -> Checked<()> {
    if version > schema::VERSION {
        return Err(OpenError::Newer { path: path.to_owned(), found: version, known: schema::VERSION });
    }
    Ok(())
}

/// Looks at the database through the engine, `alone` where nobody else has it open. Gives its version, and what was read where that is this one.
fn look(options: &Options, alone: bool) -> Result<(i64, Option<Found>)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let path = options.database();
    let opened = match options.vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(&path, flags, vfs),
        None => Connection::open_with_flags(&path, flags),
    };
    let db = match (opened, options.vfs) {
        (Ok(db), _) => db,
        // On another file system than the default, this is how a missing database looks.
        (Err(_), Some(_)) => return Ok((0, None)),
        (Err(error), None) => return Err(error.into()),
    };
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    if alone {
        // Then the engine keeps the log's index in memory, and writes no file for it.
        db.query_row("PRAGMA locking_mode=EXCLUSIVE", [], |_| Ok(()))?;
    }
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let application: i64 = db.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let objects: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if objects > 0 && application != schema::APPLICATION_ID {
        return Err(EngineError::Damaged("it is not a database of carillon"));
    }
    if objects > 0 && version < 1 {
        return Err(EngineError::Damaged("it does not say its version"));
    }
    if version == 0 || version > schema::VERSION {
        return Ok((version, None));
    }
    recovery::rehearse(&db)?;
    if version < schema::VERSION {
        return Ok((version, None));
    }
    probe::probe(&db)?;
    let secret = db.query_row("SELECT value FROM meta WHERE name = 'secret'", [], |row| row.get(0));
    let Some(secret) = optional(secret)? else { return Ok((version, None)) };
    let keys = Keys::load(&db, secret, options.idempotency_keys)?;
    Ok((version, Some(Found { keys, outbox: Outbox::load(&db)? })))
}
