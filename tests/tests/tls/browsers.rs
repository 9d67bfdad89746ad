//! Browsers within TLS, and a bridge that reaches its hub within it.

use carillon_bridge::ClientTls;
use carillon_bridge::remote::{Notices, RemoteOptions};
use carillon_client::v1;
use carillon_client::v1::session_response::Kind;
use carillon_hub::config::Demand;
use carillon_tests::browser::{
    Beside, Events, Speaks, WebSocket, narrow, reads_late_and_hears_all, request, request_over,
};
use carillon_tests::certificates::{Authority, Pair, dial, dial_over};
use carillon_tests::{PATIENCE, TestHub, hub};
use tokio_util::sync::CancellationToken;

use crate::mutual;

fn hello(hub: &TestHub, user: &str) -> v1::Hello {
    v1::Hello { token: hub.token(user), protocol: 1, ..v1::Hello::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_is_served_within_tls() {
    let authority = Authority::new();
    let pair = authority.signs_local();
    let bridge = Beside::bind(|options| carillon_bridge::Options { tls: pair.at_bridge(), ..options });
    let hub = hub().start_with(&bridge).await;
    for speaks in [Speaks::Proto, Speaks::Json] {
        let stream = dial(bridge.address(), &authority, "http/1.1").await.unwrap();
        let mut socket = WebSocket::try_over(stream, speaks, &[]).await.unwrap();
        socket.greets(hello(&hub, "alice")).await;
        socket.joins("room:a").await;
        let mut bob = hub.enters("bob").await;
        bob.joins("room:a").await;
        // More than TLS holds back for one connection, in both directions.
        let long = "x".repeat(9_000);
        for _ in 0..20 {
            socket.says("room:a", &long).await;
            assert_eq!(socket.hears().await, long);
        }
        bob.says("room:a", "from gRPC").await;
        assert_eq!(socket.hears().await, "from gRPC");
        bob.hears("room:a").await;
    }
    assert!(dial(bridge.address(), &authority, "h2").await.is_err(), "HTTP/1.1 alone");
}

/// Each message is alone when it comes, until the connection is full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_late_and_pings_meanwhile_hears_all_of_it_once_and_in_order() {
    let authority = Authority::new();
    let pair = authority.signs_local();
    let bridge = Beside::bind(|options| carillon_bridge::Options { tls: pair.at_bridge(), ..options });
    let hub = hub().start_with(&bridge).await;
    let narrow = narrow(bridge.address()).await;
    let stream = dial_over(narrow, &authority, "http/1.1", rustls::DEFAULT_VERSIONS).await.unwrap();
    let mut late = WebSocket::try_over(stream, Speaks::Proto, &[]).await.unwrap();
    late.greets(hello(&hub, "bob")).await;
    late.joins("room:a").await;
    let alice = hub.enters("alice").await;
    let many = reads_late_and_hears_all(&alice, &mut late, "room:a").await;
    let past = hub.written_past();
    assert!(
        (1..many as u64).contains(&past),
        "who only hears is not woken, until nothing more goes in: {past}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn posts_and_event_streams_are_served_within_tls() {
    let authority = Authority::new();
    let pair = authority.signs_local();
    let bridge = Beside::bind(|options| carillon_bridge::Options { tls: pair.at_bridge(), ..options });
    let hub = hub().start_with(&bridge).await;
    let dial = || async { dial(bridge.address(), &authority, "http/1.1").await.unwrap() };
    let bearer = format!("Bearer {}", hub.token("alice"));
    let headers = [("host", "localhost"), ("authorization", &bearer)];
    let path = "/v1/events?room=room%3Aa";
    let mut listener = Events::open_over(dial().await, path, &headers[1..]).await.unwrap();
    while !matches!(listener.next().await.unwrap().kind, Some(Kind::Joined(joined)) if joined.room == "room:a")
    {
    }
    let send = r#"{"messageSend": {"room": "room:a", "content": {"text": "posted"}}}"#;
    let answer = request_over(dial().await, "POST", "/v1/commands", &headers, send).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(listener.hears().await, "posted");
    assert_eq!(request_over(dial().await, "POST", "/v1/tickets", &headers, "").await.status, 200);
}

/// A bridge in front of a hub, and whether it ever says that it is ready.
fn apart(hub: &TestHub, tls: ClientTls, drain: &CancellationToken) -> Beside {
    let options =
        RemoteOptions { hubs: vec![hub.url()], tls, insecure: false, key: None, notices: Notices::default() };
    Beside::apart_as(&options, drain, |options| options)
}

fn shows(authority: &Authority, pair: &Pair) -> ClientTls {
    ClientTls { ca: Some(authority.file()), identity: Some((pair.certificate.clone(), pair.key.clone())) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_apart_reaches_its_hub_within_mutual_tls() {
    let (authority, clients, hub) = mutual().await;
    let drain = CancellationToken::new();
    let bridge = apart(&hub, shows(&authority, &clients.signs("bridge")), &drain);
    let mut alice = WebSocket::enters(bridge.address(), Speaks::Json, hub.token("alice")).await;
    alice.joins("room:a").await;
    alice.says("room:a", "through").await;
    assert_eq!(alice.hears().await, "through");
    let ready = async {
        let mut looks = tokio::time::interval(std::time::Duration::from_millis(20));
        while request(bridge.address(), "GET", "/health/ready", &[], "").await.status != 200 {
            looks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, ready).await.expect("the hub's health is followed within TLS too");
    drain.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_that_may_not_trust_its_hub_or_is_not_trusted_opens_nothing() {
    let (authority, clients, hub) = mutual().await;
    let drain = CancellationToken::new();
    let stranger = Authority::new();
    for tls in [
        shows(&stranger, &clients.signs("bridge")),
        shows(&authority, &stranger.signs("bridge")),
        ClientTls { ca: Some(authority.file()), identity: None },
    ] {
        let bridge = apart(&hub, tls, &drain);
        let mut socket = WebSocket::open(bridge.address(), Speaks::Json).await;
        let hello = carillon_client::v1::session_request::Command::Hello(hello(&hub, "alice"));
        socket.ask(hello).await;
        let (closed, codes) = socket.ends().await;
        assert_eq!((closed.map(|(code, _)| code), codes), (Some(1013), vec!["UNAVAILABLE".to_owned()]));
        assert_eq!(request(bridge.address(), "GET", "/health/ready", &[], "").await.status, 503);
    }
    drain.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_that_need_a_certificate_get_nothing_through_a_bridge() {
    let (authority, clients) = (Authority::new(), Authority::new());
    for needed in [false, true] {
        let within = Beside::bind(|options| options);
        let hub = hub()
            .with(authority.signs_local().at_grpc())
            .with(clients.is_asked_for(Demand::Required))
            .with(|config| {
                config.grpc.tls.services_need_certificate = needed;
                config.grpc.bridge_certificates = vec!["bridge".to_owned()];
            })
            .start_with(&within)
            .await;
        let drain = CancellationToken::new();
        let proven = apart(&hub, shows(&authority, &clients.signs("bridge")), &drain);
        let unproven = apart(&hub, shows(&authority, &clients.signs("other")), &drain);
        let bearer = format!("Bearer {}", hub.service_token());
        let user = format!("Bearer {}", hub.token("alice"));
        for bridge in [&within, &proven, &unproven] {
            let asks = |bearer| async move {
                let header = [("authorization", bearer)];
                request(bridge.address(), "POST", "/v1/tickets", &header, "").await
            };
            let answer = asks(&*bearer).await;
            assert_eq!(answer.status, if needed { 403 } else { 200 }, "{answer:?}");
            assert_eq!(asks(&*user).await.status, 200, "users need none");
        }
        drain.cancel();
    }
}
