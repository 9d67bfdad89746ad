//! A cluster's master is killed in the middle of it, and its replica takes over: what one replica was waited for with is there.

use std::time::Duration;

use carillon_hub::config::Policy;
use carillon_hub::domain::names::{RoomName, TenantId};
use carillon_hub::redis::Partition;
use carillon_test_redis::LAST;
use carillon_tests::hub::{Plan, TENANT};
use carillon_tests::{Cluster, Keeps, hub};
use tokio::task::block_in_place;

use crate::faults::ROOM;
use crate::load::Load;

fn node_of(cluster: &Cluster) -> Plan {
    let servers: Vec<_> = cluster.urls().into_iter().map(Into::into).collect();
    hub().node_at("").with(|config| {
        config.redis.servers = servers;
        config.redis.cluster = true;
        config.redis.durability = Policy::Replicas;
        config.redis.answer_timeout = Duration::from_secs(1);
        config.redis.connect_timeout = Duration::from_secs(1);
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_master_of_a_cluster() {
    let mut cluster = block_in_place(|| Cluster::start(true, Keeps::EverySecond));
    let (one, other) = (node_of(&cluster).start().await, node_of(&cluster).start().await);
    let load = Load::begin(&[&one, &other]).await;
    for node in [0, 1] {
        load.is_acknowledged(node, 100).await;
    }
    let (tenant, room) = (TenantId::parse(TENANT).unwrap(), RoomName::parse(ROOM).unwrap());
    let slot = Partition::of_room(&tenant, &room).slot();
    let master = LAST.iter().position(|last| slot <= *last).unwrap();
    block_in_place(|| {
        cluster.servers[master].kill();
        cluster.wait_for_the_replica_of(master);
        // It comes back as the other's replica: without one nothing is acknowledged.
        cluster.servers[master].restart();
    });
    let mut recovered = Duration::ZERO;
    for node in [0, 1] {
        recovered = recovered.max(load.recovers(node).await);
    }
    let outcome = load.end("a cluster's master killed, two nodes, one replica waited for", recovered).await;
    assert_eq!(outcome.ended, [0, 0], "sessions stay");
}
