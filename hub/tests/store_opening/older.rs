//! Databases of older versions: what they did not have yet is added, and what they had is there.

use carillon_hub::domain::inbox::{InboxChange, InboxFilter, InboxPlace, InboxSummary};
use carillon_hub::domain::names::{NotificationId, TenantId, UserId, UserKey};
use carillon_hub::domain::position::{InboxPosition, Seq};
use carillon_hub::store::sqlite::SqliteStore;
use carillon_hub::store::{Home, InboxQuery, Outcome, PageBound, Store, Write};
use futures::executor::block_on;

use super::{engine, killed_with, options, send, used_folder};

/// Takes away what versions 9 and 10 have added to tables.
const NOT_YET: &str = "ALTER TABLE latest DROP COLUMN by_service;
     ALTER TABLE users DROP COLUMN inbox_read; ALTER TABLE users DROP COLUMN inbox_unread;
     ALTER TABLE users DROP COLUMN inbox_critical;";

/// What a database of version 1 did not have yet is added, and what it had is there.
#[test]
fn an_older_database_is_brought_up_to_date() {
    let folder = used_folder();
    engine(folder.path())
        .execute_batch(&format!(
            "DROP TABLE audit_heads; DROP TABLE revocations; DROP TABLE broadcast_seen; DROP TABLE broadcast_deleted; DROP INDEX broadcast_unread; DROP INDEX broadcast_critical;
             DROP INDEX inbox_unread_by_place; DROP INDEX inbox_critical_by_place;
             {NOT_YET}
             CREATE TABLE broadcast_state(user INT, seq INT, deleted INT NOT NULL, PRIMARY KEY(user, seq)) WITHOUT ROWID;
             INSERT INTO broadcast_state VALUES(1, 4, 0), (1, 5, 1);
             DROP TABLE outbox; DROP TABLE outbox_notices; DROP INDEX inbox_ends; DROP INDEX broadcast_ends; DROP INDEX users_known;
             ALTER TABLE inbox DROP COLUMN ends; ALTER TABLE broadcast DROP COLUMN ends;
             INSERT INTO inbox(user, seq, id, kind, title, priority, sender, time) VALUES(1, 1, 'n', 'k', 't', 2, 's', 5);
             ALTER TABLE tenants DROP COLUMN bytes;
             PRAGMA user_version = 1;",
        ))
        .unwrap();
    let store = SqliteStore::open(&options(folder.path())).unwrap();
    let sent = block_on(store.commit(send("one more"))).unwrap();
    assert_eq!(sent.position.seq, Seq(101));
    block_on(store.close());
    let ends: Vec<i64> = engine(folder.path())
        .prepare("SELECT ends FROM inbox")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(ends, [5 + 90 * 24 * 3_600_000]);
    let tool = engine(folder.path());
    let count = |sql: &str| tool.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM broadcast_seen WHERE first = last AND first IN (4, 5)"), 2);
    assert_eq!(count("SELECT sum(seq) FROM broadcast_deleted"), 5);
}

/// Of what is home, of what is in the journal only, and of what is in both.
#[test]
fn what_an_older_databases_rooms_hold_is_counted_once() {
    let folder = killed_with(4_000);
    let tool = engine(folder.path());
    let number = |sql: &str| tool.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let counted = || number("SELECT bytes FROM tenants");
    let before = counted();
    let only = number(
        "SELECT count(*) FROM journal j LEFT JOIN log l USING(room, seq) WHERE j.kind > 0 AND l.seq IS NULL",
    );
    let both = number("SELECT count(*) FROM journal j JOIN log l USING(room, seq)");
    assert!(before > 9_600 * 100 && only > 0 && both > 0, "{before} {only} {both}");
    tool.execute_batch(&format!(
        "DROP INDEX inbox_unread_by_place; DROP INDEX inbox_critical_by_place;
         {NOT_YET}
         ALTER TABLE tenants DROP COLUMN bytes; PRAGMA user_version = 5;",
    ))
    .unwrap();
    let store = SqliteStore::open(&options(folder.path())).unwrap();
    assert_eq!(counted(), before);
    block_on(store.commit(send("more"))).unwrap();
    assert_eq!(counted(), before + 104);
}

/// What a user has read of their own log and what not, before that was kept as a mark.
#[test]
fn what_was_read_in_an_older_database_stays_so() {
    const MANY: u64 = 1_500;
    let folder = used_folder();
    let tool = engine(folder.path());
    tool.execute_batch(&format!(
        "DROP INDEX inbox_critical_by_place;
         {NOT_YET}
         WITH RECURSIVE place(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM place WHERE n < {MANY})
         INSERT INTO inbox(user, seq, id, kind, title, priority, sender, time, ends, read)
         SELECT 1, n, 'n' || n, 'news', 'news', CASE WHEN n % 5 THEN 2 ELSE 4 END, 'robot', n, 1 << 60, n % 2 FROM place;
         UPDATE users SET inbox_head = {MANY} WHERE id = 1;
         PRAGMA user_version = 8;"
    ))
    .unwrap();
    let store = SqliteStore::open(&options(folder.path())).unwrap();
    let alice = UserKey { tenant: TenantId::parse("acme").unwrap(), user: UserId::parse("alice").unwrap() };
    let counts = |summary: InboxSummary| (summary.unread, summary.critical);
    assert_eq!(counts(block_on(store.inbox_summary(&alice)).unwrap()), (MANY / 2, MANY / 10));
    let bound = PageBound { items: 100, bytes: usize::MAX };
    for unread_only in [false, true] {
        let filter = InboxFilter { unread_only, ..InboxFilter::default() };
        let newest = InboxQuery::Newest { before: None, filter };
        let page = block_on(store.inbox(&alice, newest, bound)).unwrap().notifications;
        let listed: Vec<_> = page.iter().map(|n| (n.place, n.read)).collect();
        let all = (1..=MANY).rev().map(|n| (InboxPlace::Own(Seq(n)), n % 2 == 1));
        let expected: Vec<_> = all.filter(|(_, read)| !unread_only || !read).take(100).collect();
        assert_eq!(listed, expected);
    }
    let change = |change| Outcome {
        home: Home::Inbox(alice.user.clone()),
        writes: vec![Write::Inbox(change)],
        ..send("x")
    };
    let id = |n: u64| NotificationId::parse(&format!("n{n}")).unwrap();
    let up_to = InboxPosition { own: Seq(1_000), ..InboxPosition::default() };
    for (asked, expected) in [
        (InboxChange::Read(vec![id(2), id(3)]), (749, 150)),
        (InboxChange::Delete(vec![id(10), id(11)]), (748, 149)),
        (InboxChange::ReadUpTo(up_to), (250, 50)),
    ] {
        let committed = block_on(store.commit(change(asked))).unwrap();
        assert_eq!(counts(committed.inbox.unwrap()), expected);
    }
}
