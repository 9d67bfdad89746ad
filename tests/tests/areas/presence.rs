//! Presence: a user's devices add up, a short loss is silent, and who watches is told.

use std::time::Duration;

use carillon_client::{ClientOptions, Event, v1};
use carillon_tests::story::{verdict, wrong_field};
use carillon_tests::{Line, Person, TestHub, hub};
use v1::{PresenceReason as Reason, PresenceStatus as Status};

const ROOM: &str = "room:lobby";

fn grace(millis: u64) -> impl FnOnce(&mut carillon_hub::config::Config) {
    move |config| config.presence.grace = Duration::from_millis(millis)
}

fn instance(hub: &TestHub, user: &str, name: &str) -> ClientOptions {
    hub.options(user).instance(name)
}

#[tokio::test]
async fn devices_add_up() {
    let hub = hub().start().await;
    let mut alice = hub.enters("alice").await;
    alice.joins(ROOM).await;
    let (phone, laptop) = (hub.enters("bob").await, hub.enters("bob").await);
    let joined = phone.joins(ROOM).await;
    assert_eq!(joined.occupancy, 2);
    let present: Vec<_> = joined.presence.iter().map(|state| (state.user.as_str(), state.devices)).collect();
    assert_eq!(present, [("alice", 1), ("bob", 2)], "a snapshot, in the order of ids");
    let (state, reason) = alice.sees(ROOM, "bob").await;
    assert_eq!((state.devices, state.status(), reason), (2, Status::Online, Reason::Joined));
    phone.client.presence_set(Status::Away, "on the train").await.unwrap();
    // One device is away, the other is not: the user is there, with the text set last.
    let (state, reason) = alice.sees(ROOM, "bob").await;
    assert_eq!(
        (state.status(), state.text.as_str(), reason),
        (Status::Online, "on the train", Reason::Changed)
    );
    laptop.joins(ROOM).await;
    laptop.client.presence_set(Status::Busy, "").await.unwrap();
    let (state, _) = alice.sees(ROOM, "bob").await;
    assert_eq!((state.text.as_str(), state.devices), ("", 2));
    laptop.client.close().await;
    let (state, reason) = alice.sees(ROOM, "bob").await;
    assert_eq!((state.devices, state.status(), reason), (1, Status::Away, Reason::Changed));
    assert_eq!(phone.client.leave(ROOM).await.unwrap().room, ROOM);
    let (state, reason) = alice.sees(ROOM, "bob").await;
    assert_eq!((state.devices, reason), (1, Reason::Left));
    assert_eq!(alice.joins(ROOM).await.occupancy, 1);
}

#[tokio::test]
async fn a_wrong_status_is_refused() {
    let hub = hub().start().await;
    let alice = hub.enters("alice").await;
    for status in [Status::Offline, Status::Unspecified] {
        assert_eq!(wrong_field(alice.client.presence_set(status, "").await), "status");
    }
    alice.client.presence_set(Status::Busy, "ü".repeat(128)).await.unwrap();
    for text in ["ü".repeat(129), "a\nb".to_owned()] {
        assert_eq!(wrong_field(alice.client.presence_set(Status::Busy, text).await), "text");
    }
    let many = (0..101).map(|n| format!("u{n}")).collect();
    assert_eq!(wrong_field(alice.client.presence_watch(many).await), "users");
    assert_eq!(wrong_field(alice.client.presence_watch(vec!["a b".into()]).await), "users[]");
    let page = |room: &str| v1::PresenceGet { room: room.into(), ..Default::default() };
    assert_eq!(verdict(alice.client.presence_get(page("conversation:none")).await), "ACCESS_DENIED");
    assert_eq!(verdict(alice.client.presence_get(page("room:empty")).await), "ok");
}

#[tokio::test]
async fn a_session_that_is_replaced_is_no_other_device() {
    let hub = hub().start().await;
    let mut alice = hub.enters("alice").await;
    alice.joins(ROOM).await;
    let mut bob = Person::connect("bob", instance(&hub, "bob", "tab-1")).await;
    bob.joins(ROOM).await;
    bob.client.presence_set(Status::Busy, "writing").await.unwrap();
    let (state, _) = alice.sees(ROOM, "bob").await;
    assert_eq!((state.devices, state.status()), (1, Status::Online));
    let (state, _) = alice.sees(ROOM, "bob").await;
    assert_eq!((state.devices, state.status()), (1, Status::Busy));
    let again = Person::connect("bob", instance(&hub, "bob", "tab-1")).await;
    assert_eq!(again.joins(ROOM).await.occupancy, 2);
    let replaced = bob.waits_for(|event| match event {
        Event::Disconnected(how) => Some(how),
        _ => None,
    });
    let replaced = replaced.await;
    assert_eq!(replaced.code.unwrap().name(), "SESSION_REPLACED");
    assert!(replaced.reconnect_after.is_none());
    // Alice was told of nothing until now.
    again.client.presence_set(Status::Away, "").await.unwrap();
    let (state, reason) = alice.sees(ROOM, "bob").await;
    assert_eq!((state.devices, state.status(), reason), (1, Status::Away, Reason::Changed));
}

#[tokio::test]
async fn a_lost_session_is_told_when_its_grace_is_over() {
    let hub = hub().with(grace(300)).start().await;
    let mut alice = hub.enters("alice").await;
    alice.joins(ROOM).await;
    let mut line = Line::open(&hub, "bob").await;
    line.joins(ROOM).await;
    assert_eq!(alice.sees(ROOM, "bob").await.1, Reason::Joined);
    drop(line);
    let (state, reason) = alice.sees(ROOM, "bob").await;
    assert_eq!((state.status(), state.devices, reason), (Status::Offline, 0, Reason::Disconnected));
    assert!(state.last_active_ms > 0);
}

#[tokio::test]
async fn a_reconnect_within_the_grace_is_silent() {
    let hub = hub().with(grace(60_000)).start().await;
    let mut alice = hub.enters("alice").await;
    alice.joins(ROOM).await;
    let mut line = Line::open(&hub, "bob").await;
    line.joins(ROOM).await;
    assert_eq!(alice.sees(ROOM, "bob").await.1, Reason::Joined);
    drop(line);
    let bobs = v1::ListSessionsRequest { user: "bob".into(), ..Default::default() };
    while !hub.admin().list_sessions(bobs.clone()).await.unwrap().sessions.is_empty() {}
    let bob = hub.enters("bob").await;
    bob.joins(ROOM).await;
    bob.client.presence_set(Status::Busy, "back").await.unwrap();
    let (state, reason) = alice.sees(ROOM, "bob").await;
    assert_eq!((state.status(), reason), (Status::Busy, Reason::Changed), "the first thing told");
    bob.client.close().await;
    let (state, reason) = alice.sees(ROOM, "bob").await;
    assert_eq!(
        (state.status(), reason),
        (Status::Offline, Reason::Left),
        "who says goodbye is not waited for"
    );
}

#[tokio::test]
async fn who_is_present_is_listed_page_by_page() {
    let hub = hub().start().await;
    let alice = hub.enters("alice").await;
    let mut people = Vec::new();
    for n in 0..7 {
        let person = hub.enters(&format!("u{n}")).await;
        person.joins(ROOM).await;
        people.push(person);
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = v1::PresenceGet { room: ROOM.into(), cursor, limit: 3 };
        let page = alice.client.presence_get(page).await.unwrap();
        assert_eq!(page.occupancy, 7);
        seen.extend(page.states.into_iter().map(|state| state.user));
        cursor = page.next_cursor;
        if cursor.is_empty() {
            break;
        }
        let stolen = v1::PresenceGet { room: ROOM.into(), cursor: cursor.clone(), limit: 3 };
        assert_eq!(wrong_field(people[0].client.presence_get(stolen).await), "cursor");
    }
    assert_eq!(seen, (0..7).map(|n| format!("u{n}")).collect::<Vec<_>>());
    let much = v1::PresenceGet { room: ROOM.into(), limit: 201, ..Default::default() };
    assert_eq!(wrong_field(alice.client.presence_get(much).await), "limit");
}

#[tokio::test]
async fn chosen_users_are_watched_wherever_they_are() {
    let hub = hub().start().await;
    let mut alice = hub.enters("alice").await;
    let watched = vec!["bob".to_owned(), "carol".to_owned(), "bob".to_owned()];
    alice.client.presence_watch(watched).await.unwrap();
    for user in ["bob", "carol"] {
        let (state, reason) = alice.sees("", user).await;
        assert_eq!((state.status(), reason), (Status::Offline, Reason::Watched));
    }
    let bob = hub.enters("bob").await;
    let (state, reason) = alice.sees("", "bob").await;
    assert_eq!((state.status(), state.devices, reason), (Status::Online, 1, Reason::Returned));
    // Another list replaces the one before.
    alice.client.presence_watch(vec!["carol".into()]).await.unwrap();
    assert_eq!(alice.sees("", "carol").await.1, Reason::Watched);
    bob.client.presence_set(Status::Busy, "").await.unwrap();
    let carol = hub.enters("carol").await;
    let next = alice.waits_for(|event| match event {
        Event::Presence(presence) => Some(presence.state.unwrap().user),
        _ => None,
    });
    assert_eq!(next.await, "carol");
    carol.client.close().await;
    let (state, reason) = alice.sees("", "carol").await;
    assert_eq!((state.status(), reason), (Status::Offline, Reason::Left));
}

#[tokio::test]
async fn activity_moves_with_commands() {
    let hub = hub().start().await;
    let (alice, bob) = (hub.enters("alice").await, hub.enters("bob").await);
    bob.joins(ROOM).await;
    let active = async || {
        let page = v1::PresenceGet { room: ROOM.into(), ..Default::default() };
        alice.client.presence_get(page).await.unwrap().states[0].last_active_ms
    };
    let first = active().await;
    // Activity is noted once a second at most.
    while alice.client.ping().await.unwrap().time_ms < first + 1_500 {}
    let sent = bob.client.send(ROOM, "here").await.unwrap();
    let now = active().await;
    assert!(now > first && now <= sent.time_ms, "{first} {now} {}", sent.time_ms);
}
