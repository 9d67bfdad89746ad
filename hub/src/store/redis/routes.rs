//! Which lane a partition's outcomes take: one and the same while any of them has not been told, so that they stay in order also
//! where the partition moves to another server meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustc_hash::FxHashMap;
use tokio::sync::mpsc;

use crate::redis::slots::Address;
use crate::redis::{Link, Partition};

/// Where a partition's outcomes go, and how many of them have not been told.
struct Home {
    address: Address,
    under_way: Arc<AtomicUsize>,
}

/// One outcome that has not been told.
pub(super) struct UnderWay(Arc<AtomicUsize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The lanes, by their servers, and the partitions' homes: as many as there are partitions at most.
pub(super) struct Routes<O> {
    lanes: FxHashMap<Address, mpsc::Sender<O>>,
    homes: FxHashMap<Partition, Home>,
}

impl<O> Default for Routes<O> {
    fn default() -> Self {
        Self { lanes: FxHashMap::default(), homes: FxHashMap::default() }
    }
}

impl<O> Routes<O> {
    /// All lanes.
    pub(super) fn lanes(&self) -> impl Iterator<Item = &mpsc::Sender<O>> {
        self.lanes.values()
    }

    /// A server's lane, begun where there is none. Those of servers that have left the cluster end with what they have.
    pub(super) fn lane(
        &mut self,
        link: &Link,
        address: &Address,
        begin: impl FnOnce() -> mpsc::Sender<O>,
    ) -> &mpsc::Sender<O> {
        if !self.lanes.contains_key(address) {
            let there = link.addresses();
            self.lanes.retain(|address, _| there.contains(address));
        }
        self.lanes.entry(address.clone()).or_insert_with(begin)
    }

    /// Where a partition's next outcome goes: where those before it are, as long as that is a server of the cluster, and else to
    /// its owner. `None` where it is nowhere now.
    pub(super) fn home(&mut self, link: &Link, partition: Partition) -> Option<(Address, UnderWay)> {
        let slot = partition.slot();
        if let Some(home) = self.homes.get_mut(&partition) {
            let is_busy = home.under_way.load(Ordering::Acquire) > 0;
            let stays =
                link.is_at(&home.address, slot) || is_busy && link.addresses().contains(&home.address);
            if !stays || !is_busy {
                home.address = link.owner(slot)?;
            }
            return Some((home.address.clone(), home.take()));
        }
        let home = Home { address: link.owner(slot)?, under_way: Arc::default() };
        let home = self.homes.entry(partition).or_insert(home);
        Some((home.address.clone(), home.take()))
    }

    /// What waits of a partition at one server goes to another one from now on; whether it still goes by the first.
    pub(super) fn moves(&mut self, partition: Partition, from: &Address, to: &Address) -> bool {
        let home = self.homes.get_mut(&partition).filter(|home| home.address == *from);
        home.map(|home| home.address = to.clone()).is_some()
    }
}

impl Home {
    fn take(&self) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::AcqRel);
        UnderWay(Arc::clone(&self.under_way))
    }
}
