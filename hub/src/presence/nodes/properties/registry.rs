//! A registry of one tenant, with a clock of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::bus::registry::{Kept, Lease, Leases, Writing};
use crate::bus::sessions::Life;
use crate::domain::names::SessionId;

#[derive(Default)]
pub(super) struct Registry {
    leases: BTreeMap<Life, u64>,
    kept: BTreeMap<Life, (u64, BTreeMap<SessionId, Vec<u8>>)>,
}

impl Registry {
    pub(super) fn renew(&mut self, life: Life, lease: Duration, is_new: bool, now: u64) -> Leases {
        let is_renewed = is_new || self.leases.get(&life).is_some_and(|ends| *ends > now);
        if is_renewed {
            self.leases.insert(life, now + lease.as_millis() as u64);
        }
        let left = |ends: u64| (ends > now).then(|| Duration::from_millis(ends - now));
        let all = self.leases.iter().map(|(life, ends)| Lease { life: *life, left: left(*ends) });
        Leases { is_renewed, all: all.collect() }
    }

    /// Whether it was kept, and so is published: it is no late one, and what was kept is what it follows.
    pub(super) fn write(&mut self, writing: &Writing) -> bool {
        let (before, mut records) = self.kept.get(&writing.life).cloned().unwrap_or_default();
        if before >= writing.counter {
            return false;
        }
        let fits = writing.follows.is_none_or(|follows| follows == before);
        if writing.follows.is_none() || writing.is_last || !fits {
            records.clear();
        }
        if fits && !writing.is_last {
            records.extend(writing.set.iter().cloned());
            records.retain(|session, _| !writing.gone.contains(session));
        }
        self.kept.insert(writing.life, (writing.counter, records));
        fits
    }

    pub(super) fn read(&self, life: Life) -> Kept {
        let Some((counter, records)) = self.kept.get(&life) else { return Kept::default() };
        Kept { counter: *counter, records: records.clone().into_iter().collect() }
    }

    pub(super) fn remove(&mut self, life: Life) {
        self.kept.remove(&life);
        self.leases.remove(&life);
    }

    /// A node has ended as it should: its lease stays a while.
    pub(super) fn park(&mut self, life: Life, grace: Duration, now: u64) {
        self.leases.entry(life).and_modify(|ends| *ends = now + grace.as_millis() as u64);
    }

    pub(super) fn lives(&self) -> Vec<Life> {
        self.leases.keys().copied().collect()
    }
}
