//! Effects on many: what one outcome causes in thousands of inboxes is durable with the outcome, and reaches them in
//! slices between other outcomes, so that nobody else waits for it.
//!
//! A slice is a row of `outbox`; it goes in the transaction that applies it, so each is applied once, and what a process
//! left is carried on by the next. Tenants take turns; within a tenant effects keep their order: where some wait, later
//! ones wait behind them.

use std::collections::VecDeque;
use std::sync::Arc;

use rusqlite::Connection;
use rustc_hash::FxHashMap;

use crate::domain::inbox::Notice;
use crate::domain::names::{TenantId, UserId, UserKey};
use crate::store::Effect;

use super::engine::{EngineError, Result};
use super::notices::{self, Holder};
use super::state::State;

/// Effects that are applied in one piece.
pub(super) const SLICE: usize = 128;
/// Slices that may wait; past that outcomes with effects are refused as overloaded.
const MOST: usize = 10_000;

/// Slices that one step of an erasure looks through.
const LOOKED_THROUGH: usize = 500;

/// Effects that wait: one notice for some users.
struct Slice {
    /// Its row.
    id: i64,
    /// The row of its notice.
    notice_id: i64,
    notice: Arc<Notice>,
    users: Vec<UserId>,
}

/// What waits to be applied.
#[derive(Default)]
pub(super) struct Outbox {
    waiting: FxHashMap<TenantId, VecDeque<Slice>>,
    /// Tenants with something waiting, in the order of their turns.
    turns: VecDeque<TenantId>,
    slices: usize,
    /// The last row's id.
    last: i64,
}

impl Outbox {
    /// Reads what the last process left.
    pub(super) fn load(db: &Connection) -> Result<Self> {
        let mut outbox = Self::default();
        let damaged = |_| EngineError::Damaged("outbox");
        let mut statement = db.prepare(
            "SELECT o.id, o.notice, o.users, t.name FROM outbox o JOIN tenants t ON t.id = o.tenant ORDER BY o.id",
        )?;
        let mut rows = statement.query([])?;
        let mut notice: Option<(i64, Arc<Notice>)> = None;
        while let Some(row) = rows.next()? {
            let (id, notice_id): (i64, i64) = (row.get(0)?, row.get(1)?);
            let (users, tenant): (String, String) = (row.get(2)?, row.get(3)?);
            let kept = match notice.take() {
                Some((kept, notice)) if kept == notice_id => notice,
                _ => notices::outbox_notice(db, notice_id)?,
            };
            notice = Some((notice_id, Arc::clone(&kept)));
            let users = users.lines().map(UserId::parse).collect::<std::result::Result<_, _>>();
            let slice = Slice { id, notice_id, notice: kept, users: users.map_err(damaged)? };
            outbox.last = id;
            outbox.push(&TenantId::parse(&tenant).map_err(damaged)?, slice);
        }
        Ok(outbox)
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.slices == 0
    }

    /// Whether so many more effects may wait.
    pub(super) fn has_place(&self, effects: usize) -> bool {
        self.slices + effects.div_ceil(SLICE) <= MOST
    }

    fn push(&mut self, tenant: &TenantId, slice: Slice) {
        self.slices += 1;
        let waiting = self.waiting.entry(tenant.clone()).or_default();
        if waiting.is_empty() {
            self.turns.push_back(tenant.clone());
        }
        waiting.push_back(slice);
    }

    /// The next slice, and whether it is its notice's last.
    fn pop(&mut self) -> Option<(TenantId, Slice, bool)> {
        let tenant = self.turns.pop_front()?;
        let waiting = self.waiting.get_mut(&tenant)?;
        let slice = waiting.pop_front()?;
        self.slices -= 1;
        let last = waiting.front().is_none_or(|next| next.notice_id != slice.notice_id);
        if waiting.is_empty() {
            self.waiting.remove(&tenant);
        } else {
            self.turns.push_back(tenant.clone());
        }
        Some((tenant, slice, last))
    }
}

impl State {
    /// Applies what an outcome causes elsewhere, in the same transaction. Where it is much, or more of the tenant's
    /// waits already, it is written down and waits.
    pub(super) fn apply_effects(
        &mut self,
        db: &Connection,
        tenant: &TenantId,
        effects: &[Effect],
    ) -> Result<()> {
        if effects.len() <= SLICE && !self.outbox.waiting.contains_key(tenant) {
            for Effect::Notify { user, notice } in effects {
                self.notify(db, tenant, user, notice)?;
            }
            return Ok(());
        }
        for alike in effects.chunk_by(has_same_notice) {
            let Some(Effect::Notify { notice, .. }) = alike.first() else { continue };
            let users: Vec<&UserId> = alike.iter().map(|Effect::Notify { user, .. }| user).collect();
            self.write_down(db, tenant, notice, &users)?;
        }
        Ok(())
    }

    fn write_down(
        &mut self,
        db: &Connection,
        tenant: &TenantId,
        notice: &Arc<Notice>,
        users: &[&UserId],
    ) -> Result<()> {
        let tenant_id = self.names.tenant(db, tenant)?;
        let notice_id = self.outbox.last + 1;
        notices::insert(
            db,
            Holder::Outbox(tenant_id),
            (notice_id, self.now),
            notice,
            self.notification_retention,
        )?;
        let mut insert = db.prepare_cached("INSERT INTO outbox VALUES(?1, ?2, ?3, ?4)")?;
        for users in users.chunks(SLICE) {
            let users: Vec<UserId> = users.iter().map(|user| (*user).clone()).collect();
            self.outbox.last += 1;
            let id = self.outbox.last;
            insert.execute((id, tenant_id, notice_id, lines(&users)))?;
            self.outbox.push(tenant, Slice { id, notice_id, notice: Arc::clone(notice), users });
        }
        self.wrote = true;
        Ok(())
    }

    /// Takes a user out of the slices after `after` that wait in their tenant, of some of them; how many they were in, and
    /// the last that was looked at where there are more.
    pub(super) fn take_out_of_outbox(
        &mut self,
        db: &Connection,
        user: &UserKey,
        after: i64,
    ) -> Result<(u64, Option<i64>)> {
        let Some(waiting) = self.outbox.waiting.get_mut(&user.tenant) else { return Ok((0, None)) };
        let begin = waiting.partition_point(|slice| slice.id <= after);
        let end = waiting.len().min(begin + LOOKED_THROUGH);
        let mut update = db.prepare_cached("UPDATE outbox SET users = ?2 WHERE id = ?1")?;
        let (mut found, mut last) = (0, after);
        for slice in waiting.range_mut(begin..end) {
            last = slice.id;
            let before = slice.users.len();
            slice.users.retain(|other| *other != user.user);
            if slice.users.len() < before {
                found += 1;
                update.execute((slice.id, lines(&slice.users)))?;
                self.wrote = true;
            }
        }
        Ok((found, (end < waiting.len()).then_some(last)))
    }

    /// Applies the next slice that waits.
    pub(super) fn apply_slice(&mut self, db: &Connection) -> Result<()> {
        let Some((tenant, slice, last)) = self.outbox.pop() else { return Ok(()) };
        for user in &slice.users {
            self.notify(db, &tenant, user, &slice.notice)?;
        }
        db.prepare_cached("DELETE FROM outbox WHERE id = ?1")?.execute([slice.id])?;
        if last {
            db.prepare_cached("DELETE FROM outbox_notices WHERE seq = ?1")?.execute([slice.notice_id])?;
        }
        self.wrote = true;
        Ok(())
    }
}

/// Users as a row has them.
fn lines(users: &[UserId]) -> String {
    users.iter().map(UserId::as_str).collect::<Vec<_>>().join("\n")
}

fn has_same_notice(one: &Effect, other: &Effect) -> bool {
    let (Effect::Notify { notice: one, .. }, Effect::Notify { notice: other, .. }) = (one, other);
    Arc::ptr_eq(one, other)
}
