//! A bounded memory of what was read: the oldest unused half is forgotten when it is full.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

use parking_lot::Mutex;

/// Shards, so that commands on different rooms do not wait for each other.
const SHARDS: usize = 16;

/// A sharded map of at most `capacity` values. Nothing is waited for and nothing is done under a shard's lock but the
/// look-up itself.
pub(super) struct Memory<K, V> {
    shards: [Mutex<Shard<K, V>>; SHARDS],
    hasher: RandomState,
    /// Values of one generation of one shard.
    generation: usize,
}

/// Two generations: what is used moves to the young one, and when that is full the old one is dropped.
struct Shard<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    /// How often something was forgotten: what was read before must not be remembered after.
    forgotten: u64,
}

/// The moment from which on a value is read. What is forgotten after it stays forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Since(u64);

impl<K: Hash + Eq, V: Clone> Memory<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        let shard = || Shard { young: HashMap::new(), old: HashMap::new(), forgotten: 0 };
        Self {
            shards: std::array::from_fn(|_| Mutex::new(shard())),
            hasher: RandomState::new(),
            generation: (capacity / SHARDS / 2).max(1),
        }
    }

    /// The value, where it is remembered, and the moment of looking.
    pub(super) fn look(&self, key: &K) -> (Option<V>, Since)
    where
        K: Clone,
    {
        let mut shard = self.shard(key).lock();
        let since = Since(shard.forgotten);
        if let Some(value) = shard.young.get(key) {
            return (Some(value.clone()), since);
        }
        let Some((key, value)) = shard.old.remove_entry(key) else { return (None, since) };
        shard.keep(key, value.clone(), self.generation);
        (Some(value), since)
    }

    /// Remembers a value that was read after `since`, unless something was forgotten in between.
    pub(super) fn keep(&self, key: K, value: V, since: Since) {
        let mut shard = self.shard(&key).lock();
        if Since(shard.forgotten) == since {
            shard.old.remove(&key);
            shard.keep(key, value, self.generation);
        }
    }

    /// Forgets a value, and whatever is being read of it.
    pub(super) fn forget(&self, key: &K) {
        let mut shard = self.shard(key).lock();
        shard.forgotten += 1;
        shard.young.remove(key);
        shard.old.remove(key);
    }

    /// Forgets all whose keys `matches`, one shard after the other.
    pub(super) fn forget_all(&self, matches: impl Fn(&K) -> bool) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            shard.forgotten += 1;
            shard.young.retain(|key, _| !matches(key));
            shard.old.retain(|key, _| !matches(key));
        }
    }

    fn shard(&self, key: &K) -> &Mutex<Shard<K, V>> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }
}

impl<K: Hash + Eq, V> Shard<K, V> {
    fn keep(&mut self, key: K, value: V, generation: usize) {
        if self.young.len() >= generation && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn len<K, V>(memory: &Memory<K, V>) -> usize {
        memory.shards.iter().map(|shard| shard.lock()).map(|shard| shard.young.len() + shard.old.len()).sum()
    }

    #[test]
    fn what_was_forgotten_while_it_was_read_is_not_remembered() {
        let memory = Memory::new(100);
        let (none, since) = memory.look(&1);
        assert_eq!(none, None);
        memory.forget(&1);
        memory.keep(1, "stale", since);
        let (none, since) = memory.look(&1);
        assert_eq!(none, None);
        memory.keep(1, "fresh", since);
        assert_eq!(memory.look(&1).0, Some("fresh"));
        memory.forget_all(|key| *key == 1);
        assert_eq!(memory.look(&1).0, None);
    }

    proptest! {
        #[test]
        fn it_is_bounded_and_never_wrong(steps in prop::collection::vec((0u16..400, 0u8..4), 0..600)) {
            let memory = Memory::new(64);
            let mut truth: HashMap<u16, usize> = HashMap::new();
            for (step, (key, action)) in steps.into_iter().enumerate() {
                match action {
                    0 => { truth.remove(&key); memory.forget(&key); }
                    1 => {
                        let (_, since) = memory.look(&key);
                        truth.insert(key, step);
                        memory.keep(key, step, since);
                        prop_assert_eq!(memory.look(&key).0, Some(step));
                    }
                    _ => {
                        let seen = memory.look(&key).0;
                        prop_assert!(seen.is_none() || seen == truth.get(&key).copied());
                    }
                }
                prop_assert!(len(&memory) <= 64);
            }
        }
    }
}
