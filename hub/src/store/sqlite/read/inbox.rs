//! Reads of a user's inbox: the merge of their own log and the tenant's broadcasts.

use rusqlite::Connection;

use crate::domain::inbox::{InboxFilter, InboxPlace, InboxSummary, Notification};
use crate::domain::names::UserKey;
use crate::domain::position::Seq;
use crate::store::{InboxLog, InboxPage, InboxQuery, PageBound};

use super::super::engine::Result;
use super::super::notices::{self, InboxOwner, NOTICE_COLUMNS, read_notice};
use super::super::readers::Reader;
use crate::store::filling::Filling;

/// Which of the two logs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Log {
    Own,
    Broadcast,
}

/// A read of one log.
struct Scan<'a> {
    owner: &'a InboxOwner,
    now: i64,
    /// Places after this.
    after: i64,
    /// Newest first, from before this time and place.
    before: Option<(i64, InboxPlace)>,
    newest: bool,
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
            return Ok(InboxPage { notifications: Vec::new(), head, more: false });
        };
        let now = (self.clock)().millis();
        let scan = |after: Seq| Scan {
            owner: &owner,
            now,
            after: after.0 as i64,
            before: None,
            newest: false,
            filter: None,
            bound,
        };
        let (own, broadcast) = match query {
            InboxQuery::After(position) => (scan(position.own), scan(position.broadcast)),
            InboxQuery::Newest { before, filter } => {
                let newest = || Scan { before: *before, newest: true, filter: Some(filter), ..scan(Seq(0)) };
                (newest(), newest())
            }
        };
        let newest = own.newest;
        let mut notifications = own.run(&self.db, Log::Own)?;
        notifications.extend(broadcast.run(&self.db, Log::Broadcast)?);
        notifications.sort_unstable_by_key(|notification| (notification.time, notification.place));
        if newest {
            notifications.reverse();
        }
        let mut page = Filling::new(bound);
        for notification in notifications {
            let size = notification.size();
            if !page.take(notification, size) {
                break;
            }
        }
        Ok(InboxPage { notifications: page.items, head: owner.head(self.epoch), more: page.full })
    }
}

impl Scan<'_> {
    fn run(&self, db: &Connection, log: Log) -> Result<Vec<Notification>> {
        let order = if self.newest { "DESC" } else { "ASC" };
        let sql = match log {
            Log::Own => format!(
                "SELECT {NOTICE_COLUMNS}, read FROM inbox WHERE user = ?1 AND seq > ?2
                   AND (expires IS NULL OR expires > ?3) AND (time < ?4 OR (time = ?4 AND seq < ?5)) AND ?6 = ?6
                   AND ?7 = ?7 ORDER BY seq {order}"
            ),
            Log::Broadcast => format!(
                "SELECT {NOTICE_COLUMNS}, seq <= ?7 OR seq <= coalesce((SELECT s.last FROM broadcast_seen s
                   WHERE s.user = ?6 AND s.first <= broadcast.seq ORDER BY s.first DESC LIMIT 1), 0)
                   FROM broadcast NOT INDEXED WHERE tenant = ?1 AND seq > ?2
                   AND (expires IS NULL OR expires > ?3) AND (time < ?4 OR (time = ?4 AND seq < ?5))
                   AND NOT EXISTS (SELECT 1 FROM broadcast_deleted d WHERE d.user = ?6 AND d.seq = broadcast.seq)
                   ORDER BY seq {order}"
            ),
        };
        let (holder, after) = match log {
            Log::Own => (self.owner.user, self.after),
            Log::Broadcast => {
                // Of those that are read only as many are looked at as must be.
                let unread_only = self.filter.is_some_and(|filter| filter.unread_only);
                let read = if unread_only { self.owner.broadcast_read } else { 0 };
                (self.owner.tenant, self.after.max(self.owner.known_from).max(read))
            }
        };
        let (time, place) = self.bound(log);
        let mut statement = db.prepare_cached(&sql)?;
        let mut rows = statement.query((
            holder,
            after,
            self.now,
            time,
            place,
            self.owner.user,
            self.owner.broadcast_read,
        ))?;
        let mut found = Vec::new();
        let mut bytes = 0;
        // One past the page from each log: the merge then has all that a page of both can hold.
        while found.len() <= self.bound.items.max(1) as usize
            && bytes <= self.bound.bytes
            && let Some(row) = rows.next()?
        {
            let (notice, time, seq) = read_notice(row)?;
            let place = match log {
                Log::Own => InboxPlace::Own(Seq(seq as u64)),
                Log::Broadcast => InboxPlace::Broadcast(Seq(seq as u64)),
            };
            let notification = Notification { notice, place, time, read: row.get(11)? };
            if self.filter.is_none_or(|filter| filter.passes(&notification)) {
                bytes += notification.size();
                found.push(notification);
            }
        }
        Ok(found)
    }

    /// The time and, at that time, the place before which a log's notifications are. Own ones come first at equal time.
    fn bound(&self, log: Log) -> (i64, i64) {
        match (self.before, log) {
            (None, _) => (i64::MAX, i64::MAX),
            (Some((time, InboxPlace::Own(seq))), Log::Own)
            | (Some((time, InboxPlace::Broadcast(seq))), Log::Broadcast) => (time, seq.0 as i64),
            (Some((time, InboxPlace::Broadcast(_))), Log::Own) => (time, i64::MAX),
            (Some((time, InboxPlace::Own(_))), Log::Broadcast) => (time, 0),
        }
    }
}
