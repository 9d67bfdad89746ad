//! The connection under a stream, as far as a session must reach it: to close it when its client does not let the
//! stream end.
//!
//! HTTP/2 does not ask for the body of a stream whose window is shut, so a session cannot end such a stream itself.
//! Where a client neither says hello in time nor takes the last words of a session that was ended, the whole
//! connection goes; what else is on it resumes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

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

    /// Whether it is to be closed. `waker` is woken when that changes.
    pub fn is_closed(&self, waker: &Waker) -> bool {
        self.0.waker.register(waker);
        self.0.closed.load(Ordering::SeqCst)
    }
}

/// Streams of one runtime that must settle in time, oldest first: all of a list have the same time for it.
#[derive(Default)]
pub(super) struct Waiting(Mutex<VecDeque<(Moment, Arc<AtomicBool>, Closer)>>);

impl Waiting {
    /// Notes a stream whose connection is closed at `deadline` unless `settled` was raised.
    pub(super) fn add(&self, deadline: Moment, settled: Arc<AtomicBool>, closer: Closer) {
        self.0.lock().push_back((deadline, settled, closer));
    }

    /// Closes what is overdue, and forgets what has settled from the front on.
    pub(super) fn sweep(&self, now: Moment) {
        let mut waiting = self.0.lock();
        while let Some((deadline, settled, closer)) = waiting.front() {
            let settled = settled.load(Ordering::SeqCst);
            if !settled && *deadline > now {
                return;
            }
            if !settled {
                closer.close();
            }
            waiting.pop_front();
        }
        if waiting.capacity() > 64 {
            waiting.shrink_to_fit();
        }
    }
}
