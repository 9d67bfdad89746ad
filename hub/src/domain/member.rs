//! Who belongs to a room, and as what.

use super::names::UserId;
use super::position::Seq;

/// What a member may do, from most to least. The order is the order of power: `Owner > Moderator > Member > Reader`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// Reads.
    Reader = 1,
    /// Reads and writes.
    Member = 2,
    /// Also deletes others' messages and manages members and readers.
    Moderator = 3,
    /// Everything.
    Owner = 4,
}

impl Role {
    /// The role that the store kept as a number.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Reader),
            2 => Some(Self::Member),
            3 => Some(Self::Moderator),
            4 => Some(Self::Owner),
            _ => None,
        }
    }
}

/// A user's membership of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// As what.
    pub role: Role,
    /// The seq of the membership entry that last changed it; a condition names it, so that what was decided under an
    /// older membership is decided again.
    pub version: Seq,
    /// The seq of the entry that added them.
    pub joined: Seq,
    /// The first seq that they may read.
    pub history_from: Seq,
}

/// How a membership changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MembershipChange {
    /// Added by another, or by creating the room.
    Added = 1,
    /// Removed by another.
    Removed = 2,
    /// Left by themselves.
    Left = 3,
    /// The role changed.
    RoleChanged = 4,
}

impl MembershipChange {
    /// The change that the store kept as a number.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Added),
            2 => Some(Self::Removed),
            3 => Some(Self::Left),
            4 => Some(Self::RoleChanged),
            _ => None,
        }
    }

    /// Whether the user is no member afterwards.
    pub fn ends(self) -> bool {
        matches!(self, Self::Removed | Self::Left)
    }
}
