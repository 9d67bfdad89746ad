//! Opening the embedded store: what it refuses, what it recognises, and how it comes back.
#![allow(clippy::unwrap_used, clippy::panic, clippy::pedantic)] // A test that fails panics.

mod damaged;
mod older;
mod restored;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use carillon_hub::domain::content::{Content, Pairs};
use carillon_hub::domain::entry::{EntryBody, Message};
use carillon_hub::domain::names::{IdempotencyKey, RoomName, TenantId, UserId};
use carillon_hub::domain::namespace::{NamespaceRules, Namespaces};
use carillon_hub::domain::position::Seq;
use carillon_hub::store::sqlite::{OpenError, Options, SqliteStore};
use carillon_hub::store::{Change, CommitSink, Home, Idempotency, Outcome, Store, StoreError, Write};
use futures::executor::block_on;

struct Ignored;

impl CommitSink for Ignored {
    fn committed(&self, _changes: &[Change]) {}
}

fn options(folder: &Path) -> Options {
    let namespaces = Arc::new(Namespaces::new(vec![NamespaceRules::closed("room")]));
    Options { unsettled: 20, ..Options::new(folder, namespaces, Arc::new(Ignored)) }
}

fn send(content: &str) -> Outcome {
    let message = Message::new(Content::text(content, "").unwrap(), None, Pairs::default());
    append(EntryBody::Message(message))
}

fn append(body: EntryBody) -> Outcome {
    Outcome {
        tenant: TenantId::parse("acme").unwrap(),
        home: Home::Room(RoomName::parse("room:a").unwrap()),
        actor: UserId::parse("alice").unwrap(),
        by_service: false,
        idempotency: None,
        conditions: Vec::new(),
        writes: vec![Write::Append(body)],
        effects: Vec::new(),
    }
}

/// A folder with a closed store of some messages.
fn used_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(folder.path())).unwrap();
    for turn in 0..100 {
        block_on(store.commit(send(&format!("message {turn}")))).unwrap();
    }
    block_on(store.close());
    folder
}

/// Everything in a folder but the lock.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap())
        .map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap()))
        .filter(|(name, _)| name != "carillon.lock")
        .collect()
}

/// Refused, with nothing changed.
fn refusal(folder: &Path) -> OpenError {
    let before = contents(folder);
    let Err(refused) = SqliteStore::open(&options(folder)) else { panic!("it was opened") };
    assert!(contents(folder) == before, "something changed: {refused}");
    refused
}

fn engine(folder: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(folder.join("carillon.db")).unwrap()
}

#[test]
fn a_newer_database_is_refused_unchanged() {
    let folder = used_folder();
    engine(folder.path()).execute_batch("PRAGMA user_version = 99").unwrap();
    let refused = refusal(folder.path());
    assert!(matches!(refused, OpenError::Newer { found: 99, .. }), "{refused}");
    assert!(refused.to_string().contains("carillon.db"));
}

#[test]
fn a_damaged_database_is_refused_unchanged() {
    let whole = std::fs::read(used_folder().path().join("carillon.db")).unwrap();
    let mut no_magic = whole.clone();
    no_magic[3] = b'?';
    let mut no_schema = whole.clone();
    no_schema[100..1_000].fill(0xff);
    let short = whole[..(whole.len() / 2) & !4_095].to_vec();
    for (what, bytes) in [
        ("text", b"this is no database at all, just some text".to_vec()),
        ("magic", no_magic),
        ("schema", no_schema),
        ("short", short),
        ("header", whole[..60].to_vec()),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("carillon.db"), bytes).unwrap();
        let refused = refusal(folder.path());
        assert!(matches!(refused, OpenError::Damaged { .. }), "{what}: {refused}");
    }
}

#[test]
fn a_database_that_is_gone_is_not_begun_anew_over_what_is_left_of_it() {
    for (what, removed) in
        [("both", None), ("watermark", Some("carillon.db-wal")), ("log", Some("carillon.watermark"))]
    {
        for gone in [true, false] {
            let folder = used_folder();
            let database = folder.path().join("carillon.db");
            std::fs::write(folder.path().join("carillon.db-wal"), b"the last commits").unwrap();
            if let Some(file) = removed {
                std::fs::remove_file(folder.path().join(file)).unwrap();
            }
            if gone { std::fs::remove_file(&database) } else { std::fs::write(&database, b"") }.unwrap();
            let refused = refusal(folder.path());
            assert!(matches!(refused, OpenError::Damaged { .. }), "{what}: {refused}");
            assert!(refused.to_string().contains("to begin anew"), "{what}: {refused}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("carillon.db"), b"").unwrap();
    assert!(SqliteStore::open(&options(folder.path())).is_ok(), "nothing says that it was here");
}

#[test]
fn a_database_that_has_lost_its_version_is_refused_unchanged() {
    let folder = used_folder();
    engine(folder.path()).execute_batch("PRAGMA user_version = 0").unwrap();
    let refused = refusal(folder.path());
    assert!(matches!(&refused, OpenError::Damaged { what, .. } if what.contains("version")), "{refused}");
}

#[test]
fn another_programs_database_is_refused_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    engine(folder.path()).execute_batch("CREATE TABLE recipes(id INTEGER PRIMARY KEY, name TEXT)").unwrap();
    assert!(matches!(refusal(folder.path()), OpenError::Damaged { .. }));
    let folder = used_folder();
    engine(folder.path()).execute_batch("DROP TABLE marks").unwrap();
    assert!(matches!(refusal(folder.path()), OpenError::Damaged { .. }));
}

#[test]
fn a_second_opener_is_refused() {
    let folder = used_folder();
    let store = SqliteStore::open(&options(folder.path())).unwrap();
    let refused = SqliteStore::open(&options(folder.path())).map(|_| ()).unwrap_err();
    assert!(matches!(refused, OpenError::InUse(_)), "{refused}");
    drop(store);
    SqliteStore::open(&options(folder.path())).unwrap();
}

/// A process that is being started has, for a moment, all that this one has open, and with it the lock.
#[test]
fn a_folder_is_free_at_once_though_processes_are_started() {
    let folder = tempfile::tempdir().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let starts: Vec<_> = (0..4)
        .map(|_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::process::Command::new("true").status().unwrap();
                }
            })
        })
        .collect();
    let damaged = tempfile::tempdir().unwrap();
    std::fs::write(damaged.path().join("carillon.db"), "no database").unwrap();
    for _ in 0..100 {
        drop(SqliteStore::open(&options(folder.path())).unwrap());
        // So is one that was refused.
        assert!(matches!(refusal(damaged.path()), OpenError::Damaged { .. }));
    }
    stop.store(true, Ordering::Relaxed);
    for start in starts {
        start.join().unwrap();
    }
}

#[test]
fn a_closed_store_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(folder.path())).unwrap();
    let room = carillon_hub::domain::names::RoomKey {
        tenant: TenantId::parse("acme").unwrap(),
        room: RoomName::parse("room:a").unwrap(),
    };
    let queued: Vec<_> = (0..50).map(|turn| store.commit(send(&turn.to_string()))).collect();
    block_on(store.close());
    for committed in queued {
        block_on(committed).unwrap();
    }
    assert!(!store.figures().healthy);
    let refused = block_on(store.commit(send("late"))).unwrap_err();
    assert!(matches!(refused, carillon_hub::store::CommitError::Store(StoreError::Unavailable)));
    assert!(matches!(block_on(store.room(&room)), Err(StoreError::Unavailable)));
    assert!(!folder.path().join("carillon.db-wal").exists(), "everything is home");
    let settled: i64 =
        engine(folder.path()).query_row("SELECT count(*) FROM log", [], |row| row.get(0)).unwrap();
    let left: i64 =
        engine(folder.path()).query_row("SELECT count(*) FROM journal", [], |row| row.get(0)).unwrap();
    assert_eq!((settled, left), (50, 0));
}

#[test]
fn everyday_tools_show_a_rooms_entries() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(folder.path())).unwrap();
    for turn in 1..=60 {
        block_on(store.commit(send(&format!("message {turn}")))).unwrap();
    }
    let tool = engine(folder.path());
    let mut statement = tool
        .prepare("SELECT tenant, sender, kind, content, seq FROM entries WHERE room = 'room:a' ORDER BY seq")
        .unwrap();
    let rows: Vec<(String, String, String, String, u64)> = statement
        .query_map([], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get::<_, i64>(4)? as u64))
        })
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let expected: Vec<_> = (1..=60)
        .map(|turn| {
            ("acme".to_owned(), "alice".to_owned(), "message".to_owned(), format!("message {turn}"), turn)
        })
        .collect();
    assert_eq!(rows, expected);
}

#[test]
fn blanked_content_leaves_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(folder.path())).unwrap();
    for turn in 0..100 {
        block_on(store.commit(send(&format!("a secret that must go {turn}")))).unwrap();
    }
    for target in 1..=100 {
        block_on(store.commit(append(EntryBody::Deletion { target: Seq(target) }))).unwrap();
    }
    block_on(store.close());
    for (name, bytes) in contents(folder.path()) {
        let found = bytes.windows(8).filter(|window| window == b"a secret").count();
        assert_eq!(found, 0, "{name}");
    }
}

const PAGE: usize = 4_096;

fn keyed(turn: u32) -> Outcome {
    let key = IdempotencyKey::parse(Bytes::from(format!("key-{turn:06}"))).unwrap();
    Outcome { idempotency: Some(Idempotency { key, fingerprint: 1 }), ..send(&format!("message {turn}")) }
}

/// A folder as a process leaves it that was killed while most of what it wrote last was in the journal only.
fn killed_folder() -> tempfile::TempDir {
    killed_with(100_000)
}

/// The same of a store that keeps so many entries in the journal only.
fn killed_with(unsettled: usize) -> tempfile::TempDir {
    let (live, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = SqliteStore::open(&options(live.path())).unwrap();
    // Each is a group, and so a row, of its own.
    for turn in 0..600 {
        block_on(store.commit(keyed(turn))).unwrap();
    }
    block_on(store.close());
    drop(store);
    let never = Duration::from_secs(3_600);
    let busy = Options { unsettled, queue: 10_000, idle: never, ..options(live.path()) };
    let store = SqliteStore::open(&busy).unwrap();
    let sent: Vec<_> = (0..9_000).map(|turn| store.commit(send(&format!("later message {turn}")))).collect();
    for committed in sent {
        block_on(committed).unwrap();
    }
    for file in std::fs::read_dir(live.path()).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), killed.path().join(file.file_name())).unwrap();
    }
    killed
}

/// The pages below a table's first one; that one where there are none.
fn pages_of(folder: &Path, table: &str) -> Vec<usize> {
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    let root: i64 = engine(folder).query_row(root, [table], |row| row.get(0)).unwrap();
    let bytes = std::fs::read(folder.join("carillon.db")).unwrap();
    let page = &bytes[(root as usize - 1) * PAGE..root as usize * PAGE];
    let two = |at: usize| usize::from(u16::from_be_bytes([page[at], page[at + 1]]));
    let four = |at: usize| u32::from_be_bytes(*page[at..].first_chunk().unwrap()) as usize;
    match page[0] {
        2 | 5 => (0..two(3)).map(|cell| four(two(12 + 2 * cell))).chain([four(8)]).collect(),
        _ => vec![root as usize],
    }
}

fn overwrite(folder: &Path, page: usize) {
    let path = folder.join("carillon.db");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[(page - 1) * PAGE..page * PAGE].fill(0xa5);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn what_a_kill_left_is_whole() {
    let folder = killed_folder();
    let store = SqliteStore::open(&options(folder.path())).unwrap();
    assert!(block_on(store.commit(keyed(7))).unwrap().duplicate);
    assert_eq!(block_on(store.commit(send("more"))).unwrap().position.seq, Seq(9_601));
}

/// Damage anywhere that opening comes by, in what a kill left: nothing was replayed before it is found.
#[test]
fn damage_is_found_before_anything_is_replayed() {
    let killed = killed_folder();
    // Everything in the database's file, so that no page of the log hides the damage.
    engine(killed.path()).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let whole = contents(killed.path());
    for table in ["idempotency", "journal", "log", "marks", "marks_by_user", "meta", "outbox", "rooms"] {
        let pages = pages_of(killed.path(), table);
        assert!(pages.len() > 2 || !["idempotency", "journal", "log"].contains(&table), "{table}");
        // What opening reads of the log is where the journal goes on.
        let middle = if table == "log" { None } else { pages.get(pages.len() / 2) };
        for page in middle.into_iter().chain(pages.last()) {
            overwrite(killed.path(), *page);
            let refused = refusal(killed.path());
            assert!(matches!(refused, OpenError::Damaged { .. }), "{table}, page {page}: {refused}");
            for (name, bytes) in &whole {
                std::fs::write(killed.path().join(name), bytes).unwrap();
            }
        }
    }
    SqliteStore::open(&options(killed.path())).unwrap();
}

/// Damage at the beginning of any table or index, in a new store and in a used one.
#[test]
fn damage_at_the_beginning_of_anything_is_found() {
    let new = tempfile::tempdir().unwrap();
    block_on(SqliteStore::open(&options(new.path())).unwrap().close());
    for folder in [new, used_folder()] {
        engine(folder.path()).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        let whole = contents(folder.path());
        let roots: Vec<(String, i64)> = {
            let db = engine(folder.path());
            let mut roots =
                db.prepare("SELECT name, rootpage FROM sqlite_schema WHERE rootpage > 0").unwrap();
            let rows = roots.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
            rows.map(Result::unwrap).collect()
        };
        assert!(roots.len() > 30, "{roots:?}");
        for (name, root) in roots {
            overwrite(folder.path(), root as usize);
            let refused = refusal(folder.path());
            assert!(matches!(refused, OpenError::Damaged { .. }), "{name}: {refused}");
            for (file, bytes) in &whole {
                std::fs::write(folder.path().join(file), bytes).unwrap();
            }
        }
        SqliteStore::open(&options(folder.path())).unwrap();
    }
}

/// Somebody who has the database open to read it, as a tool does, keeps nobody out.
#[test]
fn a_tool_beside_is_no_obstacle() {
    let folder = killed_folder();
    let tool = engine(folder.path());
    let count = || tool.query_row("SELECT count(*) FROM entries", [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count(), 9_600);
    let store = SqliteStore::open(&options(folder.path())).unwrap();
    block_on(store.commit(send("more"))).unwrap();
    assert_eq!(count(), 9_601);
}

/// A log beside a database makes up for what its file lacks, and for no more.
#[test]
fn a_file_that_is_cut_is_noticed_beside_its_log() {
    let killed = killed_folder();
    let database = killed.path().join("carillon.db");
    let bytes = std::fs::read(&database).unwrap();
    assert!(contents(killed.path()).get("carillon.db-wal").is_some_and(|log| !log.is_empty()));
    for length in [bytes.len() / 2, bytes.len() / 2 / PAGE * PAGE, 3 * PAGE] {
        std::fs::write(&database, &bytes[..length]).unwrap();
        let refused = refusal(killed.path());
        assert!(matches!(refused, OpenError::Damaged { .. }), "{length}: {refused}");
    }
    std::fs::write(&database, bytes).unwrap();
    SqliteStore::open(&options(killed.path())).unwrap();
}
