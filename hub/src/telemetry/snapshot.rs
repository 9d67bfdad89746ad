//! What was counted up to a moment, and what came between two.

use std::time::Instant;

use super::metrics::Metrics;
use crate::domain::error::ErrorCode;

/// The codes that a limit refuses with.
const LIMITS: [ErrorCode; 4] = [
    ErrorCode::RateLimited,
    ErrorCode::ConnectionLimitExceeded,
    ErrorCode::TooManyConnections,
    ErrorCode::RoomLimitExceeded,
];

/// Counts up to a moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    taken: Instant,
    messages: u64,
    commands: u64,
    deliveries: u64,
    limits_hit: u64,
    slow_consumers: u64,
    /// Upper bounds in seconds, each with the commands that took no longer.
    latency: Vec<(f64, u64)>,
}

/// What came between two snapshots. Rates are per second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rates {
    /// Messages accepted.
    pub messages: f64,
    /// Commands answered, refused ones too.
    pub commands: f64,
    /// Frames handed to sessions.
    pub deliveries: f64,
    /// Commands refused because of a limit: how many.
    pub limits_hit: u64,
    /// Sessions ended because they read too slowly: how many.
    pub slow_consumers: u64,
    /// Commands' latency at 50, 95 and 99 %, seconds: bounds of buckets, infinite past the last. `None` where there were no
    /// commands.
    pub latency: Option<[f64; 3]>,
}

impl Metrics {
    /// Counts up to now.
    pub fn snapshot(&self) -> Snapshot {
        let counters = self.counters();
        let mut snapshot = Snapshot {
            taken: Instant::now(),
            messages: 0,
            commands: 0,
            deliveries: counters.deliveries.total(),
            limits_hit: 0,
            slow_consumers: counters.slow_consumers.total(),
            latency: Vec::new(),
        };
        for (name, of) in self.commands().all() {
            for (status, count) in of.statuses() {
                snapshot.commands += count;
                if status == "ok" && name == "message_send" {
                    snapshot.messages += count;
                }
                if LIMITS.iter().any(|code| code.name() == status) {
                    snapshot.limits_hit += count;
                }
            }
            let latency = of.latency.cumulative();
            if snapshot.latency.is_empty() {
                snapshot.latency = latency;
            } else {
                for ((_, sum), (_, count)) in snapshot.latency.iter_mut().zip(latency) {
                    *sum += count;
                }
            }
        }
        snapshot
    }
}

impl Snapshot {
    /// What came since an earlier one.
    pub fn since(&self, before: &Self) -> Rates {
        let seconds = self.taken.duration_since(before.taken).as_secs_f64().max(1e-3);
        let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        Rates {
            messages: rate(self.messages, before.messages),
            commands: rate(self.commands, before.commands),
            deliveries: rate(self.deliveries, before.deliveries),
            limits_hit: self.limits_hit.saturating_sub(before.limits_hit),
            slow_consumers: self.slow_consumers.saturating_sub(before.slow_consumers),
            latency: self.percentiles_since(before),
        }
    }

    fn percentiles_since(&self, before: &Self) -> Option<[f64; 3]> {
        let then = |index: usize| before.latency.get(index).map_or(0, |(_, count)| *count);
        let between: Vec<(f64, u64)> = self
            .latency
            .iter()
            .enumerate()
            .map(|(index, (bound, count))| (*bound, count.saturating_sub(then(index))))
            .collect();
        let total = between.last().map_or(0, |(_, count)| *count);
        if total == 0 {
            return None;
        }
        let bound = |share: f64| {
            let wanted = (total as f64 * share).ceil() as u64;
            between.iter().find(|(_, count)| *count >= wanted).map_or(f64::INFINITY, |(bound, _)| *bound)
        };
        Some([bound(0.50), bound(0.95), bound(0.99)])
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_what_came_between_counts() {
        let metrics = Metrics::new();
        metrics.commands().record("message_send", Ok(()), Duration::from_secs(4));
        let mut before = metrics.snapshot();
        before.taken -= Duration::from_secs(2);
        for _ in 0..98 {
            metrics.commands().record("message_send", Ok(()), Duration::from_micros(700));
        }
        metrics.commands().record("join", Err(ErrorCode::RateLimited), Duration::from_millis(30));
        metrics.commands().record("join", Err(ErrorCode::NotFound), Duration::from_millis(150));
        metrics.counters().deliveries.add(1_000);
        metrics.counters().slow_consumers.increment();
        let rates = metrics.snapshot().since(&before);
        assert!(
            (48.0..=49.0).contains(&rates.messages) && (49.0..=50.0).contains(&rates.commands),
            "{rates:?}"
        );
        assert!((490.0..=500.0).contains(&rates.deliveries));
        assert_eq!((rates.limits_hit, rates.slow_consumers), (1, 1));
        assert_eq!(rates.latency, Some([0.001, 0.001, 0.05]));
    }

    #[test]
    fn where_nothing_happened_there_is_no_latency() {
        let metrics = Metrics::new();
        assert_eq!(metrics.snapshot().since(&metrics.snapshot()), Rates::default());
    }
}
