//! A line that others can cause as often as they like, and that must not fill the log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::domain::time::Moment;

/// Such a line is written at most this often.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// Says when a line may be written. What it leaves out is counted, and said with the next one.
#[derive(Debug, Default)]
pub struct Seldom {
    /// When the last one was written; 0 where none was.
    last: AtomicU64,
    left_out: AtomicU64,
}

impl Seldom {
    /// Whether the line may be written at `now`: how many were left out since the last one, or `None` where this is
    /// one more.
    pub fn admit(&self, now: Moment) -> Option<u64> {
        self.admit_every(INTERVAL, now)
    }

    /// The same for one that is written at most once in another while.
    pub fn admit_every(&self, interval: Duration, now: Moment) -> Option<u64> {
        let last = self.last.load(Ordering::Relaxed);
        let due = last == 0 || now.since(Moment(last)) >= interval;
        let mine =
            due && self.last.compare_exchange(last, now.0, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if mine {
            Some(self.left_out.swap(0, Ordering::Relaxed))
        } else {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_second_says_how_many_were_left_out() {
        let seldom = Seldom::default();
        let admitted: Vec<_> = (0..40).map(|n| seldom.admit(Moment(1 + n * 100))).collect();
        for (n, admitted) in admitted.into_iter().enumerate() {
            let expected = match n {
                0 => Some(0),
                _ if n % 10 == 0 => Some(9),
                _ => None,
            };
            assert_eq!(admitted, expected, "{n}");
        }
    }

    #[test]
    fn of_many_at_once_one_is_written_and_all_are_counted() {
        let seldom = Seldom::default();
        let written = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| (0..1_000).filter_map(|_| seldom.admit(Moment(5))).count()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        assert_eq!(written, 1);
        assert_eq!(seldom.admit(Moment(5_000)), Some(7_999));
    }
}
