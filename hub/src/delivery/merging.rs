//! A queue in which what is newer takes the place of what it makes out of date.

use std::collections::VecDeque;
use std::hash::Hash;

use rustc_hash::FxHashMap;

/// Up to so many items are looked through for a key; most queues are shorter, and need no index.
const LOOKED_THROUGH: usize = 16;

/// An empty queue keeps room for so many.
const KEPT: usize = 8;

/// First in, first out; but an item whose key waits already takes the place of the one that waits, so that one who
/// says the same thing again and again does not wait behind himself.
pub(super) struct MergingQueue<K, T> {
    items: VecDeque<(Option<K>, T)>,
    /// How many items were taken since the queue was empty: an item's number less this is its place.
    taken: u64,
    /// The numbers of the items with keys, kept once the queue is long.
    numbers: FxHashMap<K, u64>,
    indexed: bool,
}

impl<K, T> Default for MergingQueue<K, T> {
    fn default() -> Self {
        Self { items: VecDeque::new(), taken: 0, numbers: FxHashMap::default(), indexed: false }
    }
}

impl<K: Copy + Eq + Hash, T> MergingQueue<K, T> {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether none waits.
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Adds an item, and gives the one whose place it took.
    pub(super) fn push(&mut self, key: Option<K>, item: T) -> Option<T> {
        if let Some(key) = key {
            if let Some((_, waiting)) = self.place(key).and_then(|place| self.items.get_mut(place)) {
                return Some(std::mem::replace(waiting, item));
            }
            if self.indexed {
                self.numbers.insert(key, self.taken + self.items.len() as u64);
            }
        }
        self.items.push_back((key, item));
        None
    }

    /// Takes the first.
    pub(super) fn pop(&mut self) -> Option<T> {
        let (key, item) = self.items.pop_front()?;
        self.taken += 1;
        if self.items.is_empty() {
            self.taken = 0;
            self.indexed = false;
            // What a burst took is given back.
            if self.items.capacity() > KEPT {
                *self = Self::default();
            }
        } else if let Some(key) = key.filter(|_| self.indexed) {
            self.numbers.remove(&key);
        }
        Some(item)
    }

    /// Keeps those alone that `keep` says.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.items.retain(|(_, item)| keep(item));
        self.numbers = FxHashMap::default();
        self.indexed = false;
    }

    /// Calls `each` for all.
    pub(super) fn for_each(&self, each: impl FnMut(&T)) {
        self.items.iter().map(|(_, item)| item).for_each(each);
    }

    fn place(&mut self, key: K) -> Option<usize> {
        if self.items.len() <= LOOKED_THROUGH {
            return self.items.iter().rposition(|(other, _)| *other == Some(key));
        }
        if !self.indexed {
            self.indexed = true;
            let keys =
                self.items.iter().zip(self.taken..).filter_map(|((key, _), number)| Some(((*key)?, number)));
            self.numbers = keys.collect();
        }
        self.numbers.get(&key).map(|number| (number - self.taken) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// However long it is: the same as looking through all.
        #[test]
        fn a_key_waits_once_and_keeps_its_place(steps in prop::collection::vec((0u8..8, 0u32..60), 1..300)) {
            let mut queue = MergingQueue::default();
            let mut plain: Vec<(Option<u32>, usize)> = Vec::new();
            for (number, (step, key)) in steps.into_iter().enumerate() {
                match step {
                    0 => prop_assert_eq!(queue.pop(), (!plain.is_empty()).then(|| plain.remove(0).1)),
                    1 if key == 7 => {
                        queue.retain(|item| item % 2 == 0);
                        plain.retain(|(_, item)| item % 2 == 0);
                    }
                    2 => {
                        prop_assert_eq!(queue.push(None, number), None);
                        plain.push((None, number));
                    }
                    _ => {
                        let waiting = plain.iter_mut().find(|(other, _)| *other == Some(key));
                        let replaced = waiting.map(|(_, item)| std::mem::replace(item, number));
                        prop_assert_eq!(queue.push(Some(key), number), replaced);
                        if replaced.is_none() {
                            plain.push((Some(key), number));
                        }
                    }
                }
                prop_assert_eq!(queue.len(), plain.len());
            }
        }
    }
}
