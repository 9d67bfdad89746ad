//! Reads of rooms, members, marks and a user's list of rooms.

use rusqlite::{Connection, Row};

use crate::domain::content::Pairs;
use crate::domain::marks::Marks;
use crate::domain::member::Member;
use crate::domain::names::{RoomKey, RoomName, TenantId, UserId, UserKey};
use crate::domain::position::{Epoch, Position, Tag};
use crate::domain::room::{Room, RoomSummary};
use crate::store::RoomsQuery;

use super::super::engine::{EngineError, Result, optional};
use super::super::overlay::Head;
use super::super::readers::Reader;
use super::super::room_state::read_marks;
use super::super::rows::{read_pairs, read_role, seq};

/// A room, with the columns that [`RoomRow::read`] wants.
const ROOM_BY_NAME: &str =
    "SELECT r.id, r.name, r.head, r.tag, r.number, r.time, r.last_message, r.first, r.version,
       r.created, r.direct, r.members, r.metadata
     FROM tenants t JOIN rooms r ON r.tenant = t.id WHERE t.name = ?1 AND r.name = ?2";

fn key_of(tenant: &TenantId, name: &str) -> Result<RoomKey> {
    let room = RoomName::parse(name).map_err(|_| EngineError::Damaged("room"))?;
    Ok(RoomKey { tenant: tenant.clone(), room })
}

/// A room as the database has it, with what is not home yet over it.
pub(super) struct RoomRow {
    pub(super) id: i64,
    pub(super) head: Head,
    pub(super) room: Room,
}

impl RoomRow {
    /// `unsettled` was copied before the row's snapshot began: what it lacks is home in the snapshot.
    fn read(row: &Row<'_>, unsettled: Option<Head>, epoch: Epoch) -> Result<Self> {
        let name = row.get_ref(1)?.as_str().map_err(|_| EngineError::Damaged("room"))?;
        let room = RoomName::parse(name).map_err(|_| EngineError::Damaged("room"))?;
        let settled = Head {
            seq: seq(row.get(2)?),
            tag: Tag(row.get::<_, i64>(3)? as u32),
            number: row.get::<_, i64>(4)? as u64,
            time: row.get(5)?,
            last_message: seq(row.get(6)?),
        };
        let head = unsettled.unwrap_or(settled);
        let metadata: Pairs = read_pairs(row.get_ref(12)?)?;
        let room = Room {
            room,
            head: Position { epoch, seq: head.seq, tag: head.tag },
            head_number: head.number,
            first: seq(row.get(7)?).min(head.seq.next()),
            version: seq(row.get(8)?),
            created: row.get(9)?,
            direct: row.get(10)?,
            metadata,
            members: row.get::<_, i64>(11)? as u32,
        };
        Ok(Self { id: row.get(0)?, head, room })
    }
}

/// A room's interned id; `None` where it does not exist.
pub(super) fn room_id(db: &Connection, room: &RoomKey) -> Result<Option<i64>> {
    let mut statement = db.prepare_cached(
        "SELECT r.id FROM tenants t JOIN rooms r ON r.tenant = t.id WHERE t.name = ?1 AND r.name = ?2",
    )?;
    optional(statement.query_row((room.tenant.as_str(), room.room.as_str()), |row| row.get(0)))
}

fn user_id(db: &Connection, tenant: &TenantId, user: &UserId) -> Result<Option<i64>> {
    let mut statement = db.prepare_cached(
        "SELECT u.id FROM tenants t JOIN users u ON u.tenant = t.id WHERE t.name = ?1 AND u.name = ?2",
    )?;
    optional(statement.query_row((tenant.as_str(), user.as_str()), |row| row.get(0)))
}

impl Reader {
    /// A room.
    pub(in super::super) fn room(&mut self, key: &RoomKey) -> Result<Option<Room>> {
        let unsettled = self.overlay.look(key, |room| room.head);
        Ok(self.room_row(key, unsettled)?.map(|row| row.room))
    }

    /// A room, whose unsettled head was looked at before.
    pub(super) fn room_row(&mut self, key: &RoomKey, unsettled: Option<Head>) -> Result<Option<RoomRow>> {
        let mut statement = self.db.prepare_cached(ROOM_BY_NAME)?;
        let mut rows = statement.query((key.tenant.as_str(), key.room.as_str()))?;
        rows.next()?.map(|row| RoomRow::read(row, unsettled, self.epoch)).transpose()
    }

    /// The tenant's rooms whose names begin with `prefix`.
    pub(in super::super) fn rooms(
        &mut self,
        tenant: &TenantId,
        prefix: &str,
        after: Option<&RoomName>,
        limit: u32,
    ) -> Result<Vec<Room>> {
        let names: Vec<String> = self
            .db
            .prepare_cached(
                "SELECT r.name FROM tenants t JOIN rooms r ON r.tenant = t.id
                 WHERE t.name = ?1 AND r.name >= ?2 AND r.name > ?3 AND r.name < ?4 ORDER BY r.name LIMIT ?5",
            )?
            .query_map(
                (
                    tenant.as_str(),
                    prefix,
                    after.map_or("", RoomName::as_str),
                    format!("{prefix}\u{7f}"),
                    limit,
                ),
                |row| row.get(0),
            )?
            .collect::<rusqlite::Result<_>>()?;
        let mut found = Vec::with_capacity(names.len());
        for name in names {
            self.begin_snapshot()?;
            found.extend(self.room(&key_of(tenant, &name)?)?);
        }
        Ok(found)
    }

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

    /// A user's rooms. Each is of a snapshot of its own.
    pub(in super::super) fn rooms_of(
        &mut self,
        user: &UserKey,
        query: &RoomsQuery,
    ) -> Result<Vec<RoomSummary>> {
        let Some(id) = user_id(&self.db, &user.tenant, &user.user)? else { return Ok(Vec::new()) };
        let names: Vec<String> = self
            .db
            .prepare_cached(
                "SELECT r.name FROM members m JOIN rooms r ON r.id = m.room WHERE m.user = ?1 AND r.name > ?2
                 ORDER BY r.name",
            )?
            .query_map((id, query.after.as_ref().map_or("", RoomName::as_str)), |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let mut listed = Vec::new();
        for name in names {
            if listed.len() >= query.limit as usize {
                break;
            }
            listed.extend(self.summarise(user, id, &key_of(&user.tenant, &name)?, query.unread_only)?);
        }
        Ok(listed)
    }

    fn summarise(
        &mut self,
        user: &UserKey,
        id: i64,
        key: &RoomKey,
        unread_only: bool,
    ) -> Result<Option<RoomSummary>> {
        self.begin_snapshot()?;
        let unsettled = self.overlay.look(key, |room| (room.head, room.marks.get(&user.user).copied()));
        let Some(row) = self.room_row(key, unsettled.map(|(head, _)| head))? else { return Ok(None) };
        let marks = match unsettled.and_then(|(_, marks)| marks) {
            Some(marks) => marks,
            None => read_marks(&self.db, row.id, id)?,
        };
        let member = self.member(key, &user.user)?;
        let Some(member) = member.filter(|_| !unread_only || marks.unread(row.room.head_number) > 0) else {
            return Ok(None);
        };
        let peer = if row.room.direct { self.peer(row.id, id)? } else { None };
        let last = row.head.last_message;
        let readable = last.0 > 0 && last >= member.history_from && last >= row.room.first;
        let last_message = if readable {
            self.begin_snapshot()?;
            self.entry(key, last)?
        } else {
            None
        };
        Ok(Some(RoomSummary { role: member.role, room: row.room, marks, last_message, peer }))
    }

    fn peer(&self, room: i64, user: i64) -> Result<Option<UserId>> {
        let mut statement = self.db.prepare_cached(
            "SELECT u.name FROM members m JOIN users u ON u.id = m.user WHERE m.room = ?1 AND m.user <> ?2 LIMIT 1",
        )?;
        let name: Option<String> = optional(statement.query_row((room, user), |row| row.get(0)))?;
        name.map(|name| UserId::parse(&name).map_err(|_| EngineError::Damaged("user"))).transpose()
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
