//! Tokens that a revocation reached by when they were shown here first: they are kept as revoked by themselves.

use std::sync::Arc;

use futures::{StreamExt, stream};

use crate::domain::error::{ErrorCode, Refusal};

use super::services::Services;

/// So many are written at a time.
const AT_A_TIME: usize = 64;

impl Services {
    /// Keeps those that there are, and waits for those that are being kept. `UNAVAILABLE` where the store does not take one,
    /// which is kept later.
    pub async fn keep_reached(&self) -> Result<(), Refusal> {
        let _turn = self.upkeep.keeping.lock().await;
        let reached = stream::iter(self.revocations.take_reached()).map(|revocation| async {
            let kept = self.store.revoke(revocation.clone()).await;
            kept.err().map(|_| revocation)
        });
        let left: Vec<_> = reached.buffer_unordered(AT_A_TIME).filter_map(std::future::ready).collect().await;
        if left.is_empty() {
            return Ok(());
        }
        self.revocations.give_back(left);
        Err(ErrorCode::Unavailable.into())
    }

    /// The same beside what goes on.
    pub(super) fn begin_to_keep_reached(self: &Arc<Self>) {
        let is_keeping = self.upkeep.keeping.try_lock().is_err();
        if !is_keeping && self.revocations.have_reached() {
            let services = Arc::clone(self);
            tokio::spawn(async move {
                // What is left is tried again.
                let _ = services.keep_reached().await;
            });
        }
    }
}
