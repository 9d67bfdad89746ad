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
use super::rooms::Rooms;
use super::trim::TrimQueue;

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
    /// How long what is revoked before an instant is kept after it.
    pub(super) revoked_for: Option<Duration>,
    /// The group's time.
    pub(super) now: Timestamp,
    /// What the group tells the sink.
    pub(super) changes: Vec<Change>,
    /// What the group publishes to readers.
    pub(super) publish: Vec<Publish>,
    /// By how much the group changes what tenants' rooms hold, by the tenants' interned ids.
    pub(super) stored: FxHashMap<i64, i64>,
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

    /// Counts what a room came to hold, or less of it.
    pub(super) fn count_stored(&mut self, room: &RoomState, before: u64, after: u64) {
        *self.stored.entry(room.tenant).or_default() += after as i64 - before as i64;
    }

    /// Writes what was counted, within the transaction that it was counted in.
    pub(super) fn save_stored(&mut self, db: &Connection) -> Result<()> {
        for (tenant, change) in self.stored.drain().filter(|(_, change)| *change != 0) {
            db.prepare_cached("UPDATE tenants SET bytes = bytes + ?2 WHERE id = ?1")?
                .execute((tenant, change))?;
        }
        Ok(())
    }

    /// Keeps caches bounded. Called between groups.
    pub(super) fn shrink(&mut self) {
        self.names.shrink();
        self.rooms.shrink(self.journal.deleted);
    }
}
