//! What reads ask for.

use crate::domain::entry::Entry;
use crate::domain::inbox::{InboxFilter, Notification};
use crate::domain::names::{RoomKey, RoomName, TenantId, UserKey};
use crate::domain::position::{InboxPosition, Position, Seq};

/// Which entries of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryRange {
    /// After this place, oldest first.
    After(Seq),
    /// Before this place, newest first.
    Before(Seq),
}

/// How much a page may hold. At least one item is given where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageBound {
    /// Items at most.
    pub items: u32,
    /// Bytes at most, of whole items as they are sent: content, pairs, names and reactions.
    pub bytes: usize,
}

/// A page of a room's log, and the room as it was when the page was read, in one snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryPage {
    /// In the order that the range asks for, without holes: from `After`, the first is the next one that retention
    /// kept.
    pub entries: Vec<Entry>,
    /// The last entry of the room at that moment.
    pub head: Position,
    /// The number at the head.
    pub head_number: u64,
    /// The oldest entry that retention has kept.
    pub first: Seq,
    /// Whether more lie beyond the page's bound.
    pub more: bool,
}

/// Which of a user's rooms, in an order of the store's own, which stays: a walk by pages meets each membership once that
/// lasts as long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomsQuery {
    /// After this one.
    pub after: Option<RoomName>,
    /// Rooms at most.
    pub bound: PageBound,
    /// Only those with unread messages. No more than [`MEMBERSHIPS_LOOKED_AT`](crate::domain::limits) are looked at for
    /// one page, so it may be empty though there are more.
    pub unread_only: bool,
}

/// A page of rooms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomPage<T> {
    /// Within the bound.
    pub rooms: Vec<T>,
    /// The place after which the next page begins; `None` where there is none.
    pub next: Option<RoomName>,
}

impl<T> Default for RoomPage<T> {
    fn default() -> Self {
        Self { rooms: Vec::new(), next: None }
    }
}

/// A log in which what is committed has its place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Log {
    /// A room's.
    Room(RoomKey),
    /// One of an inbox.
    Inbox(InboxLog),
}

/// One of the two logs that an inbox is made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum InboxLog {
    /// A user's own.
    Own(UserKey),
    /// The broadcasts of a tenant.
    Broadcast(TenantId),
}

/// Which notifications of a user. About [`INBOX_LOOKED_AT`](crate::domain::limits) of each log are looked at for one page,
/// so it may be empty though there are more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InboxQuery {
    /// What came after a position, in order of acceptance (time, then place): what a resume hands over.
    After(InboxPosition),
    /// Newest first.
    Newest {
        /// From before these places.
        before: Option<InboxPosition>,
        /// Which.
        filter: InboxFilter,
    },
}

/// A page of an inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxPage {
    /// In the order that the query asks for; deleted and expired ones are left out.
    pub notifications: Vec<Notification>,
    /// Both logs' heads in the same snapshot.
    pub head: InboxPosition,
    /// The places from which the next page begins, as the query names them; `None` where there is none.
    pub next: Option<InboxPosition>,
}
