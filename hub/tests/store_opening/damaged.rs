//! Damage that is met while the store works is the outcome's that met it, and no other's.

use std::path::Path;
use std::sync::Arc;

use carillon_hub::domain::content::Pairs;
use carillon_hub::domain::entry::EntryBody;
use carillon_hub::domain::inbox::{InboxChange, Notice, NotificationKind, Priority};
use carillon_hub::domain::names::{NotificationId, UserId};
use carillon_hub::domain::position::{InboxPosition, Seq};
use carillon_hub::store::sqlite::{Options, SqliteStore};
use carillon_hub::store::{CommitError, Committed, Effect, Home, Outcome, Store, StoreError, Write};
use futures::executor::block_on;

use super::{engine, options, overwrite, pages_of, send};

/// What was sent to the room, and as many notifications to bob.
const SENT: u64 = 600;

fn bob() -> UserId {
    UserId::parse("bob").unwrap()
}

fn of_bob(home: Home, write: Write) -> Outcome {
    Outcome { home, actor: bob(), writes: vec![write], ..send("x") }
}

/// Who has read up to here.
fn reads(who: &str, up_to: u64) -> Outcome {
    let read = Write::Marks { delivered: Seq(0), read: Seq(up_to) };
    Outcome { actor: UserId::parse(who).unwrap(), writes: vec![read], ..send("x") }
}

fn deletes(target: u64) -> Outcome {
    let writes = vec![Write::Append(EntryBody::Deletion { target: Seq(target) })];
    Outcome { writes, ..send("x") }
}

fn sees(own: u64) -> Outcome {
    let seen = InboxPosition { own: Seq(own), ..InboxPosition::default() };
    of_bob(Home::Inbox(bob()), Write::Inbox(InboxChange::ReadUpTo(seen)))
}

fn opens(turn: u64) -> Outcome {
    of_bob(Home::Inbox(bob()), Write::Inbox(InboxChange::Read(vec![id(turn)])))
}

fn id(turn: u64) -> NotificationId {
    NotificationId::parse(&format!("n{turn}")).unwrap()
}

fn notice(turn: u64) -> Effect {
    Effect::Notify { user: bob(), notice: Arc::new(news(id(turn))) }
}

fn broadcast(turn: u64) -> Outcome {
    of_bob(Home::Tenant, Write::Broadcast(Arc::new(news(to_all(turn)))))
}

fn to_all(turn: u64) -> NotificationId {
    NotificationId::parse(&format!("all{turn}")).unwrap()
}

fn news(id: NotificationId) -> Notice {
    Notice {
        id,
        kind: NotificationKind::parse("build").unwrap(),
        title: "a title".into(),
        body: None,
        priority: Priority::Normal,
        data: Pairs::default(),
        sender: UserId::parse("alice").unwrap(),
        expires: None,
    }
}

/// A folder in which the page in the middle of a table is damaged.
fn damaged(table: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(folder.path())).unwrap();
    block_on(store.commit(of_bob(Home::Tenant, Write::Know))).unwrap();
    for turn in 0..SENT {
        block_on(store.commit(broadcast(turn))).unwrap();
        block_on(store.commit(Outcome { effects: vec![notice(turn)], ..send(&format!("message {turn}")) }))
            .unwrap();
    }
    block_on(store.close());
    drop(store);
    engine(folder.path()).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let pages = pages_of(folder.path(), table);
    overwrite(folder.path(), pages[pages.len() / 2]);
    folder
}

fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(&Options { readers: 1, ..options(folder) }).unwrap()
}

fn is_damaged(committed: &Result<Committed, CommitError>) -> bool {
    match committed {
        Ok(_) => false,
        Err(CommitError::Store(StoreError::Engine(_))) => true,
        Err(error) => panic!("{error:?}"),
    }
}

#[test]
fn a_damaged_log_fails_those_alone_who_read_it() {
    let folder = damaged("log");
    for (round, who) in ["bob", "carol"].into_iter().enumerate() {
        let store = open(folder.path());
        // All at once, so that those that fail are in groups with those that do not.
        let places = SENT / 4..3 * SENT / 4;
        let read: Vec<_> = places.clone().map(|place| store.commit(reads(who, place))).collect();
        let sent = block_on(store.commit(send("and on it goes"))).unwrap();
        assert_eq!(sent.position.seq, Seq(SENT + round as u64 * 2 + 1));
        let read = read.into_iter().map(|read| is_damaged(&block_on(read)));
        let failed: Vec<u64> = places.zip(read).filter_map(|(place, is)| is.then_some(place)).collect();
        let (first, last) = (failed[0], *failed.last().unwrap());
        assert!(first > SENT / 4 && last < 3 * SENT / 4 - 1, "{failed:?}");
        assert_eq!(last - first + 1, failed.len() as u64, "a page of them: {failed:?}");
        assert!(is_damaged(&block_on(store.commit(deletes(first)))));
        assert!(!is_damaged(&block_on(store.commit(reads(who, SENT)))));
        assert!(block_on(store.commit(send("more"))).is_ok() && store.is_healthy());
        block_on(store.close());
    }
}

#[test]
fn a_damaged_inbox_fails_its_owner_alone() {
    let folder = damaged("inbox");
    let store = open(folder.path());
    let read: Vec<_> = (0..SENT).map(|turn| store.commit(opens(turn))).collect();
    assert!(block_on(store.commit(send("and on it goes"))).is_ok() && store.is_healthy());
    let failed = read.into_iter().map(|read| is_damaged(&block_on(read)));
    let failed: Vec<u64> = (0..SENT).zip(failed).filter_map(|(turn, is)| is.then_some(turn)).collect();
    let (first, last) = (failed[0], *failed.last().unwrap());
    assert!(first > 0 && last < SENT - 1, "{failed:?}");
    assert_eq!(last - first + 1, failed.len() as u64, "a page of them: {failed:?}");
    assert!(is_damaged(&block_on(store.commit(opens(first)))));
    // Those are all that is unread, and their priority is asked for.
    assert!(is_damaged(&block_on(store.commit(sees(SENT)))));
    let know = Outcome { home: Home::Tenant, writes: vec![Write::Know], ..send("x") };
    assert!(block_on(store.commit(know)).is_ok() && store.is_healthy());
}

/// Whatever index of an inbox or of the broadcasts is damaged: whoever needs that page is told so, and the store goes on.
#[test]
fn a_damaged_index_fails_those_alone_who_read_it() {
    for (table, changes) in [
        ("broadcast_by_id", &[InboxChange::Read, InboxChange::Delete][..]),
        ("inbox_by_id", &[InboxChange::Read]),
    ] {
        let folder = damaged(table);
        let store = open(folder.path());
        for change in changes {
            let ids = (0..SENT).flat_map(|turn| [id(turn), to_all(turn)]);
            let changed =
                ids.map(|id| store.commit(of_bob(Home::Inbox(bob()), Write::Inbox(change(vec![id])))));
            let changed: Vec<_> = changed.collect();
            assert!(block_on(store.commit(send("and on it goes"))).is_ok(), "{table}");
            let failed = changed.into_iter().map(|changed| is_damaged(&block_on(changed)));
            let failed = failed.filter(|is| *is).count();
            assert!(failed > 0 && failed < 2 * SENT as usize, "{failed} of {table}");
        }
        assert!(store.is_healthy() && block_on(store.commit(send("more"))).is_ok(), "{table}");
        block_on(store.close());
    }
}
