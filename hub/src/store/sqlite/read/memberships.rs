//! A user's list of rooms, in the order of the rooms' ids: the one in which an index has them.

use crate::domain::limits::{LISTED_MESSAGE_BYTES, MEMBERSHIPS_LOOKED_AT};
use crate::domain::names::{RoomKey, RoomName, UserId, UserKey};
use crate::domain::room::RoomSummary;
use crate::store::{RoomPage, RoomsQuery};

use super::super::engine::{EngineError, Result, optional};
use super::super::readers::Reader;
use super::super::room_state::read_marks;
use super::rooms::{key_of, room_id, user_id};
use crate::store::filling::Filling;

/// Rooms of one user, with their ids.
type Memberships = Vec<(i64, RoomKey)>;

impl Reader {
    /// A page of a user's rooms. Each is of a snapshot of its own.
    pub(in super::super) fn rooms_of(
        &mut self,
        user: &UserKey,
        query: &RoomsQuery,
    ) -> Result<RoomPage<RoomSummary>> {
        let Some(id) = user_id(&self.db, &user.tenant, &user.user)? else { return Ok(RoomPage::default()) };
        let after = self.place_of(user, id, query.after.as_ref())?;
        let most = if query.unread_only { MEMBERSHIPS_LOOKED_AT } else { query.bound.items.max(1) };
        let mut looked_at = self.memberships(user, id, (after, i64::from(most) + 1))?;
        let more = looked_at.len() > most as usize;
        looked_at.truncate(most as usize);
        let last = looked_at.last().filter(|_| more).map(|(_, key)| key.room.clone());
        if query.unread_only {
            looked_at = self.with_unread(user, id, looked_at)?;
        }
        let mut page = Filling::new(query.bound);
        for (_, key) in &looked_at {
            let Some(summary) = self.summarise(user, id, key, query.unread_only)? else { continue };
            let size = summary.size();
            if !page.take(summary, size) {
                break;
            }
        }
        let end = page.items.last().map(|summary| summary.room.room.clone());
        Ok(RoomPage { rooms: page.items, next: if page.full { end } else { last } })
    }

    /// The names of a user's rooms.
    pub(in super::super) fn room_names_of(
        &mut self,
        user: &UserKey,
        after: Option<&RoomName>,
        most: u32,
    ) -> Result<RoomPage<RoomName>> {
        let Some(id) = user_id(&self.db, &user.tenant, &user.user)? else { return Ok(RoomPage::default()) };
        let after = self.place_of(user, id, after)?;
        let most = most.max(1);
        let found = self.memberships(user, id, (after, i64::from(most) + 1))?;
        let more = found.len() > most as usize;
        let rooms: Vec<_> = found.into_iter().take(most as usize).map(|(_, key)| key.room).collect();
        let next = rooms.last().filter(|_| more).cloned();
        Ok(RoomPage { rooms, next })
    }

    /// The id of the room after which a page begins; 0 at first. Of a room that is none of the user's, and was none in which
    /// they marked anything, nothing is told: as one that is not there, it is the beginning.
    fn place_of(&self, user: &UserKey, id: i64, after: Option<&RoomName>) -> Result<i64> {
        let Some(room) = after else { return Ok(0) };
        let key = RoomKey { tenant: user.tenant.clone(), room: room.clone() };
        let Some(room) = room_id(&self.db, &key)? else { return Ok(0) };
        if self.overlay.look(&key, |room| room.marks.contains_key(&user.user)) == Some(true) {
            return Ok(room);
        }
        let mut statement = self.db.prepare_cached(
            "SELECT EXISTS(SELECT 1 FROM members WHERE room = ?1 AND user = ?2)
               OR EXISTS(SELECT 1 FROM marks WHERE room = ?1 AND user = ?2)",
        )?;
        let is_own: bool = statement.query_row((room, id), |row| row.get(0))?;
        Ok(if is_own { room } else { 0 })
    }

    fn memberships(&self, user: &UserKey, id: i64, (after, most): (i64, i64)) -> Result<Memberships> {
        let mut statement = self.db.prepare_cached(
            "SELECT m.room, r.name FROM members m JOIN rooms r ON r.id = m.room WHERE m.user = ?1 AND m.room > ?2
             ORDER BY m.room LIMIT ?3",
        )?;
        let mut rows = statement.query((id, after, most))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let name = row.get_ref(1)?.as_str().map_err(|_| EngineError::Damaged("room"))?;
            found.push((row.get(0)?, key_of(&user.tenant, name)?));
        }
        Ok(found)
    }

    /// Those of some memberships that have unread messages, found with one query. What is unsettled is looked at first:
    /// what it lacks is home in the snapshot that follows.
    fn with_unread(&self, user: &UserKey, id: i64, all: Memberships) -> Result<Memberships> {
        let (Some((first, _)), Some((last, _))) = (all.first(), all.last()) else { return Ok(all) };
        let (first, last) = (*first, *last);
        let look = |key: &RoomKey| {
            self.overlay.look(key, |room| (room.head.number, room.marks.get(&user.user).copied()))
        };
        let unsettled: Vec<_> = all.iter().map(|(_, key)| look(key)).collect();
        self.begin_snapshot()?;
        let mut statement = self.db.prepare_cached(
            "SELECT m.room, r.number, coalesce(k.read_number, 0) FROM members m JOIN rooms r ON r.id = m.room
             LEFT JOIN marks k ON k.room = m.room AND k.user = m.user
             WHERE m.user = ?1 AND m.room BETWEEN ?2 AND ?3 ORDER BY m.room",
        )?;
        let mut rows = statement.query((id, first, last))?;
        let mut kept = Vec::new();
        let mut looked_at = all.into_iter().zip(unsettled).peekable();
        while let Some(row) = rows.next()? {
            let room: i64 = row.get(0)?;
            // A membership that ended meanwhile is passed over, and one that began is another page's.
            while looked_at.next_if(|((id, _), _)| *id < room).is_some() {}
            let Some((membership, unsettled)) = looked_at.next_if(|((id, _), _)| *id == room) else {
                continue;
            };
            let (settled, settled_read): (i64, i64) = (row.get(1)?, row.get(2)?);
            let (number, marks) = unsettled.unwrap_or((settled as u64, None));
            if number > marks.map_or(settled_read as u64, |marks| marks.read_number) {
                kept.push(membership);
            }
        }
        Ok(kept)
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
            self.entry(key, last)?.filter(|message| message.size() <= LISTED_MESSAGE_BYTES)
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
