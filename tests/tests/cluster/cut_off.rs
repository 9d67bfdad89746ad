//! A node that cannot reach Redis.

use std::time::Duration;

use carillon_client::Event;
use carillon_tests::browser::request;
use carillon_tests::{Keeps, PATIENCE, Redis, TestHub, hub};
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

async fn health_of(node: &TestHub) -> HealthClient<Channel> {
    let endpoint = Endpoint::from_shared(node.url()).expect("an address");
    HealthClient::new(endpoint.connect().await.expect("it serves"))
}

async fn serves(health: &mut HealthClient<Channel>) -> bool {
    let answer = health.check(HealthCheckRequest::default()).await.expect("it answers");
    answer.into_inner().status() == ServingStatus::Serving
}

/// Waits until it serves, or does not any more.
async fn comes_to(health: &mut HealthClient<Channel>, serving: bool) {
    let changed = async {
        while serves(health).await != serving {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, changed).await.expect("health says so");
}

/// What orchestrators ask.
async fn is_ready(node: &TestHub) -> bool {
    request(node.hub.http_address(), "GET", "/health/ready", &[], "").await.status == 200
}

/// Who was revoked meanwhile is not known there: nobody stays, nobody new gets in, and once Redis answers all is as before.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_where_nobody_knows_who_was_revoked() {
    let redis = Redis::start(Keeps::Always);
    let node = hub().node_of(&redis).with(|config| {
        config.redis.answer_timeout = Duration::from_millis(500);
        config.redis.revocation_stale = Duration::from_secs(1);
        config.redis.unready_after = Duration::from_secs(1);
    });
    let node = node.start().await;
    let mut alice = node.enters("alice").await;
    alice.joins("room:lobby").await;
    let mut health = health_of(&node).await;
    assert!(serves(&mut health).await);
    redis.freeze();
    alice.waits_for(|event| matches!(event, Event::Disconnected(_)).then_some(())).await;
    comes_to(&mut health, false).await;
    redis.thaw();
    alice.waits_for(|event| matches!(event, Event::Connected(_)).then_some(())).await;
    alice.says("room:lobby", "here again").await;
    comes_to(&mut health, true).await;
}

/// Reads are answered, and nothing is committed: whoever watches health sends nobody there, and who is there stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_redis_takes_no_writes_is_out_of_service() {
    let redis = Redis::start(Keeps::Always);
    let node = hub().node_of(&redis).with(|config| {
        config.redis.answer_timeout = Duration::from_millis(500);
        config.redis.revocation_stale = Duration::from_secs(1);
        config.redis.unready_after = Duration::from_secs(1);
    });
    let node = node.start().await;
    let alice = node.enters("alice").await;
    alice.joins("room:lobby").await;
    alice.says("room:lobby", "before").await;
    let mut health = health_of(&node).await;
    let wants = |replicas: u32| {
        tokio::task::block_in_place(|| {
            redis.command::<()>(&format!("CONFIG SET min-replicas-to-write {replicas}"));
        });
    };
    wants(1);
    comes_to(&mut health, false).await;
    assert!(!is_ready(&node).await);
    alice.client.send("room:lobby", "to nobody").await.unwrap_err();
    assert_eq!(alice.reads("room:lobby").await.len(), 1);
    wants(0);
    comes_to(&mut health, true).await;
    assert!(is_ready(&node).await);
    alice.says("room:lobby", "after").await;
}

/// Whoever hears no other node tells its people nothing of what happens there.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_hears_no_others_is_out_of_service() {
    let redis = Redis::start(Keeps::Always);
    let node = hub().node_of(&redis).with(|config| config.redis.unready_after = Duration::from_secs(1));
    let node = node.start().await;
    let mut health = health_of(&node).await;
    assert!(serves(&mut health).await);
    let permits = |what: &str| {
        tokio::task::block_in_place(|| redis.command::<String>(&format!("ACL SETUSER default {what}")));
    };
    permits("-subscribe");
    tokio::task::block_in_place(|| redis.command::<u64>("CLIENT KILL TYPE pubsub"));
    comes_to(&mut health, false).await;
    assert!(!is_ready(&node).await);
    permits("+subscribe");
    comes_to(&mut health, true).await;
    assert!(is_ready(&node).await);
}
