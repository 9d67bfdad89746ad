//! Ten thousand who say nothing.

use std::net::SocketAddr;
use std::time::Duration;

use carillon_client::v1::Hello;
use carillon_tests::browser::{Speaks, WebSocket};
use carillon_tests::process::HubProcess;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Half of them ask for nothing, half for a socket on which they then say nothing.
const HALF: usize = 5_000;
/// More than the ten seconds that each has, for all of them.
const LONG: Duration = Duration::from_secs(90);

async fn enters(hub: &HubProcess, user: &str) -> WebSocket {
    let mut socket = WebSocket::open(hub.bridge(), Speaks::Json).await;
    socket.greets(Hello { token: hub.token(user).to_owned(), protocol: 1, ..Hello::default() }).await;
    socket.joins("room:lobby").await;
    socket
}

async fn comes_and_says_nothing(address: SocketAddr) -> (TcpStream, WebSocket) {
    (TcpStream::connect(address).await.unwrap(), WebSocket::open(address, Speaks::Proto).await)
}

/// The hub is another process: each connection is an open file on both sides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_that_say_nothing_are_ended_and_others_are_served() {
    let files = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: files.maximum, maximum: files.maximum }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let hub = HubProcess::start(folder.path());
    let (mut alice, mut bob) = (enters(&hub, "alice").await, enters(&hub, "bob").await);
    let mut silent = Vec::with_capacity(HALF);
    for number in 0..HALF {
        silent.push(comes_and_says_nothing(hub.bridge()).await);
        if number % 500 == 0 {
            alice.says("room:lobby", "meanwhile").await;
            assert_eq!(bob.hears().await, "meanwhile");
        }
    }
    for (mut connection, mut socket) in silent {
        let ends = async {
            let mut said = Vec::new();
            let _ = connection.read_to_end(&mut said).await;
            (said, socket.ends().await.0)
        };
        let (said, ended) = tokio::time::timeout(LONG, ends).await.expect("both end");
        assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 408 "), "{said:?}");
        assert_eq!(ended, Some((4004, "DEADLINE_EXCEEDED".to_owned())));
    }
    alice.says("room:lobby", "after").await;
    assert_eq!(bob.hears().await, "after");
}
