//! Writes to a room: appending, creating, marks.

use std::sync::Arc;

use rusqlite::Connection;

use crate::domain::entry::{Entry, EntryBody};
use crate::domain::marks::Marks;
use crate::domain::position::{Position, Seq};
use crate::store::{Change, Committed, Write};

use super::super::engine::Result;
use super::super::overlay::{Head, Publish};
use super::super::room_state::{RoomState, Unsettled};
use super::super::state::State;
use super::Actor;
use super::ahead::Ahead;

impl State {
    pub(super) fn write_room(
        &mut self,
        db: &Connection,
        room: &mut RoomState,
        (actor, ahead): (Actor<'_>, Ahead),
        writes: Vec<Write>,
        committed: &mut Committed,
    ) -> Result<()> {
        let mut changed = false;
        for write in writes {
            match write {
                Write::Append(body) => {
                    changed |= matches!(body, EntryBody::Membership { .. } | EntryBody::Room { .. });
                    self.append(db, room, actor, body, committed)?;
                }
                Write::Create { direct } => {
                    room.created = true;
                    room.direct = direct;
                    changed = true;
                }
                Write::Marks { delivered, read } => {
                    let marks = self.raise_marks(db, room, (actor, ahead), (delivered, read))?;
                    committed.marks = Some(marks);
                }
                Write::Already(seq) => {
                    if let Some(entry) = self.entry(db, room, seq)? {
                        committed.position = entry.position();
                        committed.number = entry.number;
                        committed.time = entry.time;
                    }
                }
                // `is_well_formed` keeps those away.
                Write::Inbox(_) | Write::Broadcast(_) | Write::Know => {}
            }
        }
        if changed {
            room.save(db)?;
        }
        self.wrote = true;
        Ok(())
    }

    fn append(
        &mut self,
        db: &Connection,
        room: &mut RoomState,
        actor: Actor<'_>,
        body: EntryBody,
        committed: &mut Committed,
    ) -> Result<()> {
        let (seq, time) = (room.head.seq.next(), self.time_in(room));
        let (body, member) = self.carry_out(db, room, actor, seq, body)?;
        let is_message = matches!(body, EntryBody::Message(_));
        if let EntryBody::Edit { version, .. } = &body {
            committed.version = *version;
        }
        let entry = Arc::new(Entry {
            epoch: self.epoch,
            seq,
            tag: self.next_tag(),
            time,
            sender: actor.user.clone(),
            number: room.head.number + u64::from(is_message),
            body,
        });
        room.head = Head {
            seq,
            tag: entry.tag,
            number: entry.number,
            time: time.millis(),
            last_message: if is_message { seq } else { room.head.last_message },
        };
        self.count_stored(room, 0, entry.body.stored_bytes());
        let size = entry.size();
        let journal = self.journal.append(db, (room.id, actor.id, member), &entry, size)?;
        let kept = Arc::clone(&entry);
        room.unsettled.push_back(Unsettled { journal, sender: actor.id, member, entry: kept, size });
        let latest = self.keep_latest(db, room, actor.id, &entry)?;
        let key = room.key.clone();
        self.publish.push(Publish::Append { room: key, head: room.head, entry: Arc::clone(&entry), latest });
        if is_message {
            if !actor.by_service {
                let marks = Marks { delivered: seq, read: seq, read_number: entry.number };
                committed.marks = Some(marks);
                self.set_marks(room, actor, marks);
            }
        } else {
            room.writers.insert(actor.id);
        }
        committed.position = Position { epoch: self.epoch, seq, tag: entry.tag };
        committed.number = entry.number;
        committed.time = time;
        self.changes.push(Change::Entry { room: room.key.clone(), entry });
        self.queue_trim(room);
        Ok(())
    }

    /// Does what an entry means, besides being kept. Gives the body as it is kept, and whom a membership is about.
    fn carry_out(
        &mut self,
        db: &Connection,
        room: &mut RoomState,
        actor: Actor<'_>,
        seq: Seq,
        body: EntryBody,
    ) -> Result<(EntryBody, Option<i64>)> {
        let mut member = None;
        let body = match body {
            EntryBody::Edit { target, content, .. } => {
                let version = self.edit_message(db, room, (target, seq), content.clone())?;
                EntryBody::Edit { target, content, version }
            }
            EntryBody::Deletion { target } => {
                self.delete_message(db, room, target)?;
                body
            }
            EntryBody::Reaction { target, ref key, add } => {
                Self::react(db, room.id, actor.id, (target, key, add))?;
                body
            }
            EntryBody::Membership { ref user, change, role } => {
                member = Some(self.change_member(db, room, seq, (user, change, role))?);
                body
            }
            EntryBody::Room { ref metadata, .. } => {
                room.metadata = metadata.clone();
                room.version = seq;
                body
            }
            EntryBody::Message(_) | EntryBody::Event(_) => body,
        };
        Ok((body, member))
    }

    /// Raises the actor's marks, at most to the head.
    fn raise_marks(
        &mut self,
        db: &Connection,
        room: &mut RoomState,
        (actor, ahead): (Actor<'_>, Ahead),
        (delivered, read): (Seq, Seq),
    ) -> Result<Marks> {
        let (delivered, read) = (delivered.min(room.head.seq), read.min(room.head.seq));
        let before = room.marks_of(db, actor.id)?;
        let number = match ahead.number {
            _ if read <= before.read => 0,
            Some((seq, number)) if seq == read => number,
            _ => self.number_at(db, room, read)?,
        };
        let marks = before.raised(delivered, read, number);
        if marks != before {
            self.journal.append_marks(db, (room.id, actor.id), marks, self.now)?;
            self.set_marks(room, actor, marks);
            self.changes.push(Change::Marks { room: room.key.clone(), user: actor.user.clone(), marks });
        }
        Ok(marks)
    }

    pub(super) fn set_marks(&mut self, room: &mut RoomState, actor: Actor<'_>, marks: Marks) {
        room.marks.insert(actor.id, marks);
        let (key, user) = (room.key.clone(), actor.user.clone());
        self.publish.push(Publish::Marks { room: key, head: room.head, user, marks });
    }
}
