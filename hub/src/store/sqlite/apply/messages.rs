//! What edits, deletions and reactions do to a message, wherever it is stored.

use std::sync::Arc;

use rusqlite::Connection;

use crate::domain::content::{Content, Pairs};
use crate::domain::entry::{Entry, EntryBody, ReactionKey};
use crate::domain::limits::REACTIONS_PER_MESSAGE;
use crate::domain::position::Seq;
use crate::store::{Outcome, Write};

use super::super::engine::{EngineError, Result, optional};
use super::super::overlay::Publish;
use super::super::room_state::RoomState;
use super::super::rows::{content_values, mark_of, pairs_text};
use super::super::schema::STORED_BYTES;
use super::super::state::State;
use super::column;

/// What blanking an entry took away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Blanked {
    /// Content.
    Content,
    /// Nothing that counts.
    Nothing,
}

const UPDATE_COLUMNS: &str =
    "version = ?3, edited = ?4, name = ?5, media_type = ?6, content = ?7, attributes = ?8";

impl State {
    /// Gives the message at `target` new content; gives its version.
    pub(super) fn edit_message(
        &mut self,
        db: &Connection,
        room: &mut RoomState,
        (target, seq): (Seq, Seq),
        content: Option<Content>,
    ) -> Result<u32> {
        let mut entry = self.needed(db, room, target)?;
        let edited = self.time_in(room);
        let EntryBody::Message(message) = &mut entry.body else { return Ok(0) };
        message.content = content;
        message.version += 1;
        message.edited = Some(edited);
        let version = message.version;
        self.replace(db, room, entry)?;
        db.prepare_cached("INSERT INTO edits VALUES(?1, ?2, ?3)")?.execute((
            room.id,
            column(target),
            column(seq),
        ))?;
        Ok(version)
    }

    /// Blanks a message, its attributes, its edits and its reactions.
    pub(super) fn delete_message(
        &mut self,
        db: &Connection,
        room: &mut RoomState,
        target: Seq,
    ) -> Result<()> {
        self.blank(db, room, target)?;
        Ok(())
    }

    /// Blanks what an entry says. What it is, its place and its time remain.
    pub(in super::super) fn blank(
        &mut self,
        db: &Connection,
        room: &mut RoomState,
        seq: Seq,
    ) -> Result<Blanked> {
        let mut entry = self.needed(db, room, seq)?;
        let mut blanked = Blanked::Content;
        match &mut entry.body {
            EntryBody::Message(message) => {
                if message.content.is_none() {
                    blanked = Blanked::Nothing;
                }
                message.content = None;
                message.attributes = Pairs::default();
                self.blank_edits(db, room, seq)?;
                db.prepare_cached("DELETE FROM reactions WHERE room = ?1 AND seq = ?2")?
                    .execute((room.id, column(seq)))?;
            }
            EntryBody::Edit { content, .. } => {
                *content = None;
                blanked = Blanked::Nothing;
            }
            EntryBody::Event(event) => {
                if event.payload.take().is_none() {
                    blanked = Blanked::Nothing;
                }
                self.blank_latest(db, room, &entry)?;
            }
            EntryBody::Reaction { .. }
            | EntryBody::Deletion { .. }
            | EntryBody::Membership { .. }
            | EntryBody::Room { .. } => return Ok(Blanked::Nothing),
        }
        self.replace(db, room, entry)?;
        Ok(blanked)
    }

    fn blank_edits(&mut self, db: &Connection, room: &mut RoomState, target: Seq) -> Result<()> {
        let mut statement = db.prepare_cached("SELECT seq FROM edits WHERE room = ?1 AND target = ?2")?;
        let edits: Vec<i64> = statement
            .query_map((room.id, column(target)), |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for edit in edits {
            let Some(entry) = self.entry(db, room, Seq(edit as u64))? else { continue };
            let mut entry = (*entry).clone();
            if let EntryBody::Edit { content, .. } = &mut entry.body {
                *content = None;
            }
            self.replace(db, room, entry)?;
        }
        Ok(())
    }

    /// Blanks the last event of a key where it is kept apart: it reads as `entry` now.
    pub(in super::super) fn blank_latest(
        &mut self,
        db: &Connection,
        room: &mut RoomState,
        entry: &Entry,
    ) -> Result<()> {
        let EntryBody::Event(event) = &entry.body else { return Ok(()) };
        let Some(key) = &event.key else { return Ok(()) };
        // Counted anew when it is needed.
        room.kept = None;
        db.prepare_cached(
            "UPDATE latest SET content = NULL, media_type = NULL WHERE room = ?1 AND key = ?2 AND seq = ?3",
        )?
        .execute((room.id, key.as_str(), column(entry.seq)))?;
        if let Some((_, latest)) = room.latest.get_mut(key)
            && latest.seq == entry.seq
        {
            *latest = Arc::new(entry.clone());
            self.publish.push(Publish::Latest { room: room.key.clone(), entry: Arc::clone(latest) });
        }
        Ok(())
    }

    /// Whether an outcome adds a reaction to a message that has as many as it may have: many may have been decided on at once.
    pub(super) fn are_reactions_full(
        &mut self,
        db: &Connection,
        room: &RoomState,
        outcome: &Outcome,
    ) -> Result<bool> {
        for write in &outcome.writes {
            let Write::Append(EntryBody::Reaction { target, key, add: true }) = write else { continue };
            let mut count =
                db.prepare_cached("SELECT count(*) FROM reactions WHERE room = ?1 AND seq = ?2")?;
            let held: i64 = count.query_row((room.id, column(*target)), |row| row.get(0))?;
            if (held as usize) < REACTIONS_PER_MESSAGE {
                continue;
            }
            let Some(user) = self.names.find_user(db, room.tenant, &outcome.actor)? else { return Ok(true) };
            let mut own = db.prepare_cached(
                "SELECT 1 FROM reactions WHERE room = ?1 AND seq = ?2 AND key = ?3 AND user = ?4",
            )?;
            let own = own.query_row((room.id, column(*target), key.as_str(), user.id), |_| Ok(()));
            if optional(own)?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds or takes back a reaction.
    pub(super) fn react(
        db: &Connection,
        room: i64,
        user: i64,
        (target, key, add): (Seq, &ReactionKey, bool),
    ) -> Result<()> {
        let sql = if add {
            "INSERT OR IGNORE INTO reactions VALUES(?1, ?2, ?3, ?4)"
        } else {
            "DELETE FROM reactions WHERE room = ?1 AND seq = ?2 AND key = ?3 AND user = ?4"
        };
        db.prepare_cached(sql)?.execute((room, column(target), key.as_str(), user))?;
        Ok(())
    }

    fn needed(&mut self, db: &Connection, room: &RoomState, seq: Seq) -> Result<Entry> {
        let entry = self.entry(db, room, seq)?;
        entry.map(|entry| (*entry).clone()).ok_or(EngineError::Damaged("an entry that was there is gone"))
    }

    /// Writes an entry as it reads now, wherever it is: the log, the journal, or a settled entry's copy in the journal.
    pub(in super::super) fn replace(
        &mut self,
        db: &Connection,
        room: &mut RoomState,
        entry: Entry,
    ) -> Result<()> {
        let seq = entry.seq;
        let before = match room.unsettled_index(seq).and_then(|index| room.unsettled.get(index)) {
            Some(unsettled) => unsettled.entry.body.stored_bytes(),
            None => stored_bytes(db, room, seq)?,
        };
        self.count_stored(room, before, entry.body.stored_bytes());
        if let Some(unsettled) = room.unsettled_index(seq).and_then(|index| room.unsettled.get_mut(index)) {
            update(db, "journal", "id = ?1 AND ?2", (unsettled.journal, 1), &entry)?;
            self.journal.unsettled_bytes -= unsettled.size;
            unsettled.size = entry.size();
            self.journal.unsettled_bytes += unsettled.size;
            unsettled.entry = Arc::new(entry);
            let entry = Arc::clone(&unsettled.entry);
            self.publish.push(Publish::Replace { room: room.key.clone(), entry });
        } else {
            update(db, "log", "room = ?1 AND seq = ?2", (room.id, column(seq)), &entry)?;
            if let Some(row) = room.journal_copy(seq, self.journal.deleted) {
                update(db, "journal", "id = ?1 AND ?2", (row, 1), &entry)?;
            }
        }
        self.wrote = true;
        Ok(())
    }
}

/// What a settled entry counts as.
fn stored_bytes(db: &Connection, room: &RoomState, seq: Seq) -> Result<u64> {
    let mut statement =
        db.prepare_cached(&format!("SELECT {STORED_BYTES} FROM log WHERE room = ?1 AND seq = ?2"))?;
    let bytes = optional(statement.query_row((room.id, column(seq)), |row| row.get::<_, i64>(0)))?;
    Ok(bytes.unwrap_or(0) as u64)
}

fn update(db: &Connection, table: &str, place: &str, at: (i64, i64), entry: &Entry) -> Result<()> {
    let (version, edited, name, content, attributes) = match &entry.body {
        EntryBody::Message(message) => (
            i64::from(message.version),
            message.edited,
            mark_of(message),
            message.content.as_ref(),
            pairs_text(&message.attributes),
        ),
        EntryBody::Edit { content, version, .. } => (i64::from(*version), None, None, content.as_ref(), None),
        EntryBody::Event(event) => {
            (i64::from(event.by_service), None, Some(event.name.as_str()), event.payload.as_ref(), None)
        }
        EntryBody::Reaction { key, add, .. } => (i64::from(*add), None, Some(key.as_str()), None, None),
        EntryBody::Deletion { .. } | EntryBody::Membership { .. } | EntryBody::Room { .. } => return Ok(()),
    };
    let (media_type, content) = content_values(content);
    db.prepare_cached(&format!("UPDATE {table} SET {UPDATE_COLUMNS} WHERE {place}"))?.execute((
        at.0,
        at.1,
        version,
        edited.map(crate::domain::time::Timestamp::millis),
        name,
        media_type,
        content,
        attributes,
    ))?;
    Ok(())
}
