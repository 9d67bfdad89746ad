//! A server that does not keep what it is given is found out.

use std::sync::Arc;
use std::time::Duration;

use carillon_hub::redis::{self, Durability};
use carillon_hub::store::Store;
use carillon_hub::store::redis::{OpenError, Options, RedisStore};

use crate::harness::*;
use crate::upkeep::calls;
use crate::writes::commits_at_last;
use carillon_test_redis::{Keeps, Server};

fn open_with(server: &Server, durability: Durability, strict: bool) -> Result<RedisStore, OpenError> {
    let setup = Setup::new();
    let redis = redis::Options::new(server.url());
    RedisStore::open(Options {
        durability,
        strict,
        ..Options::new(redis, Arc::clone(&setup.namespaces), setup.sink.clone())
    })
}

fn set(server: &Server, name: &str, value: &str) {
    server.command::<()>(&format!("CONFIG SET {name} {value}"));
}

#[test]
fn servers_that_forget_are_refused() {
    let server = Server::start(Keeps::EverySecond);
    open_with(&server, Durability::EverySecond, true).unwrap();
    let refused = |durability: Durability, words: &str| {
        let error = open_with(&server, durability, true).map(drop).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        open_with(&server, durability, false).unwrap();
    };
    refused(Durability::Always, "appendfsync always");
    refused(Durability::Replicas(1), "redis.replicas is 1, and a server has 0");
    set(&server, "appendfsync", "always");
    open_with(&server, Durability::Always, true).unwrap();
    set(&server, "no-appendfsync-on-rewrite", "yes");
    refused(Durability::Always, "no-appendfsync-on-rewrite no");
    set(&server, "appendfsync", "no");
    refused(Durability::EverySecond, "appendfsync everysec");
    set(&server, "appendfsync", "everysec");
    set(&server, "maxmemory", "100mb");
    set(&server, "maxmemory-policy", "allkeys-lru");
    refused(Durability::EverySecond, "maxmemory-policy must be noeviction");
    set(&server, "maxmemory-policy", "noeviction");
    // Started again it would be empty, and its replicas after it.
    set(&server, "appendonly", "no");
    refused(Durability::Replicas(0), "\"replicas\" needs appendonly yes");
}

/// Whoever is connected later may be another server, or have been told otherwise since.
#[tokio::test]
async fn a_server_that_begins_to_forget_is_refused_when_it_is_connected_again() {
    let server = Server::start(Keeps::EverySecond);
    let store = open_with(&server, Durability::EverySecond, true).unwrap();
    let asked = calls(&server, "config|get");
    set(&server, "appendonly", "no");
    server.command::<u64>("CLIENT KILL TYPE normal");
    let looked_at = async {
        // It is looked at twice, at least: one look is five settings.
        while calls(&server, "config|get") < asked + 10 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), looked_at).await.unwrap();
    store.commit(send("conversation:a", "alice", "nobody")).await.unwrap_err();
    set(&server, "appendonly", "yes");
    commits_at_last(&store, send("conversation:a", "alice", "somebody").keyed("once", 1)).await;
    store.close().await;
}

#[test]
fn nobody_there_is_said_at_once() {
    let setup = Setup::new();
    let redis = redis::Options::new("redis://127.0.0.1:1");
    let opened =
        RedisStore::open(Options::new(redis, Arc::clone(&setup.namespaces), setup.sink.clone())).map(drop);
    assert!(matches!(opened, Err(OpenError::Link(_))), "{opened:?}");
}
