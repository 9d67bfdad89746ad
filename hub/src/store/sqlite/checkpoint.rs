//! Checkpoints: a helper thread copies the write-ahead log's pages to the database and syncs them beside the writer; the
//! writer finishes between two commits, when only few pages are left, so that the log starts over and stays small.
//!
//! A long reader (a back-up) keeps the log from starting over: then it grows, and the helper tries less often.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use rusqlite::Connection;

use super::engine::{self, Result};
use super::watermark::Watermark;

/// Pages of the log that start a checkpoint: 16 MB.
const START: u64 = 4_000;
/// The page size.
const PAGE: u64 = 4_096;
/// How long to wait before trying again where a checkpoint could not finish.
const RETRY: Duration = Duration::from_millis(50);
/// How often the watermark is written.
const WATERMARK: Duration = Duration::from_secs(1);
/// The helper's cache: it only copies pages.
const CACHE_KIB: u32 = 1_024;

/// What writer and helper share.
#[derive(Default)]
pub(super) struct Progress {
    /// Pages in the log, from the engine's hook.
    pages: AtomicU64,
    /// The helper is done; the writer finishes.
    ready: AtomicBool,
    /// The last committed row of the journal.
    committed: AtomicU64,
}

impl Progress {
    /// Bytes of the log.
    pub(super) fn log_bytes(&self) -> u64 {
        self.pages.load(Ordering::Relaxed) * PAGE
    }
}

/// The writer's side.
pub(super) struct Checkpoints {
    progress: Arc<Progress>,
    wake: Sender<()>,
    busy: bool,
    retry: Option<Instant>,
}

impl Checkpoints {
    /// The writer's side and the helper. Registers the hook that counts pages at `db`.
    pub(super) fn new(
        db: &mut Connection,
        progress: Arc<Progress>,
        (path, vfs): (PathBuf, Option<&'static str>),
        watermark: Watermark,
    ) -> Result<(Self, Helper)> {
        let pages = Arc::clone(&progress);
        db.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, count| {
            pages.pages.store(u64::try_from(count).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;
        let (wake, woken) = crossbeam_channel::bounded(1);
        let helper = Helper {
            db: engine::connect(&path, vfs, CACHE_KIB)?,
            // Closed with the helper, after the store's last connection: closing any descriptor of the file would
            // drop the engine's locks on it.
            file: if vfs.is_none() { File::open(&path).ok() } else { None },
            progress: Arc::clone(&progress),
            woken,
            watermark,
        };
        Ok((Self { progress, wake, busy: false, retry: None }, helper))
    }

    /// Called between two commits: starts the helper, or finishes what it prepared.
    pub(super) fn advance(&mut self, db: &Connection, committed: i64) -> Result<()> {
        self.progress.committed.store(committed as u64, Ordering::Relaxed);
        if self.busy {
            if !self.progress.ready.swap(false, Ordering::Acquire) {
                return Ok(());
            }
            self.busy = false;
            let whole = db.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?.query_row([], |row| {
                Ok(row.get::<_, i64>(0)? == 0 && row.get::<_, i64>(1)? == row.get::<_, i64>(2)?)
            })?;
            self.retry = if whole { None } else { Some(Instant::now() + RETRY) };
            if whole {
                // The next commit starts the log over.
                self.progress.pages.store(0, Ordering::Relaxed);
            }
            return Ok(());
        }
        let waits = self.retry.is_some_and(|retry| Instant::now() < retry);
        if self.progress.pages.load(Ordering::Relaxed) >= START && !waits {
            self.busy = self.wake.try_send(()).is_ok();
        }
        Ok(())
    }
}

/// The helper thread.
pub(super) struct Helper {
    db: Connection,
    file: Option<File>,
    progress: Arc<Progress>,
    woken: Receiver<()>,
    watermark: Watermark,
}

impl Helper {
    /// Runs until the writer is gone. Gives the file that must be closed last.
    pub(super) fn run(mut self) -> Option<File> {
        loop {
            match self.woken.recv_timeout(WATERMARK) {
                Ok(()) => self.checkpoint(),
                Err(RecvTimeoutError::Timeout) => self.write_watermark(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.write_watermark();
        self.file
    }

    fn checkpoint(&mut self) {
        // The second pass takes what came during the first, so that little is left for the writer.
        for _ in 0..2 {
            let copied = self.db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
            if let Err(error) = copied {
                tracing::warn!(%error, "checkpoint failed");
            }
            if let Some(Err(error)) = self.file.as_ref().map(File::sync_data) {
                tracing::warn!(%error, "syncing the database failed");
            }
        }
        self.progress.ready.store(true, Ordering::Release);
        self.write_watermark();
    }

    fn write_watermark(&mut self) {
        self.watermark.write(self.progress.committed.load(Ordering::Relaxed) as i64);
    }
}
