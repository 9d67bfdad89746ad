//! Presence: devices added up to users, users to rooms.

use std::cmp::Ordering;

use super::error::Violation;
use super::limits;
use super::names::UserId;
use super::time::Timestamp;

/// What a user shows. The numbers are the protocol's; the order is by availability (`Offline < Away < Busy < Online`),
/// so that the greatest among a user's devices is what the user shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

impl Status {
    const fn availability(self) -> u8 {
        match self {
            Self::Offline => 0,
            Self::Away => 1,
            Self::Busy => 2,
            Self::Online => 3,
        }
    }
}

impl Ord for Status {
    fn cmp(&self, other: &Self) -> Ordering {
        self.availability().cmp(&other.availability())
    }
}

impl PartialOrd for Status {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
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

impl UserState {
    /// A user without a device. When they were last active is not known.
    pub const fn offline(user: UserId) -> Self {
        Self { user, status: Status::Offline, text: String::new(), last_active: Timestamp(0), devices: 0 }
    }

    /// Whether others see the same in `other`: all but the time of last activity, which alone is no news.
    pub fn looks_like(&self, other: &Self) -> bool {
        (self.status, self.devices, &self.text) == (other.status, other.devices, &other.text)
    }
}

/// Why a presence push was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PresenceReason {
    /// How it was when the session joined.
    Snapshot,
    /// The user's first session joined the room.
    Joined,
    /// The user's last session left the room on purpose. For a watched user: the last device said goodbye.
    Left,
    /// Status, text or devices changed.
    Changed,
    /// The user's last session in the room was lost, and its grace is over. For a watched user: the last device.
    Disconnected,
    /// A watched user who had no device has one again. (In a room they are `Joined` again.)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_available_status_is_the_greatest() {
        let mut all = [Status::Online, Status::Offline, Status::Busy, Status::Away];
        all.sort();
        assert_eq!(all, [Status::Offline, Status::Away, Status::Busy, Status::Online]);
    }
}
