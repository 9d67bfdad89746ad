//! Erasing a user: their content is gone everywhere, tombstones remain.

use carillon_client::{Event, text, v1};
use carillon_tests::hub;
use v1::Role;

#[tokio::test]
async fn what_a_user_wrote_is_gone_and_its_place_remains() {
    let hub = hub().start().await;
    let (alice, bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let room = alice.creates(&[("bob", Role::Member), ("carol", Role::Member)]).await;
    bob.joins(&room).await;
    let mut secret = carillon_tests::story::message(&room, "a secret");
    secret.attributes = [("where".to_owned(), "secret place".to_owned())].into();
    let seq = alice.client.send_message(secret).await.unwrap().position.unwrap().seq;
    alice.client.edit(&room, seq, "a better secret").await.unwrap();
    let bobs = bob.says(&room, "an answer").await;
    alice.client.react(&room, bobs, "secret-key", true).await.unwrap();
    let event = v1::EventPublish {
        room: "state:board".into(),
        name: "note".into(),
        key: "k".into(),
        payload: Some(text("a secret note")),
        ..Default::default()
    };
    alice.client.publish(event).await.unwrap();
    let users = v1::UserList { users: vec!["alice".into()] };
    let notify = v1::SendNotificationRequest {
        audience: Some(v1::send_notification_request::Audience::Users(users)),
        kind: "news".into(),
        title: "for alice".into(),
        ..Default::default()
    };
    hub.admin().send_notification(notify).await.unwrap();
    let before = bob.reads(&room).await.len();
    let erase = v1::EraseUserRequest { user: "alice".into(), ..Default::default() };
    let erased = hub.admin().erase_user(erase.clone()).await.unwrap();
    assert_eq!((erased.messages_blanked, erased.notifications_removed), (2, 1));
    let again = hub.admin().erase_user(erase).await.unwrap();
    assert_eq!((again.messages_blanked, again.notifications_removed), (0, 0), "it is harmless to repeat");

    let history = bob.reads(&room).await;
    assert_eq!(history.len(), before);
    // Whoever joins the live room gets nothing from its tail either.
    let mut carol = hub.enters("carol").await;
    carol.joins_from_the_start(&room).await;
    let replay = carol.hears_through(&room, before as u64).await;
    let replay: Vec<_> = replay.into_iter().filter(|event| event.entry().is_some()).collect();
    assert_eq!(replay, history);
    assert!(!format!("{history:?}").contains("secret"), "{history:?}");
    let tombstone = history.iter().find_map(|event| match event {
        Event::Message(message) if carillon_tests::seq(message) == seq => Some(message),
        _ => None,
    });
    assert!(tombstone.unwrap().deleted);
    let answer = history.iter().find_map(|event| match event {
        Event::Message(message) if carillon_tests::seq(message) == bobs => Some(message),
        _ => None,
    });
    let answer = answer.unwrap();
    assert!(!answer.deleted && answer.reactions.is_empty());
    let state = carol.reads("state:board").await;
    assert!(matches!(&state[..], [Event::Event(event)] if event.payload.is_none()), "{state:?}");
    let inbox = alice.client.notifications(v1::NotificationsGet::default()).await.unwrap();
    assert!(inbox.notifications.is_empty() && inbox.inbox_unread == 0);
    assert_eq!(bob.says(&room, "who was that?").await, before as u64 + 1);
}

#[tokio::test]
async fn an_erased_user_who_comes_back_is_known_again() {
    let hub = hub().start().await;
    let alice = hub.enters("alice").await;
    alice.client.close().await;
    let everybody = |title: &str| v1::SendNotificationRequest {
        audience: Some(v1::send_notification_request::Audience::AllUsers(true)),
        kind: "news".into(),
        title: title.into(),
        ..Default::default()
    };
    let erase = v1::EraseUserRequest { user: "alice".into(), ..Default::default() };
    hub.admin().erase_user(erase).await.unwrap();
    assert_eq!(hub.admin().send_notification(everybody("away")).await.unwrap().recipients, 0);
    let mut alice = hub.enters("alice").await;
    assert_eq!(alice.client.connected().inbox_unread, 0);
    assert_eq!(hub.admin().send_notification(everybody("back")).await.unwrap().recipients, 1);
    assert_eq!(alice.is_notified().await.title, "back");
    let page = alice.client.notifications(v1::NotificationsGet::default()).await.unwrap();
    assert_eq!(page.notifications.len(), 1);
}
