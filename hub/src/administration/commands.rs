//! What an administrator may ask and what answers it, parsed and checked. The tenant is the caller's: its token's list
//! was checked against the one that the request named.

use std::sync::Arc;

use crate::access::limits::{Level, Limited};
use crate::domain::command::Cursor;
use crate::domain::content::{Content, Pairs};
use crate::domain::error::{ErrorCode, Violation};
use crate::domain::inbox::{NotificationKind, Priority};
use crate::domain::limits;
use crate::domain::member::Role;
use crate::domain::names::{self, InstanceId, NotificationId, RoomName, SessionId, UserId};
use crate::domain::peer::Peer;
use crate::domain::room::Room;
use crate::domain::time::Timestamp;
use crate::store::Idempotency;

/// How full a user's buckets are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserLevels {
    /// Of each kind that the user has taken from.
    pub kinds: Vec<Level>,
    /// Of the commands of each session: how many are left, of how many.
    pub sessions: Vec<(SessionId, u32, u32)>,
}

/// Create a room under a name of the administrator's choice. `CONFLICT` where it is there already.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateRoom {
    /// Its name; an unconfigured namespace is `NOT_FOUND`.
    pub room: RoomName,
    /// At most 1,000, none twice.
    pub members: Vec<(UserId, Role)>,
    /// Its metadata.
    pub metadata: Pairs,
    /// What makes a retry the same.
    pub idempotency: Option<Idempotency>,
}

/// The room exists.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomCreated {
    /// As it is now.
    pub room: Room,
    /// Whether an earlier attempt created it.
    pub duplicate: bool,
}

/// A page of the tenant's rooms, in order of their names.
#[derive(Clone, Debug, PartialEq)]
pub struct ListRooms {
    /// Only names that begin with this.
    pub prefix: RoomPrefix,
    /// Where the page before ended.
    pub cursor: Cursor,
    /// 1 to 200.
    pub limit: u32,
}

/// How a room's name begins: at most 255 bytes of the room alphabet; empty for every room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomPrefix(String);

impl RoomPrefix {
    /// Checks length and alphabet.
    pub fn parse(text: String) -> Result<Self, Violation> {
        if text.len() > limits::ROOM_NAME_BYTES || !text.bytes().all(names::is_name_byte) {
            return Err(Violation { field: "prefix", rule: "at most 255 bytes of the room alphabet" });
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A page of rooms.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomsListed {
    /// The rooms.
    pub rooms: Vec<Room>,
    /// Where the next page begins; empty on the last.
    pub next: Cursor,
}

/// Whom a notification is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// These: 1 to 1,000, none twice.
    Users(Vec<UserId>),
    /// Those who are members of this room when the notification is accepted.
    RoomMembers(RoomName),
    /// All users whom the tenant's directory knows when it is accepted.
    AllUsers,
}

/// Notify users. The service is the sender.
#[derive(Clone, Debug, PartialEq)]
pub struct SendNotification {
    /// Whom.
    pub audience: Audience,
    /// The application's kind.
    pub kind: NotificationKind,
    /// One line, 1 to 256 characters.
    pub title: Arc<str>,
    /// More, if there is more.
    pub body: Option<Content>,
    /// How urgent.
    pub priority: Priority,
    /// The application's pairs.
    pub data: Pairs,
    /// After this it is neither listed nor counted. Whether it lies in the future is checked by who knows the time.
    pub expires: Option<Timestamp>,
    /// What makes a retry the same.
    pub idempotency: Option<Idempotency>,
}

/// The notification is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotificationSent {
    /// The same for every recipient.
    pub id: NotificationId,
    /// How many users it is for.
    pub recipients: u64,
    /// Whether an earlier attempt sent it.
    pub duplicate: bool,
}

/// A page of the tenant's open sessions, in order of their ids.
#[derive(Clone, Debug, PartialEq)]
pub struct ListSessions {
    /// Only of this user.
    pub user: Option<UserId>,
    /// Where the page before ended.
    pub cursor: Cursor,
    /// 1 to 200.
    pub limit: u32,
}

/// A page of sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionsListed {
    /// The sessions.
    pub sessions: Vec<SessionInfo>,
    /// Where the next page begins; empty on the last.
    pub next: Cursor,
    /// Nodes that did not say which sessions they have.
    pub silent_nodes: u32,
}

/// An open session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its id.
    pub session: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// The tab or process, where it named one.
    pub instance: Option<InstanceId>,
    /// The client's name and version, as it said in `hello`.
    pub client: String,
    /// Where it was opened from.
    pub peer: Peer,
    /// When it was opened.
    pub connected: Timestamp,
    /// When the client last sent a command.
    pub last_active: Timestamp,
    /// Rooms that it has joined.
    pub rooms: u32,
    /// When its token ends.
    pub token_expires: Timestamp,
}

/// End sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disconnect {
    /// Which.
    pub target: DisconnectTarget,
    /// What the client is told: `SESSION_INVALIDATED`, `GOING_AWAY` or `UNAVAILABLE`.
    pub code: ErrorCode,
}

/// Which sessions to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DisconnectTarget {
    /// This one.
    Session(SessionId),
    /// A user's.
    User {
        /// Whose.
        user: UserId,
        /// Only of this tab or process.
        instance: Option<InstanceId>,
    },
}

/// Counts of one tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Open sessions.
    pub sessions: u64,
    /// Users with at least one open session.
    pub users: u64,
    /// Rooms stored.
    pub rooms: u64,
    /// Rooms that at least one session has joined.
    pub active_rooms: u64,
    /// Messages ever sent: the sum of the rooms' head numbers.
    pub messages: u64,
    /// Notifications stored, each recipient's counted once.
    pub notifications: u64,
    /// How often each limit was hit on this node.
    pub limits_hit: Vec<(Limited, u64)>,
    /// Buckets on this node that are not full.
    pub limits_in_use: u64,
    /// How full this node's bucket of all that the tenant sends is, where there is one.
    pub messages_left: Option<Level>,
    /// Bytes that the tenant's rooms hold.
    pub stored_bytes: u64,
    /// Bytes that they may hold; 0 without a limit.
    pub stored_bytes_limit: u64,
    /// When this was read.
    pub time: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_of_the_room_alphabet() {
        for good in ["", "conversation:", "a", &"x".repeat(255)] {
            assert_eq!(RoomPrefix::parse(good.to_owned()).unwrap().as_str(), good);
        }
        for bad in ["a b", "%", "é", &"x".repeat(256)] {
            assert!(RoomPrefix::parse(bad.to_owned()).is_err(), "{bad:?}");
        }
    }
}
