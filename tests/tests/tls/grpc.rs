//! gRPC within TLS, with and without clients' certificates.

use carillon_client::v1::session_request::Command;
use carillon_client::{AdminClient, Client, ClientOptions, Code, CommandError, ConnectError, Executor, v1};
use carillon_hub::config::{Config, Demand};
use carillon_tests::certificates::{Authority, Pair, dial, dial_with};
use carillon_tests::hub::TENANT;
use carillon_tests::{Person, TestHub, hub};

use crate::mutual;

/// Why a client could not connect.
async fn refusal(options: ClientOptions) -> String {
    match Client::connect(options).await {
        Ok(_) => panic!("it connected"),
        Err(error @ ConnectError::Unreachable { .. }) => error.to_string(),
        Err(other) => panic!("not refused by the handshake: {other}"),
    }
}

async fn statistics(admin: &AdminClient) -> Result<v1::GetStatisticsResponse, CommandError> {
    admin.get_statistics(v1::GetStatisticsRequest::default()).await
}

fn service(hub: &TestHub, change: impl FnOnce(ClientOptions) -> ClientOptions) -> AdminClient {
    AdminClient::new(change(ClientOptions::new(hub.url()).token(hub.service_token())), TENANT).unwrap()
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_is_served() {
    let authority = Authority::new();
    let hub = hub().with(authority.signs_local().at_grpc()).start().await;
    let alice = Person::connect("alice", hub.options("alice").ca(authority.file())).await;
    let mut bob = Person::connect("bob", hub.options("bob").ca(authority.file())).await;
    bob.joins("room:a").await;
    // More than a record, and more than TLS holds back for one connection.
    let long = "x".repeat(9_000);
    for _ in 0..30 {
        alice.says("room:a", &long).await;
    }
    for _ in 0..30 {
        assert_eq!(carillon_tests::words(&bob.hears("room:a").await), long);
    }
    let options = hub.options("alice").ca(authority.file());
    let asks = v1::HistoryGet { room: "room:a".to_owned(), limit: 30, ..v1::HistoryGet::default() };
    let page: v1::HistoryPage = Executor::new(options).unwrap().call(Command::History(asks)).await.unwrap();
    assert!(page.entries.len() > 5, "one answer of several records");
    let found = statistics(&service(&hub, |options| options.ca(authority.file()))).await.unwrap();
    assert_eq!(found.users, 2);
}

#[tokio::test]
async fn our_client_trusts_no_other_certificate() {
    let authority = Authority::new();
    let hub_with = |pair: &Pair| hub().with(pair.at_grpc()).start();
    let good = hub_with(&authority.signs_local()).await;
    let other = Authority::new();
    let why = refusal(good.options("alice").ca(other.file())).await;
    assert!(why.contains("invalid peer certificate: UnknownIssuer"), "{why}");
    let elsewhere = hub_with(&authority.signs("hub.example.org")).await;
    let why = refusal(elsewhere.options("alice").ca(authority.file())).await;
    assert!(why.contains("certificate not valid for name \"127.0.0.1\""), "{why}");
    let expired = hub_with(&authority.signed_long_ago()).await;
    let why = refusal(expired.options("alice").ca(authority.file())).await;
    assert!(why.contains("certificate expired"), "{why}");
}

#[tokio::test]
async fn a_hub_whose_files_are_wrong_does_not_start() {
    let authority = Authority::new();
    let (good, other) = (authority.signs_local(), authority.signs("other"));
    let mixed = Pair { key: other.key, ..good.clone() };
    let why = hub().with(mixed.at_grpc()).fails_to_start().await;
    assert!(why.contains("other.key: not the key of the certificate"), "{why}");
    let nobody = |config: &mut Config| config.grpc.tls.client_ca = Some("/nowhere/ca.pem".into());
    let why = hub().with(good.at_grpc()).with(nobody).fails_to_start().await;
    assert!(why.contains("/nowhere/ca.pem: cannot be read"), "{why}");
}

#[tokio::test]
async fn both_versions_of_tls_are_spoken() {
    let authority = Authority::new();
    let hub = hub().with(authority.signs_local().at_grpc()).start().await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let stream = dial_with(hub.hub.grpc_address(), &authority, "h2", &[version]).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
    }
}

#[tokio::test]
async fn within_tls_nothing_but_http2_is_spoken() {
    let authority = Authority::new();
    let hub = hub().with(authority.signs_local().at_grpc()).start().await;
    let stream = dial(hub.hub.grpc_address(), &authority, "h2").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    assert!(dial(hub.hub.grpc_address(), &authority, "http/1.1").await.is_err());
}

#[tokio::test]
async fn where_clients_need_a_certificate_there_is_nothing_without() {
    let (authority, clients, hub) = mutual().await;
    let (good, wrong) = (clients.signs("alice"), Authority::new().signs("alice"));
    let options = || hub.options("alice").ca(authority.file());
    let mut alice = Person::connect("alice", options().certificate(&good.certificate, &good.key)).await;
    alice.joins("room:a").await;
    alice.says("room:a", "within").await;
    alice.hears("room:a").await;
    assert!(Client::connect(options()).await.is_err(), "without a certificate");
    assert!(
        Client::connect(options().certificate(&wrong.certificate, &wrong.key)).await.is_err(),
        "of another authority"
    );
    let expired = clients.signed_long_ago();
    assert!(Client::connect(options().certificate(&expired.certificate, &expired.key)).await.is_err());
}

#[tokio::test]
async fn where_they_may_have_one_it_must_be_good() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let hub = hub()
        .with(authority.signs_local().at_grpc())
        .with(clients.is_asked_for(Demand::Optional))
        .start()
        .await;
    let (good, wrong) = (clients.signs("alice"), Authority::new().signs("alice"));
    let options = || hub.options("alice").ca(authority.file());
    let _without = Person::connect("alice", options()).await;
    let _with = Person::connect("alice", options().certificate(&good.certificate, &good.key)).await;
    assert!(Client::connect(options().certificate(&wrong.certificate, &wrong.key)).await.is_err());
}

#[tokio::test]
async fn services_tokens_may_need_a_certificate_besides() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let hub = hub()
        .with(authority.signs_local().at_grpc())
        .with(clients.is_asked_for(Demand::Optional))
        .with(|config| config.grpc.tls.services_need_certificate = true)
        .start()
        .await;
    let own = clients.signs("billing");
    let with = |options: ClientOptions| options.ca(authority.file()).certificate(&own.certificate, &own.key);
    statistics(&service(&hub, with)).await.unwrap();
    let without = statistics(&service(&hub, |options| options.ca(authority.file()))).await.unwrap_err();
    assert_eq!(without.code(), Some(&Code::PermissionDenied));
    // A certificate is no token.
    let bare = AdminClient::new(with(ClientOptions::new(hub.url()).token("a.b.c")), TENANT).unwrap();
    assert_eq!(statistics(&bare).await.unwrap_err().code(), Some(&Code::InvalidToken));
    let _user = Person::connect("alice", hub.options("alice").ca(authority.file())).await;
}
