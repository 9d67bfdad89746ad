//! How a store is opened, and why it may refuse.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::limits;
use crate::domain::namespace::Namespaces;
use crate::domain::time::Timestamp;
use crate::store::CommitSink;

/// Where a store reads the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How to open a store. Build it with [`Options::new`] and change what differs.
#[derive(Clone)]
pub struct Options {
    /// The data folder; made where it is missing.
    pub directory: PathBuf,
    /// The rules that rooms are under: retention, history before joining, latest per key.
    pub namespaces: Arc<Namespaces>,
    /// Who is told of commits.
    pub sink: Arc<dyn CommitSink>,
    /// Outcomes that may wait in each lane (rooms, inboxes, tenants); past that
    /// [`StoreError::Overloaded`](crate::store::StoreError::Overloaded).
    pub queue: usize,
    /// Outcomes that are committed in one group.
    pub group: usize,
    /// Threads that read, each with a connection of its own.
    pub readers: usize,
    /// Reads that may wait; past that [`StoreError::Overloaded`](crate::store::StoreError::Overloaded).
    pub read_queue: usize,
    /// Appends that stay in the journal before they move home: more means denser moves and a longer recovery. About
    /// 300 bytes each in memory, with their content.
    pub unsettled: usize,
    /// Bytes of entries that stay in the journal, and so in memory, at most; about.
    pub unsettled_bytes: usize,
    /// Idempotency keys that are remembered; about 32 bytes of memory each.
    pub idempotency_keys: usize,
    /// After this long without an outcome, what is unsettled moves home.
    pub idle: Duration,
    /// How often retention looks through the rooms.
    pub sweep: Duration,
    /// How long notifications that do not expire before are kept, read or not. A change is for those to come.
    pub notification_retention: Duration,
    /// How long what is revoked before an instant is kept after it; for ever where `None`.
    pub revoked_for: Option<Duration>,
    /// The time; tests drive it.
    pub clock: Clock,
    /// A registered SQLite file system other than the default: tests lose power through it.
    pub vfs: Option<&'static str>,
}

impl Options {
    /// The defaults: see the fields.
    pub fn new(
        directory: impl Into<PathBuf>,
        namespaces: Arc<Namespaces>,
        sink: Arc<dyn CommitSink>,
    ) -> Self {
        Self {
            directory: directory.into(),
            namespaces,
            sink,
            queue: 8_192,
            group: 512,
            readers: 2,
            read_queue: 8_192,
            unsettled: 65_536,
            unsettled_bytes: 64 << 20,
            idempotency_keys: limits::IDEMPOTENCY_KEYS,
            idle: Duration::from_secs(1),
            sweep: Duration::from_secs(10),
            notification_retention: limits::NOTIFICATION_RETENTION,
            revoked_for: None,
            clock: Arc::new(Timestamp::now),
            vfs: None,
        }
    }

    /// The database file.
    pub(super) fn database(&self) -> PathBuf {
        self.directory.join("carillon.db")
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// Why a store could not be opened. Nothing on disk was changed but where the cause is [`OpenError::Engine`] or
/// [`OpenError::Folder`].
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the data folder {0} is in use by another process")]
    InUse(PathBuf),
    /// The folder or a file in it cannot be used.
    #[error("the data folder {path} cannot be used: {cause}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The database was made by a newer version of Carillon.
    #[error(
        "the database {path} has version {found}, newer than {known}, the newest that this version of carillon knows: use a newer carillon"
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest that is known.
        known: i64,
    },
    /// The database is damaged, or is not one of Carillon's.
    #[error("the database {path} is damaged: {what}; restore it from a back-up")]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The engine failed.
    #[error("the database {path} cannot be opened: {cause}")]
    Engine {
        /// The database.
        path: PathBuf,
        /// What the engine said.
        cause: String,
    },
}
