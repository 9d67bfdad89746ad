//! Waits between attempts to connect.

use std::time::Duration;

use tokio::time::Instant;

use super::options::Options;

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

/// A random part of a wait, so that not all come back at once.
pub fn jittered(wait: Duration) -> Duration {
    let mut random = [0; 4];
    // Without randomness the whole wait does.
    let part = getrandom::fill(&mut random).map_or(u32::MAX, |()| u32::from_le_bytes(random));
    wait.mul_f64(f64::from(part) / f64::from(u32::MAX))
}
