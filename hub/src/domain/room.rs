//! A room as the store knows it.

use super::content::Pairs;
use super::entry::Entry;
use super::marks::Marks;
use super::member::Role;
use super::names::{RoomName, UserId};
use super::position::{Position, Seq};

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

/// A room in a user's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomSummary {
    /// The room.
    pub room: Room,
    /// The user's role.
    pub role: Role,
    /// The user's marks.
    pub marks: Marks,
    /// The last message that the user may read, as it reads now.
    pub last_message: Option<Entry>,
    /// The other user of a direct conversation.
    pub peer: Option<UserId>,
}

impl RoomSummary {
    /// Messages after the user's read mark.
    pub fn unread(&self) -> u64 {
        self.marks.unread(self.room.head_number)
    }
}
