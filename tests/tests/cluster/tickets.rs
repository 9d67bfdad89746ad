//! Tickets are good on every node: once, not for long, and for nobody who reads Redis.

use std::net::SocketAddr;
use std::time::Duration;

use carillon_client::v1::hub_service_client::HubServiceClient;
use carillon_client::v1::revoke_tokens_request::What;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{self, execute_request};
use carillon_hub::config::{Config, LimitsSection};
use carillon_hub::domain::time::Timestamp;
use carillon_tests::browser::{Answer, Beside, Events, Speaks, WebSocket, request};
use carillon_tests::wire::{self, Opening, code, greeting};
use carillon_tests::{Keeps, PATIENCE, Redis, TestHub, Wire, hub};
use tonic::transport::Endpoint;

/// Tickets of one user that may be good at once.
const MOST: usize = 20;

/// A node with a bridge.
struct Node {
    hub: TestHub,
    bridge: SocketAddr,
}

async fn node(redis: &Redis) -> Node {
    node_with(redis, |_| {}).await
}

async fn node_with(redis: &Redis, change: impl FnOnce(&mut Config)) -> Node {
    let bridge = Beside::bind(|options| options);
    let plan = hub().without_grace().node_of(redis).with(|config| config.limits = LimitsSection::off());
    let plan = plan.with(change);
    Node { hub: plan.start_with(&bridge).await, bridge: bridge.address() }
}

/// A Redis that keeps values as they are, and its two nodes.
async fn two() -> (Redis, Node, Node) {
    let redis = Redis::start_with(Keeps::Always, &["--rdbcompression", "no"]);
    let (one, other) = (node(&redis).await, node(&redis).await);
    (redis, one, other)
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

impl Node {
    async fn asks_for_ticket(&self, token: &str) -> Answer {
        request(self.bridge, "POST", "/v1/tickets", &[("authorization", &bearer(token))], "").await
    }

    async fn ticket(&self, token: &str) -> String {
        let answer = self.asks_for_ticket(token).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()["ticket"].as_str().unwrap().to_owned()
    }

    /// Opens an event stream; whose it is, or the status.
    async fn listens(&self, ticket: &str) -> Result<String, u16> {
        let mut events = Events::open(self.bridge, &format!("/v1/events?ticket={ticket}"), &[]).await?;
        match events.next().await.expect("it begins").kind {
            Some(Kind::Connected(connected)) => Ok(connected.user),
            other => panic!("not connected: {other:?}"),
        }
    }

    /// Opens a session; whose it is, or the code.
    async fn greets(&self, in_metadata: Option<&str>, in_hello: &str) -> Result<String, String> {
        let opening = Opening { token: in_metadata.map(str::to_owned), ..Opening::default() };
        let mut wire = Wire::open(self.hub.hub.grpc_address(), opening).await;
        match wire.asks(Command::Hello(v1::Hello { token: in_hello.to_owned(), ..greeting() })).await {
            Kind::Connected(connected) => Ok(connected.user),
            other => Err(code(&other).to_owned()),
        }
    }

    async fn calls(&self) -> HubServiceClient<tonic::transport::Channel> {
        let channel = Endpoint::try_from(self.hub.url()).unwrap().connect().await;
        HubServiceClient::new(channel.expect("the hub listens"))
    }

    /// Asks for the rooms without a session.
    async fn executes(&self, ticket: &str) -> tonic::Code {
        let rooms = execute_request::Command::Rooms(v1::RoomsGet::default());
        let mut call = tonic::Request::new(v1::ExecuteRequest { command: Some(rooms), ..Default::default() });
        call.metadata_mut().insert("authorization", bearer(ticket).parse().unwrap());
        self.calls().await.execute(call).await.map_or_else(|status| status.code(), |_| tonic::Code::Ok)
    }

    /// The same over HTTP.
    async fn posts(&self, ticket: &str) -> u16 {
        let headers = [("authorization", &*bearer(ticket))];
        request(self.bridge, "POST", "/v1/commands", &headers, "{\"rooms\": {}}").await.status
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_of_one_node_lets_in_on_the_other_once() {
    let (_redis, one, other) = two().await;
    let token = one.hub.token("alice");
    let ticket = one.ticket(&token).await;
    assert_eq!(other.listens(&ticket).await.as_deref(), Ok("alice"));
    for node in [&one, &other] {
        assert_eq!(node.listens(&ticket).await, Err(401), "it was used");
    }
    let mut socket = WebSocket::open(other.bridge, Speaks::Json).await;
    let hello = v1::Hello { token: one.ticket(&token).await, ..greeting() };
    assert_eq!(socket.greets(hello).await.user, "alice");
    // On the node that made it, too, and wherever a token may stand.
    let ticket = one.ticket(&token).await;
    assert_eq!(one.greets(None, &ticket).await.as_deref(), Ok("alice"));
    assert_eq!(other.greets(None, &ticket).await.unwrap_err(), "INVALID_TOKEN");
    let ticket = one.ticket(&token).await;
    assert_eq!(other.greets(Some(&ticket), "").await.as_deref(), Ok("alice"));
    assert_eq!(one.greets(Some(&ticket), "").await.unwrap_err(), "INVALID_TOKEN");
    let ticket = one.ticket(&token).await;
    assert_eq!(other.executes(&ticket).await, tonic::Code::Ok);
    assert_eq!(other.executes(&ticket).await, tonic::Code::Unauthenticated);
    let ticket = one.ticket(&token).await;
    assert_eq!((other.posts(&ticket).await, other.posts(&ticket).await), (200, 401));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_goes_on_with_a_ticket_of_another_node() {
    let (_redis, one, other) = two().await;
    let mut wire = Wire::enters(&other.hub, "alice").await;
    let refresh = |token: &str| Command::RefreshToken(v1::RefreshToken { token: token.to_owned() });
    let ticket = one.ticket(&one.hub.token("alice")).await;
    let answer = wire.asks(refresh(&ticket)).await;
    assert!(matches!(answer, Kind::Done(_)), "{answer:?}");
    let of_bob = one.ticket(&one.hub.token("bob")).await;
    let mut of_alice = Wire::enters(&other.hub, "alice").await;
    assert_eq!(code(&of_alice.asks(refresh(&of_bob)).await), "INVALID_TOKEN", "another's");
    assert_eq!(code(&wire.asks(refresh(&ticket)).await), "INVALID_TOKEN", "it was used");
    wire.ends_with("INVALID_TOKEN").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_behind_a_ticket_waits_for_it() {
    let (_redis, one, other) = two().await;
    let hello = v1::Hello { token: one.ticket(&one.hub.token("alice")).await, ..greeting() };
    let mut wire = Wire::open(other.hub.hub.grpc_address(), Opening::default()).await;
    let [hello, ping] = [Command::Hello(hello), Command::Ping(v1::Ping {})];
    wire.send(&[wire::request(1, hello), wire::request(2, ping)]);
    assert!(matches!(wire.answer(1).await, Kind::Connected(connected) if connected.user == "alice"));
    assert!(matches!(wire.answer(2).await, Kind::Pong(_)));
}

/// Whoever has said hello is not told that nobody did.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_redis_that_stands_still_is_told_to_come_again() {
    let redis = Redis::start(Keeps::Always);
    let node = node_with(&redis, |config| {
        config.session.hello_timeout = Duration::from_secs(1);
        config.redis.answer_timeout = Duration::from_secs(2);
    });
    let node = node.await;
    let ticket = node.ticket(&node.hub.token("alice")).await;
    redis.freeze();
    let refused = node.greets(None, &ticket).await;
    redis.thaw();
    assert_eq!(refused.unwrap_err(), "UNAVAILABLE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_buys_no_ticket_and_a_service_has_them_too() {
    let (_redis, one, other) = two().await;
    let ticket = one.ticket(&one.hub.token("alice")).await;
    for node in [&one, &other] {
        assert_eq!(node.asks_for_ticket(&ticket).await.status, 401);
        let mut call = tonic::Request::new(v1::CreateTicketRequest {});
        call.metadata_mut().insert("authorization", bearer(&ticket).parse().unwrap());
        let refused = node.calls().await.create_ticket(call).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::Unauthenticated);
    }
    let of_service = one.ticket(&one.hub.service_token()).await;
    assert_eq!(other.greets(None, &of_service).await.unwrap_err(), "PERMISSION_DENIED");
    assert_eq!(other.listens(&ticket).await.as_deref(), Ok("alice"), "it was not used for that");
    let options = carillon_client::ClientOptions::new(other.hub.url());
    let of_service = one.ticket(&one.hub.service_token()).await;
    let admin = carillon_client::AdminClient::new(options.token(of_service), carillon_tests::hub::TENANT);
    let admin = admin.expect("an address");
    admin.get_statistics(v1::GetStatisticsRequest::default()).await.expect("once");
    admin.get_statistics(v1::GetStatisticsRequest::default()).await.expect_err("it was used");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_show_a_ticket_at_once_one_is_let_in() {
    let (_redis, one, other) = two().await;
    let token = one.hub.token("alice");
    // More than there may be at once: used ones make room.
    for _ in 0..MOST + 5 {
        let ticket = one.ticket(&token).await;
        let (here, there) = tokio::join!(one.listens(&ticket), other.listens(&ticket));
        let mut both = [here, there];
        both.sort();
        assert_eq!(both, [Ok("alice".to_owned()), Err(401)]);
    }
}

/// Nor where all nodes share them: over HTTP and over gRPC.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_uses_no_ticket_up() {
    let (_redis, one, other) = two().await;
    let token = one.hub.token("alice");
    let wrong = async |node: &Node, ticket: &str| {
        let headers = [("authorization", &*bearer(ticket))];
        request(node.bridge, "POST", "/v1/commands", &headers, "{\"rooms\": 7}").await.status
    };
    let (posted, executed) = (one.ticket(&token).await, one.ticket(&token).await);
    for node in [&one, &other] {
        assert_eq!(wrong(node, &posted).await, 400);
        let mut call = tonic::Request::new(v1::ExecuteRequest::default());
        call.metadata_mut().insert("authorization", bearer(&executed).parse().unwrap());
        let refused = node.calls().await.execute(call).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    }
    assert_eq!((other.posts(&posted).await, one.executes(&executed).await), (200, tonic::Code::Ok));
    assert_eq!(
        (one.posts(&posted).await, other.executes(&executed).await),
        (401, tonic::Code::Unauthenticated)
    );
    assert_eq!(wrong(&one, &posted).await, 401, "nothing is read for what is used");
}

/// A good token beside them makes them no fewer: what comes too often is not looked for in Redis.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn made_up_tickets_are_few_whatever_is_good_beside_them() {
    let redis = Redis::start(Keeps::Always);
    let node = node_with(&redis, |config| config.grpc.attempts_per_address = 5).await;
    let token = node.hub.token("alice");
    for nth in 0..20 {
        let refused = node.greets(Some(&token), &format!("ticket_{nth:036x}")).await.unwrap_err();
        assert_eq!(refused, if nth < 5 { "INVALID_TOKEN" } else { "TOO_MANY_CONNECTIONS" }, "{nth}");
    }
    let looked_for = node.hub.hub.services().metrics.counters().tokens_refused.total();
    assert_eq!(looked_for, 5);
    assert_eq!(node.greets(Some(&token), "").await.as_deref(), Ok("alice"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_ends_by_itself_and_with_its_token() {
    let (redis, one, other) = two().await;
    let tickets = || redis.command::<Vec<String>>("KEYS *}:k/*");
    let answer = one.asks_for_ticket(&one.hub.token("alice")).await.json();
    let ends: i64 = answer["expiresMs"].as_str().unwrap().parse().unwrap();
    assert!((1..=30_000).contains(&(ends - Timestamp::now().millis())));
    let left: i64 = redis.command(&format!("PTTL {}", tickets()[0]));
    assert!((1..=30_000).contains(&left), "{left}");
    let short = one.hub.token_of("acme", "bob", Duration::from_secs(2));
    let ticket = one.ticket(&short).await;
    let ended = async {
        while tickets().len() > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("it ends");
    assert_eq!(other.greets(None, &ticket).await.unwrap_err(), "INVALID_TOKEN");
    assert_eq!(other.listens(answer["ticket"].as_str().unwrap()).await.as_deref(), Ok("alice"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_of_a_revoked_token_lets_nobody_in() {
    let (_redis, one, other) = two().await;
    let ticket = one.ticket(&one.hub.token("alice")).await;
    let what = Some(What::User("alice".to_owned()));
    let before_ms = Timestamp::now().plus(Duration::from_secs(2)).millis();
    let revoke = v1::RevokeTokensRequest { what, before_ms, ..Default::default() };
    other.hub.admin().revoke_tokens(revoke).await.expect("it is revoked");
    assert_eq!(other.greets(None, &ticket).await.unwrap_err(), "SESSION_INVALIDATED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_has_so_many_tickets_on_all_nodes() {
    let (_redis, one, other) = two().await;
    let token = one.hub.token("alice");
    let mut tickets = Vec::new();
    for node in [&one, &other].into_iter().cycle().take(MOST) {
        tickets.push(node.ticket(&token).await);
    }
    for node in [&one, &other] {
        let refused = node.asks_for_ticket(&token).await;
        assert_eq!((refused.status, refused.json()["code"].as_str()), (429, Some("RATE_LIMITED")));
    }
    one.ticket(&one.hub.token("bob")).await;
    assert_eq!(one.listens(&tickets[1]).await.as_deref(), Ok("alice"));
    other.ticket(&token).await;
    assert_eq!(one.asks_for_ticket(&token).await.status, 429);
}

/// All that is in Redis, key by key, with its value as it is kept.
fn all_of(redis: &Redis) -> Vec<(String, Vec<u8>)> {
    let keys: Vec<String> = redis.command("KEYS *");
    keys.into_iter().map(|key| (key.clone(), redis.command(&format!("DUMP {key}")))).collect()
}

fn is_in(all: &[(String, Vec<u8>)], what: &[u8]) -> bool {
    let within = |bytes: &[u8]| bytes.windows(what.len()).any(|part| part == what);
    all.iter().any(|(key, value)| within(key.as_bytes()) || within(value))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_redis_lets_nobody_in() {
    let (redis, one, other) = two().await;
    let token = one.hub.token("alice");
    one.hub.enters("alice").await.says("room:lobby", "somethingthatiskept").await;
    let ticket = one.ticket(&token).await;
    let all = all_of(&redis);
    assert!(is_in(&all, b"somethingthatiskept") && is_in(&all, b"acme/alice/tickets"), "all is looked at");
    assert_eq!(all.iter().filter(|(key, _)| key.contains("}:k/")).count(), 1);
    let secret = &ticket[ticket.len() - 32..];
    let bytes = u128::from_str_radix(secret, 16).unwrap().to_be_bytes();
    assert!(!is_in(&all, secret.as_bytes()) && !is_in(&all, &bytes), "the ticket");
    for part in token.split('.').skip(1) {
        assert!(!is_in(&all, part.as_bytes()), "the token");
    }
    assert_eq!(other.listens(&ticket).await.as_deref(), Ok("alice"));
    assert!(all_of(&redis).iter().all(|(key, _)| !key.contains("}:k/")), "nothing of it stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_away_a_ticket_is_not_judged_and_not_lost() {
    let (mut redis, one, other) = two().await;
    let token = one.hub.token("alice");
    let ticket = one.ticket(&token).await;
    tokio::task::block_in_place(|| redis.kill());
    assert_eq!(one.asks_for_ticket(&token).await.status, 503);
    assert_eq!(other.listens(&ticket).await, Err(503));
    assert_eq!(other.greets(None, &ticket).await.unwrap_err(), "UNAVAILABLE");
    assert_eq!(other.executes(&ticket).await, tonic::Code::Unavailable);
    tokio::task::block_in_place(|| redis.restart());
    let comes_back = async { while other.greets(None, &token).await.is_err() {} };
    tokio::time::timeout(PATIENCE, comes_back).await.expect("it comes back");
    assert_eq!(other.greets(None, &ticket).await.as_deref(), Ok("alice"));
}
