//! Handshakes and readers that stand still hold up nobody, and end.

use std::net::SocketAddr;
use std::time::Duration;

use carillon_bridge::Options;
use carillon_client::v1;
use carillon_tests::browser::{Beside, Speaks, WebSocket, hears_all_until_another_is_ended};
use carillon_tests::certificates::{Authority, dial};
use carillon_tests::{PATIENCE, Person, hub};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The head of a ClientHello's record, which then does not come.
const HEAD: [u8; 5] = [0x16, 0x03, 0x01, 0x02, 0x00];

/// Connections that began a handshake, or not even that.
async fn stalled(address: SocketAddr) -> Vec<TcpStream> {
    let mut sockets = Vec::new();
    for number in 0..50 {
        let mut socket = TcpStream::connect(address).await.unwrap();
        if number % 2 == 0 {
            socket.write_all(&HEAD).await.unwrap();
        }
        sockets.push(socket);
    }
    sockets
}

async fn end(sockets: Vec<TcpStream>) {
    for mut socket in sockets {
        let ended = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "it goes on");
    }
}

#[tokio::test]
async fn on_grpc_others_are_served_meanwhile() {
    let authority = Authority::new();
    let hub = hub()
        .with(authority.signs_local().at_grpc())
        .with(|config| config.session.hello_timeout = Duration::from_millis(500))
        .start()
        .await;
    let sockets = stalled(hub.hub.grpc_address()).await;
    let mut alice = Person::connect("alice", hub.options("alice").ca(authority.file())).await;
    alice.joins("room:a").await;
    alice.says("room:a", "meanwhile").await;
    alice.hears("room:a").await;
    end(sockets).await;
    alice.says("room:a", "after").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_bridge_others_are_served_meanwhile() {
    let authority = Authority::new();
    let pair = authority.signs_local();
    let bridge = Beside::bind(|options| Options {
        tls: pair.at_bridge(),
        handshake_timeout: Duration::from_secs(1),
        ..options
    });
    let hub = hub().start_with(&bridge).await;
    let sockets = stalled(bridge.address()).await;
    let stream = dial(bridge.address(), &authority, "http/1.1").await.unwrap();
    let mut alice = WebSocket::try_over(stream, Speaks::Json, &[]).await.unwrap();
    alice.greets(v1::Hello { token: hub.token("alice"), protocol: 1, ..v1::Hello::default() }).await;
    end(sockets).await;
    alice.joins("room:a").await;
}

/// Whoever stops in the handshake has as much time as whoever says nothing, and no more; a stop does not wait for them.
#[tokio::test]
async fn a_stop_does_not_wait_for_a_handshake() {
    let authority = Authority::new();
    let hub = hub().with(authority.signs_local().at_grpc()).start().await;
    let _sockets = stalled(hub.hub.grpc_address()).await;
    hub.stops().await;
}

/// Within TLS what was written may wait for the client beside what the system holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_stops_reading_is_ended_and_stalls_nobody() {
    let authority = Authority::new();
    let pair = authority.signs_local();
    let bridge = Beside::bind(|options| Options { tls: pair.at_bridge(), ..options });
    let hub = hub().with(|config| config.session.slow_consumer_after = Duration::from_secs(1));
    let hub = hub.start_with(&bridge).await;
    let enters = async |user: &str| {
        let stream = dial(bridge.address(), &authority, "http/1.1").await.unwrap();
        let mut socket = WebSocket::try_over(stream, Speaks::Proto, &[]).await.unwrap();
        socket.greets(v1::Hello { token: hub.token(user), protocol: 1, ..v1::Hello::default() }).await;
        socket.joins("room:busy").await;
        socket
    };
    let _stopped = enters("mallory").await;
    hears_all_until_another_is_ended(&hub, enters("bob").await).await;
}
