//! Bounds of this adapter's own.

use std::time::Duration;

/// Lanes: each home's outcomes go through one of them.
pub(super) const LANES: usize = 16;
/// Outcomes of a lane that are on their way at a time.
pub(super) const IN_FLIGHT: usize = 256;
/// Effects of one item of an outbox, at most; whoever causes more is answered before they are applied.
pub(super) const SLICE: usize = 128;
/// Items of an outbox that are read at a time.
pub(super) const ITEMS: usize = 16;
/// Newest broadcasts of a tenant that are looked at to count those that are unread: more than
/// [`INBOX_COUNTED`](crate::domain::limits::INBOX_COUNTED), as some are read.
pub(super) const BROADCASTS: usize = 4_000;
/// Tenants whose broadcasts are kept in memory.
pub(super) const BROADCASTS_CACHED: usize = 500;
/// Entries that one step of an erasure looks at, about.
pub(super) const ERASED_AT_ONCE: u64 = 2_000;
/// Walks over the rooms of a user who is erased, at most: who writes on meanwhile is not followed for ever.
pub(super) const WALKS: u32 = 8;
/// Things that are due in a partition that one look takes up.
pub(super) const DUE_AT_ONCE: usize = 128;
/// Commands that are sent in one piece where all partitions are asked.
pub(super) const PARTITIONS_AT_ONCE: usize = 128;
/// How often the numbers of idempotency keys are read anew: other nodes add some.
pub(super) const KEYS_INTERVAL: Duration = Duration::from_secs(60);
/// Audit heads that are kept, of all chains.
pub(super) const AUDIT_HEADS: u32 = 10_000;
