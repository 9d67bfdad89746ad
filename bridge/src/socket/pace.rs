//! How often a client may send what only keeps the bridge busy: pings of the WebSocket's own, and pongs.

use std::time::Duration;

use tokio::time::Instant;

/// One more may come after each of these.
const INTERVAL: Duration = Duration::from_millis(100);
/// So many may come at once.
const AT_ONCE: u32 = 300;

/// A bucket of [`AT_ONCE`] that fills by one each [`INTERVAL`].
#[derive(Debug)]
pub(super) struct Pace {
    /// When the bucket is full again.
    full: Instant,
}

impl Pace {
    /// A full bucket.
    pub(super) fn new(now: Instant) -> Self {
        Self { full: now }
    }

    /// Takes one. Whether there was one.
    pub(super) fn admit(&mut self, now: Instant) -> bool {
        self.full = self.full.max(now) + INTERVAL;
        self.full - now <= INTERVAL * AT_ONCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_a_second_may_come_for_ever_and_many_at_once() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        for _ in 0..10_000 {
            assert!(pace.admit(now));
            now += INTERVAL;
        }
        assert!((0..AT_ONCE).all(|_| pace.admit(now)));
        assert!(!pace.admit(now));
    }

    #[test]
    fn who_sends_more_than_that_for_a_while_is_found() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        let admitted = (0..10_000).take_while(|_| {
            now += INTERVAL / 2;
            pace.admit(now)
        });
        assert!((500..700).contains(&admitted.count()));
    }
}
