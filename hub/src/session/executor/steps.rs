//! What a command does at the store, as steps of its trace.

use crate::domain::error::ErrorCode;
use crate::store::{CommitError, Committed, Outcome, Store};
use crate::telemetry::traces;

/// Queues an outcome, at once, and waits until it is committed.
pub(super) fn commit(
    store: &dyn Store,
    outcome: Outcome,
) -> impl Future<Output = Result<Committed, CommitError>> + Send {
    let (step, committing) = (traces::step("commit"), store.commit(outcome));
    async move {
        let committed = committing.await;
        if let Some(step) = step {
            step.ends(committed.as_ref().map_err(|error| match error {
                CommitError::Condition(_) => ErrorCode::Conflict,
                _ => ErrorCode::Unavailable,
            }));
        }
        committed
    }
}
