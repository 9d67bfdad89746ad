//! A cluster's master dies, and its replica takes over.

use carillon_hub::redis::{self, Durability};
use carillon_hub::store::Store;

use crate::load::{Load, open};
use carillon_test_redis::{Cluster, Keeps};

#[tokio::test]
async fn what_a_replica_has_survives_its_master() {
    let mut cluster = Cluster::start(true, Keeps::EverySecond);
    let redis = redis::Options { servers: cluster.urls(), cluster: true, ..redis::Options::new("") };
    let store = open(redis, |options| options.durability = Durability::Replicas(1));
    let load = Load::begin(&store);
    load.makes_progress(500).await;
    cluster.servers[0].kill();
    cluster.wait_for_the_first_replica();
    // It comes back as the other's replica: without one nothing is acknowledged.
    cluster.servers[0].restart();
    let recovered = load.makes_progress(500).await;
    load.end("failover of a master with one replica waited for", recovered).await;
    store.close().await;
}
