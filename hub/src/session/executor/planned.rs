//! What was decided and is to be committed.

use crate::access::storage::Reserved;
use crate::session::executor::steps;
use crate::store::{CommitError, Committed, Idempotency, Outcome, Store};

/// An outcome with what it takes.
pub(super) struct Planned<'a> {
    pub(super) outcome: Outcome,
    /// Whether it changes nothing.
    pub(super) needless: bool,
    /// What it adds to the tenant's storage, where it does.
    pub(super) reserved: Option<Reserved<'a>>,
}

impl Planned<'_> {
    /// Queues it, after which `queued` is called, and waits for what becomes of it.
    pub(super) async fn commit(
        mut self,
        store: &dyn Store,
        key: Option<&Idempotency>,
        queued: impl FnOnce(),
    ) -> Result<Committed, CommitError> {
        self.outcome.idempotency = key.cloned();
        let committing = steps::commit(store, self.outcome);
        queued();
        let committed = committing.await;
        if let Some(reserved) = self.reserved {
            reserved.settle(&committed);
        }
        committed.map(|committed| Committed { duplicate: committed.duplicate || self.needless, ..committed })
    }

    /// It is decided on anew, or not at all.
    pub(super) fn give_up(self) {
        if let Some(reserved) = self.reserved {
            reserved.give_back();
        }
    }
}
