//! Notifications to a room's members and to everybody.

use carillon_client::v1;
use carillon_tests::story::{verdict, wrong_field};
use carillon_tests::{Person, hub};
use v1::Role;
use v1::send_notification_request::Audience;

fn notice(audience: Audience, title: &str) -> v1::SendNotificationRequest {
    let audience = Some(audience);
    v1::SendNotificationRequest { audience, kind: "news".into(), title: title.into(), ..Default::default() }
}

async fn titles(person: &Person) -> Vec<String> {
    let page = person.client.notifications(v1::NotificationsGet::default()).await.unwrap();
    page.notifications.into_iter().map(|notification| notification.title).collect()
}

#[tokio::test]
async fn a_rooms_members_are_notified_as_they_are_now() {
    let hub = hub().start().await;
    let (mut alice, mut bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let room = alice.creates(&[("bob", Role::Reader), ("carol", Role::Member)]).await;
    alice.client.member_remove(&room, "carol").await.unwrap();
    let sent =
        hub.admin().send_notification(notice(Audience::RoomMembers(room.clone()), "now")).await.unwrap();
    assert_eq!(sent.recipients, 2);
    for person in [&mut alice, &mut bob] {
        let heard = person.is_notified().await;
        assert_eq!((heard.id.as_str(), heard.priority()), (&*sent.id, v1::NotificationPriority::Normal));
    }
    assert!(titles(&hub.enters("carol").await).await.is_empty());
    let nowhere = Audience::RoomMembers("conversation:none".into());
    assert_eq!(verdict(hub.admin().send_notification(notice(nowhere, "x")).await), "NOT_FOUND");
    let wrong = Audience::RoomMembers("nonsense".into());
    assert_eq!(wrong_field(hub.admin().send_notification(notice(wrong, "x")).await), "room_members");
}

#[tokio::test]
async fn all_users_are_those_who_were_known_then() {
    let hub = hub().start().await;
    let mut alice = hub.enters("alice").await;
    let bob = hub.enters("bob").await;
    bob.client.close().await;
    let key = bytes(b"to-everybody");
    let everybody =
        v1::SendNotificationRequest { idempotency_key: key, ..notice(Audience::AllUsers(true), "all") };
    let sent = hub.admin().send_notification(everybody.clone()).await.unwrap();
    assert_eq!((sent.recipients, sent.duplicate), (2, false));
    let heard = alice.is_notified().await;
    assert_eq!((heard.id.as_str(), heard.title.as_str()), (&*sent.id, "all"));
    assert_eq!(heard.position.unwrap().broadcast, 1);
    let again = hub.admin().send_notification(everybody).await.unwrap();
    assert!(again.duplicate && again.id == sent.id);
    // Offline then: it waits. Not known then: it was never theirs.
    let mut bob = hub.enters("bob").await;
    assert_eq!(bob.client.connected().inbox_unread, 1);
    assert_eq!(bob.is_notified().await.id, sent.id);
    let mut carol = hub.enters("carol").await;
    assert_eq!(carol.client.connected().inbox_unread, 0);
    assert!(titles(&carol).await.is_empty());
    carol.client.notification_read(vec![sent.id.clone()]).await.unwrap();
    let second = hub.admin().send_notification(notice(Audience::AllUsers(true), "more")).await.unwrap();
    assert_eq!(second.recipients, 3);
    assert_eq!(carol.is_notified().await.title, "more");
    assert_eq!(titles(&carol).await, ["more"]);
    // Each reads and deletes for themselves.
    alice.client.notification_delete(vec![sent.id.clone()]).await.unwrap();
    assert_eq!(titles(&alice).await, ["more"]);
    assert_eq!(titles(&bob).await, ["more", "all"]);
    assert_eq!(bob.is_notified().await.id, second.id);
    let up_to = v1::InboxPosition { own: 0, broadcast: 1, ..bob.client.connected().inbox.unwrap() };
    bob.client.notifications_read_up_to(up_to).await.unwrap();
    let page = bob.client.notifications(v1::NotificationsGet::default()).await.unwrap();
    let read: Vec<_> = page.notifications.iter().map(|n| (n.title.as_str(), n.read)).collect();
    assert_eq!((read, page.inbox_unread), (vec![("more", false), ("all", true)], 1));
}

/// What waits is handed over however much that was read lies between.
#[tokio::test]
async fn what_is_unread_beneath_much_that_was_read_is_handed_over() {
    const UNREAD: usize = 50;
    // As many as are read between two that are not.
    const BETWEEN: usize = 30;
    let hub = hub().start().await;
    hub.enters("bob").await.client.close().await;
    let users = v1::UserList { users: vec!["bob".to_owned()] };
    hub.admin().send_notification(notice(Audience::Users(users), "own")).await.unwrap();
    let (mut unread, mut read) = (vec!["own".to_owned()], Vec::new());
    for n in 0..(UNREAD - 1) * (BETWEEN + 1) {
        let title = n.to_string();
        let sent = hub.admin().send_notification(notice(Audience::AllUsers(true), &title)).await.unwrap();
        if n % (BETWEEN + 1) == 0 { unread.push(title) } else { read.push(sent.id) }
    }
    let bob = hub.enters("bob").await;
    for ids in read.chunks(200) {
        bob.client.notification_read(ids.to_vec()).await.unwrap();
    }
    bob.client.close().await;
    let mut bob = hub.enters("bob").await;
    assert_eq!(bob.client.connected().inbox_unread as usize, UNREAD);
    for title in unread {
        assert_eq!(bob.is_notified().await.title, title);
    }
}

fn bytes(key: &'static [u8]) -> bytes::Bytes {
    bytes::Bytes::from_static(key)
}

#[tokio::test]
async fn both_logs_are_one_inbox() {
    let hub = hub().start().await;
    let mut alice = hub.enters("alice").await;
    let own = || Audience::Users(v1::UserList { users: vec!["alice".into()] });
    let mut expected = Vec::new();
    for n in 0..12 {
        let audience = if n % 3 == 0 { Audience::AllUsers(true) } else { own() };
        hub.admin().send_notification(notice(audience, &format!("n{n}"))).await.unwrap();
        expected.push(format!("n{n}"));
    }
    for title in &expected {
        assert_eq!(alice.is_notified().await.title, *title);
    }
    expected.reverse();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = v1::NotificationsGet { cursor, limit: 5, ..Default::default() };
        let page = alice.client.notifications(page).await.unwrap();
        seen.extend(page.notifications.into_iter().map(|notification| notification.title));
        cursor = page.next_cursor;
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(seen, expected);
    // Who resumes gets what came after, of both, once.
    let positions = alice.client.positions();
    assert_eq!(positions.inbox.map(|p| (p.own, p.broadcast)), Some((8, 4)));
    alice.client.close().await;
    hub.admin().send_notification(notice(Audience::AllUsers(true), "for all")).await.unwrap();
    hub.admin().send_notification(notice(own(), "for her")).await.unwrap();
    let mut alice = Person::connect("alice", hub.options("alice").resume(positions)).await;
    assert_eq!(alice.is_notified().await.title, "for all");
    assert_eq!(alice.is_notified().await.title, "for her");
}

#[tokio::test]
async fn a_wrong_notification_is_refused() {
    let hub = hub().start().await;
    let admin = hub.admin();
    let users = |users: &[&str]| {
        Audience::Users(v1::UserList { users: users.iter().map(|user| (*user).to_owned()).collect() })
    };
    let good = || notice(users(&["alice"]), "hello");
    let long =
        v1::Content { body: Some(v1::content::Body::Text("x".repeat(10_001))), media_type: String::new() };
    for (request, field) in [
        (v1::SendNotificationRequest { audience: None, ..good() }, "audience"),
        (notice(users(&[]), "x"), "users.users"),
        (notice(users(&["bob", "bob"]), "x"), "users.users"),
        (notice(users(&["a b"]), "x"), "users.users[]"),
        (notice(Audience::AllUsers(false), "x"), "all_users"),
        (v1::SendNotificationRequest { kind: String::new(), ..good() }, "kind"),
        (v1::SendNotificationRequest { title: "x".repeat(257), ..good() }, "title"),
        (v1::SendNotificationRequest { title: "a\nb".into(), ..good() }, "title"),
        (v1::SendNotificationRequest { priority: 9, ..good() }, "priority"),
        (v1::SendNotificationRequest { data: [(String::new(), String::new())].into(), ..good() }, "data"),
        (v1::SendNotificationRequest { expires_ms: 1, ..good() }, "expires_ms"),
        (v1::SendNotificationRequest { idempotency_key: bytes(b"short"), ..good() }, "idempotency_key"),
        (v1::SendNotificationRequest { tenant: "a b".into(), ..good() }, "tenant"),
    ] {
        assert_eq!(wrong_field(admin.send_notification(request).await), field);
    }
    let large = v1::SendNotificationRequest { body: Some(long), ..good() };
    assert_eq!(verdict(admin.send_notification(large).await), "MESSAGE_TOO_LARGE");
    let key = bytes(b"the-same-key");
    let keyed = v1::SendNotificationRequest { idempotency_key: key, ..good() };
    let first = admin.send_notification(keyed.clone()).await.unwrap();
    assert_eq!(admin.send_notification(keyed.clone()).await.unwrap().id, first.id);
    let other = v1::SendNotificationRequest { title: "other".into(), ..keyed };
    assert_eq!(verdict(admin.send_notification(other).await), "CONFLICT");
    assert_eq!(titles(&hub.enters("alice").await).await, ["hello"]);
}
