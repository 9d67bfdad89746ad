//! What a session may ask, parsed and checked: whoever holds a [`Command`] need not check a field again.

use super::content::{Content, Pairs};
use super::entry::{Event, ReactionKey};
use super::inbox::{InboxChange, InboxFilter};
use super::member::Role;
use super::names::{IdempotencyKey, InstanceId, RoomName, UserId};
use super::position::{InboxPosition, Position, Seq};
use super::presence::Status;

/// One inbound frame of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The client's id, not 0.
    pub command_id: u32,
    /// The client's key for this attempt, where it gave one.
    pub key: Option<IdempotencyKey>,
    /// A hash of the command's encoded bytes: a retry bears the same.
    pub fingerprint: u64,
    /// What it asks.
    pub command: Command,
}

/// What a frame asks.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// The first frame.
    Hello(Box<Hello>),
    /// A new token of the same user and tenant.
    RefreshToken(Token),
    /// Answered with `pong`.
    Ping,
    /// Answers the hub's ping; gets no reply.
    Pong,
    /// The client ends the session; gets no reply.
    Goodbye,
    /// Follow a room.
    Join(Join),
    /// Follow it no more.
    Leave(RoomName),
    /// Watch these users' presence, instead of those watched before.
    PresenceWatch(Vec<UserId>),
    /// Show that the user is typing, or no longer.
    Typing {
        /// Where.
        room: RoomName,
        /// Typing, or no longer.
        active: bool,
    },
    /// Set this device's presence.
    PresenceSet {
        /// The status.
        status: Status,
        /// At most 128 characters.
        text: String,
    },
    /// A command that `Execute` takes too: it needs no session.
    Stateless(Stateless),
}

impl Command {
    /// The command's name on the wire, for metrics and limits.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::RefreshToken(_) => "refresh_token",
            Self::Ping => "ping",
            Self::Pong => "pong",
            Self::Goodbye => "goodbye",
            Self::Join(_) => "join",
            Self::Leave(_) => "leave",
            Self::PresenceWatch(_) => "presence_watch",
            Self::Typing { .. } => "typing",
            Self::PresenceSet { .. } => "presence_set",
            Self::Stateless(command) => command.name(),
        }
    }
}

/// A token as it came. Its text is in no log: `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The first frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Hello {
    /// The token, unless metadata carried it.
    pub token: Option<Token>,
    /// The protocol's version: 1.
    pub protocol: u32,
    /// The client's name and version, for the audit log.
    pub client: String,
    /// The tab or process.
    pub instance: Option<InstanceId>,
    /// Where the client was.
    pub resume: Option<Resume>,
}

/// Where a client was when its last session ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resume {
    /// The rooms that it was joined to; `since` is set.
    pub rooms: Vec<Join>,
    /// Its place in its inbox.
    pub inbox: Option<InboxPosition>,
}

/// Follow a room.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    /// Which.
    pub room: RoomName,
    /// From the entry after this one; from now on where `None`.
    pub since: Option<Position>,
    /// The last entries first, at most 1,000; only without `since`.
    pub rewind: u32,
    /// With presence.
    pub presence: bool,
}

/// A command that needs no session.
#[derive(Clone, Debug, PartialEq)]
pub enum Stateless {
    /// A page of a room's log.
    History {
        /// Which room.
        room: RoomName,
        /// Before or after which seq; the newest where `None`.
        bound: Option<HistoryBound>,
        /// 1 to 200.
        limit: u32,
    },
    /// The user's rooms.
    Rooms {
        /// Where the page before ended.
        cursor: Cursor,
        /// 1 to 100.
        limit: u32,
        /// Only those with unread messages.
        unread_only: bool,
    },
    /// A new conversation.
    ConversationCreate {
        /// Besides the caller; at most 1,000.
        members: Vec<(UserId, Role)>,
        /// Its metadata.
        metadata: Pairs,
        /// The one conversation of this pair.
        direct: bool,
    },
    /// Change a conversation's metadata.
    ConversationUpdate {
        /// Which.
        room: RoomName,
        /// To set.
        metadata: Pairs,
        /// To remove.
        remove_keys: Vec<String>,
        /// Only where this is the current version.
        expected_version: Option<Seq>,
    },
    /// Add a member.
    MemberAdd {
        /// Where.
        room: RoomName,
        /// Whom.
        user: UserId,
        /// As what.
        role: Role,
    },
    /// Remove a member, or leave.
    MemberRemove {
        /// Where.
        room: RoomName,
        /// Whom.
        user: UserId,
    },
    /// Change a member's role.
    MemberRole {
        /// Where.
        room: RoomName,
        /// Whose.
        user: UserId,
        /// To what.
        role: Role,
    },
    /// A room's members.
    Members {
        /// Which room.
        room: RoomName,
        /// Where the page before ended.
        cursor: Cursor,
        /// 1 to 100.
        limit: u32,
    },
    /// Send a message.
    MessageSend {
        /// Where.
        room: RoomName,
        /// What.
        content: Content,
        /// In answer to.
        reply_to: Option<Seq>,
        /// The sender's pairs.
        attributes: Pairs,
    },
    /// Give a message new content.
    MessageEdit {
        /// Where.
        room: RoomName,
        /// Which.
        seq: Seq,
        /// The new content.
        content: Content,
        /// Only where this is the current version.
        expected_version: Option<u32>,
    },
    /// Delete a message.
    MessageDelete {
        /// Where.
        room: RoomName,
        /// Which.
        seq: Seq,
    },
    /// Add or take back a reaction.
    Reaction {
        /// Where.
        room: RoomName,
        /// To which message.
        seq: Seq,
        /// Which reaction.
        key: ReactionKey,
        /// Add, or take back.
        add: bool,
    },
    /// All up to here reached this user.
    MarkDelivered {
        /// Where.
        room: RoomName,
        /// Up to here.
        up_to: Seq,
    },
    /// The user has read all up to here.
    MarkRead {
        /// Where.
        room: RoomName,
        /// Up to here.
        up_to: Seq,
    },
    /// Publish an event.
    EventPublish {
        /// Where.
        room: RoomName,
        /// What.
        event: Event,
        /// Not to this session; ephemeral rooms only.
        exclude_self: bool,
    },
    /// Who is present.
    PresenceGet {
        /// Where.
        room: RoomName,
        /// Where the page before ended.
        cursor: Cursor,
        /// 1 to 100.
        limit: u32,
    },
    /// A page of the inbox, newest first.
    Notifications {
        /// Where the page before ended.
        cursor: Cursor,
        /// Which.
        filter: InboxFilter,
        /// 1 to 100.
        limit: u32,
    },
    /// Change the state of the inbox.
    Inbox(InboxChange),
}

/// Which way a page of history goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryBound {
    /// Older than this.
    Before(Seq),
    /// Newer than this.
    After(Seq),
}

/// Where a page ended, as the hub wrote it and the client sent it back; empty for the first page. Checked by the area
/// that wrote it (see [`super::cursor`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor(pub String);

impl Stateless {
    /// The room that the command is about, if it is about one.
    pub fn room(&self) -> Option<&RoomName> {
        match self {
            Self::History { room, .. }
            | Self::ConversationUpdate { room, .. }
            | Self::MemberAdd { room, .. }
            | Self::MemberRemove { room, .. }
            | Self::MemberRole { room, .. }
            | Self::Members { room, .. }
            | Self::MessageSend { room, .. }
            | Self::MessageEdit { room, .. }
            | Self::MessageDelete { room, .. }
            | Self::Reaction { room, .. }
            | Self::MarkDelivered { room, .. }
            | Self::MarkRead { room, .. }
            | Self::EventPublish { room, .. }
            | Self::PresenceGet { room, .. } => Some(room),
            Self::Rooms { .. }
            | Self::ConversationCreate { .. }
            | Self::Notifications { .. }
            | Self::Inbox(_) => None,
        }
    }

    /// Whether it writes: then its place among the session's other commands matters.
    pub fn changes_something(&self) -> bool {
        !matches!(
            self,
            Self::History { .. }
                | Self::Rooms { .. }
                | Self::Members { .. }
                | Self::PresenceGet { .. }
                | Self::Notifications { .. }
        )
    }

    /// The command's name on the wire, for metrics and limits.
    pub fn name(&self) -> &'static str {
        match self {
            Self::History { .. } => "history",
            Self::Rooms { .. } => "rooms",
            Self::ConversationCreate { .. } => "conversation_create",
            Self::ConversationUpdate { .. } => "conversation_update",
            Self::MemberAdd { .. } => "member_add",
            Self::MemberRemove { .. } => "member_remove",
            Self::MemberRole { .. } => "member_role",
            Self::Members { .. } => "members",
            Self::MessageSend { .. } => "message_send",
            Self::MessageEdit { .. } => "message_edit",
            Self::MessageDelete { .. } => "message_delete",
            Self::Reaction { .. } => "reaction",
            Self::MarkDelivered { .. } => "mark_delivered",
            Self::MarkRead { .. } => "mark_read",
            Self::EventPublish { .. } => "event_publish",
            Self::PresenceGet { .. } => "presence_get",
            Self::Notifications { .. } => "notifications",
            Self::Inbox(InboxChange::Delete(_)) => "notification_delete",
            Self::Inbox(_) => "notification_read",
        }
    }
}
