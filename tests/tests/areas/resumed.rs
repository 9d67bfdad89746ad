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
const OTHER: &str = "case:open-too";
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

/// Alice comes back: she resumes these rooms, and the lobby.
async fn comes_back(hub: &TestHub, rooms: &[(&str, Option<v1::Position>)]) -> Wire {
    let at = |(room, position): &(&str, Option<v1::Position>)| v1::RoomPosition {
        room: (*room).to_owned(),
        position: *position,
        ..Default::default()
    };
    let rooms = rooms.iter().chain([&(LOBBY, None)]).map(at).collect();
    let resume = Some(v1::Resume { rooms, inbox: None });
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
    let mut alice = comes_back(&hub, &[(CASE, position)]).await;
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
async fn a_room_that_waits_is_not_joined_once_it_was_left() {
    let (office, hub) = with_an_office().await;
    office.fails.store(true, Ordering::SeqCst);
    let mut alice = comes_back(&hub, &[(CASE, None), (OTHER, None)]).await;
    resumed(&mut alice, LOBBY).await;
    asked_about(&office, CASE, 1).await;
    let leave = Command::Leave(v1::Leave { room: CASE.to_owned() });
    assert!(matches!(alice.asks(leave).await, Kind::Left(_)));
    // The other is tried so often again that the first would have been three times: their waits are alike. One question may have been
    // under way.
    office.rooms.lock().expect("nobody panics here").clear();
    asked_about(&office, OTHER, 5).await;
    assert!(times(&office, CASE) <= 1);
    office.fails.store(false, Ordering::SeqCst);
    resumed(&mut alice, OTHER).await;
    alice.joins(join(CASE)).await;
}

/// The office has been asked about a room so often.
async fn asked_about(office: &Office, room: &str, often: usize) {
    while times(office, room) < often {
        office.rings.notified().await;
    }
}

fn times(office: &Office, room: &str) -> usize {
    office.rooms.lock().expect("nobody panics here").iter().filter(|asked| *asked == room).count()
}
