//! Connections that nobody known needs, as nobody has shown on them who they are, by address: which of them gives way where
//! there is no room for another. Plain state.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

/// Something of each of them, by address and in the order in which they came.
#[derive(Debug)]
pub struct Strangers<T> {
    addresses: HashMap<IpAddr, BTreeMap<u64, T>>,
    /// Addresses by how many they have and how long the oldest is there: the last is the next that gives one up.
    order: BTreeSet<(usize, Reverse<u64>, IpAddr)>,
}

impl<T> Default for Strangers<T> {
    fn default() -> Self {
        Self { addresses: HashMap::default(), order: BTreeSet::new() }
    }
}

impl<T> Strangers<T> {
    /// Adds one that came after all before.
    pub fn add(&mut self, address: IpAddr, id: u64, stranger: T) {
        self.change(address, |of| of.insert(id, stranger));
    }

    /// Takes one out; `None` where it is not among them any more.
    pub fn remove(&mut self, address: IpAddr, id: u64) -> Option<T> {
        self.change(address, |of| of.remove(&id))
    }

    /// Whether it is among them still.
    pub fn has(&self, address: IpAddr, id: u64) -> bool {
        self.addresses.get(&address).is_some_and(|of| of.contains_key(&id))
    }

    /// Takes out the oldest of the address that has the most, so that none has all the room; of several such that whose
    /// oldest is the oldest.
    pub fn take_next(&mut self) -> Option<T> {
        let (_, Reverse(id), address) = *self.order.last()?;
        self.remove(address, id)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.addresses.values().map(BTreeMap::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    fn change<R>(&mut self, address: IpAddr, change: impl FnOnce(&mut BTreeMap<u64, T>) -> R) -> R {
        let of = self.addresses.entry(address).or_default();
        if let Some(place) = place(address, of) {
            self.order.remove(&place);
        }
        let changed = change(of);
        match place(address, of) {
            Some(place) => _ = self.order.insert(place),
            None => _ = self.addresses.remove(&address),
        }
        changed
    }
}

/// Where an address stands in the order; `None` where it has none.
fn place<T>(address: IpAddr, of: &BTreeMap<u64, T>) -> Option<(usize, Reverse<u64>, IpAddr)> {
    of.keys().next().map(|oldest| (of.len(), Reverse(*oldest), address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    /// Those of these addresses, in this order, each known by its place.
    fn of(addresses: &[u32]) -> Strangers<u64> {
        let mut strangers = Strangers::default();
        for (id, n) in (0..).zip(addresses) {
            strangers.add(address(*n), id, id);
        }
        strangers
    }

    #[test]
    fn the_oldest_of_the_address_that_has_the_most_gives_way() {
        let mut strangers = of(&[9, 1, 2, 1, 2, 1]);
        let next: Vec<_> = std::iter::from_fn(|| strangers.take_next()).collect();
        assert_eq!(next, [1, 2, 3, 0, 4, 5]);
        assert!(strangers.addresses.is_empty() && strangers.order.is_empty());
    }

    #[test]
    fn who_is_known_or_gone_is_not_among_them() {
        let mut strangers = of(&[1, 1, 2]);
        assert_eq!((strangers.remove(address(1), 0), strangers.remove(address(1), 0)), (Some(0), None));
        assert_eq!((strangers.remove(address(2), 1), strangers.len()), (None, 2));
        assert_eq!(
            (strangers.take_next(), strangers.take_next(), strangers.take_next()),
            (Some(1), Some(2), None)
        );
    }
}
