//! The embedded store, on SQLite.
//!
//! One writer thread commits what is queued in groups: one transaction, one sync. On its way nothing random is written:
//! entries go to a journal in the order of commits and move to their clustered home later; heads and marks are written
//! then; idempotency keys are packed into one row per group. Readers see home and journal's content as one.
//!
//! Start with [`writer`] (a group's life), then [`apply`] (an outcome's), [`settle`] (the way home), [`read`].
//! [`schema`] documents the tables.
//!
//! Blanked content is overwritten in the database (`secure_delete`). The write-ahead log may hold older copies of pages
//! until it starts over, and back-ups hold what they held.

mod apply;
mod audit;
mod check;
mod checkpoint;
mod engine;
mod erase;
mod idempotency;
mod identity;
mod journal;
mod latest;
mod names;
mod notices;
mod open;
mod options;
mod outbox;
mod overlay;
mod own;
mod probe;
mod queue;
mod read;
mod readers;
mod recovery;
mod revocations;
mod room_state;
mod rooms;
mod rows;
mod schema;
mod seen;
mod settle;
mod state;
mod trim;
mod wal;
mod watermark;
mod writer;

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::domain::audit::ChainHead;
use crate::domain::entry::Entry;
use crate::domain::inbox::InboxSummary;
use crate::domain::marks::Marks;
use crate::domain::member::Member;
use crate::domain::names::{RoomKey, RoomName, TenantId, UserId, UserKey};
use crate::domain::position::{Epoch, Seq};
use crate::domain::revocation::Revocation;
use crate::domain::room::{Room, RoomSummary};

use super::{
    CommitError, Committed, EntryPage, EntryRange, Erased, InboxLog, InboxPage, InboxQuery, Outcome,
    PageBound, Reading, RevocationPage, RoomPage, RoomsQuery, Store, StoreError, StoreFigures, TenantFigures,
};
use identity::{FolderLock, Identity};
use queue::{Job, Queue};
use readers::Readers;
use writer::Counters;

pub use options::{Clock, OpenError, Options};

/// The embedded store. A cheap handle; the last one to be dropped ends the threads, after what was queued.
#[derive(Clone)]
pub struct SqliteStore(Arc<Inner>);

struct Inner {
    identity: Identity,
    jobs: Arc<Queue>,
    readers: Mutex<Option<Arc<Readers>>>,
    counters: Arc<Counters>,
    threads: Mutex<Option<Threads>>,
}

/// What must end before the data folder is free.
struct Threads {
    writer: JoinHandle<Connection>,
    helper: JoinHandle<Option<File>>,
    readers: Vec<JoinHandle<()>>,
    lock: FolderLock,
}

impl Threads {
    /// Waits for all. The writer's connection is the last, and the helper's file goes after it.
    fn join(self) {
        for reader in self.readers {
            let _ = reader.join();
        }
        let connection = self.writer.join();
        let file = self.helper.join();
        drop(connection);
        drop(file);
        drop(self.lock);
    }
}

impl SqliteStore {
    /// Opens the store in `options.directory`, which it makes where it is missing. Blocks while it recovers (below two
    /// seconds at two million messages).
    pub fn open(options: &Options) -> Result<Self, OpenError> {
        open::open(options)
    }

    /// Gives the database in `options.directory` a new epoch, so that clients take nothing they hold for current. For
    /// a back-up that opening does not recognise: a whole disk that was put back. The store must be closed.
    pub fn renew_epoch(options: &Options) -> Result<Epoch, OpenError> {
        open::renew_epoch(options)
    }

    fn new(
        identity: Identity,
        jobs: Arc<Queue>,
        readers: Readers,
        counters: Arc<Counters>,
        threads: Threads,
    ) -> Self {
        Self(Arc::new(Inner {
            identity,
            jobs,
            readers: Mutex::new(Some(Arc::new(readers))),
            counters,
            threads: Mutex::new(Some(threads)),
        }))
    }

    fn submit(&self, job: Job) -> Result<(), StoreError> {
        if self.0.counters.closing.load(Ordering::Acquire) || self.0.counters.stopped.load(Ordering::Acquire)
        {
            return Err(StoreError::Unavailable);
        }
        self.0.jobs.push(job)
    }

    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut readers::Reader) -> engine::Result<T> + Send + 'static,
    ) -> Reading<T> {
        let readers = self.0.readers.lock().clone();
        match readers {
            Some(readers) => readers.read(read),
            None => Box::pin(std::future::ready(Err(StoreError::Unavailable))),
        }
    }
}

impl Inner {
    /// Ends the threads, after what is queued. `go_home`: with everything settled.
    fn end(&self, go_home: bool) {
        self.jobs.close(go_home);
        self.counters.closing.store(true, Ordering::Release);
        if let Some(readers) = self.readers.lock().take() {
            readers.stop();
        }
        let threads = self.threads.lock().take();
        if let Some(threads) = threads {
            threads.join();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end(false);
    }
}

impl Store for SqliteStore {
    fn commit(&self, outcome: Outcome) -> BoxFuture<'static, Result<Committed, CommitError>> {
        if !outcome.is_well_formed() {
            return Box::pin(std::future::ready(Err(StoreError::malformed().into())));
        }
        let (reply, answer) = oneshot::channel();
        match self.submit(Job::Commit { outcome: Box::new(outcome), reply }) {
            Ok(()) => {
                Box::pin(
                    async move { answer.await.unwrap_or(Err(CommitError::Store(StoreError::Unavailable))) },
                )
            }
            Err(error) => Box::pin(std::future::ready(Err(error.into()))),
        }
    }

    fn epoch(&self) -> Epoch {
        self.0.identity.epoch
    }

    fn room(&self, room: &RoomKey) -> Reading<Option<Room>> {
        let room = room.clone();
        self.read(move |reader| reader.room(&room))
    }

    fn rooms(
        &self,
        tenant: &TenantId,
        prefix: &str,
        after: Option<&RoomName>,
        bound: PageBound,
    ) -> Reading<RoomPage<Room>> {
        let (tenant, prefix, after) = (tenant.clone(), prefix.to_owned(), after.cloned());
        self.read(move |reader| reader.rooms(&tenant, &prefix, after.as_ref(), bound))
    }

    fn member(&self, room: &RoomKey, user: &UserId) -> Reading<Option<Member>> {
        let (room, user) = (room.clone(), user.clone());
        self.read(move |reader| reader.member(&room, &user))
    }

    fn members(&self, room: &RoomKey, after: Option<&UserId>, limit: u32) -> Reading<Vec<Member>> {
        let (room, after) = (room.clone(), after.cloned());
        self.read(move |reader| reader.members(&room, after.as_ref(), limit))
    }

    fn members_among(&self, room: &RoomKey, users: &[UserId]) -> Reading<Vec<Member>> {
        let (room, users) = (room.clone(), users.to_vec());
        self.read(move |reader| reader.members_among(&room, &users))
    }

    fn entries(&self, room: &RoomKey, range: EntryRange, bound: PageBound) -> Reading<EntryPage> {
        let room = room.clone();
        self.read(move |reader| reader.entries(&room, range, bound))
    }

    fn entry(&self, room: &RoomKey, seq: Seq) -> Reading<Option<Entry>> {
        let room = room.clone();
        self.read(move |reader| reader.entry(&room, seq))
    }

    fn latest_events(&self, room: &RoomKey, bound: PageBound) -> Reading<Vec<Entry>> {
        let room = room.clone();
        self.read(move |reader| reader.latest_events(&room, bound))
    }

    fn marks(&self, room: &RoomKey, user: &UserId) -> Reading<Marks> {
        let (room, user) = (room.clone(), user.clone());
        self.read(move |reader| reader.marks(&room, &user))
    }

    fn marks_of(&self, room: &RoomKey, users: &[UserId]) -> Reading<Vec<Marks>> {
        let (room, users) = (room.clone(), users.to_vec());
        self.read(move |reader| reader.marks_of(&room, &users))
    }

    fn rooms_of(&self, user: &UserKey, query: RoomsQuery) -> Reading<RoomPage<RoomSummary>> {
        let user = user.clone();
        self.read(move |reader| reader.rooms_of(&user, &query))
    }

    fn room_names_of(
        &self,
        user: &UserKey,
        after: Option<&RoomName>,
        most: u32,
    ) -> Reading<RoomPage<RoomName>> {
        let (user, after) = (user.clone(), after.cloned());
        self.read(move |reader| reader.room_names_of(&user, after.as_ref(), most))
    }

    fn inbox_head(&self, log: InboxLog) -> Reading<Seq> {
        self.read(move |reader| reader.inbox_head(&log))
    }

    fn inbox(&self, user: &UserKey, query: InboxQuery, bound: PageBound) -> Reading<InboxPage> {
        let user = user.clone();
        self.read(move |reader| reader.inbox(&user, &query, bound))
    }

    fn inbox_summary(&self, user: &UserKey) -> Reading<InboxSummary> {
        let user = user.clone();
        self.read(move |reader| reader.inbox_summary(&user))
    }

    fn known_users(&self, tenant: &TenantId) -> Reading<u64> {
        let tenant = tenant.clone();
        self.read(move |reader| reader.known_users(&tenant))
    }

    fn tenant_figures(&self, tenant: &TenantId) -> Reading<TenantFigures> {
        let tenant = tenant.clone();
        self.read(move |reader| reader.tenant_figures(&tenant))
    }

    fn stored_bytes(&self, tenant: &TenantId) -> Reading<u64> {
        let tenant = tenant.clone();
        self.read(move |reader| reader.stored_bytes(&tenant))
    }

    fn erase(&self, user: &UserKey) -> Reading<Erased> {
        let (reply, answer) = oneshot::channel();
        match self.submit(Job::Erase { user: user.clone(), reply }) {
            Ok(()) => Box::pin(async move { answer.await.unwrap_or(Err(StoreError::Unavailable)) }),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn revoke(&self, revocation: Revocation) -> Reading<()> {
        let (reply, answer) = oneshot::channel();
        match self.submit(Job::Revoke { revocation: Box::new(revocation), reply }) {
            Ok(()) => Box::pin(async move { answer.await.map_err(|_| StoreError::Unavailable) }),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn revocations(&self, after: u64, most: u32) -> Reading<RevocationPage> {
        self.read(move |reader| reader.revocations(after, most))
    }

    fn anchor_audit(&self, head: ChainHead) -> Reading<()> {
        let (reply, answer) = oneshot::channel();
        match self.submit(Job::Anchor { head, reply }) {
            Ok(()) => Box::pin(async move { answer.await.map_err(|_| StoreError::Unavailable) }),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn audit_heads(&self) -> Reading<Vec<ChainHead>> {
        self.read(readers::Reader::audit_heads)
    }

    fn secret(&self) -> [u8; 16] {
        self.0.identity.secret
    }

    fn is_healthy(&self) -> bool {
        let counters = &self.0.counters;
        ![&counters.stopped, &counters.closing, &counters.is_held_up]
            .iter()
            .any(|is| is.load(Ordering::Acquire))
    }

    fn has_failed(&self) -> bool {
        let counters = &self.0.counters;
        let is_closed =
            counters.closing.load(Ordering::Acquire) && !counters.is_left_open.load(Ordering::Acquire);
        counters.stopped.load(Ordering::Acquire) && !is_closed
    }

    fn figures(&self) -> StoreFigures {
        let counters = &self.0.counters;
        StoreFigures {
            committed: counters.committed.load(Ordering::Relaxed),
            duplicates: counters.duplicates.load(Ordering::Relaxed),
            groups: counters.groups.load(Ordering::Relaxed),
            queued: self.0.jobs.len() as u64,
            keys: counters.keys.load(Ordering::Relaxed),
            log_bytes: counters.progress.log_bytes(),
            healthy: self.is_healthy(),
            writable: self.is_healthy(),
            away_since: None,
            server: None,
        }
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        let inner = Arc::clone(&self.0);
        let (done, closed) = oneshot::channel();
        // A thread of its own: closing waits for others.
        let thread = std::thread::Builder::new().name("store-close".into()).spawn(move || {
            inner.end(true);
            let _ = done.send(());
        });
        Box::pin(async move {
            if thread.is_ok() {
                let _ = closed.await;
            }
        })
    }
}
