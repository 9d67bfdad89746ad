//! What is written past sessions' tasks: in one turn of a runtime's fan-out, and in all of them.

use std::sync::atomic::{AtomicU64, Ordering};

/// A turn of a runtime's fan-out: what waited for it when it began. A session is written to past its task once in a turn: what
/// else the turn has for it goes out together.
#[derive(Debug)]
pub struct Turn {
    number: u64,
    frames: u64,
    bytes: u64,
    /// Frames since the sessions were let go on.
    unbroken: usize,
}

impl Turn {
    /// The turn of this number, from 1 on: no other of its runtime has it.
    pub fn new(number: u64) -> Self {
        Self { number, frames: 0, bytes: 0, unbroken: 0 }
    }

    /// Which one it is.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// A frame of so many bytes was written.
    pub(super) fn note(&mut self, bytes: usize) {
        self.frames += 1;
        self.bytes += bytes as u64;
        self.unbroken += 1;
    }

    /// How many were written since the sessions were let go on.
    pub(super) fn unbroken(&self) -> usize {
        self.unbroken
    }

    /// They are now.
    pub(super) fn breaks(&mut self) {
        self.unbroken = 0;
    }
}

/// Frames that were written past tasks, and their bytes.
#[derive(Debug, Default)]
pub struct Tally {
    frames: AtomicU64,
    bytes: AtomicU64,
    /// Those that were taken.
    taken: (AtomicU64, AtomicU64),
}

impl Tally {
    /// Adds what was written in a turn.
    pub(super) fn add(&self, turn: &Turn) {
        self.frames.fetch_add(turn.frames, Ordering::Relaxed);
        self.bytes.fetch_add(turn.bytes, Ordering::Relaxed);
    }

    /// Frames so far.
    pub fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    /// Frames and bytes since the last call. For one caller.
    pub fn take(&self) -> (u64, u64) {
        let since = |now: &AtomicU64, taken: &AtomicU64| {
            let now = now.load(Ordering::Relaxed);
            now - taken.swap(now, Ordering::Relaxed)
        };
        (since(&self.frames, &self.taken.0), since(&self.bytes, &self.taken.1))
    }
}
