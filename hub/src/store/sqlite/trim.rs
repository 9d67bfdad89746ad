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
use super::revocations;
use super::room_state::RoomState;
use super::schema::STORED_BYTES;
use super::state::State;

/// Entries or notifications that one step removes where little comes.
pub(super) const BATCH: u64 = 500;
/// What a visit to a room weighs at least, in entries.
const VISIT: u64 = 8;
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
    /// Whether the last step trimmed rooms: then it is the others' turn.
    trimmed_last: bool,
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

    /// Does one step: trims about `most` entries of rooms that have too many; in turn with that removes a batch of
    /// notifications, or looks for rooms to trim.
    pub(super) fn trim_step(&mut self, db: &Connection, most: u64) -> Result<()> {
        let looks = self.trims.notifications || self.trims.sweep.is_some();
        let has_its_turn = !looks || !self.trims.trimmed_last;
        self.trims.trimmed_last = has_its_turn && !self.trims.rooms.is_empty();
        if self.trims.trimmed_last {
            return self.trim_rooms(db, most);
        }
        if self.trims.notifications {
            let notifications = notices::remove_ended(db, self.now, BATCH as usize)?;
            let revocations = revocations::remove_ended(db, self.now, self.revoked_for, BATCH as usize)?;
            self.trims.notifications = notifications || revocations;
            return Ok(());
        }
        match self.trims.sweep {
            Some(after) => self.sweep(db, after),
            None => Ok(()),
        }
    }

    fn trim_rooms(&mut self, db: &Connection, most: u64) -> Result<()> {
        let mut left = most;
        while left > 0
            && let Some(key) = self.trims.pop()
        {
            let Some(mut room) = self.rooms.take(db, &mut self.names, &key)? else { continue };
            let (removed, more) = self.trim_room(db, &mut room, left)?;
            self.rooms.put(room);
            if more {
                self.trims.push(&key);
            }
            left = left.saturating_sub(removed.max(VISIT));
        }
        Ok(())
    }

    /// Trims up to `most` entries; how many, and whether more are left to do. What is to go first moves home, no more: a
    /// room that is always written to is never home as a whole.
    fn trim_room(&mut self, db: &Connection, room: &mut RoomState, most: u64) -> Result<(u64, bool)> {
        let Some(rules) = self.rules(&room.key.room).cloned() else { return Ok((0, false)) };
        let wanted = self.first_to_keep(db, room, &rules, most)?;
        let first = wanted.min(Seq(room.first.0 + most));
        if first <= room.first {
            return Ok((0, false));
        }
        let unsettled = first.0.saturating_sub(room.first_unsettled().0);
        if unsettled > 0 {
            self.settle_room(db, room, unsettled as usize)?;
        }
        let removed_bytes: i64 = db
            .prepare_cached(&format!(
                "SELECT ifnull(sum({STORED_BYTES}), 0) FROM log WHERE room = ?1 AND seq < ?2"
            ))?
            .query_row((room.id, first.0 as i64), |row| row.get(0))?;
        self.count_stored(room, removed_bytes as u64, 0);
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
        let removed = first.0 - room.first.0;
        room.first = first;
        room.save(db)?;
        self.changes.push(Change::Trimmed { room: room.key.clone(), first });
        self.wrote = true;
        Ok((removed, first < wanted))
    }

    /// The oldest entry to keep, as far as `most` entries from the oldest tell.
    fn first_to_keep(
        &self,
        db: &Connection,
        room: &RoomState,
        rules: &NamespaceRules,
        most: u64,
    ) -> Result<Seq> {
        let mut first = room.first;
        if let Some(most) = rules.retention_count {
            first = first.max(Seq((room.head.seq.0 + 1).saturating_sub(most)));
        }
        if let Some(age) = rules.retention_age {
            let oldest = self.now.millis() - age.as_millis() as i64;
            first = first.max(first_since(db, room, oldest, most)?);
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
            if self.has_too_much(db, last, &key, (row.get(3)?, row.get(4)?))? {
                self.trims.push(&key);
            }
        }
        self.trims.sweep = (seen == ROOMS).then_some(last);
        Ok(())
    }

    /// Whether a room has too much, whose first and last entries are `settled` as far as they are home.
    fn has_too_much(&mut self, db: &Connection, id: i64, key: &RoomKey, settled: (i64, i64)) -> Result<bool> {
        let Some(rules) = self.rules(&key.room) else { return Ok(false) };
        let (age, most) = (rules.retention_age, rules.retention_count);
        if age.is_none() && most.is_none() {
            return Ok(false);
        }
        let (first, head) = settled;
        let cached = self.rooms.take_cached(id);
        let kept = match &cached {
            Some(room) => kept(room),
            None => u64::try_from(head + 1 - first).unwrap_or(0),
        };
        let unsettled =
            cached.as_ref().and_then(|room| room.unsettled.front().map(|front| front.entry.time.millis()));
        if let Some(room) = cached {
            self.rooms.put(room);
        }
        let over = most.is_some_and(|most| kept > most);
        let Some(age) = age else { return Ok(over) };
        let mut statement =
            db.prepare_cached("SELECT time FROM log WHERE room = ?1 AND seq >= ?2 ORDER BY seq LIMIT 1")?;
        let oldest: Option<i64> = optional(statement.query_row((id, first), |row| row.get(0)))?.or(unsettled);
        Ok(over || oldest.is_some_and(|time| time < self.now.millis() - age.as_millis() as i64))
    }
}

/// The first entry of a room that is not older than `oldest`, or the last of `most` that are.
fn first_since(db: &Connection, room: &RoomState, oldest: i64, most: u64) -> Result<Seq> {
    let (end, unsettled) = (Seq(room.first.0 + most), room.first_unsettled());
    let mut statement = db.prepare_cached(
        "SELECT seq FROM log WHERE room = ?1 AND seq >= ?2 AND seq < ?3 AND time >= ?4 ORDER BY seq LIMIT 1",
    )?;
    let range = (room.id, room.first.0 as i64, end.min(unsettled).0 as i64, oldest);
    let young: Option<i64> = optional(statement.query_row(range, |row| row.get(0)))?;
    if let Some(young) = young {
        return Ok(Seq(young as u64));
    }
    // Times never go backwards in a room.
    let old = room.unsettled.partition_point(|unsettled| unsettled.entry.time.millis() < oldest);
    Ok(Seq(unsettled.0 + old as u64).min(end))
}

fn kept(room: &RoomState) -> u64 {
    (room.head.seq.0 + 1).saturating_sub(room.first.0)
}
