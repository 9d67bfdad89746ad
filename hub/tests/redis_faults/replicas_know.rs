//! One replica is waited for, and stands still: what is no message is not acknowledged either before it has it.

use carillon_hub::domain::audit::{ChainHead, ChainId, Seal};
use carillon_hub::domain::position::Seq;
use carillon_hub::domain::time::Timestamp;
use carillon_hub::redis::Partition;
use carillon_hub::store::{Change, Store, StoreError};

use crate::harness::*;
use crate::loss::epoch_told;
use crate::replicas::{HASTY, Pair, sends};
use crate::upkeep::calls;

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
