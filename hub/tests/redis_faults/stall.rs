//! Redis stands still, or its connections are cut.

use std::time::{Duration, Instant};

use carillon_hub::redis;
use carillon_hub::store::{Store, StoreError};

use crate::harness::*;
use crate::load::{Load, open};
use carillon_test_redis::{Keeps, Proxy, Server};

#[tokio::test]
async fn a_server_that_stands_still_costs_nothing_that_was_acknowledged() {
    stands_still(5).await;
}

#[tokio::test]
async fn nor_one_that_stands_still_for_long() {
    stands_still(30).await;
}

async fn stands_still(seconds: u64) {
    let server = Server::start(Keeps::Always);
    let store = open(redis::Options::new(server.url()), |_| {});
    let load = Load::begin(&store);
    load.makes_progress(500).await;
    server.freeze();
    let stopped = Instant::now();
    while stopped.elapsed() < Duration::from_secs(seconds) {
        // Callers hear that it is not there, in the time that an answer has.
        let asked = Instant::now();
        let answer = store.room(&room_key("conversation:0")).await;
        assert!(matches!(answer, Err(StoreError::Unavailable)), "{answer:?}");
        assert!(asked.elapsed() < Duration::from_secs(10));
    }
    server.thaw();
    let recovered = load.makes_progress(500).await;
    load.end(&format!("SIGSTOP for {seconds} s"), recovered).await;
    store.close().await;
}

#[tokio::test]
async fn connections_that_are_cut_are_opened_again() {
    let server = Server::start(Keeps::EverySecond);
    let store = open(redis::Options::new(server.url()), |_| {});
    let load = Load::begin(&store);
    let mut recovered = Duration::ZERO;
    for _ in 0..5 {
        load.makes_progress(200).await;
        server.command::<u64>("CLIENT KILL TYPE normal SKIPME yes");
        recovered = recovered.max(load.makes_progress(200).await);
    }
    load.end("CLIENT KILL, five times", recovered).await;
    assert!(store.link().figures().reopened >= 5);
    store.close().await;
}

#[tokio::test]
async fn a_connection_that_died_without_a_word_is_replaced() {
    let server = Server::start(Keeps::EverySecond);
    let network = Proxy::to(&server);
    let store = open(redis::Options::new(network.url()), |_| {});
    let load = Load::begin(&store);
    load.makes_progress(200).await;
    let (before, lost) = (store.link().server(b"").unwrap(), network.lost());
    network.cuts();
    while network.lost() == lost {
        tokio::task::yield_now().await;
    }
    // What it lost makes it useless, and nobody says so.
    network.heals();
    let recovered = load.makes_progress(200).await;
    assert!(before.is_replaced());
    load.end("a connection that died without a word", recovered).await;
    store.close().await;
}
