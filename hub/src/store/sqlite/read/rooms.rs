//! Reads of rooms, members and marks.

use rusqlite::{Connection, Row};

use crate::domain::content::Pairs;
use crate::domain::names::{RoomKey, RoomName, TenantId, UserId};
use crate::domain::position::{Epoch, Position, Tag};
use crate::domain::room::Room;
use crate::store::{PageBound, RoomPage};

use super::super::engine::{EngineError, Result, optional};
use super::super::overlay::Head;
use super::super::readers::Reader;
use super::super::rows::{read_pairs, seq};
use crate::store::filling::Filling;

/// A room, with the columns that [`RoomRow::read`] wants.
const ROOM_BY_NAME: &str =
    "SELECT r.id, r.name, r.head, r.tag, r.number, r.time, r.last_message, r.first, r.version,
       r.created, r.direct, r.members, r.metadata
     FROM tenants t JOIN rooms r ON r.tenant = t.id WHERE t.name = ?1 AND r.name = ?2";

pub(super) fn key_of(tenant: &TenantId, name: &str) -> Result<RoomKey> {
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

pub(super) fn user_id(db: &Connection, tenant: &TenantId, user: &UserId) -> Result<Option<i64>> {
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
        bound: PageBound,
    ) -> Result<RoomPage<Room>> {
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
                    bound.items.saturating_add(1),
                ),
                |row| row.get(0),
            )?
            .collect::<rusqlite::Result<_>>()?;
        let mut page = Filling::new(bound);
        for name in names {
            self.begin_snapshot()?;
            let Some(room) = self.room(&key_of(tenant, &name)?)? else { continue };
            let size = room.size();
            if !page.take(room, size) {
                break;
            }
        }
        let next = page.items.last().filter(|_| page.full).map(|room| room.room.clone());
        Ok(RoomPage { rooms: page.items, next })
    }
}
