//! The sequencer: from what comes in over a bus that loses, delays, repeats and reorders to what is told, which is the
//! log: in order, each entry once, without holes.
//!
//! A state machine without I/O, as plain data that takes `now`. Of each log that somebody here follows it keeps the place
//! that was told last. What follows on it is told at once; what comes too early is held for a moment, in which the missing
//! one usually comes, and is then read from the store. After the bus was away the log is in doubt: it is compared with the
//! store before anything later is told. Where the store's log is not the one that was told (its last entries were lost and
//! others took their places), that is said, and the log begins anew.
//!
//! [`Sequencer`] has the logs and the time; [`log`] is one of them. Whoever drives it does the reads that it asks for, and
//! gives the answers back.

mod log;
mod sequencer;
mod told;

use std::time::{Duration, Instant};

use crate::domain::limits;
use crate::domain::position::{Position, Seq, Tag};

pub use sequencer::Sequencer;

/// Something of a log, from whichever way it came.
#[derive(Clone, Debug)]
pub struct Item<T> {
    /// Its place. Logs without tags have the tag 0 everywhere.
    pub at: Position,
    /// The tag of the entry before it, where that is known.
    pub previous: Option<Tag>,
    /// Bytes that it takes while it is held.
    pub bytes: usize,
    /// What is told.
    pub what: T,
}

/// What the store said.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The log's head in the snapshot.
    pub head: Position,
    /// What was read, from the place after the one that was asked for, in order; without holes but for what the store
    /// keeps no more.
    pub items: Vec<(Position, T)>,
    /// Whether there is more than was read.
    pub more: bool,
}

/// A read that is to be done. Its answer is given to [`Sequencer::page`] or [`Sequencer::failed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// Names it in the answer.
    pub id: u64,
    /// What comes after this place; `None` where only the head is asked for.
    pub after: Option<Seq>,
}

/// What comes out, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// To be told now: it follows on what was told before.
    Tell(T),
    /// The log is open: what comes after this place will be told.
    Opened(Position),
    /// Everything up to this place is in the store, and was not told: it is to be read there, or is kept no more.
    Skipped(Position),
    /// To be read.
    Read(Read),
    /// What was told is not what the log says now: whoever follows it must begin anew. It is opened again by itself.
    Diverged,
}

/// What became of logs so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Times that something was missing, and did not come while what follows on it was held.
    pub gaps: u64,
    /// Pages that were read.
    pub pages: u64,
    /// Reads that failed.
    pub failures: u64,
    /// What came and had been told before.
    pub repeated: u64,
    /// Times that what was told was not what the log said.
    pub diverged: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.gaps += other.gaps;
        self.pages += other.pages;
        self.failures += other.failures;
        self.repeated += other.repeated;
        self.diverged += other.diverged;
    }
}

/// How much is held, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// What comes too early is held this long before the store is asked.
    pub hold: Duration,
    /// A read that failed is done again after this long.
    pub retry: Duration,
    /// Items of one log that are held at most.
    pub items: usize,
    /// Bytes of one log that are held at most.
    pub bytes: usize,
    /// Bytes of all logs that are held at most.
    pub total: usize,
    /// Tags of a log's last entries that are remembered at most; 1 at least.
    pub tags: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            hold: limits::SEQUENCE_HOLD,
            retry: limits::SEQUENCE_RETRY,
            items: limits::SEQUENCE_ITEMS,
            bytes: limits::SEQUENCE_BYTES,
            total: limits::SEQUENCE_TOTAL_BYTES,
            tags: limits::SEQUENCE_TAGS,
        }
    }
}

/// What a log works with during one call.
struct Context<'a, T> {
    now: Instant,
    bounds: &'a Bounds,
    /// Bytes that may still be held, of all logs.
    left: usize,
    /// The last read's number, of all logs.
    reads: &'a mut u64,
    counts: &'a mut Counts,
    out: &'a mut dyn FnMut(Step<T>),
}

impl<T> Context<'_, T> {
    fn tell(&mut self, what: T) {
        (self.out)(Step::Tell(what));
    }
}

#[cfg(test)]
mod tests;
