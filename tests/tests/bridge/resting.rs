//! What is written past the task of a socket that rests comes like everything else.

use std::net::SocketAddr;

use carillon_client::v1::Hello;
use carillon_tests::browser::{Beside, Speaks, WebSocket};
use carillon_tests::hub;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;

/// More, of as long a text, than the system keeps for a connection.
const MANY: usize = 600;

/// A connection that takes little at a time.
async fn narrow(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.connect(address).await.unwrap()
}

/// Each message is alone when it comes, until the connection is full in the middle of one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_late_and_pings_meanwhile_hears_all_of_it_once_and_in_order() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().start_with(&bridge).await;
    let mut all = Vec::new();
    for (room, speaks) in [("room:proto", Speaks::Proto), ("room:json", Speaks::Json)] {
        let mut late = WebSocket::try_over(narrow(bridge.address()).await, speaks, &[]).await.unwrap();
        late.greets(Hello { token: hub.token("bob"), protocol: 1, ..Hello::default() }).await;
        late.joins(room).await;
        all.push((room, late));
    }
    let sender = hub.enters("alice").await;
    let text = |number: usize| format!("{number} {}", "x".repeat(9_000));
    for (room, late) in &mut all {
        for number in 0..MANY {
            sender.says(room, &text(number)).await;
            if number % 100 == 50 {
                // What answers it must not come in the middle of a message.
                late.send(Message::Ping("are you there?".into())).await;
            }
        }
    }
    for (room, late) in &mut all {
        for number in 0..MANY {
            assert!(late.hears().await == text(number), "{number} of {room}");
        }
        // And goes on as before.
        sender.says(room, "the end").await;
        assert_eq!(late.hears().await, "the end");
    }
}

/// Who sends and who hears take turns: what each hears of the other, and the answers to what they say themselves, come in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_take_turns_hear_each_other_in_order() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().start_with(&bridge).await;
    let enters = async |user, speaks| {
        let mut socket = WebSocket::enters(bridge.address(), speaks, hub.token(user)).await;
        socket.joins("room:a").await;
        socket.joins("room:b").await;
        socket
    };
    let (mut alice, mut bob) = (enters("alice", Speaks::Json).await, enters("bob", Speaks::Proto).await);
    for turn in 0..50_u64 {
        let room = if turn % 3 == 0 { "room:b" } else { "room:a" };
        let text = turn.to_string();
        alice.says(room, &text).await;
        assert_eq!([alice.hears().await, bob.hears().await], [text.clone(), text.clone()]);
        bob.says(room, &text).await;
        assert_eq!([alice.hears().await, bob.hears().await], [text.clone(), text.clone()]);
    }
    let counters = hub.hub.services().metrics.counters();
    let counted = async {
        // An answer to what was said, and twice what was heard of it.
        while counters.deliveries.total() < 300 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(carillon_tests::PATIENCE, counted)
        .await
        .expect("what goes past a task is counted too");
    let past: u64 = hub.hub.services().delivery.shards().iter().map(|shard| shard.written().frames()).sum();
    assert!(past >= 50, "who only hears is not woken: {past}");
}
