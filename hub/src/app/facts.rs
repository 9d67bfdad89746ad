//! What health and metrics tell of the hub.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::names::TenantId;
use crate::http::{Facts, Readiness};
use crate::session::Services;
use crate::telemetry::Figures;

/// Facts from the real parts.
pub(super) struct HubFacts(pub(super) Arc<Services>);

impl Facts for HubFacts {
    fn readiness(&self) -> Readiness {
        Readiness {
            draining: self.0.is_draining(),
            out_of_service: !self.0.is_in_service(),
            store: self.0.store.figures(),
            sessions: self.0.sessions.len() as u64,
        }
    }

    fn metrics(&self) -> String {
        let mut tenants: BTreeMap<TenantId, u64> = BTreeMap::new();
        for live in self.0.sessions.all() {
            *tenants.entry(live.user().tenant.clone()).or_default() += 1;
        }
        self.0.metrics.render(&Figures {
            store: self.0.store.figures(),
            rooms: self.0.delivery.rooms().len() as u64,
            sessions_limit: self.0.limits.sessions.node as u64,
            sessions_by_tenant: tenants.into_iter().collect(),
        })
    }
}
