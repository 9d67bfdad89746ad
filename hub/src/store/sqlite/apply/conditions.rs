//! Whether what an outcome was decided under still holds.

use rusqlite::Connection;

use crate::domain::entry::{Entry, EntryBody};
use crate::domain::member::{Member, Role};
use crate::domain::names::UserId;
use crate::domain::position::Seq;
use crate::store::{Condition, Current, Outcome, Write};

use super::super::engine::{Result, optional};
use super::super::room_state::{MemberRow, RoomState};
use super::super::state::State;
use super::column;

impl State {
    /// The room's state where a condition does not hold. An edit, a deletion and a reaction also need their message.
    pub(super) fn failed_condition(
        &mut self,
        db: &Connection,
        mut room: Option<&mut RoomState>,
        outcome: &Outcome,
    ) -> Result<Option<Current>> {
        for condition in &outcome.conditions {
            if !self.holds(db, room.as_deref_mut(), condition)? {
                let (user, seq) = named(condition);
                return self.current(db, room, outcome, user, seq).map(Some);
            }
        }
        for write in &outcome.writes {
            let Write::Append(
                EntryBody::Edit { target, .. }
                | EntryBody::Deletion { target }
                | EntryBody::Reaction { target, .. },
            ) = write
            else {
                continue;
            };
            let needed = Condition::Message { seq: *target, sender: None, version: None };
            if !self.holds(db, room.as_deref_mut(), &needed)? {
                return self.current(db, room, outcome, None, Some(*target)).map(Some);
            }
        }
        Ok(None)
    }

    fn holds(
        &mut self,
        db: &Connection,
        room: Option<&mut RoomState>,
        condition: &Condition,
    ) -> Result<bool> {
        let Some(room) = room else {
            return Ok(match condition {
                Condition::RoomNotCreated | Condition::NotMember(_) => true,
                Condition::MembersBelow(most) => *most > 0,
                Condition::HeadAtLeast(seq) => seq.0 == 0,
                Condition::RoomVersion(_)
                | Condition::Member { .. }
                | Condition::OtherOwner(_)
                | Condition::Message { .. } => false,
            });
        };
        Ok(match condition {
            Condition::RoomNotCreated => !room.created,
            Condition::RoomVersion(version) => room.created && room.version == *version,
            Condition::Member { user, version } => {
                self.member_row(db, room, user)?.is_some_and(|member| member.version == *version)
            }
            Condition::NotMember(user) => self.member_row(db, room, user)?.is_none(),
            Condition::MembersBelow(most) => room.members < *most,
            Condition::OtherOwner(user) => self.has_other_owner(db, room, user)?,
            Condition::Message { seq, sender, version } => {
                let entry = self.entry(db, room, *seq)?;
                entry.is_some_and(|entry| is_message(&entry, sender.as_ref(), *version))
            }
            Condition::HeadAtLeast(seq) => room.head.seq >= *seq,
        })
    }

    fn member_row(
        &mut self,
        db: &Connection,
        room: &mut RoomState,
        user: &UserId,
    ) -> Result<Option<MemberRow>> {
        match self.names.find_user(db, room.tenant, user)? {
            Some(user) => room.member(db, user.id),
            None => Ok(None),
        }
    }

    fn has_other_owner(&mut self, db: &Connection, room: &RoomState, user: &UserId) -> Result<bool> {
        let id = self.names.find_user(db, room.tenant, user)?.map_or(0, |user| user.id);
        let mut statement =
            db.prepare_cached("SELECT 1 FROM members WHERE room = ?1 AND role = ?2 AND user <> ?3 LIMIT 1")?;
        Ok(optional(statement.query_row((room.id, Role::Owner as i64, id), |_| Ok(())))?.is_some())
    }

    fn current(
        &mut self,
        db: &Connection,
        room: Option<&mut RoomState>,
        outcome: &Outcome,
        user: Option<&UserId>,
        seq: Option<Seq>,
    ) -> Result<Current> {
        let Some(room) = room else { return Ok(Current::default()) };
        let member = |state: &mut Self, room: &mut RoomState, user: &UserId| -> Result<Option<Member>> {
            Ok(state.member_row(db, room, user)?.map(|row| to_member(user, row)))
        };
        Ok(Current {
            room: Some(room.to_room(self.epoch)),
            actor: member(self, room, &outcome.actor)?,
            member: user.map(|user| member(self, room, user)).transpose()?.flatten(),
            entry: seq
                .map(|seq| self.entry(db, room, seq))
                .transpose()?
                .flatten()
                .map(|entry| (*entry).clone()),
        })
    }

    /// The number at a place that is not beyond the head.
    pub(super) fn number_at(&mut self, db: &Connection, room: &RoomState, seq: Seq) -> Result<u64> {
        if seq == room.head.seq {
            return Ok(room.head.number);
        }
        if let Some(entry) = self.entry(db, room, seq)? {
            return Ok(entry.number);
        }
        if seq.0 == 0 {
            return Ok(0);
        }
        // Retention removed it: what came before the oldest entry that is left.
        match self.entry(db, room, room.first)? {
            Some(oldest) => Ok(oldest.number - u64::from(matches!(oldest.body, EntryBody::Message(_)))),
            None => Ok(room.head.number),
        }
    }

    /// An entry as it reads now; `None` where there is none.
    pub(in super::super) fn entry(
        &mut self,
        db: &Connection,
        room: &RoomState,
        seq: Seq,
    ) -> Result<Option<std::sync::Arc<Entry>>> {
        if let Some(index) = room.unsettled_index(seq) {
            return Ok(room.unsettled.get(index).map(|unsettled| std::sync::Arc::clone(&unsettled.entry)));
        }
        if seq < room.first || seq > room.head.seq {
            return Ok(None);
        }
        let sql = const_format_log();
        let mut statement = db.prepare_cached(&sql)?;
        let mut rows = statement.query((room.id, column(seq)))?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let names = &mut self.names;
        let entry = super::super::rows::read_entry(row, self.epoch, |id| names.name(db, id))?;
        Ok(Some(std::sync::Arc::new(entry)))
    }
}

fn const_format_log() -> String {
    format!("SELECT {} FROM log WHERE room = ?1 AND seq = ?2", super::super::rows::COLUMNS)
}

fn named(condition: &Condition) -> (Option<&UserId>, Option<Seq>) {
    match condition {
        Condition::Member { user, .. } | Condition::NotMember(user) | Condition::OtherOwner(user) => {
            (Some(user), None)
        }
        Condition::Message { seq, .. } | Condition::HeadAtLeast(seq) => (None, Some(*seq)),
        Condition::RoomNotCreated | Condition::RoomVersion(_) | Condition::MembersBelow(_) => (None, None),
    }
}

fn is_message(entry: &Entry, sender: Option<&UserId>, version: Option<u32>) -> bool {
    let EntryBody::Message(message) = &entry.body else { return false };
    message.content.is_some()
        && sender.is_none_or(|sender| *sender == entry.sender)
        && version.is_none_or(|version| version == message.version)
}

/// A membership with its user.
pub(super) fn to_member(user: &UserId, row: MemberRow) -> Member {
    Member {
        user: user.clone(),
        role: row.role,
        version: row.version,
        joined: row.joined,
        history_from: row.history_from,
    }
}
