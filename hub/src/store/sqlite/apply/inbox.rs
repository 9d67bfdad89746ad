//! Writes to a user's inbox, and the notifications that outcomes elsewhere cause in it.

use std::sync::Arc;

use rusqlite::Connection;

use crate::domain::inbox::{InboxChange, InboxPlace, InboxSummary, Notice, Notification};
use crate::domain::names::{NotificationId, TenantId, UserId, UserKey};
use crate::domain::position::{InboxPosition, Seq};
use crate::store::{Change, Committed, Outcome, Write};

use super::super::engine::{Result, optional};
use super::super::idempotency::KeyHash;
use super::super::notices::{self, Holder, InboxOwner};
use super::super::own::OwnLog;
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
            let changed = match InboxOwner::find(db, user)? {
                Some(owner) => change_inbox(db, owner, &change)?,
                None => false,
            };
            let summary = self.inbox_summary(db, user)?;
            committed.inbox = Some(summary);
            // What changed nothing is nobody's concern.
            if changed {
                self.changes.push(Change::Inbox { user: user.clone(), change, summary });
                self.wrote = true;
            }
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
        let mut own = OwnLog::find(db, id)?;
        let (seq, time) = (own.head + 1, own.time.max(self.now));
        // Its id may have come before, where its key was forgotten and used again.
        own.remove(db, &notice.id)?;
        notices::insert(db, Holder::Own(id), (seq, time), notice, self.notification_retention)?;
        own.put((seq, time), notice.priority);
        own.save(db)?;
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

/// Changes the state of an inbox; whether anything was changed.
pub(super) fn change_inbox(db: &Connection, mut owner: InboxOwner, change: &InboxChange) -> Result<bool> {
    let mut changed = false;
    match change {
        InboxChange::Read(ids) => {
            for id in ids {
                changed |= owner.own.read(db, id)?;
                if let Some(seq) = broadcast_of(db, &owner, id)? {
                    changed |= owner.see(db, seq)?;
                }
            }
        }
        InboxChange::ReadUpTo(InboxPosition { own, broadcast, .. }) => {
            changed |= owner.own.read_up_to(db, column(*own))?;
            changed |= owner.advance(db, column(*broadcast))?;
        }
        InboxChange::Delete(ids) => {
            let mut hide = db.prepare_cached("INSERT OR IGNORE INTO broadcast_deleted VALUES(?1, ?2)")?;
            for id in ids {
                changed |= owner.own.remove(db, id)?;
                if let Some(seq) = broadcast_of(db, &owner, id)? {
                    changed |= hide.execute((owner.user, seq))? > 0;
                    owner.see(db, seq)?;
                }
            }
        }
    }
    if changed {
        owner.own.save(db)?;
        owner.advance(db, 0)?;
        owner.forget_deleted(db)?;
    }
    Ok(changed)
}

/// The place of a broadcast that the owner can see; `None` where there is none.
pub(super) fn broadcast_of(db: &Connection, owner: &InboxOwner, id: &NotificationId) -> Result<Option<i64>> {
    let mut statement =
        db.prepare_cached("SELECT seq FROM broadcast WHERE tenant = ?1 AND id = ?2 AND seq > ?3")?;
    optional(statement.query_row((owner.tenant, id.as_str(), owner.known_from), |row| row.get(0)))
}
