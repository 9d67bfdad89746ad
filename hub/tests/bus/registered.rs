//! A node's registry, once its lease has begun.

use std::time::Duration;

use carillon_hub::bus::registry::Registry;
use carillon_hub::bus::registry::redis::RedisRegistry;
use carillon_hub::bus::sessions::Life;
use carillon_hub::redis::Options;
use carillon_test_redis::{Keeps, Server};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::harness::soon;

/// Longer than any test.
pub(crate) const LEASE: Duration = Duration::from_mins(5);

/// Two nodes on one server.
pub(crate) async fn two() -> (Server, Node, Node) {
    let server = Server::start(Keeps::Nothing);
    let (one, other) = (Node::start(&server, 1, LEASE).await, Node::start(&server, 2, LEASE).await);
    (server, one, other)
}

pub(crate) struct Node {
    pub(crate) registry: RedisRegistry,
    pub(crate) life: Life,
    _guard: DropGuard,
}

impl Node {
    pub(crate) async fn start(server: &Server, number: u64, lease: Duration) -> Self {
        let mut options = Options::new(server.url());
        options.cluster = server.is_of_cluster();
        Self::start_with(options, number, lease).await
    }

    pub(crate) async fn start_with(options: Options, number: u64, lease: Duration) -> Self {
        let registry = RedisRegistry::new(options, number, lease).unwrap();
        let cancel = CancellationToken::new();
        tokio::spawn(registry.clone().keep(cancel.clone()));
        let life = Life { node: number, number: 1 };
        soon("a lease", async {
            while registry.renew(life, lease, true).await.is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        Self { registry, life, _guard: cancel.drop_guard() }
    }
}
