//! Whose database this is: the lock that one process holds, the epoch, the secret, and whether it is the one that was here
//! before ([`watermark`](super::watermark)).

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use rusqlite::Connection;

use crate::domain::position::Epoch;

use super::engine::Result;
use super::options::OpenError;
use super::watermark::Watermark;

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

/// A database's epoch and secret.
#[derive(Clone, Copy)]
pub(super) struct Identity {
    pub(super) epoch: Epoch,
    pub(super) secret: [u8; 16],
}

impl Identity {
    /// Reads the identity. `committed` is the last row that the database knows. Where the watermark does not know this
    /// database, or knows of more, it was restored, and its epoch changes; not that of one that is `new`.
    pub(super) fn load(
        db: &Connection,
        watermark: &mut Watermark,
        (committed, is_new): (i64, bool),
    ) -> Result<Self> {
        let secret = db.query_row("SELECT value FROM meta WHERE name = 'secret'", [], |row| row.get(0))?;
        let epoch: i64 = db.query_row("SELECT value FROM meta WHERE name = 'epoch'", [], |row| row.get(0))?;
        let mut identity = Self { epoch: Epoch(epoch as u64), secret };
        if !is_new && let Err(why) = watermark.knows(identity.epoch, committed) {
            tracing::warn!(why, "the database was restored, copied or moved: it gets a new epoch");
            identity.epoch = renew_epoch(db)?;
        }
        watermark.begin(identity.epoch, committed);
        Ok(identity)
    }
}

/// What a new database starts with. True where it is new.
pub(super) fn initialise(db: &Connection) -> Result<bool> {
    let made = db.execute(
        "INSERT OR IGNORE INTO meta VALUES('settled', 0), ('secret', randomblob(16)), ('epoch', ?1)",
        [random_epoch(db)?],
    )?;
    Ok(made > 0)
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
