//! What it costs Redis that a node's bus was away for a moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use carillon_hub::bus::Topic;
use carillon_hub::domain::member::MembershipChange;
use futures::future::join_all;
use redis::FromRedisValue;

use crate::node::{Node, Told, membership, room, send, user};
use carillon_test_redis::{Keeps, Server};

const USERS: usize = 200;

/// How often the server was given each command since the statistics were reset.
async fn calls(server: &Arc<Server>) -> BTreeMap<String, usize> {
    let calls = |line: &str| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
    };
    does::<String>(server, "INFO commandstats").await.lines().filter_map(calls).collect()
}

/// Does a command beside what the node does meanwhile.
async fn does<T: FromRedisValue + Send + 'static>(server: &Arc<Server>, words: &'static str) -> T {
    let server = Arc::clone(server);
    tokio::task::spawn_blocking(move || server.command(words)).await.unwrap()
}

/// Waits until each of these was called once for each user.
async fn wait_for(server: &Arc<Server>, names: &[&str]) -> BTreeMap<String, usize> {
    loop {
        let calls = calls(server).await;
        if names.iter().all(|name| calls.get(*name).is_some_and(|calls| *calls >= USERS)) {
            return calls;
        }
    }
}

/// A user who is connected and idle costs a read of their inbox's head and one of their rooms' names, and no script.
#[tokio::test]
async fn idle_users_cost_a_bus_that_comes_back_two_small_reads_each() {
    let server = Arc::new(Server::start(Keeps::Nothing));
    let node = Node::start(&server, 1).await;
    let names: Vec<_> = (0..USERS).map(|n| format!("u{n}")).collect();
    for outcome in
        join_all(names.iter().map(|name| {
            node.store.commit(membership(&format!("{}", name.len()), name, MembershipChange::Added))
        }))
        .await
    {
        outcome.unwrap();
    }
    for id in ["2", "3", "4"] {
        node.commit(send(id, "alice", "hello")).await;
    }
    let mut reaches = Vec::new();
    for name in &names {
        reaches.push(node.feed.reach(&user(name)).await.unwrap());
    }
    for id in ["2", "3", "4"] {
        while node.feed.position(&Topic::Room(room(id))).is_none() {
            tokio::task::yield_now().await;
        }
    }
    wait_for(&server, &["zrangebylex"]).await;
    does::<String>(&server, "CONFIG RESETSTAT").await;
    assert!(does::<u64>(&server, "CLIENT KILL TYPE pubsub").await > 0);
    node.waits("all are heard again", |told| {
        told.iter().filter(|told| matches!(told, Told::MayHaveMissed)).count() > USERS
    })
    .await;
    let calls = wait_for(&server, &["zrangebylex", "hget"]).await;
    let of = |name: &str| calls.get(name).copied().unwrap_or(0);
    // A tenth more where a connection broke twice; scripts are upkeep's alone.
    assert!(of("zrangebylex") <= USERS + USERS / 10 && of("hget") <= USERS + USERS / 10, "{calls:?}");
    assert!(of("evalsha") < USERS / 10, "{calls:?}");
}
