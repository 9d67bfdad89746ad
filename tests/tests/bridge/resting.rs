//! What is written past the task of a socket that rests comes like everything else.

use carillon_client::v1::Hello;
use carillon_tests::browser::{Beside, Speaks, WebSocket, narrow, reads_late_and_hears_all};
use carillon_tests::hub;

/// Each message is alone when it comes, until the connection is full in the middle of one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_late_and_pings_meanwhile_hears_all_of_it_once_and_in_order() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().start_with(&bridge).await;
    let sender = hub.enters("alice").await;
    for (room, speaks) in [("room:proto", Speaks::Proto), ("room:json", Speaks::Json)] {
        let mut late = WebSocket::try_over(narrow(bridge.address()).await, speaks, &[]).await.unwrap();
        late.greets(Hello { token: hub.token("bob"), protocol: 1, ..Hello::default() }).await;
        late.joins(room).await;
        reads_late_and_hears_all(&sender, &mut late, room).await;
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
    let past = hub.written_past();
    assert!(past >= 50, "who only hears is not woken: {past}");
}
