//! What configuration decides about presence.

use std::time::Duration;

use crate::domain::limits;

/// How presence behaves. The defaults are those of [`limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// A device that was lost counts as present for this long. Zero: not at all.
    pub grace: Duration,
    /// Above this many present, a room's changes are told as occupancy alone, and it has no typing.
    pub large_room: usize,
    /// Above this many present, occupancy is told at most every `occupancy_interval_huge`.
    pub huge_room: usize,
    /// Occupancy of a large room is told at most this often.
    pub occupancy_interval: Duration,
    /// Occupancy of a huge room is told at most this often.
    pub occupancy_interval_huge: Duration,
    /// Typing that is not refreshed ends after this long.
    pub typing_expiry: Duration,
    /// Whether other nodes have sessions of the same tenants.
    pub shared: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            grace: limits::PRESENCE_GRACE,
            large_room: limits::LARGE_ROOM,
            huge_room: limits::HUGE_ROOM,
            occupancy_interval: limits::OCCUPANCY_INTERVAL,
            occupancy_interval_huge: limits::OCCUPANCY_INTERVAL_HUGE,
            typing_expiry: limits::TYPING_EXPIRY,
            shared: false,
        }
    }
}
