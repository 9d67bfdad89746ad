//! Locks by name: those who want the same wait in line. A name that nobody wants takes no memory.

use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::{Mutex as Waited, OwnedMutexGuard};

/// Locks. Bounded by who holds one or waits for it.
pub(super) struct Locks<K>(Mutex<FxHashMap<K, Arc<Waited<()>>>>);

impl<K> Default for Locks<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash> Locks<K> {
    /// Waits until nobody else has the lock of this name.
    pub(super) async fn lock(&self, name: &K) -> Locked<'_, K> {
        let lock = Arc::clone(self.0.lock().entry(name.clone()).or_default());
        let mut locked = Locked { locks: self, name: name.clone(), lock, guard: None };
        locked.guard = Some(Arc::clone(&locked.lock).lock_owned().await);
        locked
    }
}

/// A lock that is held, or waited for, until this is dropped.
pub(super) struct Locked<'a, K: Eq + Hash> {
    locks: &'a Locks<K>,
    name: K,
    lock: Arc<Waited<()>>,
    guard: Option<OwnedMutexGuard<()>>,
}

impl<K: Eq + Hash> Drop for Locked<'_, K> {
    fn drop(&mut self) {
        let mut locks = self.locks.0.lock();
        drop(self.guard.take());
        // Nobody else takes another of it meanwhile.
        if Arc::strong_count(&self.lock) == 2 {
            locks.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn one_has_it_others_wait_and_nothing_is_left() {
        let locks = Locks::default();
        let first = locks.lock(&"a").now_or_never().unwrap();
        assert!(locks.lock(&"b").now_or_never().is_some());
        let mut second = Box::pin(locks.lock(&"a"));
        let mut third = Box::pin(locks.lock(&"a"));
        assert!((&mut second).now_or_never().is_none() && (&mut third).now_or_never().is_none());
        // Whoever gives up waiting holds up nobody.
        drop(second);
        drop(first);
        drop(third.now_or_never().unwrap());
        assert!(locks.0.lock().is_empty());
    }
}
