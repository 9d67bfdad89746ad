//! Connections on which nobody says who they are.

use std::time::Duration;

use carillon_client::v1;
use carillon_tests::wire::{Opening, greeting, say};
use carillon_tests::{PATIENCE, TestHub, Wire, hub};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

async fn impatient() -> TestHub {
    hub().with(|config| config.session.hello_timeout = Duration::from_millis(200)).start().await
}

#[tokio::test]
async fn a_socket_that_says_nothing_is_closed() {
    let hub = impatient().await;
    let mut socket = TcpStream::connect(hub.hub.grpc_address()).await.unwrap();
    let mut said = Vec::new();
    // The hub may greet, but it does not wait for ever.
    let closed = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut said)).await;
    assert!(closed.is_ok());
}

#[tokio::test]
async fn a_connection_without_a_call_is_closed_and_one_that_is_used_stays() {
    let hub = impatient().await;
    let mut alice = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
    alice.greets(v1::Hello { token: hub.token("alice"), ..greeting() }).await;
    let socket = TcpStream::connect(hub.hub.grpc_address()).await.unwrap();
    let (_client, connection) = h2::client::handshake(socket).await.unwrap();
    // Its pings are answered all the while.
    let _ = tokio::time::timeout(PATIENCE, connection).await.expect("the hub closes it");
    assert!(matches!(
        alice.asks(say("room:a", "still here")).await,
        v1::session_response::Kind::MessageSent(_)
    ));
}
