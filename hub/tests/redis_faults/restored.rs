//! A back-up of Redis is restored while no node is there, and a server is started again while some are.

use carillon_hub::domain::inbox::Priority;
use carillon_hub::redis::Durability;
use carillon_hub::store::Store;

use crate::gone::is_restart;
use crate::harness::*;
use crate::loss::{open_at, open_with};
use carillon_test_redis::{Keeps, Server};

/// However durable commits are: what is in the back-up says nothing of what came after it.
#[tokio::test]
async fn a_back_up_that_is_restored_begins_another_epoch() {
    let mut server = Server::start(Keeps::Always);
    let (store, _) = open_with(&server, Durability::Always);
    let before = store.epoch();
    store.commit(notify("bob", notice("n1", Priority::Normal))).await.unwrap();
    let kept = server.back_up();
    store.commit(notify("bob", notice("n2", Priority::Normal))).await.unwrap();
    store.close().await;
    server.end();
    server.go_back(&kept);
    server.restart();
    let (store, _) = open_with(&server, Durability::Always);
    assert_ne!(store.epoch(), before, "the third notification has the place of the second");
    let (other, _) = open_with(&server, Durability::Always);
    assert_eq!(other.epoch(), store.epoch(), "that is settled");
    store.close().await;
    other.close().await;
}

/// One that was there and finds all says that nothing is lost; who starts meanwhile waits for that.
#[tokio::test]
async fn a_node_that_starts_waits_for_those_who_were_there() {
    let mut server = Server::start(Keeps::Always);
    for _ in 0..3 {
        let (store, setup) = open_with(&server, Durability::Always);
        let before = store.epoch();
        store.commit(notify("bob", notice("n1", Priority::Normal))).await.unwrap();
        server.kill();
        server.restart();
        let url = server.url();
        let late = tokio::task::spawn_blocking(move || open_at(url, Durability::Always).0);
        assert_eq!(late.await.unwrap().epoch(), before);
        assert!(!setup.sink.changes().iter().any(is_restart));
        store.close().await;
    }
}
