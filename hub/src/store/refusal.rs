//! What a caller is told when the store did not do it.

use std::time::Duration;

use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::limits;

use super::outcome::CommitError;
use super::port::StoreError;

/// What a caller is told of a failed read: UNAVAILABLE or INTERNAL. The engine's own words go to the log alone.
pub fn refuse(error: StoreError) -> Refusal {
    match error {
        StoreError::Unavailable => ErrorCode::Unavailable.into(),
        StoreError::Overloaded => after(ErrorCode::Unavailable, limits::OVERLOADED_RETRY_AFTER),
        StoreError::Engine(reason) => {
            tracing::error!(%reason, "the store failed");
            ErrorCode::Internal.into()
        }
    }
}

/// What a caller is told of a failed commit. A failed condition that was not decided again is CONFLICT.
pub fn refuse_commit(error: CommitError) -> Refusal {
    match error {
        CommitError::Condition(_) | CommitError::KeyReused => ErrorCode::Conflict.into(),
        CommitError::StateFull => Refusal::invalid("key", "a room's state holds at most 1000 keys and 1 MiB"),
        CommitError::ReactionsFull => Refusal::invalid("seq", "a message with fewer than 1000 reactions"),
        CommitError::TooManyKeys => after(ErrorCode::RateLimited, limits::KEYS_RETRY_AFTER),
        CommitError::Store(error) => refuse(error),
    }
}

fn after(code: ErrorCode, wait: Duration) -> Refusal {
    Refusal { retry_after: Some(wait), ..code.into() }
}
