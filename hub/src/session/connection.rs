//! The connection under a stream, as far as a session must reach it: to close it when its client does not let the
//! stream end.
//!
//! HTTP/2 does not ask for the body of a stream whose window is shut, so a session cannot end such a stream itself.
//! Where a client neither says hello in time nor takes the last words of a session that was ended, the whole
//! connection goes; what else is on it resumes. A session that was ended holds nothing but its last frames, so it may
//! stay where others on its connection move: those may be other users', behind one proxy.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

use futures::task::AtomicWaker;
use parking_lot::Mutex;

use crate::domain::time::Moment;

/// Closes a connection from outside. Cheap to clone; the transport looks at it when it reads and writes.
#[derive(Clone, Debug, Default)]
pub struct Closer(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    closed: AtomicBool,
    settled: AtomicBool,
    /// When a stream on it last moved; 0 where none has.
    last_moved: AtomicU64,
    waker: AtomicWaker,
}

impl Closer {
    /// Closes it; again is harmless.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
        self.0.waker.wake();
    }

    /// Somebody whom the hub knows uses it.
    pub fn settle(&self) {
        self.0.settled.store(true, Ordering::SeqCst);
    }

    /// Whether somebody whom the hub knows uses it, or did.
    pub fn is_settled(&self) -> bool {
        self.0.settled.load(Ordering::SeqCst)
    }

    /// A stream on it moved: its transport asked for what there is to write, or a call came in.
    pub fn moved(&self, now: Moment) {
        self.0.last_moved.fetch_max(now.0, Ordering::Relaxed);
    }

    /// Whether a stream on it has moved less than `lately` before `now`.
    pub(super) fn has_moved_within(&self, lately: Duration, now: Moment) -> bool {
        let moved = self.0.last_moved.load(Ordering::Relaxed);
        moved > 0 && now.since(Moment(moved)) < lately
    }

    /// Whether it is to be closed. `waker` is woken when that changes.
    pub fn is_closed(&self, waker: &Waker) -> bool {
        self.0.waker.register(waker);
        self.0.closed.load(Ordering::SeqCst)
    }
}

/// A stream whose connection is closed at `deadline` unless `settled` is raised before.
struct Stream {
    deadline: Moment,
    settled: Arc<AtomicBool>,
    closer: Closer,
}

impl Stream {
    /// Whether it is no longer waited for, one way or the other.
    fn is_due(&self, now: Moment) -> bool {
        self.deadline <= now || self.settled.load(Ordering::SeqCst)
    }
}

/// Streams of one runtime that must settle in time, oldest first: all of a list have the same time for it.
#[derive(Default)]
pub(super) struct Waiting(Mutex<VecDeque<Stream>>);

impl Waiting {
    /// Notes a stream whose connection is closed at `deadline` unless `settled` was raised.
    pub(super) fn add(&self, deadline: Moment, settled: Arc<AtomicBool>, closer: Closer) {
        self.0.lock().push_back(Stream { deadline, settled, closer });
    }

    /// Closes what is overdue, and forgets what has settled from the front on. Where streams on a connection moved within
    /// `spared`, it stays, and is looked at again after as long.
    pub(super) fn sweep(&self, now: Moment, spared: Option<Duration>) {
        let mut waiting = self.0.lock();
        while waiting.front().is_some_and(|stream| stream.is_due(now))
            && let Some(stream) = waiting.pop_front()
        {
            if stream.settled.load(Ordering::SeqCst) {
                continue;
            }
            match spared {
                Some(lately) if stream.closer.has_moved_within(lately, now) => {
                    waiting.push_back(Stream { deadline: now.plus(lately), ..stream });
                }
                _ => stream.closer.close(),
            }
        }
        if waiting.capacity() > 64 {
            waiting.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATELY: Duration = Duration::from_secs(60);

    fn is_closed(closer: &Closer) -> bool {
        closer.is_closed(Waker::noop())
    }

    #[test]
    fn a_stream_that_stands_still_takes_no_others_with_it() {
        let (waiting, closer) = (Waiting::default(), Closer::default());
        waiting.add(Moment(95_000), Arc::default(), closer.clone());
        closer.moved(Moment(80_000));
        waiting.sweep(Moment(95_000), Some(LATELY));
        assert!(!is_closed(&closer), "another one moved");
        waiting.sweep(Moment(154_999), Some(LATELY));
        assert!(!is_closed(&closer), "it is not looked at before");
        waiting.sweep(Moment(155_000), Some(LATELY));
        assert!(is_closed(&closer), "nobody else moves");
        assert!(waiting.0.lock().is_empty());
    }

    #[test]
    fn without_others_the_connection_is_closed_in_time() {
        for (moved, spared) in [(None, Some(LATELY)), (Some(35_000), Some(LATELY)), (Some(94_000), None)] {
            let (waiting, closer) = (Waiting::default(), Closer::default());
            waiting.add(Moment(95_000), Arc::default(), closer.clone());
            if let Some(moved) = moved {
                closer.moved(Moment(moved));
            }
            waiting.sweep(Moment(94_999), spared);
            assert!(!is_closed(&closer));
            waiting.sweep(Moment(95_000), spared);
            assert!(is_closed(&closer), "{moved:?}");
        }
    }
}
