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

struct Sum {
    bytes: i64,
    taken: Instant,
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
            sum.bytes += by;
        }
    }

    fn fresh(&self, tenant: &TenantId) -> Option<u64> {
        let sums = self.0.lock();
        let sum = sums.get(tenant).filter(|sum| sum.taken.elapsed() < FRESH)?;
        Some(sum.bytes.max(0).cast_unsigned())
    }

    fn keep(&self, tenant: &TenantId, bytes: i64) {
        let mut sums = self.0.lock();
        if sums.len() >= KEPT {
            sums.clear();
        }
        sums.insert(tenant.clone(), Sum { bytes, taken: Instant::now() });
    }
}

impl Shared {
    /// What a tenant's rooms hold.
    pub(super) async fn stored_bytes(&self, tenant: &TenantId) -> Result<u64, StoreError> {
        if let Some(bytes) = self.stored.fresh(tenant) {
            return Ok(bytes);
        }
        let counts = self.ask_partitions(|names, pipeline| {
            pipeline.cmd("HGET").arg(format!("{names}count/{tenant}")).arg("bytes");
        });
        let mut bytes = 0;
        for (_, value) in counts.await? {
            bytes += super::answer::number(&value)?;
        }
        self.stored.keep(tenant, bytes);
        Ok(bytes.max(0).cast_unsigned())
    }
}
