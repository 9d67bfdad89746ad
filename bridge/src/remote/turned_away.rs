//! Whom a bridge turned away by itself, in the log of a bridge that is apart from its hubs: their audit logs are elsewhere, and
//! their word for it would cost a call each.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use carillon_proto::port::TurnedAway;
use parking_lot::Mutex;

/// A line is written at most this often, however many are turned away.
const INTERVAL: Duration = Duration::from_secs(1);

/// How many were turned away since the last line.
#[derive(Default)]
pub(super) struct Telling {
    counts: [AtomicU64; TurnedAway::ALL.len()],
    last: Mutex<Option<Instant>>,
}

impl Telling {
    /// Counts one, and writes a line of all that were counted where it is time for one. No line says who it was.
    pub(super) fn tell(&self, why: TurnedAway) {
        if let Some([origin, too_many, handshake]) = self.count(why, Instant::now()) {
            tracing::info!(origin, too_many, handshake, "browsers were turned away");
        }
    }

    /// Counts one; the counts of a line where it is time for one, in the order of [`TurnedAway::ALL`].
    fn count(&self, why: TurnedAway, now: Instant) -> Option<[u64; TurnedAway::ALL.len()]> {
        if let Some(count) = self.counts.get(why as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let mut last = self.last.lock();
        if last.is_some_and(|last| now.duration_since(last) < INTERVAL) {
            return None;
        }
        *last = Some(now);
        Some(std::array::from_fn(|index| {
            self.counts.get(index).map_or(0, |count| count.swap(0, Ordering::Relaxed))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_second_says_how_many_were_turned_away_and_why() {
        let telling = Telling::default();
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        assert_eq!(telling.count(TurnedAway::Origin, at(0)), Some([1, 0, 0]));
        for millis in 1..500 {
            assert_eq!(telling.count(TurnedAway::TooMany, at(millis)), None);
        }
        assert_eq!(telling.count(TurnedAway::Handshake, at(999)), None);
        assert_eq!(telling.count(TurnedAway::Origin, at(1_000)), Some([1, 499, 1]));
        assert_eq!(telling.count(TurnedAway::Origin, at(2_000)), Some([1, 0, 0]));
    }
}
