//! The handle: the port's methods.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::domain::audit::ChainHead;
use crate::domain::entry::Entry;
use crate::domain::inbox::InboxSummary;
use crate::domain::marks::Marks;
use crate::domain::member::Member;
use crate::domain::names::{RoomKey, RoomName, TenantId, UserId, UserKey};
use crate::domain::position::{Epoch, Seq};
use crate::domain::revocation::Revocation;
use crate::domain::room::{Room, RoomSummary};
use crate::domain::time::Timestamp;
use crate::redis::Link;
use crate::store::{
    Change, CommitError, Committed, EntryPage, EntryRange, Erased, InboxLog, InboxPage, InboxQuery, Outcome,
    PageBound, Reading, RevocationPage, RoomPage, RoomsQuery, ServerFigures, Store, StoreError, StoreFigures,
    TenantFigures,
};

use super::erase::Erasures;
use super::lane::{Lanes, give};
use super::options::{OpenError, Options};
use super::shared::Shared;
use super::worker::{self, Order, Ready};
use super::{audit, read, revocations};

/// The store on Redis. A cheap handle; the last one to be dropped ends its thread, after what was asked.
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    erasures: Erasures,
    senders: Mutex<Option<Senders>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The ways into the thread; without them it ends.
#[derive(Clone)]
struct Senders {
    lanes: Arc<Lanes>,
    orders: mpsc::Sender<Order>,
}

impl RedisStore {
    /// Opens the store, and makes it where there is none. Blocks while it connects.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let (ready, begun) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("store-redis".into())
            .spawn(move || worker::run(options, &ready))?;
        // A thread that ends without a word has panicked.
        let Ready { shared, lanes, orders, erasures } = begun.recv().unwrap_or(Err(OpenError::Damaged))?;
        let senders = Mutex::new(Some(Senders { lanes, orders }));
        Ok(Self(Arc::new(Inner { shared, erasures, senders, thread: Mutex::new(Some(thread)) })))
    }

    /// The connection to Redis.
    pub fn link(&self) -> &Link {
        &self.0.shared.link
    }

    fn senders(&self) -> Result<Senders, StoreError> {
        self.0.shared.check_open()?;
        self.0.senders.lock().clone().ok_or(StoreError::Unavailable)
    }

    fn order<T: Send + 'static>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Order,
    ) -> Reading<T> {
        let (reply, answer) = oneshot::channel();
        let taken = self.senders().and_then(|senders| give(&senders.orders, order(reply)));
        Box::pin(async move {
            taken?;
            answer.await.unwrap_or(Err(StoreError::Unavailable))
        })
    }

    fn read<T, F>(&self, read: impl FnOnce(Arc<Shared>) -> F) -> Reading<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        if let Err(error) = self.0.shared.check_open() {
            return Box::pin(std::future::ready(Err(error)));
        }
        // On the store's own runtime: callers may be on another one, or on none.
        let reading = self.0.shared.runtime.spawn(read(Arc::clone(&self.0.shared)));
        Box::pin(async move { reading.await.unwrap_or(Err(StoreError::Unavailable)) })
    }
}

impl Inner {
    /// Ends the thread, after what was asked of it.
    fn end(&self) {
        self.senders.lock().take();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end();
    }
}

impl Store for RedisStore {
    fn commit(&self, outcome: Outcome) -> BoxFuture<'static, Result<Committed, CommitError>> {
        if !outcome.is_well_formed() {
            return Box::pin(std::future::ready(Err(StoreError::malformed().into())));
        }
        let (reply, answer) = oneshot::channel();
        let taken = self.senders().and_then(|senders| senders.lanes.commit(outcome, reply));
        Box::pin(async move {
            taken?;
            answer.await.unwrap_or(Err(CommitError::Store(StoreError::Unavailable)))
        })
    }

    fn epoch(&self) -> Epoch {
        self.0.shared.epoch()
    }

    fn heard(&self, epoch: Epoch, change: &Change) {
        self.0.shared.hear(epoch, change);
    }

    fn room(&self, room: &RoomKey) -> Reading<Option<Room>> {
        let room = room.clone();
        self.read(|shared| async move { read::room(&shared, &room).await })
    }

    fn rooms(
        &self,
        tenant: &TenantId,
        prefix: &str,
        after: Option<&RoomName>,
        bound: PageBound,
    ) -> Reading<RoomPage<Room>> {
        let (tenant, prefix, after) = (tenant.clone(), prefix.to_owned(), after.cloned());
        self.read(|shared| async move { read::rooms(&shared, &tenant, &prefix, after.as_ref(), bound).await })
    }

    fn member(&self, room: &RoomKey, user: &UserId) -> Reading<Option<Member>> {
        let (room, user) = (room.clone(), user.clone());
        self.read(|shared| async move { read::member(&shared, &room, &user).await })
    }

    fn members(&self, room: &RoomKey, after: Option<&UserId>, limit: u32) -> Reading<Vec<Member>> {
        let (room, after) = (room.clone(), after.cloned());
        self.read(|shared| async move { read::members(&shared, &room, after.as_ref(), limit).await })
    }

    fn members_among(&self, room: &RoomKey, users: &[UserId]) -> Reading<Vec<Member>> {
        let (room, users) = (room.clone(), users.to_vec());
        self.read(|shared| async move { read::members_among(&shared, &room, &users).await })
    }

    fn entries(&self, room: &RoomKey, range: EntryRange, bound: PageBound) -> Reading<EntryPage> {
        let room = room.clone();
        self.read(|shared| async move { read::entries(&shared, &room, range, bound).await })
    }

    fn entry(&self, room: &RoomKey, seq: Seq) -> Reading<Option<Entry>> {
        let room = room.clone();
        self.read(|shared| async move { read::entry(&shared, &room, seq).await })
    }

    fn latest_events(&self, room: &RoomKey, bound: PageBound) -> Reading<Vec<Entry>> {
        let room = room.clone();
        self.read(|shared| async move { read::latest_events(&shared, &room, bound).await })
    }

    fn marks(&self, room: &RoomKey, user: &UserId) -> Reading<Marks> {
        let (room, user) = (room.clone(), user.clone());
        self.read(|shared| async move { read::marks(&shared, &room, &user).await })
    }

    fn marks_of(&self, room: &RoomKey, users: &[UserId]) -> Reading<Vec<Marks>> {
        let (room, users) = (room.clone(), users.to_vec());
        self.read(|shared| async move { read::marks_of(&shared, &room, &users).await })
    }

    fn rooms_of(&self, user: &UserKey, query: RoomsQuery) -> Reading<RoomPage<RoomSummary>> {
        let user = user.clone();
        self.read(|shared| async move { read::rooms_of(&shared, &user, &query).await })
    }

    fn room_names_of(
        &self,
        user: &UserKey,
        after: Option<&RoomName>,
        most: u32,
    ) -> Reading<RoomPage<RoomName>> {
        let (user, after) = (user.clone(), after.cloned());
        self.read(|shared| async move { read::room_names_of(&shared, &user, after.as_ref(), most).await })
    }

    fn inbox_head(&self, log: InboxLog) -> Reading<Seq> {
        self.read(|shared| async move { read::inbox_head(&shared, &log).await })
    }

    fn inbox(&self, user: &UserKey, query: InboxQuery, bound: PageBound) -> Reading<InboxPage> {
        let user = user.clone();
        self.read(|shared| async move { read::inbox(&shared, &user, &query, bound).await })
    }

    fn inbox_summary(&self, user: &UserKey) -> Reading<InboxSummary> {
        let user = user.clone();
        self.read(|shared| async move { read::inbox_summary(&shared, &user).await })
    }

    fn known_users(&self, tenant: &TenantId) -> Reading<u64> {
        let tenant = tenant.clone();
        self.read(|shared| async move { read::known_users(&shared, &tenant).await })
    }

    fn tenant_figures(&self, tenant: &TenantId) -> Reading<TenantFigures> {
        let tenant = tenant.clone();
        self.read(|shared| async move { read::tenant_figures(&shared, &tenant).await })
    }

    fn stored_bytes(&self, tenant: &TenantId) -> Reading<u64> {
        let tenant = tenant.clone();
        self.read(|shared| async move { shared.stored_bytes(&tenant).await })
    }

    fn erase(&self, user: &UserKey) -> Reading<Erased> {
        let (reply, answer) = oneshot::channel();
        let begun = self.senders().and_then(|senders| {
            if !self.0.erasures.join(user, reply) {
                return Ok(());
            }
            give(&senders.orders, Order::Erase(user.clone(), senders.lanes.fence()?))
        });
        if begun.is_err() {
            self.0.erasures.give_up(user);
        }
        Box::pin(async move {
            begun?;
            answer.await.unwrap_or(Err(StoreError::Unavailable))
        })
    }

    fn revoke(&self, revocation: Revocation) -> Reading<()> {
        self.order(|reply| Order::Revoke(Box::new(revocation), reply))
    }

    fn time(&self) -> Reading<Timestamp> {
        self.read(|shared| async move { revocations::time(&shared).await })
    }

    fn behind(&self) -> Duration {
        self.0.shared.behind()
    }

    fn revocations(&self, after: u64, most: u32) -> Reading<RevocationPage> {
        self.read(|shared| async move { revocations::page(&shared, after, most).await })
    }

    fn anchor_audit(&self, head: ChainHead) -> Reading<()> {
        self.order(|reply| Order::Anchor(head, reply))
    }

    fn audit_heads(&self) -> Reading<Vec<ChainHead>> {
        self.read(|shared| async move { audit::heads(&shared).await })
    }

    fn secret(&self) -> [u8; 16] {
        self.0.shared.secret
    }

    fn is_healthy(&self) -> bool {
        !self.0.shared.is_closing() && self.0.shared.is_there()
    }

    fn says_who_is_revoked(&self) -> bool {
        !self.0.shared.is_closing() && self.0.shared.has_hub()
    }

    fn silence(&self) -> Duration {
        self.0.shared.silence_of_hub()
    }

    fn silence_of_any(&self) -> Duration {
        self.0.shared.silence_of_any()
    }

    fn figures(&self) -> StoreFigures {
        let counters = &self.0.shared.counters;
        let committed = counters.committed.load(Ordering::Relaxed);
        StoreFigures {
            committed,
            duplicates: counters.duplicates.load(Ordering::Relaxed),
            groups: committed,
            queued: counters.queued.load(Ordering::Relaxed),
            keys: self.0.shared.keys.total() as u64,
            log_bytes: 0,
            healthy: self.is_healthy(),
            writable: self.is_healthy() && self.0.shared.takes_writes(),
            away_since: self.0.shared.away_since(),
            server: Some(ServerFigures {
                link: self.0.shared.link.figures(),
                round_trip: counters.round_trip(),
            }),
        }
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        let inner = Arc::clone(&self.0);
        inner.shared.closing.store(true, Ordering::Release);
        let (done, closed) = oneshot::channel();
        // A thread of its own: closing waits for others.
        let thread = std::thread::Builder::new().name("store-close".into()).spawn(move || {
            inner.end();
            let _ = done.send(());
        });
        Box::pin(async move {
            if thread.is_ok() {
                let _ = closed.await;
            }
        })
    }
}
