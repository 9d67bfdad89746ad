//! The bus on a Redis cluster: channels are spread over its servers, and move with its slots.

use carillon_hub::bus::redis::Options;
use carillon_hub::bus::{Event, Topic};
use futures::future::join_all;
use tokio_util::sync::DropGuard;

use crate::harness::{Fixture, Node, room, soon};
use crate::redis::{node, options};
use crate::server::Server;

/// The last slot of each master.
const LAST: [u16; 3] = [5_460, 10_922, 16_383];

/// Masters, then their replicas.
pub(crate) struct Cluster {
    servers: Vec<Server>,
    guards: Vec<DropGuard>,
}

impl Cluster {
    /// Three masters, each with a replica or none.
    async fn start(with_replicas: bool) -> Self {
        let count = if with_replicas { 6 } else { 3 };
        let servers: Vec<_> = (0..count).map(|_| Server::start_for_cluster()).collect();
        let mut first = 0;
        for (master, last) in servers.iter().zip(LAST) {
            master.command::<()>(&format!("CLUSTER ADDSLOTSRANGE {first} {last}"));
            first = last + 1;
        }
        for server in &servers[1..] {
            let (port, bus) = server.ports();
            servers[0].command::<()>(&format!("CLUSTER MEET 127.0.0.1 {port} {bus}"));
        }
        let cluster = Self { servers, guards: Vec::new() };
        cluster.settle(count).await;
        for (replica, master) in cluster.servers[3..].iter().zip(&cluster.servers) {
            let id: String = master.command("CLUSTER MYID");
            replica.command::<()>(&format!("CLUSTER REPLICATE {id}"));
        }
        for replica in &cluster.servers[3..] {
            until("a replica", || {
                replica.command::<String>("INFO replication").contains("master_link_status:up")
            })
            .await;
        }
        cluster
    }

    /// Waits until all know each other and the cluster works.
    async fn settle(&self, count: usize) {
        for server in &self.servers {
            until("the cluster", || {
                let info: String = server.command("CLUSTER INFO");
                let line = |line: &str| info.lines().any(|found| found.trim() == line);
                line("cluster_state:ok") && line(&format!("cluster_known_nodes:{count}"))
            })
            .await;
        }
    }

    fn options(&self) -> Options {
        let mut options = options(&self.servers[0]);
        options.redis.cluster = true;
        options.sharded = true;
        options
    }

    async fn node(&mut self, room: usize) -> Node {
        let (node, guard) = node(self.options(), room).await;
        self.guards.push(guard);
        node
    }
}

/// Waits for a state of a server.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    soon(what, async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    })
    .await;
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
    let [from, to, _] = &cluster.servers[..] else { panic!() };
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
    cluster.servers[0].kill();
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
    cluster.servers[1].command::<u64>("CLIENT KILL TYPE pubsub");
    let lost = a.loses().await;
    assert!(!lost.is_empty() && lost.len() < topics.len());
    a.brings(lost.clone()).await;
    for topic in topics.iter().filter(|topic| !lost.contains(topic)) {
        a.says(topic, 3).await;
        assert_eq!(a.next().await, Event::Message(topic.clone(), 3u64.to_le_bytes().to_vec().into()));
    }
}
