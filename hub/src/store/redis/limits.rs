//! Bounds of this adapter's own.

use std::time::Duration;

/// Outcomes that may wait and be on their way in all, as a multiple of those of one partition that may wait.
pub(super) const QUEUES: u64 = 16;
/// Bytes of all those, about: past that nothing is taken on.
pub(super) const QUEUED_BYTES: u64 = 256 << 20;
/// Outcomes that go to a server in one piece.
pub(super) const BATCH: usize = 128;
/// Pieces that are on their way to a server at a time.
pub(super) const DEPTH: usize = 2;
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
/// Those who wait for replicas of one server at a time.
pub(super) const WAITERS: usize = 1_024;
/// Logs whose durable heads are known.
pub(super) const LOGS_KNOWN: usize = 65_536;
/// Looks in which each partition has its turn.
pub(super) const TURNS: u16 = 8;
/// Rooms that are trimmed at a time.
pub(super) const TRIMS_AT_ONCE: usize = 32;
/// A room that cannot be trimmed is tried again after this.
pub(super) const PUT_OFF: Duration = Duration::from_hours(1);
/// Rooms that cannot be trimmed of which it is said, at most.
pub(super) const PUT_OFF_KNOWN: usize = 1_000;
/// How often it is looked whether all rooms have been gone over, and how soon where that failed, or others are at it.
pub(super) const PASS_EVERY: Duration = Duration::from_mins(10);
pub(super) const PASS_AGAIN: Duration = Duration::from_mins(1);
/// Whoever goes over a partition and is not heard of for so long has given up.
pub(super) const PASS_HELD: Duration = Duration::from_mins(1);
/// How long a partition counts as gone over: nodes that knew other rules may have written to it since.
pub(super) const PASS_HOLDS: Duration = Duration::from_hours(6);
/// Revocations that a node can give again where Redis has lost them; about 200 bytes each.
pub(super) const REVOCATIONS_KEPT: usize = 10_000;
/// Revocations that are looked for in one command.
pub(super) const REVOCATIONS_ASKED: usize = 500;
/// A node that was not heard of for so long before its server ended was gone, and what it wrote is on the disk: the log
/// reaches it within two seconds, and a node says more often that it is there.
pub(super) const SILENT: Duration = Duration::from_secs(10);
/// A node that starts waits so long for those who were there to say that nothing is lost, and asks again after the other.
pub(super) const OTHERS_WAIT: Duration = Duration::from_secs(3);
pub(super) const OTHERS_ASKED: Duration = Duration::from_millis(200);
/// Effects that have waited for so long are applied by whoever finds them: who put them in has gone, or is held up. So long, too,
/// a reply waits for its own at most, and those of other targets for one that does not answer.
pub(super) const EFFECTS_WAIT: Duration = Duration::from_secs(2);
/// What was refused for now, as of a slot that is being migrated, is asked again after this, and then after twice as long each time up to the
/// other: a slot takes milliseconds.
pub(super) const ASKED_AGAIN: Duration = Duration::from_millis(10);
pub(super) const ASKED_AGAIN_MOST: Duration = Duration::from_millis(160);
/// Slots in which a server is written, one after the other, where the first are on their way to another server.
pub(super) const BEATS: usize = 4;
