//! Conversations: created, found again, changed.

use carillon_client::{Event, text, v1};
use carillon_tests::hub;
use carillon_tests::story::{member, refusal, seq_of, verdict, wrong_field};
use v1::Role;

fn with_title(title: &str) -> v1::ConversationCreate {
    let metadata = [("title".to_owned(), title.to_owned())].into();
    v1::ConversationCreate { members: vec![member("bob", Role::Reader)], metadata, ..Default::default() }
}

#[tokio::test]
async fn a_conversation_is_created_whole() {
    let hub = hub().start().await;
    let (alice, bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let created = alice.client.conversation_create(with_title("plans")).await.unwrap();
    assert!(created.room.starts_with("conversation:") && !created.duplicate);
    let log = bob.reads(&created.room).await;
    assert_eq!(created.position.unwrap().seq, log.len() as u64);
    let changes = log.iter().filter_map(|event| match event {
        Event::Membership(change) => Some((change.user.as_str(), change.role(), change.change())),
        _ => None,
    });
    let added = v1::MembershipChange::Added;
    assert_eq!(changes.collect::<Vec<_>>(), [("alice", Role::Owner, added), ("bob", Role::Reader, added)]);
    assert!(log.iter().any(
        |event| matches!(event, Event::RoomChanged(room) if room.created && room.metadata["title"] == "plans")
    ));
    let joined = bob.joins(&created.room).await;
    assert_eq!(joined.role(), Role::Reader);
    assert!(joined.rules.unwrap().durable);
}

#[tokio::test]
async fn a_retried_creation_finds_the_first() {
    let hub = hub().start().await;
    let (alice, bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let keyed = alice.client.with_key(&b"plans-of-may"[..]);
    let retries = (0..8).map(|_| keyed.conversation_create(with_title("plans")));
    let mut created = Vec::new();
    for retry in retries.collect::<Vec<_>>() {
        created.push(retry.await.unwrap());
    }
    assert!(created.iter().all(|other| other.room == created[0].room));
    assert_eq!(created.iter().filter(|created| !created.duplicate).count(), 1);
    assert_eq!(verdict(keyed.conversation_create(with_title("others")).await), "CONFLICT");
    let bobs = bob.client.with_key(&b"plans-of-may"[..]);
    let bobs = bobs.conversation_create(v1::ConversationCreate::default()).await.unwrap();
    assert_ne!(bobs.room, created[0].room, "another's key is another key");
}

#[tokio::test]
async fn a_pair_has_one_direct_conversation() {
    let hub = hub().start().await;
    let (alice, bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let (first, second) = tokio::join!(alice.client.direct("bob"), bob.client.direct("alice"));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.room, second.room);
    assert_eq!([first.duplicate, second.duplicate].iter().filter(|d| **d).count(), 1);
    assert!(alice.client.direct("bob").await.unwrap().duplicate);
    assert_ne!(alice.client.direct("carol").await.unwrap().room, first.room);
    for (who, peer) in [(&alice, "bob"), (&bob, "alice")] {
        let rooms = who.client.rooms(v1::RoomsGet::default()).await.unwrap().rooms;
        let listed = rooms.iter().find(|listed| listed.room == first.room).unwrap();
        assert_eq!((listed.peer.as_deref(), listed.role()), (Some(peer), Role::Owner));
    }
    // Its membership is fixed.
    let room = first.room.as_str();
    assert_eq!(verdict(alice.client.member_add(room, "carol", Role::Member).await), "PERMISSION_DENIED");
    assert_eq!(verdict(alice.client.member_remove(room, "bob").await), "PERMISSION_DENIED");
    assert_eq!(verdict(alice.client.member_remove(room, "alice").await), "PERMISSION_DENIED");
    assert_eq!(verdict(alice.client.member_role(room, "bob", Role::Reader).await), "PERMISSION_DENIED");
}

#[tokio::test]
async fn a_wrong_creation_names_its_field() {
    let hub = hub().start().await;
    let alice = hub.enters("alice").await;
    let create = |members: Vec<v1::Member>, direct| {
        let create = v1::ConversationCreate { members, direct, ..Default::default() };
        alice.client.conversation_create(create)
    };
    let bob = || member("bob", Role::Member);
    assert_eq!(wrong_field(create(vec![bob(), bob()], false).await), "members");
    assert_eq!(wrong_field(create(vec![member("alice", Role::Member)], false).await), "members");
    assert_eq!(wrong_field(create(vec![], true).await), "members");
    assert_eq!(wrong_field(create(vec![bob(), member("carol", Role::Member)], true).await), "members");
    assert_eq!(wrong_field(create(vec![member("a b", Role::Member)], false).await), "members[].user");
    let odd = v1::Member { user: "bob".into(), role: 9 };
    assert_eq!(wrong_field(create(vec![odd], false).await), "members[].role");
    let crowd = (0..1_001).map(|n| member(&format!("u{n}"), Role::Member)).collect();
    assert_eq!(wrong_field(create(crowd, false).await), "members");
    let metadata = (0..33).map(|n| (n.to_string(), String::new())).collect();
    let wide = v1::ConversationCreate { metadata, ..Default::default() };
    assert_eq!(wrong_field(alice.client.conversation_create(wide).await), "metadata");
    let short = alice.client.with_key(&b"short"[..]);
    assert_eq!(wrong_field(short.conversation_create(with_title("x")).await), "idempotency_key");
    assert!(alice.client.rooms(v1::RoomsGet::default()).await.unwrap().rooms.is_empty(), "nothing is left");
}

#[tokio::test]
async fn metadata_changes_under_its_version() {
    let hub = hub().start().await;
    let (alice, mut bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let room = alice.client.conversation_create(with_title("plans")).await.unwrap().room;
    bob.joins(&room).await;
    let version = |rooms: v1::RoomsPage| rooms.rooms[0].version;
    let first = version(alice.client.rooms(v1::RoomsGet::default()).await.unwrap());
    let update = |expected_version, remove: &[&str]| v1::ConversationUpdate {
        room: room.clone(),
        metadata: [("topic".to_owned(), "tea".to_owned())].into(),
        remove_keys: remove.iter().map(|key| (*key).to_owned()).collect(),
        expected_version,
    };
    let accepted = alice.client.conversation_update(update(Some(first), &["title"])).await.unwrap();
    let changed = bob.waits_for(|event| match event {
        Event::RoomChanged(changed) => Some(changed),
        _ => None,
    });
    let changed = changed.await;
    assert_eq!(changed.metadata, [("topic".to_owned(), "tea".to_owned())].into());
    assert!(!changed.created && changed.header.unwrap().seq == seq_of(&accepted));
    assert_eq!(version(alice.client.rooms(v1::RoomsGet::default()).await.unwrap()), seq_of(&accepted));
    assert_eq!(verdict(alice.client.conversation_update(update(Some(first), &[])).await), "CONFLICT");
    assert_eq!(verdict(bob.client.conversation_update(update(None, &[])).await), "PERMISSION_DENIED");
    assert_eq!(
        wrong_field(alice.client.conversation_update(update(None, &["topic"])).await),
        "remove_keys[]"
    );
    let many = v1::ConversationUpdate {
        metadata: (0..32).map(|n| (n.to_string(), String::new())).collect(),
        ..update(None, &[])
    };
    assert_eq!(wrong_field(alice.client.conversation_update(many).await), "metadata");
    // A room that came to be with its first message has no metadata to change.
    alice.client.send("room:lobby", "hello").await.unwrap();
    let lobby = v1::ConversationUpdate { room: "room:lobby".into(), ..update(None, &[]) };
    assert_eq!(verdict(alice.client.conversation_update(lobby).await), "PERMISSION_DENIED");
}

#[tokio::test]
async fn no_room_of_another_tenant_can_be_told_from_none() {
    let hub = hub().start().await;
    let alice = hub.enters("alice").await;
    let room = alice.creates(&[]).await;
    let options = carillon_client::ClientOptions::new(hub.url());
    let token = hub.token_of("other", "alice", std::time::Duration::from_mins(10));
    let stranger = carillon_tests::Person::connect("alice", options.token(token)).await;
    let outsider = hub.enters("bob").await;
    for who in [&stranger, &outsider] {
        for name in [room.as_str(), "conversation:none", "unknown:1"] {
            let seen = [
                refusal(who.client.join(name).await),
                refusal(who.client.send(name, "hello").await),
                refusal(who.client.members(v1::MembersGet { room: name.into(), ..Default::default() }).await),
                refusal(who.client.history(v1::HistoryGet { room: name.into(), ..Default::default() }).await),
                refusal(who.client.mark_read(name, 1).await),
                refusal(who.client.member_remove(name, who.name.as_str()).await),
            ];
            for refusal in seen {
                assert_eq!((refusal.code.name(), refusal.violations.len()), ("ACCESS_DENIED", 0), "{name}");
            }
        }
    }
    let content = Some(text("still here"));
    let send = v1::MessageSend { room, content, ..Default::default() };
    assert_eq!(alice.client.send_message(send).await.unwrap().number, 1);
}
