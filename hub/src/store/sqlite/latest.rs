//! Shared state: the last event of each key, in namespaces that keep it. It is handed over whole to who joins, so it is
//! bounded: what does not fit any more is refused, and whoever publishes is told so.
//!
//! An event without payload takes its key out of the state. It is kept as long as no new key needs its place, for those who
//! come back with a copy in which the key still is.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::Connection;
use rustc_hash::FxHashMap;

use crate::domain::entry::{Entry, EntryBody, Event, EventKey};
use crate::domain::limits::{STATE_BYTES, STATE_KEYS};
use crate::domain::position::Seq;
use crate::store::{Outcome, Write};

use super::engine::{EngineError, Result};
use super::overlay::Publish;
use super::room_state::RoomState;
use super::state::State;

/// What it takes to remember how large the event of a key is.
const KEPT_BYTES: usize = 128;

/// What a room's state holds: how large the last event of each key is.
#[derive(Default)]
pub(super) struct Kept {
    /// With the place of those that say nothing.
    sizes: FxHashMap<EventKey, (usize, Option<Seq>)>,
    bytes: usize,
    /// Keys whose last event says nothing, by its place.
    emptied: BTreeMap<Seq, EventKey>,
}

impl Kept {
    fn load(db: &Connection, room: &RoomState) -> Result<Self> {
        let mut kept = Self::default();
        let mut statement = db.prepare_cached(
            "SELECT key, length(CAST(name AS BLOB)) + coalesce(length(CAST(content AS BLOB)), 0), seq, content IS NULL
             FROM latest WHERE room = ?1",
        )?;
        let mut rows = statement.query([room.id])?;
        while let Some(row) = rows.next()? {
            let key = row.get_ref(0)?.as_str().map_err(|_| EngineError::Damaged("event key"))?;
            let key = EventKey::parse(key).map_err(|_| EngineError::Damaged("event key"))?;
            let seq = Seq(row.get::<_, i64>(2)? as u64);
            kept.put(&key, row.get::<_, i64>(1)? as usize, row.get::<_, bool>(3)?.then_some(seq));
        }
        for (key, (_, entry)) in &room.latest {
            if let EntryBody::Event(event) = &entry.body {
                kept.put(key, size(event), event.payload.is_none().then_some(entry.seq));
            }
        }
        Ok(kept)
    }

    /// About how many bytes it takes in memory.
    pub(super) fn size(&self) -> usize {
        self.sizes.len() * KEPT_BYTES
    }

    /// The event of a key is now so large, and says nothing where it has a place here.
    fn put(&mut self, key: &EventKey, size: usize, emptied: Option<Seq>) {
        self.remove(key);
        self.bytes += size + key.as_str().len();
        self.sizes.insert(key.clone(), (size, emptied));
        if let Some(seq) = emptied {
            self.emptied.insert(seq, key.clone());
        }
    }

    fn remove(&mut self, key: &EventKey) {
        if let Some((size, emptied)) = self.sizes.remove(key) {
            self.bytes -= size + key.as_str().len();
            emptied.map(|seq| self.emptied.remove(&seq));
        }
    }

    /// Whether an event fits. One that makes the state no larger always does.
    fn has_place(&self, key: &EventKey, event: &Event) -> bool {
        let size = size(event);
        let has_key = self.sizes.len() < STATE_KEYS || !self.emptied.is_empty();
        match self.sizes.get(key) {
            _ if event.payload.is_none() => true,
            Some((before, _)) => size <= *before || self.bytes + size - before <= STATE_BYTES,
            None => has_key && self.bytes + size + key.as_str().len() <= STATE_BYTES,
        }
    }

    /// Takes out the key that was emptied first, where there are more than there may be.
    fn give_way(&mut self) -> Option<EventKey> {
        let (_, key) = self.emptied.first_key_value().filter(|_| self.sizes.len() > STATE_KEYS)?;
        let key = key.clone();
        self.remove(&key);
        Some(key)
    }
}

fn size(event: &Event) -> usize {
    event.name.as_str().len() + event.payload.as_ref().map_or(0, |payload| payload.as_bytes().len())
}

impl State {
    /// Whether the room's namespace keeps the last event of each key.
    pub(super) fn keeps_state(&self, room: &RoomState) -> bool {
        self.rules(&room.key.room).is_some_and(|rules| rules.latest_per_key)
    }

    /// Whether an outcome would make the room's state larger than it may be.
    pub(super) fn is_state_full(
        &self,
        db: &Connection,
        room: &mut RoomState,
        outcome: &Outcome,
    ) -> Result<bool> {
        if !self.keeps_state(room) {
            return Ok(false);
        }
        for write in &outcome.writes {
            let Write::Append(EntryBody::Event(event)) = write else { continue };
            let Some(key) = &event.key else { continue };
            let kept = match room.kept.take() {
                Some(kept) => kept,
                None => Kept::load(db, room)?,
            };
            let has_place = kept.has_place(key, event);
            room.kept = Some(kept);
            if !has_place {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Keeps the last event of each key apart where the namespace says so, so that retention may pass it. Whether it did.
    pub(super) fn keep_latest(
        &mut self,
        db: &Connection,
        room: &mut RoomState,
        sender: i64,
        entry: &Arc<Entry>,
    ) -> Result<bool> {
        let EntryBody::Event(event) = &entry.body else { return Ok(false) };
        let Some(key) = event.key.as_ref().filter(|_| self.keeps_state(room)) else { return Ok(false) };
        if let Some(kept) = &mut room.kept {
            if event.payload.is_none() && !kept.sizes.contains_key(key) {
                return Ok(false);
            }
            kept.put(key, size(event), event.payload.is_none().then_some(entry.seq));
            if let Some(oldest) = kept.give_way() {
                room.latest.remove(&oldest);
                db.prepare_cached("DELETE FROM latest WHERE room = ?1 AND key = ?2")?
                    .execute((room.id, oldest.as_str()))?;
                self.publish.push(Publish::Forgotten { room: room.key.clone(), key: oldest });
            }
        }
        room.latest.insert(key.clone(), (sender, Arc::clone(entry)));
        Ok(true)
    }
}
