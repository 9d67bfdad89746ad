//! A room as the writer knows it: ahead of what is committed by the group that is being applied.

use std::collections::VecDeque;
use std::sync::Arc;

use rusqlite::{Connection, Row};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::domain::content::Pairs;
use crate::domain::entry::{Entry, EventKey};
use crate::domain::marks::Marks;
use crate::domain::member::Role;
use crate::domain::names::RoomKey;
use crate::domain::position::{Epoch, Position, Seq, Tag};
use crate::domain::room::Room;

use super::engine::{Result, optional};
use super::latest::Kept;
use super::overlay::Head;
use super::rows::{pairs_text, read_pairs, read_role, seq};

/// Memberships that a room's cache holds; past that it starts afresh.
const CACHED_MEMBERS: usize = 1_000;

/// What a room takes in memory at least, with its places in the cache's maps.
const ROOM_BYTES: usize = size_of::<RoomState>() + 160;
/// What a cached membership takes.
const MEMBER_BYTES: usize = 64;

/// An entry that is in the journal only.
pub(super) struct Unsettled {
    /// Its row.
    pub(super) journal: i64,
    /// Its sender's interned id.
    pub(super) sender: i64,
    /// The member whom a membership entry is about.
    pub(super) member: Option<i64>,
    /// The entry as it reads now.
    pub(super) entry: Arc<Entry>,
    /// Its bytes, as the journal counts them.
    pub(super) size: usize,
}

/// A membership without its user.
#[derive(Clone, Copy, Debug)]
pub(super) struct MemberRow {
    pub(super) role: Role,
    pub(super) version: Seq,
    pub(super) joined: Seq,
    pub(super) history_from: Seq,
}

/// A room.
pub(super) struct RoomState {
    /// The interned id.
    pub(super) id: i64,
    /// The tenant's interned id.
    pub(super) tenant: i64,
    /// Its name.
    pub(super) key: RoomKey,
    /// The end of its log.
    pub(super) head: Head,
    /// The oldest entry that retention kept.
    pub(super) first: Seq,
    /// See [`Room::version`].
    pub(super) version: Seq,
    /// See [`Room::created`].
    pub(super) created: bool,
    /// See [`Room::direct`].
    pub(super) direct: bool,
    /// See [`Room::metadata`].
    pub(super) metadata: Pairs,
    /// How many members.
    pub(super) members: u32,
    /// Entries that are in the journal only, oldest first, without holes.
    pub(super) unsettled: VecDeque<Unsettled>,
    /// Settled entries whose journal rows are not deleted yet: (seq, row). Blanking must reach those too.
    pub(super) journalled: VecDeque<(Seq, i64)>,
    /// Marks that are in the journal only.
    pub(super) marks: FxHashMap<i64, Marks>,
    /// Who wrote something that moved no marks: they get a row of marks all the same, by which erasure finds them.
    pub(super) writers: FxHashSet<i64>,
    /// Last events of keys that are in the journal only.
    pub(super) latest: FxHashMap<EventKey, (i64, Arc<Entry>)>,
    /// What the room's state holds; `None` until somebody publishes to it.
    pub(super) kept: Option<Kept>,
    /// Whether it was used since the cache looked at it.
    pub(super) used: bool,
    /// What the cache counts it as, in bytes.
    pub(super) weight: usize,
    /// Memberships, and who is known not to be a member.
    member_cache: FxHashMap<i64, Option<MemberRow>>,
}

const ROOM_COLUMNS: &str =
    "id, head, tag, number, time, last_message, first, version, created, direct, members, metadata";

impl RoomState {
    /// Loads a room; `None` where nothing was ever written to it.
    pub(super) fn load(db: &Connection, tenant: i64, key: &RoomKey) -> Result<Option<Self>> {
        let mut statement =
            db.prepare_cached(&format!("SELECT {ROOM_COLUMNS} FROM rooms WHERE tenant = ?1 AND name = ?2"))?;
        let mut rows = statement.query((tenant, key.room.as_str()))?;
        rows.next()?.map(|row| Self::read(row, tenant, key)).transpose()
    }

    /// Makes a room.
    pub(super) fn create(db: &Connection, tenant: i64, key: &RoomKey) -> Result<Self> {
        db.prepare_cached("INSERT INTO rooms(tenant, name) VALUES(?1, ?2)")?
            .execute((tenant, key.room.as_str()))?;
        Ok(Self::new(db.last_insert_rowid(), tenant, key))
    }

    fn new(id: i64, tenant: i64, key: &RoomKey) -> Self {
        Self {
            id,
            tenant,
            key: key.clone(),
            head: Head::default(),
            first: Seq(1),
            version: Seq(0),
            created: false,
            direct: false,
            metadata: Pairs::default(),
            members: 0,
            unsettled: VecDeque::new(),
            journalled: VecDeque::new(),
            marks: FxHashMap::default(),
            writers: FxHashSet::default(),
            latest: FxHashMap::default(),
            kept: None,
            used: false,
            weight: 0,
            member_cache: FxHashMap::default(),
        }
    }

    fn read(row: &Row<'_>, tenant: i64, key: &RoomKey) -> Result<Self> {
        Ok(Self {
            head: Head {
                seq: seq(row.get(1)?),
                tag: Tag(row.get::<_, i64>(2)? as u32),
                number: row.get::<_, i64>(3)? as u64,
                time: row.get(4)?,
                last_message: seq(row.get(5)?),
            },
            first: seq(row.get(6)?),
            version: seq(row.get(7)?),
            created: row.get(8)?,
            direct: row.get(9)?,
            members: row.get::<_, i64>(10)? as u32,
            metadata: read_pairs(row.get_ref(11)?)?,
            ..Self::new(row.get(0)?, tenant, key)
        })
    }

    /// Whether everything of it is in the database but the journal's copies.
    pub(super) fn is_settled(&self) -> bool {
        self.unsettled.is_empty() && self.marks.is_empty() && self.writers.is_empty()
    }

    /// About how many bytes it takes in memory, but for what is not home yet.
    pub(super) fn size(&self) -> usize {
        let names = 2 * (self.key.tenant.as_str().len() + self.key.room.as_str().len());
        let members = self.member_cache.len() * MEMBER_BYTES;
        let journalled = self.journalled.len() * size_of::<(Seq, i64)>();
        let kept = self.kept.as_ref().map_or(0, Kept::size);
        ROOM_BYTES + names + self.metadata.size() + members + journalled + kept
    }

    /// Writes what is not deferred to settling.
    pub(super) fn save(&self, db: &Connection) -> Result<()> {
        db.prepare_cached(
            "UPDATE rooms SET first = ?2, version = ?3, created = ?4, direct = ?5, members = ?6, metadata = ?7
             WHERE id = ?1",
        )?
        .execute((
            self.id,
            self.first.0 as i64,
            self.version.0 as i64,
            self.created,
            self.direct,
            self.members,
            pairs_text(&self.metadata),
        ))?;
        Ok(())
    }

    /// Writes the end of its log, when it settled.
    pub(super) fn save_head(&self, db: &Connection) -> Result<()> {
        db.prepare_cached(
            "UPDATE rooms SET head = ?2, tag = ?3, number = ?4, time = ?5, last_message = ?6 WHERE id = ?1",
        )?
        .execute((
            self.id,
            self.head.seq.0 as i64,
            self.head.tag.0,
            self.head.number as i64,
            self.head.time,
            self.head.last_message.0 as i64,
        ))?;
        Ok(())
    }

    /// The room for a caller.
    pub(super) fn to_room(&self, epoch: Epoch) -> Room {
        Room {
            room: self.key.room.clone(),
            head: Position { epoch, seq: self.head.seq, tag: self.head.tag },
            head_number: self.head.number,
            first: self.first,
            version: self.version,
            created: self.created,
            direct: self.direct,
            metadata: self.metadata.clone(),
            members: self.members,
        }
    }

    /// The oldest entry that is not home; one past the head where all are.
    pub(super) fn first_unsettled(&self) -> Seq {
        self.unsettled.front().map_or(self.head.seq.next(), |unsettled| unsettled.entry.seq)
    }

    /// The place of an unsettled entry in [`Self::unsettled`].
    pub(super) fn unsettled_index(&self, seq: Seq) -> Option<usize> {
        let first = self.unsettled.front()?.entry.seq.0;
        let index = usize::try_from(seq.0.checked_sub(first)?).ok()?;
        (index < self.unsettled.len()).then_some(index)
    }

    /// The journal row that still holds a copy of a settled entry.
    pub(super) fn journal_copy(&self, seq: Seq, deleted: i64) -> Option<i64> {
        let index = self.journalled.binary_search_by_key(&seq, |(seq, _)| *seq).ok()?;
        self.journalled.get(index).map(|(_, row)| *row).filter(|row| *row > deleted)
    }

    /// A membership.
    pub(super) fn member(&mut self, db: &Connection, user: i64) -> Result<Option<MemberRow>> {
        if let Some(known) = self.member_cache.get(&user) {
            return Ok(*known);
        }
        let mut statement = db.prepare_cached(
            "SELECT role, version, joined, history_from FROM members WHERE room = ?1 AND user = ?2",
        )?;
        let row = optional(statement.query_row((self.id, user), |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?, row.get::<_, i64>(3)?))
        }))?;
        let found = match row {
            None => None,
            Some((role, version, joined, from)) => Some(MemberRow {
                role: read_role(role)?,
                version: seq(version),
                joined: seq(joined),
                history_from: seq(from),
            }),
        };
        self.remember_member(user, found);
        Ok(found)
    }

    /// Writes a membership, or removes it.
    pub(super) fn set_member(&mut self, db: &Connection, user: i64, member: Option<MemberRow>) -> Result<()> {
        match member {
            Some(row) => {
                db.prepare_cached("INSERT OR REPLACE INTO members VALUES(?1, ?2, ?3, ?4, ?5, ?6)")?.execute(
                    (
                        self.id,
                        user,
                        row.role as i64,
                        row.version.0 as i64,
                        row.joined.0 as i64,
                        row.history_from.0 as i64,
                    ),
                )?;
            }
            None => {
                db.prepare_cached("DELETE FROM members WHERE room = ?1 AND user = ?2")?
                    .execute((self.id, user))?;
            }
        }
        self.remember_member(user, member);
        Ok(())
    }

    fn remember_member(&mut self, user: i64, member: Option<MemberRow>) {
        if self.member_cache.len() >= CACHED_MEMBERS {
            self.member_cache.clear();
        }
        self.member_cache.insert(user, member);
    }

    /// A user's marks.
    pub(super) fn marks_of(&self, db: &Connection, user: i64) -> Result<Marks> {
        match self.marks.get(&user) {
            Some(marks) => Ok(*marks),
            None => read_marks(db, self.id, user),
        }
    }
}

/// A user's settled marks.
pub(super) fn read_marks(db: &Connection, room: i64, user: i64) -> Result<Marks> {
    let mut statement =
        db.prepare_cached("SELECT delivered, read, read_number FROM marks WHERE room = ?1 AND user = ?2")?;
    let found = optional(statement.query_row((room, user), |row| {
        Ok(Marks {
            delivered: seq(row.get(0)?),
            read: seq(row.get(1)?),
            read_number: row.get::<_, i64>(2)? as u64,
        })
    }))?;
    Ok(found.unwrap_or_default())
}
