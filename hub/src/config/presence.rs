//! `[presence]`: presence and typing.

use std::time::Duration;

use super::check::{Broken, duration, number, require};
use super::span;
use crate::domain::limits;

/// The settings of presence and typing.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PresenceSection {
    /// A lost device counts as present for this long, so that a reconnect is silent.
    #[serde(with = "span")]
    pub grace: Duration,
    /// Above this many present, a room tells occupancy alone and passes on neither marks nor typing.
    pub large_room: usize,
    /// A large room's occupancy is told at most this often.
    #[serde(with = "span")]
    pub occupancy_interval: Duration,
    /// Above this many present, occupancy is told at most every `occupancy_interval_huge`.
    pub huge_room: usize,
    /// A huge room's occupancy is told at most this often.
    #[serde(with = "span")]
    pub occupancy_interval_huge: Duration,
    /// Typing that is not refreshed ends after this long.
    #[serde(with = "span")]
    pub typing_expiry: Duration,
}

impl Default for PresenceSection {
    fn default() -> Self {
        Self {
            grace: limits::PRESENCE_GRACE,
            large_room: limits::LARGE_ROOM,
            occupancy_interval: limits::OCCUPANCY_INTERVAL,
            huge_room: limits::HUGE_ROOM,
            occupancy_interval_huge: limits::OCCUPANCY_INTERVAL_HUGE,
            typing_expiry: limits::TYPING_EXPIRY,
        }
    }
}

impl PresenceSection {
    pub(super) fn check(&self) -> Result<(), Broken> {
        let interval = Duration::from_millis(100)..=Duration::from_mins(10);
        duration("presence.grace", self.grace, &(Duration::ZERO..=Duration::from_mins(10)))?;
        number("presence.large_room", self.large_room, &(1..=10_000))?;
        duration("presence.occupancy_interval", self.occupancy_interval, &interval)?;
        require(self.huge_room >= self.large_room, "presence.huge_room", "presence.large_room at least")?;
        duration("presence.occupancy_interval_huge", self.occupancy_interval_huge, &interval)?;
        duration(
            "presence.typing_expiry",
            self.typing_expiry,
            &(Duration::from_secs(1)..=Duration::from_mins(1)),
        )
    }
}
