//! What only services do.

use std::time::Duration;

use carillon_hub::administration::commands::{
    Audience, CreateRoom, ListRooms, NotificationSent, RoomCreated, RoomPrefix, SendNotification,
};
use carillon_hub::domain::command::Cursor;
use carillon_hub::domain::content::Pairs;
use carillon_hub::domain::entry::EntryBody;
use carillon_hub::domain::error::{ErrorCode, Refusal};
use carillon_hub::domain::inbox::{Notice, NotificationKind, Priority};
use carillon_hub::domain::member::Role;
use carillon_hub::domain::names::RoomKey;
use carillon_hub::domain::time::Timestamp;
use carillon_hub::store::{Home, Idempotency, Outcome, Store, Write};

use crate::harness::{Hub, Person, accepted, key_of, room, user};

fn create(name: &str, members: &[(&str, Role)], key: Option<&'static str>) -> CreateRoom {
    CreateRoom {
        room: room(name),
        members: members.iter().map(|(name, role)| (user(name), *role)).collect(),
        metadata: Pairs::default(),
        idempotency: key.map(|key| Idempotency { key: key_of(key), fingerprint: 1 }),
    }
}

/// The service creates a room.
pub(crate) async fn creates(hub: &Hub, name: &str, members: &[(&str, Role)]) -> Result<RoomCreated, Refusal> {
    hub.administration.create_room(&hub.service().caller, &create(name, members, None)).await
}

pub(crate) fn notification(title: &str, audience: Audience) -> SendNotification {
    SendNotification {
        audience,
        kind: NotificationKind::parse("reminder").unwrap(),
        title: Notice::parse_title(title).unwrap(),
        body: None,
        priority: Priority::Normal,
        data: Pairs::default(),
        expires: None,
        idempotency: None,
    }
}

async fn notifies(hub: &Hub, send: &SendNotification) -> Result<NotificationSent, Refusal> {
    hub.administration.notify(&hub.service().caller, send, Timestamp::now()).await
}

async fn unread(hub: &Hub, who: &Person<'_>) -> u64 {
    hub.store.inbox_summary(&who.caller.key()).await.unwrap().unread
}

async fn knows(hub: &Hub, who: &Person<'_>) {
    let outcome = Outcome {
        tenant: who.caller.tenant.clone(),
        home: Home::Tenant,
        actor: who.caller.user.clone(),
        by_service: false,
        idempotency: None,
        conditions: Vec::new(),
        writes: vec![Write::Know],
        effects: Vec::new(),
    };
    hub.store.commit(outcome).await.unwrap();
}

#[tokio::test]
async fn a_room_is_created_once() {
    let hub = Hub::start();
    let caller = hub.service().caller;
    let alice = [("alice", Role::Owner)];
    let made = hub.administration.create_room(&caller, &create("case:1", &alice, Some("room-key"))).await;
    assert_eq!((made.as_ref().unwrap().duplicate, made.unwrap().room.members), (false, 1));
    let again = hub.administration.create_room(&caller, &create("case:1", &alice, Some("room-key"))).await;
    assert!(again.unwrap().duplicate);
    assert_eq!(creates(&hub, "case:1", &alice).await.unwrap_err().code, ErrorCode::Conflict);
    assert_eq!(creates(&hub, "unknown:1", &alice).await.unwrap_err().code, ErrorCode::NotFound);
    let got = hub.administration.room(&caller, &room("case:1")).await.unwrap();
    assert!(got.created);
    let none = hub.administration.room(&caller, &room("case:2")).await;
    assert_eq!(none.unwrap_err().code, ErrorCode::NotFound);
}

#[tokio::test]
async fn an_open_room_that_came_to_be_by_itself_may_still_be_created() {
    let hub = Hub::start();
    hub.user("bob").sends(&room("open:1"), "first").await.unwrap();
    assert!(creates(&hub, "open:1", &[("alice", Role::Moderator)]).await.is_ok());
    assert_eq!(creates(&hub, "open:1", &[]).await.unwrap_err().code, ErrorCode::Conflict);
    let bob = hub.user("bob");
    let seq = accepted(&bob.sends(&room("open:1"), "second").await).0.seq.0;
    assert!(hub.user("alice").deletes(&room("open:1"), seq).await.is_ok(), "a moderator");
}

#[tokio::test]
async fn rooms_are_listed_by_prefix() {
    let hub = Hub::start();
    for name in ["case:1", "case:2", "case:3", "small:1"] {
        creates(&hub, name, &[]).await.unwrap();
    }
    let caller = hub.service().caller;
    let (mut seen, mut cursor) = (Vec::new(), Cursor::default());
    loop {
        let list = ListRooms { prefix: RoomPrefix::parse("case:".into()).unwrap(), cursor, limit: 2 };
        let page = hub.administration.rooms(&caller, &list).await.unwrap();
        seen.extend(page.rooms.into_iter().map(|room| room.room.to_string()));
        if page.next == Cursor::default() {
            break;
        }
        cursor = page.next;
    }
    assert_eq!(seen, ["case:1", "case:2", "case:3"]);
}

#[tokio::test]
async fn a_notification_reaches_its_audience_once() {
    let hub = Hub::start();
    let (alice, bob, carol) = (hub.user("alice"), hub.user("bob"), hub.user("carol"));
    for person in [&alice, &bob, &carol] {
        knows(&hub, person).await;
    }
    let keyed = |audience| SendNotification {
        idempotency: Some(Idempotency { key: key_of("notify-key"), fingerprint: 1 }),
        ..notification("hello", audience)
    };
    let users = keyed(Audience::Users(vec![user("alice"), user("bob")]));
    let sent = notifies(&hub, &users).await.unwrap();
    assert_eq!((sent.recipients, sent.duplicate), (2, false));
    let again = notifies(&hub, &users).await.unwrap();
    assert_eq!((&again.id, again.recipients, again.duplicate), (&sent.id, 2, true));
    assert_eq!((unread(&hub, &alice).await, unread(&hub, &carol).await), (1, 0));

    creates(&hub, "case:1", &[("bob", Role::Member), ("carol", Role::Reader)]).await.unwrap();
    let to_room = |name| notification("members", Audience::RoomMembers(room(name)));
    assert_eq!(notifies(&hub, &to_room("case:1")).await.unwrap().recipients, 2);
    assert_eq!(notifies(&hub, &to_room("case:2")).await.unwrap_err().code, ErrorCode::NotFound);
    let all = notifies(&hub, &notification("all", Audience::AllUsers)).await.unwrap();
    assert_eq!(all.recipients, 3);
    assert_eq!((unread(&hub, &alice).await, unread(&hub, &bob).await), (2, 3));

    let now = Timestamp::now();
    let expired = SendNotification { expires: Some(now), ..notification("old", Audience::AllUsers) };
    let refused = hub.administration.notify(&hub.service().caller, &expired, now).await.unwrap_err();
    assert_eq!(refused.violations[0].field, "expires_ms");
    let soon = SendNotification { expires: Some(now.plus(Duration::from_mins(1))), ..expired };
    assert!(hub.administration.notify(&hub.service().caller, &soon, now).await.is_ok());
}

#[tokio::test]
async fn statistics_count_what_is_stored_and_what_is_live() {
    let hub = Hub::start();
    let alice = hub.user("alice");
    let one = alice.converses(&["bob"]).await;
    for _ in 0..3 {
        alice.sends(&one, "hello").await.unwrap();
    }
    alice.sends(&room("open:1"), "hello").await.unwrap();
    hub.person("other", "zoe", false).sends(&room("open:1"), "elsewhere").await.unwrap();
    notifies(&hub, &notification("two", Audience::Users(vec![user("alice"), user("bob")]))).await.unwrap();
    notifies(&hub, &notification("all", Audience::AllUsers)).await.unwrap();
    let now = Timestamp::now();
    let counts = hub.administration.statistics(&hub.service().caller, now).await.unwrap();
    assert_eq!((counts.sessions, counts.users, counts.active_rooms), (3, 2, 1));
    assert_eq!((counts.rooms, counts.messages, counts.notifications, counts.time), (2, 4, 3, now));
    let nowhere = hub.person("empty", "service", true).caller;
    assert_eq!(hub.administration.statistics(&nowhere, now).await.unwrap().rooms, 0);
}

#[tokio::test]
async fn an_erased_user_is_gone_from_memory_too() {
    let hub = Hub::start();
    let (alice, bob) = (hub.user("alice"), hub.user("bob"));
    let one = alice.converses(&["bob"]).await;
    bob.sends(&one, "personal").await.unwrap();
    let erased = hub.administration.erase(&hub.service().caller, &user("bob")).await.unwrap();
    assert_eq!(erased.entries, 1);
    let is_blank = |body: &EntryBody| match body {
        EntryBody::Message(message) => message.content.is_none(),
        _ => true,
    };
    assert!(alice.log(&one).await.iter().all(|entry| is_blank(&entry.body)));
    let key = RoomKey { tenant: alice.caller.tenant.clone(), room: one.clone() };
    let member = hub.store.member(&key, &user("bob")).await.unwrap();
    assert_eq!(bob.sends(&one, "back").await.is_ok(), member.is_some(), "memory agrees with the store");
}

#[tokio::test]
async fn users_administer_nothing() {
    let hub = Hub::start();
    let alice = hub.user("alice").caller;
    let denied = Some(ErrorCode::PermissionDenied);
    let administration = &hub.administration;
    let code = |refusal: Refusal| refusal.code;
    assert_eq!(
        administration.create_room(&alice, &create("case:1", &[], None)).await.err().map(code),
        denied
    );
    assert_eq!(administration.room(&alice, &room("case:1")).await.err().map(code), denied);
    assert_eq!(administration.erase(&alice, &user("bob")).await.err().map(code), denied);
    assert_eq!(administration.statistics(&alice, Timestamp::now()).await.err().map(code), denied);
    let send = notification("all", Audience::AllUsers);
    assert_eq!(administration.notify(&alice, &send, Timestamp::now()).await.err().map(code), denied);
}
