//! The pool of threads that read, each with a connection of its own. A read is one snapshot.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, TrySendError};
use rusqlite::Connection;
use rustc_hash::FxHashMap;
use tokio::sync::oneshot;

use crate::domain::names::UserId;
use crate::domain::position::Epoch;
use crate::store::{Reading, StoreError};

use super::engine::Result;
use super::names::name_of;
use super::options::Clock;
use super::overlay::Overlay;

/// Names that a reader caches; past that its cache starts afresh.
const CACHED_NAMES: usize = 100_000;

/// What a read works with.
pub(super) struct Reader {
    /// The connection, in a transaction.
    pub(super) db: Connection,
    /// What is not home yet.
    pub(super) overlay: Arc<Overlay>,
    /// The epoch of all logs.
    pub(super) epoch: Epoch,
    /// The time.
    pub(super) clock: Clock,
    names: FxHashMap<i64, UserId>,
}

impl Reader {
    pub(super) fn new(db: Connection, overlay: Arc<Overlay>, epoch: Epoch, clock: Clock) -> Self {
        Self { db, overlay, epoch, clock, names: FxHashMap::default() }
    }

    /// The connection, and a way from interned users to their names.
    pub(super) fn with_names(&mut self) -> (&Connection, impl FnMut(i64) -> Result<UserId> + '_) {
        let (db, names) = (&self.db, &mut self.names);
        (db, move |id| name_of(names, db, id))
    }

    /// Ends the snapshot and begins another, with the next statement: what is unsettled must be looked at in between.
    pub(super) fn begin_snapshot(&self) -> Result<()> {
        self.db.prepare_cached("COMMIT")?.raw_execute()?;
        self.db.prepare_cached("BEGIN")?.raw_execute()?;
        Ok(())
    }

    fn run(&mut self, job: ReadJob) {
        if self.names.len() > CACHED_NAMES {
            self.names = FxHashMap::default();
        }
        job(self);
    }
}

type ReadJob = Box<dyn FnOnce(&mut Reader) + Send>;

/// The pool's handle.
pub(super) struct Readers {
    jobs: Sender<ReadJob>,
    stopped: Arc<AtomicBool>,
}

impl Readers {
    /// Starts a thread per reader.
    pub(super) fn start(readers: Vec<Reader>, queue: usize) -> std::io::Result<(Self, Vec<JoinHandle<()>>)> {
        let (jobs, queued) = crossbeam_channel::bounded::<ReadJob>(queue);
        let threads = readers
            .into_iter()
            .map(|mut reader| {
                let queued: Receiver<ReadJob> = queued.clone();
                std::thread::Builder::new().name("store-reader".into()).spawn(move || {
                    while let Ok(job) = queued.recv() {
                        reader.run(job);
                    }
                })
            })
            .collect::<std::io::Result<Vec<_>>>()?;
        Ok((Self { jobs, stopped: Arc::default() }, threads))
    }

    /// Refuses reads from now on; those that are queued are done.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// Queues a read.
    pub(super) fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Reader) -> Result<T> + Send + 'static,
    ) -> Reading<T> {
        if self.stopped.load(Ordering::Acquire) {
            return Box::pin(std::future::ready(Err(StoreError::Unavailable)));
        }
        let (reply, answer) = oneshot::channel();
        let job: ReadJob = Box::new(move |reader: &mut Reader| {
            if reply.is_closed() {
                return;
            }
            // Nobody may be waiting any more.
            let _ = reply.send(in_snapshot(reader, read).map_err(StoreError::from));
        });
        match self.jobs.try_send(job) {
            Ok(()) => Box::pin(async move { answer.await.unwrap_or(Err(StoreError::Unavailable)) }),
            Err(TrySendError::Full(_)) => Box::pin(std::future::ready(Err(StoreError::Overloaded))),
            Err(TrySendError::Disconnected(_)) => Box::pin(std::future::ready(Err(StoreError::Unavailable))),
        }
    }
}

fn in_snapshot<T>(reader: &mut Reader, read: impl FnOnce(&mut Reader) -> Result<T>) -> Result<T> {
    reader.db.prepare_cached("BEGIN")?.raw_execute()?;
    let result = read(reader);
    let ended = reader.db.prepare_cached("COMMIT")?.raw_execute();
    let value = result?;
    ended?;
    Ok(value)
}
