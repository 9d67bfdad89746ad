//! Erasing a user: a walk over the rooms that they ever wrote to, in small steps between groups. Rooms are listed again at
//! the end, until nothing new was written meanwhile.

use std::collections::VecDeque;

use rusqlite::Connection;
use rustc_hash::FxHashMap;
use tokio::sync::oneshot;

use crate::domain::entry::{Entry, EntryBody, ReactionKey};
use crate::domain::names::{RoomKey, RoomName, UserKey};
use crate::domain::position::Seq;
use crate::store::{Change, Erased, StoreError};

use super::apply::Blanked;
use super::engine::{EngineError, Result};
use super::overlay::Publish;
use super::own::OwnLog;
use super::room_state::RoomState;
use super::state::State;

/// Entries that one step looks at.
const LOOKED_AT: u64 = 2_000;
/// Entries that one step blanks, about: a message goes with its edits.
const BATCH: usize = 200;
/// Rooms that one step lists.
const ROOMS: usize = 500;
/// Notifications that one step removes.
const NOTIFICATIONS: usize = 500;
/// Walks over the rooms at most: who writes on while they are erased is not followed for ever.
const WALKS: u32 = 8;
/// What a blanked reaction's key reads as.
const NO_KEY: &str = "-";

/// Who waits for an erasure.
pub(super) type ErasureReply = oneshot::Sender<std::result::Result<Erased, StoreError>>;

/// An erasure under way.
pub(super) struct Erasure {
    user: UserKey,
    /// The interned id; 0 where nothing was ever written for them.
    id: i64,
    walk: Walk,
    /// Walks left.
    walks: u32,
    /// How far each room was blanked: the next walk goes on there.
    done: FxHashMap<RoomKey, Seq>,
    /// The slice of the outbox up to which what waits for them was taken out; `None` once all is.
    waiting: Option<i64>,
    erased: Erased,
    replies: Vec<ErasureReply>,
}

/// Where a walk over the rooms is.
#[derive(Default)]
struct Walk {
    begun: bool,
    /// Rooms to blank in.
    rooms: VecDeque<RoomKey>,
    /// Where in the first of them, once it was begun.
    place: Option<Place>,
    /// The room, by id, up to which they are listed; `None` once all are.
    listed: Option<i64>,
    /// Whether there was any.
    found: bool,
}

/// All after `after` and up to `until` is still to be looked at.
#[derive(Clone, Copy)]
struct Place {
    after: Seq,
    until: Seq,
}

/// Where an erasure stands after a step.
pub(super) enum Step {
    /// There is more to do.
    More(Box<Erasure>),
    /// All is blanked; answer once that is durable.
    Done(Box<Erasure>),
}

impl Erasure {
    /// Begins one; `reply` waits for it.
    pub(super) fn new(user: UserKey, reply: ErasureReply) -> Self {
        Self {
            user,
            id: 0,
            walk: Walk::default(),
            walks: WALKS,
            done: FxHashMap::default(),
            waiting: Some(0),
            erased: Erased::default(),
            replies: vec![reply],
        }
    }

    /// Whether it is of this user.
    pub(super) fn is_of(&self, user: &UserKey) -> bool {
        self.user == *user
    }

    /// Lets `reply` wait for it too: what was written since it began is blanked as well.
    pub(super) fn join(&mut self, reply: ErasureReply) {
        self.replies.push(reply);
        self.walk.found = true;
        self.walks = WALKS;
        self.waiting = Some(0);
    }

    /// Answers what was erased.
    pub(super) fn answer(self) {
        for reply in self.replies {
            // Nobody may be waiting any more.
            let _ = reply.send(Ok(self.erased));
        }
    }
}

impl State {
    /// Does one step of an erasure.
    pub(super) fn erase_step(&mut self, db: &Connection, mut erasure: Box<Erasure>) -> Result<Step> {
        if !erasure.walk.begun {
            self.begin_walk(db, &mut erasure)?;
        } else if let Some(key) = erasure.walk.rooms.front().cloned() {
            self.erase_in(db, &mut erasure, key)?;
        } else if let Some(after) = erasure.walk.listed {
            list_rooms(db, &mut erasure, after)?;
        } else if erasure.walk.found && erasure.walks > 0 {
            erasure.walk = Walk::default();
        } else if !self.erase_waiting(db, &mut erasure)? && !self.erase_inbox(db, &mut erasure)? {
            self.finish_erasure(db, &erasure)?;
            return Ok(Step::Done(erasure));
        }
        Ok(Step::More(erasure))
    }

    /// Begins with the rooms of which the tables do not tell yet who wrote there.
    fn begin_walk(&mut self, db: &Connection, erasure: &mut Erasure) -> Result<()> {
        let user = match self.names.find_tenant(db, &erasure.user.tenant)? {
            Some(tenant) => self.names.find_user(db, tenant, &erasure.user.user)?,
            None => None,
        };
        erasure.id = user.map_or(0, |user| user.id);
        let rooms = self.rooms.unsettled_of(self.journal.dirty.iter().copied(), erasure.id);
        erasure.walk = Walk { begun: true, place: None, listed: Some(0), found: !rooms.is_empty(), rooms };
        erasure.walks = erasure.walks.saturating_sub(1);
        Ok(())
    }

    /// Blanks a batch of the walk's first room, which leaves the walk where it is done.
    fn erase_in(&mut self, db: &Connection, erasure: &mut Erasure, key: RoomKey) -> Result<()> {
        let done = match self.rooms.take(db, &mut self.names, &key)? {
            Some(mut room) => {
                let begun = erasure.done.get(&key).copied().unwrap_or_default();
                let place = erasure.walk.place.unwrap_or(Place { after: begun, until: room.head.seq });
                let after = self.blank_batch(db, &mut room, erasure, place)?;
                let done = after >= place.until;
                if done {
                    self.leave_room(db, &mut room, erasure)?;
                }
                self.rooms.put(room);
                erasure.walk.place = Some(Place { after, ..place });
                done.then_some(place.until)
            }
            None => Some(Seq(0)),
        };
        if let Some(until) = done {
            erasure.walk.rooms.pop_front();
            erasure.walk.place = None;
            erasure.done.insert(key, until);
        }
        Ok(())
    }

    /// Blanks what the user wrote in the next stretch of a room, wherever it is stored; gives the stretch's end.
    fn blank_batch(
        &mut self,
        db: &Connection,
        room: &mut RoomState,
        erasure: &mut Erasure,
        Place { after, until }: Place,
    ) -> Result<Seq> {
        let from = after.next().max(room.first);
        let unsettled = room.first_unsettled();
        let mut end = Seq(from.0.saturating_add(LOOKED_AT - 1)).min(until);
        let seqs = if from < unsettled {
            end = end.min(Seq(unsettled.0 - 1));
            settled_of(db, room.id, erasure.id, (from, end))?
        } else {
            unsettled_of(room, erasure.id, (from, end))
        };
        let (all, mut left) = (seqs.len(), BATCH);
        let mut blanked = 0;
        // The first is blanked whatever it weighs; what a message may weigh is bounded.
        while left > 0
            && let Some(seq) = seqs.get(blanked)
        {
            left = left.saturating_sub(1 + edits_of(db, room.id, *seq)?);
            let taken = self.blank_one(db, room, (*seq, erasure.id))?;
            erasure.erased.entries += u64::from(taken == Blanked::Content);
            blanked += 1;
        }
        if blanked < all {
            end = seqs.get(blanked - 1).copied().unwrap_or(end);
        }
        // Retention may have passed the end.
        Ok(end.max(Seq(from.0 - 1)))
    }

    fn blank_one(&mut self, db: &Connection, room: &mut RoomState, (seq, id): (Seq, i64)) -> Result<Blanked> {
        let Some(entry) = self.entry(db, room, seq)? else { return Ok(Blanked::Nothing) };
        let EntryBody::Reaction { target, key, add } = &entry.body else { return self.blank(db, room, seq) };
        db.prepare_cached("DELETE FROM reactions WHERE room = ?1 AND seq = ?2 AND key = ?3 AND user = ?4")?
            .execute((room.id, target.0 as i64, key.as_str(), id))?;
        let blank = ReactionKey::parse(NO_KEY).map_err(|_| EngineError::Damaged("key"))?;
        let body = EntryBody::Reaction { target: *target, key: blank, add: *add };
        self.replace(db, room, Entry { body, ..(*entry).clone() })?;
        Ok(Blanked::Nothing)
    }

    /// What is not in the log of a room whose entries are blanked: last events that retention passed, and marks.
    fn leave_room(&mut self, db: &Connection, room: &mut RoomState, erasure: &Erasure) -> Result<()> {
        let kept: Vec<_> =
            room.latest.values().filter(|(sender, _)| *sender == erasure.id).cloned().collect();
        for (_, entry) in kept {
            let mut entry = (*entry).clone();
            if let EntryBody::Event(event) = &mut entry.body
                && !event.by_service
                && event.payload.take().is_some()
            {
                self.blank_latest(db, room, &entry)?;
                self.replace(db, room, entry)?;
            }
        }
        db.prepare_cached(
            "UPDATE latest SET content = NULL, media_type = NULL WHERE room = ?1 AND sender = ?2 AND by_service = 0",
        )?
        .execute((room.id, erasure.id))?;
        // Those of keys whose entries retention has taken are not in the cache: it is read anew.
        room.kept = None;
        db.prepare_cached("DELETE FROM marks WHERE room = ?1 AND user = ?2")?
            .execute((room.id, erasure.id))?;
        room.marks.remove(&erasure.id);
        room.writers.remove(&erasure.id);
        let user = erasure.user.user.clone();
        self.publish.push(Publish::Unmarked { room: room.key.clone(), user });
        self.wrote = true;
        Ok(())
    }

    /// Takes the user out of a batch of what waits to reach many; whether there is more to look at.
    fn erase_waiting(&mut self, db: &Connection, erasure: &mut Erasure) -> Result<bool> {
        let Some(after) = erasure.waiting else { return Ok(false) };
        let (found, last) = self.take_out_of_outbox(db, &erasure.user, after)?;
        erasure.erased.notifications += found;
        erasure.waiting = last;
        Ok(last.is_some())
    }

    /// Removes a batch of the inbox; whether more is left.
    fn erase_inbox(&mut self, db: &Connection, erasure: &mut Erasure) -> Result<bool> {
        let batch = (erasure.id, NOTIFICATIONS as i64);
        if erasure.id > 0 {
            let mut own = OwnLog::find(db, erasure.id)?;
            own.clear();
            own.save(db)?;
        }
        let removed = db
            .prepare_cached(
                "DELETE FROM inbox WHERE user = ?1 AND seq IN (SELECT seq FROM inbox WHERE user = ?1 LIMIT ?2)",
            )?
            .execute(batch)?;
        let seen = db
            .prepare_cached(
                "DELETE FROM broadcast_seen WHERE user = ?1
                   AND first IN (SELECT first FROM broadcast_seen WHERE user = ?1 LIMIT ?2)",
            )?
            .execute(batch)?;
        let deleted = db
            .prepare_cached(
                "DELETE FROM broadcast_deleted WHERE user = ?1
                   AND seq IN (SELECT seq FROM broadcast_deleted WHERE user = ?1 LIMIT ?2)",
            )?
            .execute(batch)?;
        erasure.erased.notifications += removed as u64;
        self.wrote = true;
        Ok([removed, seen, deleted].contains(&NOTIFICATIONS))
    }

    fn finish_erasure(&mut self, db: &Connection, erasure: &Erasure) -> Result<()> {
        if erasure.id > 0 {
            db.prepare_cached("UPDATE users SET known_from = NULL, broadcast_read = 0 WHERE id = ?1")?
                .execute([erasure.id])?;
            self.journal.append_erased(db, erasure.id)?;
        }
        if let Some(tenant) = self.names.find_tenant(db, &erasure.user.tenant)? {
            self.names.forget(tenant, &erasure.user.user);
        }
        self.changes.push(Change::Erased { user: erasure.user.clone() });
        Ok(())
    }
}

/// Lists the next rooms that the user has marks in: who wrote anywhere has some there.
fn list_rooms(db: &Connection, erasure: &mut Erasure, after: i64) -> Result<()> {
    let mut statement = db.prepare_cached(
        "SELECT r.id, r.name FROM marks m JOIN rooms r ON r.id = m.room WHERE m.user = ?1 AND m.room > ?2
         ORDER BY m.room LIMIT ?3",
    )?;
    let mut rows = statement.query((erasure.id, after, ROOMS as i64))?;
    let mut last = None;
    while let Some(row) = rows.next()? {
        last = Some(row.get(0)?);
        let name = row.get_ref(1)?.as_str().map_err(|_| EngineError::Damaged("room"))?;
        let room = RoomName::parse(name).map_err(|_| EngineError::Damaged("room"))?;
        erasure.walk.rooms.push_back(RoomKey { tenant: erasure.user.tenant.clone(), room });
        erasure.walk.found = true;
    }
    erasure.walk.listed = last;
    Ok(())
}

/// What a user wrote in a stretch of the log, one more than a batch at most. The stretch bounds what is looked at. What a
/// service of their name has sent is not theirs.
fn settled_of(db: &Connection, room: i64, user: i64, (from, end): (Seq, Seq)) -> Result<Vec<Seq>> {
    let mut statement = db.prepare_cached(
        "SELECT seq FROM log WHERE room = ?1 AND seq BETWEEN ?2 AND ?3 AND sender = ?4
           AND (kind IN (2, 4) OR kind = 1 AND name IS NULL OR kind = 7 AND coalesce(version, 0) = 0) ORDER BY seq LIMIT ?5",
    )?;
    let range = (room, from.0 as i64, end.0 as i64, user, BATCH as i64 + 1);
    let seqs = statement.query_map(range, |row| Ok(Seq(row.get::<_, i64>(0)? as u64)))?;
    Ok(seqs.collect::<rusqlite::Result<_>>()?)
}

/// How many edits a message has, a batch of them at most: those are blanked with it.
fn edits_of(db: &Connection, room: i64, seq: Seq) -> Result<usize> {
    let mut statement = db.prepare_cached(
        "SELECT count(*) FROM (SELECT 1 FROM edits WHERE room = ?1 AND target = ?2 LIMIT ?3)",
    )?;
    Ok(statement.query_row((room, seq.0 as i64, BATCH as i64), |row| row.get::<_, i64>(0))? as usize)
}

fn unsettled_of(room: &RoomState, user: i64, (from, end): (Seq, Seq)) -> Vec<Seq> {
    let skipped = from.0.saturating_sub(room.first_unsettled().0) as usize;
    let stretch = room.unsettled.iter().skip(skipped).take_while(|unsettled| unsettled.entry.seq <= end);
    let written = stretch.filter(|unsettled| {
        let says = match &unsettled.entry.body {
            EntryBody::Message(message) => !message.by_service,
            EntryBody::Event(event) => !event.by_service,
            EntryBody::Edit { .. } | EntryBody::Reaction { .. } => true,
            EntryBody::Deletion { .. } | EntryBody::Membership { .. } | EntryBody::Room { .. } => false,
        };
        says && unsettled.sender == user
    });
    written.map(|unsettled| unsettled.entry.seq).take(BATCH + 1).collect()
}
