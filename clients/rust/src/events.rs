//! What a caller is handed: the hub's pushes, and what happens to the session.

use std::sync::Arc;
use std::time::Duration;

use carillon_proto::v1::session_response::Kind;
use carillon_proto::v1::{self, EntryHeader};

use crate::code::Code;

/// What happened. The entries of a room come once each, in the order of seq, over all reconnects.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A session is open; missed entries of the rooms that were joined follow.
    Connected(Arc<v1::Connected>),
    /// The session ended.
    Disconnected(Disconnected),
    /// The copy of this room is void: drop it, read history. Later entries follow.
    Truncated {
        /// Which room.
        room: String,
    },
    /// The copy of the inbox is void: drop it, list the notifications. Later ones follow.
    InboxTruncated,
    /// The hub stops soon. The library reconnects by itself when it does.
    GoingAway {
        /// How long the hub asks to wait then.
        reconnect_after: Duration,
    },
    /// A room was joined: by a command, by `resume`, or by the hub.
    Joined(Box<v1::Joined>),
    /// A room is not joined any more.
    Left(v1::Left),
    /// Retention removed entries that would have come here.
    Gap(v1::Gap),
    /// How many are present in a large room.
    Occupancy(v1::Occupancy),
    /// New messages in a room that is not joined.
    Unread(Box<v1::Unread>),
    /// An entry: a message.
    Message(Box<v1::Message>),
    /// An entry: a message was edited.
    MessageEdited(Box<v1::MessageEdited>),
    /// An entry: a message was deleted.
    MessageDeleted(v1::MessageDeleted),
    /// An entry: a user reacted, or took it back.
    Reaction(v1::Reaction),
    /// An entry: a membership changed.
    Membership(v1::Membership),
    /// An entry: the room changed.
    RoomChanged(v1::RoomChanged),
    /// An application's event; an entry where events are durable.
    Event(Box<v1::Event>),
    /// A user's marks.
    Marks(v1::Marks),
    /// A user types, or stopped.
    Typing(v1::Typing),
    /// A user's presence.
    Presence(v1::Presence),
    /// A notification.
    Notification(Box<v1::Notification>),
    /// One of the user's devices read or deleted notifications.
    NotificationState(v1::NotificationState),
    /// How many notifications are unread.
    InboxUnread(v1::InboxUnread),
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disconnected {
    /// The hub's code; `None` where the connection broke.
    pub code: Option<Code>,
    /// For people.
    pub reason: String,
    /// When the library tries again. `None`: it does not, and no event follows.
    pub reconnect_after: Option<Duration>,
}

impl Disconnected {
    /// Whether the library opens a new session by itself.
    #[must_use]
    pub fn will_reconnect(&self) -> bool {
        self.reconnect_after.is_some()
    }
}

impl Event {
    /// The room and header of an entry of a log. `None` for all else, ephemeral events too.
    #[must_use]
    pub fn entry(&self) -> Option<(&str, &EntryHeader)> {
        let (room, header) = match self {
            Self::Message(m) => (&m.room, m.header.as_ref()),
            Self::MessageEdited(m) => (&m.room, m.header.as_ref()),
            Self::MessageDeleted(m) => (&m.room, m.header.as_ref()),
            Self::Reaction(r) => (&r.room, r.header.as_ref()),
            Self::Membership(m) => (&m.room, m.header.as_ref()),
            Self::RoomChanged(r) => (&r.room, r.header.as_ref()),
            Self::Event(e) => (&e.room, e.header.as_ref()),
            _ => return None,
        };
        header.filter(|header| header.seq > 0).map(|header| (room.as_str(), header))
    }

    /// The event that a push is to the caller. `None`: the library deals with it, or does not know it.
    pub(crate) fn of_push(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::Message(message) => Self::Message(Box::new(message)),
            Kind::Event(event) => Self::Event(Box::new(event)),
            Kind::Marks(marks) => Self::Marks(marks),
            Kind::Typing(typing) => Self::Typing(typing),
            Kind::Presence(presence) => Self::Presence(presence),
            Kind::Unread(unread) => Self::Unread(Box::new(unread)),
            Kind::Joined(joined) => Self::Joined(Box::new(joined)),
            Kind::Left(left) => Self::Left(left),
            Kind::Gap(gap) => Self::Gap(gap),
            Kind::Occupancy(occupancy) => Self::Occupancy(occupancy),
            Kind::Membership(membership) => Self::Membership(membership),
            Kind::RoomChanged(changed) => Self::RoomChanged(changed),
            Kind::MessageEdited(edited) => Self::MessageEdited(Box::new(edited)),
            Kind::MessageDeleted(deleted) => Self::MessageDeleted(deleted),
            Kind::Reaction(reaction) => Self::Reaction(reaction),
            Kind::Notification(notification) => Self::Notification(Box::new(notification)),
            Kind::NotificationState(state) => Self::NotificationState(state),
            Kind::InboxUnread(unread) => Self::InboxUnread(unread),
            _ => return None,
        })
    }
}

/// The same entry as a push would have brought it.
impl From<v1::history_entry::Entry> for Event {
    fn from(entry: v1::history_entry::Entry) -> Self {
        use v1::history_entry::Entry;
        match entry {
            Entry::Message(message) => Self::Message(Box::new(message)),
            Entry::MessageEdited(edited) => Self::MessageEdited(Box::new(edited)),
            Entry::MessageDeleted(deleted) => Self::MessageDeleted(deleted),
            Entry::Reaction(reaction) => Self::Reaction(reaction),
            Entry::Membership(membership) => Self::Membership(membership),
            Entry::RoomChanged(changed) => Self::RoomChanged(changed),
            Entry::Event(event) => Self::Event(Box::new(event)),
        }
    }
}
