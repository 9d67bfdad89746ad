//! What the embedded store keeps in memory and does at a time is bounded, whatever comes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::pedantic)] // A test that fails panics.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use carillon_hub::domain::content::{Content, Pairs};
use carillon_hub::domain::entry::{EntryBody, Message};
use carillon_hub::domain::marks::Marks;
use carillon_hub::domain::names::{RoomKey, RoomName, TenantId, UserId, UserKey};
use carillon_hub::domain::namespace::{NamespaceRules, Namespaces};
use carillon_hub::domain::position::Seq;
use carillon_hub::store::sqlite::{Options, SqliteStore};
use carillon_hub::store::{Change, CommitSink, EntryRange, Home, Outcome, PageBound, Store, Write};
use futures::executor::block_on;
use futures::future::join_all;

struct Ignored;

impl CommitSink for Ignored {
    fn committed(&self, _changes: &[Change]) {}
}

/// Nothing moves home for want of something else to do.
fn options(folder: &Path) -> Options {
    let namespaces = Arc::new(Namespaces::new(vec![NamespaceRules::closed("room")]));
    Options { idle: Duration::from_secs(3_600), ..Options::new(folder, namespaces, Arc::new(Ignored)) }
}

fn key(room: &str) -> RoomKey {
    RoomKey { tenant: TenantId::parse("acme").unwrap(), room: RoomName::parse(room).unwrap() }
}

fn send(room: &str, bytes: usize) -> Outcome {
    let content = Content::data(Bytes::from(vec![b'x'; bytes]), "").unwrap();
    Outcome {
        tenant: TenantId::parse("acme").unwrap(),
        home: Home::Room(RoomName::parse(room).unwrap()),
        actor: UserId::parse("alice").unwrap(),
        by_service: false,
        idempotency: None,
        conditions: Vec::new(),
        writes: vec![Write::Append(EntryBody::Message(Message::new(content, None, Pairs::default())))],
        effects: Vec::new(),
    }
}

fn count(folder: &Path, sql: &str) -> i64 {
    let db = rusqlite::Connection::open(folder.join("carillon.db")).unwrap();
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

const UNSETTLED: &str = "SELECT coalesce(sum(length(content)), 0) FROM journal j
    WHERE NOT EXISTS (SELECT 1 FROM log l WHERE l.room = j.room AND l.seq = j.seq)";

#[test]
fn what_waits_to_move_home_is_bounded_in_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&Options { unsettled_bytes: 1 << 20, ..options(folder.path()) }).unwrap();
    for room in 0..100 {
        block_on(store.commit(send(&format!("room:{room}"), 10))).unwrap();
    }
    assert_eq!(count(folder.path(), "SELECT count(*) FROM log"), 0);
    for turn in 0..200 {
        block_on(store.commit(send(&format!("room:{}", turn % 7), 20_000))).unwrap();
    }
    let waiting = count(folder.path(), UNSETTLED);
    assert!(waiting <= (1 << 20) + 20_000, "{waiting}");
}

#[test]
fn a_long_journal_is_recovered_in_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(folder.path())).unwrap();
    let room = |turn: u64| format!("room:{}", turn % 3);
    for from in [0, 7_000, 14_000] {
        let sends = (from..from + 7_000).map(|turn| store.commit(send(&room(turn), 10)));
        for committed in block_on(join_all(sends)) {
            committed.unwrap();
        }
    }
    assert_eq!(count(folder.path(), "SELECT count(*) FROM log"), 0);
    drop(store);
    let store = SqliteStore::open(&options(folder.path())).unwrap();
    assert_eq!(count(folder.path(), "SELECT count(*) FROM journal"), 0);
    for room in 0..3 {
        let key = key(&format!("room:{room}"));
        let bound = PageBound { items: 10_000, bytes: usize::MAX };
        let page = block_on(store.entries(&key, EntryRange::After(Seq(0)), bound)).unwrap();
        assert_eq!((page.entries.len(), page.head.seq, page.head_number), (7_000, Seq(7_000), 7_000));
        let alice = UserId::parse("alice").unwrap();
        assert_eq!(block_on(store.marks(&key, &alice)).unwrap().read, Seq(7_000));
    }
}

/// The journal still has what an erased user marked: it must not come back by a recovery.
#[test]
fn marks_of_the_erased_stay_gone_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(folder.path())).unwrap();
    let (room, bob) = (key("room:a"), UserId::parse("bob").unwrap());
    block_on(store.commit(send("room:a", 10))).unwrap();
    let by_bob = |write| Outcome { actor: bob.clone(), writes: vec![write], ..send("room:a", 10) };
    block_on(store.commit(by_bob(Write::Marks { delivered: Seq(1), read: Seq(1) }))).unwrap();
    let bobs = Outcome { actor: bob.clone(), ..send("room:a", 10) };
    block_on(store.commit(bobs)).unwrap();
    let user = UserKey { tenant: room.tenant.clone(), user: bob.clone() };
    assert_eq!(block_on(store.erase(&user)).unwrap().entries, 1);
    drop(store);
    let store = SqliteStore::open(&options(folder.path())).unwrap();
    assert_eq!(block_on(store.marks(&room, &bob)).unwrap(), Marks::default());
    assert_eq!(count(folder.path(), "SELECT count(*) FROM marks"), 1, "alice's");
    block_on(store.commit(by_bob(Write::Marks { delivered: Seq(2), read: Seq(1) }))).unwrap();
    drop(store);
    let store = SqliteStore::open(&options(folder.path())).unwrap();
    assert_eq!(block_on(store.marks(&room, &bob)).unwrap().delivered, Seq(2), "what comes after is kept");
}

#[test]
fn a_program_that_locks_the_database_holds_up_what_is_committed_and_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(folder.path())).unwrap();
    block_on(store.commit(send("room:a", 1))).unwrap();
    let other = rusqlite::Connection::open(folder.path().join("carillon.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = store.commit(send("room:a", 1));
    while store.is_healthy() {
        std::thread::yield_now();
    }
    assert!(!store.has_failed());
    // What is there can be read.
    assert_eq!(block_on(store.room(&key("room:a"))).unwrap().unwrap().head.seq, Seq(1));
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(block_on(waiting).unwrap().position.seq, Seq(2));
    assert!(store.is_healthy());
}

#[test]
fn a_store_that_is_locked_out_can_be_closed() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(folder.path())).unwrap();
    let other = rusqlite::Connection::open(folder.path().join("carillon.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = store.commit(send("room:a", 1));
    block_on(store.close());
    assert!(block_on(waiting).is_err());
}

#[test]
fn a_store_that_could_not_be_closed_says_so() {
    for is_locked_out in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&options(folder.path())).unwrap();
        block_on(store.commit(send("room:a", 1))).unwrap();
        let other = rusqlite::Connection::open(folder.path().join("carillon.db")).unwrap();
        if is_locked_out {
            other.execute_batch("BEGIN IMMEDIATE").unwrap();
        }
        block_on(store.close());
        assert_eq!(store.has_failed(), is_locked_out);
    }
}
