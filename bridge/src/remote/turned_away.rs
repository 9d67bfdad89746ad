//! Whom a bridge turned away by itself, in the log of a bridge that is apart from its hubs: their audit logs are elsewhere, and
//! their word for it would cost a call each.

use std::sync::Arc;
use std::time::Duration;

use carillon_proto::port::TurnedAway;
use parking_lot::Mutex;

/// A line is written at most this often, however many are turned away.
const INTERVAL: Duration = Duration::from_secs(1);

/// How many, in the order of [`TurnedAway::ALL`].
type Counts = [u64; TurnedAway::ALL.len()];

/// What is not told yet. One for all workers of a process.
#[derive(Debug, Default)]
pub(super) struct Telling(Mutex<Untold>);

impl Telling {
    /// Counts one: the first in a line at once, those that follow within a second in one after it. No line says who it was.
    pub(super) fn tell(self: &Arc<Self>, why: TurnedAway) {
        let Some(counts) = self.0.lock().count(why) else { return };
        write(counts);
        let telling = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(INTERVAL).await;
                let Some(counts) = telling.0.lock().rest() else { return };
                write(counts);
            }
        });
    }
}

impl Drop for Telling {
    /// The process stops: so do those that would have told the rest.
    fn drop(&mut self) {
        if let Some(counts) = self.0.get_mut().rest() {
            write(counts);
        }
    }
}

fn write([origin, too_many, handshake]: Counts) {
    tracing::info!(origin, too_many, handshake, "browsers were turned away");
}

/// Those that were counted since the last line.
#[derive(Debug, Default)]
struct Untold {
    counts: Counts,
    /// Whether [`Untold::rest`] will be asked for.
    is_awaited: bool,
}

impl Untold {
    /// Counts one. What to write at once: then the rest is to be asked for after each interval, until there is none.
    fn count(&mut self, why: TurnedAway) -> Option<Counts> {
        if let Some(count) = self.counts.get_mut(why as usize) {
            *count += 1;
        }
        let is_first = !std::mem::replace(&mut self.is_awaited, true);
        is_first.then(|| std::mem::take(&mut self.counts))
    }

    /// What has come since the last line; `None` where nothing has, and nobody asks again.
    fn rest(&mut self) -> Option<Counts> {
        let counts = std::mem::take(&mut self.counts);
        self.is_awaited = counts.iter().any(|count| *count > 0);
        self.is_awaited.then_some(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_an_interval_says_how_many_were_turned_away_and_why() {
        let mut untold = Untold::default();
        assert_eq!(untold.count(TurnedAway::Origin), Some([1, 0, 0]));
        for _ in 0..499 {
            assert_eq!(untold.count(TurnedAway::TooMany), None);
        }
        assert_eq!(untold.count(TurnedAway::Handshake), None);
        assert_eq!(untold.rest(), Some([0, 499, 1]), "the rest waits for nobody else to be turned away");
        assert_eq!(untold.count(TurnedAway::Origin), None);
        assert_eq!(untold.rest(), Some([1, 0, 0]));
        assert_eq!(untold.rest(), None);
        assert_eq!(
            untold.count(TurnedAway::Origin),
            Some([1, 0, 0]),
            "after a quiet while one is told at once"
        );
    }

    /// An interval passes, and whoever waited for that goes on.
    async fn passes() {
        tokio::task::yield_now().await;
        tokio::time::advance(INTERVAL + Duration::from_millis(1)).await;
        tokio::task::yield_now().await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_of_a_burst_is_told_after_a_second() {
        let telling = Arc::new(Telling::default());
        for _ in 0..3 {
            telling.tell(TurnedAway::Origin);
        }
        assert_eq!(telling.0.lock().counts, [2, 0, 0]);
        passes().await;
        assert_eq!(telling.0.lock().counts, [0, 0, 0]);
        assert!(telling.0.lock().is_awaited, "there was a line: the next is a second later");
        passes().await;
        assert!(!telling.0.lock().is_awaited);
    }
}
