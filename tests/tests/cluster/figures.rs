//! What a node shows of Redis and of other nodes: through HTTP, as whoever watches it sees it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's own helpers fail the test")]

use std::time::Duration;

use carillon_client::v1::admin_service_client::AdminServiceClient;
use carillon_client::{Event, text, v1};
use carillon_hub::access::authentication::{MintFor, MintRequest, ServiceTenants, mint};
use carillon_hub::domain::names::UserId;
use carillon_hub::domain::time::Timestamp;
use carillon_tests::browser::request;
use carillon_tests::{Keeps, PATIENCE, Redis, TestHub, hub};
use serde_json::Value;
use tokio::time::{Instant, timeout};
use tonic::Streaming;
use tonic::transport::Channel;

use crate::nodes::two;

const LINKS: [&str; 3] = ["store", "bus", "registry"];

/// What `/metrics` shows, as written.
struct Shown(String);

impl Shown {
    async fn of(node: &TestHub) -> Self {
        let answer = request(node.hub.http_address(), "GET", "/metrics", &[], "").await;
        assert_eq!(answer.status, 200);
        Self(answer.body)
    }

    /// A sample; its labels stand in its name.
    fn text(&self, sample: &str) -> &str {
        let value = self.0.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("{sample} is not in\n{}", self.0))
    }

    fn get(&self, sample: &str) -> u64 {
        self.text(sample).parse().expect("a number")
    }

    fn seconds(&self, sample: &str) -> f64 {
        self.text(sample).parse().expect("a time")
    }

    fn of_link(&self, family: &str, link: &str) -> u64 {
        self.get(&format!("{family}{{link=\"{link}\"}}"))
    }

    fn answer_age(&self, link: &str) -> f64 {
        self.seconds(&format!("carillon_redis_answer_age_seconds{{link=\"{link}\"}}"))
    }

    fn requests(&self, link: &str, result: &str) -> u64 {
        self.get(&format!("carillon_redis_requests_total{{link=\"{link}\",result=\"{result}\"}}"))
    }
}

/// Looks until what is shown is so, and gives it.
async fn shows(node: &TestHub, what: &str, is_so: impl Fn(&Shown) -> bool) -> Shown {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let shown = Shown::of(node).await;
        if is_so(&shown) {
            return shown;
        }
        assert!(Instant::now() < deadline, "{what}: not in time:\n{}", shown.0);
    }
}

/// The status of `/health/ready`, and what it says.
async fn readiness(node: &TestHub) -> (u16, Value) {
    let answer = request(node.hub.http_address(), "GET", "/health/ready", &[], "").await;
    (answer.status, serde_json::from_str(&answer.body).expect("JSON"))
}

/// Looks at readiness until it is so.
async fn is_ready_with(node: &TestHub, status: u16) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (found, body) = readiness(node).await;
        if found == status {
            return body;
        }
        assert!(Instant::now() < deadline, "{status} in time: {body}");
    }
}

/// Waits until a node's store answers.
pub(crate) async fn has_its_store(node: &TestHub) {
    let deadline = Instant::now() + PATIENCE;
    while readiness(node).await.1["store"]["healthy"] != true {
        assert!(Instant::now() < deadline, "its store answers in time");
    }
}

fn is_whole(shown: &Shown) -> bool {
    let is_connected = |link: &&str| shown.of_link("carillon_redis_servers_connected", link) == 1;
    LINKS.iter().all(is_connected)
        && shown.get("carillon_bus_topics") == shown.get("carillon_bus_topics_heard")
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_rise_with_what_is_done() {
    let nodes = two().await;
    let (alice, mut bob) = (nodes.one.enters("alice").await, nodes.other.enters("bob").await);
    alice.joins("room:lobby").await;
    bob.joins("room:lobby").await;
    bob.joins("live:1").await;
    let before = shows(&nodes.one, "all is connected", is_whole).await;
    let heard_before = Shown::of(&nodes.other).await;
    for n in 0..20 {
        alice.says("room:lobby", &format!("{n}")).await;
        let event = v1::EventPublish {
            room: "live:1".into(),
            name: "moved".into(),
            payload: Some(text("here")),
            ..v1::EventPublish::default()
        };
        alice.client.publish(event).await.unwrap();
        bob.waits_for(|event| matches!(event, Event::Event(_)).then_some(())).await;
    }
    // What is published is counted once Redis has said so, and bob may have it before.
    let enough = before.get("carillon_bus_published_total") + 20;
    let is_counted = |shown: &Shown| {
        shown.get("carillon_bus_published_total") >= enough
            && shown.of_link("carillon_redis_requests_in_flight", "bus") == 0
    };
    let after = shows(&nodes.one, "all is published", is_counted).await;
    let rise = |sample: &str| after.get(sample) - before.get(sample);
    assert!(after.requests("store", "answered") >= before.requests("store", "answered") + 20);
    let waited = |shown: &Shown| shown.seconds("carillon_redis_wait_seconds_total{link=\"store\"}");
    assert!(waited(&after) > waited(&before));
    assert!(rise("carillon_bus_published_bytes_total") >= 20 * 4);
    for link in LINKS {
        assert!(after.answer_age(link) < PATIENCE.as_secs_f64());
        assert_eq!(after.of_link("carillon_redis_servers", link), 1);
        assert_eq!(after.of_link("carillon_redis_reopened_total", link), 0, "{link} was never lost");
    }
    // A message and an event each.
    let enough = heard_before.get("carillon_bus_received_total") + 40;
    let heard = shows(&nodes.other, "it heard", |shown| shown.get("carillon_bus_received_total") >= enough);
    let heard = heard.await;
    assert!(
        heard.get("carillon_bus_received_bytes_total")
            > heard_before.get("carillon_bus_received_bytes_total")
    );
    assert!(heard.get("carillon_bus_pages_total") >= 1, "logs were opened");
    for node in [&nodes.one, &nodes.other] {
        let of_others = shows(node, "they know each other", |shown| {
            shown.get("carillon_other_nodes") == 1
                && shown.get("carillon_presence_batches_told_total") >= 1
                && shown.get("carillon_presence_batches_heard_total") >= 1
                && shown.seconds("carillon_redis_round_trip_seconds") > 0.0
        });
        assert_eq!(of_others.await.get("carillon_leases_lost_total"), 0);
    }
    nodes.other.stops().await;
    shows(&nodes.one, "it is gone", |shown| shown.get("carillon_other_nodes") == 0).await;
}

/// A node of which figures are looked at.
async fn node_of(redis: &Redis) -> TestHub {
    let node = hub().node_of(redis).with(|config| {
        config.redis.answer_timeout = Duration::from_millis(500);
        config.redis.unready_after = Duration::from_secs(1);
    });
    node.start().await
}

/// Watches the whole node.
async fn watch(node: &TestHub) -> Streaming<v1::WatchOverviewResponse> {
    let subject = MintFor::Service { name: UserId::parse("watch").unwrap(), tenants: ServiceTenants::All };
    let request = MintRequest { subject, ttl: Duration::from_secs(600) };
    let token = mint(&node.authentication(), &request, Timestamp::now()).unwrap();
    let channel = Channel::from_shared(node.url()).unwrap().connect().await.unwrap();
    let mut admin = AdminServiceClient::new(channel);
    let mut request = tonic::Request::new(v1::WatchOverviewRequest {});
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    admin.watch_overview(request).await.unwrap().into_inner()
}

/// What whoever watches sees next.
async fn sees(watch: &mut Streaming<v1::WatchOverviewResponse>) -> v1::WatchOverviewResponse {
    let next = timeout(PATIENCE, watch.message()).await.expect("it goes on");
    next.unwrap().expect("the node does not stop")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_stands_still_is_seen() {
    let redis = Redis::start(Keeps::Always);
    let node = node_of(&redis).await;
    let mut watch = watch(&node).await;
    let (status, body) = readiness(&node).await;
    assert_eq!((status, &body["store"]["away_since_ms"]), (200, &Value::Null));
    let seen = sees(&mut watch).await;
    assert_eq!((seen.store_healthy, seen.store_away_since_ms, seen.other_nodes), (true, 0, 0));
    let before = shows(&node, "all is connected", is_whole).await;
    redis.freeze();
    let frozen = Timestamp::now().millis();
    let body = is_ready_with(&node, 503).await;
    assert_eq!((&body["status"], &body["store"]["healthy"]), (&"store_unhealthy".into(), &false.into()));
    let since = body["store"]["away_since_ms"].as_i64().expect("a time");
    assert!((frozen - 60_000..=frozen).contains(&since), "{since}, frozen at {frozen}");
    let seen = loop {
        let seen = sees(&mut watch).await;
        if !seen.store_healthy {
            break seen;
        }
    };
    assert_eq!(seen.store_away_since_ms, since);
    let shown = shows(&node, "what is asked is not answered", |shown| {
        shown.requests("store", "timed_out") > before.requests("store", "timed_out")
            && shown.requests("registry", "timed_out") > before.requests("registry", "timed_out")
            && shown.get("carillon_bus_lost_total") > before.get("carillon_bus_lost_total")
            && shown.get("carillon_bus_topics_heard") == 0
    });
    let shown = shown.await;
    assert!(shown.answer_age("store") >= 1.0);
    assert_eq!(shown.get("carillon_store_healthy"), 0);
    redis.thaw();
    let body = is_ready_with(&node, 200).await;
    assert_eq!((&body["store"]["healthy"], &body["store"]["away_since_ms"]), (&true.into(), &Value::Null));
    shows(&node, "all is connected again", is_whole).await;
    while !sees(&mut watch).await.store_healthy {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_dies_is_seen_and_so_is_that_it_is_back() {
    let mut redis = Redis::start(Keeps::Always);
    let node = node_of(&redis).await;
    let alice = node.enters("alice").await;
    alice.joins("room:lobby").await;
    let before = shows(&node, "all is connected", is_whole).await;
    redis.kill();
    let gone =
        |shown: &Shown| LINKS.iter().all(|link| shown.of_link("carillon_redis_servers_connected", link) == 0);
    let shown = shows(&node, "nothing is connected", gone).await;
    assert_eq!(shown.of_link("carillon_redis_servers", "store"), 1);
    is_ready_with(&node, 503).await;
    redis.restart();
    let shown = shows(&node, "all is connected again", is_whole).await;
    for link in LINKS {
        let rise = |sample: &str| shown.of_link(sample, link) - before.of_link(sample, link);
        assert_eq!(rise("carillon_redis_reopened_total"), 1, "{link}");
    }
    is_ready_with(&node, 200).await;
    // The room's log was in doubt.
    shows(&node, "it was compared", |shown| {
        shown.get("carillon_bus_pages_total") > before.get("carillon_bus_pages_total")
    })
    .await;
}

/// Who watches may have been revoked meanwhile, as may be who has a session.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_watches_for_longer_than_sessions_stay() {
    let redis = Redis::start(Keeps::Always);
    let node = hub().node_of(&redis).with(|config| {
        config.redis.answer_timeout = Duration::from_millis(500);
        // Longer than it takes to see that nobody answers, so that this is seen first.
        config.redis.revocation_stale = Duration::from_secs(6);
    });
    let node = node.start().await;
    let mut watch = watch(&node).await;
    redis.freeze();
    let mut seen_away = false;
    let ends = async {
        loop {
            match watch.message().await {
                Ok(seen) => seen_away |= !seen.expect("the node does not stop").store_healthy,
                Err(status) => return status,
            }
        }
    };
    let end = timeout(2 * PATIENCE, ends).await.expect("it ends");
    assert_eq!((end.code(), seen_away), (tonic::Code::Unavailable, true));
}
