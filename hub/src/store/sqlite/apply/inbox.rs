//! Writes to a user's inbox, and the notifications that outcomes elsewhere cause in it.

use std::sync::Arc;

use rusqlite::Connection;

use crate::domain::inbox::{InboxChange, InboxPlace, InboxSummary, Notice, Notification};
use crate::domain::names::{NotificationId, TenantId, UserId, UserKey};
use crate::domain::position::{InboxPosition, Seq};
use crate::domain::time::Timestamp;
use crate::store::{Change, Committed, Outcome, Write};

use super::super::engine::{Result, optional};
use super::super::idempotency::KeyHash;
use super::super::notices::{self, Holder, InboxOwner};
use super::super::state::State;
use super::column;

impl State {
    /// Applies an outcome whose home is an inbox.
    pub(super) fn apply_to_inbox(
        &mut self,
        db: &Connection,
        user: &UserKey,
        outcome: Outcome,
        hash: Option<KeyHash>,
    ) -> Result<Committed> {
        let mut committed = self.nothing_yet();
        for write in outcome.writes {
            let Write::Inbox(change) = write else { continue };
            let tenant = self.names.tenant(db, &user.tenant)?;
            let id = self.names.user(db, tenant, &user.user)?.id;
            Self::change_inbox(db, tenant, id, &change)?;
            forget_states(db, tenant, id)?;
            let summary = self.inbox_summary(db, user)?;
            committed.inbox = Some(summary);
            self.changes.push(Change::Inbox { user: user.clone(), change, summary });
            self.wrote = true;
        }
        self.apply_effects(db, &user.tenant, &outcome.effects)?;
        let fingerprint = outcome.idempotency.map_or(0, |idempotency| idempotency.fingerprint);
        self.finish(hash, fingerprint, &committed);
        Ok(committed)
    }

    /// What a user's inbox holds.
    pub(super) fn inbox_summary(&mut self, db: &Connection, user: &UserKey) -> Result<InboxSummary> {
        match InboxOwner::find(db, user)? {
            Some(owner) => notices::summary(db, &owner, self.epoch, self.now),
            None => notices::empty_summary(db, &user.tenant, self.epoch),
        }
    }

    fn change_inbox(db: &Connection, tenant: i64, user: i64, change: &InboxChange) -> Result<()> {
        match change {
            InboxChange::Read(ids) => {
                for id in ids {
                    db.prepare_cached("UPDATE inbox SET read = 1 WHERE user = ?1 AND id = ?2 AND read = 0")?
                        .execute((user, id.as_str()))?;
                    set_broadcast_state(db, tenant, user, id, false)?;
                }
            }
            InboxChange::ReadUpTo(InboxPosition { own, broadcast, .. }) => {
                db.prepare_cached("UPDATE inbox SET read = 1 WHERE user = ?1 AND read = 0 AND seq <= ?2")?
                    .execute((user, column(*own)))?;
                db.prepare_cached(
                    "UPDATE users SET broadcast_read = max(broadcast_read, min(?2, (SELECT broadcast_head FROM tenants
                       WHERE id = users.tenant))) WHERE id = ?1",
                )?
                .execute((user, column(*broadcast)))?;
            }
            InboxChange::Delete(ids) => {
                for id in ids {
                    db.prepare_cached("DELETE FROM inbox WHERE user = ?1 AND id = ?2")?
                        .execute((user, id.as_str()))?;
                    set_broadcast_state(db, tenant, user, id, true)?;
                }
            }
        }
        Ok(())
    }

    /// Appends to a user's own log.
    pub(in super::super) fn notify(
        &mut self,
        db: &Connection,
        tenant: &TenantId,
        user: &UserId,
        notice: &Arc<Notice>,
    ) -> Result<()> {
        let tenant_id = self.names.tenant(db, tenant)?;
        let id = self.names.user(db, tenant_id, user)?.id;
        let (head, time): (i64, i64) = db
            .prepare_cached("SELECT inbox_head, inbox_time FROM users WHERE id = ?1")?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (seq, time) = (head + 1, Timestamp(time).max(self.now));
        notices::insert(db, Holder::Own(id), (seq, time), notice, self.notification_retention)?;
        db.prepare_cached("UPDATE users SET inbox_head = ?2, inbox_time = ?3 WHERE id = ?1")?.execute((
            id,
            seq,
            time.millis(),
        ))?;
        let notification = Notification {
            notice: Arc::clone(notice),
            place: InboxPlace::Own(Seq(seq as u64)),
            time,
            read: false,
        };
        let user = UserKey { tenant: tenant.clone(), user: user.clone() };
        self.changes.push(Change::Notified { user, notification });
        self.wrote = true;
        Ok(())
    }
}

/// Marks a broadcast as read or deleted by a user. Those that the user cannot see are passed over.
fn set_broadcast_state(
    db: &Connection,
    tenant: i64,
    user: i64,
    id: &NotificationId,
    deleted: bool,
) -> Result<()> {
    let mut statement = db.prepare_cached(
        "SELECT seq FROM broadcast WHERE tenant = ?1 AND id = ?2
           AND seq > (SELECT coalesce(known_from, 1 << 62) FROM users WHERE id = ?3)",
    )?;
    let found: Option<i64> = optional(statement.query_row((tenant, id.as_str(), user), |row| row.get(0)))?;
    if let Some(seq) = found {
        db.prepare_cached(
            "INSERT INTO broadcast_state VALUES(?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET deleted = max(deleted, excluded.deleted)",
        )?
        .execute((user, seq, deleted))?;
    }
    Ok(())
}

/// Forgets what a user did to broadcasts that are gone, or that a mark says as well.
fn forget_states(db: &Connection, tenant: i64, user: i64) -> Result<()> {
    db.prepare_cached(
        "DELETE FROM broadcast_state WHERE user = ?2
           AND (seq < (SELECT coalesce(min(seq), 1 << 62) FROM broadcast WHERE tenant = ?1)
             OR (deleted = 0 AND seq <= (SELECT broadcast_read FROM users WHERE id = ?2)))",
    )?
    .execute((tenant, user))?;
    Ok(())
}
