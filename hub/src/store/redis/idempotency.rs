//! Idempotency keys: what names one, and how many there are.

use parking_lot::Mutex;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

use crate::redis::Partition;
use crate::redis::names::PARTITIONS;
use crate::store::{Home, Outcome};

/// Tells the hashes of services' keys from those of users'.
const OF_SERVICE: u8 = 0x80;

/// How many keys each partition has, as far as this node knows. Others add some: that is read anew now and then.
pub(super) struct Keys {
    most: usize,
    counts: Mutex<(Vec<u32>, usize)>,
}

impl Keys {
    pub(super) fn new(most: usize) -> Self {
        Self { most, counts: Mutex::new((vec![0; usize::from(PARTITIONS)], 0)) }
    }

    /// A partition has so many.
    pub(super) fn set(&self, partition: Partition, count: u32) {
        let mut counts = self.counts.lock();
        let (all, total) = &mut *counts;
        if let Some(known) = all.get_mut(usize::from(partition.number())) {
            *total = *total + count as usize - *known as usize;
            *known = count;
        }
    }

    /// All there are.
    pub(super) fn total(&self) -> usize {
        self.counts.lock().1
    }

    /// How many a partition may have, so that there are not too many in all. It may always keep one.
    pub(super) fn limit(&self, partition: Partition) -> usize {
        let counts = self.counts.lock();
        let own = counts.0.get(usize::from(partition.number())).copied().unwrap_or(0) as usize;
        self.most.saturating_sub(counts.1 - own).max(1)
    }
}

/// What an outcome's key is known by: tenant, actor, home, key and kind of actor, hashed with the store's secret. Empty
/// without a key.
pub(super) fn hash(secret: [u8; 16], outcome: &Outcome) -> Vec<u8> {
    hash_of(secret, outcome, outcome.by_service)
}

/// What a service's key was known by when that was the hash of the user of its name, before kinds of actors were told apart.
/// Empty of others.
pub(super) fn hash_of_before(secret: [u8; 16], outcome: &Outcome) -> Vec<u8> {
    if outcome.by_service { hash_of(secret, outcome, false) } else { Vec::new() }
}

fn hash_of(secret: [u8; 16], outcome: &Outcome, by_service: bool) -> Vec<u8> {
    let Some(idempotency) = &outcome.idempotency else { return Vec::new() };
    let mut hasher = SipHasher13::new_with_key(&secret);
    let (kind, home) = match &outcome.home {
        Home::Room(room) => (0_u8, room.as_str()),
        Home::Inbox(user) => (1, user.as_str()),
        Home::Tenant => (2, ""),
    };
    hasher.write_u8(if by_service { kind | OF_SERVICE } else { kind });
    for part in [outcome.tenant.as_str(), outcome.actor.as_str(), home] {
        hasher.write_usize(part.len());
        hasher.write(part.as_bytes());
    }
    hasher.write(idempotency.key.as_bytes());
    hasher.finish128().as_bytes().to_vec()
}
