//! A user's inbox: listed, read and deleted, in step on all devices, and nothing missed.

use carillon_client::{ClientOptions, Event, v1};
use carillon_tests::story::{verdict, wrong_field};
use carillon_tests::{Person, TestHub, hub};
use v1::send_notification_request::Audience;
use v1::{NotificationPriority as Priority, UserList};

#[expect(clippy::unnecessary_wraps, reason = "as the protocol has it")]
fn to(users: &[&str]) -> Option<Audience> {
    Some(Audience::Users(UserList { users: users.iter().map(|user| (*user).to_owned()).collect() }))
}

fn notice(
    audience: Option<Audience>,
    kind: &str,
    title: &str,
    priority: Priority,
) -> v1::SendNotificationRequest {
    v1::SendNotificationRequest {
        audience,
        kind: kind.into(),
        title: title.into(),
        priority: priority.into(),
        ..Default::default()
    }
}

async fn notify(hub: &TestHub, users: &[&str], kind: &str, title: &str, priority: Priority) -> String {
    let sent = hub.admin().send_notification(notice(to(users), kind, title, priority)).await.unwrap();
    assert_eq!(sent.recipients, users.len() as u64);
    sent.id
}

fn titles(page: &v1::NotificationsPage) -> Vec<&str> {
    page.notifications.iter().map(|notification| notification.title.as_str()).collect()
}

async fn list(person: &Person, filter: v1::NotificationFilter, cursor: &str) -> v1::NotificationsPage {
    let page = v1::NotificationsGet { cursor: cursor.into(), filter: Some(filter), limit: 2 };
    person.client.notifications(page).await.unwrap()
}

async fn next_state(person: &mut Person) -> v1::NotificationState {
    person
        .waits_for(|event| match event {
            Event::NotificationState(state) => Some(state),
            _ => None,
        })
        .await
}

/// Waits until the pushed counts say so.
async fn counts(person: &mut Person, unread: u64, critical: u64) {
    let told = person.waits_for(|event| match event {
        Event::InboxUnread(told) if (told.count, told.critical) == (unread, critical) => Some(()),
        _ => None,
    });
    told.await;
}

#[tokio::test]
async fn a_notification_reaches_all_devices_and_is_kept_in_step() {
    let hub = hub().start().await;
    let (mut phone, mut laptop) = (hub.enters("alice").await, hub.enters("alice").await);
    let request = v1::SendNotificationRequest {
        body: Some(carillon_client::text("at noon")),
        data: [("room".to_owned(), "room:lobby".to_owned())].into(),
        ..notice(to(&["alice", "bob"]), "reminder", "lunch", Priority::Critical)
    };
    let sent = hub.admin().send_notification(request).await.unwrap();
    assert_eq!((sent.recipients, sent.duplicate), (2, false));
    let mut heard = Vec::new();
    for device in [&mut phone, &mut laptop] {
        heard.push(device.is_notified().await);
        counts(device, 1, 1).await;
    }
    assert_eq!(heard[0], heard[1]);
    let first = &heard[0];
    assert_eq!(
        (first.id.as_str(), first.kind.as_str(), first.title.as_str()),
        (&*sent.id, "reminder", "lunch")
    );
    assert_eq!(
        (first.sender.as_str(), first.read, first.data["room"].as_str()),
        ("billing", false, "room:lobby")
    );
    assert_eq!(first.body, Some(carillon_client::text("at noon")));
    let second = notify(&hub, &["alice"], "news", "second", Priority::Normal).await;
    assert_eq!(laptop.is_notified().await.id, second);
    phone.client.notification_read(vec![sent.id.clone(), "unknown".into()]).await.unwrap();
    for device in [&mut phone, &mut laptop] {
        let state = next_state(device).await;
        assert_eq!((state.ids[0].as_str(), state.read, state.deleted), (&*sent.id, true, false));
        assert_eq!(state.inbox_unread, 1);
        counts(device, 1, 0).await;
    }
    laptop.client.notification_delete(vec![second.clone()]).await.unwrap();
    let state = next_state(&mut phone).await;
    assert_eq!((state.ids, state.deleted, state.inbox_unread), (vec![second], true, 0));
    let page = phone.client.notifications(v1::NotificationsGet::default()).await.unwrap();
    assert_eq!((titles(&page), page.inbox_unread, page.notifications[0].read), (vec!["lunch"], 0, true));
}

#[tokio::test]
async fn an_inbox_is_listed_by_filter_and_page() {
    let hub = hub().start().await;
    let (alice, bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let mut ids = Vec::new();
    for (kind, title, priority) in [
        ("news", "n1", Priority::Low),
        ("task", "t1", Priority::Normal),
        ("news", "n2", Priority::High),
        ("task", "t2", Priority::Critical),
        ("news", "n3", Priority::Unspecified),
    ] {
        ids.push(notify(&hub, &["alice"], kind, title, priority).await);
    }
    let all = v1::NotificationFilter::default;
    let page = list(&alice, all(), "").await;
    assert_eq!((titles(&page), page.inbox_unread, page.as_of.unwrap().own), (vec!["n3", "t2"], 5, 5));
    let news = || v1::NotificationFilter { kinds: vec!["news".into()], ..all() };
    let page = list(&alice, news(), "").await;
    assert_eq!(titles(&page), ["n3", "n2"]);
    let stolen = v1::NotificationsGet { cursor: page.next_cursor.clone(), ..Default::default() };
    assert_eq!(wrong_field(bob.client.notifications(stolen).await), "cursor");
    let page = list(&alice, news(), &page.next_cursor).await;
    assert_eq!((titles(&page), page.next_cursor.as_str()), (vec!["n1"], ""));
    let urgent = [Priority::Critical, Priority::High].map(i32::from).to_vec();
    let urgent = v1::NotificationFilter { priorities: urgent, ..all() };
    assert_eq!(titles(&list(&alice, urgent, "").await), ["t2", "n2"]);
    let normal = v1::NotificationFilter { priorities: vec![Priority::Normal.into()], ..all() };
    assert_eq!(titles(&list(&alice, normal, "").await), ["n3", "t1"], "unspecified is normal");
    // All up to a place, that one included.
    let page = list(&alice, all(), "").await;
    let up_to = list(&alice, all(), &page.next_cursor).await.notifications[0].position.unwrap();
    alice.client.notifications_read_up_to(up_to).await.unwrap();
    let unread = v1::NotificationFilter { unread_only: true, ..all() };
    let page = list(&alice, unread, "").await;
    assert_eq!((titles(&page), page.inbox_unread), (vec!["n3", "t2"], 2));
    alice.client.notification_delete(vec![ids[4].clone()]).await.unwrap();
    assert_eq!(titles(&list(&alice, all(), "").await), ["t2", "n2"]);
}

#[tokio::test]
async fn wrong_inbox_commands_are_refused() {
    let hub = hub().start().await;
    let alice = hub.enters("alice").await;
    notify(&hub, &["alice"], "news", "n", Priority::Normal).await;
    let call =
        |read: v1::NotificationRead| alice.client.call(v1::session_request::Command::NotificationRead(read));
    let head = list(&alice, v1::NotificationFilter::default(), "").await.as_of.unwrap();
    assert_eq!(wrong_field(call(v1::NotificationRead::default()).await), "ids");
    let both = v1::NotificationRead { ids: vec!["a".into()], up_to: Some(head) };
    assert_eq!(wrong_field(call(both).await), "ids");
    let many: Vec<String> = (0..201).map(|n| n.to_string()).collect();
    assert_eq!(wrong_field(alice.client.notification_read(many.clone()).await), "ids");
    assert_eq!(wrong_field(alice.client.notification_delete(many).await), "ids");
    assert_eq!(wrong_field(alice.client.notification_delete(vec![]).await), "ids");
    assert_eq!(wrong_field(alice.client.notification_delete(vec!["a b".into()]).await), "ids[]");
    let future = v1::InboxPosition { own: head.own + 1, ..head };
    assert_eq!(wrong_field(alice.client.notifications_read_up_to(future).await), "up_to");
    let other_life = v1::InboxPosition { epoch: head.epoch + 1, ..head };
    assert_eq!(verdict(alice.client.notifications_read_up_to(other_life).await), "CONFLICT");
    for (filter, field) in [
        (v1::NotificationFilter { kinds: vec!["k".into(); 17], ..Default::default() }, "filter.kinds"),
        (v1::NotificationFilter { kinds: vec![String::new()], ..Default::default() }, "filter.kinds[]"),
        (v1::NotificationFilter { priorities: vec![0], ..Default::default() }, "filter.priorities[]"),
    ] {
        let page = v1::NotificationsGet { filter: Some(filter), ..Default::default() };
        assert_eq!(wrong_field(alice.client.notifications(page).await), field);
    }
    let page = v1::NotificationsGet { limit: 201, ..Default::default() };
    assert_eq!(wrong_field(alice.client.notifications(page).await), "limit");
    // Another's notification is not there.
    let id = list(&alice, v1::NotificationFilter::default(), "").await.notifications[0].id.clone();
    let bob = hub.enters("bob").await;
    bob.client.notification_delete(vec![id]).await.unwrap();
    assert_eq!(list(&alice, v1::NotificationFilter::default(), "").await.notifications.len(), 1);
}

#[tokio::test]
async fn unread_ones_are_handed_over_once_whenever_the_client_starts_again() {
    let hub = hub().start().await;
    for n in 0..60 {
        notify(&hub, &["alice"], "news", &format!("n{n}"), Priority::Normal).await;
    }
    // The first session is handed the newest 50. It takes some and stops; the next one carries on after those.
    let (mut positions, mut seen) = (carillon_client::Positions::default(), Vec::new());
    for takes in [1, 20, 29] {
        let mut alice = Person::connect("alice", hub.options("alice").resume(positions)).await;
        for _ in 0..takes {
            seen.push(alice.is_notified().await.title);
        }
        positions = alice.client.positions();
    }
    assert!(seen.into_iter().eq((10..60).map(|n| format!("n{n}"))));
    notify(&hub, &["alice"], "news", "live", Priority::Normal).await;
    let mut alice = Person::connect("alice", hub.options("alice").resume(positions)).await;
    assert_eq!(alice.is_notified().await.title, "live");
}

#[tokio::test]
async fn what_was_missed_arrives_once_after_a_reconnect() {
    let hub = hub().start().await;
    let mut alice = hub.enters("alice").await;
    notify(&hub, &["alice"], "news", "first", Priority::Normal).await;
    assert_eq!(alice.is_notified().await.title, "first");
    let positions = alice.client.positions();
    alice.client.close().await;
    for n in 0..70 {
        notify(&hub, &["alice"], "news", &format!("missed {n}"), Priority::Normal).await;
    }
    // By whoever carries on, whether read or not.
    let mut back = Person::connect("alice", hub.options("alice").resume(positions)).await;
    assert_eq!(back.client.connected().inbox_unread, 71);
    for n in 0..70 {
        assert_eq!(back.is_notified().await.title, format!("missed {n}"));
    }
    notify(&hub, &["alice"], "news", "live", Priority::Normal).await;
    assert_eq!(back.is_notified().await.title, "live");
}

#[tokio::test]
async fn a_fresh_client_gets_what_is_unread() {
    let hub = hub().start().await;
    let read = notify(&hub, &["alice"], "news", "read", Priority::Normal).await;
    notify(&hub, &["alice"], "news", "unread", Priority::Normal).await;
    let phone = hub.enters("alice").await;
    phone.client.notification_read(vec![read]).await.unwrap();
    let mut laptop = hub.enters("alice").await;
    assert_eq!(laptop.client.connected().inbox_unread, 1);
    assert_eq!(laptop.is_notified().await.title, "unread");
    let positions = laptop.client.positions();
    laptop.client.close().await;
    // Once: whoever carries on from there has it.
    let mut laptop = Person::connect("alice", hub.options("alice").resume(positions)).await;
    notify(&hub, &["alice"], "news", "later", Priority::Normal).await;
    assert_eq!(laptop.is_notified().await.title, "later");
}

/// A place that the hub has never given out, or has lost: whoever carries on there would miss what takes it later.
#[tokio::test]
async fn a_place_beyond_the_head_is_none_to_carry_on_from() {
    let hub = hub().start().await;
    notify(&hub, &["alice"], "news", "first", Priority::Normal).await;
    let mut phone = hub.enters("alice").await;
    assert_eq!(phone.is_notified().await.title, "first");
    let mut positions = phone.client.positions();
    phone.client.close().await;
    let place = positions.inbox.as_mut().unwrap();
    place.own += 5;
    let mut back = Person::connect("alice", hub.options("alice").resume(positions)).await;
    assert_eq!(back.is_notified().await.title, "first");
    for n in 0..6 {
        notify(&hub, &["alice"], "news", &format!("later {n}"), Priority::Normal).await;
        assert_eq!(back.is_notified().await.title, format!("later {n}"));
    }
}

#[tokio::test]
async fn a_notification_vanishes_when_it_expires() {
    let hub = hub().start().await;
    let alice = hub.enters("alice").await;
    let now = alice.client.ping().await.unwrap().time_ms;
    let brief = v1::SendNotificationRequest {
        expires_ms: now + 700,
        idempotency_key: b"once only".to_vec().into(),
        ..notice(to(&["alice"]), "news", "brief", Priority::Critical)
    };
    let sent = hub.admin().send_notification(brief.clone()).await.unwrap();
    let page = list(&alice, v1::NotificationFilter::default(), "").await;
    assert_eq!((page.inbox_unread, page.notifications[0].expires_ms), (1, now + 700));
    while alice.client.ping().await.unwrap().time_ms <= now + 700 {}
    let page = list(&alice, v1::NotificationFilter::default(), "").await;
    assert_eq!((page.inbox_unread, page.notifications.len()), (0, 0));
    // Whoever was not answered asks again, and hears that it was sent.
    let again = hub.admin().send_notification(brief.clone()).await.unwrap();
    assert_eq!((again.id, again.recipients, again.duplicate), (sent.id, 1, true));
    for key in ["", "another one"] {
        let late =
            v1::SendNotificationRequest { idempotency_key: key.as_bytes().to_vec().into(), ..brief.clone() };
        assert_eq!(wrong_field(hub.admin().send_notification(late).await), "expires_ms");
    }
    let page = list(&alice, v1::NotificationFilter::default(), "").await;
    assert_eq!(page.notifications.len(), 0);
    let options = ClientOptions::new(hub.url()).token(hub.token("alice"));
    assert_eq!(Person::connect("alice", options).await.client.connected().inbox_unread, 0);
}
