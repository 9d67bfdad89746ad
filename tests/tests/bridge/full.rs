//! A bridge that has no room for more: whose connections give way to new ones, and whose stay.

use std::net::SocketAddr;

use carillon_bridge::{AddressLimits, Options};
use carillon_client::v1::Hello;
use carillon_client::v1::session_response::Kind;
use carillon_tests::browser::{Beside, Events, Speaks, WebSocket, request};
use carillon_tests::{PATIENCE, TestHub, hub};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

fn with_room_for(connections: usize) -> impl Fn(Options) -> Options {
    move |options| Options { connections, ..options }
}

/// Begins a POST of mallory's with so long a body, of which nothing comes, on a connection of its own.
async fn posts(hub: &TestHub, address: SocketAddr, path: &str, length: usize) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let token = hub.token("mallory");
    let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n");
    stream.write_all(format!("{head}content-length: {length}\r\n\r\n").as_bytes()).await.unwrap();
    stream
}

/// Makes a ticket on a connection of its own, which stays.
async fn known(hub: &TestHub, address: SocketAddr) -> TcpStream {
    let mut stream = posts(hub, address, "/v1/tickets", 0).await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    stream.read_exact(&mut vec![0; length.parse().unwrap()]).await.unwrap();
    stream
}

/// Waits until the other side has closed it.
async fn closes(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    let _ = closed.expect("it has given way");
}

/// A session on a socket of its own, and a stream of events.
async fn enters(hub: &TestHub, address: SocketAddr) -> (WebSocket, Events) {
    let mut socket = WebSocket::enters(address, Speaks::Json, hub.token("alice")).await;
    socket.joins("room:lobby").await;
    let bearer = format!("Bearer {}", hub.token("alice"));
    let events = Events::open(address, "/v1/events?room=room%3Alobby", &[("authorization", &bearer)]).await;
    let mut events = events.expect("a stream");
    // Its own room and the tenant's come by themselves, perhaps before.
    let joined = |kind| matches!(kind, Some(Kind::Joined(joined)) if joined.room == "room:lobby");
    while !joined(events.next().await.expect("the stream goes on").kind) {}
    (socket, events)
}

/// Whoever has shown a good token and carries nothing has no place for good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_of_known_users_give_way() {
    let change = with_room_for(3);
    let beside = Beside::bind(&change);
    let hub = hub().start_with(&beside).await;
    let drain = CancellationToken::new();
    let apart = Beside::apart_with(&[hub.url()], &drain, &change);
    for bridge in [&beside, &apart] {
        let mut idle = Vec::new();
        for _ in 0..3 {
            idle.push(known(&hub, bridge.address()).await);
        }
        let (mut socket, mut events) = enters(&hub, bridge.address()).await;
        closes(&mut idle[0]).await;
        closes(&mut idle[1]).await;
        let text = format!("from {}", bridge.address());
        socket.says("room:lobby", &text).await;
        assert_eq!(events.hears().await, text);
    }
    drain.cancel();
}

/// What one user has begun to post has some places and not all: the others of them rest once they are refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_one_user_never_finishes_leave_room() {
    const PLACES: usize = 60;
    let change = with_room_for(PLACES);
    let beside = Beside::bind(&change);
    let hub = hub().start_with(&beside).await;
    let drain = CancellationToken::new();
    let apart = Beside::apart_with(&[hub.url()], &drain, &change);
    for bridge in [&beside, &apart] {
        let mut begun = Vec::new();
        for _ in 0..PLACES {
            begun.push(posts(&hub, bridge.address(), "/v1/commands", 1_000).await);
        }
        // Whoever is refused hears it before the body has come, and before the others give up.
        let answers = begun.iter_mut().map(|stream| {
            Box::pin(async move {
                let mut status = [0; 12];
                stream.read_exact(&mut status).await.expect("an answer");
                String::from_utf8(status.into()).expect("text")
            })
        });
        let refused = tokio::time::timeout(PATIENCE, futures::future::select_all(answers));
        assert_eq!(refused.await.expect("one of them is refused").0, "HTTP/1.1 429");
        let (mut socket, mut events) = enters(&hub, bridge.address()).await;
        let text = format!("from {}", bridge.address());
        socket.says("room:lobby", &text).await;
        assert_eq!(events.hears().await, text);
    }
    drain.cancel();
}

/// Neither silence nor a socket that says no `hello` keeps anybody out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_shows_nothing_gives_way() {
    let bridge = Beside::bind(with_room_for(2));
    let hub = hub().start_with(&bridge).await;
    let mut silent = TcpStream::connect(bridge.address()).await.unwrap();
    let mut mute = WebSocket::open(bridge.address(), Speaks::Json).await;
    let (mut socket, mut events) = enters(&hub, bridge.address()).await;
    closes(&mut silent).await;
    closes(mute.raw()).await;
    socket.says("room:lobby", "both are here").await;
    assert_eq!(events.hears().await, "both are here");
}

/// Whose place another was given has failed at nothing: the address goes on as before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_that_gave_way_are_no_failures_of_their_address() {
    let limits = AddressLimits { unauthenticated: 100, attempts_per_minute: 4 };
    let bridge = Beside::bind(|options| Options { connections: 2, addresses: Some(limits), ..options });
    let _hub = hub().start_with(&bridge).await;
    let mut mute = Vec::new();
    for _ in 0..8 {
        mute.push(WebSocket::open(bridge.address(), Speaks::Json).await);
    }
    for socket in &mut mute[..6] {
        closes(socket.raw()).await;
    }
    let answer = request(bridge.address(), "POST", "/v1/tickets", &[], "").await;
    assert_eq!((answer.status, answer.json()["code"].as_str()), (401, Some("AUTH_REQUIRED")));
}

/// What somebody known uses stays, and where nothing else is left who comes is told that there are too many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_and_event_streams_stay() {
    let bridge = Beside::bind(with_room_for(3));
    let hub = hub().start_with(&bridge).await;
    let address = bridge.address();
    let (mut socket, mut events) = enters(&hub, address).await;
    let mut late = WebSocket::open(address, Speaks::Proto).await;
    late.greets(Hello { token: hub.token("bob"), protocol: 1, ..Hello::default() }).await;
    for said in ["", "GET / HTTP/1.1\r\n\r\n", "GET /health/ready HTTP/1.1\r\n\r\n", "GET /health/live"] {
        let mut refused = TcpStream::connect(address).await.unwrap();
        refused.write_all(said.as_bytes()).await.unwrap();
        let mut answer = String::new();
        refused.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    }
    // It lives, and whatever watches over it need not start it again.
    for method in ["GET", "HEAD"] {
        assert_eq!(request(address, method, "/health/live", &[], "").await.status, 200);
    }
    socket.says("room:lobby", "still here").await;
    assert_eq!(events.hears().await, "still here");
    late.joins("room:lobby").await;
    // A stream that ends leaves its place.
    drop(events);
    let freed = async {
        while request_is_refused(address).await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, freed).await.expect("a place is free again");
}

async fn request_is_refused(address: SocketAddr) -> bool {
    request(address, "GET", "/health/ready", &[], "").await.status == 503
}
