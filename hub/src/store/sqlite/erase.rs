//! Erasing a user: a walk over the rooms that they ever wrote to, in small steps between groups.

use std::collections::VecDeque;

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::domain::entry::{EntryBody, ReactionKey};
use crate::domain::names::{RoomKey, RoomName, UserKey};
use crate::domain::position::Seq;
use crate::store::{Change, Erased, StoreError};

use super::apply::Blanked;
use super::engine::{EngineError, Result};
use super::overlay::Publish;
use super::room_state::RoomState;
use super::rows::{EDIT, EVENT, MESSAGE, REACTION};
use super::state::State;

/// Entries that one step blanks.
const BATCH: i64 = 200;
/// Notifications that one step removes.
const NOTIFICATIONS: i64 = 500;
/// What a blanked reaction's key reads as.
const NO_KEY: &str = "-";

/// An erasure under way.
pub(super) struct Erasure {
    user: UserKey,
    id: i64,
    rooms: VecDeque<RoomKey>,
    /// The last place of the first room that was blanked.
    after: i64,
    erased: Erased,
    /// Who waits for it.
    pub(super) reply: oneshot::Sender<std::result::Result<Erased, StoreError>>,
}

/// Where an erasure stands after a step.
pub(super) enum Step {
    /// There is more to do.
    More(Box<Erasure>),
    /// All is blanked; answer once that is durable.
    Done(Box<Erasure>),
}

impl Erasure {
    /// Answers what was erased.
    pub(super) fn answer(self) {
        // Nobody may be waiting any more.
        let _ = self.reply.send(Ok(self.erased));
    }
}

impl State {
    /// Begins an erasure.
    pub(super) fn begin_erasure(
        &mut self,
        db: &Connection,
        user: UserKey,
        reply: oneshot::Sender<std::result::Result<Erased, StoreError>>,
    ) -> Result<Erasure> {
        let found = match self.names.find_tenant(db, &user.tenant)? {
            Some(tenant) => self.names.find_user(db, tenant, &user.user)?,
            None => None,
        };
        let id = found.map_or(0, |user| user.id);
        let mut rooms = Self::written_rooms(db, &user, id)?;
        for key in self.rooms.unsettled_rooms(&user) {
            if !rooms.contains(&key) {
                rooms.push_back(key);
            }
        }
        Ok(Erasure { user, id, rooms, after: 0, erased: Erased::default(), reply })
    }

    fn written_rooms(db: &Connection, user: &UserKey, id: i64) -> Result<VecDeque<RoomKey>> {
        let mut statement = db.prepare_cached(
            "SELECT r.name FROM marks m JOIN rooms r ON r.id = m.room WHERE m.user = ?1 ORDER BY m.room",
        )?;
        let names: Vec<String> =
            statement.query_map([id], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        let key = |name: &String| -> Result<RoomKey> {
            let room = RoomName::parse(name).map_err(|_| EngineError::Damaged("room"))?;
            Ok(RoomKey { tenant: user.tenant.clone(), room })
        };
        names.iter().map(key).collect()
    }

    /// Does one step of an erasure.
    pub(super) fn erase_step(&mut self, db: &Connection, mut erasure: Box<Erasure>) -> Result<Step> {
        if let Some(key) = erasure.rooms.front().cloned() {
            if let Some(mut room) = self.rooms.take(db, &mut self.names, &key)? {
                let done = self.erase_in_room(db, &mut room, &mut erasure)?;
                self.rooms.put(room);
                if !done {
                    return Ok(Step::More(erasure));
                }
            }
            erasure.rooms.pop_front();
            erasure.after = 0;
            return Ok(Step::More(erasure));
        }
        let removed = db
            .prepare_cached(
                "DELETE FROM inbox WHERE user = ?1 AND seq IN (SELECT seq FROM inbox WHERE user = ?1 LIMIT ?2)",
            )?
            .execute((erasure.id, NOTIFICATIONS))?;
        erasure.erased.notifications += removed as u64;
        self.wrote = true;
        if removed as i64 == NOTIFICATIONS {
            return Ok(Step::More(erasure));
        }
        db.prepare_cached("DELETE FROM broadcast_state WHERE user = ?1")?.execute([erasure.id])?;
        db.prepare_cached("UPDATE users SET known_from = NULL, broadcast_read = 0 WHERE id = ?1")?
            .execute([erasure.id])?;
        if let Some(tenant) = self.names.find_tenant(db, &erasure.user.tenant)? {
            self.names.forget(tenant, &erasure.user.user);
        }
        self.changes.push(Change::Erased { user: erasure.user.clone() });
        Ok(Step::Done(erasure))
    }

    /// Blanks a batch of one room; true once the room is done.
    fn erase_in_room(
        &mut self,
        db: &Connection,
        room: &mut RoomState,
        erasure: &mut Erasure,
    ) -> Result<bool> {
        if !room.is_settled() {
            self.settle_room(db, room, 2 * BATCH as usize)?;
            if !room.is_settled() {
                return Ok(false);
            }
        }
        let mut statement = db.prepare_cached(
            "SELECT seq, kind FROM log WHERE room = ?1 AND sender = ?2 AND seq > ?3 AND kind IN (1, 2, 4, 7)
             ORDER BY seq LIMIT ?4",
        )?;
        let found: Vec<(i64, i64)> = statement
            .query_map((room.id, erasure.id, erasure.after, BATCH), |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        for (seq, kind) in &found {
            let blanked = match *kind {
                REACTION => self.blank_reaction(db, room, (Seq(*seq as u64), erasure.id))?,
                MESSAGE | EDIT | EVENT => self.blank(db, room, Seq(*seq as u64))?,
                _ => Blanked::Nothing,
            };
            erasure.erased.entries += u64::from(blanked == Blanked::Content);
            erasure.after = *seq;
        }
        if found.len() as i64 == BATCH {
            return Ok(false);
        }
        db.prepare_cached(
            "UPDATE latest SET content = NULL, media_type = NULL WHERE room = ?1 AND sender = ?2",
        )?
        .execute((room.id, erasure.id))?;
        db.prepare_cached("DELETE FROM marks WHERE room = ?1 AND user = ?2")?
            .execute((room.id, erasure.id))?;
        let user = erasure.user.user.clone();
        self.publish.push(Publish::Unmarked { room: room.key.clone(), user });
        self.wrote = true;
        Ok(true)
    }

    fn blank_reaction(
        &mut self,
        db: &Connection,
        room: &mut RoomState,
        (seq, id): (Seq, i64),
    ) -> Result<Blanked> {
        let Some(entry) = self.entry(db, room, seq)? else { return Ok(Blanked::Nothing) };
        let mut entry = (*entry).clone();
        let blank = ReactionKey::parse(NO_KEY).map_err(|_| EngineError::Damaged("key"))?;
        if let EntryBody::Reaction { target, key, .. } = &mut entry.body {
            db.prepare_cached(
                "DELETE FROM reactions WHERE room = ?1 AND seq = ?2 AND key = ?3 AND user = ?4",
            )?
            .execute((room.id, target.0 as i64, key.as_str(), id))?;
            *key = blank;
        }
        self.replace(db, room, entry)?;
        Ok(Blanked::Nothing)
    }
}
