//! Notifications as rows: in a user's own log and in the tenant's broadcast log.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Row};

use crate::domain::inbox::{InboxSummary, Notice, NotificationKind, Priority};
use crate::domain::limits::INBOX_COUNTED;
use crate::domain::names::{NotificationId, TenantId, UserId, UserKey};
use crate::domain::position::{Epoch, InboxPosition};
use crate::domain::time::Timestamp;

use super::engine::{EngineError, Result, optional};
use super::own::{self, OwnLog};
use super::rows::{content_values, pairs_text, read_content, read_pairs, seq};
use super::seen::Counted;

/// Whose log a notification is in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Holder {
    /// A user's own.
    Own(i64),
    /// The tenant's.
    Broadcast(i64),
    /// Those of the tenant that wait for their recipients' slices.
    Outbox(i64),
}

/// A user as inbox reads need them.
#[derive(Clone, Copy, Debug)]
pub(super) struct InboxOwner {
    /// The tenant's interned id.
    pub(super) tenant: i64,
    /// The user's.
    pub(super) user: i64,
    /// What of the own log is read.
    pub(super) own: OwnLog,
    /// The last place of the broadcast log.
    pub(super) broadcast_head: i64,
    /// Broadcasts after this are theirs.
    pub(super) known_from: i64,
    /// Broadcasts up to here are read.
    pub(super) broadcast_read: i64,
}

impl InboxOwner {
    /// The owner; `None` where nothing was ever written for them.
    pub(super) fn find(db: &Connection, user: &UserKey) -> Result<Option<Self>> {
        let mut statement = db.prepare_cached(&format!(
            "SELECT u.tenant, t.broadcast_head, coalesce(u.known_from, 1 << 62), u.broadcast_read, {}
             FROM tenants t JOIN users u ON u.tenant = t.id WHERE t.name = ?1 AND u.name = ?2",
            OwnLog::columns("u")
        ))?;
        optional(statement.query_row((user.tenant.as_str(), user.user.as_str()), |row| {
            let own = OwnLog::of_row(row, 4)?;
            Ok(Self {
                tenant: row.get(0)?,
                user: own.user,
                own,
                broadcast_head: row.get(1)?,
                known_from: row.get(2)?,
                broadcast_read: row.get(3)?,
            })
        }))
    }

    /// Both logs' heads.
    pub(super) fn head(&self, epoch: Epoch) -> InboxPosition {
        InboxPosition { epoch, own: seq(self.own.head), broadcast: seq(self.broadcast_head) }
    }
}

/// What an inbox holds at `now`, as far as anybody is told.
pub(super) fn summary(
    db: &Connection,
    owner: &InboxOwner,
    epoch: Epoch,
    now: Timestamp,
) -> Result<InboxSummary> {
    let own = owner.own.unread(db, now)?;
    let every = own.every + owner.unseen(db, now, Counted::Every)?;
    let critical = own.critical + owner.unseen(db, now, Counted::Critical)?;
    Ok(InboxSummary {
        head: owner.head(epoch),
        unread: every.min(INBOX_COUNTED),
        critical: critical.min(INBOX_COUNTED),
    })
}

/// What the inbox of a user holds for whom nothing was ever written.
pub(super) fn empty_summary(db: &Connection, tenant: &TenantId, epoch: Epoch) -> Result<InboxSummary> {
    Ok(InboxSummary { head: empty_head(db, tenant, epoch)?, ..InboxSummary::default() })
}

/// The heads for a user for whom nothing was ever written.
pub(super) fn empty_head(db: &Connection, tenant: &TenantId, epoch: Epoch) -> Result<InboxPosition> {
    let mut statement = db.prepare_cached("SELECT broadcast_head FROM tenants WHERE name = ?1")?;
    let head = optional(statement.query_row([tenant.as_str()], |row| row.get(0)))?.unwrap_or(0);
    Ok(InboxPosition { epoch, broadcast: seq(head), ..InboxPosition::default() })
}

/// Where a deletion could go by another index than the id's, the engine looks through all of a tenant.
const REMOVE_BROADCAST: &str =
    "DELETE FROM broadcast INDEXED BY broadcast_by_id WHERE tenant = ?1 AND id = ?2";
/// Appends a notification that is kept for `retention` at most. One of the tenant's that bears its id already, as where its
/// key was forgotten and used again, gives way to it; one of a user's must be gone.
pub(super) fn insert(
    db: &Connection,
    holder: Holder,
    (seq, time): (i64, Timestamp),
    notice: &Notice,
    retention: Duration,
) -> Result<()> {
    if let Holder::Broadcast(tenant) = holder {
        db.prepare_cached(REMOVE_BROADCAST)?.execute((tenant, notice.id.as_str()))?;
    }
    let ends = notice.expires.unwrap_or(Timestamp(i64::MAX)).min(time.plus(retention));
    let (sql, id) = match holder {
        Holder::Own(user) => (
            "INSERT INTO inbox(user, seq, id, kind, title, media_type, body, priority, data, sender, expires,
               time, ends) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            user,
        ),
        Holder::Broadcast(tenant) => (
            "INSERT INTO broadcast(tenant, seq, id, kind, title, media_type, body, priority, data, sender, expires,
               time, ends) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            tenant,
        ),
        Holder::Outbox(tenant) => (
            "INSERT INTO outbox_notices(tenant, seq, id, kind, title, media_type, body, priority, data, sender, expires,
               time, ends) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            tenant,
        ),
    };
    let (media_type, body) = content_values(notice.body.as_ref());
    db.prepare_cached(sql)?.execute(rusqlite::params![
        id,
        seq,
        notice.id.as_str(),
        notice.kind.as_str(),
        &*notice.title,
        media_type,
        body,
        notice.priority as i64,
        pairs_text(&notice.data),
        notice.sender.as_str(),
        notice.expires.map(Timestamp::millis),
        time.millis(),
        ends.millis(),
    ])?;
    Ok(())
}

/// Removes some notifications that have expired or were kept long enough; whether there may be more.
pub(super) fn remove_ended(db: &Connection, now: Timestamp, most: usize) -> Result<bool> {
    let own = own::remove_ended(db, now, most)?;
    let broadcast = db
        .prepare_cached(
            "DELETE FROM broadcast WHERE (tenant, seq) IN (SELECT tenant, seq FROM broadcast WHERE ends <= ?1 LIMIT ?2)",
        )?
        .execute((now.millis(), most as i64))?;
    Ok(own == most || broadcast == most)
}

/// A notice that waits in the outbox.
pub(super) fn outbox_notice(db: &Connection, id: i64) -> Result<Arc<Notice>> {
    let mut statement =
        db.prepare_cached(&format!("SELECT {NOTICE_COLUMNS} FROM outbox_notices WHERE seq = ?1"))?;
    let mut rows = statement.query([id])?;
    let row = rows.next()?.ok_or(EngineError::Damaged("outbox"))?;
    Ok(read_notice(row)?.0)
}

/// The columns that [`read_notice`] reads, in both tables.
pub(super) const NOTICE_COLUMNS: &str =
    "id, kind, title, media_type, body, priority, data, sender, expires, time, seq";

/// Reads a row of [`NOTICE_COLUMNS`]: the notice, its time and its place.
pub(super) fn read_notice(row: &Row<'_>) -> Result<(Arc<Notice>, Timestamp, i64)> {
    let text = |index: usize| -> Result<&str> {
        row.get_ref(index)?.as_str().map_err(|_| EngineError::Damaged("notification"))
    };
    let damaged = |_| EngineError::Damaged("notification");
    let notice = Notice {
        id: NotificationId::parse(text(0)?).map_err(damaged)?,
        kind: NotificationKind::parse(text(1)?).map_err(damaged)?,
        title: text(2)?.into(),
        body: read_content(row.get_ref(3)?, row.get_ref(4)?)?,
        priority: u8::try_from(row.get::<_, i64>(5)?)
            .ok()
            .and_then(Priority::from_number)
            .ok_or(EngineError::Damaged("priority"))?,
        data: read_pairs(row.get_ref(6)?)?,
        sender: UserId::parse(text(7)?).map_err(damaged)?,
        expires: row.get::<_, Option<i64>>(8)?.map(Timestamp),
    };
    Ok((Arc::new(notice), Timestamp(row.get(9)?), row.get(10)?))
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;
    use rusqlite::StatementStatus;

    /// What finds one notification takes no longer for those that are beside it.
    #[test]
    fn one_of_many_is_found_at_once() {
        let mut db = Connection::open_in_memory().unwrap();
        schema::migrate(&mut db).unwrap();
        let notice = |number: i64| Notice {
            id: NotificationId::parse(&format!("n{number}")).unwrap(),
            kind: NotificationKind::parse("news").unwrap(),
            title: "news".into(),
            body: None,
            priority: Priority::Normal,
            data: crate::domain::content::Pairs::default(),
            sender: UserId::parse("robot").unwrap(),
            expires: None,
        };
        for number in 1..=2_000 {
            let place = (number, Timestamp(number));
            insert(&db, Holder::Broadcast(1), place, &notice(number), Duration::from_secs(60)).unwrap();
        }
        let mut statement = db.prepare(REMOVE_BROADCAST).unwrap();
        statement.execute((1, "unknown")).unwrap();
        let steps = statement.get_status(StatementStatus::VmStep);
        assert!(steps < 100, "{steps} steps");
    }
}
