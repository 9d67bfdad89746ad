//! What services and administrators do: rooms under names of their choice, notifications, erasure, statistics. What
//! they do like any user (send, publish, change members and rooms) goes through the executor with the service as the
//! caller; sessions are the session's.

pub mod commands;
mod notifications;
mod rooms;

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::access::limits::{Level, Limited};
use crate::access::rules;
use crate::access::storage::StorageLimit;
use crate::domain::caller::Caller;
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::limits::{REVOKED, REVOKED_AHEAD};
use crate::domain::media::MediaTypes;
use crate::domain::names::{RoomName, TenantId, UserId, UserKey};
use crate::domain::namespace::Namespaces;
use crate::domain::revocation::Revocation;
use crate::domain::room::Room;
use crate::domain::time::Timestamp;
use crate::store::{Erased, Store, refuse};

use commands::{
    CreateRoom, ListRooms, NotificationSent, RoomCreated, RoomsListed, SendNotification, Statistics,
};

/// What is live, and so in no store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// Open sessions.
    pub sessions: u64,
    /// Users with at least one open session.
    pub users: u64,
    /// Rooms that at least one session has joined.
    pub active_rooms: u64,
    /// How often each limit was hit.
    pub limits_hit: Vec<(Limited, u64)>,
    /// Buckets that are not full.
    pub limits_in_use: u64,
    /// How full the bucket of all that the tenant sends is, where there is one.
    pub messages: Option<Level>,
    /// Bytes that a tenant's rooms may hold; 0 without a limit.
    pub storage_limit: u64,
}

/// Who knows what is live. `app` implements it with sessions and delivery.
pub trait LiveFigures: Send + Sync + 'static {
    /// What is live of a tenant. `UNAVAILABLE` where what nodes count together cannot be asked for.
    fn live(&self, tenant: &TenantId) -> BoxFuture<'static, Result<Live, Refusal>>;
}

/// Administration of the caller's tenant. Everything is `PERMISSION_DENIED` for callers that are no services.
pub struct Administration {
    store: Arc<dyn Store>,
    namespaces: Arc<Namespaces>,
    storage: Arc<StorageLimit>,
    live: Arc<dyn LiveFigures>,
}

impl Administration {
    /// Administration over `store`, the configured namespaces and what is live; `storage` says how much a tenant's rooms
    /// may hold.
    pub fn new(
        store: Arc<dyn Store>,
        namespaces: Arc<Namespaces>,
        storage: Arc<StorageLimit>,
        live: Arc<dyn LiveFigures>,
    ) -> Self {
        Self { store, namespaces, storage, live }
    }

    /// Creates a room with its first members. `NOT_FOUND` where its namespace is not configured, `CONFLICT` where the
    /// room was created already, `INVALID_ARGUMENT` where nothing is kept of its namespace, `MESSAGE_TOO_LARGE` where the
    /// tenant's storage has no room for it.
    pub async fn create_room(&self, caller: &Caller, create: &CreateRoom) -> Result<RoomCreated, Refusal> {
        rules::administer(caller)?;
        rooms::create(&*self.store, &self.namespaces, &self.storage, caller, create).await
    }

    /// A room; `NOT_FOUND` where there is none.
    pub async fn room(&self, caller: &Caller, room: &RoomName) -> Result<Room, Refusal> {
        rules::administer(caller)?;
        rooms::get(&*self.store, caller, room).await
    }

    /// A page of the tenant's rooms.
    pub async fn rooms(&self, caller: &Caller, list: &ListRooms) -> Result<RoomsListed, Refusal> {
        rules::administer(caller)?;
        rooms::list(&*self.store, caller, list).await
    }

    /// Notifies users. `INVALID_ARGUMENT` for one that has expired and for a room with more than 10,000 members,
    /// `NOT_FOUND` for the members of a room that was not created.
    pub async fn notify(
        &self,
        caller: &Caller,
        send: &SendNotification,
        now: Timestamp,
    ) -> Result<NotificationSent, Refusal> {
        rules::administer(caller)?;
        if let Some(body) = &send.body {
            // No namespace says otherwise.
            MediaTypes::default().check(body, "body.media_type")?;
        }
        notifications::send(&*self.store, caller, send, now).await
    }

    /// Makes tokens good no more, beside so many other revocations of the kind: `RATE_LIMITED` past [`REVOKED`].
    pub async fn revoke(
        &self,
        caller: &Caller,
        revocation: Revocation,
        beside: usize,
    ) -> Result<(), Refusal> {
        rules::administer(caller)?;
        if beside >= REVOKED {
            return Err(ErrorCode::RateLimited.into());
        }
        self.store.revoke(revocation).await.map_err(refuse)
    }

    /// Now, for a revocation that is to reach all tokens of before: by this node's clock, or by the one that all nodes have in
    /// common where that is later. `UNAVAILABLE` where they differ by more than [`REVOKED_AHEAD`]: one of them is wrong, and what
    /// was issued between would be left out, or what will be issued for years be revoked.
    pub async fn now(&self, caller: &Caller) -> Result<Timestamp, Refusal> {
        rules::administer(caller)?;
        let (shared, own) = (self.store.time().await.map_err(refuse)?, Timestamp::now());
        let differ = shared.millis().abs_diff(own.millis());
        if u128::from(differ) > REVOKED_AHEAD.as_millis() {
            tracing::error!(
                by_ms = differ,
                "the clocks of this node and of Redis differ: nothing was revoked by now"
            );
            return Err(ErrorCode::Unavailable.into());
        }
        Ok(shared.max(own))
    }

    /// Blanks a user's content; tombstones remain. Repeating it carries on.
    pub async fn erase(&self, caller: &Caller, user: &UserId) -> Result<Erased, Refusal> {
        rules::administer(caller)?;
        let user = UserKey { tenant: caller.tenant.clone(), user: user.clone() };
        self.store.erase(&user).await.map_err(refuse)
    }

    /// Counts of the tenant.
    pub async fn statistics(&self, caller: &Caller, now: Timestamp) -> Result<Statistics, Refusal> {
        rules::administer(caller)?;
        let stored = self.store.tenant_figures(&caller.tenant).await.map_err(refuse)?;
        let stored_bytes = self.store.stored_bytes(&caller.tenant).await.map_err(refuse)?;
        let live = self.live.live(&caller.tenant).await?;
        Ok(Statistics {
            sessions: live.sessions,
            users: live.users,
            rooms: stored.rooms,
            active_rooms: live.active_rooms,
            messages: stored.messages,
            notifications: stored.notifications,
            limits_hit: live.limits_hit,
            limits_in_use: live.limits_in_use,
            messages_left: live.messages,
            stored_bytes,
            stored_bytes_limit: live.storage_limit,
            time: now,
        })
    }
}
