//! What one receiver has of a room's log: every entry once, in order, without a hole, or a fault.

use carillon_client::{Event, v1};

use super::fault::{Fault, Outcome};
use super::person::words;

/// An entry in a form that can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its place.
    pub(super) seq: u64,
    /// Its random bits.
    pub(super) tag: u32,
    /// Who caused it.
    pub(super) sender: String,
    /// What it says.
    pub(super) body: String,
}

/// A copy of a room's log from some place on.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    room: String,
    position: v1::Position,
    entries: Vec<Entry>,
}

impl Copy {
    /// Begins after this position.
    pub(super) fn after(room: &str, position: v1::Position) -> Self {
        Self { room: room.to_owned(), position, entries: Vec::new() }
    }

    /// Which room.
    pub(super) fn room(&self) -> &str {
        &self.room
    }

    /// The seq of the last entry.
    pub(super) fn head(&self) -> u64 {
        self.position.seq
    }

    /// What it holds.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Takes an event. One of another room, and one that is no entry, is passed over; a hole in the room is a fault.
    pub(super) fn take(&mut self, event: &Event) -> Outcome<bool> {
        let fault = |text: String| Err(Fault::Broken(format!("{}: {text}", self.room)));
        match event {
            Event::Truncated { room } if *room == self.room => return fault("truncated".to_owned()),
            Event::Gap(gap) if gap.room == self.room => return fault(format!("{gap:?}")),
            Event::Left(left) if left.room == self.room => return fault(format!("{left:?}")),
            _ => {}
        }
        let Some((room, header)) = event.entry() else { return Ok(false) };
        if room != self.room {
            return Ok(false);
        }
        if header.seq != self.position.seq + 1 {
            return fault(format!("entry {} after {}", header.seq, self.position.seq));
        }
        if header.epoch != self.position.epoch {
            return fault(format!("epoch {} after {}", header.epoch, self.position.epoch));
        }
        self.position = v1::Position { epoch: header.epoch, seq: header.seq, tag: header.tag };
        self.entries.push(Entry {
            seq: header.seq,
            tag: header.tag,
            sender: header.sender.clone(),
            body: body(event),
        });
        Ok(true)
    }
}

/// What an entry says, as text.
fn body(event: &Event) -> String {
    match event {
        Event::Message(message) if message.deleted => "deleted message".to_owned(),
        Event::Message(message) => format!("message {}", words(message.content.as_ref())),
        Event::MessageEdited(edited) => {
            let words = words(edited.content.as_ref());
            format!("edit of {} to version {}: {words}", edited.target_seq, edited.version)
        }
        Event::MessageDeleted(deleted) => format!("deletion of {}", deleted.target_seq),
        Event::Reaction(reaction) => {
            let sign = if reaction.add { '+' } else { '-' };
            format!("reaction to {}: {sign}{}", reaction.target_seq, reaction.key)
        }
        Event::Membership(membership) => {
            format!("membership of {}: {:?} as {:?}", membership.user, membership.change(), membership.role())
        }
        Event::RoomChanged(changed) => format!("room {:?}", changed.created),
        Event::Event(event) => format!("event {} {}", event.name, words(event.payload.as_ref())),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(room: &str, seq: u64) -> Event {
        let header = v1::EntryHeader { seq, tag: 7, epoch: 3, ..v1::EntryHeader::default() };
        Event::Message(Box::new(v1::Message {
            room: room.to_owned(),
            header: Some(header),
            ..v1::Message::default()
        }))
    }

    #[test]
    fn a_hole_a_repetition_and_a_step_back_are_faults() {
        let begin = || Copy::after("room:a", v1::Position { epoch: 3, seq: 4, tag: 1 });
        let mut copy = begin();
        assert!(copy.take(&message("room:a", 5)).unwrap());
        assert!(!copy.take(&message("room:b", 9)).unwrap());
        assert!(copy.take(&message("room:a", 6)).unwrap());
        assert_eq!((copy.head(), copy.entries().len()), (6, 2));
        for wrong in [4, 5, 6, 8] {
            assert!(copy.clone().take(&message("room:a", wrong)).is_err(), "{wrong}");
        }
        let truncated = Event::Truncated { room: "room:a".to_owned() };
        assert!(begin().take(&truncated).is_err());
    }
}
