//! Damage that one outcome meets at its home is that outcome's alone: all that it will read there of what the caches do not have is
//! read before its group's transaction begins. What fails within that ends the writer: effects on users' inboxes, retention, an erasure,
//! and a page beside one that is written, where the tree is balanced.

use rusqlite::Connection;

use crate::domain::entry::EntryBody;
use crate::domain::inbox::InboxChange;
use crate::domain::names::{RoomKey, UserKey};
use crate::domain::position::Seq;
use crate::store::{Home, Outcome, StoreError, Write};

use super::super::engine::Result;
use super::super::notices::InboxOwner;
use super::super::queue::Reply;
use super::super::room_state::RoomState;
use super::super::state::State;
use super::column;
use super::inbox::broadcast_of;

/// What was read ahead and is needed again.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Ahead {
    /// A place that is to be marked as read, and its number, which never changes.
    pub(super) number: Option<(Seq, u64)>,
}

impl State {
    /// Reads what a group's outcomes will read, in a transaction that only reads: one in which damage was met can commit nothing
    /// any more. Whose outcome meets damage is answered, and it is none of the group; what else fails is met again within that.
    pub(in super::super) fn look_ahead(
        &mut self,
        db: &Connection,
        outcomes: Vec<(Box<Outcome>, Reply)>,
    ) -> Result<Vec<(Box<Outcome>, Reply, Ahead)>> {
        let (mut whole, mut looks) = (Vec::with_capacity(outcomes.len()), true);
        db.prepare_cached("BEGIN")?.raw_execute()?;
        for (outcome, reply) in outcomes {
            match if looks { self.look_at(db, &outcome) } else { Ok(Ahead::default()) } {
                Err(error) if error.is_damage() => {
                    db.prepare_cached("ROLLBACK")?.raw_execute()?;
                    db.prepare_cached("BEGIN")?.raw_execute()?;
                    // Nobody may be waiting any more.
                    let _ = reply.send(Err(StoreError::from(error).into()));
                }
                Ok(ahead) => whole.push((outcome, reply, ahead)),
                // Whoever holds up the reads holds up the group, which waits once.
                Err(_) => {
                    looks = false;
                    whole.push((outcome, reply, Ahead::default()));
                }
            }
        }
        db.prepare_cached("COMMIT")?.raw_execute()?;
        Ok(whole)
    }

    /// Reads what an outcome will read. What the caches have is not read again later.
    fn look_at(&mut self, db: &Connection, outcome: &Outcome) -> Result<Ahead> {
        if let Some(hash) = self.keys.hash(outcome) {
            self.keys.find(db, hash)?;
        }
        match &outcome.home {
            Home::Room(room) => {
                let key = RoomKey { tenant: outcome.tenant.clone(), room: room.clone() };
                let Some(mut room) = self.rooms.take(db, &mut self.names, &key)? else {
                    return Ok(Ahead::default());
                };
                let ahead = self.look_at_room(db, &mut room, outcome);
                if let Err(error) = &ahead {
                    tracing::error!(%error, room = room.id, "a room is damaged");
                }
                self.rooms.put(room);
                ahead
            }
            Home::Inbox(user) => {
                let user = UserKey { tenant: outcome.tenant.clone(), user: user.clone() };
                self.look_at_inbox(db, &user, outcome)?;
                Ok(Ahead::default())
            }
            Home::Tenant => Ok(Ahead::default()),
        }
    }

    fn look_at_room(&mut self, db: &Connection, room: &mut RoomState, outcome: &Outcome) -> Result<Ahead> {
        let mut ahead = Ahead::default();
        self.failed_condition(db, Some(room), outcome)?;
        self.is_state_full(db, room, outcome)?;
        self.are_reactions_full(db, room, outcome)?;
        let actor = self.names.find_user(db, room.tenant, &outcome.actor)?;
        for write in &outcome.writes {
            match write {
                Write::Marks { read, .. } => {
                    let before = actor.map(|actor| room.marks_of(db, actor.id)).transpose()?;
                    let read = (*read).min(room.head.seq);
                    if read > before.unwrap_or_default().read {
                        ahead.number = Some((read, self.number_at(db, room, read)?));
                    }
                }
                Write::Already(seq) => {
                    self.entry(db, room, *seq)?;
                }
                Write::Append(EntryBody::Deletion { target }) => self.look_at_message(db, room, *target)?,
                Write::Append(EntryBody::Membership { user, .. }) => {
                    if let Some(user) = self.names.find_user(db, room.tenant, user)? {
                        room.member(db, user.id)?;
                        room.marks_of(db, user.id)?;
                    }
                }
                _ => {}
            }
        }
        Ok(ahead)
    }

    /// What goes with a message.
    fn look_at_message(&mut self, db: &Connection, room: &RoomState, target: Seq) -> Result<()> {
        let mut statement = db.prepare_cached("SELECT seq FROM edits WHERE room = ?1 AND target = ?2")?;
        let edits: Vec<i64> = statement
            .query_map((room.id, column(target)), |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for edit in edits {
            self.entry(db, room, Seq(edit as u64))?;
        }
        db.prepare_cached("SELECT count(*) FROM reactions WHERE room = ?1 AND seq = ?2")?
            .query_row((room.id, column(target)), |_| Ok(()))?;
        Ok(())
    }

    /// What a change of an inbox goes over.
    fn look_at_inbox(&mut self, db: &Connection, user: &UserKey, outcome: &Outcome) -> Result<()> {
        let Some(owner) = InboxOwner::find(db, user)? else { return Ok(()) };
        for write in &outcome.writes {
            if let Write::Inbox(change) = write {
                look_at_change(db, owner, change)?;
            }
        }
        self.inbox_summary(db, user)?;
        Ok(())
    }
}

fn look_at_change(db: &Connection, mut owner: InboxOwner, change: &InboxChange) -> Result<()> {
    match change {
        // The rows that are read by this are not looked at.
        InboxChange::ReadUpTo(to) => {
            owner.own.read_up_to(db, column(to.own))?;
            owner.look_on(db, column(to.broadcast))
        }
        InboxChange::Read(ids) | InboxChange::Delete(ids) => {
            let mut finds = false;
            for id in ids {
                finds |= owner.own.look_at(db, id, matches!(change, InboxChange::Delete(_)))?;
                if let Some(seq) = broadcast_of(db, &owner, id)? {
                    owner.look_at(db, seq)?;
                    finds = true;
                }
            }
            if finds { owner.look_on(db, 0) } else { Ok(()) }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::super::inbox::change_inbox;
    use super::*;
    use crate::domain::names::{TenantId, UserId};
    use crate::domain::position::InboxPosition;
    use crate::store::sqlite::schema;

    /// Steps of the engine that it takes to look ahead at, and then do, what a user with so many unread asks for.
    fn steps(unread: u64, change: impl Fn(u64) -> InboxChange) -> u64 {
        let mut db = Connection::open_in_memory().unwrap();
        schema::migrate(&mut db).unwrap();
        db.execute_batch(&format!(
            "WITH RECURSIVE place(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM place WHERE n < {unread})
             INSERT INTO inbox(user, seq, id, kind, title, priority, sender, time)
             SELECT 1, n, 'n' || n, 'news', 'news', 2, 'robot', n FROM place;
             INSERT INTO tenants(id, name) VALUES(1, 'acme');
             INSERT INTO users(id, tenant, name, inbox_head, inbox_unread) VALUES(1, 1, 'bob', {unread}, {unread});"
        ))
        .unwrap();
        let bob = UserKey { tenant: TenantId::parse("acme").unwrap(), user: UserId::parse("bob").unwrap() };
        let owner = InboxOwner::find(&db, &bob).unwrap().unwrap();
        let steps = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&steps);
        let count = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            false
        };
        db.progress_handler(1, Some(count)).unwrap();
        look_at_change(&db, owner, &change(unread)).unwrap();
        assert!(change_inbox(&db, owner, &change(unread)).unwrap());
        steps.load(Ordering::Relaxed)
    }

    #[test]
    fn to_read_all_or_half_takes_no_longer_where_more_is_unread() {
        for part in [1, 2] {
            let reads = |unread: u64| {
                InboxChange::ReadUpTo(InboxPosition { own: Seq(unread / part), ..InboxPosition::default() })
            };
            let (few, many) = (steps(8_000, reads), steps(80_000, reads));
            assert!(many < few + few / 4 + 500, "1/{part}: {few} and {many} steps");
        }
    }
}
