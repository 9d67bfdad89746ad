//! The stream and the connection under a session, as far as it must reach them: to break them off when its client does
//! not let the stream end.
//!
//! HTTP/2 does not ask for the body of a stream whose window is shut, so a session cannot end such a stream itself.
//! Where a client neither says hello in time nor takes the last words of a session that was ended, the stream is broken
//! off. Others on its connection may be other users', behind one proxy, so they go on; where none of them moves either,
//! the whole connection goes.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use futures::future::AbortHandle;
use futures::task::AtomicWaker;
use parking_lot::Mutex;

use crate::domain::error::Refusal;
use crate::domain::names::UserKey;
use crate::domain::time::Moment;

use super::owners::Owned;

/// Closes a connection from outside, or breaks off one stream of it. Cheap to clone; the transport looks at it when it
/// reads and writes.
#[derive(Clone, Debug, Default)]
pub struct Closer {
    connection: Arc<Inner>,
    /// What breaks off the stream that this clone is for; `None` where it is for the connection, or has it for itself.
    stream: Option<AbortHandle>,
}

#[derive(Debug, Default)]
struct Inner {
    closed: AtomicBool,
    settled: AtomicBool,
    /// When a stream on it last moved; 0 where none has.
    last_moved: AtomicU64,
    /// Whose it is, where that is counted.
    owned: Option<Arc<Owned>>,
    waker: AtomicWaker,
}

impl Closer {
    /// That of a connection which is counted.
    pub fn of_connection(owned: Arc<Owned>) -> Self {
        Self { connection: Arc::new(Inner { owned: Some(owned), ..Inner::default() }), stream: None }
    }

    /// A user has shown who they are on it. `TOO_MANY_CONNECTIONS` where that is one too many.
    pub fn is_of(&self, user: &UserKey) -> Result<(), Refusal> {
        self.connection.owned.as_ref().map_or(Ok(()), |owned| owned.is_of(user))
    }

    /// The same connection's, for one of its streams.
    #[must_use]
    pub fn of_stream(&self, stream: Option<AbortHandle>) -> Self {
        Self { connection: Arc::clone(&self.connection), stream }
    }

    /// Ends what its client does not let end by itself: the stream alone where others on its connection have moved less
    /// than `lately` before `now`, else the connection. The stream itself must not have moved for as long.
    pub fn break_off(&self, lately: Duration, now: Moment) {
        match &self.stream {
            Some(stream) if self.has_moved_within(lately, now) => stream.abort(),
            _ => self.close(),
        }
    }

    /// Ends the stream at once, whatever its client takes; the connection where it has that for itself.
    pub fn cut(&self) {
        match &self.stream {
            Some(stream) => stream.abort(),
            None => self.close(),
        }
    }

    /// Closes the connection; again is harmless.
    pub fn close(&self) {
        self.connection.closed.store(true, Ordering::SeqCst);
        self.connection.waker.wake();
    }

    /// Somebody whom the hub knows uses it.
    pub fn settle(&self) {
        self.connection.settled.store(true, Ordering::SeqCst);
    }

    /// Whether somebody whom the hub knows uses it, or did.
    pub fn is_settled(&self) -> bool {
        self.connection.settled.load(Ordering::SeqCst)
    }

    /// A stream on it moved: its transport asked for what there is to write, or a call came in.
    pub fn moved(&self, now: Moment) {
        self.connection.last_moved.fetch_max(now.0, Ordering::Relaxed);
    }

    /// Whether a stream on it has moved less than `lately` before `now`.
    pub(super) fn has_moved_within(&self, lately: Duration, now: Moment) -> bool {
        let moved = self.connection.last_moved.load(Ordering::Relaxed);
        moved > 0 && now.since(Moment(moved)) < lately
    }

    /// Ends when it is to be closed.
    pub async fn closed(&self) {
        let is_closed = |waker: &Waker| if self.is_closed(waker) { Poll::Ready(()) } else { Poll::Pending };
        poll_fn(|cx| is_closed(cx.waker())).await;
    }

    /// Whether it is to be closed. `waker` is woken when that changes.
    pub fn is_closed(&self, waker: &Waker) -> bool {
        self.connection.waker.register(waker);
        self.connection.closed.load(Ordering::SeqCst)
    }
}

/// A stream that is broken off at `deadline` unless `settled` is raised before.
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
    /// Notes a stream that is broken off at `deadline` unless `settled` was raised.
    pub(super) fn add(&self, deadline: Moment, settled: Arc<AtomicBool>, closer: Closer) {
        self.0.lock().push_back(Stream { deadline, settled, closer });
    }

    /// Breaks off what is overdue, and forgets what has settled from the front on. Where other streams on a connection
    /// moved within `lately`, it stays. A stream in the list has not moved for as long when its deadline comes.
    pub(super) fn sweep(&self, now: Moment, lately: Duration) {
        let mut waiting = self.0.lock();
        while waiting.front().is_some_and(|stream| stream.is_due(now))
            && let Some(stream) = waiting.pop_front()
        {
            if !stream.settled.load(Ordering::SeqCst) {
                stream.closer.break_off(lately, now);
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

    /// A connection, and a stream on it that must settle by 95 s.
    fn stream(waiting: &Waiting) -> (Closer, AbortHandle) {
        let (connection, (stream, _)) = (Closer::default(), AbortHandle::new_pair());
        waiting.add(Moment(95_000), Arc::default(), connection.of_stream(Some(stream.clone())));
        (connection, stream)
    }

    #[test]
    fn a_stream_that_stands_still_takes_no_others_with_it() {
        let waiting = Waiting::default();
        let (connection, stream) = stream(&waiting);
        connection.moved(Moment(35_001));
        waiting.sweep(Moment(94_999), LATELY);
        assert!(!stream.is_aborted(), "it has its time");
        waiting.sweep(Moment(95_000), LATELY);
        assert!(stream.is_aborted(), "it alone is broken off");
        assert!(!is_closed(&connection), "another one moved");
        assert!(waiting.0.lock().is_empty());
    }

    #[test]
    fn without_others_the_connection_is_closed_in_time() {
        for moved in [None, Some(35_000)] {
            let waiting = Waiting::default();
            let (connection, stream) = stream(&waiting);
            if let Some(moved) = moved {
                connection.moved(Moment(moved));
            }
            waiting.sweep(Moment(94_999), LATELY);
            assert!(!is_closed(&connection));
            waiting.sweep(Moment(95_000), LATELY);
            assert!(is_closed(&connection) && !stream.is_aborted(), "{moved:?}");
        }
    }

    #[test]
    fn who_has_a_connection_alone_loses_it() {
        let (waiting, connection) = (Waiting::default(), Closer::default());
        waiting.add(Moment(95_000), Arc::default(), connection.clone());
        connection.moved(Moment(94_000));
        waiting.sweep(Moment(95_000), LATELY);
        assert!(is_closed(&connection));
    }

    #[test]
    fn what_has_settled_is_let_be() {
        let (waiting, connection, settled) = (Waiting::default(), Closer::default(), Arc::default());
        waiting.add(Moment(95_000), Arc::clone(&settled), connection.clone());
        settled.store(true, Ordering::SeqCst);
        waiting.sweep(Moment(95_000), LATELY);
        assert!(!is_closed(&connection) && waiting.0.lock().is_empty());
    }
}
