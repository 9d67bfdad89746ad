//! A session that rests: all that there was to say is written, and nothing is under way. What comes next is then all there is, and
//! goes out on the thread of the session, past the task that would be woken for it, and the memory that this would touch.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use carillon_proto::Frame;
use carillon_proto::shortcut::{Shortcut, Written};

/// Whether a session rests, and the way past its task, where its front offers one.
#[derive(Default)]
pub(super) struct Rest {
    rests: AtomicBool,
    /// The last turn of the fan-out in which something was written past the task.
    written_in: AtomicU64,
    shortcut: OnceLock<Arc<dyn Shortcut>>,
}

impl Rest {
    /// There is a way.
    pub(super) fn offer(&self, shortcut: Arc<dyn Shortcut>) {
        // A session has one front.
        let _ = self.shortcut.set(shortcut);
    }

    /// The session rests from now on, unless something waits for it by then, or nothing may come any more.
    pub(super) fn begin(&self, may_not: impl Fn() -> bool) {
        if self.shortcut.get().is_none() {
            return;
        }
        self.rests.store(true, Ordering::SeqCst);
        // Whatever came meanwhile has ended a rest that had not begun.
        if may_not() {
            self.end();
        }
    }

    /// It does not, or something waits for it.
    pub(super) fn end(&self) {
        if self.is_on() {
            self.rests.store(false, Ordering::SeqCst);
        }
    }

    /// Whether it does.
    pub(super) fn is_on(&self) -> bool {
        self.rests.load(Ordering::SeqCst)
    }

    /// Writes a frame past the session's task, once in a turn. Where not all of it is written the rest is over; so it is where the
    /// front fails, which then fails in its own task too, and not in that of everybody.
    pub(super) fn write(&self, frame: &Frame, turn: u64) -> Written {
        let is_first = self.written_in.load(Ordering::Relaxed) != turn;
        let written = match self.shortcut.get() {
            Some(shortcut) if is_first && self.is_on() => {
                let written = catch_unwind(AssertUnwindSafe(|| shortcut.write(frame)));
                written.unwrap_or_else(|_| {
                    tracing::error!("a front failed while it was written to");
                    Written::Nothing
                })
            }
            _ => Written::Nothing,
        };
        self.written_in.store(turn, Ordering::Relaxed);
        if written != Written::All {
            self.end();
        }
        written
    }
}

#[cfg(test)]
mod tests;
