//! What the server tells of the hub.

use crate::store::StoreFigures;

/// Where the answers come from. Called for each request, so it must be quick and must not wait.
pub trait Facts: Send + Sync + 'static {
    /// Whether the hub takes new sessions, and figures.
    fn readiness(&self) -> Readiness;

    /// All metrics, in Prometheus' text format.
    fn metrics(&self) -> String;
}

/// Whether the hub takes new sessions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Readiness {
    /// Whether it is stopping.
    pub draining: bool,
    /// Whether its store is there and commits, other nodes are heard, and they take this one to be there; or not for so short
    /// a time that nobody need go elsewhere.
    pub in_service: bool,
    /// The store's figures.
    pub store: StoreFigures,
    /// Sessions open now.
    pub sessions: u64,
}

impl Readiness {
    /// The state in a word.
    pub fn status(&self) -> &'static str {
        if !self.in_service && !self.store.healthy {
            "store_unhealthy"
        } else if !self.in_service {
            "out_of_service"
        } else if self.draining {
            "draining"
        } else {
            "ready"
        }
    }

    /// Whether new sessions may come.
    pub fn is_ready(&self) -> bool {
        self.in_service && !self.draining
    }
}
