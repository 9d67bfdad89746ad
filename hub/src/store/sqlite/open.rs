//! Opening: the lock, the checks that change nothing, the schema, the recovery, the threads.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::domain::position::Epoch;

use super::checkpoint::Checkpoints;
use super::engine::{self, EngineError, Result};
use super::idempotency::Keys;
use super::identity::{self, Identity, Watermark};
use super::journal::Journal;
use super::options::{OpenError, Options};
use super::overlay::Overlay;
use super::queue::{Intake, Queue};
use super::readers::{Reader, Readers};
use super::schema;
use super::state::State;
use super::writer::{Counters, Writer};
use super::{SqliteStore, Threads};

/// The writer's cache: the ends of the log that it settles to.
const WRITER_CACHE_KIB: u32 = 128 << 10;
/// A reader's cache.
const READER_CACHE_KIB: u32 = 8 << 10;
/// What every SQLite database begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

type Opened<T> = std::result::Result<T, OpenError>;

/// Opens the store.
pub(super) fn open(options: &Options) -> Opened<SqliteStore> {
    let folder = &options.directory;
    std::fs::create_dir_all(folder).map_err(|cause| OpenError::Folder { path: folder.clone(), cause })?;
    let lock = identity::lock(folder)?;
    check(options)?;
    start(options, lock)
        .map_err(|error| OpenError::Engine { path: options.database(), cause: error.to_string() })
}

/// Gives the database a new epoch: clients then take nothing of what they hold for current. For restoring a back-up
/// where no watermark lies beside it. The store must not be open.
pub(super) fn renew_epoch(options: &Options) -> Opened<Epoch> {
    let _lock = identity::lock(&options.directory)?;
    check(options)?;
    let renew = || -> Result<Epoch> {
        let mut db = engine::connect(&options.database(), options.vfs, READER_CACHE_KIB)?;
        schema::migrate(&mut db)?;
        identity::initialise(&db)?;
        let epoch = identity::renew_epoch(&db)?;
        // Beside the old epoch's watermark the database would look restored once more.
        Watermark::new(&options.directory, epoch).write(0);
        Ok(epoch)
    };
    renew().map_err(|error| OpenError::Engine { path: options.database(), cause: error.to_string() })
}

/// Refuses what is damaged, newer or not ours. Changes nothing.
fn check(options: &Options) -> Opened<()> {
    let path = options.database();
    if options.vfs.is_none() {
        match std::fs::metadata(&path) {
            Err(_) => return Ok(()),
            Ok(metadata) if metadata.len() == 0 => return Ok(()),
            Ok(_) => check_header(&path)?,
        }
    }
    let beside = ["db-wal", "db-shm"].map(|extension| path.with_extension(extension));
    let made: Vec<_> = beside.into_iter().filter(|file| !file.exists()).collect();
    let looked = look(options);
    for file in made {
        // What the engine made beside the database only to look at it. Where there is none, that is as it should be.
        let _ = std::fs::remove_file(file);
    }
    let version = looked.map_err(|error| match error {
        EngineError::Sqlite(error) => OpenError::Damaged { path: path.clone(), what: error.to_string() },
        EngineError::Damaged(what) => OpenError::Damaged { path: path.clone(), what: what.to_owned() },
    })?;
    refuse_newer(&path, version)
}

/// Looks at the file itself, before the engine does.
fn check_header(path: &Path) -> Opened<()> {
    let damaged = |what: &str| OpenError::Damaged { path: path.to_owned(), what: what.to_owned() };
    let failed = |cause| OpenError::Folder { path: path.to_owned(), cause };
    let mut header = [0; 100];
    let mut file = File::open(path).map_err(failed)?;
    file.read_exact(&mut header).map_err(|_| damaged("it is shorter than a header"))?;
    let (magic, rest) = header.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(damaged("it is not a SQLite database"));
    }
    let number = |at: usize| {
        rest.get(at - MAGIC.len()..)
            .and_then(|rest| rest.first_chunk())
            .map_or(0, |bytes| u32::from_be_bytes(*bytes))
    };
    let (pages, version) = (u64::from(number(28)), i64::from(number(60)));
    let length = file.metadata().map_err(failed)?.len();
    let log = std::fs::metadata(path.with_extension("db-wal")).map_or(0, |metadata| metadata.len());
    if log == 0 && length < pages * 4_096 {
        return Err(damaged("it is shorter than its header says"));
    }
    refuse_newer(path, version)
}

fn refuse_newer(path: &Path, version: i64) -> Opened<()> {
    if version > schema::VERSION {
        return Err(OpenError::Newer { path: path.to_owned(), found: version, known: schema::VERSION });
    }
    Ok(())
}

/// Looks at the schema through the engine, which must not checkpoint on closing. Gives the version.
fn look(options: &Options) -> Result<i64> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let path = options.database();
    let opened = match options.vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(&path, flags, vfs),
        None => Connection::open_with_flags(&path, flags),
    };
    let db = match (opened, options.vfs) {
        (Ok(db), _) => db,
        // On another file system than the default, this is how a missing database looks.
        (Err(_), Some(_)) => return Ok(0),
        (Err(error), None) => return Err(error.into()),
    };
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let application: i64 = db.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let objects: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if objects > 0 && application != schema::APPLICATION_ID {
        return Err(EngineError::Damaged("it is not a database of carillon"));
    }
    if version == schema::VERSION {
        for table in schema::TABLES {
            db.query_row(&format!("SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT 1)"), [], |_| Ok(()))?;
        }
    }
    Ok(version)
}

fn start(options: &Options, lock: File) -> Result<SqliteStore> {
    let path = options.database();
    let mut db = engine::connect(&path, options.vfs, WRITER_CACHE_KIB)?;
    schema::migrate(&mut db)?;
    identity::initialise(&db)?;
    let last = super::recovery::replay(&mut db)?;
    let identity = Identity::load(&db, &options.directory, last)?;
    let overlay = Arc::new(Overlay::new());
    let counters = Arc::new(Counters::default());
    let state = new_state(&db, options, identity, last)?;
    counters.keys.store(state.keys.remembered() as u64, std::sync::atomic::Ordering::Relaxed);
    let watermark = Watermark::new(&options.directory, identity.epoch);
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
    let threads = Threads { writer, helper, readers: readers_threads, _lock: lock };
    Ok(SqliteStore::new(identity, queue, readers, counters, threads))
}

fn new_state(db: &Connection, options: &Options, identity: Identity, last: i64) -> Result<State> {
    Ok(State {
        names: super::names::Names::default(),
        rooms: super::rooms::Rooms::default(),
        keys,
        journal: Journal::after(last),
        trims: super::trim::TrimQueue::default(),
        outbox: super::outbox::Outbox::load(db)?,
        namespaces: Arc::clone(&options.namespaces),
        epoch: identity.epoch,
        unsettled: options.unsettled,
        unsettled_bytes: options.unsettled_bytes,
        notification_retention: options.notification_retention,
        now: (options.clock)(),
        changes: Vec::new(),
        publish: Vec::new(),
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
