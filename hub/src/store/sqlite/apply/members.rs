//! What a membership entry does to the members.

use rusqlite::Connection;

use crate::domain::member::{MembershipChange, Role};
use crate::domain::names::UserId;
use crate::domain::position::Seq;

use super::super::engine::Result;
use super::super::room_state::{MemberRow, RoomState};
use super::super::state::State;
use super::Actor;

impl State {
    /// Carries a membership entry out; gives the member's interned id. A role for, or the end of, a membership that is
    /// not there changes nothing.
    pub(super) fn change_member(
        &mut self,
        db: &Connection,
        room: &mut RoomState,
        seq: Seq,
        (user, change, role): (&UserId, MembershipChange, Role),
    ) -> Result<i64> {
        let id = self.names.user(db, room.tenant, user)?.id;
        let before = room.member(db, id)?;
        match (change, before) {
            (MembershipChange::Added, None) => {
                let from_start = self.rules(&room.key.room).is_none_or(|rules| rules.history_before_join);
                let history_from = if from_start { Seq(1) } else { seq };
                room.set_member(db, id, Some(MemberRow { role, version: seq, joined: seq, history_from }))?;
                room.members += 1;
                self.begin_at_head(db, room, (id, user))?;
            }
            (MembershipChange::Added | MembershipChange::RoleChanged, Some(member)) => {
                room.set_member(db, id, Some(MemberRow { role, version: seq, ..member }))?;
            }
            (MembershipChange::Removed | MembershipChange::Left, Some(_)) => {
                room.set_member(db, id, None)?;
                room.members -= 1;
            }
            (_, None) => {}
        }
        Ok(id)
    }

    /// To a new member what was written before is history, not unread. It is no receipt: nobody is told.
    fn begin_at_head(
        &mut self,
        db: &Connection,
        room: &mut RoomState,
        (id, user): (i64, &UserId),
    ) -> Result<()> {
        let before = room.marks_of(db, id)?;
        let marks = before.joined(room.head.number);
        if marks != before {
            self.journal.append_marks(db, (room.id, id), marks, self.now)?;
            self.set_marks(room, Actor { id, user, by_service: false }, marks);
        }
        Ok(())
    }
}
