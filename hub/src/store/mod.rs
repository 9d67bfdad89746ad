//! The store port: what is durable, and the one atomic step in which it changes.
//!
//! An area decides on an [`Outcome`]; [`Store::commit`] checks its conditions at the home, deduplicates, assigns places
//! and makes it durable, all or nothing. What was committed goes to the [`CommitSink`] in commit order, which is how
//! delivery learns of it. Reads answer from committed state and include everything whose commit was acknowledged
//! before the read began.

mod creation;
mod filling;
mod merging;
mod outcome;
mod port;
mod query;
mod reactions;
pub mod redis;
mod refusal;
pub mod sqlite;

pub use outcome::{CommitError, Committed, Condition, Current, Effect, Home, Idempotency, Outcome, Write};
pub use port::{
    Change, CommitSink, Erased, Reading, RevocationPage, ServerFigures, Store, StoreError, StoreFigures,
    TenantFigures,
};
pub use query::{
    EntryPage, EntryRange, InboxLog, InboxPage, InboxQuery, Log, PageBound, RoomPage, RoomsQuery,
};
pub use refusal::{refuse, refuse_commit};
