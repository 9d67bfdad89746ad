//! A node that cannot reach Redis.

use std::time::Duration;

use carillon_client::Event;
use carillon_tests::browser::request;
use carillon_tests::wire::greeted;
use carillon_tests::{Keeps, PATIENCE, Plan, Proxy, Redis, TestHub, hub};
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::load::Load;

/// How long an answer of Redis may take.
const PATIENT: Duration = Duration::from_millis(500);

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

/// Neither waits for an answer of Redis, nor for the time that one may take.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_and_health_says_so_while_answers_of_redis_are_waited_for() {
    let redis = Redis::start(Keeps::Always);
    let node = hub().node_of(&redis).with(|config| {
        config.redis.answer_timeout = Duration::from_secs(60);
        config.redis.revocation_stale = Duration::from_secs(1);
        config.redis.unready_after = Duration::from_secs(1);
    });
    let node = node.start().await;
    let mut alice = node.enters("alice").await;
    alice.joins("room:lobby").await;
    let mut health = health_of(&node).await;
    redis.freeze();
    let asked = tokio::spawn(node.hub.services().store.revocations(0, 1));
    alice.waits_for(|event| matches!(event, Event::Disconnected(_)).then_some(())).await;
    comes_to(&mut health, false).await;
    assert!(!asked.is_finished(), "an answer is still waited for");
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

/// A figure that it shows.
async fn shown(node: &TestHub, name: &str) -> u64 {
    let text = request(node.hub.http_address(), "GET", "/metrics", &[], "").await.body;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.parse().ok()).expect("it is shown")
}

/// Everything works but its lease: to the others it is gone, and it knows nothing of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_lease_has_ended_is_out_of_service() {
    let redis = Redis::start(Keeps::Always);
    let node = || {
        hub().node_of(&redis).with(|config| {
            config.redis.unready_after = Duration::from_secs(1);
            config.redis.lease = Duration::from_secs(3);
        })
    };
    let (one, _other) = (node().start().await, node().start().await);
    let mut health = health_of(&one).await;
    let sees_another = async {
        while shown(&one, "carillon_other_nodes").await != 1 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, sees_another).await.expect("they know each other");
    // Its tenant is followed, and what that says of others is known.
    let _alice = one.enters("alice").await;
    let permits = |keys: &str| {
        tokio::task::block_in_place(|| redis.command::<String>(&format!("ACL SETUSER default {keys}")));
    };
    // All keys but those of the leases: `nodes`, and what begins with that.
    permits("resetkeys ~carillon:nothing ~carillon:{*}: ~carillon:{*}:[^n]* ~carillon:{*}:n[^o]*");
    comes_to(&mut health, false).await;
    assert!(!is_ready(&one).await);
    let figures = [shown(&one, "carillon_lease_good").await, shown(&one, "carillon_other_nodes").await];
    assert_eq!((figures, shown(&one, "carillon_store_healthy").await), ([0, 0], 1));
    // Nobody comes in whom the others would take for one of those who are gone with a node.
    assert_eq!(greeted(&one, &one.token("bob")).await, "UNAVAILABLE");
    permits("allkeys");
    comes_to(&mut health, true).await;
    assert!(is_ready(&one).await);
    one.enters("bob").await;
}

/// A node between whom and Redis stands what a test cuts, and another one that is as ever.
struct Pair {
    network: Proxy,
    cut: TestHub,
    other: TestHub,
    _redis: Redis,
}

fn impatient(plan: Plan) -> Plan {
    plan.with(|config| {
        config.redis.answer_timeout = PATIENT;
        config.redis.connect_timeout = PATIENT;
    })
}

impl Pair {
    async fn start() -> Self {
        let redis = Redis::start(Keeps::EverySecond);
        let network = Proxy::to(&redis);
        let cut = impatient(hub().node_at(&network.url())).start().await;
        let other = impatient(hub().node_of(&redis)).start().await;
        Self { network, cut, other, _redis: redis }
    }

    /// The cut one is the first.
    async fn load(&self) -> Load {
        let load = Load::begin(&[&self.cut, &self.other]).await;
        load.is_acknowledged(0, 100).await;
        load.is_acknowledged(1, 100).await;
        load
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_cut_off_loses_nothing_and_holds_up_nobody() {
    let nodes = Pair::start().await;
    let load = nodes.load().await;
    let mut recovered = Duration::ZERO;
    for _ in 0..2 {
        let lost = nodes.network.lost();
        nodes.network.cuts();
        load.is_unknown(0, 20).await;
        load.is_acknowledged(1, 200).await;
        assert!(nodes.network.lost() > lost);
        nodes.network.heals();
        recovered = recovered.max(load.recovers(0).await);
    }
    let outcome = load.end("a node cut off, twice", recovered).await;
    assert_eq!(outcome.ended, [0, 0], "sessions stay");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_redis_answers_too_late_loses_nothing() {
    let nodes = Pair::start().await;
    let load = nodes.load().await;
    // In time, if only just.
    nodes.network.delays(PATIENT / 5);
    load.is_acknowledged(0, 20).await;
    // Commands are carried out, and who sent them does not hear of it.
    nodes.network.delays(PATIENT);
    load.is_unknown(0, 20).await;
    load.is_acknowledged(1, 200).await;
    nodes.network.heals();
    let recovered = load.recovers(0).await;
    let outcome = load.end("a node whose Redis answers too late", recovered).await;
    assert_eq!(outcome.ended, [0, 0], "sessions stay");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_connections_to_redis_are_reset_loses_nothing() {
    let nodes = Pair::start().await;
    let load = nodes.load().await;
    let mut recovered = Duration::ZERO;
    for _ in 0..10 {
        nodes.network.resets();
        load.is_acknowledged(1, 50).await;
        recovered = recovered.max(load.recovers(0).await);
    }
    let outcome = load.end("a node whose connections are reset, ten times", recovered).await;
    assert_eq!(outcome.ended, [0, 0], "sessions stay");
}
