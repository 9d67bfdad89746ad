//! A way past a front's task, for a hub in the same process.

use crate::frame::Frame;

/// What came of writing a frame past a front's task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// All of it was written.
    All,
    /// The front has it, and is to be woken to write the rest.
    Begun,
    /// Nothing was, and the front does not have it.
    Nothing,
}

/// A way to a client past its front's task: a frame that is all there is to say goes out without waking that.
pub trait Shortcut: Send + Sync {
    /// Writes a frame, where the front has written all before, and has nothing of its own to say. Never waits. To be called
    /// between two polls of the stream, where the last has found nothing to hand over.
    fn write(&self, frame: &Frame) -> Written;
}
