//! Addresses with too many connections or attempts: bad tokens of one client keep nobody out who shares the address.

use std::net::SocketAddr;
use std::time::Duration;

use carillon_bridge::{AddressLimits, Options};
use carillon_client::v1;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_tests::browser::{Answer, Beside, Events, Speaks, WebSocket, request};
use carillon_tests::{TestHub, hub};
use tokio_util::sync::CancellationToken;

const BAD: &str = "Bearer a.b.c";

fn limited(limits: AddressLimits) -> impl Fn(Options) -> Options {
    move |options| Options { addresses: Some(limits), ..options }
}

async fn asks(address: SocketAddr, (method, path): (&str, &str), bearer: &str) -> Answer {
    let body = r#"{"rooms": {}}"#;
    request(address, method, path, &[("authorization", bearer)], body).await
}

/// How long an answer says to wait, seconds.
fn wait(answer: &Answer) -> u32 {
    let wait = answer.head.split("retry-after: ").nth(1).and_then(|rest| rest.split('\r').next());
    wait.unwrap_or_else(|| panic!("{}", answer.head)).parse().unwrap()
}

/// Whoever shows no good token is told how long to wait, on every way.
async fn bad_ones_wait(address: SocketAddr, seconds: std::ops::RangeInclusive<u32>) {
    for way in
        [("POST", "/v1/tickets"), ("POST", "/v1/commands"), ("GET", "/v1/events"), ("GET", "/health/live")]
    {
        let answer = asks(address, way, BAD).await;
        assert_eq!(answer.status, 429, "{way:?} {}", answer.head);
        assert_eq!(answer.json()["code"], "TOO_MANY_CONNECTIONS", "{way:?}");
        assert!(seconds.contains(&wait(&answer)), "{way:?} {}", answer.head);
    }
    for speaks in [Speaks::Proto, Speaks::Json] {
        let mut socket = WebSocket::open(address, speaks).await;
        let hello = v1::Hello { token: "a.b.c".to_owned(), protocol: 1, ..v1::Hello::default() };
        let Kind::Error(error) = socket.does(Command::Hello(hello)).await else { panic!("a bad token") };
        assert_eq!(error.code, "TOO_MANY_CONNECTIONS");
        assert!(seconds.contains(&error.retry_after_ms.div_ceil(1_000)), "{error:?}");
        let told = socket.until(|response| match response.kind {
            Some(Kind::Disconnected(disconnected)) => Some(disconnected),
            _ => None,
        });
        let told = told.await;
        assert!(told.reconnect && seconds.contains(&told.retry_after_ms.div_ceil(1_000)), "{told:?}");
        assert_eq!(socket.ends().await.0, Some((4_003, "TOO_MANY_CONNECTIONS".to_owned())));
    }
}

/// Whoever shows a good token is let in, on every way.
async fn good_ones_get_in(hub: &TestHub, address: SocketAddr) {
    let bearer = format!("Bearer {}", hub.token("alice"));
    let answer = asks(address, ("POST", "/v1/commands"), &bearer).await;
    assert_eq!(answer.status, 200, "{}", answer.head);
    let answer = asks(address, ("POST", "/v1/tickets"), &bearer).await;
    assert_eq!(answer.status, 200, "{}", answer.head);
    let ticket = answer.json()["ticket"].as_str().unwrap().to_owned();
    Events::open(address, &format!("/v1/events?ticket={ticket}"), &[]).await.expect("a stream");
    Events::open(address, "/v1/events", &[("authorization", &bearer)]).await.expect("a stream");
    for speaks in [Speaks::Proto, Speaks::Json] {
        WebSocket::enters(address, speaks, hub.token("alice")).await.joins("room:lobby").await;
    }
    let mut socket =
        WebSocket::try_open(address, Speaks::Json, &[("authorization", &bearer)]).await.expect("a socket");
    socket.greets(v1::Hello { protocol: 1, ..v1::Hello::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_tokens_of_one_keep_out_nobody_who_shares_the_address() {
    let change = limited(AddressLimits { unauthenticated: 100, attempts_per_minute: 3 });
    let beside = Beside::bind(&change);
    let hub = hub().start_with(&beside).await;
    let drain = CancellationToken::new();
    let apart = Beside::apart_with(&[hub.url()], &drain, &change);
    for bridge in [&beside, &apart] {
        for _ in 0..3 {
            assert_eq!(asks(bridge.address(), ("POST", "/v1/tickets"), BAD).await.status, 401);
        }
        bad_ones_wait(bridge.address(), 30..=60).await;
        good_ones_get_in(&hub, bridge.address()).await;
        bad_ones_wait(bridge.address(), 30..=60).await;
    }
    drain.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_keep_out_nobody_who_shares_the_address() {
    let change = limited(AddressLimits { unauthenticated: 2, attempts_per_minute: 100 });
    let beside = Beside::bind(&change);
    let hub = hub().with(|config| config.session.hello_timeout = Duration::from_mins(1));
    let hub = hub.start_with(&beside).await;
    let drain = CancellationToken::new();
    let apart = Beside::apart_with(&[hub.url()], &drain, &change);
    for bridge in [&beside, &apart] {
        let mut silent = Vec::new();
        for _ in 0..2 {
            silent.push(WebSocket::open(bridge.address(), Speaks::Json).await);
        }
        bad_ones_wait(bridge.address(), 1..=5).await;
        good_ones_get_in(&hub, bridge.address()).await;
    }
    drain.cancel();
}

/// Behind a trusted proxy each request counts at its own address.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_token_gets_in_through_a_proxy_too() {
    let limits = AddressLimits { unauthenticated: 10, attempts_per_minute: 2 };
    let bridge = Beside::bind(|options| Options {
        addresses: Some(limits),
        trusted_proxies: vec!["127.0.0.1".parse().unwrap()],
        ..options
    });
    let hub = hub().start_with(&bridge).await;
    let (from, good) = (("x-forwarded-for", "192.0.2.1"), format!("Bearer {}", hub.token("alice")));
    let status = async |bearer: &str| {
        let headers = [("authorization", bearer), from];
        request(bridge.address(), "POST", "/v1/tickets", &headers, "").await.status
    };
    let mut statuses = Vec::new();
    for bearer in [BAD, BAD, BAD, &good, BAD] {
        statuses.push(status(bearer).await);
    }
    assert_eq!(statuses, [401, 401, 429, 200, 429]);
}

/// Whoever is heard and says nothing leaves soon: their connection is one too many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_heard_and_shows_nothing_is_let_go() {
    let bridge = Beside::bind(limited(AddressLimits { unauthenticated: 1, attempts_per_minute: 100 }));
    let _hub = hub().start_with(&bridge).await;
    let _first = WebSocket::open(bridge.address(), Speaks::Json).await;
    let mut socket = WebSocket::open(bridge.address(), Speaks::Json).await;
    assert_eq!(socket.ends().await.0, Some((4_003, "TOO_MANY_CONNECTIONS".to_owned())));
}
