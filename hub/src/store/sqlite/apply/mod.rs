//! Applies one outcome inside the group's transaction: deduplicates, checks the conditions, writes.

mod ahead;
mod conditions;
mod inbox;
mod members;
mod messages;
mod room;
mod tenant;

use rusqlite::Connection;

use crate::domain::marks::Marks;
use crate::domain::names::{RoomKey, UserKey};
use crate::domain::position::{Position, Seq};
use crate::domain::time::Timestamp;
use crate::store::{CommitError, Committed, Home, Outcome, StoreError, Write};

use super::engine::Result;
use super::idempotency::{KeyHash, Record};
use super::room_state::RoomState;
use super::state::State;

pub(super) use ahead::Ahead;
pub(super) use messages::Blanked;

/// What an outcome came to: the engine's errors end the writer, these only the outcome.
pub(super) type Applied = std::result::Result<Committed, CommitError>;

/// Who acts, interned.
#[derive(Clone, Copy)]
struct Actor<'a> {
    id: i64,
    user: &'a crate::domain::names::UserId,
    by_service: bool,
}

impl State {
    /// Applies an outcome, for which so much was read [`ahead`]. On a refusal nothing was written.
    pub(super) fn apply(&mut self, db: &Connection, outcome: Outcome, ahead: Ahead) -> Result<Applied> {
        let hash = self.keys.hash(&outcome);
        if let (Some(hash), Some(idempotency)) = (hash, &outcome.idempotency) {
            let own = self.keys.find(db, hash)?;
            if own.is_some_and(|record| record.fingerprint != idempotency.fingerprint) {
                return Ok(Err(CommitError::KeyReused));
            }
            if let Some(record) =
                own.map_or_else(|| self.keys.find_of_before(db, &outcome), |own| Ok(Some(own)))?
            {
                return self.repeat(db, &outcome, record).map(Ok);
            }
        }
        if !self.outbox.has_place(outcome.effects.len()) {
            return Ok(Err(StoreError::Overloaded.into()));
        }
        match outcome.home.clone() {
            Home::Room(room) => {
                let key = RoomKey { tenant: outcome.tenant.clone(), room };
                let mut room = self.rooms.take(db, &mut self.names, &key)?;
                let applied = self.apply_to_room(db, &mut room, (&key, ahead), outcome, hash)?;
                if let Some(room) = room {
                    self.rooms.put(room);
                }
                Ok(applied)
            }
            Home::Inbox(user) => {
                let user = UserKey { tenant: outcome.tenant.clone(), user };
                if !self.has_place(db, hash)? {
                    return Ok(Err(CommitError::TooManyKeys));
                }
                self.apply_to_inbox(db, &user, outcome, hash).map(Ok)
            }
            // All that it may be under is one that never holds.
            Home::Tenant if !outcome.conditions.is_empty() => Ok(Err(CommitError::Condition(Box::default()))),
            Home::Tenant => {
                if !self.has_place(db, hash)? {
                    return Ok(Err(CommitError::TooManyKeys));
                }
                self.apply_to_tenant(db, outcome, hash).map(Ok)
            }
        }
    }

    fn apply_to_room(
        &mut self,
        db: &Connection,
        slot: &mut Option<Box<RoomState>>,
        (key, ahead): (&RoomKey, Ahead),
        outcome: Outcome,
        hash: Option<KeyHash>,
    ) -> Result<Applied> {
        if let Some(current) = self.failed_condition(db, slot.as_deref_mut(), &outcome)? {
            return Ok(Err(CommitError::Condition(Box::new(current))));
        }
        if let Some(room) = slot
            && self.is_state_full(db, room, &outcome)?
        {
            return Ok(Err(CommitError::StateFull));
        }
        if let Some(room) = slot
            && self.are_reactions_full(db, room, &outcome)?
        {
            return Ok(Err(CommitError::ReactionsFull));
        }
        if !self.has_place(db, hash)? {
            return Ok(Err(CommitError::TooManyKeys));
        }
        let mut committed = self.nothing_yet();
        let fingerprint = outcome.idempotency.map_or(0, |idempotency| idempotency.fingerprint);
        if !outcome.writes.is_empty() {
            if slot.is_none() {
                *slot = Some(self.make_room(db, &key.tenant, key)?);
            }
            if let Some(room) = slot {
                let id = self.names.user(db, room.tenant, &outcome.actor)?.id;
                let actor = Actor { id, user: &outcome.actor, by_service: outcome.by_service };
                self.write_room(db, room, (actor, ahead), outcome.writes, &mut committed)?;
            }
        }
        self.apply_effects(db, &key.tenant, &outcome.effects)?;
        self.finish(hash, fingerprint, &committed);
        Ok(Ok(committed))
    }

    fn has_place(&mut self, db: &Connection, hash: Option<KeyHash>) -> Result<bool> {
        if hash.is_none() { Ok(true) } else { self.keys.make_place(db, self.now) }
    }

    fn nothing_yet(&self) -> Committed {
        Committed {
            position: Position { epoch: self.epoch, ..Position::default() },
            number: 0,
            time: self.now,
            version: 0,
            duplicate: false,
            marks: None,
            inbox: None,
        }
    }

    fn finish(&mut self, hash: Option<KeyHash>, fingerprint: u64, committed: &Committed) {
        if let Some(hash) = hash {
            let record = Record {
                seq: committed.position.seq,
                tag: committed.position.tag,
                number: committed.number,
                time: committed.time,
                version: committed.version,
                fingerprint,
            };
            self.keys.insert(hash, record);
        }
    }

    /// What the first attempt gave; marks and inbox as they are now.
    fn repeat(&mut self, db: &Connection, outcome: &Outcome, record: Record) -> Result<Committed> {
        let mut committed = Committed {
            position: Position { epoch: self.epoch, seq: record.seq, tag: record.tag },
            number: record.number,
            time: record.time,
            version: record.version,
            duplicate: true,
            marks: None,
            inbox: None,
        };
        match &outcome.home {
            Home::Room(room) if writes_marks(outcome) => {
                let key = RoomKey { tenant: outcome.tenant.clone(), room: room.clone() };
                if let Some(room) = self.rooms.take(db, &mut self.names, &key)? {
                    committed.marks = match self.names.find_user(db, room.tenant, &outcome.actor)? {
                        Some(user) => Some(room.marks_of(db, user.id)?),
                        None => Some(Marks::default()),
                    };
                    self.rooms.put(room);
                }
            }
            Home::Inbox(user) if outcome.writes.iter().any(|write| matches!(write, Write::Inbox(_))) => {
                let user = UserKey { tenant: outcome.tenant.clone(), user: user.clone() };
                committed.inbox = Some(self.inbox_summary(db, &user)?);
            }
            _ => {}
        }
        Ok(committed)
    }

    /// The group's time in a room: never before the entry before.
    fn time_in(&self, room: &RoomState) -> Timestamp {
        Timestamp(self.now.millis().max(room.head.time))
    }
}

fn writes_marks(outcome: &Outcome) -> bool {
    use crate::domain::entry::EntryBody;
    !outcome.by_service
        && outcome
            .writes
            .iter()
            .any(|write| matches!(write, Write::Marks { .. } | Write::Append(EntryBody::Message(_))))
}

/// A seq as SQLite keeps it.
fn column(seq: Seq) -> i64 {
    seq.0 as i64
}
