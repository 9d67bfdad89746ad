//! Retention: what is too old or too much goes, entries and notifications, in small batches between groups.

use std::collections::VecDeque;

use rusqlite::Connection;
use rustc_hash::FxHashSet;

use crate::domain::names::{RoomKey, RoomName, TenantId};
use crate::domain::namespace::NamespaceRules;
use crate::domain::position::Seq;
use crate::store::Change;

use super::engine::{EngineError, Result, optional};
use super::notices;
use super::room_state::RoomState;
use super::state::State;

/// Entries that one step removes.
const BATCH: u64 = 500;
/// Rooms that one step of a sweep looks at.
const ROOMS: i64 = 500;

/// Rooms that have too much, and where the sweep for what is too old has got to.
#[derive(Default)]
pub(super) struct TrimQueue {
    rooms: VecDeque<RoomKey>,
    queued: FxHashSet<RoomKey>,
    sweep: Option<i64>,
    /// Whether notifications are to be looked through.
    notifications: bool,
}

impl TrimQueue {
    fn push(&mut self, room: &RoomKey) {
        if self.queued.insert(room.clone()) {
            self.rooms.push_back(room.clone());
        }
    }

    fn pop(&mut self) -> Option<RoomKey> {
        let room = self.rooms.pop_front()?;
        self.queued.remove(&room);
        Some(room)
    }

    /// Begins to look through all rooms, and for notifications that have ended.
    pub(super) fn begin_sweep(&mut self) {
        self.sweep.get_or_insert(0);
        self.notifications = true;
    }

    /// Whether there is something to do.
    pub(super) fn is_busy(&self) -> bool {
        !self.rooms.is_empty() || self.sweep.is_some() || self.notifications
    }
}

impl State {
    /// Notes a room that has more than its namespace keeps. A little more is let be, so that a full room is not trimmed
    /// at each append.
    pub(super) fn queue_trim(&mut self, room: &RoomState) {
        let most = self.rules(&room.key.room).and_then(|rules| rules.retention_count);
        if let Some(most) = most
            && kept(room) > most + most / 64
        {
            self.trims.push(&room.key);
        }
    }

    /// Does one step: trims a batch of one room, removes a batch of notifications, or looks for rooms to trim.
    pub(super) fn trim_step(&mut self, db: &Connection) -> Result<()> {
        if let Some(key) = self.trims.pop() {
            let Some(mut room) = self.rooms.take(db, &mut self.names, &key)? else { return Ok(()) };
            let more = self.trim_room(db, &mut room)?;
            self.rooms.put(room);
            if more {
                self.trims.push(&key);
            }
            return Ok(());
        }
        if self.trims.notifications {
            self.trims.notifications = notices::remove_ended(db, self.now, BATCH as usize)?;
            return Ok(());
        }
        match self.trims.sweep {
            Some(after) => self.sweep(db, after),
            None => Ok(()),
        }
    }

    /// Trims a batch; whether more is left to do.
    fn trim_room(&mut self, db: &Connection, room: &mut RoomState) -> Result<bool> {
        let Some(rules) = self.rules(&room.key.room).cloned() else { return Ok(false) };
        if !room.is_settled() {
            self.settle_room(db, room, BATCH as usize)?;
            if !room.is_settled() {
                return Ok(true);
            }
        }
        let wanted = self.first_to_keep(db, room, &rules)?;
        let first = wanted.min(Seq(room.first.0 + BATCH));
        if first <= room.first {
            return Ok(false);
        }
        for sql in [
            "DELETE FROM log WHERE room = ?1 AND seq < ?2",
            "DELETE FROM reactions WHERE room = ?1 AND seq < ?2",
            "DELETE FROM edits WHERE room = ?1 AND target < ?2",
        ] {
            db.prepare_cached(sql)?.execute((room.id, first.0 as i64))?;
        }
        if !rules.latest_per_key {
            db.prepare_cached("DELETE FROM latest WHERE room = ?1 AND seq < ?2")?
                .execute((room.id, first.0 as i64))?;
        }
        room.first = first;
        room.save(db)?;
        self.changes.push(Change::Trimmed { room: room.key.clone(), first });
        self.wrote = true;
        Ok(first < wanted)
    }

    fn first_to_keep(&self, db: &Connection, room: &RoomState, rules: &NamespaceRules) -> Result<Seq> {
        let mut first = room.first;
        if let Some(most) = rules.retention_count {
            first = first.max(Seq((room.head.seq.0 + 1).saturating_sub(most)));
        }
        if let Some(age) = rules.retention_age {
            let oldest = self.now.millis() - age.as_millis() as i64;
            let mut statement = db.prepare_cached(
                "SELECT seq FROM (SELECT seq, time FROM log WHERE room = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3)
                 WHERE time >= ?4 ORDER BY seq LIMIT 1",
            )?;
            let young: Option<i64> = optional(
                statement
                    .query_row((room.id, room.first.0 as i64, BATCH as i64 + 1, oldest), |row| row.get(0)),
            )?;
            let by_age = young.map_or(Seq(room.first.0 + BATCH), |seq| Seq(seq as u64));
            first = first.max(by_age.min(room.head.seq.next()));
        }
        Ok(first)
    }

    /// Looks at some rooms for entries that are too old.
    fn sweep(&mut self, db: &Connection, after: i64) -> Result<()> {
        let mut statement = db.prepare_cached(
            "SELECT r.id, t.name, r.name, r.first, r.head FROM rooms r JOIN tenants t ON t.id = r.tenant
             WHERE r.id > ?1 ORDER BY r.id LIMIT ?2",
        )?;
        let mut rows = statement.query((after, ROOMS))?;
        let (mut last, mut seen) = (after, 0);
        while let Some(row) = rows.next()? {
            last = row.get(0)?;
            seen += 1;
            let (tenant, name): (String, String) = (row.get(1)?, row.get(2)?);
            let damaged = |_| EngineError::Damaged("name");
            let key = RoomKey {
                tenant: TenantId::parse(&tenant).map_err(damaged)?,
                room: RoomName::parse(&name).map_err(damaged)?,
            };
            if self.has_too_old(db, last, &key, row.get(3)?)? {
                self.trims.push(&key);
            }
        }
        self.trims.sweep = (seen == ROOMS).then_some(last);
        Ok(())
    }

    fn has_too_old(&mut self, db: &Connection, id: i64, key: &RoomKey, first: i64) -> Result<bool> {
        let Some(rules) = self.rules(&key.room) else { return Ok(false) };
        let (age, most) = (rules.retention_age, rules.retention_count);
        if age.is_none() && most.is_none() {
            return Ok(false);
        }
        let cached = self.rooms.take_cached(id);
        let unsettled =
            cached.as_ref().and_then(|room| room.unsettled.front().map(|front| front.entry.time.millis()));
        let over = most.is_some_and(|most| cached.as_ref().is_some_and(|room| kept(room) > most));
        if let Some(room) = cached {
            self.rooms.put(room);
        }
        let Some(age) = age else { return Ok(over) };
        let mut statement =
            db.prepare_cached("SELECT time FROM log WHERE room = ?1 AND seq >= ?2 ORDER BY seq LIMIT 1")?;
        let oldest: Option<i64> = optional(statement.query_row((id, first), |row| row.get(0)))?.or(unsettled);
        Ok(over || oldest.is_some_and(|time| time < self.now.millis() - age.as_millis() as i64))
    }
}

fn kept(room: &RoomState) -> u64 {
    (room.head.seq.0 + 1).saturating_sub(room.first.0)
}
