//! Joining a room that is followed already: where the new join fails, what was followed goes on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use carillon_client::v1;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_hub::domain::namespace::Who;
use carillon_tests::wire::{code, join, say};
use carillon_tests::{TestHub, Wire, hub};
use tokio::time::timeout;

use crate::authorizer::{Office, asking, heard, opens};

const ROOM: &str = "case:open";

/// A hub where the office says who follows, and is asked when somebody joins alone; alice and bob follow.
async fn followed() -> (TestHub, Arc<Office>, Wire, Wire) {
    let (office, address) = opens().await;
    let hub = hub().with(|config| {
        asking(config, address);
        config.authorizer.cache = Duration::from_hours(1);
        for namespace in config.namespaces.iter_mut().filter(|namespace| namespace.name == "case") {
            namespace.send = Who::Tenant;
        }
    });
    let hub = hub.start().await;
    let (mut alice, mut bob) = (Wire::enters(&hub, "alice").await, Wire::enters(&hub, "bob").await);
    alice.joins(join(ROOM)).await;
    bob.joins(join(ROOM)).await;
    (hub, office, alice, bob)
}

/// Joins again until that is refused: what the office said last counts for a moment. Gives the code, and why the room was
/// left before, if it was.
async fn is_refused(wire: &mut Wire) -> (String, Option<v1::LeaveReason>) {
    loop {
        let id = wire.ask(Command::Join(join(ROOM)));
        let mut left = None;
        loop {
            let frame = wire.next().await.unwrap();
            match frame.kind.unwrap() {
                Kind::Left(out) if out.room == ROOM => left = Some(out.reason()),
                Kind::Error(error) if frame.command_id == id => return (error.code, left),
                Kind::Joined(_) if frame.command_id == id => break,
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn a_join_that_fails_leaves_the_room_followed() {
    let (_hub, office, mut alice, mut bob) = followed().await;
    office.fails.store(true, Ordering::SeqCst);
    assert_eq!(is_refused(&mut bob).await, ("UNAVAILABLE".to_owned(), None));
    alice.ask(say(ROOM, "words"));
    assert_eq!(bob.until(heard).await, Ok(ROOM.to_owned()));
    // A join that is not refused begins anew, and no more than once.
    office.fails.store(false, Ordering::SeqCst);
    let joined = bob.joins(join(ROOM)).await;
    assert_eq!((joined.occupancy, joined.recovered), (2, false));
    let said = joined.position.unwrap().seq + 1;
    for n in 0..2 {
        alice.ask(say(ROOM, "more words"));
        assert_eq!(bob.until(seq).await, said + n);
    }
}

#[tokio::test]
async fn a_join_that_is_denied_ends_what_was_followed_with_a_word() {
    let (_hub, office, mut alice, mut bob) = followed().await;
    office.shuts_out.store(true, Ordering::SeqCst);
    let denied = Some(v1::LeaveReason::Denied);
    assert_eq!(is_refused(&mut bob).await, ("ACCESS_DENIED".to_owned(), denied));
    bob.joins(join("room:lobby")).await;
    alice.asks(say(ROOM, "words")).await;
    alice.asks(say("room:lobby", "words")).await;
    assert_eq!(bob.until(heard).await, Ok("room:lobby".to_owned()));
}

/// Joins again until the office is asked, which does not answer: what it said last counts for a moment.
async fn waits(wire: &mut Wire, office: &Office) -> u32 {
    office.hangs.store(true, Ordering::SeqCst);
    // Earlier questions rang too.
    while timeout(Duration::ZERO, office.rings.notified()).await.is_ok() {}
    loop {
        let id = wire.ask(Command::Join(join(ROOM)));
        tokio::select! {
            () = office.rings.notified() => return id,
            answer = wire.answer(id) => assert!(matches!(answer, Kind::Joined(_)), "{answer:?}"),
        }
    }
}

/// The seq of a message.
fn seq(kind: &Kind) -> Option<u64> {
    match kind {
        Kind::Message(message) => message.header.as_ref().map(|header| header.seq),
        _ => None,
    }
}

#[tokio::test]
async fn what_comes_while_a_join_waits_follows_once_it_has_failed() {
    let (_hub, office, mut alice, mut bob) = followed().await;
    let anew = waits(&mut bob, &office).await;
    assert_eq!(code(&bob.asks(Command::Join(join(ROOM))).await), "CONFLICT");
    for _ in 0..3 {
        assert!(matches!(alice.asks(say(ROOM, "words")).await, Kind::MessageSent(_)));
    }
    assert_eq!(code(&bob.answer(anew).await), "UNAVAILABLE");
    for said in 1..=3 {
        assert_eq!(bob.until(seq).await, said);
    }
}

#[tokio::test]
async fn what_is_left_while_it_is_joined_again_is_left() {
    let (_hub, office, mut alice, mut bob) = followed().await;
    let anew = waits(&mut bob, &office).await;
    let leave = bob.ask(Command::Leave(v1::Leave { room: ROOM.to_owned() }));
    assert_eq!(code(&bob.answer(anew).await), "UNAVAILABLE");
    assert!(matches!(bob.answer(leave).await, Kind::Left(_)));
    bob.joins(join("room:lobby")).await;
    alice.asks(say(ROOM, "words")).await;
    alice.asks(say("room:lobby", "words")).await;
    assert_eq!(bob.until(heard).await, Ok("room:lobby".to_owned()));
}
