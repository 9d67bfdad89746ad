//! What a message in a conversation costs where many are connected who do not follow it.

use std::collections::BTreeMap;

use carillon_hub::delivery::LatestMessage;
use carillon_hub::domain::entry::EntryBody;
use carillon_hub::domain::member::{MembershipChange, Role};
use carillon_hub::domain::names::{RoomKey, UserId};
use carillon_hub::session::{Here, absent_members};
use carillon_hub::store::{Home, Outcome, Store, Write};
use futures::future::join_all;

use crate::harness::*;

fn writing(room: &RoomKey, who: &UserId, write: Write) -> Outcome {
    Outcome {
        tenant: room.tenant.clone(),
        home: Home::Room(room.room.clone()),
        actor: who.clone(),
        by_service: false,
        idempotency: None,
        conditions: Vec::new(),
        writes: vec![write],
        effects: Vec::new(),
    }
}

/// Members `from..to` of a room.
async fn add_members(hub: &Hub, room: &RoomKey, from: usize, to: usize) {
    let added = (from..to).map(|number| {
        let (added, change) = (user(&format!("u{number}")), MembershipChange::Added);
        let body = EntryBody::Membership { user: added, change, role: Role::Member };
        hub.store.commit(writing(room, &user("alice"), Write::Append(body)))
    });
    for added in join_all(added).await {
        added.unwrap();
    }
}

/// Each of `connected` is looked up, the last ten follow the room, `members` are members; who is told, and the reads.
async fn tell(hub: &Hub, room: &RoomKey, connected: &[UserId]) -> (BTreeMap<String, u64>, usize) {
    let head = hub.store.room(room).await.unwrap().unwrap();
    let latest = LatestMessage { seq: head.head.seq, number: head.head_number };
    let following = &connected[connected.len() - 10..];
    hub.reads();
    let here = Here { sessions: connected.len(), users: &|| connected.to_vec() };
    let is_absent = |user: &UserId| connected.contains(user) && !following.contains(user);
    let told = absent_members(&*hub.store, room, latest, &here, &is_absent).await;
    let told = told.unwrap();
    assert!(told.iter().all(|told| told.may_read));
    (told.into_iter().map(|told| (told.user.to_string(), told.unread)).collect(), hub.reads())
}

#[tokio::test]
async fn a_message_costs_a_few_reads_however_many_are_connected() {
    let hub = Hub::start();
    let room = RoomKey { tenant: hub.user("alice").caller.tenant, room: room("conversation:many") };
    add_members(&hub, &room, 0, 2).await;
    let connected = (0..2).chain(1_500..3_000).chain(5_000..5_010);
    let connected: Vec<_> = connected.map(|number| user(&format!("u{number}"))).collect();
    hub.user("u0").sends(&room.room, "one").await.unwrap();
    let (told, reads) = tell(&hub, &room, &connected).await;
    assert_eq!(told, BTreeMap::from([("u0".to_owned(), 0), ("u1".to_owned(), 1)]));
    assert_eq!(reads, 3, "the room, its members, their marks");

    add_members(&hub, &room, 2, 3_002).await;
    hub.user("u0").sends(&room.room, "two").await.unwrap();
    hub.user("u1").marks_read(&room.room, 3).await.unwrap();
    let (told, reads) = tell(&hub, &room, &connected).await;
    assert_eq!(told.len(), 1_502);
    let expected = |name: &str| u64::from(name != "u0");
    assert!(told.iter().all(|(name, unread)| *unread == expected(name)), "{told:?}");
    assert_eq!(reads, 1 + 6 + 6, "the room, and for 256 users their memberships and marks");

    let (told, reads) = tell(&hub, &room, &connected[..20]).await;
    assert_eq!((told.len(), reads), (10, 3));
}
