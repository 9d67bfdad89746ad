//! A room as the store knows it.

use super::content::Pairs;
use super::entry::Entry;
use super::marks::Marks;
use super::member::Role;
use super::names::{RoomName, UserId};
use super::position::{Position, Seq};

/// Bytes of a room besides what [`Room::size`] counts, at most: numbers, marks, and what frames them.
const OVERHEAD: usize = 160;

/// A room's state at its home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Its name.
    pub room: RoomName,
    /// The last entry.
    pub head: Position,
    /// Messages so far: the number at the head.
    pub head_number: u64,
    /// The oldest entry that retention has kept; one past the head where none is left.
    pub first: Seq,
    /// Changes with the metadata: the seq of the entry that last set it.
    pub version: Seq,
    /// Whether it was created by `conversation_create` or by an administrator, and so has members; rooms of open
    /// namespaces come to be with their first entry.
    pub created: bool,
    /// The two users of a direct conversation.
    pub direct: bool,
    /// The room's metadata.
    pub metadata: Pairs,
    /// How many members it has.
    pub members: u32,
}

impl Room {
    /// Bytes of it as it is sent, never less: what pages are bounded by.
    pub fn size(&self) -> usize {
        OVERHEAD + self.room.as_str().len() + self.metadata.size()
    }
}

/// A room in a user's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomSummary {
    /// The room.
    pub room: Room,
    /// The user's role.
    pub role: Role,
    /// The user's marks.
    pub marks: Marks,
    /// The last message that the user may read, as it reads now; left out where it is larger than
    /// [`LISTED_MESSAGE_BYTES`](super::limits::LISTED_MESSAGE_BYTES).
    pub last_message: Option<Entry>,
    /// The other user of a direct conversation.
    pub peer: Option<UserId>,
}

impl RoomSummary {
    /// Messages after the user's read mark.
    pub fn unread(&self) -> u64 {
        self.marks.unread(self.room.head_number)
    }

    /// Bytes of it as it is sent, never less.
    pub fn size(&self) -> usize {
        let peer = self.peer.as_ref().map_or(0, |peer| peer.as_str().len());
        self.room.size() + self.last_message.as_ref().map_or(0, Entry::size) + peer
    }
}
