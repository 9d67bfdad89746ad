//! Partitions of a lane of which something was refused, and not carried out: on their way to another server of a cluster, or at
//! one that does not know a script.
//!
//! While a slot is migrated neither server has all of its keys, and scripts read many: what is asked of it is refused and not
//! carried out. `ASK` is not followed: at its target a script would find a room without what is still to come, and begin it anew.
//! So what was refused waits, with all that comes after it in the partition, and the first of it asks again and again
//! whether it can be done; where the partition has another server by then the whole of it goes there.
//!
//! So it is where the server has forgotten its scripts: another node may load them between two pieces, so that the second is
//! carried out and the first is not.
//!
//! Plain data that takes `now`.

use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use crate::redis::Partition;

use super::limits::{ASKED_AGAIN, ASKED_AGAIN_MOST};
use super::queue::{Era, Queue};

/// A partition that waits.
struct Waiting<T> {
    /// What was refused while answers to what was sent before are still to come, in order.
    refused: Vec<(T, Era)>,
    /// The last piece that was sent before anybody knew.
    until: u64,
    /// Whether one is under way that asks.
    is_asking: bool,
    wait: Duration,
    next: Instant,
}

/// The partitions that wait, of all that a lane's queue has.
pub(super) struct Held<T> {
    waiting: FxHashMap<Partition, Waiting<T>>,
    /// Pieces that were sent, and answered; they are in order.
    sent: u64,
    answered: u64,
}

impl<T> Held<T> {
    /// None wait.
    pub(super) fn new() -> Self {
        Self { waiting: FxHashMap::default(), sent: 0, answered: 0 }
    }

    /// A piece goes.
    pub(super) fn send(&mut self) {
        self.sent += 1;
    }

    /// One of the piece that is answered was refused.
    pub(super) fn refused(
        &mut self,
        queue: &mut Queue<T>,
        partition: Partition,
        one: (T, Era),
        now: Instant,
    ) {
        let sent = self.sent;
        let held = self.waiting.entry(partition).or_insert_with(|| {
            queue.hold(partition);
            let wait = ASKED_AGAIN;
            Waiting { refused: Vec::new(), until: sent, is_asking: false, wait, next: now + wait }
        });
        if held.is_asking {
            held.is_asking = false;
            held.wait = (held.wait * 2).min(ASKED_AGAIN_MOST);
            held.next = now + held.wait;
            queue.put_back(partition, vec![one]);
        } else {
            held.refused.push(one);
        }
    }

    /// One of the piece that is answered was carried out, or is not to be asked again. Gives those before it in its partition that were: they cannot be
    /// done any more, as that would be after it.
    pub(super) fn done(&mut self, queue: &mut Queue<T>, partition: Partition) -> Vec<(T, Era)> {
        let Some(held) = self.waiting.get_mut(&partition) else { return Vec::new() };
        if held.is_asking {
            self.waiting.remove(&partition);
            queue.free(partition);
            return Vec::new();
        }
        std::mem::take(&mut held.refused)
    }

    /// All of a piece were taken up.
    pub(super) fn answered(&mut self, queue: &mut Queue<T>) {
        self.answered += 1;
        for (partition, held) in &mut self.waiting {
            if held.until <= self.answered && !held.refused.is_empty() {
                queue.put_back(*partition, std::mem::take(&mut held.refused));
            }
        }
    }

    /// When the next is due; `None` where none waits.
    pub(super) fn next(&self) -> Option<Instant> {
        self.waiting.values().filter(|held| self.is_settled(held)).map(|held| held.next).min()
    }

    /// Those that are due.
    pub(super) fn due(&self, now: Instant) -> Vec<Partition> {
        let due = self.waiting.iter().filter(|(_, held)| self.is_settled(held) && held.next <= now);
        due.map(|(partition, _)| *partition).collect()
    }

    /// Whether all is answered that was sent, so that what waits is in order.
    fn is_settled(&self, held: &Waiting<T>) -> bool {
        held.until <= self.answered && !held.is_asking
    }

    /// Takes the first of one that is due, to ask; where nothing is left of it it waits no longer.
    pub(super) fn ask(&mut self, queue: &mut Queue<T>, partition: Partition) -> Option<(T, Era)> {
        let first = queue.take_first(partition);
        match self.waiting.get_mut(&partition) {
            Some(held) if first.is_some() => held.is_asking = true,
            _ => self.free(queue, partition),
        }
        first
    }

    /// One waits no longer.
    pub(super) fn free(&mut self, queue: &mut Queue<T>, partition: Partition) {
        if self.waiting.remove(&partition).is_some() {
            queue.free(partition);
        }
    }
}

#[cfg(test)]
mod tests;
