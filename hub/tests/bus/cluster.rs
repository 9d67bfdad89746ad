//! The bus on a Redis cluster: channels are spread over its servers, and move with its slots.

use std::time::Duration;

use carillon_hub::bus::registry::Registry;
use carillon_hub::bus::{Event, Topic};
use carillon_hub::redis::options::PREFIX;
use carillon_hub::redis::slots::slot_of;
use carillon_hub::redis::{Names, Options};
use futures::FutureExt;
use futures::future::join_all;
use tokio_util::sync::DropGuard;

use crate::harness::{Fixture, Node, room, soon, tenant};
use crate::redis::{node, options};
use crate::registered::{self, LEASE};
use carillon_test_redis as servers;
use carillon_test_redis::{Keeps, LAST, Server};

/// Servers, and what ends the nodes.
pub(crate) struct Cluster {
    cluster: servers::Cluster,
    guards: Vec<DropGuard>,
}

impl Cluster {
    async fn start(with_replicas: bool) -> Self {
        let start = move || servers::Cluster::start(with_replicas, Keeps::Nothing);
        Self { cluster: tokio::task::spawn_blocking(start).await.unwrap(), guards: Vec::new() }
    }

    fn server(&self, number: usize) -> &Server {
        &self.cluster.servers[number]
    }

    async fn node(&mut self, room: usize) -> Node {
        let (node, guard) = node(options(self.server(0)), room).await;
        self.guards.push(guard);
        node
    }
}

impl Fixture for Cluster {
    async fn nodes(count: usize, room: usize) -> (Self, Vec<Node>) {
        let mut cluster = Self::start(false).await;
        let mut nodes = Vec::new();
        for _ in 0..count {
            nodes.push(cluster.node(room).await);
        }
        (cluster, nodes)
    }
}

crate::conformance::conformance! { Cluster:
    what_is_published_comes_in_order_to_who_wants_it,
    a_node_hears_itself,
    topics_are_apart,
    what_is_wanted_again_is_heard_again,
    a_topic_that_is_wanted_twice_is_heard_once,
    many_topics_are_wanted_at_once,
    what_is_published_after_a_subscription_is_heard,
    large_messages_come_whole,
}

/// Publishes in each of these until it comes, and passes over everything else.
async fn all_are_heard(from: &Node, by: &mut Node, topics: &[Topic], number: u64) {
    let publish = |topic: &Topic| from.bus.publish(topic, number.to_le_bytes().to_vec().into());
    for topic in topics {
        soon("a publication", async { while publish(topic).await.is_err() {} }).await;
    }
    let mut missing = topics.to_vec();
    while !missing.is_empty() {
        let (topic, message) = by.message().await;
        if crate::harness::number(&message) == number {
            missing.retain(|wanted| *wanted != topic);
        }
    }
}

#[tokio::test]
async fn slots_that_move_take_their_channels_along() {
    let (cluster, mut nodes) = Cluster::nodes(2, 16 << 20).await;
    let (b, mut a) = (nodes.pop().unwrap(), nodes.pop().unwrap());
    let topics: Vec<_> = (0..300).map(room).collect();
    for result in join_all(topics.iter().map(|topic| a.bus.subscribe(topic.clone()))).await {
        result.unwrap();
    }
    a.brings(topics.clone()).await;
    let (from, to) = (cluster.server(0), cluster.server(1));
    let (from_id, to_id): (String, String) = (from.command("CLUSTER MYID"), to.command("CLUSTER MYID"));
    // Empty slots need no migration of keys: the new owner takes each, and tells the old one.
    for slot in 0..1_000 {
        to.command::<()>(&format!("CLUSTER SETSLOT {slot} IMPORTING {from_id}"));
        from.command::<()>(&format!("CLUSTER SETSLOT {slot} MIGRATING {to_id}"));
        to.command::<()>(&format!("CLUSTER SETSLOT {slot} NODE {to_id}"));
        from.command::<()>(&format!("CLUSTER SETSLOT {slot} NODE {to_id}"));
    }
    let lost = a.loses().await;
    assert!(!lost.is_empty(), "those of the slots that moved");
    a.brings(lost).await;
    all_are_heard(&b, &mut a, &topics, 1).await;
}

#[tokio::test]
async fn a_master_that_dies_is_followed_by_its_replica() {
    let mut cluster = Cluster::start(true).await;
    let (mut a, b) = (cluster.node(16 << 20).await, cluster.node(16 << 20).await);
    let topics: Vec<_> = (0..300).map(room).collect();
    for result in join_all(topics.iter().map(|topic| a.bus.subscribe(topic.clone()))).await {
        result.unwrap();
    }
    a.brings(topics.clone()).await;
    all_are_heard(&b, &mut a, &topics, 1).await;
    // The one that the settings name: the others say what became of it.
    cluster.cluster.servers[0].kill();
    let lost = a.loses().await;
    assert!(!lost.is_empty() && lost.len() < topics.len(), "those of one server");
    a.brings(lost).await;
    all_are_heard(&b, &mut a, &topics, 2).await;
    assert!(a.bus.is_connected());
}

#[tokio::test]
async fn a_connection_to_one_server_that_is_killed_costs_its_own_topics_alone() {
    let (cluster, mut nodes) = Cluster::nodes(1, 16 << 20).await;
    let mut a = nodes.pop().unwrap();
    let topics: Vec<_> = (0..300).map(room).collect();
    for topic in &topics {
        a.hears(topic.clone()).await;
    }
    a.brings(topics.clone()).await;
    cluster.server(1).command::<u64>("CLIENT KILL TYPE pubsub");
    let lost = a.loses().await;
    assert!(!lost.is_empty() && lost.len() < topics.len());
    a.brings(lost.clone()).await;
    for topic in topics.iter().filter(|topic| !lost.contains(topic)) {
        a.says(topic, 3).await;
        assert_eq!(a.next().await, Event::Message(topic.clone(), 3u64.to_le_bytes().to_vec().into()));
    }
}

/// What nodes keep moves to another server while they go on: leases are renewed and sessions are written once it is there, and
/// nobody is told that Redis is away.
#[tokio::test]
async fn slots_that_move_take_leases_and_sessions_along() {
    let cluster = Cluster::start(false).await.cluster;
    let node = registered::Node::start(&cluster.servers[0], 1, LEASE).await;
    node.writes(1).await;
    let names = Names::new(PREFIX);
    for (number, key) in [names.nodes(), names.tenant(&tenant("acme"))].into_iter().enumerate() {
        let slot = slot_of(key.as_bytes());
        let from = LAST.iter().position(|last| slot <= *last).unwrap();
        let to = (from + 1) % LAST.len();
        cluster.begins_to_migrate(slot, from, to);
        while cluster.migrates(slot, from, to, 1) > 0 {}
        let mut renewing = Box::pin(async {
            assert_eq!(node.renews().await, Some(vec![1]));
            node.writes(number as u64 + 2).await;
        });
        assert!((&mut renewing).now_or_never().is_none());
        cluster.has_migrated(slot, from, to);
        renewing.await;
    }
}

/// While one server stands still, and an attempt to reach it takes longer than this test, another one whose connections were lost
/// is spoken to again.
#[tokio::test]
async fn a_server_that_stands_still_holds_up_no_other() {
    let cluster = Cluster::start(false).await.cluster;
    let mut options = Options::new(cluster.servers[0].url());
    options.cluster = true;
    (options.answer_timeout, options.connect_timeout) = (Duration::from_millis(500), Duration::from_mins(10));
    let node = registered::Node::start_with(options, 1, Duration::from_hours(10)).await;
    let names = Names::new(PREFIX);
    let owner = |key: String| {
        let slot = slot_of(key.as_bytes());
        LAST.iter().position(|last| slot <= *last).unwrap()
    };
    let (leases, sessions) = (owner(names.nodes()), owner(names.tenant(&tenant("acme"))));
    assert_ne!(leases, sessions, "two servers");
    node.writes(1).await;
    cluster.servers[leases].freeze();
    // The second time there is a connection under way to the one that stands still.
    for _ in 0..2 {
        assert!(node.registry.renew(node.life, LEASE, false).await.is_err());
    }
    cluster.servers[sessions].command::<u64>("CLIENT KILL TYPE normal SKIPME yes");
    soon("the other server", async {
        while node.try_writes(2).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    cluster.servers[leases].thaw();
    soon("the lease", async {
        while node.registry.renew(node.life, LEASE, false).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
