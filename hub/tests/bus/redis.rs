//! The bus on a single Redis.

use std::time::Duration;

use carillon_hub::bus::redis::{Options, RedisBus};
use carillon_hub::redis;
use futures::future::join_all;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::harness::{Fixture, Node, user};
use carillon_test_redis::{Keeps, Server};

/// Channels of a single server, as `PUBLISH` reaches them.
pub(crate) struct Plain {
    _running: (Server, Vec<DropGuard>),
}

/// Channels of a partition, as `SPUBLISH` reaches them.
pub(crate) struct Sharded {
    _running: (Server, Vec<DropGuard>),
}

/// Options whose waits are those of a test.
pub(crate) fn options(server: &Server) -> Options {
    let mut redis = redis::Options::new(server.url());
    redis.cluster = server.is_of_cluster();
    redis.back_off = Duration::from_millis(10);
    redis.back_off_most = Duration::from_millis(200);
    let mut options = Options::new(redis);
    options.heartbeat = Duration::from_millis(200);
    options
}

/// A node that is connected, and what ends it.
pub(crate) async fn node(options: Options, room: usize) -> (Node, DropGuard) {
    let (bus, events, service) = RedisBus::with_room(options, room).unwrap();
    let cancel = CancellationToken::new();
    tokio::spawn(service.run(cancel.clone()));
    let mut node = Node::new(bus, events);
    let first = user("first");
    node.hears(first.clone()).await;
    node.bus.release(&first);
    node.brings(vec![first]).await;
    (node, cancel.drop_guard())
}

async fn nodes(count: usize, room: usize, sharded: bool) -> (Server, Vec<DropGuard>, Vec<Node>) {
    let server = Server::start(Keeps::Nothing);
    let start = |_| node(Options { sharded, ..options(&server) }, room);
    let (nodes, guards) = join_all((0..count).map(start)).await.into_iter().unzip();
    (server, guards, nodes)
}

impl Fixture for Plain {
    async fn nodes(count: usize, room: usize) -> (Self, Vec<Node>) {
        let (server, guards, nodes) = self::nodes(count, room, false).await;
        (Self { _running: (server, guards) }, nodes)
    }
}

impl Fixture for Sharded {
    async fn nodes(count: usize, room: usize) -> (Self, Vec<Node>) {
        let (server, guards, nodes) = self::nodes(count, room, true).await;
        (Self { _running: (server, guards) }, nodes)
    }
}

mod plain {
    crate::conformance::conformance!(super::Plain);
}

mod sharded {
    crate::conformance::conformance!(super::Sharded);
}
