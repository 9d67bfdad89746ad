//! Redis stands still, or its connections are cut.

use std::time::{Duration, Instant};

use carillon_hub::redis;
use carillon_hub::store::{Store, StoreError};

use crate::harness::*;
use crate::load::{Load, open};
use crate::server::Server;

fn signal(process: i32, signal: &str) {
    let sent = std::process::Command::new("kill").args([signal, &process.to_string()]).status();
    assert!(sent.unwrap().success());
}

#[tokio::test]
async fn a_server_that_stands_still_costs_nothing_that_was_acknowledged() {
    stands_still(5).await;
}

#[tokio::test]
async fn nor_one_that_stands_still_for_long() {
    stands_still(30).await;
}

async fn stands_still(seconds: u64) {
    let server = Server::syncing("always");
    let store = open(redis::Options::new(server.url()), |_| {});
    let load = Load::begin(&store);
    load.makes_progress(500).await;
    signal(server.process(), "-STOP");
    let stopped = Instant::now();
    while stopped.elapsed() < Duration::from_secs(seconds) {
        // Callers hear that it is not there, in the time that an answer has.
        let asked = Instant::now();
        let answer = store.room(&room_key("conversation:0")).await;
        assert!(matches!(answer, Err(StoreError::Unavailable)), "{answer:?}");
        assert!(asked.elapsed() < Duration::from_secs(10));
    }
    signal(server.process(), "-CONT");
    let recovered = load.makes_progress(500).await;
    load.end(&format!("SIGSTOP for {seconds} s"), recovered).await;
    store.close().await;
}

#[tokio::test]
async fn connections_that_are_cut_are_opened_again() {
    let server = Server::start();
    let store = open(redis::Options::new(server.url()), |_| {});
    let load = Load::begin(&store);
    let socket = server.url().replace("unix://", "");
    let mut recovered = Duration::ZERO;
    for _ in 0..5 {
        load.makes_progress(200).await;
        let mut cut = std::process::Command::new("redis-cli");
        cut.args(["-s", &socket, "client", "kill", "type", "normal", "skipme", "yes"]);
        assert!(cut.output().unwrap().status.success());
        recovered = recovered.max(load.makes_progress(200).await);
    }
    load.end("CLIENT KILL, five times", recovered).await;
    assert!(store.link().reopened() >= 1);
    store.close().await;
}
