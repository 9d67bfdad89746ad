//! Whose database this is: the lock that one process holds, the epoch, the secret, and the watermark beside the database
//! by which an older back-up is recognised.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::domain::position::Epoch;

use super::engine::Result;
use super::options::OpenError;

/// The lock of a data folder, held until this is dropped.
#[derive(Debug)]
pub(super) struct FolderLock(File);

impl Drop for FolderLock {
    fn drop(&mut self) {
        // To close the file is not enough: a process that is being started has, for a moment, all that this one has open.
        let _ = self.0.unlock();
    }
}

/// Locks the data folder for this process.
pub(super) fn lock(folder: &Path) -> std::result::Result<FolderLock, OpenError> {
    let failed = |cause| OpenError::Folder { path: folder.to_owned(), cause };
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("carillon.lock"))
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(FolderLock(file)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(folder.to_owned())),
        Err(TryLockError::Error(cause)) => Err(failed(cause)),
    }
}

/// The file beside the database that says, now and then, how far the database has got. It is never ahead of it, so a
/// database that is behind it is an older one.
#[derive(Clone, Debug)]
pub(super) struct Watermark {
    path: PathBuf,
    epoch: Epoch,
}

impl Watermark {
    fn path_in(folder: &Path) -> PathBuf {
        folder.join("carillon.watermark")
    }

    /// The watermark of a database.
    pub(super) fn new(folder: &Path, epoch: Epoch) -> Self {
        Self { path: Self::path_in(folder), epoch }
    }

    /// Writes it. A failure is no harm: the one before stays good.
    pub(super) fn write(&self, committed: i64) {
        let next = self.path.with_extension("watermark.next");
        let text = format!("{} {committed}\n", self.epoch.0);
        let written = std::fs::write(&next, text).and_then(|()| std::fs::rename(&next, &self.path));
        if let Err(error) = written {
            tracing::warn!(%error, "writing the watermark failed");
        }
    }

    fn read(folder: &Path) -> Option<(Epoch, i64)> {
        let text = std::fs::read_to_string(Self::path_in(folder)).ok()?;
        let (epoch, committed) = text.trim().split_once(' ')?;
        Some((Epoch(epoch.parse().ok()?), committed.parse().ok()?))
    }
}

/// A database's epoch and secret.
#[derive(Clone, Copy)]
pub(super) struct Identity {
    pub(super) epoch: Epoch,
    pub(super) secret: [u8; 16],
}

impl Identity {
    /// Reads the identity, or makes it with the database. `committed` is the last row that the database knows: where
    /// the watermark knows of more, or of another epoch, the database was restored and its epoch changes.
    pub(super) fn load(db: &Connection, folder: &Path, committed: i64) -> Result<Self> {
        let secret = db.query_row("SELECT value FROM meta WHERE name = 'secret'", [], |row| row.get(0))?;
        let epoch: i64 = db.query_row("SELECT value FROM meta WHERE name = 'epoch'", [], |row| row.get(0))?;
        let mut identity = Self { epoch: Epoch(epoch as u64), secret };
        if let Some((epoch, marked)) = Watermark::read(folder)
            && (epoch != identity.epoch || marked > committed)
        {
            tracing::warn!(marked, committed, "the database is older than it was: it gets a new epoch");
            identity.epoch = renew_epoch(db)?;
        }
        Ok(identity)
    }
}

/// What a new database starts with.
pub(super) fn initialise(db: &Connection) -> Result<()> {
    db.execute(
        "INSERT OR IGNORE INTO meta VALUES('settled', 0), ('secret', randomblob(16)), ('epoch', ?1)",
        [random_epoch(db)?],
    )?;
    Ok(())
}

/// Gives the database a new epoch.
pub(super) fn renew_epoch(db: &Connection) -> Result<Epoch> {
    let epoch = random_epoch(db)?;
    db.execute("UPDATE meta SET value = ?1 WHERE name = 'epoch'", [epoch])?;
    Ok(Epoch(epoch as u64))
}

/// 52 random bits, not 0: a number that JavaScript keeps exact too.
fn random_epoch(db: &Connection) -> Result<i64> {
    Ok(db.query_row("SELECT ((random() >> 12) & 0xfffffffffffff) | 1", [], |row| row.get(0))?)
}
