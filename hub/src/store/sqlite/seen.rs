//! Which of the tenant's broadcasts a user has seen: all up to a mark (`users.broadcast_read`), and those read or deleted
//! one by one as ranges that nothing unseen lies in. The mark moves over a range that nothing unseen lies before. So what
//! is kept of a user, and what counting takes, grows with what is unseen between, not with what there ever was.

use rusqlite::{Connection, Rows};

use crate::domain::limits::INBOX_COUNTED;
use crate::domain::time::Timestamp;

use super::engine::{Result, optional};
use super::notices::InboxOwner;

/// Ranges up to so long are gone through where broadcasts are counted.
const SHORT: i64 = 32;

/// First and last place of a range.
type Range = (i64, i64);

/// What is counted of broadcasts: by an index that holds nothing else.
#[derive(Clone, Copy)]
pub(super) enum Counted {
    /// All.
    Every,
    /// Critical ones.
    Critical,
}

impl Counted {
    /// The rows, in order of their places.
    fn source(self) -> &'static str {
        match self {
            Self::Every => "broadcast INDEXED BY broadcast_unread WHERE tenant = ?1",
            Self::Critical => "broadcast INDEXED BY broadcast_critical WHERE tenant = ?1 AND priority = 4",
        }
    }
}

impl InboxOwner {
    /// Broadcasts up to here are not theirs, or seen.
    fn seen_up_to(&self) -> i64 {
        self.known_from.max(self.broadcast_read)
    }

    /// The first of a long range of broadcasts that they have seen, which that at `seq` is among.
    pub(super) fn seen_from(&self, db: &Connection, seq: i64) -> Result<Option<i64>> {
        let range = range_before(db, self.user, seq)?;
        Ok(range.filter(|(first, last)| seq <= *last && seq - first > SHORT).map(|(first, _)| first))
    }

    /// Notes that the broadcast at `seq`, which is theirs, was seen; whether it had not been.
    pub(super) fn see(&self, db: &Connection, seq: i64) -> Result<bool> {
        let before = range_before(db, self.user, seq)?;
        if seq <= self.seen_up_to() || before.is_some_and(|(_, last)| last >= seq) {
            return Ok(false);
        }
        let (mut first, mut last) = (seq, seq);
        if let Some(range) = before
            && !self.has_between(db, range.1, seq)?
        {
            first = range.0;
        }
        if let Some(range) = range_after(db, self.user, seq)?
            && !self.has_between(db, seq, range.0)?
        {
            last = range.1;
            db.prepare_cached("DELETE FROM broadcast_seen WHERE user = ?1 AND first = ?2")?
                .execute((self.user, range.0))?;
        }
        db.prepare_cached("INSERT OR REPLACE INTO broadcast_seen VALUES(?1, ?2, ?3)")?
            .execute((self.user, first, last))?;
        Ok(true)
    }

    /// Moves the mark to `read`, at most to the head, and over what was seen after it. Whether it moved.
    pub(super) fn advance(&mut self, db: &Connection, read: i64) -> Result<bool> {
        let before = self.marked_up_to();
        let mark = self.mark_from(db, read, |mark| {
            let mut passed =
                db.prepare_cached("DELETE FROM broadcast_seen WHERE user = ?1 AND first <= ?2")?;
            passed.execute((self.user, mark))?;
            Ok(())
        })?;
        if mark <= before {
            return Ok(false);
        }
        self.broadcast_read = mark;
        db.prepare_cached("UPDATE users SET broadcast_read = ?2 WHERE id = ?1")?
            .execute((self.user, mark))?;
        Ok(true)
    }

    fn marked_up_to(&self) -> i64 {
        // None are theirs whom the directory does not know.
        let is_known = self.known_from <= self.broadcast_head;
        if is_known { self.seen_up_to() } else { self.broadcast_read }
    }

    /// Where the mark comes to be from `read` on; `passes` is told up to where it passes ranges.
    fn mark_from(&self, db: &Connection, read: i64, passes: impl Fn(i64) -> Result<()>) -> Result<i64> {
        let mut mark = self.marked_up_to().max(read.min(self.broadcast_head));
        loop {
            if let Some((_, last)) = range_before(db, self.user, mark)? {
                passes(mark)?;
                mark = mark.max(last);
            }
            match range_after(db, self.user, mark)? {
                Some((first, _)) if !self.has_between(db, mark, first)? => mark = first,
                _ => return Ok(mark),
            }
        }
    }

    /// Reads what [`Self::see`], and a deletion of the broadcast at `seq`, will read.
    pub(super) fn look_at(&self, db: &Connection, seq: i64) -> Result<()> {
        if let Some((_, last)) = range_before(db, self.user, seq)? {
            self.has_between(db, last, seq)?;
        }
        if let Some((first, _)) = range_after(db, self.user, seq)? {
            self.has_between(db, seq, first)?;
        }
        let mut deleted =
            db.prepare_cached("SELECT 1 FROM broadcast_deleted WHERE user = ?1 AND seq = ?2")?;
        optional(deleted.query_row((self.user, seq), |_| Ok(())))?;
        Ok(())
    }

    /// Reads what [`Self::advance`] and [`Self::forget_deleted`] will read.
    pub(super) fn look_on(&self, db: &Connection, read: i64) -> Result<()> {
        self.mark_from(db, read, |_| Ok(()))?;
        let mut gone = db.prepare_cached(
            "SELECT count(*) FROM broadcast_deleted
             WHERE user = ?2 AND seq < (SELECT coalesce(min(seq), 1 << 62) FROM broadcast WHERE tenant = ?1)",
        )?;
        gone.query_row((self.tenant, self.user), |_| Ok(()))?;
        Ok(())
    }

    /// Forgets that they deleted what is gone by now.
    pub(super) fn forget_deleted(&self, db: &Connection) -> Result<()> {
        db.prepare_cached(
            "DELETE FROM broadcast_deleted
             WHERE user = ?2 AND seq < (SELECT coalesce(min(seq), 1 << 62) FROM broadcast WHERE tenant = ?1)",
        )?
        .execute((self.tenant, self.user))?;
        Ok(())
    }

    /// How many broadcasts they have not seen, at most [`INBOX_COUNTED`]: those beside the ranges, both in order.
    pub(super) fn unseen(&self, db: &Connection, now: Timestamp, counted: Counted) -> Result<u64> {
        let mut lasting = db.prepare_cached(&format!(
            "SELECT seq FROM {} AND seq > ?3 AND (expires IS NULL OR expires > ?2) ORDER BY seq",
            counted.source()
        ))?;
        let mut seen = db.prepare_cached(
            "SELECT first, last FROM broadcast_seen WHERE user = ?1 AND first > ?2 ORDER BY first",
        )?;
        let (mut found, mut from) = (0, self.seen_up_to());
        let mut ranges = seen.query((self.user, from))?;
        let mut range = next_range(&mut ranges)?;
        'looking: loop {
            let mut rows = lasting.query((self.tenant, now.millis(), from))?;
            while found < INBOX_COUNTED
                && let Some(row) = rows.next()?
            {
                let seq: i64 = row.get(0)?;
                while range.is_some_and(|(_, last)| last < seq) {
                    range = next_range(&mut ranges)?;
                }
                match range {
                    Some((first, last)) if first <= seq => {
                        // A short range is gone through faster than it is passed over.
                        if last - seq > SHORT {
                            from = last;
                            continue 'looking;
                        }
                    }
                    _ => found += 1,
                }
            }
            return Ok(found);
        }
    }

    /// Whether there is a broadcast between two places.
    fn has_between(&self, db: &Connection, after: i64, before: i64) -> Result<bool> {
        let mut statement =
            db.prepare_cached("SELECT 1 FROM broadcast WHERE tenant = ?1 AND seq > ?2 AND seq < ?3 LIMIT 1")?;
        Ok(optional(statement.query_row((self.tenant, after, before), |_| Ok(())))?.is_some())
    }
}

fn next_range(ranges: &mut Rows<'_>) -> Result<Option<Range>> {
    ranges.next()?.map(|row| Ok((row.get(0)?, row.get(1)?))).transpose()
}

/// The last range that begins at a place or before it.
fn range_before(db: &Connection, user: i64, seq: i64) -> Result<Option<Range>> {
    let mut statement = db.prepare_cached(
        "SELECT first, last FROM broadcast_seen WHERE user = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1",
    )?;
    optional(statement.query_row((user, seq), |row| Ok((row.get(0)?, row.get(1)?))))
}

/// The first range that begins after a place.
fn range_after(db: &Connection, user: i64, seq: i64) -> Result<Option<Range>> {
    let mut statement = db.prepare_cached(
        "SELECT first, last FROM broadcast_seen WHERE user = ?1 AND first > ?2 ORDER BY first LIMIT 1",
    )?;
    optional(statement.query_row((user, seq), |row| Ok((row.get(0)?, row.get(1)?))))
}
