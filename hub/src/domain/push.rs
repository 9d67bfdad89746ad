//! What the hub sends without being asked. Entries of a log are pushed as they are ([`super::entry::Entry`]); the rest
//! is here.

use std::time::Duration;

use super::entry::{Entry, Event};
use super::error::Refusal;
use super::inbox::{InboxChange, InboxSummary, Notification};
use super::marks::Marks;
use super::names::{RoomName, UserId};
use super::position::{InboxPosition, Seq};
use super::presence::{PresenceReason, UserState};
use super::reply::Joined;
use super::time::Timestamp;

/// A push that is no entry of a log.
#[derive(Clone, Debug)]
pub enum Push {
    /// The hub joined the session to a room (resume, automatic join).
    Joined(Box<Joined>),
    /// The hub ended the session's join.
    Left {
        /// Which room.
        room: RoomName,
        /// Why.
        reason: LeaveReason,
    },
    /// Retention removed these entries before they could be recovered.
    Gap {
        /// Where.
        room: RoomName,
        /// The first missing.
        from: Seq,
        /// The last missing.
        to: Seq,
    },
    /// An ephemeral event.
    Event {
        /// Where.
        room: RoomName,
        /// Who.
        sender: UserId,
        /// When.
        time: Timestamp,
        /// What.
        event: Event,
    },
    /// A user's marks rose.
    Marks {
        /// Where.
        room: RoomName,
        /// Whose.
        user: UserId,
        /// To what.
        marks: Marks,
    },
    /// A user types, or no longer.
    Typing {
        /// Where.
        room: RoomName,
        /// Who.
        user: UserId,
        /// Types, or no longer.
        active: bool,
    },
    /// A user's presence changed.
    Presence {
        /// Where; `None` for a watched user.
        room: Option<RoomName>,
        /// To what.
        state: UserState,
        /// Why.
        reason: PresenceReason,
    },
    /// How many are present in a large room.
    Occupancy {
        /// Where.
        room: RoomName,
        /// How many.
        count: u32,
    },
    /// Unread messages in a room that the session is not joined to.
    Unread {
        /// Where.
        room: RoomName,
        /// How many.
        count: u64,
        /// The latest message's place.
        last_seq: Seq,
        /// The last message.
        last_message: Option<Box<Entry>>,
    },
    /// A notification. `position` is the inbox's after it.
    Notification {
        /// What.
        notification: Notification,
        /// What a resume names to get only what comes after.
        position: InboxPosition,
    },
    /// The state of the inbox was changed, by this or another device.
    NotificationState {
        /// How.
        change: InboxChange,
        /// What it holds now.
        summary: InboxSummary,
    },
    /// What the inbox holds now.
    InboxUnread(InboxSummary),
    /// The token ends soon.
    TokenExpiring(Timestamp),
    /// Answer with anything.
    Ping,
    /// The node stops: reconnect after so long.
    GoingAway(Duration),
    /// The last frame of a session that the hub ends.
    Disconnected(Refusal),
}

/// Why the hub ended a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaveReason {
    /// It asked.
    Command,
    /// The user was removed from the room, or left it on another device.
    Removed,
    /// Resuming it was denied.
    Denied,
    /// The room could not be read, or a session may not resume so many: join again.
    Unavailable,
}
