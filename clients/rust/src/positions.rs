//! Where a caller's copy ends: what it stores across its own restarts.

use std::collections::BTreeMap;

use carillon_proto::v1;

/// The end of a caller's copy of each joined room and of the inbox. From `Client::positions`, to
/// [`crate::ClientOptions::resume`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    /// The joined rooms.
    pub rooms: BTreeMap<String, RoomPlace>,
    /// The last notification. `None`: no session has been open yet.
    pub inbox: Option<v1::InboxPosition>,
}

/// One joined room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoomPlace {
    /// The last entry that the caller was handed. `None`: none, or the room is ephemeral; joined without recovery.
    pub position: Option<v1::Position>,
    /// Whether the join asked for presence.
    pub presence: bool,
}
