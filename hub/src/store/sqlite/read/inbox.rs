//! Reads of a user's inbox: the merge of their own log and the tenant's broadcasts.

use rusqlite::Connection;

use crate::domain::inbox::{InboxFilter, InboxPlace, InboxSummary, Notification};
use crate::domain::limits::INBOX_LOOKED_AT;
use crate::domain::names::UserKey;
use crate::domain::position::Seq;
use crate::domain::time::Timestamp;
use crate::store::{InboxLog, InboxPage, InboxQuery, PageBound};

use super::super::engine::Result;
use super::super::notices::{self, InboxOwner, NOTICE_COLUMNS, read_notice};
use super::super::readers::Reader;
use crate::store::merging::{Looked, Order, merge};

/// Which of the two logs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Log {
    Own,
    Broadcast,
}

/// A read of one log.
struct Scan<'a> {
    owner: &'a InboxOwner,
    now: Timestamp,
    order: Order,
    /// Places after this,
    after: Seq,
    /// and before this.
    before: Seq,
    filter: Option<&'a InboxFilter>,
    bound: PageBound,
}

impl Reader {
    /// What a user's inbox holds.
    pub(in super::super) fn inbox_summary(&mut self, user: &UserKey) -> Result<InboxSummary> {
        match InboxOwner::find(&self.db, user)? {
            Some(owner) => notices::summary(&self.db, &owner, self.epoch, (self.clock)()),
            None => notices::empty_summary(&self.db, &user.tenant, self.epoch),
        }
    }

    /// The last place of one of the logs.
    pub(in super::super) fn inbox_head(&mut self, log: &InboxLog) -> Result<Seq> {
        Ok(match log {
            InboxLog::Own(user) => {
                let owner = InboxOwner::find(&self.db, user)?;
                owner.map_or(Seq(0), |owner| owner.head(self.epoch).own)
            }
            InboxLog::Broadcast(tenant) => notices::empty_head(&self.db, tenant, self.epoch)?.broadcast,
        })
    }

    /// A page of a user's inbox.
    pub(in super::super) fn inbox(
        &mut self,
        user: &UserKey,
        query: &InboxQuery,
        bound: PageBound,
    ) -> Result<InboxPage> {
        let Some(owner) = InboxOwner::find(&self.db, user)? else {
            let head = notices::empty_head(&self.db, &user.tenant, self.epoch)?;
            return Ok(InboxPage { notifications: Vec::new(), head, next: None });
        };
        let now = (self.clock)();
        let scan =
            |order, after, before, filter| Scan { owner: &owner, now, order, after, before, filter, bound };
        let (own, broadcast) = match query {
            InboxQuery::After(position) => {
                let after = |seq| scan(Order::Oldest, seq, Seq::MAX, None);
                (after(position.own), after(position.broadcast))
            }
            InboxQuery::Newest { before, filter } => {
                let newest = |seq| scan(Order::Newest, Seq(0), seq, Some(filter));
                before.map_or_else(
                    || (newest(Seq::MAX), newest(Seq::MAX)),
                    |before| (newest(before.own), newest(before.broadcast)),
                )
            }
        };
        let order = own.order;
        let (own, broadcast) = (own.run(&self.db, Log::Own)?, broadcast.run(&self.db, Log::Broadcast)?);
        Ok(merge(own, broadcast, order, bound, owner.head(self.epoch)))
    }
}

impl Scan<'_> {
    fn run(&self, db: &Connection, log: Log) -> Result<Looked> {
        let unread_only = self.filter.is_some_and(|filter| filter.unread_only);
        let (holder, after) = match log {
            Log::Own => {
                let read = if unread_only { self.owner.own.read } else { 0 };
                (self.owner.user, (self.after.0 as i64).max(read))
            }
            Log::Broadcast => {
                // Of those that are read only as many are looked at as must be.
                let read = if unread_only { self.owner.broadcast_read } else { 0 };
                (self.owner.tenant, (self.after.0 as i64).max(self.owner.known_from).max(read))
            }
        };
        let mut statement = db.prepare_cached(&sql(log, self.order, unread_only))?;
        let InboxOwner { user, broadcast_read, .. } = *self.owner;
        let range = |before: i64| (holder, after, before, user, broadcast_read);
        let mut rows = match log {
            Log::Own => statement.query((holder, after, (self.before.0 as i64), self.owner.own.read))?,
            Log::Broadcast => statement.query(range(self.before.0 as i64))?,
        };
        let passes_over = log == Log::Broadcast && self.order == Order::Newest && unread_only;
        let mut looked = Looked::default();
        let mut bytes = 0;
        for _ in 0..INBOX_LOOKED_AT {
            // One past the page from each log: the merge then has all that a page of both can hold.
            if looked.found.len() > self.bound.items.max(1) as usize || bytes > self.bound.bytes {
                return Ok(looked);
            }
            let Some(row) = rows.next()? else {
                looked.last = None;
                return Ok(looked);
            };
            let (notice, time, seq) = read_notice(row)?;
            let place = match log {
                Log::Own => InboxPlace::Own(Seq(seq as u64)),
                Log::Broadcast => InboxPlace::Broadcast(Seq(seq as u64)),
            };
            looked.last = Some((time, place));
            let lasts = notice.expires.is_none_or(|expires| expires > self.now);
            let is_deleted: bool = row.get(12)?;
            let notification = Notification { notice, place, time, read: row.get(11)? };
            if lasts && !is_deleted && self.filter.is_none_or(|filter| filter.passes(&notification)) {
                bytes += notification.size();
                looked.found.push(notification);
            } else if passes_over && let Some(first) = self.owner.seen_from(db, seq)? {
                // All that was seen with it is passed over.
                drop(rows);
                rows = statement.query(range(first))?;
            }
        }
        Ok(looked)
    }
}

/// Reads a log between two places: [`NOTICE_COLUMNS`], whether it was read, whether it was deleted.
fn sql(log: Log, order: Order, unread_only: bool) -> String {
    let order = if order == Order::Newest { "DESC" } else { "ASC" };
    match log {
        // Unread ones have an index of their own: there may be few, and many others beside them.
        Log::Own => {
            let unread = if unread_only { "INDEXED BY inbox_unread_by_place" } else { "NOT INDEXED" };
            let only = if unread_only { "AND read = 0" } else { "" };
            format!(
                "SELECT {NOTICE_COLUMNS}, read OR seq <= ?4, 0 FROM inbox {unread}
                   WHERE user = ?1 {only} AND seq > ?2 AND seq < ?3 ORDER BY seq {order}"
            )
        }
        Log::Broadcast => format!(
            "SELECT {NOTICE_COLUMNS}, seq <= ?5 OR seq <= coalesce((SELECT s.last FROM broadcast_seen s
               WHERE s.user = ?4 AND s.first <= broadcast.seq ORDER BY s.first DESC LIMIT 1), 0),
               EXISTS (SELECT 1 FROM broadcast_deleted d WHERE d.user = ?4 AND d.seq = broadcast.seq)
               FROM broadcast NOT INDEXED WHERE tenant = ?1 AND seq > ?2 AND seq < ?3 ORDER BY seq {order}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::super::super::schema;
    use super::*;

    /// What a page takes is what it holds, wherever in a large inbox it begins.
    #[test]
    fn a_page_of_a_large_inbox_takes_what_it_holds() {
        let mut db = Connection::open_in_memory().unwrap();
        schema::migrate(&mut db).unwrap();
        db.execute_batch(
            "WITH RECURSIVE place(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM place WHERE n < 20000)
             INSERT INTO inbox(user, seq, id, kind, title, priority, sender, time, read)
             SELECT 1, n, 'n' || n, 'news', 'news', 2, 'robot', n, n % 1000 <> 0 FROM place;
             INSERT INTO broadcast(tenant, seq, id, kind, title, priority, sender, time)
             SELECT 1, seq, id, kind, title, priority, sender, time FROM inbox;
             INSERT INTO broadcast_seen VALUES(1, 1, 19000);",
        )
        .unwrap();
        let steps = |log, unread_only, before: i64| {
            let mut statement = db.prepare(&sql(log, Order::Newest, unread_only)).unwrap();
            let mut rows = match log {
                Log::Own => statement.query((1, 0, before, 0)),
                Log::Broadcast => statement.query((1, 0, before, 1, 0)),
            }
            .unwrap();
            for _ in 0..10 {
                rows.next().unwrap().unwrap();
            }
            drop(rows);
            statement.get_status(StatementStatus::VmStep)
        };
        for (log, unread_only, before) in [
            (Log::Own, false, 20_001),
            (Log::Own, false, 5_000),
            (Log::Own, true, 20_001),
            (Log::Own, true, 11_000),
            (Log::Broadcast, false, 5_000),
            (Log::Broadcast, true, 20_001),
        ] {
            let steps = steps(log, unread_only, before);
            assert!(steps < 1_000, "{before}: {steps} steps");
        }
    }
}
