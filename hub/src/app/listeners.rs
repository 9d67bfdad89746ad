//! Who hears of commits, in this order: the executor forgets what is no longer so, then delivery passes it on.

use std::sync::{Arc, OnceLock, Weak};

use crate::delivery::Delivery;
use crate::session::Services;
use crate::store::{Change, CommitSink};

/// The store's listeners. The store is opened before the services exist, so they are named later; no commit comes in
/// between.
pub(super) struct Listeners {
    delivery: Arc<Delivery>,
    services: OnceLock<Weak<Services>>,
}

impl Listeners {
    pub(super) fn new(delivery: Arc<Delivery>) -> Self {
        Self { delivery, services: OnceLock::new() }
    }

    pub(super) fn name(&self, services: &Arc<Services>) {
        self.services.get_or_init(|| Arc::downgrade(services));
    }
}

impl CommitSink for Listeners {
    fn committed(&self, changes: &[Change]) {
        if let Some(services) = self.services.get().and_then(Weak::upgrade) {
            for change in changes {
                services.executor.invalidate(change);
                match change {
                    Change::Erased { user } => services.forget(user),
                    Change::Revoked(revocation) => services.revocations.learn(revocation),
                    _ => {}
                }
            }
        }
        self.delivery.committed(changes);
    }
}
