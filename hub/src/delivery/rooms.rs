//! The active rooms, found by name.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::hash::BuildHasher;

use crate::domain::limits::EMPTY_ROOM_AFTER;
use crate::domain::names::{RoomKey, TenantId, UserKey};
use crate::domain::time::Timestamp;

use super::room::ActiveRoom;

/// Parts of the map, so that joins in different rooms do not wait for each other.
const PARTS: usize = 64;

/// Entries of a tail are kept this long at most: whoever is further behind reads the store.
const TAIL_AGE: Duration = Duration::from_secs(10);

type Part = Mutex<FxHashMap<RoomKey, Arc<ActiveRoom>>>;

/// All active rooms.
pub struct Rooms {
    parts: Vec<Part>,
    shards: usize,
}

impl Rooms {
    /// None yet, for this many runtimes.
    pub fn new(shards: usize) -> Self {
        Self { parts: (0..PARTS).map(|_| Part::default()).collect(), shards }
    }

    fn part(&self, key: &RoomKey) -> &Part {
        let hash = rustc_hash::FxBuildHasher.hash_one(key);
        &self.parts[(hash >> 48) as usize % PARTS]
    }

    /// The room, where it is active.
    pub fn get(&self, key: &RoomKey) -> Option<Arc<ActiveRoom>> {
        self.part(key).lock().get(key).cloned()
    }

    /// The room, made active where it was not.
    pub fn get_or_insert(&self, key: &RoomKey) -> Arc<ActiveRoom> {
        let mut part = self.part(key).lock();
        if let Some(room) = part.get(key) {
            return Arc::clone(room);
        }
        let room = Arc::new(ActiveRoom::new(key.clone(), self.shards));
        part.insert(key.clone(), Arc::clone(&room));
        room
    }

    /// Takes a room out whose log is another one now: whoever asks for it gets a new one.
    pub fn take(&self, key: &RoomKey) -> Option<Arc<ActiveRoom>> {
        self.part(key).lock().remove(key)
    }

    /// How many are active.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.lock().len()).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many are followed, of a tenant or of all.
    pub fn followed(&self, tenant: Option<&TenantId>) -> usize {
        let is_of = |room: &ActiveRoom| tenant.is_none_or(|tenant| room.key.tenant == *tenant);
        let followed = |room: &ActiveRoom| is_of(room) && room.follower_count() > 0;
        self.parts.iter().map(|part| part.lock().values().filter(|room| followed(room)).count()).sum()
    }

    /// Frees rooms that nobody has followed for a while, and tails that nobody needs. A room that somebody is about to
    /// follow is held by them, and so stays.
    pub fn sweep(&self, now: Timestamp) {
        let tail_age = Timestamp(now.millis() - TAIL_AGE.as_millis() as i64);
        for part in &self.parts {
            let mut part = part.lock();
            part.retain(|_, room| {
                room.shrink(Some(tail_age));
                let idle = room.idle_since().is_some_and(|since| now.since(since) >= EMPTY_ROOM_AFTER);
                !(idle && Arc::strong_count(room) == 1)
            });
            if part.capacity() > 64 && part.len() < part.capacity() / 4 {
                part.shrink_to_fit();
            }
        }
    }

    /// Forgets all: whoever asks for a room gets a new one.
    pub fn clear(&self) {
        for part in &self.parts {
            part.lock().clear();
        }
    }

    /// Drops the tails of a tenant's rooms, or of all: what they hold may have been blanked.
    pub fn forget_tails(&self, tenant: Option<&TenantId>) {
        for part in &self.parts {
            for (key, room) in part.lock().iter() {
                if tenant.is_none_or(|tenant| key.tenant == *tenant) {
                    room.shrink(None);
                }
            }
        }
    }

    /// A user's marks are no more.
    pub fn forget_marks(&self, user: &UserKey) {
        for part in &self.parts {
            let part = part.lock();
            let rooms = part.iter().filter(|(key, _)| key.tenant == user.tenant);
            rooms.for_each(|(_, room)| room.marks.forget(&user.user));
        }
    }
}
