//! Nodes die and are replaced, in the middle of it.

use std::time::Duration;

use carillon_client::{Client, Code, ConnectError, Event};
use carillon_hub::domain::time::Timestamp;
use carillon_tests::process::HubProcess;
use carillon_tests::{Keeps, Person, Redis};

use crate::load::Load;

/// A node is killed with -9 while people on it and on another one send: their clients carry on, and who listens on the other
/// one hears all of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_killed_costs_nothing_that_was_acknowledged() {
    let (redis, folder) = (Redis::start(Keeps::Always), tempfile::tempdir().unwrap());
    let mut mortal = HubProcess::node(folder.path(), &redis.url());
    let other = HubProcess::node(folder.path(), &redis.url());
    let load = Load::begin(&[&mortal, &other]).await;
    let mut recovered = Duration::ZERO;
    for _ in 0..3 {
        for node in [0, 1] {
            load.is_acknowledged(node, 100).await;
        }
        tokio::task::block_in_place(|| mortal.is_killed_and_starts_again(|| ()));
        recovered = recovered.max(load.recovers(0).await);
    }
    load.end("a node killed, three times", recovered).await;
}

/// One node after the other is stopped in order and replaced by another at its address, under load.
#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_is_heard_by_nobody() {
    let (redis, folder) = (Redis::start(Keeps::Always), tempfile::tempdir().unwrap());
    let mut nodes: Vec<_> = (0..3).map(|_| HubProcess::node(folder.path(), &redis.url())).collect();
    let load = Load::begin(&nodes.iter().collect::<Vec<_>>()).await;
    let mut recovered = Duration::ZERO;
    for (number, node) in nodes.iter_mut().enumerate() {
        load.is_acknowledged(number, 100).await;
        tokio::task::block_in_place(|| node.is_replaced());
        recovered = recovered.max(load.recovers(number).await);
    }
    load.end("a rolling restart", recovered).await;
}

/// Of three nodes the clock of one is a minute ahead, and that of another a minute behind; each of those is killed with -9 in
/// the middle of it.
#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_differ_by_minutes_change_nothing() {
    let (redis, folder) = (Redis::start(Keeps::Always), tempfile::tempdir().unwrap());
    let node = |ahead| HubProcess::node_of_another_time(folder.path(), &redis.url(), ahead);
    let mut nodes = [node(0), node(60), node(-60)];
    for (node, ahead) in nodes.iter().zip([0, 60, -60]) {
        let differs = time_of(node).await - Timestamp::now().millis();
        assert!((differs - ahead * 1_000).abs() < 30_000, "{differs}");
    }
    let load = Load::begin(&nodes.iter().collect::<Vec<_>>()).await;
    let mut recovered = Duration::ZERO;
    for number in [1, 2] {
        for number in 0..3 {
            load.is_acknowledged(number, 100).await;
        }
        tokio::task::block_in_place(|| nodes[number].is_killed_and_starts_again(|| ()));
        recovered = recovered.max(load.recovers(number).await);
    }
    load.end("clocks that differ by a minute and two, nodes killed", recovered).await;
}

/// What a node says that the time is, in milliseconds since 1970.
async fn time_of(node: &HubProcess) -> i64 {
    let mut person = Person::connect("alice", node.options("alice")).await;
    let connected = person.waits_for(|event| match event {
        Event::Connected(connected) => Some(connected),
        _ => None,
    });
    connected.await.server_time_ms
}

/// «Now» is after all that was issued, also by the clock of a node that is behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_clock_is_behind_revokes_what_was_issued_a_moment_ago() {
    let (redis, folder) = (Redis::start(Keeps::EverySecond), tempfile::tempdir().unwrap());
    let on_time = HubProcess::node(folder.path(), &redis.url());
    let behind = HubProcess::node_of_another_time(folder.path(), &redis.url(), -60);
    let mut bob = Person::connect("bob", on_time.options("bob")).await;
    let revoke = ["admin", "revoke", "--user", "bob", "--addr", behind.address()];
    tokio::task::block_in_place(|| behind.carillon("service", &revoke).run().good());
    let ended = bob.waits_for(|event| match event {
        Event::Disconnected(ended) => Some(ended.code),
        _ => None,
    });
    assert_eq!(ended.await, Some(Code::SessionInvalidated));
    for node in [&on_time, &behind] {
        match Client::connect(node.options("bob")).await {
            Err(ConnectError::Refused(refusal)) => assert_eq!(refusal.code, Code::SessionInvalidated),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("he is in"),
        }
    }
}
