//! A server of a cluster that is away takes with it what is there, and nothing else.

use std::time::Duration;

use carillon_client::{ClientOptions, Executor, v1};
use carillon_hub::config::LimitsSection;
use carillon_hub::domain::names::{RoomName, TenantId, UserId};
use carillon_hub::redis::Partition;
use carillon_test_redis::LAST;
use carillon_tests::hub::TENANT;
use carillon_tests::story::message;
use carillon_tests::{Cluster, Keeps, PATIENCE, hub};
use tokio::task::block_in_place;
use tokio::time::{interval, timeout};
use v1::session_request::Command;

fn at(partition: Partition) -> usize {
    LAST.iter().position(|last| partition.slot() <= *last).unwrap()
}

/// Who was revoked is at the server with the hub's identity: while that one is there people are let in.
#[tokio::test(flavor = "multi_thread")]
async fn who_needs_nothing_of_a_server_that_is_away_is_served() {
    let cluster = block_in_place(|| Cluster::start(false, Keeps::EverySecond));
    for server in &cluster.servers {
        block_in_place(|| server.command::<()>("CONFIG SET cluster-require-full-coverage no"));
    }
    let servers: Vec<_> = cluster.urls().into_iter().map(Into::into).collect();
    let node = hub().with(|config| {
        config.redis.servers = servers;
        config.redis.cluster = true;
        config.redis.answer_timeout = Duration::from_secs(1);
        config.limits = LimitsSection::off();
    });
    let node = node.start().await;
    let tenant = TenantId::parse(TENANT).unwrap();
    let needed = [at(Partition::of_hub()), at(Partition::of_tenant(&tenant))];
    let away = (0..LAST.len()).find(|server| !needed.contains(server)).unwrap();
    let is_there = |partition| at(partition) != away;
    let of_user = |name: &String| Partition::of_user(&tenant, &UserId::parse(name).unwrap());
    let of_room = |name: &String| Partition::of_room(&tenant, &RoomName::parse(name).unwrap());
    let user = (0..1_000).map(|n| format!("user{n}")).find(|name| is_there(of_user(name))).unwrap();
    let room = (0..1_000).map(|n| format!("room:{n}")).find(|name| is_there(of_room(name))).unwrap();
    block_in_place(|| cluster.servers[away].freeze());
    let is_known = async {
        let mut looks = interval(Duration::from_millis(1));
        while node.hub.services().store.is_healthy() {
            looks.tick().await;
        }
    };
    timeout(PATIENCE, is_known).await.expect("it is known to be away");
    let executor = Executor::new(ClientOptions::new(node.url()).token(node.token(&user))).unwrap();
    for words in ["one", "two"] {
        let sent = executor.call::<v1::MessageSent>(Command::MessageSend(message(&room, words))).await;
        sent.expect("nothing of it is at the server that is away");
    }
    block_in_place(|| cluster.servers[away].thaw());
}
