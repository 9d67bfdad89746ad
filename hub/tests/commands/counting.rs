//! A store that counts what it is asked to read.

use std::sync::atomic::{AtomicUsize, Ordering};

use carillon_hub::domain::audit::ChainHead;
use carillon_hub::domain::entry::Entry;
use carillon_hub::domain::inbox::InboxSummary;
use carillon_hub::domain::marks::Marks;
use carillon_hub::domain::member::Member;
use carillon_hub::domain::names::{RoomKey, RoomName, TenantId, UserId, UserKey};
use carillon_hub::domain::position::{Epoch, Seq};
use carillon_hub::domain::revocation::Revocation;
use carillon_hub::domain::room::{Room, RoomSummary};
use carillon_hub::domain::time::Timestamp;
use carillon_hub::store::sqlite::SqliteStore;
use carillon_hub::store::{
    CommitError, Committed, EntryPage, EntryRange, Erased, InboxLog, InboxPage, InboxQuery, Outcome,
    PageBound, Reading, RevocationPage, RoomPage, RoomsQuery, Store, StoreFigures, TenantFigures,
};
use futures::future::BoxFuture;

/// The embedded store, and how often it was read.
pub(crate) struct CountingStore {
    pub(crate) inner: SqliteStore,
    pub(crate) reads: AtomicUsize,
}

macro_rules! counted {
    ($($name:ident($($argument:ident: $type:ty),*) -> $item:ty;)*) => {
        $(fn $name(&self, $($argument: $type),*) -> Reading<$item> {
            self.reads.fetch_add(1, Ordering::Relaxed);
            self.inner.$name($($argument),*)
        })*
    };
}

impl Store for CountingStore {
    counted! {
        room(room: &RoomKey) -> Option<Room>;
        rooms(tenant: &TenantId, prefix: &str, after: Option<&RoomName>, bound: PageBound) -> RoomPage<Room>;
        member(room: &RoomKey, user: &UserId) -> Option<Member>;
        members(room: &RoomKey, after: Option<&UserId>, limit: u32) -> Vec<Member>;
        members_among(room: &RoomKey, users: &[UserId]) -> Vec<Member>;
        entries(room: &RoomKey, range: EntryRange, bound: PageBound) -> EntryPage;
        entry(room: &RoomKey, seq: Seq) -> Option<Entry>;
        latest_events(room: &RoomKey, bound: PageBound) -> Vec<Entry>;
        marks(room: &RoomKey, user: &UserId) -> Marks;
        marks_of(room: &RoomKey, users: &[UserId]) -> Vec<Marks>;
        rooms_of(user: &UserKey, query: RoomsQuery) -> RoomPage<RoomSummary>;
        room_names_of(user: &UserKey, after: Option<&RoomName>, most: u32) -> RoomPage<RoomName>;
        inbox_head(log: InboxLog) -> Seq;
        inbox(user: &UserKey, query: InboxQuery, bound: PageBound) -> InboxPage;
        inbox_summary(user: &UserKey) -> InboxSummary;
        known_users(tenant: &TenantId) -> u64;
        tenant_figures(tenant: &TenantId) -> TenantFigures;
        stored_bytes(tenant: &TenantId) -> u64;
        erase(user: &UserKey) -> Erased;
        revoke(revocation: Revocation) -> ();
        time() -> Timestamp;
        revocations(after: u64, most: u32) -> RevocationPage;
        anchor_audit(head: ChainHead) -> ();
        audit_heads() -> Vec<ChainHead>;
    }

    fn commit(&self, outcome: Outcome) -> BoxFuture<'static, Result<Committed, CommitError>> {
        self.inner.commit(outcome)
    }

    fn epoch(&self) -> Epoch {
        self.inner.epoch()
    }

    fn secret(&self) -> [u8; 16] {
        self.inner.secret()
    }

    fn figures(&self) -> StoreFigures {
        self.inner.figures()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.inner.close()
    }
}
