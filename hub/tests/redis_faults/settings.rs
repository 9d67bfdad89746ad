//! A server that does not keep what it is given is found out.

use std::sync::Arc;
use std::time::Duration;

use carillon_hub::redis::{self, Durability};
use carillon_hub::store::Store;
use carillon_hub::store::redis::{OpenError, Options, RedisStore};

use crate::harness::*;
use crate::upkeep::calls;
use crate::writes::commits_at_last;
use carillon_test_redis::{Cluster, Keeps, Server};

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
    // Once a second is not when the log is rewritten.
    set(&server, "appendfsync", "everysec");
    refused(Durability::EverySecond, "no-appendfsync-on-rewrite no");
    set(&server, "no-appendfsync-on-rewrite", "no");
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

/// A server that is there says what is wrong, in words that help.
#[test]
fn what_a_server_refuses_is_said() {
    let open_at = |url: String, cluster: bool, user: Option<&str>| {
        let setup = Setup::new();
        let mut at = redis::Options { cluster, ..redis::Options::new(url) };
        (at.user, at.password) = (user.map(str::to_owned), user.map(|_| "secret".to_owned()));
        let options = Options::new(at, Arc::clone(&setup.namespaces), setup.sink.clone());
        RedisStore::open(Options { strict: false, ..options }).map(drop).unwrap_err().to_string()
    };
    let server = Server::start(Keeps::EverySecond);
    let error = open_at(server.url(), true, None);
    assert!(error.contains("leave out redis.cluster"), "{error}");
    for rights in ["~carillon:* +@all -evalsha", "~other:* +@all"] {
        server.command::<()>(&format!("ACL SETUSER hub reset on >secret &* {rights}"));
        let error = open_at(server.url(), false, Some("hub"));
        assert!(error.contains("its user lacks rights"), "{rights}: {error}");
    }
    let cluster = Cluster::start(false, Keeps::EverySecond);
    let errors: Vec<_> = cluster.urls().into_iter().map(|url| open_at(url, false, None)).collect();
    assert!(errors.iter().any(|error| error.contains("set redis.cluster")), "{errors:?}");
}

/// Somebody else has written under the prefix.
#[tokio::test]
async fn a_key_of_another_type_is_said_to_be_damaged() {
    let server = Server::start(Keeps::EverySecond);
    let store = open_with(&server, Durability::EverySecond, true).unwrap();
    store.commit(send("conversation:a", "alice", "before")).await.unwrap();
    let keys: Vec<String> = server.command("KEYS *conversation:a");
    server.command::<u64>(&format!("DEL {}", keys[0]));
    server.command::<()>(&format!("SET {} other", keys[0]));
    let error = store.room(&room_key("conversation:a")).await.unwrap_err().to_string();
    assert!(error.contains("a key is of another type"), "{error}");
    let error = store.commit(send("conversation:a", "alice", "after")).await.unwrap_err().to_string();
    assert!(error.contains("a key is of another type"), "{error}");
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
