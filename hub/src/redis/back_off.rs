//! Waits between attempts to connect.

use std::time::Duration;

use tokio::time::Instant;

use super::options::Options;
use crate::domain::time::jittered;

/// Waits after failures: a random part of a bound that doubles.
#[derive(Default)]
pub(super) struct BackOff {
    bound: Option<Duration>,
}

impl BackOff {
    /// When the next attempt is made.
    pub(super) fn next(&mut self, options: &Options) -> Instant {
        let bound = self.bound.map_or(options.back_off, |before| (before * 2).min(options.back_off_most));
        self.bound = Some(bound);
        Instant::now() + jittered(bound)
    }
}
