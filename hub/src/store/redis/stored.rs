//! What tenants' rooms hold. Each partition counts along; the sum is kept for a while, with what this node has changed since,
//! so that asking is cheap. What other nodes change is seen when the sum is taken anew.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::domain::names::TenantId;
use crate::store::StoreError;

use super::shared::Shared;

/// How old a sum may be.
const FRESH: Duration = Duration::from_secs(5);
/// Tenants whose sums are kept; past that it starts afresh.
const KEPT: usize = 10_000;

#[derive(Default)]
struct Sum {
    /// The sum with what this node has changed since, and when it was taken.
    taken: Option<(i64, Instant)>,
    /// By how much this node has ever made it grow: what came while the partitions were asked may be in none of their
    /// answers.
    grown: i64,
}

/// The sums that are kept.
#[derive(Default)]
pub(super) struct Stored(Mutex<FxHashMap<TenantId, Sum>>);

impl Stored {
    /// This node has changed what a tenant's rooms hold.
    pub(super) fn change(&self, tenant: &TenantId, by: i64) {
        if by != 0
            && let Some(sum) = self.0.lock().get_mut(tenant)
        {
            sum.grown = sum.grown.saturating_add(by.max(0));
            if let Some((bytes, _)) = &mut sum.taken {
                *bytes = bytes.saturating_add(by);
            }
        }
    }

    fn fresh(&self, tenant: &TenantId) -> Option<u64> {
        let sums = self.0.lock();
        let (bytes, taken) = sums.get(tenant)?.taken?;
        (taken.elapsed() < FRESH).then_some(bytes.max(0).cast_unsigned())
    }

    /// The partitions are being asked from here on: by how much it had grown.
    fn begin(&self, tenant: &TenantId) -> i64 {
        let mut sums = self.0.lock();
        if sums.len() >= KEPT && !sums.contains_key(tenant) {
            sums.clear();
        }
        sums.entry(tenant.clone()).or_default().grown
    }

    /// They said so. What grew meanwhile may be in that, and counts twice then, until the sum is taken anew. Of several who
    /// asked at the same time the first is heard: what changed since is known exactly.
    fn keep(&self, tenant: &TenantId, said: i64, before: i64) -> u64 {
        let mut sums = self.0.lock();
        let sum = sums.entry(tenant.clone()).or_default();
        if let Some((bytes, taken)) = sum.taken
            && taken.elapsed() < FRESH
        {
            return bytes.max(0).cast_unsigned();
        }
        let bytes = said.saturating_add(sum.grown.saturating_sub(before).max(0));
        sum.taken = Some((bytes, Instant::now()));
        bytes.max(0).cast_unsigned()
    }
}

impl Shared {
    /// What a tenant's rooms hold.
    pub(super) async fn stored_bytes(&self, tenant: &TenantId) -> Result<u64, StoreError> {
        if let Some(bytes) = self.stored.fresh(tenant) {
            return Ok(bytes);
        }
        let before = self.stored.begin(tenant);
        let counts = self.ask_partitions(|names, pipeline| {
            pipeline.cmd("HGET").arg(format!("{names}count/{tenant}")).arg("bytes");
        });
        let mut bytes = 0;
        for (_, value) in counts.await? {
            bytes += super::answer::number(&value)?;
        }
        Ok(self.stored.keep(tenant, bytes, before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_while_partitions_are_asked_is_not_lost() {
        let (stored, acme) = (Stored::default(), TenantId::parse("acme").unwrap());
        assert_eq!(stored.fresh(&acme), None);
        let before = stored.begin(&acme);
        stored.change(&acme, 30);
        stored.change(&acme, -10);
        assert_eq!(stored.fresh(&acme), None);
        assert_eq!(stored.keep(&acme, 100, before), 130);
        stored.change(&acme, -20);
        assert_eq!(stored.fresh(&acme), Some(110));
        assert_eq!(stored.keep(&acme, 500, before), 110, "another was heard before");
        let stored = Stored::default();
        assert_eq!(stored.keep(&acme, 50, stored.begin(&acme)), 50);
    }
}
