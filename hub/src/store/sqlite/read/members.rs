//! Reads of a room's members and their marks.

use rusqlite::Row;

use crate::domain::marks::Marks;
use crate::domain::member::Member;
use crate::domain::names::{RoomKey, UserId};

use super::super::engine::{EngineError, Result};
use super::super::readers::Reader;
use super::super::room_state::read_marks;
use super::super::rows::{read_role, seq};
use super::rooms::{room_id, user_id};

impl Reader {
    /// A user's membership.
    pub(in super::super) fn member(&mut self, room: &RoomKey, user: &UserId) -> Result<Option<Member>> {
        let (Some(id), Some(user_id)) = (room_id(&self.db, room)?, user_id(&self.db, &room.tenant, user)?)
        else {
            return Ok(None);
        };
        let mut statement = self.db.prepare_cached(
            "SELECT role, version, joined, history_from FROM members WHERE room = ?1 AND user = ?2",
        )?;
        let mut rows = statement.query((id, user_id))?;
        rows.next()?.map(|row| read_member(row, 0, user.clone())).transpose()
    }

    /// A room's members in order of their ids.
    pub(in super::super) fn members(
        &mut self,
        room: &RoomKey,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<Member>> {
        let Some(id) = room_id(&self.db, room)? else { return Ok(Vec::new()) };
        let mut statement = self.db.prepare_cached(
            "SELECT u.name, m.role, m.version, m.joined, m.history_from FROM members m JOIN users u ON u.id = m.user
             WHERE m.room = ?1 AND u.name > ?2 ORDER BY u.name LIMIT ?3",
        )?;
        let mut rows = statement.query((id, after.map_or("", UserId::as_str), limit))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            let user = UserId::parse(&name).map_err(|_| EngineError::Damaged("user"))?;
            found.push(read_member(row, 1, user)?);
        }
        Ok(found)
    }

    /// A user's marks.
    pub(in super::super) fn marks(&mut self, room: &RoomKey, user: &UserId) -> Result<Marks> {
        if let Some(marks) = self.overlay.look(room, |room| room.marks.get(user).copied()).flatten() {
            return Ok(marks);
        }
        match (room_id(&self.db, room)?, user_id(&self.db, &room.tenant, user)?) {
            (Some(room), Some(user)) => read_marks(&self.db, room, user),
            _ => Ok(Marks::default()),
        }
    }
    /// Those of some users who are members.
    pub(in super::super) fn members_among(
        &mut self,
        room: &RoomKey,
        users: &[UserId],
    ) -> Result<Vec<Member>> {
        let mut found = Vec::new();
        for user in users {
            found.extend(self.member(room, user)?);
        }
        Ok(found)
    }

    /// Some users' marks. What is unsettled is looked at first: what it lacks is home in the snapshot.
    pub(in super::super) fn marks_of(&mut self, room: &RoomKey, users: &[UserId]) -> Result<Vec<Marks>> {
        let unsettled = self
            .overlay
            .look(room, |room| users.iter().map(|user| room.marks.get(user).copied()).collect::<Vec<_>>());
        let unsettled = unsettled.unwrap_or_else(|| vec![None; users.len()]);
        let id = room_id(&self.db, room)?;
        let mut found = Vec::with_capacity(users.len());
        for (user, unsettled) in users.iter().zip(unsettled) {
            found.push(match (unsettled, id) {
                (Some(marks), _) => marks,
                (None, None) => Marks::default(),
                (None, Some(id)) => match user_id(&self.db, &room.tenant, user)? {
                    Some(user) => read_marks(&self.db, id, user)?,
                    None => Marks::default(),
                },
            });
        }
        Ok(found)
    }
}

fn read_member(row: &Row<'_>, first: usize, user: UserId) -> Result<Member> {
    Ok(Member {
        user,
        role: read_role(row.get(first)?)?,
        version: seq(row.get(first + 1)?),
        joined: seq(row.get(first + 2)?),
        history_from: seq(row.get(first + 3)?),
    })
}
