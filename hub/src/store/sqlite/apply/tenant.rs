//! Writes to a tenant: its broadcast log and its directory of users.

use std::sync::Arc;

use rusqlite::Connection;

use crate::domain::inbox::{InboxPlace, Notice, Notification};
use crate::domain::names::TenantId;
use crate::domain::position::{Position, Seq, Tag};
use crate::domain::time::Timestamp;
use crate::store::{Change, Committed, Outcome, Write};

use super::super::engine::Result;
use super::super::idempotency::KeyHash;
use super::super::notices::{self, Holder};
use super::super::state::State;

impl State {
    /// Applies an outcome whose home is the tenant.
    pub(super) fn apply_to_tenant(
        &mut self,
        db: &Connection,
        outcome: Outcome,
        hash: Option<KeyHash>,
    ) -> Result<Committed> {
        let mut committed = self.nothing_yet();
        for write in outcome.writes {
            let tenant = self.names.tenant(db, &outcome.tenant)?;
            match write {
                Write::Know => {
                    let user = self.names.user(db, tenant, &outcome.actor)?;
                    if !user.known {
                        db.prepare_cached(
                            "UPDATE users SET known_from = (SELECT broadcast_head FROM tenants WHERE id = ?2)
                             WHERE id = ?1",
                        )?
                        .execute((user.id, tenant))?;
                        self.names.forget(tenant, &outcome.actor);
                        self.wrote = true;
                    }
                }
                Write::Broadcast(notice) => {
                    self.broadcast(db, (&outcome.tenant, tenant), &notice, &mut committed)?;
                }
                // `is_well_formed` keeps those away.
                Write::Append(_)
                | Write::Create { .. }
                | Write::Marks { .. }
                | Write::Already(_)
                | Write::Inbox(_) => {}
            }
        }
        self.apply_effects(db, &outcome.tenant, &outcome.effects)?;
        let fingerprint = outcome.idempotency.map_or(0, |idempotency| idempotency.fingerprint);
        self.finish(hash, fingerprint, &committed);
        Ok(committed)
    }

    fn broadcast(
        &mut self,
        db: &Connection,
        (tenant, id): (&TenantId, i64),
        notice: &Arc<Notice>,
        committed: &mut Committed,
    ) -> Result<()> {
        let (head, time): (i64, i64) = db
            .prepare_cached("SELECT broadcast_head, broadcast_time FROM tenants WHERE id = ?1")?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (seq, time) = (head + 1, Timestamp(time).max(self.now));
        notices::insert(db, Holder::Broadcast(id), (seq, time), notice, self.notification_retention)?;
        db.prepare_cached("UPDATE tenants SET broadcast_head = ?2, broadcast_time = ?3 WHERE id = ?1")?
            .execute((id, seq, time.millis()))?;
        let seq = Seq(seq as u64);
        committed.position = Position { epoch: self.epoch, seq, tag: Tag(0) };
        committed.time = time;
        let notification =
            Notification { notice: Arc::clone(notice), place: InboxPlace::Broadcast(seq), time, read: false };
        self.changes.push(Change::Broadcast { tenant: tenant.clone(), notification });
        self.wrote = true;
        Ok(())
    }
}
