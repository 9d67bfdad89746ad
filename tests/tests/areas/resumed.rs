//! Rooms that are resumed and cannot be joined at the moment: they are tried again, and the session and its other rooms go on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{self, JoinReason};
use carillon_tests::wire::{greeting, join, say};
use carillon_tests::{TestHub, Wire, hub};

use crate::authorizer::{Office, asking, opens};

const CASE: &str = "case:open";
const LOBBY: &str = "room:lobby";

/// An office that is asked again soon, however often it fails, and a hub that asks it.
async fn with_an_office() -> (Arc<Office>, TestHub) {
    let (office, address) = opens().await;
    let asks_again = |config: &mut _| {
        asking(config, address);
        config.authorizer.breaker_failures = 1_000;
        config.authorizer.breaker_open = Duration::from_millis(50);
    };
    (office, hub().with(asks_again).start().await)
}

/// Alice comes back: she resumes the lobby, and the case from a position.
async fn comes_back(hub: &TestHub, case: Option<v1::Position>) -> Wire {
    let at =
        |room: &str, position| v1::RoomPosition { room: room.to_owned(), position, ..Default::default() };
    let resume = Some(v1::Resume { rooms: vec![at(CASE, case), at(LOBBY, None)], inbox: None });
    Wire::enters_with(hub, v1::Hello { token: hub.token("alice"), resume, ..greeting() }).await
}

async fn resumed(wire: &mut Wire, room: &str) -> v1::Joined {
    let is_it = |joined: &v1::Joined| joined.room == room && joined.reason() == JoinReason::Resumed;
    wire.until(|kind| match kind {
        Kind::Joined(joined) if is_it(joined) => Some(joined.clone()),
        Kind::Disconnected(ended) => panic!("the session ended: {ended:?}"),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn a_room_that_cannot_be_joined_now_is_later_and_holds_up_no_other() {
    let (office, hub) = with_an_office().await;
    let (mut alice, mut carol) = (Wire::enters(&hub, "alice").await, Wire::enters(&hub, "carol").await);
    let position = alice.joins(join(CASE)).await.position;
    drop(alice);
    assert!(matches!(carol.asks(say(CASE, "while she is away")).await, Kind::MessageSent(_)));
    office.fails.store(true, Ordering::SeqCst);
    let mut alice = comes_back(&hub, position).await;
    resumed(&mut alice, LOBBY).await;
    assert!(matches!(carol.asks(say(LOBBY, "in the lobby")).await, Kind::MessageSent(_)));
    alice.until(|kind| matches!(kind, Kind::Message(_)).then_some(())).await;
    // So often in vain, and the session is there.
    for _ in 0..2 {
        office.rings.notified().await;
    }
    assert!(matches!(alice.asks(Command::Ping(v1::Ping {})).await, Kind::Pong(_)));
    office.fails.store(false, Ordering::SeqCst);
    let joined = resumed(&mut alice, CASE).await;
    assert!(joined.recovered && !joined.truncated);
    let missed = alice.until(|kind| match kind {
        Kind::Message(message) => Some(message.room.clone()),
        _ => None,
    });
    assert_eq!(missed.await, CASE);
}

#[tokio::test]
async fn a_room_that_waits_may_be_left_and_joined() {
    let (office, hub) = with_an_office().await;
    office.fails.store(true, Ordering::SeqCst);
    let mut alice = comes_back(&hub, None).await;
    resumed(&mut alice, LOBBY).await;
    office.rings.notified().await;
    let leave = Command::Leave(v1::Leave { room: CASE.to_owned() });
    assert!(matches!(alice.asks(leave).await, Kind::Left(_)));
    office.fails.store(false, Ordering::SeqCst);
    alice.joins(join(CASE)).await;
}
