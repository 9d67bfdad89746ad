//! What is written past sessions' tasks: in one turn of a runtime's fan-out, and in all of them.

use std::sync::atomic::{AtomicU64, Ordering};

/// A turn of a runtime's fan-out: from when it goes on to when it lets others go on. A session is written to past its task once
/// in a turn: what else the turn has for it goes out together.
#[derive(Debug)]
pub struct Turn {
    number: u64,
    tries: usize,
    frames: u64,
    bytes: u64,
}

impl Default for Turn {
    /// The first.
    fn default() -> Self {
        Self { number: 1, tries: 0, frames: 0, bytes: 0 }
    }
}

impl Turn {
    /// Which one it is, from 1 on: no other of its runtime has the number.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// How often something was to be written, be it that nothing could be.
    pub(super) fn tries(&self) -> usize {
        self.tries
    }

    /// Something is about to be written.
    pub(super) fn tries_once(&mut self) {
        self.tries += 1;
    }

    /// A frame of so many bytes was.
    pub(super) fn note(&mut self, bytes: usize) {
        self.frames += 1;
        self.bytes += bytes as u64;
    }

    /// Others go on, and then the next turn begins.
    pub(super) fn ends(&mut self, tally: &Tally) {
        tally.add(self.frames, self.bytes);
        *self = Self { number: self.number + 1, ..Self::default() };
    }
}

/// Frames that were written past tasks, and their bytes.
#[derive(Debug, Default)]
pub struct Tally {
    frames: AtomicU64,
    bytes: AtomicU64,
    /// Frames that were taken.
    taken: AtomicU64,
}

impl Tally {
    fn add(&self, frames: u64, bytes: u64) {
        if frames > 0 {
            self.frames.fetch_add(frames, Ordering::Relaxed);
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Frames so far.
    pub fn frames(&self) -> u64 {
        self.taken.load(Ordering::Relaxed) + self.frames.load(Ordering::Relaxed)
    }

    /// Frames and bytes since the last call.
    pub fn take(&self) -> (u64, u64) {
        let taken = (self.frames.swap(0, Ordering::Relaxed), self.bytes.swap(0, Ordering::Relaxed));
        self.taken.fetch_add(taken.0, Ordering::Relaxed);
        taken
    }
}
