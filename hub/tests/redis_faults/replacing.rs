//! A connection is replaced: what the one before brings counts for nothing from the time on at which the new one is looked at.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use carillon_hub::domain::position::Epoch;
use carillon_hub::redis::link::Check;
use carillon_hub::redis::{Link, LinkError, Options, Partition, Server, Way, connect};
use carillon_hub::store::redis::{self as store, RedisStore};
use carillon_hub::store::{Change, Store};
use carillon_test_redis::{self as servers, Keeps, Proxy};
use redis::RedisError;

use crate::harness::Setup;
use crate::upkeep::calls;

const KEY: &[u8] = b"any";

fn check(looks: impl Fn(Server) -> Result<(), LinkError> + Send + Sync + 'static) -> Check {
    Box::new(move |_, server| {
        let looked = looks(server);
        Box::pin(async move { looked })
    })
}

async fn connected(server: &servers::Server) -> (Link, Server) {
    let link = Link::with_writes_apart(Options::new(server.url())).unwrap();
    connect(&link, &check(|_| Ok(()))).await.unwrap();
    let first = link.server(KEY).unwrap();
    (link, first)
}

fn late() -> RedisError {
    RedisError::from(io::Error::from(io::ErrorKind::TimedOut))
}

#[tokio::test]
async fn what_comes_while_the_new_one_is_looked_at_counts_for_nothing() {
    let server = servers::Server::start(Keeps::Nothing);
    let (link, first) = connected(&server).await;
    link.failed(&first, &late(), Way::Reads);
    let was_replaced = Arc::new(AtomicBool::new(false));
    let (seen, before) = (Arc::clone(&was_replaced), first.clone());
    let refuses = check(move |_| {
        // Writes are answered, over a connection that may lead to another server than the new one.
        before.answered(Way::Writes);
        seen.store(before.is_replaced(), Ordering::Release);
        Err(LinkError::Unreachable("it is not fit".into()))
    });
    connect(&link, &refuses).await.unwrap_err();
    assert!(was_replaced.load(Ordering::Acquire));
    // It is answered again, and no less to be replaced.
    first.answered(Way::Reads);
    connect(&link, &check(|_| Ok(()))).await.unwrap();
    assert_ne!(link.server(KEY).unwrap().number, first.number);
}

/// Of two ways one is broken: what comes over the other one counts for nothing either.
#[tokio::test]
async fn what_comes_over_one_way_after_the_other_was_lost_counts_for_nothing() {
    let server = servers::Server::start(Keeps::Nothing);
    let (link, first) = connected(&server).await;
    link.failed(&first, &RedisError::from(io::Error::from(io::ErrorKind::BrokenPipe)), Way::Reads);
    assert!(first.is_replaced());
    connect(&link, &check(|_| Ok(()))).await.unwrap();
    let second = link.server(KEY).unwrap();
    assert!(second.number != first.number && !second.is_replaced());
}

/// The server of before has answered in the epoch that has ended, and what it says comes when another has begun.
#[tokio::test]
async fn what_comes_late_begins_no_epoch_that_has_ended() {
    let server = servers::Server::start(Keeps::EverySecond);
    let network = Proxy::to(&server);
    let setup = Setup::new();
    let options =
        store::Options::new(Options::new(network.url()), setup.namespaces.clone(), setup.sink.clone());
    let sweep = std::time::Duration::from_millis(20);
    let store = RedisStore::open(store::Options { sweep, ..options }).unwrap();
    let (before, hub) = (store.epoch(), format!("carillon:{{{}}}:hub", Partition::of_hub().number()));
    network.holds_answers();
    let asked = calls(&server, "hmget");
    while calls(&server, "hmget") == asked {}
    let next = Epoch(before.0 + 1);
    server.command::<u64>(&format!("HSET {hub} epoch {}", next.0));
    store.link().lost(&store.link().server(hub.as_bytes()).unwrap());
    let has_begun = move |change: &Change| *change == Change::Restarted(next);
    let sink = setup.sink.clone();
    tokio::task::spawn_blocking(move || sink.wait_for(has_begun)).await.unwrap();
    let asked = calls(&server, "hmget");
    network.heals();
    // It is taken before the next question.
    while calls(&server, "hmget") < asked + 2 {}
    assert_eq!(store.epoch(), next);
    assert!(!setup.sink.changes().contains(&Change::Restarted(before)), "an epoch that has ended");
    store.close().await;
}
