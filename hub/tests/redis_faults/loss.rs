//! What Redis has lost is noticed, and everybody is told that logs are other ones.

use std::sync::Arc;

use carillon_hub::domain::inbox::Priority;
use carillon_hub::domain::position::Seq;
use carillon_hub::redis;
use carillon_hub::store::redis::{Options, RedisStore};
use carillon_hub::store::{Change, Store};

use crate::harness::*;
use carillon_test_redis::{Keeps, Server};

/// A store whose sink can be asked what it heard.
fn open(server: &Server) -> (RedisStore, Setup) {
    let setup = Setup::new();
    let redis = redis::Options::new(server.url());
    let options =
        Options { strict: false, ..Options::new(redis, Arc::clone(&setup.namespaces), setup.sink.clone()) };
    (RedisStore::open(options).unwrap(), setup)
}

fn epoch_told(setup: &Setup) -> u64 {
    let restarted = |change: &Change| matches!(change, Change::Restarted(_));
    match setup.sink.wait_for(restarted) {
        Change::Restarted(epoch) => epoch.0,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_comes_back_empty_begins_another_epoch() {
    let mut server = Server::start(Keeps::Nothing);
    let (store, setup) = open(&server);
    let before = store.epoch();
    let sent = store.commit(send("conversation:a", "alice", "lost")).await.unwrap();
    assert_eq!(sent.position.epoch, before);
    server.kill();
    server.restart();
    let epoch = epoch_told(&setup);
    assert_ne!(epoch, before.0);
    let again = async {
        loop {
            match store.commit(send("conversation:a", "alice", "again").keyed("again", 1)).await {
                Ok(committed) => return committed,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    let again = again.await;
    assert_eq!((again.position.seq, again.position.epoch.0, store.epoch().0), (Seq(1), epoch, epoch));
    store.close().await;
}

/// The end is lost, and another node has written something else in its place by the time that the loss can be seen.
#[tokio::test]
async fn a_lost_end_is_noticed_though_others_have_written_over_it() {
    let mut server = Server::start(Keeps::EverySecond);
    let (store, setup) = open(&server);
    for turn in 0..5 {
        store.commit(send("conversation:a", "alice", &turn.to_string())).await.unwrap();
    }
    let kept = server.back_up();
    for turn in 5..8 {
        store.commit(send("conversation:a", "alice", &turn.to_string())).await.unwrap();
    }
    let before = store.epoch();
    server.kill();
    // Nobody here gets a connection until another node has written.
    let mut elsewhere = Server::start_over(&kept, Keeps::EverySecond);
    let (other, _) = open(&elsewhere);
    for turn in 0..6 {
        other.commit(send("conversation:a", "bob", &turn.to_string())).await.unwrap();
    }
    elsewhere.end();
    server.go_back(&elsewhere.back_up());
    server.restart();
    assert_ne!(epoch_told(&setup), before.0);
    store.close().await;
}

/// Nothing is lost: nobody is told of anything.
#[tokio::test]
async fn a_server_that_has_everything_goes_on_in_its_epoch() {
    let mut server = Server::start(Keeps::Always);
    let (store, setup) = open(&server);
    let before = store.epoch();
    for turn in 0..3_u64 {
        store.commit(send("short:a", "alice", &turn.to_string())).await.unwrap();
        server.kill();
        server.restart();
        let keyed = send("short:a", "bob", "again").keyed(&turn.to_string(), 1);
        while store.commit(keyed.clone()).await.is_err() {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(store.epoch(), before);
    assert!(!setup.sink.changes().iter().any(|change| matches!(change, Change::Restarted(_))));
    store.close().await;
}

/// A server of a cluster may lose what another one has had of it: what comes after is not taken for that.
#[tokio::test]
async fn what_follows_a_lost_effect_arrives() {
    let server = Server::start(Keeps::EverySecond);
    let (store, _setup) = open(&server);
    store.commit(notify("bob", notice("n1", Priority::Normal))).await.unwrap();
    let counters: Vec<String> = server.command("KEYS *:outn");
    assert_eq!(counters.len(), 1);
    assert_eq!(server.command::<u64>(&format!("DEL {}", counters[0])), 1);
    store.commit(notify("bob", notice("n2", Priority::Normal))).await.unwrap();
    assert_eq!(store.inbox_summary(&user_key("bob")).await.unwrap().unread, 2);
    store.close().await;
}
