//! Whether there may be something to read. A task has one waker for all that it waits for, so a delivery would have the reader
//! look as well, through all that tungstenite keeps between itself and the socket: memory that nothing else of a delivery needs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use futures::task::AtomicWaker;

/// A reader that is polled only where it may get something, or has not been polled since it was told to wait.
pub(super) struct Readable {
    raised: Arc<Raised>,
    /// What the reader is polled with.
    waker: Waker,
}

struct Raised {
    flag: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Raised {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.flag.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl Readable {
    /// Nobody has looked yet.
    pub(super) fn new() -> Self {
        let raised = Arc::new(Raised { flag: AtomicBool::new(true), task: AtomicWaker::new() });
        Self { waker: Waker::from(Arc::clone(&raised)), raised }
    }

    /// Whether the reader is to be polled. What comes from now on is said anew, to the task of `cx`.
    pub(super) fn take(&self, cx: &Context<'_>) -> bool {
        // Most often there is nothing, and then nothing is written.
        if !self.raised.flag.load(Ordering::Acquire) {
            return false;
        }
        self.raised.task.register(cx.waker());
        self.raised.flag.store(false, Ordering::Release);
        true
    }

    /// What the reader is to be polled with.
    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Task(AtomicBool);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_reader_is_polled_once_and_then_when_it_was_woken() {
        let task = Arc::new(Task::default());
        let waker = Waker::from(Arc::clone(&task));
        let cx = Context::from_waker(&waker);
        let readable = Readable::new();
        assert_eq!([readable.take(&cx), readable.take(&cx)], [true, false]);
        waker.wake_by_ref();
        assert!(!readable.take(&cx), "the task was woken for something else");
        task.0.store(false, Ordering::SeqCst);
        readable.waker().wake_by_ref();
        assert!(task.0.load(Ordering::SeqCst), "its task is woken");
        assert_eq!([readable.take(&cx), readable.take(&cx)], [true, false]);
    }
}
