//! Shared state: the last event of each key, in namespaces that keep it. It is handed over whole to who joins, so it is
//! bounded: what does not fit any more is refused, and whoever publishes is told so.

use rusqlite::Connection;
use rustc_hash::FxHashMap;

use crate::domain::entry::{EntryBody, Event, EventKey};
use crate::domain::limits::{STATE_BYTES, STATE_KEYS};
use crate::store::{Outcome, Write};

use super::engine::{EngineError, Result};
use super::room_state::RoomState;
use super::state::State;

/// What it takes to remember how large the event of a key is.
const KEPT_BYTES: usize = 128;

/// What a room's state holds: how large the last event of each key is.
#[derive(Default)]
pub(super) struct Kept {
    sizes: FxHashMap<EventKey, usize>,
    bytes: usize,
}

impl Kept {
    fn load(db: &Connection, room: &RoomState) -> Result<Self> {
        let mut kept = Self::default();
        let mut statement = db.prepare_cached(
            "SELECT key, length(CAST(name AS BLOB)) + coalesce(length(CAST(content AS BLOB)), 0)
             FROM latest WHERE room = ?1",
        )?;
        let mut rows = statement.query([room.id])?;
        while let Some(row) = rows.next()? {
            let key = row.get_ref(0)?.as_str().map_err(|_| EngineError::Damaged("event key"))?;
            let key = EventKey::parse(key).map_err(|_| EngineError::Damaged("event key"))?;
            kept.put(&key, row.get::<_, i64>(1)? as usize);
        }
        for (key, (_, entry)) in &room.latest {
            if let EntryBody::Event(event) = &entry.body {
                kept.put(key, size(event));
            }
        }
        Ok(kept)
    }

    /// About how many bytes it takes in memory.
    pub(super) fn size(&self) -> usize {
        self.sizes.len() * KEPT_BYTES
    }

    /// The event of a key is now so large.
    fn put(&mut self, key: &EventKey, size: usize) {
        self.bytes += size + key.as_str().len();
        if let Some(before) = self.sizes.insert(key.clone(), size) {
            self.bytes -= before + key.as_str().len();
        }
    }

    /// Whether an event so large fits. One that makes the state no larger always does.
    fn has_place(&self, key: &EventKey, size: usize) -> bool {
        match self.sizes.get(key) {
            Some(before) => size <= *before || self.bytes + size - before <= STATE_BYTES,
            None => self.sizes.len() < STATE_KEYS && self.bytes + size + key.as_str().len() <= STATE_BYTES,
        }
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
            let has_place = kept.has_place(key, size(event));
            room.kept = Some(kept);
            if !has_place {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes note of an event that was appended.
    pub(super) fn note_state(room: &mut RoomState, key: &EventKey, event: &Event) {
        if let Some(kept) = &mut room.kept {
            kept.put(key, size(event));
        }
    }
}
