//! All live sessions of a node, and of whom how many have a place.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::domain::names::{SessionId, TenantId};

use super::live::Live;

/// What a session counts as, as bits. They change under the lock of what is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Places(pub(super) u8);

impl Places {
    /// It has none.
    pub(super) const NONE: Self = Self(0);
    /// One of its user's.
    pub(super) const USER: Self = Self(1);
    /// One of its tenant's.
    pub(super) const TENANT: Self = Self(2);
    /// One of its address's.
    pub(super) const ADDRESS: Self = Self(4);
    /// It has all that it needs, and is let in.
    pub(super) const ADMITTED: Self = Self(8);
    /// It has ended, and gets none any more.
    pub(super) const GONE: Self = Self(16);
    /// All of one that is let in.
    pub(super) const ALL: Self = Self(1 | 2 | 4 | 8);

    /// Whether it has one of these.
    pub(super) fn has(self, places: Self) -> bool {
        self.0 & places.0 != 0
    }

    fn with(self, places: Self) -> Self {
        Self(self.0 | places.0)
    }
}

/// All live sessions of this node, by runtime and id.
///
/// A session is among them from `hello` on, and has a place among its user's, its tenant's and its address's once it is let in
/// there: only places count where it is asked how many there are.
pub struct Sessions {
    shards: Vec<Mutex<FxHashMap<SessionId, Arc<Live>>>>,
    all: AtomicUsize,
    /// Those among them that count: all but who was taken over from and has not let go yet.
    counted: AtomicUsize,
    taken: Mutex<Taken>,
}

/// Places that are taken: no more than sessions. Those of a user are few, and are looked at one by one.
#[derive(Default)]
struct Taken {
    tenants: FxHashMap<TenantId, usize>,
    addresses: FxHashMap<IpAddr, usize>,
}

impl Sessions {
    /// None yet, for this many runtimes.
    pub fn new(shards: usize) -> Self {
        Self {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            all: AtomicUsize::new(0),
            counted: AtomicUsize::new(0),
            taken: Mutex::default(),
        }
    }

    /// Adds a session. How many count with it: of two that come at once, one is the first.
    pub(super) fn insert(&self, live: Arc<Live>) -> usize {
        let Some(shard) = self.shards.get(live.mailbox.shard()) else { return self.counted() };
        shard.lock().insert(live.id(), live);
        self.all.fetch_add(1, Ordering::SeqCst);
        self.counted.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// A session ends, and another has its place: it counts no more.
    pub(super) fn leave_count(&self, live: &Live) {
        if live.leaves_count() {
            self.counted.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Removes a session, with its places.
    pub(super) fn remove(&self, live: &Live) {
        self.taken.lock().give_up(live, Places::GONE);
        let Some(shard) = self.shards.get(live.mailbox.shard()) else { return };
        let mut sessions = shard.lock();
        if sessions.remove(&live.id()).is_some() {
            self.all.fetch_sub(1, Ordering::SeqCst);
            self.leave_count(live);
        }
        if sessions.capacity() > 64 && sessions.len() < sessions.capacity() / 4 {
            sessions.shrink_to_fit();
        }
    }

    /// Gives the session these places, where it has them not; `false` where it has ended.
    pub(super) fn take(&self, live: &Live, places: Places) -> bool {
        self.taken.lock().take(live, places)
    }

    /// Lets it in, with all places, in the place of those that `may` gives: they have none any more. `may` is told how many have
    /// one among its tenant's and its address's. `None` where it has ended.
    pub(super) fn let_in<E>(
        &self,
        live: &Live,
        may: impl FnOnce(usize, usize) -> Result<Vec<Arc<Live>>, E>,
    ) -> Result<Option<Vec<Arc<Live>>>, E> {
        let mut taken = self.taken.lock();
        let at_address = live.counted_at().map_or(0, |address| taken.at_address(address));
        let older = may(taken.of_tenant(&live.user().tenant), at_address)?;
        if !taken.take(live, Places::ALL) {
            return Ok(None);
        }
        for older in &older {
            taken.give_up(older, Places::NONE);
        }
        Ok(Some(older))
    }

    /// Takes the session's places away: it counts no longer, and nobody takes over from it.
    pub(super) fn give_up(&self, live: &Live) {
        self.taken.lock().give_up(live, Places::NONE);
    }

    /// How many have a place among a tenant's.
    pub(super) fn of_tenant(&self, tenant: &TenantId) -> usize {
        self.taken.lock().of_tenant(tenant)
    }

    /// How many have a place among those of an address, as it is counted.
    pub(super) fn at_address(&self, address: IpAddr) -> usize {
        self.taken.lock().at_address(address)
    }

    /// A session by its id.
    pub fn get(&self, id: SessionId) -> Option<Arc<Live>> {
        self.shards.iter().find_map(|shard| shard.lock().get(&id).cloned())
    }

    /// All of a runtime.
    pub fn of_shard(&self, shard: usize) -> Vec<Arc<Live>> {
        self.shards.get(shard).map(|s| s.lock().values().cloned().collect()).unwrap_or_default()
    }

    /// All.
    pub fn all(&self) -> Vec<Arc<Live>> {
        (0..self.shards.len()).flat_map(|shard| self.of_shard(shard)).collect()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.all.load(Ordering::SeqCst)
    }

    /// How many count: none for whom another has the place.
    pub fn counted(&self) -> usize {
        self.counted.load(Ordering::SeqCst)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Taken {
    fn of_tenant(&self, tenant: &TenantId) -> usize {
        self.tenants.get(tenant).copied().unwrap_or(0)
    }

    fn at_address(&self, address: IpAddr) -> usize {
        self.addresses.get(&address).copied().unwrap_or(0)
    }

    fn take(&mut self, live: &Live, places: Places) -> bool {
        let before = live.places();
        if before.has(Places::GONE) {
            return false;
        }
        if places.has(Places::TENANT) && !before.has(Places::TENANT) {
            *self.tenants.entry(live.user().tenant.clone()).or_default() += 1;
        }
        if places.has(Places::ADDRESS)
            && !before.has(Places::ADDRESS)
            && let Some(address) = live.counted_at()
        {
            *self.addresses.entry(address).or_default() += 1;
        }
        live.set_places(before.with(places));
        true
    }

    fn give_up(&mut self, live: &Live, left: Places) {
        let before = live.places();
        live.set_places(if before.has(Places::GONE) { before } else { left });
        if before.has(Places::TENANT) {
            one_less(&mut self.tenants, &live.user().tenant);
        }
        if before.has(Places::ADDRESS)
            && let Some(address) = live.counted_at()
        {
            one_less(&mut self.addresses, &address);
        }
    }
}

fn one_less<K: std::hash::Hash + Eq>(counts: &mut FxHashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
