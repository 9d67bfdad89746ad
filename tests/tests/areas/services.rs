//! A service and a user of the same name: what one has done is not the other's, and whoever hears it is told which it was.

use bytes::Bytes;
use carillon_client::v1::send_notification_request::Audience;
use carillon_client::{Event, text, v1};
use carillon_tests::story::{member, seq_of, verdict};
use carillon_tests::{Person, TestHub, hub};

/// The name of both.
const NAME: &str = "billing";
const ROOM: &str = "room:lobby";
const LIVE: &str = "live:1";

fn key() -> Bytes {
    Bytes::from_static(b"the-same-key")
}

fn of_service(room: &str, payload: &str) -> v1::PublishEventRequest {
    let (room, name, payload) = (room.to_owned(), "moved".to_owned(), Some(text(payload)));
    v1::PublishEventRequest { room, name, payload, idempotency_key: key(), ..Default::default() }
}

fn of_user(room: &str, payload: &str) -> v1::EventPublish {
    let (room, name, payload) = (room.to_owned(), "moved".to_owned(), Some(text(payload)));
    v1::EventPublish { room, name, payload, ..Default::default() }
}

fn told(content: &str) -> v1::SendMessageRequest {
    let (room, content) = (ROOM.to_owned(), Some(text(content)));
    v1::SendMessageRequest { room, content, idempotency_key: key(), ..Default::default() }
}

/// The next event that somebody hears: whether a service published it.
async fn hears_event(person: &mut Person) -> bool {
    let event = person.waits_for(|event| match event {
        Event::Event(event) => Some(*event),
        _ => None,
    });
    let event = event.await;
    assert_eq!(event.header.as_ref().map(|header| header.sender.as_str()), Some(NAME));
    event.by_service
}

async fn with_both() -> (TestHub, Person, Person) {
    let hub = hub().start().await;
    let alice = hub.enters("alice").await;
    for room in [ROOM, LIVE] {
        alice.joins(room).await;
    }
    let user = hub.enters(NAME).await;
    (hub, alice, user)
}

#[tokio::test]
async fn events_say_whose_they_are_live_and_replayed() {
    let (hub, mut alice, user) = with_both().await;
    for room in [ROOM, LIVE, "state:board"] {
        hub.admin().publish_event(of_service(room, "a service's")).await.unwrap();
        user.client.publish(v1::EventPublish { key: "k".into(), ..of_user(room, "a user's") }).await.unwrap();
        let keyed = v1::PublishEventRequest {
            key: "s".into(),
            idempotency_key: Bytes::new(),
            ..of_service(room, "kept")
        };
        hub.admin().publish_event(keyed).await.unwrap();
        if room == "state:board" {
            // Handed over to who joins: the last event of each key.
            let mut bob = hub.enters("bob").await;
            bob.joins(room).await;
            assert!(!hears_event(&mut bob).await && hears_event(&mut bob).await);
        } else {
            assert!(
                hears_event(&mut alice).await
                    && !hears_event(&mut alice).await
                    && hears_event(&mut alice).await
            );
        }
    }
    let replayed = alice.reads(ROOM).await.into_iter().map(|entry| match entry {
        Event::Event(event) => event.by_service,
        other => panic!("{other:?}"),
    });
    assert_eq!(replayed.collect::<Vec<_>>(), [true, false, true]);
    // What a user wrote goes with them, and what a service of their name wrote stays.
    let erase = v1::EraseUserRequest { user: NAME.into(), ..Default::default() };
    assert_eq!(hub.admin().erase_user(erase).await.unwrap().messages_blanked, 2);
    let left = alice.reads(ROOM).await.into_iter().map(|entry| match entry {
        Event::Event(event) => (event.by_service, event.payload.is_some()),
        other => panic!("{other:?}"),
    });
    assert_eq!(left.collect::<Vec<_>>(), [(true, true), (false, false), (true, true)]);
}

#[tokio::test]
async fn a_key_is_of_who_used_it() {
    let (hub, mut alice, user) = with_both().await;
    let (admin, keyed) = (hub.admin(), user.client.with_key(key()));
    // Messages: of both, each is its first attempt, and a retry finds its own.
    let of_service = admin.send_message(told("a service's")).await.unwrap();
    let of_user = keyed.send(ROOM, "a user's").await.unwrap();
    assert!(!of_service.duplicate && !of_user.duplicate && of_service.position != of_user.position);
    let again =
        (admin.send_message(told("a service's")).await.unwrap(), keyed.send(ROOM, "a user's").await.unwrap());
    assert!(again.0.duplicate && again.1.duplicate);
    assert_eq!((again.0.position, again.1.position), (of_service.position, of_user.position));
    // What the other said under the key is other content.
    assert_eq!(verdict(admin.send_message(told("a user's")).await), "CONFLICT");
    assert_eq!(verdict(keyed.send(ROOM, "a service's").await), "CONFLICT");
    for (content, by_service) in [("a service's", true), ("a user's", false)] {
        let heard = alice.hears(ROOM).await;
        assert_eq!((heard.content, heard.by_service), (Some(text(content)), by_service));
    }
}

#[tokio::test]
async fn a_key_of_events_is_of_who_used_it() {
    let (hub, mut alice, user) = with_both().await;
    let keyed = user.client.with_key(key());
    let durable = hub.admin().publish_event(of_service(ROOM, "moved")).await.unwrap().entry.unwrap();
    let own = keyed.publish(of_user(ROOM, "moved")).await.unwrap().unwrap();
    assert!(!durable.duplicate && !own.duplicate && seq_of(&own) > seq_of(&durable));
    let again = keyed.publish(of_user(ROOM, "moved")).await.unwrap().unwrap();
    assert!(again.duplicate && seq_of(&again) == seq_of(&own));
    let again = hub.admin().publish_event(of_service(ROOM, "moved")).await.unwrap().entry.unwrap();
    assert!(again.duplicate && seq_of(&again) == seq_of(&durable));
    assert!(hears_event(&mut alice).await && !hears_event(&mut alice).await);
    // Ephemeral ones of a user are once; a service's have no keys.
    for _ in 0..2 {
        keyed.publish(of_user(LIVE, "moved")).await.unwrap();
    }
    hub.admin().publish_event(of_service(LIVE, "moved")).await.unwrap();
    assert!(!hears_event(&mut alice).await && hears_event(&mut alice).await);
}

#[tokio::test]
async fn a_key_of_notifications_rooms_and_conversations_is_of_who_used_it() {
    let (hub, mut alice, user) = with_both().await;
    let keyed = user.client.with_key(key());
    let notify = || v1::SendNotificationRequest {
        audience: Some(Audience::Users(v1::UserList { users: vec!["alice".into()] })),
        kind: "news".into(),
        title: "hello".into(),
        idempotency_key: key(),
        ..Default::default()
    };
    let create =
        || v1::ConversationCreate { members: vec![member("alice", v1::Role::Member)], ..Default::default() };
    let conversation = keyed.conversation_create(create()).await.unwrap();
    let sent = hub.admin().send_notification(notify()).await.unwrap();
    assert!(!conversation.duplicate && !sent.duplicate);
    assert_eq!(alice.is_notified().await.id, sent.id);
    // In the conversation that a user has made under the key a service may use it too.
    let into = |content| v1::SendMessageRequest { room: conversation.room.clone(), ..told(content) };
    assert!(!hub.admin().send_message(into("told")).await.unwrap().duplicate);
    assert!(hub.admin().send_message(into("told")).await.unwrap().duplicate);
    let room = v1::CreateRoomRequest {
        room: "conversation:of-a-service".into(),
        idempotency_key: key(),
        ..Default::default()
    };
    assert!(!hub.admin().create_room(room.clone()).await.unwrap().duplicate);
    assert!(hub.admin().create_room(room).await.unwrap().duplicate);
    let (again, resent) = (
        keyed.conversation_create(create()).await.unwrap(),
        hub.admin().send_notification(notify()).await.unwrap(),
    );
    assert!(again.duplicate && resent.duplicate);
    assert_eq!((again.room, resent.id), (conversation.room, sent.id));
}
