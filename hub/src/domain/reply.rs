//! What a command is answered with.

use super::command::Cursor;
use super::entry::Entry;
use super::inbox::{InboxSummary, Notification};
use super::marks::Marks;
use super::member::{Member, Role};
use super::names::{RoomName, SessionId, TenantId, UserId};
use super::namespace::NamespaceRules;
use super::position::{InboxPosition, Position};
use super::presence::UserState;
use super::room::RoomSummary;
use super::time::Timestamp;

/// A command's answer. Exactly one for each, but for `pong` and `goodbye`.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The session is open.
    Connected(Box<Connected>),
    /// Nothing more to say.
    Done,
    /// Answers `ping`.
    Pong(Timestamp),
    /// The session follows the room.
    Joined(Box<Joined>),
    /// The session follows the room no more, as it asked.
    Left(RoomName),
    /// A message was accepted.
    MessageSent {
        /// Where it stands.
        position: Position,
        /// Its number.
        number: u64,
        /// When.
        time: Timestamp,
        /// Whether an earlier attempt did it.
        duplicate: bool,
    },
    /// Another entry, or an ephemeral event (position 0), was accepted.
    EntryAccepted {
        /// Where it stands.
        position: Position,
        /// When.
        time: Timestamp,
        /// The edited message's version; 0 otherwise.
        version: u32,
        /// Whether an earlier attempt did it.
        duplicate: bool,
    },
    /// A conversation was created, or the pair's was found.
    ConversationCreated {
        /// Which.
        room: RoomName,
        /// Its last entry then.
        position: Position,
        /// Whether it was there already.
        duplicate: bool,
    },
    /// The caller's marks as they stand now.
    Marks {
        /// Where.
        room: RoomName,
        /// Whose.
        user: UserId,
        /// The marks.
        marks: Marks,
    },
    /// A page of a room's log, oldest first.
    History {
        /// Which room.
        room: RoomName,
        /// The entries.
        entries: Vec<Entry>,
        /// The room's head when they were read.
        as_of: Position,
        /// Whether there are more in the direction asked for.
        more: bool,
    },
    /// A page of the caller's rooms.
    Rooms {
        /// The rooms.
        rooms: Vec<RoomSummary>,
        /// Where the next page begins; empty on the last.
        next: Cursor,
    },
    /// A page of members.
    Members {
        /// The members.
        members: Vec<Member>,
        /// Where the next page begins; empty on the last.
        next: Cursor,
    },
    /// A page of who is present.
    Presence {
        /// The users.
        states: Vec<UserState>,
        /// How many are present in all.
        occupancy: u32,
        /// Where the next page begins; empty on the last.
        next: Cursor,
    },
    /// A page of the inbox.
    Notifications {
        /// Newest first.
        notifications: Vec<Notification>,
        /// What the inbox holds in all.
        summary: InboxSummary,
        /// Where the next page begins; empty on the last.
        next: Cursor,
    },
}

/// The session is open.
#[derive(Clone, Debug)]
pub struct Connected {
    /// Its id.
    pub session: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// Of which tenant.
    pub tenant: TenantId,
    /// The server's clock.
    pub now: Timestamp,
    /// The rules that the session is under.
    pub terms: SessionTerms,
    /// The first rooms with unread messages.
    pub unread: Vec<RoomSummary>,
    /// Whether there are more of them.
    pub unread_more: bool,
    /// What the inbox holds in all. A resumed position that is of another epoch is answered with the head's epoch.
    pub inbox: InboxSummary,
    /// Before the unread notifications that follow, where some do.
    pub inbox_after: Option<InboxPosition>,
    /// When the token ends.
    pub token_expires: Timestamp,
}

/// What the hub promises and asks of a session, from configuration.
#[derive(Clone, Copy, Debug)]
pub struct SessionTerms {
    /// A ping this often, milliseconds.
    pub heartbeat_interval_ms: u32,
    /// Dead after this long without an inbound frame, milliseconds.
    pub heartbeat_timeout_ms: u32,
    /// Largest inbound frame, bytes.
    pub frame_bytes: u32,
    /// Rooms that the session may be joined to.
    pub rooms_per_session: u32,
    /// How long an idempotency key is remembered while the node has room for all, milliseconds.
    pub idempotency_window_ms: u32,
}

/// Why a session is joined to a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinReason {
    /// It asked.
    Command,
    /// The namespace joins every session by itself.
    Automatic,
    /// It was joined before, and resumed.
    Resumed,
}

/// The session follows the room. What follows: recovered entries, then live ones.
#[derive(Clone, Debug)]
pub struct Joined {
    /// Which.
    pub room: RoomName,
    /// The head at this moment: entries up to here that the session asked for are recovered ones.
    pub position: Position,
    /// Whether entries after `since` (or rewound ones) follow.
    pub recovered: bool,
    /// Whether `since` could not be honoured: drop the copy of the room and read history.
    pub truncated: bool,
    /// The user.
    pub user: UserId,
    /// The user's marks.
    pub marks: Marks,
    /// How many are present.
    pub occupancy: u32,
    /// The user's role; `None` in rooms without members.
    pub role: Option<Role>,
    /// The first who are present, where asked for.
    pub presence: Vec<UserState>,
    /// Whether there are more of them.
    pub presence_more: bool,
    /// The namespace's rules.
    pub rules: RoomRules,
    /// Why.
    pub reason: JoinReason,
}

/// What a client needs to know of a namespace's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomRules {
    /// Whether entries are kept.
    pub durable: bool,
    /// Whether typing is passed on.
    pub typing: bool,
    /// Whether marks are shown to others.
    pub receipts: bool,
    /// How long a message may be edited, milliseconds; `None` for ever.
    pub edit_window_ms: Option<u32>,
}

impl From<&NamespaceRules> for RoomRules {
    fn from(rules: &NamespaceRules) -> Self {
        Self {
            durable: rules.durable,
            typing: rules.typing,
            receipts: rules.receipts,
            edit_window_ms: rules.edit_window.map(|w| u32::try_from(w.as_millis()).unwrap_or(u32::MAX)),
        }
    }
}
