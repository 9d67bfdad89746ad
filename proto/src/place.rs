//! What a frame says of where its receivers are in their rooms: read out of it once, for all of them.

use prost::Message as _;

use crate::v1::session_response::Kind;
use crate::v1::{EntryHeader, Position, SessionResponse};

/// See [`crate::Frame::place`].
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// It is an entry of a room's log: whoever has it is at this position.
    Entry(Box<(String, Position)>),
    /// It moves nobody: an ephemeral push that many receive.
    Nowhere,
    /// It is for one receiver, or says something else of where that is: an answer, what a session begins and ends with, what
    /// joins and leaves a room, a notification.
    Other,
}

impl Place {
    /// Reads it out of a message. What cannot be read is for its receiver to look at.
    pub(crate) fn of(message: &[u8]) -> Self {
        let Ok(SessionResponse { command_id: 0, kind: Some(kind) }) = SessionResponse::decode(message) else {
            return Self::Other;
        };
        match kind {
            Kind::Message(entry) => Self::entry(entry.room, entry.header),
            Kind::MessageEdited(entry) => Self::entry(entry.room, entry.header),
            Kind::MessageDeleted(entry) => Self::entry(entry.room, entry.header),
            Kind::Reaction(entry) => Self::entry(entry.room, entry.header),
            Kind::Membership(entry) => Self::entry(entry.room, entry.header),
            Kind::RoomChanged(entry) => Self::entry(entry.room, entry.header),
            Kind::Event(entry) => Self::entry(entry.room, entry.header),
            Kind::Typing(_) | Kind::Presence(_) | Kind::Occupancy(_) | Kind::Marks(_) => Self::Nowhere,
            _ => Self::Other,
        }
    }

    fn entry(room: String, header: Option<EntryHeader>) -> Self {
        // Ephemeral events are in no log.
        match header.filter(|header| header.seq > 0) {
            Some(EntryHeader { epoch, seq, tag, .. }) => {
                Self::Entry(Box::new((room, Position { epoch, seq, tag })))
            }
            None => Self::Nowhere,
        }
    }
}
