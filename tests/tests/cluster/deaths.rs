//! Nodes die and are replaced, in the middle of it.

use std::time::Duration;

use carillon_tests::process::HubProcess;
use carillon_tests::{Keeps, Redis, hub};

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
    let redis = Redis::start(Keeps::Always);
    let (one, other) = (hub().node_of(&redis).start().await, hub().node_of(&redis).start().await);
    let load = Load::begin(&[&one, &other]).await;
    let (mut nodes, mut recovered) = (vec![one, other], Duration::ZERO);
    for number in [0, 1] {
        load.is_acknowledged(number, 100).await;
        let node = nodes.remove(0);
        let address = node.hub.grpc_address();
        nodes.push(node.stops().await.at(address).start().await);
        recovered = recovered.max(load.recovers(number).await);
    }
    load.end("a rolling restart", recovered).await;
}
