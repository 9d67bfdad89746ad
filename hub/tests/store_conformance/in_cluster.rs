//! The store on a Redis cluster under the suite. The cluster is started once and shared: each test has keys of its own in it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use carillon_hub::redis;
use carillon_hub::store::redis::{Options, RedisStore};

use crate::harness::{Fixture, Setup};
use carillon_test_redis::{Cluster, Keeps};

/// Some keys of it.
pub(crate) struct InCluster {
    prefix: String,
}

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let cluster = Cluster::start(true, Keeps::EverySecond);
        cluster.ends_with_this_process();
        cluster
    })
}

impl Fixture for InCluster {
    type Store = RedisStore;

    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        Self { prefix: format!("test-{}", NUMBER.fetch_add(1, Ordering::Relaxed)) }
    }

    fn open(&self, setup: &Setup) -> RedisStore {
        let redis = redis::Options {
            servers: cluster().urls(),
            cluster: true,
            prefix: self.prefix.clone(),
            ..redis::Options::new("")
        };
        let options = Options {
            clock: setup.clock.source(),
            forgets_by: Some(setup.clock.source()),
            idempotency_keys: setup.idempotency_keys,
            revoked_for: setup.revoked_for,
            sweep: Duration::from_millis(200),
            queue: 65_536,
            ..Options::new(redis, setup.namespaces.clone(), setup.sink.clone())
        };
        RedisStore::open(options).unwrap()
    }
}

crate::conformance!(super::InCluster);
