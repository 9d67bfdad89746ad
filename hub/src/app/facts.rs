//! What health and metrics tell of the hub.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bus::registry::redis::RedisRegistry;
use crate::domain::names::TenantId;
use crate::http::{Facts, Readiness};
use crate::session::Services;
use crate::session::owners::Owners;
use crate::telemetry::{Figures, NodesFigures};

/// Facts from the real parts.
pub(super) struct HubFacts {
    pub(super) services: Arc<Services>,
    /// Connections on the gRPC port.
    pub(super) owners: Owners,
    /// Where there may be other nodes.
    pub(super) registry: Option<RedisRegistry>,
}

impl HubFacts {
    fn nodes(&self) -> Option<NodesFigures> {
        let feed = self.services.delivery.feed()?;
        Some(NodesFigures {
            bus: feed.figures(),
            logs: feed.counts(),
            sessions: self.services.presence.figures_of_nodes().unwrap_or_default(),
            registry: self.registry.as_ref().map(RedisRegistry::figures).unwrap_or_default(),
        })
    }
}

impl Facts for HubFacts {
    fn readiness(&self) -> Readiness {
        Readiness {
            draining: self.services.is_draining(),
            in_service: self.services.is_in_service(),
            store: self.services.store.figures(),
            sessions: self.services.sessions.len() as u64,
        }
    }

    fn metrics(&self) -> String {
        let mut tenants: BTreeMap<TenantId, u64> = BTreeMap::new();
        for live in self.services.sessions.all() {
            *tenants.entry(live.user().tenant.clone()).or_default() += 1;
        }
        self.services.metrics.render(&Figures {
            store: self.services.store.figures(),
            rooms: self.services.delivery.rooms().len() as u64,
            sessions_limit: self.services.limits.sessions.node as u64,
            sessions_by_tenant: tenants.into_iter().collect(),
            connections: self.owners.figures(),
            nodes: self.nodes(),
        })
    }
}
