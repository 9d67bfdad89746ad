//! How a store is opened, and why it may refuse.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::limits;
use crate::domain::namespace::Namespaces;
use crate::domain::time::Timestamp;
use crate::redis::{self, Durability, LinkError};
use crate::store::{CommitSink, StoreError};

/// Where a store reads the time.
pub(super) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How to open a store. Build it with [`Options::new`] and change what differs.
#[derive(Clone)]
pub struct Options {
    /// Where Redis is.
    pub redis: redis::Options,
    /// The rules that rooms are under: retention, history before joining, latest per key.
    pub namespaces: Arc<Namespaces>,
    /// Who is told of commits.
    pub sink: Arc<dyn CommitSink>,
    /// This node's number, by which it knows its own messages from others'.
    pub node: u64,
    /// When a commit is acknowledged, and told to others.
    pub durability: Durability,
    /// Whether servers that do not keep what that promises are refused; else it is logged.
    pub strict: bool,
    /// Outcomes that may wait for each partition; past that, or sixteen times as many or 256 MiB in all,
    /// [`StoreError::Overloaded`].
    pub queue: usize,
    /// Idempotency keys that are remembered, in all partitions; about 170 bytes of Redis' memory each.
    pub idempotency_keys: usize,
    /// How often what is due is looked for: what retention removes, effects that wait.
    pub sweep: Duration,
    /// How long notifications that do not expire before are kept, read or not. A change is for those to come.
    pub notification_retention: Duration,
    /// How long what is revoked before an instant is kept after it; for ever where `None`.
    pub revoked_for: Option<Duration>,
    /// The time; tests drive it.
    pub clock: Clock,
    /// The time by which revocations are forgotten: Redis' own where `None`, as no node's clock may decide that for all; tests
    /// drive it.
    pub forgets_by: Option<Clock>,
}

impl Options {
    /// The defaults: see the fields.
    pub fn new(redis: redis::Options, namespaces: Arc<Namespaces>, sink: Arc<dyn CommitSink>) -> Self {
        Self {
            redis,
            namespaces,
            sink,
            node: 0,
            durability: Durability::EverySecond,
            strict: true,
            queue: 2_048,
            idempotency_keys: limits::IDEMPOTENCY_KEYS,
            sweep: Duration::from_secs(1),
            notification_retention: limits::NOTIFICATION_RETENTION,
            revoked_for: None,
            clock: Arc::new(Timestamp::now),
            forgets_by: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("redis", &self.redis).finish_non_exhaustive()
    }
}

/// Why a store could not be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no connection.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// It was connected, and then failed.
    #[error("redis cannot be used: {0}")]
    Store(#[from] StoreError),
    /// What is there was made by a newer version of Carillon.
    #[error(
        "redis holds format {found}, newer than {known}, the newest that this version of carillon knows: use a newer carillon"
    )]
    Newer {
        /// What is there.
        found: u64,
        /// The newest that is known.
        known: u64,
    },
    /// What is there is not Carillon's, or damaged.
    #[error(
        "redis holds something else under this prefix, or it is damaged: choose another redis.prefix, or restore it from a copy"
    )]
    Damaged,
    /// It does not keep what it is given, as its settings say.
    #[error("redis does not keep what it is given: {0}")]
    NotDurable(String),
    /// Commits cannot be told to other nodes.
    #[error(
        "redis does not publish: {0}; its user needs the channels of the prefix (ACL SETUSER … &carillon:*), and a cluster Redis 7.0"
    )]
    NoPublishing(String),
    /// There is no thread for it.
    #[error("no thread can be started: {0}")]
    Thread(#[from] std::io::Error),
}
