//! Presence: devices added up to users, users to rooms.

use super::error::Violation;
use super::limits;
use super::names::UserId;
use super::time::Timestamp;

/// What a user shows. The order is what counts among devices: the most available one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Status {
    /// No device is connected.
    Offline = 4,
    /// Connected, not at it.
    Away = 2,
    /// Connected, not to be disturbed.
    Busy = 3,
    /// Connected.
    Online = 1,
}

/// A user as others see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserState {
    /// Who.
    pub user: UserId,
    /// The devices' statuses added up.
    pub status: Status,
    /// At most 128 characters; of the device that set it last.
    pub text: String,
    /// When a device last did something.
    pub last_active: Timestamp,
    /// How many devices are connected.
    pub devices: u32,
}

/// Why a presence push was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PresenceReason {
    /// How it was when the session joined.
    Snapshot,
    /// Joined the room.
    Joined,
    /// Left the room.
    Left,
    /// Status or text changed.
    Changed,
    /// The last device's grace is over.
    Disconnected,
    /// Came back.
    Returned,
    /// A watched user, as they are now.
    Watched,
}

/// Checks a presence text: at most 128 characters, none of them control characters.
pub fn parse_text(text: String) -> Result<String, Violation> {
    if text.chars().nth(limits::STATUS_TEXT_CHARACTERS).is_some() || text.chars().any(char::is_control) {
        return Err(Violation { field: "text", rule: "at most 128 characters, no control characters" });
    }
    Ok(text)
}
