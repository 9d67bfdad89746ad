//! One replica is waited for, and stands still: what is no message is not acknowledged either before it has it.

use carillon_hub::domain::audit::{ChainHead, ChainId, Seal};
use carillon_hub::domain::inbox::Priority;
use carillon_hub::domain::position::{InboxPosition, Seq};
use carillon_hub::domain::time::Timestamp;
use carillon_hub::redis::Partition;
use carillon_hub::store::{Change, Home, InboxLog, InboxQuery, PageBound, Store, StoreError, Write};

use crate::harness::*;
use crate::loss::epoch_told;
use crate::replicas::{HASTY, PATIENT, Pair, sends};
use crate::upkeep::calls;
use crate::writes::commits_at_last;

fn is_erased(change: &Change) -> bool {
    matches!(change, Change::Erased { .. })
}

#[tokio::test]
async fn nobody_is_told_of_an_erasure_that_no_replica_has() {
    let (pair, setup) = (Pair::start().await, Setup::new());
    let store = pair.open_telling(HASTY, &setup);
    sends(&store, "conversation:a", "secret").await;
    pair.replica.freeze();
    // The second finds nothing left to blank, and what the first one has blanked is no safer for it.
    for _ in 0..2 {
        let erased = store.erase(&user_key("alice")).await;
        assert!(matches!(erased, Err(StoreError::Unavailable)), "{erased:?}");
    }
    assert!(!setup.sink.changes().iter().any(is_erased));
    pair.replica.thaw();
    while store.erase(&user_key("alice")).await.is_err() {}
    assert!(setup.sink.changes().iter().any(is_erased));
    store.close().await;
}

#[tokio::test]
async fn no_audit_head_is_noted_that_no_replica_has() {
    let pair = Pair::start().await;
    let store = pair.open(HASTY);
    let head = ChainHead { chain: ChainId(1), seq: 1, seal: Seal([1; 32]), time: Timestamp(1) };
    pair.replica.freeze();
    assert!(matches!(store.anchor_audit(head).await, Err(StoreError::Unavailable)));
    pair.replica.thaw();
    while store.anchor_audit(head).await.is_err() {}
    store.close().await;
}

#[tokio::test]
async fn nobody_is_told_of_an_epoch_that_no_replica_has() {
    let (pair, setup) = (Pair::start().await, Setup::new());
    let store = pair.open_telling(HASTY, &setup);
    sends(&store, "conversation:a", "lost").await;
    let before = store.epoch();
    pair.replica.freeze();
    pair.master.command::<()>("FLUSHALL");
    pair.master.command::<u64>("CLIENT KILL TYPE normal");
    let hub = format!("carillon:{{{}}}:hub", Partition::of_hub().number());
    while pair.master.command::<u64>(&format!("HEXISTS {hub} epoch")) == 0 {}
    let waits = calls(&pair.master, "wait");
    while calls(&pair.master, "wait") < waits + 2 {}
    assert_eq!(store.epoch(), before);
    assert!(!setup.sink.changes().iter().any(|change| matches!(change, Change::Restarted(_))));
    pair.replica.thaw();
    let sink = setup.clone();
    let told = tokio::task::spawn_blocking(move || epoch_told(&sink)).await.unwrap();
    assert_ne!(told, before.0);
    sends(&store, "conversation:a", "after").await;
    let head = store.room(&room_key("conversation:a")).await.unwrap().unwrap().head;
    assert_eq!((head.epoch.0, head.seq), (told, Seq(1)));
    store.close().await;
}

/// Neither a broadcast nor what is in a user's own log, on whichever node: another one may take its place.
#[tokio::test]
async fn what_no_replica_has_is_in_no_inbox() {
    let pair = Pair::start().await;
    let (store, other) = (pair.open(HASTY), pair.open(HASTY));
    let broadcast = |id: &str| {
        let notice = notice(id, Priority::Normal);
        outcome(Home::Tenant, "robot").writing(Write::Broadcast(notice)).keyed(id, 1)
    };
    let bob = user_key("bob");
    commits_at_last(&store, outcome(Home::Tenant, "bob").writing(Write::Know)).await;
    commits_at_last(&store, broadcast("kept")).await;
    for store in [&store, &other] {
        while store.inbox_summary(&bob).await.is_err() {}
    }
    pair.replica.freeze();
    store.commit(broadcast("not-yet")).await.unwrap_err();
    let items = PageBound { items: 10, bytes: usize::MAX };
    let after = |broadcast| {
        let position = InboxPosition { epoch: store.epoch(), own: Seq(0), broadcast: Seq(broadcast) };
        InboxQuery::After(position)
    };
    for store in [&store, &other] {
        let (summary, page) = (store.inbox_summary(&bob).await, store.inbox(&bob, after(1), items).await);
        assert!(matches!(summary, Err(StoreError::Unavailable)), "{summary:?}");
        assert!(matches!(page, Err(StoreError::Unavailable)), "{page:?}");
        let head = store.inbox_head(InboxLog::Broadcast(tenant())).await;
        assert!(matches!(head, Err(StoreError::Unavailable)), "{head:?}");
    }
    pair.replica.thaw();
    assert!(commits_at_last(&store, broadcast("not-yet")).await.duplicate);
    for store in [&store, &other] {
        while store.inbox_summary(&bob).await.is_err() {}
        let page = store.inbox(&bob, after(1), items).await.unwrap();
        assert_eq!((page.notifications.len(), page.head.broadcast), (1, Seq(2)));
        store.inbox_head(InboxLog::Broadcast(tenant())).await.unwrap();
    }
    store.close().await;
    other.close().await;
}

/// What was told to a node is durable: it is read there while no replica answers.
#[tokio::test]
async fn what_was_told_is_read_while_a_replica_stands_still() {
    let (pair, setup) = (Pair::start().await, Setup::new());
    let (store, other) = (pair.open_telling(HASTY, &setup), pair.open(HASTY));
    commits_at_last(&store, notify("bob", notice("n1", Priority::Normal))).await;
    let told = setup.sink.wait_for(|change| matches!(change, Change::Notified { .. }));
    other.heard(store.epoch(), &told);
    pair.replica.freeze();
    // So that it is known to be behind.
    store.commit(send("conversation:a", "alice", "not yet")).await.unwrap_err();
    other.commit(send("conversation:a", "alice", "not yet")).await.unwrap_err();
    // At last: on a busy machine a connection is given up, and made anew.
    let bobs = || InboxLog::Own(user_key("bob"));
    let reads = async {
        loop {
            if let Ok(head) = other.inbox_head(bobs()).await {
                break head;
            }
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(tokio::time::timeout(PATIENT, reads).await.expect("it is read"), Seq(1));
    let unknown = other.entry(&room_key("conversation:a"), Seq(1)).await;
    assert!(matches!(unknown, Err(StoreError::Unavailable)));
    pair.replica.thaw();
    store.close().await;
    other.close().await;
}
