//! Nodes die and are replaced, in the middle of it.

use std::collections::BTreeSet;

use carillon_tests::process::HubProcess;
use carillon_tests::{Keeps, Person, Redis, hub};

use crate::faults::{END, ROOM, Senders, all_came_once, hears_more, listens, says_at_last};

/// A node is killed with -9 while people on it and on another one send: their clients carry on, and who listens on the other
/// one hears all of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_killed_costs_nothing_that_was_acknowledged() {
    let (redis, folder) = (Redis::start(Keeps::Always), tempfile::tempdir().unwrap());
    let mut mortal = HubProcess::node(folder.path(), &redis.url());
    let other = HubProcess::node(folder.path(), &redis.url());
    let alice = Person::connect("alice", mortal.options("alice")).await;
    let bob = Person::connect("bob", other.options("bob")).await;
    let listener = Person::connect("alice", other.options("alice")).await;
    listener.joins(ROOM).await;
    let (listening, mut heard) = listens(listener);
    let mut acknowledged = BTreeSet::new();
    for round in 0..3 {
        let senders = Senders::start([&alice, &bob], round);
        hears_more(&mut heard, 100).await;
        tokio::task::block_in_place(|| mortal.is_killed_and_starts_again(|| ()));
        says_at_last(&alice, &format!("after round {round}")).await;
        hears_more(&mut heard, 100).await;
        acknowledged.extend(senders.stop().await);
    }
    says_at_last(&bob, END).await;
    all_came_once(&acknowledged, &listening.await.unwrap());
}

/// One node after the other is stopped in order and replaced by another at its address, under load.
#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_is_heard_by_nobody() {
    let redis = Redis::start(Keeps::Always);
    let mut nodes = Vec::new();
    for _ in 0..2 {
        nodes.push(hub().node_of(&redis).start().await);
    }
    let (alice, bob) = (nodes[0].enters("alice").await, nodes[1].enters("bob").await);
    let (carol, dan) = (nodes[0].enters("carol").await, nodes[1].enters("dan").await);
    carol.joins(ROOM).await;
    dan.joins(ROOM).await;
    let ((of_carol, mut carols), (of_dan, mut dans)) = (listens(carol), listens(dan));
    let senders = Senders::start([&alice, &bob], 0);
    for _ in 0..2 {
        hears_more(&mut carols, 50).await;
        hears_more(&mut dans, 50).await;
        let node = nodes.remove(0);
        let address = node.hub.grpc_address();
        nodes.push(node.stops().await.at(address).start().await);
    }
    hears_more(&mut carols, 50).await;
    hears_more(&mut dans, 50).await;
    let acknowledged = senders.stop().await;
    says_at_last(&alice, END).await;
    let (of_carol, of_dan) = (of_carol.await.unwrap(), of_dan.await.unwrap());
    assert_eq!(of_carol, of_dan);
    all_came_once(&acknowledged, &of_dan);
}
