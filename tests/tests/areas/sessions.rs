//! `AdminService` for sessions: who is connected, whom it ends, and what the hub counts.

use carillon_client::{Event, v1};
use carillon_tests::story::{verdict, wrong_field};
use carillon_tests::{Person, TestHub, hub};
use v1::disconnect_session_request::Target;
use v1::{PresenceReason, PresenceStatus, Role};

async fn sessions(hub: &TestHub, user: &str) -> Vec<v1::SessionInfo> {
    let list = v1::ListSessionsRequest { user: user.into(), ..Default::default() };
    hub.admin().list_sessions(list).await.unwrap().sessions
}

async fn end(hub: &TestHub, target: Target, code: &str) -> u32 {
    let request =
        v1::DisconnectSessionRequest { target: Some(target), code: code.into(), ..Default::default() };
    hub.admin().disconnect_session(request).await.unwrap().disconnected
}

async fn how_it_ended(person: &mut Person) -> (String, bool) {
    person
        .waits_for(|event| match event {
            Event::Disconnected(how) => {
                Some((how.code.as_ref().map_or("", |code| code.name()).to_owned(), how.will_reconnect()))
            }
            _ => None,
        })
        .await
}

#[tokio::test]
async fn sessions_are_listed() {
    let hub = hub().start().await;
    let options = hub.options("alice").instance("tab-1").name("web/2.1.0");
    let alice = Person::connect("alice", options).await;
    let bob = hub.enters("bob").await;
    alice.joins("room:lobby").await;
    alice.client.leave("org:acme").await.unwrap();
    let found = sessions(&hub, "alice").await;
    let connected = alice.client.connected();
    let session = &found[0];
    assert_eq!(
        (found.len(), session.session.as_str(), session.user.as_str()),
        (1, &*connected.session, "alice")
    );
    assert_eq!((session.instance.as_str(), session.client.as_str()), ("tab-1", "web/2.1.0"));
    assert_eq!(session.token_expires_ms, connected.token_expires_ms);
    assert!(session.connected_ms > 0 && session.last_active_ms >= session.connected_ms);
    assert!(session.rooms >= 1);
    let _phone = hub.enters("bob").await;
    let page = |cursor: String| v1::ListSessionsRequest { cursor, limit: 2, ..Default::default() };
    let first = hub.admin().list_sessions(page(String::new())).await.unwrap();
    let second = hub.admin().list_sessions(page(first.next_cursor.clone())).await.unwrap();
    let mut ids: Vec<_> = first.sessions.iter().chain(&second.sessions).map(|s| s.session.clone()).collect();
    assert!(ids.is_sorted() && second.next_cursor.is_empty());
    ids.dedup();
    assert_eq!(ids.len(), 3);
    let stolen =
        v1::ListSessionsRequest { user: "bob".into(), cursor: first.next_cursor, ..Default::default() };
    assert_eq!(wrong_field(hub.admin().list_sessions(stolen).await), "cursor");
    bob.client.close().await;
}

#[tokio::test]
async fn sessions_are_ended_with_the_code_that_is_asked_for() {
    let hub = hub().start().await;
    let mut watcher = hub.enters("carol").await;
    watcher.joins("room:lobby").await;
    let mut alice = hub.enters("alice").await;
    alice.joins("room:lobby").await;
    watcher.sees("room:lobby", "alice").await;
    let id = alice.client.connected().session.clone();
    assert_eq!(end(&hub, Target::Session(id.clone()), "").await, 1);
    assert_eq!(how_it_ended(&mut alice).await, ("SESSION_INVALIDATED".into(), false));
    // Whoever may not come back is not waited for.
    let (state, reason) = watcher.sees("room:lobby", "alice").await;
    assert_eq!((state.status(), reason), (PresenceStatus::Offline, PresenceReason::Left));
    assert_eq!(end(&hub, Target::Session(id), "").await, 0);
    let mut phone = Person::connect("bob", hub.options("bob").instance("phone")).await;
    let mut laptop = Person::connect("bob", hub.options("bob").instance("laptop")).await;
    let user =
        |instance: &str| Target::User(v1::UserInstance { user: "bob".into(), instance: instance.into() });
    assert_eq!(end(&hub, user("phone"), "UNAVAILABLE").await, 1);
    assert_eq!(how_it_ended(&mut phone).await, ("UNAVAILABLE".into(), true));
    // The library comes back by itself.
    phone.waits_for(|event| matches!(event, Event::Connected(_)).then_some(())).await;
    assert_eq!(end(&hub, user(""), "GOING_AWAY").await, 2);
    for device in [&mut phone, &mut laptop] {
        assert_eq!(how_it_ended(device).await, ("GOING_AWAY".into(), true));
    }
    let wrong = |target, code: &str| {
        let request = v1::DisconnectSessionRequest { target, code: code.into(), ..Default::default() };
        let admin = hub.admin();
        async move { wrong_field(admin.disconnect_session(request).await) }
    };
    assert_eq!(wrong(Some(user("")), "INTERNAL").await, "code");
    assert_eq!(wrong(None, "").await, "target");
    assert_eq!(wrong(Some(Target::Session("x".into())), "").await, "session");
}

#[tokio::test]
async fn the_hub_counts_what_it_holds() {
    let hub = hub().start().await;
    let (alice, _phone) = (hub.enters("alice").await, hub.enters("alice").await);
    let room = alice.creates(&[("bob", Role::Member)]).await;
    for _ in 0..7 {
        alice.says(&room, "hello").await;
    }
    let seq = alice.says("room:lobby", "hello").await;
    alice.client.edit("room:lobby", seq, "hello again").await.unwrap();
    alice.joins(&room).await;
    let audience = |audience| v1::SendNotificationRequest {
        audience: Some(audience),
        kind: "news".into(),
        title: "x".into(),
        ..Default::default()
    };
    let members = v1::send_notification_request::Audience::RoomMembers(room);
    hub.admin().send_notification(audience(members)).await.unwrap();
    let all = v1::send_notification_request::Audience::AllUsers(true);
    hub.admin().send_notification(audience(all)).await.unwrap();
    let counts = hub.admin().get_statistics(v1::GetStatisticsRequest::default()).await.unwrap();
    assert_eq!((counts.sessions, counts.users), (2, 1));
    assert_eq!((counts.rooms, counts.messages), (2, 8));
    // The two that sessions are joined to by themselves are active too.
    assert_eq!((counts.active_rooms, counts.notifications), (3, 3));
    assert!(counts.time_ms > 0);
    let other = v1::GetStatisticsRequest { tenant: "other".into() };
    assert_eq!(verdict(hub.admin().get_statistics(other).await), "PERMISSION_DENIED");
    // What is counted is what is stored.
    alice.client.close().await;
    let hub = hub.stops().await.start().await;
    let again = hub.admin().get_statistics(v1::GetStatisticsRequest::default()).await.unwrap();
    assert_eq!((again.rooms, again.messages, again.notifications), (2, 8, 3));
    assert_eq!((again.sessions, again.users, again.active_rooms), (0, 0, 0));
}
