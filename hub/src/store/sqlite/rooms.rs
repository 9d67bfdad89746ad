//! The rooms that the writer has in memory. Those that were not used lately leave, a few looks at a time: a clock with a
//! second chance, so that no commit waits for a look through all of them.

use std::collections::VecDeque;

use rusqlite::Connection;
use rustc_hash::FxHashMap;

use crate::domain::names::RoomKey;

use super::engine::Result;
use super::names::Names;
use super::room_state::RoomState;

/// Bytes of cached rooms, about; what is not home yet is not counted, as it has a bound of its own.
const CACHED_BYTES: usize = 64 << 20;
/// Rooms that one commit looks at, besides two for each that it brought in.
const LOOKS: usize = 32;

/// Rooms by name. They are taken out while they are worked on.
pub(super) struct Rooms {
    ids: FxHashMap<RoomKey, i64>,
    states: FxHashMap<i64, Box<RoomState>>,
    /// The clock: each cached room once.
    ring: VecDeque<i64>,
    /// What those in `states` weigh.
    bytes: usize,
    most: usize,
    /// Rooms that came in since the last look.
    added: usize,
}

impl Default for Rooms {
    fn default() -> Self {
        Self {
            ids: FxHashMap::default(),
            states: FxHashMap::default(),
            ring: VecDeque::new(),
            bytes: 0,
            most: CACHED_BYTES,
            added: 0,
        }
    }
}

impl Rooms {
    /// Takes a room out; `None` where nothing was ever written to it.
    pub(super) fn take(
        &mut self,
        db: &Connection,
        names: &mut Names,
        key: &RoomKey,
    ) -> Result<Option<Box<RoomState>>> {
        if let Some(id) = self.ids.get(key).copied() {
            return Ok(self.take_cached(id));
        }
        let Some(tenant) = names.find_tenant(db, &key.tenant)? else { return Ok(None) };
        Ok(RoomState::load(db, tenant, key)?.map(Box::new))
    }

    /// Takes a cached room out by its id.
    pub(super) fn take_cached(&mut self, id: i64) -> Option<Box<RoomState>> {
        let room = self.states.remove(&id)?;
        self.bytes -= room.weight;
        Some(room)
    }

    /// Puts a room back.
    pub(super) fn put(&mut self, mut room: Box<RoomState>) {
        if !self.ids.contains_key(&room.key) {
            self.ids.insert(room.key.clone(), room.id);
            self.ring.push_back(room.id);
            self.added += 1;
        }
        room.used = true;
        room.weight = room.size();
        self.bytes += room.weight;
        self.states.insert(room.id, room);
    }

    /// Those of some rooms where a user wrote something that the tables do not tell of yet.
    pub(super) fn unsettled_of(&self, rooms: impl Iterator<Item = i64>, user: i64) -> VecDeque<RoomKey> {
        let wrote = |room: &&RoomState| room.marks.contains_key(&user) || room.writers.contains(&user);
        rooms
            .filter_map(|id| self.states.get(&id).map(|room| &**room))
            .filter(wrote)
            .map(|room| room.key.clone())
            .collect()
    }

    /// Keeps the cache bounded. `deleted` is the journal's: a room whose copies are still there stays.
    pub(super) fn shrink(&mut self, deleted: i64) {
        let mut looks = LOOKS + 2 * std::mem::take(&mut self.added);
        while self.bytes > self.most
            && looks > 0
            && let Some(id) = self.ring.pop_front()
        {
            looks -= 1;
            let Some(room) = self.states.get_mut(&id) else { continue };
            let is_copied = room.journalled.back().is_some_and(|(_, row)| *row > deleted);
            if std::mem::take(&mut room.used) || !room.is_settled() || is_copied {
                self.ring.push_back(id);
            } else if let Some(room) = self.take_cached(id) {
                self.ids.remove(&room.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;
    use crate::domain::names::{RoomName, TenantId};

    fn key(number: usize) -> RoomKey {
        RoomKey {
            tenant: TenantId::parse("acme").unwrap(),
            room: RoomName::parse(&format!("room:{number}")).unwrap(),
        }
    }

    /// A cache with place for about a hundred rooms, and what it caches.
    fn scene() -> (Connection, Names, Rooms) {
        let mut db = Connection::open_in_memory().unwrap();
        schema::migrate(&mut db).unwrap();
        let mut names = Names::default();
        let tenant = names.tenant(&db, &key(0).tenant).unwrap();
        for number in 0..1_000 {
            RoomState::create(&db, tenant, &key(number)).unwrap();
        }
        let size = RoomState::create(&db, tenant, &key(1_000)).unwrap().size();
        (db, names, Rooms { most: 100 * size, ..Rooms::default() })
    }

    #[test]
    fn what_is_used_stays_and_what_is_not_leaves() {
        let (db, mut names, mut rooms) = scene();
        for number in 0..1_000 {
            for used in [0, number] {
                let room = rooms.take(&db, &mut names, &key(used)).unwrap().unwrap();
                assert_eq!(room.key, key(used));
                rooms.put(room);
            }
            rooms.shrink(0);
            assert!(rooms.ids.contains_key(&key(0)), "{number}");
            // A commit may bring in more than it makes leave, but not for long.
            assert!(rooms.bytes <= 2 * rooms.most && rooms.ring.len() == rooms.states.len());
        }
        assert!(!rooms.ids.contains_key(&key(1)) && rooms.ids.contains_key(&key(999)));
        assert_eq!(rooms.bytes, rooms.states.values().map(|room| room.weight).sum::<usize>());
        assert_eq!(rooms.ids.len(), rooms.states.len());
    }

    #[test]
    fn what_is_not_home_stays() {
        let (db, mut names, mut rooms) = scene();
        for number in 0..1_000 {
            let mut room = rooms.take(&db, &mut names, &key(number)).unwrap().unwrap();
            room.writers.insert(7);
            rooms.put(room);
            rooms.shrink(0);
        }
        assert_eq!(rooms.states.len(), 1_000);
        let ids: Vec<i64> = rooms.states.keys().copied().collect();
        assert_eq!(rooms.unsettled_of(ids.iter().copied(), 7).len(), 1_000);
        for id in ids {
            let mut room = rooms.take_cached(id).unwrap();
            room.writers.clear();
            rooms.put(room);
        }
        for _ in 0..100 {
            rooms.shrink(0);
        }
        assert!(rooms.bytes <= rooms.most);
    }
}
