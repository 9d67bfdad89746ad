//! A server that does not keep what it is given is found out.

use std::sync::Arc;

use carillon_hub::redis::{self, Durability};
use carillon_hub::store::redis::{OpenError, Options, RedisStore};

use crate::harness::*;
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
    set(&server, "appendfsync", "no");
    refused(Durability::EverySecond, "appendfsync everysec");
    set(&server, "appendfsync", "everysec");
    set(&server, "maxmemory", "100mb");
    set(&server, "maxmemory-policy", "allkeys-lru");
    refused(Durability::EverySecond, "maxmemory-policy must be noeviction");
}

#[test]
fn nobody_there_is_said_at_once() {
    let setup = Setup::new();
    let redis = redis::Options::new("redis://127.0.0.1:1");
    let opened =
        RedisStore::open(Options::new(redis, Arc::clone(&setup.namespaces), setup.sink.clone())).map(drop);
    assert!(matches!(opened, Err(OpenError::Link(_))), "{opened:?}");
}
