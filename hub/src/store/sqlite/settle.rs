//! Settling: what was journalled goes home, room by room and in key order, so that each page of the log is written for
//! many entries at once. It goes on inside the groups' transactions, twice as fast as rows come, while more than
//! [`Options::unsettled`](super::Options::unsettled) entries wait, or so many rows that are no entries, and twice as fast
//! as bytes come while they are more than [`Options::unsettled_bytes`](super::Options::unsettled_bytes).

use rusqlite::Connection;

use crate::domain::marks::Marks;

use super::engine::Result;
use super::overlay::Publish;
use super::room_state::RoomState;
use super::rows;
use super::state::State;

/// Entries that one group settles at least, once there is something to settle.
const LEAST: usize = 64;
/// Bytes that one group settles at least, where too many wait.
const LEAST_BYTES: usize = 256 * 1024;
/// What a visit to a room weighs at least, in bytes.
const VISIT_BYTES: usize = 1_024;

const INSERT: &str =
    "INSERT INTO log VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";

impl State {
    /// Deletes journal rows that are home. Called at a group's beginning, so that what it appends takes their pages:
    /// each page is then written once, though `secure_delete` overwrites what is deleted.
    pub(super) fn delete_settled(&mut self, db: &Connection, appended: usize) -> Result<()> {
        if self.journal.deleted < self.journal.settled {
            let upto = (self.journal.deleted + 2 * appended.max(LEAST) as i64).min(self.journal.settled);
            db.prepare_cached("DELETE FROM journal WHERE id <= ?1")?.execute([upto])?;
            self.journal.deleted = upto;
        }
        Ok(())
    }

    /// Settles in proportion to what was appended, while too much waits. Rows of a journal that has few entries go as
    /// well: else marks alone would never let it end.
    pub(super) fn settle(&mut self, db: &Connection, appended: usize, appended_bytes: usize) -> Result<()> {
        let mut rows = 2 * appended.max(LEAST / 2);
        let mut bytes = 2 * appended_bytes.max(LEAST_BYTES / 2);
        while (rows > 0 && self.has_too_many_rows()) || (bytes > 0 && self.has_too_many_bytes()) {
            let Some(id) = self.journal.dirty.range(self.journal.cursor..).next().copied() else {
                self.finish_round(db)?;
                break;
            };
            self.journal.cursor = id;
            let Some(mut room) = self.rooms.take_cached(id) else {
                self.journal.dirty.remove(&id);
                continue;
            };
            let before = self.journal.unsettled_bytes;
            let count = self.settle_room(db, &mut room, rows.max(LEAST))?;
            rows = rows.saturating_sub(count.max(1));
            bytes = bytes.saturating_sub((before - self.journal.unsettled_bytes).max(VISIT_BYTES));
            self.rooms.put(room);
        }
        Ok(())
    }

    fn has_too_many_rows(&self) -> bool {
        self.journal.unsettled > self.unsettled || self.journal.rows_waiting() > 2 * self.unsettled
    }

    fn has_too_many_bytes(&self) -> bool {
        self.journal.unsettled_bytes > self.unsettled_bytes
    }

    /// Settles everything there is, of rooms with marks alone too. True once nothing is left.
    pub(super) fn settle_idle(&mut self, db: &Connection, mut budget: usize) -> Result<bool> {
        while budget > 0 {
            let Some(id) = self.journal.dirty.first().copied() else { break };
            let Some(mut room) = self.rooms.take_cached(id) else {
                self.journal.dirty.remove(&id);
                continue;
            };
            budget -= self.settle_room(db, &mut room, budget)?.max(1).min(budget);
            self.rooms.put(room);
        }
        if !self.journal.dirty.is_empty() {
            return Ok(false);
        }
        self.journal.cursor = 0;
        self.set_settled(db, self.journal.next - 1)?;
        self.journal.round = self.journal.next;
        self.delete_settled(db, 2_000)?;
        Ok(self.journal.deleted == self.journal.settled)
    }

    /// Settles up to `most` of a room's entries; gives how many. Head and marks follow with the last.
    pub(super) fn settle_room(
        &mut self,
        db: &Connection,
        room: &mut RoomState,
        most: usize,
    ) -> Result<usize> {
        let count = room.unsettled.len().min(most);
        let mut insert = db.prepare_cached(INSERT)?;
        for unsettled in room.unsettled.drain(..count) {
            let ids = (room.id, unsettled.sender, unsettled.member);
            rows::bind_entry(&mut insert, 1, ids, &unsettled.entry)?;
            insert.raw_execute()?;
            room.journalled.push_back((unsettled.entry.seq, unsettled.journal));
            self.journal.unsettled_bytes -= unsettled.size;
        }
        self.journal.unsettled -= count;
        while room.journalled.front().is_some_and(|(_, row)| *row <= self.journal.deleted) {
            room.journalled.pop_front();
        }
        let whole = room.unsettled.is_empty();
        if whole {
            settle_marks(db, room)?;
            settle_latest(db, room)?;
            room.save_head(db)?;
            self.journal.dirty.remove(&room.id);
        }
        self.publish.push(Publish::Settled { room: room.key.clone(), entries: count, whole });
        self.wrote = true;
        Ok(count)
    }

    /// Every room that had something unsettled when the round began has been visited since.
    fn finish_round(&mut self, db: &Connection) -> Result<()> {
        self.set_settled(db, self.journal.round - 1)?;
        self.journal.round = self.journal.next;
        self.journal.cursor = 0;
        Ok(())
    }

    fn set_settled(&mut self, db: &Connection, row: i64) -> Result<()> {
        if row > self.journal.settled {
            db.prepare_cached("UPDATE meta SET value = ?1 WHERE name = 'settled'")?.execute([row])?;
            self.journal.settled = row;
            self.wrote = true;
        }
        Ok(())
    }
}

fn settle_marks(db: &Connection, room: &mut RoomState) -> Result<()> {
    let mut marks: Vec<(i64, Marks)> = room.marks.drain().collect();
    marks.sort_unstable_by_key(|(user, _)| *user);
    let mut statement = db.prepare_cached(
        "INSERT INTO marks VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE
         SET delivered = excluded.delivered, read = excluded.read, read_number = excluded.read_number",
    )?;
    for (user, marks) in marks {
        let (delivered, read) = (marks.delivered.0 as i64, marks.read.0 as i64);
        statement.execute((room.id, user, delivered, read, marks.read_number as i64))?;
    }
    let mut writers: Vec<i64> = room.writers.drain().collect();
    writers.sort_unstable();
    let mut statement = db.prepare_cached("INSERT OR IGNORE INTO marks VALUES(?1, ?2, 0, 0, 0)")?;
    for user in writers {
        statement.execute((room.id, user))?;
    }
    Ok(())
}

fn settle_latest(db: &Connection, room: &mut RoomState) -> Result<()> {
    use crate::domain::entry::EntryBody;
    let mut statement = db.prepare_cached(
        "INSERT OR REPLACE INTO latest VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    for (key, (sender, entry)) in room.latest.drain() {
        let EntryBody::Event(event) = &entry.body else { continue };
        let (media_type, payload) = rows::content_values(event.payload.as_ref());
        statement.execute(rusqlite::params![
            room.id,
            key.as_str(),
            entry.seq.0 as i64,
            entry.tag.0,
            sender,
            entry.number as i64,
            entry.time.millis(),
            event.name.as_str(),
            media_type,
            payload,
            event.by_service,
        ])?;
    }
    Ok(())
}
