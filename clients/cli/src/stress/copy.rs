//! What one receiver has of a room's log: every entry once, in order, without a hole, or a fault.
//!
//! Messages stand in it as they are after the changes that it has: whoever was away for one gets the message as it is now, and
//! must end up with what everybody has.

use carillon_client::{Event, v1};

use super::fault::{Fault, Outcome, same};
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
    /// What it is.
    pub(super) body: String,
    /// What it says, where that is a text: after the latest edit for a message, as it was made for an edit; nothing once the
    /// message is deleted.
    pub(super) text: String,
    /// The seq of the message that it is, or edits; 0 for all else.
    about: u64,
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

    /// Fails unless it is the same as `other`. `what` names it.
    pub(super) fn is_like(&self, what: &str, other: &Self) -> Outcome<()> {
        for (entry, expected) in self.entries.iter().zip(&other.entries) {
            same(format!("an entry of {what}"), entry, expected)?;
        }
        same(format!("the entries of {what}"), self.entries.len(), other.entries.len())
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
        self.change(event);
        self.entries.push(Entry {
            seq: header.seq,
            tag: header.tag,
            sender: header.sender.clone(),
            body: body(event),
            text: text(event).to_owned(),
            about: about(event, header.seq),
        });
        Ok(true)
    }

    /// What is here of a message that is edited or deleted is as it would come now.
    fn change(&mut self, event: &Event) {
        match event {
            Event::MessageEdited(edited) => {
                if let Some(message) = self.entries.iter_mut().find(|entry| entry.seq == edited.target_seq) {
                    text(event).clone_into(&mut message.text);
                }
            }
            Event::MessageDeleted(deleted) => {
                for entry in self.entries.iter_mut().filter(|entry| entry.about == deleted.target_seq) {
                    entry.text.clear();
                    if entry.seq == deleted.target_seq {
                        DELETED.clone_into(&mut entry.body);
                    }
                }
            }
            _ => {}
        }
    }
}

/// What a message is once it is deleted.
const DELETED: &str = "deleted message";

/// Which message an event is, or edits.
fn about(event: &Event, seq: u64) -> u64 {
    match event {
        Event::Message(_) => seq,
        Event::MessageEdited(edited) => edited.target_seq,
        _ => 0,
    }
}

/// What an event says.
fn text(event: &Event) -> &str {
    words(match event {
        Event::Message(message) => message.content.as_ref(),
        Event::MessageEdited(edited) => edited.content.as_ref(),
        Event::Event(event) => event.payload.as_ref(),
        _ => None,
    })
}

/// What an entry is, as text.
fn body(event: &Event) -> String {
    match event {
        Event::Message(message) if message.deleted => DELETED.to_owned(),
        Event::Message(_) => "message".to_owned(),
        Event::MessageEdited(edited) => {
            format!("edit of {} to version {}", edited.target_seq, edited.version)
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
        Event::Event(event) => format!("event {}", event.name),
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

    fn header(seq: u64) -> v1::EntryHeader {
        v1::EntryHeader { seq, ..v1::EntryHeader::default() }
    }

    fn says(seq: u64, words: Option<&str>) -> Event {
        Event::Message(Box::new(v1::Message {
            header: Some(header(seq)),
            content: words.map(carillon_client::text),
            deleted: words.is_none(),
            ..v1::Message::default()
        }))
    }

    fn edit(seq: u64, target_seq: u64, words: Option<&str>) -> Event {
        let content = words.map(carillon_client::text);
        let version = u32::try_from(seq).unwrap();
        let edited = v1::MessageEdited {
            header: Some(header(seq)),
            target_seq,
            content,
            version,
            ..Default::default()
        };
        Event::MessageEdited(Box::new(edited))
    }

    fn deletion(seq: u64, target_seq: u64) -> Event {
        Event::MessageDeleted(v1::MessageDeleted {
            header: Some(header(seq)),
            target_seq,
            ..Default::default()
        })
    }

    fn copy_of(events: &[Event]) -> Copy {
        let mut copy = Copy::after("", v1::Position::default());
        for event in events {
            assert!(copy.take(event).unwrap());
        }
        copy
    }

    #[test]
    fn who_was_away_for_a_change_has_what_everybody_has() {
        let (one, two) = (says(1, Some("one")), says(2, Some("two")));
        let there =
            [one.clone(), two.clone(), edit(3, 1, Some("uno")), edit(4, 2, Some("due")), deletion(5, 2)];
        let back =
            [says(1, Some("uno")), says(2, None), edit(3, 1, Some("uno")), edit(4, 2, None), deletion(5, 2)];
        copy_of(&back).is_like("one who was away", &copy_of(&there)).unwrap();
        for wrong in [
            [one.clone(), says(2, None), edit(3, 1, Some("due")), edit(4, 2, None), deletion(5, 2)],
            [one, two, edit(3, 1, Some("uno")), edit(4, 2, Some("due")), deletion(5, 1)],
        ] {
            assert!(copy_of(&wrong).is_like("one who was told wrong", &copy_of(&there)).is_err());
        }
    }
}
