//! What one address may do on the gRPC port before somebody known has called (row H5), and how many sessions it may have.

use carillon_bridge::remote::{Notices, RemoteOptions};
use carillon_bridge::{ClientTls, Options};
use carillon_client::v1::revoke_tokens_request::What;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::token_revocation::Id;
use carillon_client::{AdminClient, Client, ClientOptions, Code, CommandError, ConnectError, Executor, v1};
use carillon_hub::access::authentication::id;
use carillon_hub::domain::time::Timestamp;
use carillon_proto::v1::hub_service_client::HubServiceClient;
use carillon_proto::v1::session_request::Command;
use carillon_tests::browser::{Beside, Speaks, WebSocket, request};
use carillon_tests::certificates::{Authority, dial};
use carillon_tests::hub::{Plan, TENANT};
use carillon_tests::story::verdict;
use carillon_tests::wire::{Opening, greeting, request as wire_request};
use carillon_tests::{TestHub, Wire, hub};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// With one worker, which accepts connections in the order in which they were made: with several, a later one that is let in
/// first would have the place of one that only holds it.
fn limited(unauthenticated: usize, attempts: usize) -> Plan {
    hub().with(|config| {
        config.grpc.workers = 1;
        config.grpc.unauthenticated_per_address = unauthenticated;
        config.grpc.attempts_per_address = attempts;
    })
}

/// How a new client is answered; `None` where it is served.
async fn answered(options: ClientOptions) -> Option<Code> {
    match Client::connect(options).await {
        Ok(_) => None,
        Err(ConnectError::Refused(refusal)) => Some(refusal.code),
        Err(other) => panic!("neither served nor refused: {other}"),
    }
}

/// A client without a good token.
fn forger(hub: &TestHub) -> ClientOptions {
    ClientOptions::new(hub.url()).token("a.b.c")
}

async fn of_service(hub: &TestHub, token: &str) -> Option<Code> {
    let admin = AdminClient::new(ClientOptions::new(hub.url()).token(token), TENANT).unwrap();
    match admin.get_statistics(v1::GetStatisticsRequest::default()).await {
        Ok(_) => None,
        Err(CommandError::Refused(refusal)) => Some(refusal.code),
        Err(other) => panic!("neither served nor refused: {other}"),
    }
}

#[tokio::test]
async fn silent_connections_of_one_address_are_few() {
    let hub = limited(3, 100).start().await;
    let address = hub.hub.grpc_address();
    let alice = hub.enters("alice").await;
    let mut silent = Vec::new();
    for _ in 0..2 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    // A stream that has not said hello counts as the connection that it is on.
    let mut waits = Wire::open(address, Opening::default()).await;
    assert_eq!(answered(forger(&hub)).await, Some(Code::TooManyConnections));
    assert_eq!(of_service(&hub, "a.b.c").await, Some(Code::TooManyConnections));
    // A good token is never refused for others, where it comes with the call: `hello` would have to be read first.
    assert_eq!(of_service(&hub, &hub.service_token()).await, None);
    assert_eq!(answered(hub.options("bob")).await, None);
    let hello = Command::Hello(v1::Hello { token: hub.token("bob"), ..greeting() });
    let channel = Channel::from_shared(hub.url()).unwrap().connect().await.unwrap();
    let refused = HubServiceClient::new(channel)
        .session(futures::stream::iter([wire_request(1, hello)]))
        .await
        .unwrap_err();
    assert_eq!(refused.get_error_details().error_info().unwrap().reason, "TOO_MANY_CONNECTIONS");
    alice.says("room:a", "known before").await;
    waits.greets(v1::Hello { token: hub.token("carol"), ..greeting() }).await;
    assert_eq!(answered(forger(&hub)).await, Some(Code::InvalidToken), "one of them has said who it is");
    drop(silent);
}

#[tokio::test]
async fn failed_attempts_of_one_address_are_few_whatever_they_call() {
    let hub = limited(100, 5).start().await;
    let known = AdminClient::new(ClientOptions::new(hub.url()).token(hub.service_token()), TENANT).unwrap();
    let asks = || known.get_statistics(v1::GetStatisticsRequest::default());
    asks().await.unwrap();
    for _ in 0..3 {
        assert_eq!(answered(forger(&hub)).await, Some(Code::InvalidToken));
    }
    for _ in 0..2 {
        assert_eq!(of_service(&hub, "a.b.c").await, Some(Code::InvalidToken));
    }
    assert_eq!(of_service(&hub, "a.b.c").await, Some(Code::TooManyConnections));
    assert_eq!(answered(forger(&hub)).await, Some(Code::TooManyConnections));
    asks().await.expect("who is known goes on");
    assert_eq!(of_service(&hub, &hub.service_token()).await, None, "a good token is looked at first");
    assert_eq!(answered(hub.options("bob")).await, None);
    let opening = Opening { token: Some(hub.token("alice")), ..Opening::default() };
    Wire::open(hub.hub.grpc_address(), opening).await.greets(greeting()).await;
}

/// What a stream that bears alice's good token is told of its hello with this one.
async fn greeted_beside_a_good_one(hub: &TestHub, token: &str) -> String {
    let opening = Opening { token: Some(hub.token("alice")), ..Opening::default() };
    let mut wire = Wire::open(hub.hub.grpc_address(), opening).await;
    match wire.asks(Command::Hello(v1::Hello { token: token.to_owned(), ..greeting() })).await {
        Kind::Error(error) => error.code,
        _ => "connected".to_owned(),
    }
}

#[tokio::test]
async fn a_good_token_beside_bad_ones_makes_them_no_fewer() {
    let hub = limited(100, 5).start().await;
    for nth in 0..20 {
        let said = greeted_beside_a_good_one(&hub, "a.b.c").await;
        assert_eq!(said, if nth < 5 { "INVALID_TOKEN" } else { "TOO_MANY_CONNECTIONS" }, "{nth}");
    }
    assert_eq!(greeted_beside_a_good_one(&hub, "ticket_made-up").await, "TOO_MANY_CONNECTIONS");
    // Good ones are let in as ever, that of the hello and that of the stream.
    for token in ["", &hub.token("bob")] {
        assert_eq!(greeted_beside_a_good_one(&hub, token).await, "connected");
    }
}

/// A connection that asks for health, and then begins a session and breaks it off.
async fn asks_and_leaves(hub: &TestHub) -> Channel {
    let channel = Channel::from_shared(hub.url()).unwrap().connect().await.unwrap();
    HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
    let nothing = futures::stream::pending::<v1::SessionRequest>();
    drop(HubServiceClient::new(channel.clone()).session(nothing).await.unwrap());
    channel
}

#[tokio::test]
async fn to_ask_for_health_makes_nobody_known() {
    let hub = limited(3, 100).start().await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(asks_and_leaves(&hub).await);
    }
    assert_eq!(answered(forger(&hub)).await, Some(Code::TooManyConnections), "they keep their places");
    for channel in held {
        let health = HealthClient::new(channel).check(HealthCheckRequest::default()).await;
        health.expect("it is asked for as long as anyone likes");
    }
}

#[tokio::test]
async fn sessions_that_are_broken_off_have_failed_also_beside_health() {
    let hub = limited(100, 5).start().await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(asks_and_leaves(&hub).await);
    }
    drop(held);
    // Connections that have gone hold no place: what is left is that they failed.
    assert_eq!(answered(forger(&hub)).await, Some(Code::TooManyConnections));
}

#[tokio::test]
async fn within_tls_too() {
    let authority = Authority::new();
    let hub = limited(2, 100).with(authority.signs_local().at_grpc()).start().await;
    let address = hub.hub.grpc_address();
    let _handshake = TcpStream::connect(address).await.unwrap();
    let _within = dial(address, &authority, "h2").await.unwrap();
    assert_eq!(answered(forger(&hub).ca(authority.file())).await, Some(Code::TooManyConnections));
    assert_eq!(answered(hub.options("alice").ca(authority.file())).await, None);
}

#[tokio::test]
async fn without_limits_and_in_development_everybody_may() {
    let hub = hub().start().await;
    let address = hub.hub.grpc_address();
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(address).await.unwrap());
        assert_eq!(answered(ClientOptions::new(hub.url()).token("a.b.c")).await, Some(Code::InvalidToken));
    }
    assert_eq!(answered(hub.options("alice")).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proven_bridge_is_not_counted_for_its_clients() {
    let hub = limited(2, 4).with(|config| config.grpc.bridge_key = Some(KEY.to_owned().into())).start().await;
    let drain = CancellationToken::new();
    let options = RemoteOptions {
        hubs: vec![hub.url()],
        tls: ClientTls::default(),
        insecure: false,
        key: Some(KEY.to_owned()),
        notices: Notices::default(),
    };
    let bridge = Beside::apart_as(&options, &drain, |options| options);
    let bad = ("authorization", "Bearer a.b.c");
    for _ in 0..10 {
        assert_eq!(request(bridge.address(), "POST", "/v1/tickets", &[bad], "").await.status, 401);
    }
    // The address is full of others, and the bridge is served all the same.
    let address = hub.hub.grpc_address();
    let _silent = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
    assert_eq!(answered(forger(&hub)).await, Some(Code::TooManyConnections));
    let another = Beside::apart_as(&options, &drain, |options| options);
    let mut alice = WebSocket::enters(another.address(), Speaks::Json, hub.token("alice")).await;
    alice.joins("room:a").await;
    drain.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_may_have_so_many_sessions() {
    let bridge =
        Beside::bind(|options| Options { trusted_proxies: vec!["127.0.0.1".parse().unwrap()], ..options });
    let hub = hub().without_grace().with(|config| config.limits.sessions_per_address = 2);
    let hub = hub.start_with(&bridge).await;
    let alice = hub.enters("alice").await;
    let again = |user: &str| hub.options(user).instance("tab");
    let (first, _events) = Client::connect(again("bob")).await.unwrap();
    assert_eq!(answered(hub.options("carol")).await, Some(Code::TooManyConnections));
    assert_eq!(answered(again("bob")).await, None, "one that takes over is none more");
    drop(first);
    // The clients of a bridge are where they are.
    for user in ["dave", "erin"] {
        let from = [("x-forwarded-for", "192.0.2.9")];
        let mut socket = WebSocket::try_open(bridge.address(), Speaks::Json, &from).await.unwrap();
        let hello = v1::Hello { token: hub.token(user), protocol: 1, ..v1::Hello::default() };
        socket.greets(hello).await;
    }
    alice.client.close().await;
    hub.is_empty_again().await;
    let _both = (hub.enters("carol").await, hub.enters("alice").await);
    assert_eq!(answered(hub.options("bob")).await, Some(Code::TooManyConnections));
}

/// What a session of its own is told that says hello with this token.
async fn greeted_with(hub: &TestHub, token: String) -> (Wire, String) {
    let mut wire = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
    let told = wire.asks(Command::Hello(v1::Hello { token, ..greeting() })).await;
    let code = if let Kind::Error(error) = &told { error.code.clone() } else { "connected".to_owned() };
    (wire, code)
}

#[tokio::test]
async fn a_user_has_so_many_connections() {
    let hub = hub().without_grace().with(|config| config.grpc.connections_per_user = 2).start().await;
    let executes = async || {
        let executor = Executor::new(hub.options("alice")).unwrap();
        let asked = executor.call::<v1::RoomsPage>(Command::Rooms(v1::RoomsGet::default())).await;
        (executor, verdict(asked))
    };
    let (held, said) = executes().await;
    assert_eq!(said, "ok");
    let (_phone, said) = greeted_with(&hub, hub.token("alice")).await;
    assert_eq!(said, "connected");
    let (mut third, said) = greeted_with(&hub, hub.token("alice")).await;
    assert_eq!(
        (said.as_str(), third.ends().await.1.reason.as_str()),
        ("TOO_MANY_CONNECTIONS", "TOO_MANY_CONNECTIONS")
    );
    assert_eq!(executes().await.1, "TOO_MANY_CONNECTIONS");
    // Nor by a call that users may not make.
    assert_eq!(of_service(&hub, &hub.token("alice")).await, Some(Code::TooManyConnections));
    assert_eq!(greeted_with(&hub, hub.token("bob")).await.1, "connected");
    for _ in 0..4 {
        assert_eq!(of_service(&hub, &hub.service_token()).await, None);
    }
    let again = executes_on(&held).await;
    assert_eq!(again, "ok", "on what is theirs they go on");
    drop(held);
    while executes().await.1 != "ok" {
        tokio::task::yield_now().await;
    }
}

async fn executes_on(executor: &Executor) -> String {
    verdict(executor.call::<v1::RoomsPage>(Command::Rooms(v1::RoomsGet::default())).await)
}

#[tokio::test]
async fn a_node_has_so_many_connections_and_services_always_get_in() {
    let hub = hub().with(|config| config.grpc.connections = 2).start().await;
    let _held = (hub.enters("alice").await, hub.enters("bob").await);
    assert_eq!(answered(hub.options("carol")).await, Some(Code::TooManyConnections));
    assert_eq!(of_service(&hub, &hub.service_token()).await, None);
    let channel = Channel::from_shared(hub.url()).unwrap().connect().await.unwrap();
    let health = HealthClient::new(channel).check(HealthCheckRequest::default()).await.unwrap_err();
    let reason = health.get_error_details().error_info().unwrap().reason.clone();
    assert_eq!(reason, "TOO_MANY_CONNECTIONS", "nor does whoever only asks for health stay");
}

/// A service's token that was revoked for its tenant, which was its only one, and one of a user.
async fn revoked(hub: &TestHub) -> [String; 2] {
    let tokens = [
        hub.token_that_says(&json!({"sub": "thief", "svc": true, "tenants": [TENANT]})),
        hub.token("mallory"),
    ];
    for token in &tokens {
        let id = Some(Id::Sha256(id::of_text(token).0.to_vec().into()));
        let expires_ms = Timestamp::now().millis() + 3_600_000;
        let what = Some(What::Token(v1::TokenRevocation { id, expires_ms }));
        hub.admin().revoke_tokens(v1::RevokeTokensRequest { what, ..Default::default() }).await.unwrap();
    }
    tokens
}

#[tokio::test]
async fn who_bears_a_revoked_token_has_failed() {
    let hub = limited(100, 6).start().await;
    let [service, user] = revoked(&hub).await;
    for _ in 0..3 {
        assert_eq!(of_service(&hub, &service).await, Some(Code::TokenRevoked));
        assert_eq!(of_service(&hub, &user).await, Some(Code::TokenRevoked));
    }
    assert_eq!(answered(forger(&hub)).await, Some(Code::TooManyConnections), "each has counted");
    for token in [&service, &user] {
        assert_eq!(of_service(&hub, token).await, Some(Code::TooManyConnections));
        let shows = ClientOptions::new(hub.url()).token(token.clone());
        assert_eq!(answered(shows).await, Some(Code::TooManyConnections), "it opens no door that is shut");
    }
    assert_eq!(of_service(&hub, &hub.service_token()).await, None);
}

#[tokio::test]
async fn who_says_hello_in_no_way_that_is_one_has_failed() {
    let long = || v1::Hello { token: "a".repeat(8_193), ..greeting() };
    let wrong = [
        (Command::Hello(long()), "INVALID_ARGUMENT"),
        (Command::Hello(v1::Hello { protocol: 2, ..greeting() }), "INVALID_ARGUMENT"),
        (Command::Ping(v1::Ping {}), "PROTOCOL_ERROR"),
    ];
    let hub = limited(100, 5).start().await;
    for (command, code) in wrong {
        let mut wire = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
        wire.ask(command);
        assert_eq!(wire.ends().await.1.reason, code);
    }
    // What is no frame, and one that is too large.
    for (bytes, code) in [(vec![1; 5], "PROTOCOL_ERROR"), (vec![0, 0x7f, 0, 0, 0], "MESSAGE_TOO_LARGE")] {
        let mut wire = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
        wire.write(bytes.into());
        assert_eq!(wire.ends().await.1.reason, code);
    }
    assert_eq!(answered(forger(&hub)).await, Some(Code::TooManyConnections));
}
