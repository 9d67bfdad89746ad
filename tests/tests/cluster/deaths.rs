//! Nodes die and are replaced, in the middle of it.

use std::time::Duration;

use carillon_tests::process::HubProcess;
use carillon_tests::{Keeps, Redis};

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
