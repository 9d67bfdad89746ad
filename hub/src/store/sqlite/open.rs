//! Opening: the lock, the checks that change nothing ([`check`](super::check)), the schema, the recovery, the threads.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::sync::Arc;
use std::thread::JoinHandle;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::domain::position::Epoch;

use super::check::{Found, check};
use super::checkpoint::Checkpoints;
use super::engine::{self, EngineError, Result};
use super::idempotency::Keys;
use super::identity::{self, FolderLock, Identity};
use super::journal::Journal;
use super::options::{OpenError, Options};
use super::outbox::Outbox;
use super::overlay::Overlay;
use super::queue::{Intake, Queue};
use super::readers::{Reader, Readers};
use super::schema;
use super::state::State;
use super::watermark::Watermark;
use super::writer::{Counters, Writer};
use super::{SqliteStore, Threads};

/// The writer's cache: the ends of the log that it settles to.
const WRITER_CACHE_KIB: u32 = 128 << 10;
/// A reader's cache.
const READER_CACHE_KIB: u32 = 8 << 10;

type Opened<T> = std::result::Result<T, OpenError>;

/// Opens the store.
pub(super) fn open(options: &Options) -> Opened<SqliteStore> {
    let folder = &options.directory;
    // What people write to each other is for the owner alone; a folder that is there stays as it is.
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|cause| OpenError::Folder { path: folder.clone(), cause })?;
    let lock = identity::lock(folder)?;
    let found = check(options)?;
    if options.vfs.is_none() {
        // SQLite makes its other files as open as this one.
        let path = options.database();
        let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        made.map_err(|cause| OpenError::Folder { path, cause })?;
    }
    start(options, lock, found)
        .map_err(|error| OpenError::Engine { path: options.database(), cause: error.to_string() })
}

/// Gives the database a new epoch: clients then take nothing of what they hold for current. The store must not be open.
pub(super) fn renew_epoch(options: &Options) -> Opened<Epoch> {
    let path = options.database();
    if options.vfs.is_none()
        && let Err(cause) = std::fs::metadata(&path)
    {
        return Err(OpenError::Folder { path, cause });
    }
    let _lock = identity::lock(&options.directory)?;
    check(options)?;
    let renew = || -> Result<Epoch> {
        let mut db = engine::connect(&options.database(), options.vfs, READER_CACHE_KIB)?;
        schema::migrate(&mut db)?;
        identity::initialise(&db)?;
        let epoch = identity::renew_epoch(&db)?;
        // Beside the old epoch's watermark the database would look restored once more.
        Watermark::new(&options.directory, &options.database()).begin(epoch, 0);
        Ok(epoch)
    };
    renew().map_err(|error| OpenError::Engine { path: options.database(), cause: error.to_string() })
}

fn start(options: &Options, lock: FolderLock, found: Option<Found>) -> Result<SqliteStore> {
    let path = options.database();
    let mut db = engine::connect(&path, options.vfs, WRITER_CACHE_KIB)?;
    // Where this goes no further, what is there stays where it is.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    schema::migrate(&mut db)?;
    let is_new = identity::initialise(&db)?;
    let last = super::recovery::replay(&mut db)?;
    let mut watermark = Watermark::new(&options.directory, &path);
    let identity = Identity::load(&db, &mut watermark, (last, is_new))?;
    let overlay = Arc::new(Overlay::new());
    let counters = Arc::new(Counters::default());
    let state = new_state(&db, options, (identity, last), found)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    counters.keys.store(state.keys.remembered() as u64, std::sync::atomic::Ordering::Relaxed);
    let progress = Arc::clone(&counters.progress);
    let (mut checkpoints, helper) =
        Checkpoints::new(&mut db, progress, (path.clone(), options.vfs), watermark)?;
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    checkpoints.advance(&db, last)?;
    let queue = Arc::new(Queue::new(options.queue));
    let writer = Writer {
        db,
        state,
        checkpoints,
        queue: Intake(Arc::clone(&queue)),
        overlay: Arc::clone(&overlay),
        sink: Arc::clone(&options.sink),
        counters: Arc::clone(&counters),
        clock: Arc::clone(&options.clock),
        group: options.group,
        idle: options.idle,
        sweep: options.sweep,
        erasures: std::collections::VecDeque::new(),
        turn: super::writer::Background::default(),
        appended: 0,
    };
    let pool = (0..options.readers.max(1))
        .map(|_| {
            let db = engine::connect_reader(&path, options.vfs, READER_CACHE_KIB)?;
            Ok(Reader::new(db, Arc::clone(&overlay), identity.epoch, Arc::clone(&options.clock)))
        })
        .collect::<Result<Vec<_>>>()?;
    let (readers, readers_threads) = Readers::start(pool, options.read_queue).map_err(|_| no_thread())?;
    let writer = spawn("store-writer", move || writer.run())?;
    let helper = spawn("store-checkpoint", move || helper.run())?;
    let threads = Threads { writer, helper, readers: readers_threads, lock };
    Ok(SqliteStore::new(identity, queue, readers, counters, threads))
}

fn new_state(
    db: &Connection,
    options: &Options,
    (identity, last): (Identity, i64),
    found: Option<Found>,
) -> Result<State> {
    let Found { keys, outbox } = match found {
        Some(found) => found,
        None => Found {
            keys: Keys::load(db, identity.secret, options.idempotency_keys)?,
            outbox: Outbox::load(db)?,
        },
    };
    Ok(State {
        names: super::names::Names::default(),
        rooms: super::rooms::Rooms::default(),
        keys,
        journal: Journal::after(last),
        trims: super::trim::TrimQueue::default(),
        outbox,
        namespaces: Arc::clone(&options.namespaces),
        epoch: identity.epoch,
        unsettled: options.unsettled,
        unsettled_bytes: options.unsettled_bytes,
        notification_retention: options.notification_retention,
        revoked_for: options.revoked_for,
        now: (options.clock)(),
        changes: Vec::new(),
        publish: Vec::new(),
        stored: rustc_hash::FxHashMap::default(),
        wrote: false,
        random: db.query_row("SELECT random()", [], |row| row.get::<_, i64>(0))? as u64,
    })
}

fn spawn<T: Send + 'static>(name: &str, run: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|_| no_thread())
}

fn no_thread() -> EngineError {
    EngineError::Damaged("no thread could be started")
}
