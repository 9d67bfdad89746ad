//! What the writer knows, ahead of what is committed by the group that it is applying. After a failed commit it is
//! wrong, so the writer stops then.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use rustc_hash::FxHashMap;

use crate::domain::names::{RoomKey, RoomName, TenantId};
use crate::domain::namespace::{NamespaceRules, Namespaces};
use crate::domain::position::{Epoch, Tag};
use crate::domain::time::Timestamp;
use crate::store::Change;

use super::engine::Result;
use super::idempotency::Keys;
use super::journal::Journal;
use super::names::Names;
use super::outbox::Outbox;
use super::overlay::Publish;
use super::room_state::RoomState;
use super::trim::TrimQueue;

/// Rooms that are cached; past that those which are settled leave the cache.
const CACHED_ROOMS: usize = 100_000;

/// Rooms by name. They are taken out while they are worked on.
#[derive(Default)]
pub(super) struct Rooms {
    ids: FxHashMap<RoomKey, i64>,
    states: FxHashMap<i64, Box<RoomState>>,
}

impl Rooms {
    /// Takes a room out; `None` where nothing was ever written to it.
    pub(super) fn take(
        &mut self,
        db: &Connection,
        names: &mut Names,
        key: &RoomKey,
    ) -> Result<Option<Box<RoomState>>> {
        if let Some(id) = self.ids.get(key) {
            return Ok(self.states.remove(id));
        }
        let Some(tenant) = names.find_tenant(db, &key.tenant)? else { return Ok(None) };
        Ok(RoomState::load(db, tenant, key)?.map(Box::new))
    }

    /// Takes a cached room out by its id.
    pub(super) fn take_cached(&mut self, id: i64) -> Option<Box<RoomState>> {
        self.states.remove(&id)
    }

    /// Puts a room back.
    pub(super) fn put(&mut self, room: Box<RoomState>) {
        if !self.ids.contains_key(&room.key) {
            self.ids.insert(room.key.clone(), room.id);
        }
        self.states.insert(room.id, room);
    }

    /// Rooms where a user wrote something that the tables do not tell of yet.
    pub(super) fn unsettled_of(&self, user: i64) -> Vec<RoomKey> {
        let wrote = |room: &RoomState| room.marks.contains_key(&user) || room.writers.contains(&user);
        self.states.values().filter(|room| wrote(room)).map(|room| room.key.clone()).collect()
    }

    /// Keeps the cache bounded. `deleted` is the journal's: a room whose copies are still there stays.
    pub(super) fn shrink(&mut self, deleted: i64) {
        if self.states.len() <= CACHED_ROOMS {
            return;
        }
        self.states.retain(|_, room| {
            !room.is_settled() || room.journalled.back().is_some_and(|(_, row)| *row > deleted)
        });
        let states = &self.states;
        self.ids.retain(|_, id| states.contains_key(id));
    }
}

/// The writer's state.
pub(super) struct State {
    pub(super) names: Names,
    pub(super) rooms: Rooms,
    pub(super) keys: Keys,
    pub(super) journal: Journal,
    pub(super) trims: TrimQueue,
    pub(super) outbox: Outbox,
    pub(super) namespaces: Arc<Namespaces>,
    pub(super) epoch: Epoch,
    /// Unsettled entries to keep.
    pub(super) unsettled: usize,
    /// Bytes of unsettled entries to keep.
    pub(super) unsettled_bytes: usize,
    /// How long notifications are kept.
    pub(super) notification_retention: Duration,
    /// The group's time.
    pub(super) now: Timestamp,
    /// What the group tells the sink.
    pub(super) changes: Vec<Change>,
    /// What the group publishes to readers.
    pub(super) publish: Vec<Publish>,
    /// Whether the group wrote anything.
    pub(super) wrote: bool,
    /// Whose bits tags are.
    pub(super) random: u64,
}

impl State {
    /// 32 random bits (splitmix64).
    pub(super) fn next_tag(&mut self) -> Tag {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.random;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Tag((bits ^ (bits >> 31)) as u32)
    }

    /// The rules of a room.
    pub(super) fn rules(&self, room: &RoomName) -> Option<&NamespaceRules> {
        self.namespaces.rules(room)
    }

    /// A room, made where it is new.
    pub(super) fn make_room(
        &mut self,
        db: &Connection,
        tenant: &TenantId,
        key: &RoomKey,
    ) -> Result<Box<RoomState>> {
        let tenant = self.names.tenant(db, tenant)?;
        Ok(Box::new(RoomState::create(db, tenant, key)?))
    }

    /// Keeps caches bounded. Called between groups.
    pub(super) fn shrink(&mut self) {
        self.names.shrink();
        self.rooms.shrink(self.journal.deleted);
    }
}
