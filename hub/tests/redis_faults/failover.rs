//! A cluster's master dies, and its replica takes over.

use carillon_hub::redis::{self, Durability};
use carillon_hub::store::Store;

use crate::cluster::Cluster;
use crate::load::{Load, open};

#[tokio::test]
async fn what_a_replica_has_survives_its_master() {
    let cluster = Cluster::start();
    let redis = redis::Options { servers: cluster.urls(), cluster: true, ..redis::Options::new("") };
    let store = open(redis, |options| options.durability = Durability::Replicas(1));
    let load = Load::begin(&store);
    load.makes_progress(500).await;
    let master = cluster.kill_a_master();
    cluster.wait_for_a_master_instead_of(master);
    // It comes back as the other's replica: without one nothing is acknowledged.
    cluster.restart(master);
    let recovered = load.makes_progress(500).await;
    load.end("failover of a master with one replica waited for", recovered).await;
    store.close().await;
}
