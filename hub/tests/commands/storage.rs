//! What the rooms of a tenant may hold: nothing goes past it, and what was done is not refused for it.

use std::collections::BTreeMap;

use carillon_hub::administration::commands::{CreateRoom, RoomCreated};
use carillon_hub::domain::command::Stateless;
use carillon_hub::domain::content::{METADATA, Pairs};
use carillon_hub::domain::entry::{Event, EventKey, EventName, ReactionKey};
use carillon_hub::domain::error::{ErrorCode, Refusal};
use carillon_hub::domain::member::Role;
use carillon_hub::domain::names::RoomName;
use carillon_hub::store::{Idempotency, Store};
use futures::future::join_all;

use crate::harness::{Hub, Person, accepted, code, created, key_of, room, user};

/// What a message of `sized` counts as.
const MESSAGE: u64 = 1_000;

fn sized() -> String {
    "x".repeat(900)
}

fn metadata(bytes: usize) -> Pairs {
    Pairs::parse(BTreeMap::from([("k".to_owned(), "v".repeat(bytes - 1))]), METADATA).unwrap()
}

async fn held(hub: &Hub, person: &Person<'_>) -> u64 {
    hub.store.stored_bytes(&person.caller.tenant).await.unwrap()
}

/// Fills what is left but for so much.
async fn leaves(hub: &Hub, most: u64, left: u64) {
    let alice = hub.user("alice");
    let bytes = most - left - held(hub, &alice).await - 100;
    accepted(&alice.sends(&room("open:filler"), &"x".repeat(bytes as usize)).await);
    assert_eq!(held(hub, &alice).await, most - left);
}

async fn makes(
    hub: &Hub,
    name: &str,
    bytes: usize,
    key: Option<&'static str>,
) -> Result<RoomCreated, Refusal> {
    let create = CreateRoom {
        room: room(name),
        members: vec![(user("alice"), Role::Owner)],
        metadata: metadata(bytes),
        idempotency: key.map(|key| Idempotency { key: key_of(key), fingerprint: 1 }),
    };
    hub.administration.create_room(&hub.service().caller, &create).await
}

fn update(room: &RoomName, metadata: Pairs) -> Stateless {
    let room = room.clone();
    Stateless::ConversationUpdate { room, metadata, remove_keys: Vec::new(), expected_version: None }
}

fn publish(key: &str) -> Stateless {
    let (name, key) = (EventName::parse("e").unwrap(), Some(EventKey::parse(key).unwrap()));
    let event = Event { by_service: false, name, key, payload: None };
    Stateless::EventPublish { room: room("open:1"), event, exclude_self: false }
}

fn react(to: &RoomName, seq: carillon_hub::domain::position::Seq, add: bool) -> Stateless {
    Stateless::Reaction { room: to.clone(), seq, key: ReactionKey::parse("+1").unwrap(), add }
}

#[tokio::test]
async fn what_is_written_at_the_same_time_is_counted_together() {
    let most = 10 * MESSAGE;
    let hub = Hub::holding(most);
    let alice = hub.user("alice");
    let (rooms, text) = ((0..8).map(|n| room(&format!("open:{n}"))).collect::<Vec<_>>(), sized());
    let tries = join_all((0..64).map(|n| alice.sends(&rooms[n % 8], &text))).await;
    let (sent, refused): (Vec<_>, Vec<_>) = tries.iter().partition(|answer| answer.is_ok());
    assert!(refused.into_iter().all(|answer| code(answer) == ErrorCode::MessageTooLarge));
    assert!((1..=10).contains(&sent.len()), "{}", sent.len());
    assert_eq!(held(&hub, &alice).await, sent.len() as u64 * MESSAGE);
}

#[tokio::test]
async fn whatever_a_room_keeps_is_counted() {
    const MOST: u64 = 8_000;
    let hub = Hub::holding(MOST);
    let alice = hub.user("alice");
    let own = alice.converses(&["bob", "carol"]).await;
    alice.does(update(&own, metadata(1_000))).await.unwrap();
    let said = accepted(&alice.sends(&own, "words").await).0.seq;
    alice.does(react(&own, said, true)).await.unwrap();
    leaves(&hub, MOST, 99).await;
    // Each role is another, each key and each room new.
    let other = Pairs::parse(BTreeMap::from([("o".to_owned(), "v".to_owned())]), METADATA).unwrap();
    let many =
        Stateless::ConversationCreate { members: Vec::new(), metadata: metadata(1_000), direct: false };
    for refused in [
        alice.sends(&own, "words").await,
        alice.promotes(&own, "bob", Role::Reader).await,
        alice.does(update(&own, other.clone())).await,
        alice.does(publish("k")).await,
        alice.does(many).await,
        alice.creates(&["bob"], true).await,
        alice.adds(&own, "dave", Role::Reader).await,
        alice.edits(&own, said.0, None).await,
        makes(&hub, "case:1", 1_000, None).await.map(|_| unreachable!()),
    ] {
        assert_eq!(code(&refused), ErrorCode::MessageTooLarge);
    }
    // Who takes away or leaves may.
    alice.does(react(&own, said, false)).await.unwrap();
    alice.deletes(&own, said.0).await.unwrap();
    alice.removes(&own, "bob").await.unwrap();
    hub.user("carol").removes(&own, "carol").await.unwrap();
    // What is merged counts as the whole that it becomes, and a key counts too.
    let hub = Hub::holding(MOST);
    let alice = hub.user("alice");
    let own = alice.converses(&[]).await;
    alice.does(update(&own, metadata(1_000))).await.unwrap();
    leaves(&hub, MOST, 1_000).await;
    assert_eq!(code(&alice.does(update(&own, other)).await), ErrorCode::MessageTooLarge);
    leaves(&hub, MOST, 110).await;
    assert_eq!(code(&alice.does(publish(&"k".repeat(10))).await), ErrorCode::MessageTooLarge);
    alice.does(publish(&"k".repeat(9))).await.unwrap();
    assert_eq!(held(&hub, &alice).await, MOST);
}

#[tokio::test]
async fn what_was_done_is_confirmed_in_a_full_tenant() {
    const MOST: u64 = 8_000;
    let hub = Hub::holding(MOST);
    let (alice, bob) = (hub.user("alice"), hub.user("bob"));
    let own = created(&alice.keyed("made-key").creates(&["bob"], false).await).0;
    let pair = created(&alice.creates(&["bob"], true).await).0;
    let sent = accepted(&bob.keyed("sent-key").sends(&own, "words").await).0;
    let edited = accepted(&bob.keyed("edited-key").edits(&own, sent.seq.0, None).await).0;
    let role = accepted(&alice.keyed("role-key").promotes(&own, "bob", Role::Reader).await).0;
    makes(&hub, "case:1", 100, Some("case-key")).await.unwrap();
    leaves(&hub, MOST, 50).await;
    assert_eq!(accepted(&bob.keyed("sent-key").sends(&own, "words").await), (sent, true));
    assert_eq!(accepted(&bob.keyed("edited-key").edits(&own, sent.seq.0, None).await), (edited, true));
    assert_eq!(accepted(&alice.keyed("role-key").promotes(&own, "bob", Role::Reader).await), (role, true));
    assert_eq!(created(&alice.keyed("made-key").creates(&["bob"], false).await), (own.clone(), true));
    for (one, other) in [(&alice, "bob"), (&bob, "alice")] {
        assert_eq!(created(&one.creates(&[other], true).await), (pair.clone(), true));
    }
    assert!(makes(&hub, "case:1", 100, Some("case-key")).await.unwrap().duplicate);
    let refused = |made: Result<RoomCreated, Refusal>| made.unwrap_err().code;
    assert_eq!(refused(makes(&hub, "case:1", 100, None).await), ErrorCode::Conflict);
    assert_eq!(refused(makes(&hub, "case:2", 100, Some("another-key")).await), ErrorCode::MessageTooLarge);
    // What another did, or did not, is nobody's.
    assert_eq!(code(&alice.keyed("sent-key").sends(&own, "words").await), ErrorCode::MessageTooLarge);
    assert_eq!(code(&bob.keyed("sent-key").sends(&own, "other").await), ErrorCode::Conflict);
    assert_eq!(code(&hub.user("eve").keyed("sent-key").sends(&own, "words").await), ErrorCode::AccessDenied);
}
