//! Certificates that are replaced while the hub runs.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use carillon_client::ClientOptions;
use carillon_tests::certificates::{Authority, Pair, shown};
use carillon_tests::command::{Running, carillon};
use carillon_tests::hub::TENANT;
use carillon_tests::{PATIENCE, Person, hub};
use rustls::pki_types::CertificateDer;

/// Puts a new pair in the place of one, as a renewal does: the certificate first, then the key.
fn replace(old: &Pair, new: &Pair) {
    fs::copy(&new.certificate, &old.certificate).unwrap();
    fs::copy(&new.key, &old.key).unwrap();
}

/// Waits until whoever listens there shows this certificate.
async fn shows(address: SocketAddr, authority: &Authority, alpn: &str, expected: &CertificateDer<'static>) {
    let renewed = async {
        let mut looks = tokio::time::interval(Duration::from_millis(50));
        while shown(address, authority, alpn).await != *expected {
            looks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, renewed).await.expect("the certificate is renewed");
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_while_sessions_go_on() {
    let authority = Authority::new();
    let pair = authority.signs_local();
    let hub = hub().with(pair.at_grpc()).start().await;
    let address = hub.hub.grpc_address();
    let mut alice = Person::connect("alice", hub.options("alice").ca(authority.file())).await;
    alice.joins("room:a").await;
    let first = pair.der();
    assert_eq!(shown(address, &authority, "h2").await, first);
    let second = authority.signs("localhost");
    replace(&pair, &second);
    shows(address, &authority, "h2", &second.der()).await;
    alice.says("room:a", "still here").await;
    alice.hears("room:a").await;
}

/// A hub in a process of its own, whose log a test can read, with this pair at both listeners.
fn process(folder: &Path, pair: &Pair) -> (Running, ClientOptions, [SocketAddr; 2]) {
    let file = folder.join("hub.toml");
    let shown = carillon(["config", "show", "--dev", "--data"]).arg(folder.join("data")).run().good();
    fs::write(&file, shown.out).unwrap();
    let mut command = carillon(["hub", "--json", "--config"]).arg(&file);
    for section in ["GRPC", "HTTP", "BRIDGE"] {
        command = command.variable(&format!("CARILLON__{section}__LISTEN"), "127.0.0.1:0");
    }
    for section in ["GRPC", "BRIDGE"] {
        command = command.variable(&format!("CARILLON__{section}__TLS__CERTIFICATE"), &pair.certificate);
        command = command.variable(&format!("CARILLON__{section}__TLS__KEY"), &pair.key);
    }
    let mut hub = command.start_typing();
    let ready: serde_json::Value = serde_json::from_str(&hub.line()).unwrap();
    let [grpc, bridge] = ["grpc", "bridge"].map(|name| ready[name].as_str().unwrap().parse().unwrap());
    let token = carillon(["token", "alice", "--tenant", TENANT, "--config"]).arg(&file).run().good().out;
    (hub, ClientOptions::new(format!("https://{grpc}")).token(token.trim_end()), [grpc, bridge])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_pair_is_logged_and_changes_nothing() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let (pair, new) = (authority.signs_local(), authority.signs("localhost"));
    let (hub, options, [grpc, bridge]) = process(folder.path(), &pair);
    let mut alice = Person::connect("alice", options.ca(authority.file())).await;
    alice.joins("room:a").await;
    let first = pair.der();
    // The certificate is there before its key.
    fs::copy(&new.certificate, &pair.certificate).unwrap();
    hub.warns("certificates cannot be renewed");
    assert_eq!(shown(grpc, &authority, "h2").await, first);
    assert_eq!(shown(bridge, &authority, "http/1.1").await, first);
    fs::copy(&new.key, &pair.key).unwrap();
    shows(grpc, &authority, "h2", &new.der()).await;
    shows(bridge, &authority, "http/1.1", &new.der()).await;
    alice.says("room:a", "still here").await;
    alice.hears("room:a").await;
    alice.client.close().await;
    assert_eq!(hub.signalled("TERM").code, Some(0));
}
