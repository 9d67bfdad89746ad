//! What is committed but not yet home, for readers: each room's unsettled entries, its head and its marks.
//!
//! The writer publishes here after each commit, and removes what has settled after the commit that settled it. A reader
//! copies from here first and reads the database after: what left in between is in the database by then, so a page has
//! no holes.

use std::collections::VecDeque;
use std::hash::{BuildHasher, BuildHasherDefault};
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHasher};

use crate::domain::entry::{Entry, EntryBody, EventKey};
use crate::domain::marks::Marks;
use crate::domain::names::{RoomKey, RoomName, TenantId, UserId};
use crate::domain::position::{Seq, Tag};

/// Locks that the rooms are spread over.
const SHARDS: usize = 64;

/// The end of a room's log.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Head {
    /// The last entry.
    pub(super) seq: Seq,
    /// Its tag.
    pub(super) tag: Tag,
    /// The number at it.
    pub(super) number: u64,
    /// When it was accepted, in milliseconds.
    pub(super) time: i64,
    /// The last message.
    pub(super) last_message: Seq,
}

/// A room's unsettled state.
#[derive(Default)]
pub(super) struct RoomOverlay {
    /// The end of its log.
    pub(super) head: Head,
    /// Unsettled entries, oldest first, without holes up to the head.
    pub(super) entries: VecDeque<Arc<Entry>>,
    /// Marks that differ from the table.
    pub(super) marks: FxHashMap<UserId, Marks>,
    /// The last events of keys, where a later one than in the table.
    pub(super) latest: FxHashMap<EventKey, Arc<Entry>>,
}

/// A change of the overlay, collected while a group is applied and published after its commit.
pub(super) enum Publish {
    /// An entry was appended.
    Append { room: RoomKey, head: Head, entry: Arc<Entry>, latest: bool },
    /// An unsettled entry reads differently now.
    Replace { room: RoomKey, entry: Arc<Entry> },
    /// A keyed event was blanked.
    Latest { room: RoomKey, entry: Arc<Entry> },
    /// A key's last event is kept no longer.
    Forgotten { room: RoomKey, key: EventKey },
    /// A user's marks rose.
    Marks { room: RoomKey, head: Head, user: UserId, marks: Marks },
    /// The oldest `entries` went home; with `whole` all of the room did.
    Settled { room: RoomKey, entries: usize, whole: bool },
    /// A user's marks were removed.
    Unmarked { room: RoomKey, user: UserId },
}

/// All rooms' unsettled state.
pub(super) struct Overlay {
    shards: Box<[Mutex<FxHashMap<RoomKey, RoomOverlay>>]>,
}

impl Overlay {
    pub(super) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    fn shard(&self, room: &RoomKey) -> &Mutex<FxHashMap<RoomKey, RoomOverlay>> {
        let hash = BuildHasherDefault::<FxHasher>::default().hash_one(room);
        // FxHasher mixes upwards: its high bits are its best.
        &self.shards[(hash >> 58) as usize % SHARDS]
    }

    /// Looks at a room's unsettled state; `None` where all is home. `look` must not wait.
    pub(super) fn look<T>(&self, room: &RoomKey, look: impl FnOnce(&RoomOverlay) -> T) -> Option<T> {
        self.shard(room).lock().get(room).map(look)
    }

    /// The rooms of a tenant whose end is not home yet, and the number at it.
    pub(super) fn heads_of(&self, tenant: &TenantId) -> Vec<(RoomName, u64)> {
        let mut heads = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock();
            let of_tenant = shard.iter().filter(|(room, _)| room.tenant == *tenant);
            heads.extend(of_tenant.map(|(room, overlay)| (room.room.clone(), overlay.head.number)));
        }
        heads
    }

    /// Publishes what a group changed.
    pub(super) fn publish(&self, changes: &mut Vec<Publish>) {
        for change in changes.drain(..) {
            self.publish_one(change);
        }
    }

    fn publish_one(&self, change: Publish) {
        match change {
            Publish::Append { room, head, entry, latest } => {
                let mut shard = self.shard(&room).lock();
                let overlay = shard.entry(room).or_default();
                overlay.head = head;
                if let (true, EntryBody::Event(event)) = (latest, &entry.body)
                    && let Some(key) = &event.key
                {
                    overlay.latest.insert(key.clone(), Arc::clone(&entry));
                }
                overlay.entries.push_back(entry);
            }
            Publish::Replace { room, entry } => {
                if let Some(overlay) = self.shard(&room).lock().get_mut(&room) {
                    overlay.replace(entry);
                }
            }
            Publish::Latest { room, entry } => {
                if let (Some(overlay), EntryBody::Event(event)) =
                    (self.shard(&room).lock().get_mut(&room), &entry.body)
                    && let Some(slot) = event.key.as_ref().and_then(|key| overlay.latest.get_mut(key))
                {
                    *slot = entry;
                }
            }
            Publish::Forgotten { room, key } => {
                if let Some(overlay) = self.shard(&room).lock().get_mut(&room) {
                    overlay.latest.remove(&key);
                }
            }
            Publish::Marks { room, head, user, marks } => {
                let mut shard = self.shard(&room).lock();
                let overlay = shard.entry(room).or_default();
                overlay.head = head;
                overlay.marks.insert(user, marks);
            }
            Publish::Settled { room, entries, whole } => {
                let mut shard = self.shard(&room).lock();
                if whole {
                    shard.remove(&room);
                } else if let Some(overlay) = shard.get_mut(&room) {
                    overlay.entries.drain(..entries.min(overlay.entries.len()));
                }
            }
            Publish::Unmarked { room, user } => {
                if let Some(overlay) = self.shard(&room).lock().get_mut(&room) {
                    overlay.marks.remove(&user);
                }
            }
        }
    }
}

impl RoomOverlay {
    /// The oldest unsettled seq; one past the head where there is none.
    pub(super) fn first(&self) -> Seq {
        self.entries.front().map_or(self.head.seq.next(), |entry| entry.seq)
    }

    fn replace(&mut self, entry: Arc<Entry>) {
        let index = entry.seq.0.checked_sub(self.first().0);
        if let Some(slot) = index.and_then(|index| self.entries.get_mut(index as usize)) {
            *slot = entry;
        }
    }
}
