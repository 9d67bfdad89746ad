//! A server that reads are answered by, and that takes no writes.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use carillon_hub::redis;
use carillon_hub::store::redis::RedisStore;
use carillon_hub::store::{Committed, Outcome, Store};

use crate::harness::*;
use crate::load::open;
use carillon_test_redis::{Keeps, Server};

/// Nothing that is waited for takes longer.
const LONGEST: Duration = Duration::from_secs(30);

/// Commits, however often it has to be asked.
pub(crate) async fn commits_at_last(store: &RedisStore, outcome: Outcome) -> Committed {
    let committed = async {
        loop {
            match store.commit(outcome.clone()).await {
                Ok(committed) => return committed,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(LONGEST, committed).await.expect("it is committed")
}

/// A server that became a replica keeps its connections: another one is opened, and leads to who is master now.
#[tokio::test]
async fn a_master_that_was_demoted_behind_its_address_is_left() {
    let start = || (0..2).map(|_| Server::start_for_replication(Keeps::Nothing)).collect::<Vec<_>>();
    let servers = tokio::task::spawn_blocking(start).await.unwrap();
    servers[1].replicate(&servers[0]);
    let folder = tempfile::tempdir().unwrap();
    let address = folder.path().join("redis.sock");
    let leads_to = |server: &Server, address: &Path| {
        let next = folder.path().join("next");
        symlink(server.socket(), &next).unwrap();
        std::fs::rename(&next, address).unwrap();
    };
    leads_to(&servers[0], &address);
    let url = format!("unix://{}", address.display());
    let store = open(redis::Options::new(url), |options| options.strict = false);
    let first = store.commit(send("conversation:a", "alice", "before")).await.unwrap();
    while servers[1].command::<u64>("DBSIZE") < servers[0].command::<u64>("DBSIZE") {}
    servers[1].command::<()>("REPLICAOF NO ONE");
    servers[0].replicate(&servers[1]);
    leads_to(&servers[1], &address);
    let second = commits_at_last(&store, send("conversation:a", "alice", "after").keyed("once", 1)).await;
    assert_eq!(
        (second.position.seq, second.position.epoch),
        (first.position.seq.next(), first.position.epoch)
    );
    store.close().await;
}

/// Too few replicas: nothing is taken, and the store says so; who reads is answered.
#[tokio::test]
async fn a_server_that_takes_no_writes_is_found_out() {
    let server = Server::start(Keeps::EverySecond);
    let store = open(redis::Options::new(server.url()), |options| options.sweep = Duration::from_millis(20));
    let becomes = async |writable: bool| {
        let changed = async {
            while store.figures().writable != writable {
                assert!(store.is_healthy());
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LONGEST, changed).await.expect("it is noticed");
    };
    becomes(true).await;
    server.command::<()>("CONFIG SET min-replicas-to-write 1");
    becomes(false).await;
    store.commit(send("conversation:a", "alice", "nobody")).await.unwrap_err();
    store.room(&room_key("conversation:a")).await.unwrap();
    server.command::<()>("CONFIG SET min-replicas-to-write 0");
    becomes(true).await;
    store.commit(send("conversation:a", "alice", "somebody")).await.unwrap();
    store.close().await;
}
