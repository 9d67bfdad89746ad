//! What is told to whom.

use crate::domain::names::{RoomKey, RoomName, SessionId, UserId};
use crate::domain::presence::{PresenceReason, UserState};
use crate::domain::push::Push;

/// A push, who gets it, and which waiting one it replaces.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Who gets it.
    pub to: Audience,
    /// What they get.
    pub push: Push,
    /// A push of the same key that still waits for a session is out of date: this one takes its place.
    pub merge: MergeKey,
}

/// Who gets a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The sessions joined to the room that asked for presence.
    Room(RoomKey),
    /// The sessions joined to the room, but for this user's own.
    Others(RoomKey, UserId),
    /// These sessions, each once.
    Sessions(Vec<SessionId>),
}

/// What a later notice replaces in a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MergeKey {
    /// A user's presence in a room, or as a watched user (no room).
    Presence {
        /// Where; `None` for a watched user.
        room: Option<RoomName>,
        /// Whose.
        user: UserId,
    },
    /// A room's occupancy.
    Occupancy(RoomName),
    /// Whether a user types in a room.
    Typing {
        /// Where.
        room: RoomName,
        /// Who.
        user: UserId,
    },
}

/// Where notices go. Called without any lock of presence held, one tenant's notices in the order in which they arose
/// and never two at a time, so that nobody is told last what was true first.
pub trait NoticeSink: Send + Sync + 'static {
    /// Passes a notice on. Must neither wait nor call presence.
    fn deliver(&self, notice: Notice);
}

impl Notice {
    /// A user's presence in a room, to those who follow it.
    pub(super) fn in_room(room: RoomKey, state: UserState, reason: PresenceReason) -> Self {
        let name = room.room.clone();
        Self::presence(Audience::Room(room), Some(name), state, reason)
    }

    /// A watched user's presence.
    pub(super) fn watched(sessions: Vec<SessionId>, state: UserState, reason: PresenceReason) -> Self {
        Self::presence(Audience::Sessions(sessions), None, state, reason)
    }

    fn presence(to: Audience, room: Option<RoomName>, state: UserState, reason: PresenceReason) -> Self {
        let merge = MergeKey::Presence { room: room.clone(), user: state.user.clone() };
        Self { to, push: Push::Presence { room, state, reason }, merge }
    }

    /// A large room's occupancy.
    pub(super) fn occupancy(room: RoomKey, count: u32) -> Self {
        let name = room.room.clone();
        let merge = MergeKey::Occupancy(name.clone());
        Self { to: Audience::Room(room), push: Push::Occupancy { room: name, count }, merge }
    }

    /// A user types in a room, or no longer.
    pub(super) fn typing(room: RoomKey, user: UserId, active: bool) -> Self {
        let name = room.room.clone();
        let merge = MergeKey::Typing { room: name.clone(), user: user.clone() };
        let to = Audience::Others(room, user.clone());
        Self { to, push: Push::Typing { room: name, user, active }, merge }
    }
}
