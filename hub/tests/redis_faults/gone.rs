//! What only a node knew that is gone together with Redis, and what is gone while the connection stays.

use std::sync::Arc;
use std::time::Duration;

use carillon_hub::domain::inbox::Priority;
use carillon_hub::domain::position::Seq;
use carillon_hub::redis::{self, Durability};
use carillon_hub::store::redis::{Options, RedisStore};
use carillon_hub::store::{Change, Store};

use crate::harness::*;
use crate::loss::{at_last, epoch_told, open, open_with};
use carillon_test_redis::{Backup, Keeps, Proxy, Server};

pub(crate) fn is_restart(change: &Change) -> bool {
    matches!(change, Change::Restarted(_))
}

fn is_restarted(setup: &Setup) -> bool {
    setup.sink.changes().iter().any(is_restart)
}

/// A node that is soon back, as long as it is there at all.
fn open_hasty(url: String) -> (RedisStore, Setup) {
    let setup = Setup::new();
    let mut redis = redis::Options::new(url);
    redis.connect_timeout = Duration::from_millis(500);
    redis.answer_timeout = Duration::from_millis(500);
    redis.back_off_most = Duration::from_millis(100);
    let options = Options::new(redis, Arc::clone(&setup.namespaces), setup.sink.clone());
    (RedisStore::open(Options { strict: false, ..options }).unwrap(), setup)
}

/// The machine with Redis and a node stops: what that node acknowledged last is lost.
async fn stops_with_node(server: &mut Server, kept: &Backup, node: RedisStore) {
    server.kill();
    drop(node);
    server.go_back(kept);
    server.restart();
}

async fn acknowledges_more_and_stops(server: &mut Server, node: RedisStore) {
    at_last(&node, notify("carol", notice("n2", Priority::Normal))).await;
    let kept = server.back_up();
    node.commit(notify("carol", notice("n3", Priority::Normal))).await.unwrap();
    stops_with_node(server, &kept, node).await;
}

async fn acknowledges_and_stops(server: &mut Server, store: &RedisStore) {
    let (other, _) = open(server);
    other.commit(notify("bob", notice("n1", Priority::Normal))).await.unwrap();
    let kept = server.back_up();
    other.commit(notify("bob", notice("n2", Priority::Normal))).await.unwrap();
    stops_with_node(server, &kept, other).await;
    // This one has lost nothing.
    at_last(store, send("conversation:a", "alice", "back")).await;
}

#[tokio::test]
async fn what_a_node_knew_that_is_started_again_may_be_lost() {
    let mut server = Server::start(Keeps::EverySecond);
    let (store, setup) = open(&server);
    let before = store.epoch();
    acknowledges_and_stops(&mut server, &store).await;
    let (again, _) = open(&server);
    assert_ne!(again.epoch(), before);
    assert_eq!(epoch_told(&setup), again.epoch().0);
    store.close().await;
    again.close().await;
}

#[tokio::test]
async fn what_a_node_knew_that_stays_away_may_be_lost() {
    let mut server = Server::start(Keeps::EverySecond);
    let (store, setup) = open_hasty(server.url());
    let before = store.epoch();
    acknowledges_and_stops(&mut server, &store).await;
    assert_ne!(epoch_told(&setup), before.0);
    let (other, _) = open(&server);
    assert_eq!(other.epoch(), store.epoch(), "that is settled");
    store.close().await;
    other.close().await;
}

/// A node comes back into an epoch that began without it, after what was acknowledged in that one was lost together with the
/// node that knew it. Of its own it has lost what the epoch began for.
#[tokio::test]
async fn what_was_lost_in_an_epoch_is_not_settled_by_who_missed_its_beginning() {
    let mut server = Server::start(Keeps::EverySecond);
    let proxy = Proxy::to(&server);
    let (store, setup) = open_hasty(proxy.url());
    let (other, of_other) = open(&server);
    let kept = server.back_up();
    store.commit(notify("alice", notice("n1", Priority::Normal))).await.unwrap();
    other.commit(notify("bob", notice("n1", Priority::Normal))).await.unwrap();
    proxy.cuts();
    server.kill();
    server.go_back(&kept);
    server.restart();
    let second = epoch_told(&of_other);
    acknowledges_more_and_stops(&mut server, other).await;
    proxy.heals();
    setup.sink.wait_for(|change| matches!(change, Change::Restarted(epoch) if epoch.0 != second));
    assert_ne!(store.epoch().0, second);
    store.close().await;
}

/// All that were there say that they have all: nobody who starts begins anything.
#[tokio::test]
async fn nodes_that_find_all_go_on_in_their_epoch() {
    // On a busy disk one that syncs each second holds writes back for longer, and loses them when it is killed.
    let mut server = Server::start(Keeps::Always);
    let ((store, setup), (other, of_other)) = (open(&server), open(&server));
    let (left, _) = open(&server);
    left.commit(send("conversation:b", "alice", "bye")).await.unwrap();
    left.close().await;
    let before = store.epoch();
    for turn in ["1", "2"] {
        server.kill();
        server.restart();
        at_last(&store, send("conversation:a", "alice", "back").keyed(turn, 1)).await;
        at_last(&other, send("conversation:a", "bob", "back").keyed(turn, 1)).await;
        let (late, _) = open(&server);
        assert_eq!((late.epoch(), store.epoch(), other.epoch()), (before, before, before));
        late.close().await;
    }
    assert!(!is_restarted(&setup) && !is_restarted(&of_other));
    store.close().await;
    other.close().await;
}

/// What was heard of another node's commits is looked for as well.
#[tokio::test]
async fn what_was_heard_and_is_lost_is_noticed() {
    let mut server = Server::start(Keeps::EverySecond);
    let ((store, setup), (other, of_other)) =
        (open_with(&server, Durability::Always), open_with(&server, Durability::Always));
    let before = store.epoch();
    other.commit(notify("bob", notice("n1", Priority::Normal))).await.unwrap();
    let kept = server.back_up();
    other.commit(notify("bob", notice("n2", Priority::Normal))).await.unwrap();
    for change in of_other.sink.changes() {
        store.heard(before, &change);
    }
    stops_with_node(&mut server, &kept, other).await;
    assert_ne!(epoch_told(&setup), before.0);
    store.close().await;
}

/// All is deleted, and no connection ends.
#[tokio::test]
async fn what_is_lost_while_the_connection_stays_is_noticed() {
    let server = Server::start(Keeps::EverySecond);
    let ((store, setup), (other, of_other)) = (open(&server), open(&server));
    store.commit(send("conversation:a", "alice", "lost")).await.unwrap();
    other.commit(send("conversation:b", "alice", "lost")).await.unwrap();
    let before = store.epoch();
    server.command::<()>("FLUSHALL");
    let epoch = epoch_told(&setup);
    assert_ne!(epoch, before.0);
    assert_eq!(epoch_told(&of_other), epoch);
    at_last(&store, send("conversation:a", "alice", "again").keyed("again", 1)).await;
    let head = store.room(&room_key("conversation:a")).await.unwrap().unwrap().head;
    assert_eq!((head.epoch.0, head.seq), (epoch, Seq(1)));
    // A later connection finds nothing lost that was not known to be.
    server.command::<u64>("CLIENT KILL TYPE normal");
    for (store, turn) in [(&store, "1"), (&other, "2")] {
        at_last(store, send("conversation:b", "alice", "again").keyed(turn, 1)).await;
        assert_eq!(store.epoch().0, epoch);
    }
    store.close().await;
    other.close().await;
}

/// Something was written after all was deleted: what the hub is known by is made again.
#[tokio::test]
async fn a_hub_that_has_nothing_but_revocations_can_be_started() {
    let server = Server::start(Keeps::EverySecond);
    let (store, _) = open(&server);
    server.command::<()>("FLUSHALL");
    let hub = format!("carillon:{{{}}}:hub", redis::Partition::of_hub().number());
    server.command::<u64>(&format!("HSET {hub} revocations 7"));
    let (other, _) = open(&server);
    assert_ne!(other.epoch().0, 0);
    other.close().await;
    store.close().await;
}
