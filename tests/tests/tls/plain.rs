//! Plain text: where TLS is spoken, and where others would hear it.

use std::net::{Ipv4Addr, SocketAddr};

use carillon_bridge::{Bridge, Options, Origins};
use carillon_client::{Client, ConnectError};
use carillon_tests::browser::{Beside, Speaks, WebSocket};
use carillon_tests::certificates::{Authority, dial};
use carillon_tests::command::carillon;
use carillon_tests::{Person, hub};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Every address of this machine.
const EVERYWHERE: (Ipv4Addr, u16) = (Ipv4Addr::UNSPECIFIED, 0);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_speaks_plain_text_to_tls_gets_nothing() {
    let authority = Authority::new();
    let pair = authority.signs_local();
    let bridge = Beside::bind(|options| Options { tls: pair.at_bridge(), ..options });
    let hub = hub().with(pair.at_grpc()).start_with(&bridge).await;
    let plain =
        carillon_client::ClientOptions::new(hub.url().replace("https", "http")).token(hub.token("alice"));
    assert!(Client::connect(plain).await.is_err());
    for address in [hub.hub.grpc_address(), bridge.address()] {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(b"GET /health/ready HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut said = Vec::new();
        // An alert of TLS at most, or the connection is cut.
        let _ = socket.read_to_end(&mut said).await;
        assert!(said.len() < 16 && !said.starts_with(b"HTTP"), "{said:?}");
    }
    let _alice = Person::connect("alice", hub.options("alice").ca(authority.file())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_speaks_tls_to_plain_text_is_told_that_the_handshake_failed() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().start_with(&bridge).await;
    let authority = Authority::new();
    let options = carillon_client::ClientOptions::new(hub.url().replace("http", "https"));
    let error = Client::connect(options.token(hub.token("alice")).ca(authority.file())).await.err().unwrap();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
    for address in [hub.hub.grpc_address(), bridge.address()] {
        assert!(dial(address, &authority, "h2").await.is_err());
    }
    let _alice = hub.enters("alice").await;
    let _bob = WebSocket::enters(bridge.address(), Speaks::Json, hub.token("bob")).await;
}

#[tokio::test]
async fn plain_text_to_other_machines_is_refused() {
    let listen: SocketAddr = EVERYWHERE.into();
    let why = hub().with(|config| config.grpc.listen = listen).fails_to_start().await;
    assert!(why.contains("grpc.listen") && why.contains("grpc.insecure = true"), "{why}");
    let why = hub().with(|config| config.bridge.listen = Some(listen)).fails_to_start().await;
    assert!(why.contains("bridge.listen") && why.contains("bridge.insecure = true"), "{why}");
    let options = Options::new(listen, Origins::new(&[], true).unwrap());
    let why = Bridge::bind(options, 1).err().unwrap().to_string();
    assert!(why.contains("plain text"), "{why}");
    for arguments in [
        &["serve", "--dev", "--grpc", "0.0.0.0:0", "--bridge", "127.0.0.1:0"][..],
        &["serve", "--dev", "--grpc", "127.0.0.1:0", "--bridge", "0.0.0.0:0"],
        &["bridge", "--dev", "--hub", "http://127.0.0.1:1", "--listen", "0.0.0.0:0"],
        &["bridge", "--dev", "--hub", "http://192.0.2.1:7420", "--listen", "127.0.0.1:0"],
    ] {
        let folder = tempfile::tempdir().unwrap();
        carillon(arguments).within(folder.path()).run().fails("tokens would travel in plain text");
    }
    let line =
        ["bridge", "--dev", "--hub", "http://127.0.0.1:1,http://192.0.2.1:7420", "--listen", "127.0.0.1:0"];
    carillon(line).run().fails("\"http://192.0.2.1:7420\" is on another machine");
    let mut meant = carillon(line).arg("--json").arg("--hub-insecure").start_typing();
    meant.line();
    assert_eq!(meant.signalled("TERM").code, Some(0));
    let folder = tempfile::tempdir().unwrap();
    let shown = carillon(["config", "show", "--dev", "--data"]).arg(folder.path()).run().good().out;
    let file = folder.path().join("hub.toml");
    std::fs::write(&file, shown.replace("127.0.0.1:7420", "192.0.2.1:7420")).unwrap();
    carillon(["hub", "--config"]).arg(&file).run().fails("grpc.insecure = true");
}

#[tokio::test]
async fn with_a_certificate_or_when_it_is_said_to_be_insecure_it_starts() {
    let listen: SocketAddr = EVERYWHERE.into();
    let authority = Authority::new();
    let at = |port: u16| format!("127.0.0.1:{port}");
    let within = hub().with(authority.signs_local().at_grpc()).with(|config| config.grpc.listen = listen);
    let within = within.start().await;
    let address = format!("https://{}", at(within.hub.grpc_address().port()));
    let options = carillon_client::ClientOptions::new(address).token(within.token("alice"));
    let _alice = Person::connect("alice", options.ca(authority.file())).await;
    let plain = hub().with(|config| {
        config.grpc.listen = listen;
        config.grpc.insecure = true;
    });
    let plain = plain.start().await;
    let address = format!("http://{}", at(plain.hub.grpc_address().port()));
    let _bob =
        Person::connect("bob", carillon_client::ClientOptions::new(address).token(plain.token("bob"))).await;
    let options = Options::new(listen, Origins::new(&[], true).unwrap());
    assert!(Bridge::bind(Options { insecure: true, ..options.clone() }, 1).is_ok());
    assert!(Bridge::bind(Options { tls: authority.signs_local().at_bridge(), ..options }, 1).is_ok());
}
