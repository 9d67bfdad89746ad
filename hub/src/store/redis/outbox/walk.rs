//! A walk over an outbox, from its beginning to its end: what it leaves behind waits for targets that are away.
//!
//! Others take items off meanwhile, and all behind those move up. So a walk goes on from the last item that it left behind, if
//! that is still where it was; else it begins again, so that it never passes over one: what comes after it at the same target
//! would be applied before it, and it never.

use rustc_hash::FxHashSet;

use crate::redis::Partition;

use super::item::Item;

#[derive(Default)]
pub(super) struct Walk {
    /// Items that it left behind: those that the outbox begins with.
    left: usize,
    /// The last one's number.
    last: u64,
    /// Partitions that did not take what was for them: what else is for them comes after that.
    pub(super) away: FxHashSet<Partition>,
}

impl Walk {
    /// Where to read on: from the last that was left behind.
    pub(super) fn from(&self) -> usize {
        self.left.saturating_sub(1)
    }

    /// Takes the last that was left behind off what was read; `false` where it is not there, and the walk begins again.
    pub(super) fn has_its_place(&mut self, items: &mut Vec<Item>) -> bool {
        if self.left == 0 {
            return true;
        }
        if items.first().is_some_and(|item| item.number == self.last) {
            items.remove(0);
            return true;
        }
        (self.left, self.last) = (0, 0);
        false
    }

    /// Leaves an item behind.
    pub(super) fn leaves(&mut self, item: &Item) {
        (self.left, self.last) = (self.left + 1, item.number);
    }

    /// Whether it has left nothing behind.
    pub(super) fn is_whole(&self) -> bool {
        self.left == 0
    }
}
