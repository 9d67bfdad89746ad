//! What is asked over a link's connections, counted by whoever asks: atomics that are read when somebody looks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis::{ErrorKind, RedisResult};

/// What was asked over a link so far.
#[derive(Debug)]
pub struct Traffic {
    /// What times are counted from.
    began: Instant,
    in_flight: AtomicU64,
    answered: AtomicU64,
    refused: AtomicU64,
    timed_out: AtomicU64,
    broken: AtomicU64,
    waited_micros: AtomicU64,
    /// When a server answered last, in microseconds after it began; 0 where none has.
    answered_at: AtomicU64,
}

/// Figures of a link's connections. What is asked is a command, a script, or several commands in one piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkFigures {
    /// Servers that there are.
    pub servers: u64,
    /// Those that are connected.
    pub connected: u64,
    /// Connections that were opened again after they were lost.
    pub reopened: u64,
    /// What waits for an answer now.
    pub in_flight: u64,
    /// What was answered.
    pub answered: u64,
    /// What was answered with an error.
    pub refused: u64,
    /// What was not answered in time.
    pub timed_out: u64,
    /// What was not answered as the connection broke.
    pub broken: u64,
    /// How long was waited for all answers that came, refusals too.
    pub waited: Duration,
    /// How long ago a server answered last; `None` where none ever has.
    pub answered_ago: Option<Duration>,
}

/// Something that is asked, until it is answered or nobody waits any longer.
struct UnderWay<'a>(&'a Traffic);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Traffic {
    fn default() -> Self {
        let zero = AtomicU64::default;
        Self {
            began: Instant::now(),
            in_flight: zero(),
            answered: zero(),
            refused: zero(),
            timed_out: zero(),
            broken: zero(),
            waited_micros: zero(),
            answered_at: zero(),
        }
    }
}

impl Traffic {
    /// Waits for what is asked, and counts it.
    pub async fn count<T>(&self, asking: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let under_way = UnderWay(self);
        let asked = self.now();
        let answer = asking.await;
        drop(under_way);
        let (counter, is_answer) = match &answer {
            Ok(_) => (&self.answered, true),
            Err(error) if error.is_timeout() => (&self.timed_out, false),
            Err(error) if matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) => {
                (&self.refused, true)
            }
            Err(_) => (&self.broken, false),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if is_answer {
            let now = self.now();
            self.waited_micros.fetch_add(now.saturating_sub(asked), Ordering::Relaxed);
            self.answered_at.fetch_max(now.max(1), Ordering::Relaxed);
        }
        answer
    }

    /// What was counted; of the connections nothing is known here.
    pub fn figures(&self) -> LinkFigures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let answered_at = Some(read(&self.answered_at)).filter(|at| *at > 0);
        LinkFigures {
            in_flight: read(&self.in_flight),
            answered: read(&self.answered),
            refused: read(&self.refused),
            timed_out: read(&self.timed_out),
            broken: read(&self.broken),
            waited: Duration::from_micros(read(&self.waited_micros)),
            answered_ago: answered_at.map(|at| Duration::from_micros(self.now().saturating_sub(at))),
            ..LinkFigures::default()
        }
    }

    /// Microseconds since it began.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::io;

    use futures::FutureExt;
    use redis::{RedisError, ServerErrorKind};

    use super::*;

    fn after(traffic: &Traffic, error: RedisError) -> LinkFigures {
        assert!(
            traffic.count(ready(Err::<(), _>(error))).now_or_never().is_some_and(|answer| answer.is_err())
        );
        traffic.figures()
    }

    #[test]
    fn what_becomes_of_it_is_counted() {
        let traffic = Traffic::default();
        assert_eq!(traffic.figures(), LinkFigures::default());
        let figures = after(&traffic, RedisError::from(io::Error::from(io::ErrorKind::TimedOut)));
        assert_eq!((figures.timed_out, figures.answered_ago), (1, None), "that is no answer");
        let figures = after(&traffic, RedisError::from(io::Error::from(io::ErrorKind::BrokenPipe)));
        assert_eq!((figures.broken, figures.answered_ago), (1, None));
        let figures = after(&traffic, RedisError::from((ServerErrorKind::NoPerm.into(), "no")));
        assert_eq!((figures.refused, figures.answered_ago.is_some()), (1, true), "it is there");
        assert!(traffic.count(ready(Ok(()))).now_or_never().is_some());
        assert_eq!(traffic.figures().answered, 1);
    }

    #[test]
    fn what_nobody_waits_for_any_longer_is_not_under_way() {
        let traffic = Traffic::default();
        let mut asking = Box::pin(traffic.count(pending::<RedisResult<()>>()));
        assert!(asking.as_mut().now_or_never().is_none());
        assert_eq!(traffic.figures().in_flight, 1);
        drop(asking);
        assert_eq!(traffic.figures(), LinkFigures::default());
    }
}
