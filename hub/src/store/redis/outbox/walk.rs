//! A walk over an outbox, from its beginning to its end: what it leaves behind waits for targets that are away.
//!
//! Others take items off meanwhile, and all behind those move up. So a walk goes on from the last item that it left behind, if
//! that is still where it was; else it begins again, so that it never passes over one: what comes after it at the same target
//! would be applied before it, and it never.
//!
//! How far each target has what is for it is known beyond a walk, so that no other asks for that again.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::domain::position::Epoch;
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
    /// The last item that each target has, by the epoch that it was put in and its number: what came before it is there as well.
    pub(super) has: FxHashMap<Partition, ([u8; 8], u64)>,
    /// The epoch in which that is so: in another one a target may have lost it.
    epoch: Epoch,
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
        self.begin_again();
        false
    }

    /// Goes back to the beginning, also to what is for targets that were away.
    pub(super) fn begin_again(&mut self) {
        (self.left, self.last) = (0, 0);
        self.away.clear();
    }

    /// Goes on in an epoch.
    pub(super) fn go_on_in(&mut self, epoch: Epoch) {
        if std::mem::replace(&mut self.epoch, epoch) != epoch {
            self.has.clear();
        }
    }

    /// Whether a target is known to have what an item causes there.
    pub(super) fn is_done(&self, target: Partition, item: &Item) -> bool {
        self.has.get(&target).is_some_and(|(epoch, number)| *epoch == item.epoch && *number >= item.number)
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
