//! What was written past sessions' tasks, until whoever keeps figures asks.

use std::sync::atomic::{AtomicU64, Ordering};

/// Frames that were written, and their bytes.
#[derive(Debug, Default)]
pub struct Tally {
    frames: AtomicU64,
    bytes: AtomicU64,
}

impl Tally {
    /// So many more, of a frame of so many bytes.
    pub(super) fn add(&self, count: usize, bytes: usize) {
        if count > 0 {
            self.frames.fetch_add(count as u64, Ordering::Relaxed);
            self.bytes.fetch_add((count * bytes) as u64, Ordering::Relaxed);
        }
    }

    /// Frames and bytes since the last call.
    pub fn take(&self) -> (u64, u64) {
        (self.frames.swap(0, Ordering::Relaxed), self.bytes.swap(0, Ordering::Relaxed))
    }
}
