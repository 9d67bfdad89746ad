//! The command within TLS.

use carillon_tests::certificates::{Authority, Pair};
use carillon_tests::command::{Carillon, carillon};
use carillon_tests::{TestHub, hub};

use crate::mutual;

fn lists(hub: &TestHub) -> Carillon {
    let token = hub.service_token();
    carillon(["admin", "sessions", "--tenant", "acme", "--addr", &hub.url(), "--token", &token])
}

fn shows(command: Carillon, pair: &Pair) -> Carillon {
    command.arg("--certificate").arg(&pair.certificate).arg("--certificate-key").arg(&pair.key)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_trusts_whom_it_is_told_to_and_prints_where_sessions_are_from() {
    let authority = Authority::new();
    let hub = hub().with(authority.signs_local().at_grpc()).start().await;
    let options = hub.options("alice").ca(authority.file());
    let _alice = carillon_tests::Person::connect("alice", options).await;
    let out = lists(&hub).arg("--ca").arg(authority.file()).run().good().out;
    assert!(out.contains(" alice ") && out.contains(", from 127.0.0.1, "), "{out}");
    let found = lists(&hub).variable("CARILLON_CA", authority.file()).arg("--json").run().good().object();
    assert_eq!((found["address"].as_str(), found["origin"].as_str()), (Some("127.0.0.1"), Some("")));
    // Those that the system trusts, for whom this variable of OpenSSL's stands in.
    lists(&hub).variable("SSL_CERT_FILE", authority.file()).run().good();
    let other = Authority::new();
    lists(&hub).variable("SSL_CERT_FILE", other.file()).run().fails("UnknownIssuer");
    lists(&hub).arg("--ca").arg(other.file()).run().fails("UnknownIssuer");
    lists(&hub).arg("--ca").arg("/nowhere/ca.pem").run().fails("/nowhere/ca.pem: cannot be read");
    let plain = hub.url().replace("https", "http");
    let token = hub.service_token();
    let asks = ["admin", "sessions", "--tenant", "acme", "--addr", &plain, "--token", &token];
    carillon(asks).arg("--ca").arg(authority.file()).run().fails("https://");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_and_single_requests_of_the_command_go_within_tls() {
    let authority = Authority::new();
    let hub = hub().with(authority.signs_local().at_grpc()).start().await;
    let asks = |arguments: &[&str]| {
        let command = carillon(arguments).arg("--addr").arg(hub.url()).arg("--ca").arg(authority.file());
        command.arg("--token").arg(hub.token("alice"))
    };
    let mut listens = asks(&["listen", "room:a", "--json"]).start_typing();
    listens.says("joined");
    asks(&["send", "room:a", "within TLS"]).run().good();
    assert!(asks(&["history", "room:a"]).run().good().out.contains("within TLS"));
    assert!(listens.says("within TLS").contains("alice"));
    assert_eq!(listens.signalled("INT").code, Some(130));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_shows_its_certificate() {
    let (authority, clients, hub) = mutual().await;
    let lists = || lists(&hub).arg("--ca").arg(authority.file());
    shows(lists(), &clients.signs("billing")).run().good();
    assert_eq!(lists().run().code, Some(1));
    assert_eq!(shows(lists(), &Authority::new().signs("billing")).run().code, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridges_process_serves_within_tls_on_both_sides() {
    use carillon_tests::browser::{Speaks, WebSocket};
    let (authority, clients, hub) = mutual().await;
    let (own, pair) = (clients.signs("bridge"), authority.signs_local());
    let mut bridge = carillon(["bridge", "--dev", "--json", "--workers", "1", "--listen", "127.0.0.1:0"])
        .arg("--hub")
        .arg(hub.url())
        .arg("--hub-ca")
        .arg(authority.file())
        .arg("--hub-cert")
        .arg(&own.certificate)
        .arg("--hub-key")
        .arg(&own.key)
        .arg("--tls-certificate")
        .arg(&pair.certificate)
        .arg("--tls-key")
        .arg(&pair.key)
        .start_typing();
    let ready: serde_json::Value = serde_json::from_str(&bridge.line()).unwrap();
    let address = ready["bridge"].as_str().unwrap().parse().unwrap();
    let stream = carillon_tests::certificates::dial(address, &authority, "http/1.1").await.unwrap();
    let mut alice = WebSocket::try_over(stream, Speaks::Json, &[]).await.unwrap();
    let hello = carillon_client::v1::Hello { token: hub.token("alice"), protocol: 1, ..Default::default() };
    alice.greets(hello).await;
    alice.joins("room:a").await;
    drop(alice);
    assert_eq!(bridge.signalled("TERM").code, Some(0));
}
