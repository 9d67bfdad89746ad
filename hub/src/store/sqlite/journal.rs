//! The journal: what was appended, in the order of commits. Rows go home by [`settle`](super::settle) and are deleted
//! behind it.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::domain::entry::Entry;
use crate::domain::marks::Marks;
use crate::domain::time::Timestamp;

use super::engine::Result;
use super::rows;

const INSERT: &str =
    "INSERT INTO journal VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";

/// Where the journal stands. Row ids are never used twice: the last one is the store's count of commits.
pub(super) struct Journal {
    /// The next row's id.
    pub(super) next: i64,
    /// All rows up to here are home.
    pub(super) settled: i64,
    /// All rows up to here are deleted.
    pub(super) deleted: i64,
    /// The first row that was written after the running round over the rooms began.
    pub(super) round: i64,
    /// Entries that are in the journal only.
    pub(super) unsettled: usize,
    /// Bytes of them.
    pub(super) unsettled_bytes: usize,
    /// Bytes of all entries that were appended since opening.
    pub(super) appended_bytes: usize,
    /// Rooms with something in the journal only, by id.
    pub(super) dirty: BTreeSet<i64>,
    /// The next room of the round.
    pub(super) cursor: i64,
}

impl Journal {
    /// An empty journal after row `last`.
    pub(super) fn after(last: i64) -> Self {
        Self {
            next: last + 1,
            settled: last,
            deleted: last,
            round: last + 1,
            unsettled: 0,
            unsettled_bytes: 0,
            appended_bytes: 0,
            dirty: BTreeSet::new(),
            cursor: 0,
        }
    }

    /// Rows that may not be home yet.
    pub(super) fn rows_waiting(&self) -> usize {
        (self.next - 1 - self.settled) as usize
    }

    /// Appends an entry of `size` bytes; gives its row.
    pub(super) fn append(
        &mut self,
        db: &Connection,
        ids: (i64, i64, Option<i64>),
        entry: &Entry,
        size: usize,
    ) -> Result<i64> {
        let mut statement = db.prepare_cached(INSERT)?;
        statement.raw_bind_parameter(1, self.next)?;
        rows::bind_entry(&mut statement, 2, ids, entry)?;
        statement.raw_execute()?;
        self.unsettled += 1;
        self.unsettled_bytes += size;
        self.appended_bytes = self.appended_bytes.wrapping_add(size);
        self.dirty.insert(ids.0);
        Ok(self.take())
    }

    /// Appends marks.
    pub(super) fn append_marks(
        &mut self,
        db: &Connection,
        (room, user): (i64, i64),
        marks: Marks,
        now: Timestamp,
    ) -> Result<()> {
        let mut statement = db.prepare_cached(
            "INSERT INTO journal(id, room, seq, kind, sender, number, time, target) VALUES(?1, ?2, ?3, 0, ?4, ?5, ?6, ?7)",
        )?;
        statement.execute((
            self.next,
            room,
            marks.delivered.0 as i64,
            user,
            marks.read_number as i64,
            now.millis(),
            marks.read.0 as i64,
        ))?;
        self.dirty.insert(room);
        self.take();
        Ok(())
    }

    /// Appends that a user was erased: what they marked before must not come back in a recovery.
    pub(super) fn append_erased(&mut self, db: &Connection, user: i64) -> Result<()> {
        db.prepare_cached("INSERT INTO journal(id, room, seq, kind, sender) VALUES(?1, 0, 0, 0, ?2)")?
            .execute((self.next, user))?;
        self.take();
        Ok(())
    }

    /// Appends a row that says nothing, so that a group without entries counts as a commit.
    pub(super) fn append_nothing(&mut self, db: &Connection) -> Result<()> {
        db.prepare_cached("INSERT INTO journal(id, room, seq, kind) VALUES(?1, 0, 0, 0)")?
            .execute([self.next])?;
        self.take();
        Ok(())
    }

    fn take(&mut self) -> i64 {
        let row = self.next;
        self.next += 1;
        row
    }
}
