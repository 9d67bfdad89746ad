//! `[session]`: the rules of every session.

use std::time::Duration;

use super::check::{Broken, duration, number, require};
use super::span;
use crate::domain::limits;
use crate::domain::reply::SessionTerms;

/// The settings of sessions.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionSection {
    /// A ping this often.
    #[serde(with = "span")]
    pub heartbeat_interval: Duration,
    /// Dead after this long without an inbound frame.
    #[serde(with = "span")]
    pub heartbeat_timeout: Duration,
    /// A stream that has not authenticated by then is closed.
    #[serde(with = "span")]
    pub hello_timeout: Duration,
    /// A command that is not done by then is answered with `DEADLINE_EXCEEDED`.
    #[serde(with = "span")]
    pub command_timeout: Duration,
    /// On a stop, what is not done by then is cut off.
    #[serde(with = "span")]
    pub drain_timeout: Duration,
    /// `token_expiring` is sent this long before expiry.
    #[serde(with = "span")]
    pub token_expiring_notice: Duration,
    /// A session whose stream has not moved for this long while frames wait is disconnected.
    #[serde(with = "span")]
    pub slow_consumer_after: Duration,
    /// Largest inbound frame, bytes.
    pub frame_bytes: usize,
    /// Rooms that one session may be joined to.
    pub rooms_per_session: usize,
    /// Bytes of ephemeral events that may wait for one session.
    pub mailbox_bytes: usize,
}

impl Default for SessionSection {
    fn default() -> Self {
        Self {
            heartbeat_interval: limits::HEARTBEAT_INTERVAL,
            heartbeat_timeout: limits::HEARTBEAT_TIMEOUT,
            hello_timeout: limits::HELLO_TIMEOUT,
            command_timeout: limits::COMMAND_TIMEOUT,
            drain_timeout: limits::DRAIN_TIMEOUT,
            token_expiring_notice: limits::TOKEN_EXPIRING_NOTICE,
            slow_consumer_after: limits::SLOW_CONSUMER_AFTER,
            frame_bytes: limits::FRAME_BYTES,
            rooms_per_session: limits::ROOMS_PER_SESSION,
            mailbox_bytes: limits::MAILBOX_BYTES,
        }
    }
}

impl SessionSection {
    pub(super) fn terms(&self) -> SessionTerms {
        let millis = |duration: Duration| u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
        SessionTerms {
            heartbeat_interval_ms: millis(self.heartbeat_interval),
            heartbeat_timeout_ms: millis(self.heartbeat_timeout),
            frame_bytes: u32::try_from(self.frame_bytes).unwrap_or(u32::MAX),
            rooms_per_session: u32::try_from(self.rooms_per_session).unwrap_or(u32::MAX),
            idempotency_window_ms: millis(limits::IDEMPOTENCY_WINDOW),
        }
    }

    /// Checks what a bridge has of them.
    pub(super) fn check_edge(&self) -> Result<(), Broken> {
        let allowed = Duration::from_millis(100)..=Duration::from_hours(1);
        duration("session.heartbeat_interval", self.heartbeat_interval, &allowed)?;
        number("session.frame_bytes", self.frame_bytes, &(16 * 1024..=limits::FRAME_BYTES_MAX))
    }

    pub(super) fn check(&self) -> Result<(), Broken> {
        let (brief, hour) = (Duration::from_millis(100), Duration::from_hours(1));
        self.check_edge()?;
        duration("session.heartbeat_timeout", self.heartbeat_timeout, &(brief..=hour))?;
        require(
            self.heartbeat_timeout > self.heartbeat_interval,
            "session.heartbeat_timeout",
            "longer than session.heartbeat_interval",
        )?;
        duration("session.hello_timeout", self.hello_timeout, &(brief..=Duration::from_mins(1)))?;
        duration("session.command_timeout", self.command_timeout, &(brief..=Duration::from_mins(1)))?;
        duration("session.drain_timeout", self.drain_timeout, &(Duration::ZERO..=Duration::from_mins(10)))?;
        duration("session.token_expiring_notice", self.token_expiring_notice, &(Duration::ZERO..=hour))?;
        duration("session.slow_consumer_after", self.slow_consumer_after, &(brief..=hour))?;
        number("session.rooms_per_session", self.rooms_per_session, &(1..=10_000))?;
        number("session.mailbox_bytes", self.mailbox_bytes, &(16 * 1024..=64 << 20))
    }
}
