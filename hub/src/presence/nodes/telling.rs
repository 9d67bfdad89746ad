//! What this node tells of its own sessions: batches that count up, without I/O.

use rustc_hash::FxHashMap;

use crate::bus::registry::Writing;
use crate::bus::sessions::{Batch, Follows, Life, Told};
use crate::domain::limits::PRESENCE_TOLD;
use crate::domain::names::TenantId;

/// What the others have been told.
#[derive(Debug, Default)]
pub(super) struct Telling {
    /// The last batch's number.
    counter: u64,
    /// Of each tenant of which something is kept the last batch's number; 0 where it is not known what is kept.
    tenants: FxHashMap<TenantId, u64>,
}

impl Telling {
    /// Whether a tenant is to be told whole.
    pub(super) fn is_whole(&self, tenant: &TenantId) -> bool {
        self.tenants.get(tenant).is_none_or(|counter| *counter == 0)
    }

    /// A batch of a tenant, and what is to be kept of it. Where [`Self::is_whole`] says so, `told` are all of the tenant's
    /// sessions. `is_last`: there are no sessions any more.
    pub(super) fn batch(
        &mut self,
        life: Life,
        tenant: &TenantId,
        told: Vec<Told>,
        is_last: bool,
        message: impl FnOnce(&Batch) -> bytes::Bytes,
    ) -> Writing {
        self.counter += 1;
        let before = self.tenants.insert(tenant.clone(), 0).unwrap_or(0);
        let (mut set, mut gone) = (Vec::new(), Vec::new());
        for one in &told {
            match &one.record {
                Some(record) => set.push((one.session, record.encode())),
                None => gone.push(one.session),
            }
        }
        let is_long = told.len() > PRESENCE_TOLD;
        let follows = match before {
            _ if is_long => Follows::Registry,
            0 => Follows::Nothing,
            before => Follows::Batch(before),
        };
        let told = if is_long { Vec::new() } else { told };
        let batch = Batch { life, follows, counter: self.counter, told };
        let (tenant, counter, follows) = (tenant.clone(), self.counter, (before > 0).then_some(before));
        Writing { tenant, life, counter, follows, is_last, set, gone, message: message(&batch) }
    }

    /// A batch was kept and published. Without this the tenant is told whole the next time.
    pub(super) fn was_told(&mut self, tenant: &TenantId, counter: u64, is_last: bool) {
        if is_last {
            self.tenants.remove(tenant);
        } else if let Some(known) = self.tenants.get_mut(tenant) {
            *known = counter;
        }
    }

    /// Nothing that was told counts any more. Gives the tenants that are to be told anew.
    pub(super) fn begin_anew(&mut self) -> Vec<TenantId> {
        self.tenants.drain().map(|(tenant, _)| tenant).collect()
    }
}
