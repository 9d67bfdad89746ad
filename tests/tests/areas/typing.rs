//! Typing: passed on to others, over by itself, stored nowhere.

use std::time::Duration;

use carillon_client::{Event, v1};
use carillon_tests::{Person, hub};
use v1::Role;

fn brief(config: &mut carillon_hub::config::Config) {
    config.presence.typing_expiry = Duration::from_secs(1);
}

async fn sees_typing(person: &mut Person, room: &str) -> (String, bool) {
    person
        .waits_for(|event| match event {
            Event::Typing(typing) if typing.room == room => Some((typing.user, typing.active)),
            _ => None,
        })
        .await
}

#[tokio::test]
async fn typing_is_seen_by_others_and_ends_by_itself() {
    let hub = hub().with(brief).start().await;
    let (mut alice, mut bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let mut phone = hub.enters("alice").await;
    let room = alice.creates(&[("bob", Role::Member)]).await;
    for person in [&alice, &bob, &phone] {
        person.joins(&room).await;
    }
    alice.client.typing(&room, true).await.unwrap();
    assert_eq!(sees_typing(&mut bob, &room).await, ("alice".into(), true));
    alice.client.typing(&room, false).await.unwrap();
    assert_eq!(sees_typing(&mut bob, &room).await, ("alice".into(), false));
    phone.client.typing(&room, true).await.unwrap();
    assert_eq!(sees_typing(&mut bob, &room).await, ("alice".into(), true));
    assert_eq!(sees_typing(&mut bob, &room).await, ("alice".into(), false), "over by itself");
    // Neither of alice's own devices was told.
    bob.client.typing(&room, true).await.unwrap();
    for device in [&mut alice, &mut phone] {
        assert_eq!(sees_typing(device, &room).await, ("bob".into(), true));
    }
    assert_eq!(bob.reads(&room).await.iter().filter(|e| matches!(e, Event::Typing(_))).count(), 0);
    assert_eq!(bob.joins(&room).await.position.unwrap().seq, 3, "only the creation is in the log");
}

#[tokio::test]
async fn typing_that_may_not_be_is_dropped_and_answered() {
    let quiet = |config: &mut carillon_hub::config::Config| {
        for namespace in config.namespaces.iter_mut().filter(|n| n.name == "org") {
            namespace.typing = false;
        }
    };
    let hub = hub().with(quiet).start().await;
    let (alice, bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let mut carol = hub.enters("carol").await;
    let room = alice.creates(&[("bob", Role::Reader), ("carol", Role::Member)]).await;
    for person in [&alice, &bob, &carol] {
        person.joins(&room).await;
        person.joins("org:acme").await;
    }
    bob.client.typing(&room, true).await.unwrap();
    alice.client.typing("org:acme", true).await.unwrap();
    alice.client.typing("room:not-joined", true).await.unwrap();
    alice.client.typing("conversation:none", true).await.unwrap();
    let wrong = alice.client.typing("nonsense", true).await;
    assert_eq!(carillon_tests::story::wrong_field(wrong), "room");
    alice.client.typing(&room, true).await.unwrap();
    let first = carol.waits_for(|event| match event {
        Event::Typing(typing) => Some((typing.room, typing.user)),
        _ => None,
    });
    assert_eq!(first.await, (room, "alice".into()));
}

#[tokio::test]
async fn a_message_ends_its_writers_typing() {
    let hub = hub().start().await;
    let (alice, mut bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let room = alice.creates(&[("bob", Role::Member)]).await;
    for person in [&alice, &bob] {
        person.joins(&room).await;
    }
    // Both bursts are seen, though the second begins before the first would have ended by itself.
    for _ in 0..2 {
        alice.client.typing(&room, true).await.unwrap();
        assert_eq!(sees_typing(&mut bob, &room).await, ("alice".into(), true));
        alice.says(&room, "said").await;
        assert_eq!(sees_typing(&mut bob, &room).await, ("alice".into(), false));
    }
}

#[tokio::test]
async fn who_may_type_follows_the_role() {
    let hub = hub().start().await;
    let (alice, bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let mut carol = hub.enters("carol").await;
    let room = alice.creates(&[("bob", Role::Reader), ("carol", Role::Member)]).await;
    for person in [&alice, &bob, &carol] {
        person.joins(&room).await;
    }
    alice.client.member_role(&room, "bob", Role::Member).await.unwrap();
    bob.client.typing(&room, true).await.unwrap();
    assert_eq!(sees_typing(&mut carol, &room).await, ("bob".into(), true), "nobody joined again");
    alice.client.member_role(&room, "bob", Role::Reader).await.unwrap();
    bob.client.typing(&room, false).await.unwrap();
    assert_eq!(sees_typing(&mut carol, &room).await, ("bob".into(), false), "what began may end");
    bob.client.typing(&room, true).await.unwrap();
    alice.client.typing(&room, true).await.unwrap();
    assert_eq!(sees_typing(&mut carol, &room).await, ("alice".into(), true), "a reader does not type");
}
