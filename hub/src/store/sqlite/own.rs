//! What of a user's own log is read: all up to a mark (`users.inbox_read`), and of what lies after it whatever `inbox.read`
//! says. How much is unread is counted along with each change. So neither reading all nor saying how much is left takes
//! longer the more there is, but where more has expired than is counted and waits to be removed.
//!
//! A count is exact up to some more than anybody is told, and a lower bound past that: where the mark stops amid thousands
//! they are not all counted. What has expired counts until it is removed; whoever tells a count takes it off.

use std::collections::hash_map::Entry;

use rusqlite::Connection;
use rustc_hash::FxHashMap;

use crate::domain::inbox::Priority;
use crate::domain::limits::INBOX_COUNTED;
use crate::domain::names::NotificationId;
use crate::domain::time::Timestamp;

use super::engine::{Result, optional};

/// A count that falls below this is exact.
const TOLD: i64 = INBOX_COUNTED as i64;
/// Rows that one count looks at: a lower bound then lasts for so many changes as it is above [`TOLD`].
const COUNTED: i64 = 2 * TOLD;
/// Rows that the mark passes one by one: where it passes more, what is left is counted.
const PASSED: i64 = 100;

/// Unread notifications that are `priority IN` these are all of them: the index has the priority before the expiry.
const EVERY: &str = "1, 2, 3, 4";

/// How many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tally {
    /// So many.
    Exactly(i64),
    /// So many, and perhaps more.
    AtLeast(i64),
}

impl Tally {
    /// As it is kept: a lower bound is negative.
    fn of_column(number: i64) -> Self {
        if number < 0 { Self::AtLeast(-number) } else { Self::Exactly(number) }
    }

    fn column(self) -> i64 {
        match self {
            Self::Exactly(number) => number,
            Self::AtLeast(number) => -number,
        }
    }

    /// Of a count that has ended at [`COUNTED`].
    fn counted(number: i64) -> Self {
        if number < COUNTED { Self::Exactly(number) } else { Self::AtLeast(number) }
    }

    fn changed(self, by: i64) -> Self {
        match self {
            Self::Exactly(number) => Self::Exactly((number + by).max(0)),
            Self::AtLeast(number) => Self::AtLeast((number + by).max(0)),
        }
    }

    fn is_too_low(self) -> bool {
        matches!(self, Self::AtLeast(number) if number < TOLD)
    }

    /// What is told of it without those that have expired; `None` where it does not say.
    fn told(self, expired: i64) -> Option<u64> {
        match self {
            Self::Exactly(number) => Some((number - expired).clamp(0, TOLD) as u64),
            Self::AtLeast(number) => (number - expired >= TOLD).then_some(INBOX_COUNTED),
        }
    }
}

/// Unread notifications, at most [`INBOX_COUNTED`] of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unread {
    /// All.
    pub(super) every: u64,
    /// Critical ones.
    pub(super) critical: u64,
}

/// A user's own log, as far as it is about what is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnLog {
    /// The user's interned id.
    pub(super) user: i64,
    /// The last place.
    pub(super) head: i64,
    /// When that was taken.
    pub(super) time: Timestamp,
    /// All up to here is read.
    pub(super) read: i64,
    every: Tally,
    critical: Tally,
}

impl OwnLog {
    /// The columns that [`OwnLog::of_row`] reads, of the table `users` under a name.
    pub(super) fn columns(users: &str) -> String {
        ["id", "inbox_head", "inbox_time", "inbox_read", "inbox_unread", "inbox_critical"]
            .map(|column| format!("{users}.{column}"))
            .join(", ")
    }

    /// Reads a row's [`OwnLog::columns`], of which `first` is the first.
    pub(super) fn of_row(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Self> {
        Ok(Self {
            user: row.get(first)?,
            head: row.get(first + 1)?,
            time: Timestamp(row.get(first + 2)?),
            read: row.get(first + 3)?,
            every: Tally::of_column(row.get(first + 4)?),
            critical: Tally::of_column(row.get(first + 5)?),
        })
    }

    /// That of a user, by their interned id.
    pub(super) fn find(db: &Connection, user: i64) -> Result<Self> {
        let columns = Self::columns("users");
        let mut statement = db.prepare_cached(&format!("SELECT {columns} FROM users WHERE id = ?1"))?;
        Ok(statement.query_row([user], |row| Self::of_row(row, 0))?)
    }

    /// Keeps what was changed: afterwards counts that fall short are exact again.
    pub(super) fn save(&mut self, db: &Connection) -> Result<()> {
        if self.every.is_too_low() || self.critical.is_too_low() {
            self.count(db)?;
        }
        db.prepare_cached(
            "UPDATE users SET inbox_head = ?2, inbox_time = ?3, inbox_read = ?4, inbox_unread = ?5, inbox_critical = ?6
             WHERE id = ?1",
        )?
        .execute((
            self.user,
            self.head,
            self.time.millis(),
            self.read,
            self.every.column(),
            self.critical.column(),
        ))?;
        Ok(())
    }

    /// One more is unread that is the last now, with its time.
    pub(super) fn put(&mut self, (head, time): (i64, Timestamp), priority: Priority) {
        (self.head, self.time) = (head, time);
        self.change(1, i64::from(priority == Priority::Critical));
    }

    /// Marks one as read; whether it was not.
    pub(super) fn read(&mut self, db: &Connection, id: &NotificationId) -> Result<bool> {
        let mut statement = db.prepare_cached(READ)?;
        let found = statement.query_row((self.user, id.as_str(), self.read), |row| row.get(0));
        let Some(priority) = optional(found)? else { return Ok(false) };
        self.take(priority);
        Ok(true)
    }

    /// Removes one; whether it was there.
    pub(super) fn remove(&mut self, db: &Connection, id: &NotificationId) -> Result<bool> {
        let mut statement = db.prepare_cached(REMOVE)?;
        let found = statement.query_row((self.user, id.as_str()), |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?, row.get::<_, i64>(2)?))
        });
        let Some((seq, read, priority)) = optional(found)? else { return Ok(false) };
        self.removed(seq, read, priority);
        Ok(true)
    }

    /// Reads what [`Self::read`], or [`Self::remove`], will read of one, and of the indexes that it is in; whether it is there.
    pub(super) fn look_at(&self, db: &Connection, id: &NotificationId, removes: bool) -> Result<bool> {
        let mut statement = db.prepare_cached(ROW)?;
        let found = statement.query_row((self.user, id.as_str()), |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, Option<i64>>(2)?,
                row.get::<_, i64>(3)?,
            ))
        });
        let Some((seq, priority, expires, ends)) = optional(found)? else { return Ok(false) };
        // As it is and as it may become.
        for read in [0, 1] {
            let place = (self.user, read, priority, expires, seq);
            optional(db.prepare_cached(UNREAD_ROW)?.query_row(place, |_| Ok(())))?;
        }
        for sql in [PLACE_ROW, CRITICAL_ROW] {
            optional(db.prepare_cached(sql)?.query_row((self.user, seq), |_| Ok(())))?;
        }
        if removes {
            optional(db.prepare_cached(ENDS_ROW)?.query_row((ends, self.user, seq), |_| Ok(())))?;
        }
        Ok(true)
    }

    /// One was removed that stood at `seq`.
    pub(super) fn removed(&mut self, seq: i64, read: bool, priority: i64) {
        if !read && seq > self.read {
            self.take(priority);
        }
    }

    /// Nothing of it is unread: all of it is removed.
    pub(super) fn clear(&mut self) {
        self.read = self.head;
        (self.every, self.critical) = (Tally::Exactly(0), Tally::Exactly(0));
    }

    /// Marks all up to a place as read, at most to the head; whether anything was not.
    pub(super) fn read_up_to(&mut self, db: &Connection, place: i64) -> Result<bool> {
        let mark = place.min(self.head);
        if mark <= self.read || self.every == Tally::Exactly(0) {
            return Ok(false);
        }
        let (every, critical): (i64, i64) = db
            .prepare_cached(BETWEEN)?
            .query_row((self.user, self.read, mark, PASSED), |row| Ok((row.get(0)?, row.get(1)?)))?;
        if every == 0 {
            return Ok(false);
        }
        self.read = mark;
        if mark == self.head {
            self.clear();
        } else if every < PASSED {
            self.change(-every, -critical);
        } else {
            self.count(db)?;
        }
        Ok(true)
    }

    /// How many are unread at `now`.
    pub(super) fn unread(&self, db: &Connection, now: Timestamp) -> Result<Unread> {
        if self.every == Tally::Exactly(0) {
            return Ok(Unread::default());
        }
        let (looked_at, every, critical): (i64, i64, i64) =
            db.prepare_cached(EXPIRED)?.query_row((self.user, now.millis(), self.read, TOLD), |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        let told = |tally: Tally, expired: i64, priorities: &str| match tally.told(expired) {
            Some(told) if looked_at < TOLD => Ok(told),
            _ => self.lasting(db, now, priorities),
        };
        Ok(Unread { every: told(self.every, every, EVERY)?, critical: told(self.critical, critical, "4")? })
    }

    fn take(&mut self, priority: i64) {
        self.change(-1, -i64::from(priority == Priority::Critical as i64));
    }

    fn change(&mut self, every: i64, critical: i64) {
        (self.every, self.critical) = (self.every.changed(every), self.critical.changed(critical));
    }

    /// Counts both anew.
    fn count(&mut self, db: &Connection) -> Result<()> {
        let counted = |sql: &str| -> Result<Tally> {
            let mut statement = db.prepare_cached(sql)?;
            let number = statement.query_row((self.user, self.read, COUNTED), |row| row.get(0))?;
            Ok(Tally::counted(number))
        };
        (self.every, self.critical) = (counted(COUNT)?, counted(COUNT_CRITICAL)?);
        Ok(())
    }

    /// Counts those that have not expired, where much has that is not removed yet.
    fn lasting(&self, db: &Connection, now: Timestamp, priorities: &str) -> Result<u64> {
        let mut statement = db.prepare_cached(&lasting(priorities))?;
        let found: i64 = statement.query_row((self.user, now.millis(), self.read, TOLD), |row| row.get(0))?;
        Ok(found.min(TOLD) as u64)
    }
}

/// Removes some that have ended of whoever's; how many.
pub(super) fn remove_ended(db: &Connection, now: Timestamp, most: usize) -> Result<usize> {
    let mut statement = db.prepare_cached(
        "DELETE FROM inbox WHERE (user, seq) IN (SELECT user, seq FROM inbox WHERE ends <= ?1 LIMIT ?2)
         RETURNING user, seq, read, priority",
    )?;
    let mut rows = statement.query((now.millis(), most as i64))?;
    let (mut count, mut logs) = (0, FxHashMap::default());
    while let Some(row) = rows.next()? {
        let user: i64 = row.get(0)?;
        let log = match logs.entry(user) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(OwnLog::find(db, user)?),
        };
        log.removed(row.get(1)?, row.get(2)?, row.get(3)?);
        count += 1;
    }
    for log in logs.values_mut() {
        log.save(db)?;
    }
    Ok(count)
}

/// Where this could go by another index than the id's, the engine looks through all of a user.
const READ: &str = "UPDATE inbox INDEXED BY inbox_by_id SET read = 1
   WHERE user = ?1 AND id = ?2 AND read = 0 AND seq > ?3 RETURNING priority";
/// The same.
const REMOVE: &str =
    "DELETE FROM inbox INDEXED BY inbox_by_id WHERE user = ?1 AND id = ?2 RETURNING seq, read, priority";

/// One's row, and its places in the indexes that change with it.
const ROW: &str =
    "SELECT seq, priority, expires, ends FROM inbox INDEXED BY inbox_by_id WHERE user = ?1 AND id = ?2";
const UNREAD_ROW: &str = "SELECT 1 FROM inbox INDEXED BY inbox_unread
   WHERE user = ?1 AND read = ?2 AND priority = ?3 AND expires IS ?4 AND seq = ?5";
const PLACE_ROW: &str =
    "SELECT 1 FROM inbox INDEXED BY inbox_unread_by_place WHERE user = ?1 AND seq = ?2 AND read = 0";
const CRITICAL_ROW: &str = "SELECT 1 FROM inbox INDEXED BY inbox_critical_by_place
   WHERE user = ?1 AND seq = ?2 AND read = 0 AND priority = 4";
const ENDS_ROW: &str = "SELECT 1 FROM inbox INDEXED BY inbox_ends WHERE ends = ?1 AND user = ?2 AND seq = ?3";

/// Of unread ones between two places, some: how many, and how many of those are critical.
const BETWEEN: &str = "SELECT count(*), coalesce(sum(priority = 4), 0) FROM (
   SELECT priority FROM inbox INDEXED BY inbox_unread_by_place
     WHERE user = ?1 AND read = 0 AND seq > ?2 AND seq <= ?3 LIMIT ?4)";

/// How many are unread after a place, up to a bound.
const COUNT: &str = "SELECT count(*) FROM (SELECT 1 FROM inbox INDEXED BY inbox_unread_by_place
   WHERE user = ?1 AND read = 0 AND seq > ?2 LIMIT ?3)";
/// The same of critical ones.
const COUNT_CRITICAL: &str = "SELECT count(*) FROM (SELECT 1 FROM inbox INDEXED BY inbox_critical_by_place
   WHERE user = ?1 AND read = 0 AND priority = 4 AND seq > ?2 LIMIT ?3)";

/// Of those that were not read one by one and have expired, some: how many, how many of them lie after the mark, and how
/// many of those are critical.
const EXPIRED: &str =
    "SELECT count(*), coalesce(sum(seq > ?3), 0), coalesce(sum(seq > ?3 AND priority = 4), 0) FROM (
   SELECT seq, priority FROM inbox INDEXED BY inbox_unread
     WHERE user = ?1 AND read = 0 AND priority IN (1, 2, 3, 4) AND expires <= ?2 LIMIT ?4)";

/// Of unread ones of some priorities that lie after a place: those that never expire, and those that have not yet, up to a
/// bound of each.
fn lasting(priorities: &str) -> String {
    let some = |lasts: &str| {
        format!(
            "(SELECT count(*) FROM (SELECT 1 FROM inbox INDEXED BY inbox_unread
               WHERE user = ?1 AND read = 0 AND priority IN ({priorities}) AND {lasts} AND seq > ?3 LIMIT ?4))"
        )
    };
    format!("SELECT {} + {}", some("expires IS NULL"), some("expires > ?2"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::super::schema;
    use super::*;

    /// When those expire that do, of a moment that is now.
    const NOW: i64 = 1_000;

    /// Which notifications expire, and whether they have.
    #[derive(Clone, Copy, Debug)]
    enum Expire {
        None,
        Later,
        Half,
        Gone,
    }

    impl Expire {
        /// When a row expires, as its SQL says.
        fn sql(self) -> &'static str {
            match self {
                Self::None => "NULL",
                Self::Later => "2000",
                Self::Half => "CASE WHEN n % 2 THEN 500 ELSE NULL END",
                Self::Gone => "500",
            }
        }
    }

    /// A log of so many unread ones, every third of them critical.
    fn log_of(many: i64, expire: Expire) -> (Connection, OwnLog) {
        let mut db = Connection::open_in_memory().unwrap();
        schema::migrate(&mut db).unwrap();
        db.execute_batch(&format!(
            "WITH RECURSIVE place(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM place WHERE n < {many})
             INSERT INTO inbox(user, seq, id, kind, title, priority, sender, time, expires)
             SELECT 1, n, 'n' || n, 'news', 'news', CASE WHEN n % 3 THEN 2 ELSE 4 END, 'robot', n, {} FROM place;
             INSERT INTO users(id, tenant, name, inbox_head, inbox_unread, inbox_critical)
             VALUES(1, 1, 'bob', {many}, {many}, {many} / 3);",
            expire.sql()
        ))
        .unwrap();
        let log = OwnLog::find(&db, 1).unwrap();
        (db, log)
    }

    /// Steps of the engine that something takes.
    fn steps(db: &mut Connection, does: impl FnOnce(&Connection)) -> u64 {
        let steps = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&steps);
        let count = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            false
        };
        db.progress_handler(1, Some(count)).unwrap();
        does(db);
        db.progress_handler(1, None::<fn() -> bool>).unwrap();
        steps.load(Ordering::Relaxed)
    }

    /// What is done to an inbox takes no longer where ten times as much is unread, wherever the mark goes and whatever of it
    /// expires.
    #[test]
    fn nothing_takes_longer_for_what_is_unread() {
        for expire in [Expire::None, Expire::Later, Expire::Half, Expire::Gone] {
            for part in [2, 1] {
                let takes = |many: i64| {
                    let (mut db, mut log) = log_of(many, expire);
                    let id = NotificationId::parse(&format!("n{many}")).unwrap();
                    steps(&mut db, |db| {
                        log.read(db, &id).unwrap();
                        log.save(db).unwrap();
                        log.unread(db, Timestamp(NOW)).unwrap();
                        assert!(log.read_up_to(db, many / part).unwrap());
                        log.save(db).unwrap();
                        log.unread(db, Timestamp(NOW)).unwrap();
                    })
                };
                let (few, many) = (takes(4 * COUNTED), takes(40 * COUNTED));
                assert!(many < few + few / 4 + 500, "{expire:?}, 1/{part}: {few} and {many} steps");
            }
        }
    }

    /// A change of one takes a handful of steps, however many are beside it.
    #[test]
    fn one_of_many_is_found_at_once() {
        let (mut db, mut log) = log_of(20_000, Expire::Later);
        let id = |id| NotificationId::parse(id).unwrap();
        let steps = steps(&mut db, |db| {
            assert!(log.read(db, &id("n7")).unwrap() && log.remove(db, &id("n8")).unwrap());
            assert!(!log.read(db, &id("unknown")).unwrap() && !log.remove(db, &id("unknown")).unwrap());
            log.save(db).unwrap();
            assert_eq!(log.unread(db, Timestamp(NOW)).unwrap(), Unread { every: 1_000, critical: 1_000 });
        });
        assert!(steps < 1_000, "{steps} steps");
    }
}
