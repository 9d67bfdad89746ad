//! Unread counts: for members who do not follow the room, in the list of rooms, and for who was offline.

use std::collections::BTreeMap;

use carillon_client::{Event, v1};
use carillon_tests::story::text_of;
use carillon_tests::{Person, hub};
use prost::Message as _;
use v1::Role;
use v1::content::Body;

#[tokio::test]
async fn members_who_do_not_follow_learn_of_unread_messages() {
    let hub = hub().start().await;
    let (alice, mut bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let mut outsider = hub.enters("carol").await;
    let room = alice.creates(&[("bob", Role::Member)]).await;
    let mut seq = 0;
    for n in 0..40 {
        seq = alice.says(&room, &format!("message {n}")).await;
    }
    // What is no message is neither counted nor the latest one.
    for n in 0..12 {
        alice.client.react(&room, seq, format!("{n}"), true).await.unwrap();
    }
    let told = bob.hears_unread(&room, 40).await;
    assert_eq!((told.count, told.last_seq), (40, seq));
    let last = told.last_message.unwrap();
    assert_eq!((carillon_tests::seq(&last), text_of(last.content.as_ref())), (seq, "message 39"));
    alice.says(&room, "one more").await;
    let told = bob.hears_unread(&room, 41).await;
    assert_eq!((told.count, text_of(told.last_message.unwrap().content.as_ref())), (41, "one more"));
    // Whoever follows the room sees its messages instead, and whoever is no member nothing.
    let other = alice.creates(&[("bob", Role::Member), ("carol", Role::Member)]).await;
    bob.joins(&other).await;
    alice.says(&other, "hello").await;
    assert_eq!(outsider.hears_unread(&other, 1).await.count, 1);
    loop {
        match bob.next().await {
            Event::Unread(unread) => assert_ne!(unread.room, other),
            Event::Message(message) if message.room == other => break,
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_large_message_is_counted_and_not_told_with_the_count() {
    let hub = hub().start().await;
    let (alice, mut bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let room = alice.creates(&[("bob", Role::Member)]).await;
    let seq = alice.says(&room, &"large ".repeat(1_000)).await;
    let told = bob.hears_unread(&room, 1).await;
    assert_eq!((told.last_seq, told.last_message), (seq, None));
}

#[tokio::test]
async fn edits_do_not_count_and_deleted_messages_count_until_passed() {
    let hub = hub().start().await;
    let (alice, bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let room = alice.creates(&[("bob", Role::Member)]).await;
    let first = alice.says(&room, "first").await;
    let second = alice.says(&room, "second").await;
    alice.client.edit(&room, first, "the first").await.unwrap();
    alice.client.delete(&room, second).await.unwrap();
    let listed = async || {
        let page = bob.client.rooms(v1::RoomsGet::default()).await.unwrap();
        let room = page.rooms.into_iter().next().unwrap();
        (room.unread, room.head_number, room.last_message)
    };
    let (unread, number, last) = listed().await;
    assert_eq!((unread, number), (2, 2));
    let last = last.unwrap();
    assert!(last.deleted && carillon_tests::seq(&last) == second);
    bob.client.mark_read(&room, first).await.unwrap();
    assert_eq!(listed().await.0, 1);
    bob.client.mark_read(&room, second).await.unwrap();
    assert_eq!(listed().await.0, 0);
    let only = v1::RoomsGet { unread_only: true, ..Default::default() };
    assert!(bob.client.rooms(only.clone()).await.unwrap().rooms.is_empty());
    alice.says(&room, "third").await;
    assert_eq!(bob.client.rooms(only).await.unwrap().rooms[0].unread, 1);
}

/// Whoever is added, again or by whomever: what was written before is history, which may be read, and not unread.
#[tokio::test]
async fn what_was_written_before_one_became_a_member_is_not_unread() {
    let hub = hub().start().await;
    let (admin, alice) = (hub.admin(), hub.enters("alice").await);
    let (mut bob, carol) = (hub.enters("bob").await, hub.enters("carol").await);
    let room = alice.creates(&[("dave", Role::Member)]).await;
    for words in ["one", "two", "three"] {
        alice.says(&room, words).await;
    }
    let listed = async |person: &Person| {
        let page = person.client.rooms(v1::RoomsGet::default()).await.unwrap();
        page.rooms
            .into_iter()
            .find(|listed| listed.room == room)
            .map(|listed| (listed.unread, listed.marks.unwrap().read))
    };
    alice.client.member_add(&room, "bob", Role::Member).await.unwrap();
    let add = v1::AddMemberRequest { room: room.clone(), user: "carol".into(), ..Default::default() };
    admin.add_member(add).await.unwrap();
    assert_eq!((listed(&bob).await, listed(&carol).await), (Some((0, 0)), Some((0, 0))));
    assert_eq!(listed(&hub.enters("dave").await).await, Some((3, 0)), "who was there from the beginning");
    assert!(bob.reads(&room).await.len() > 3, "history is for new members too");
    alice.says(&room, "four").await;
    assert_eq!((listed(&bob).await, listed(&carol).await), (Some((1, 0)), Some((1, 0))));
    assert_eq!(bob.hears_unread(&room, 1).await.count, 1);
    alice.client.member_remove(&room, "bob").await.unwrap();
    alice.says(&room, "five").await;
    alice.client.member_add(&room, "bob", Role::Member).await.unwrap();
    assert_eq!(listed(&bob).await, Some((0, 0)));
    let connected = hub.enters("bob").await.client.connected();
    assert!(connected.unread.is_empty());
}

#[tokio::test]
async fn who_was_offline_is_told_when_they_connect() {
    let hub = hub().start().await;
    let alice = hub.enters("alice").await;
    let bob = hub.enters("bob").await;
    assert!(bob.client.connected().unread.is_empty());
    bob.client.close().await;
    let mut rooms = Vec::new();
    for _ in 0..103 {
        rooms.push(alice.creates(&[("bob", Role::Member)]).await);
    }
    for room in &rooms {
        alice.says(room, "hello").await;
    }
    alice.says(&rooms[0], "and more").await;
    let bob = hub.enters("bob").await;
    let connected = bob.client.connected();
    assert!(connected.unread_more);
    let told: Vec<_> = connected.unread.iter().map(|room| (room.room.clone(), room.unread)).collect();
    let expected = rooms.iter().enumerate().map(|(n, room)| (room.clone(), if n == 0 { 2 } else { 1 }));
    assert_eq!(told, expected.take(100).collect::<Vec<_>>());
    assert_eq!(connected.unread[0].role(), Role::Member);
    let cursor = v1::RoomsGet { unread_only: true, limit: 200, ..Default::default() };
    assert_eq!(bob.client.rooms(cursor).await.unwrap().rooms.len(), 103);
}

/// Whatever others write where bob is a member, his sessions open: `connected` stays small, and lists are paged.
#[tokio::test]
async fn large_rooms_do_not_keep_anyone_out() {
    let hub = hub().start().await;
    let (mallory, bob) = (hub.enters("mallory").await, hub.enters("bob").await);
    bob.client.close().await;
    let metadata: BTreeMap<_, _> =
        (0..32).map(|number| (format!("{number:064}"), "m".repeat(1_024))).collect();
    let body = Some(Body::Data(vec![7; 65_536].into()));
    let mut rooms = Vec::new();
    for _ in 0..45 {
        let members = vec![v1::Member { user: "bob".into(), role: Role::Member.into() }];
        let create = v1::ConversationCreate { members, metadata: metadata.clone(), direct: false };
        let room = mallory.client.conversation_create(create).await.unwrap().room;
        let content = Some(v1::Content { body: body.clone(), media_type: String::new() });
        let send = v1::MessageSend { room: room.clone(), content, ..Default::default() };
        mallory.client.send_message(send).await.unwrap();
        rooms.push(room);
    }
    let bob = hub.enters("bob").await;
    let connected = bob.client.connected();
    assert!(connected.encoded_len() < 256 * 1024, "{}", connected.encoded_len());
    assert!(connected.unread_more && !connected.unread.is_empty());
    assert!(connected.unread[0].last_message.is_none() && connected.unread[0].metadata.len() == 32);
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = bob.client.rooms(v1::RoomsGet { cursor, limit: 200, unread_only: true }).await.unwrap();
        assert!(page.encoded_len() <= 256 * 1024, "{}", page.encoded_len());
        seen.extend(page.rooms.iter().map(|room| room.room.clone()));
        cursor = page.next_cursor;
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(seen, rooms);
}

#[tokio::test]
async fn what_is_read_on_one_device_is_read_on_all() {
    let hub = hub().start().await;
    let (alice, phone, mut laptop) =
        (hub.enters("alice").await, hub.enters("bob").await, hub.enters("bob").await);
    // Most members are not here.
    let room = alice.creates(&[("bob", Role::Member), ("carol", Role::Member), ("dave", Role::Member)]).await;
    alice.says(&room, "one").await;
    let seq = alice.says(&room, "two").await;
    assert_eq!(laptop.hears_unread(&room, 2).await.count, 2);
    phone.joins(&room).await;
    phone.client.mark_read(&room, seq).await.unwrap();
    let told = laptop.waits_for(|event| match event {
        Event::Unread(unread) if unread.room == room && unread.count == 0 => Some(*unread),
        _ => None,
    });
    let told = told.await;
    assert_eq!((told.last_seq, text_of(told.last_message.unwrap().content.as_ref())), (seq, "two"));
}

#[tokio::test]
async fn whoever_is_added_hears_of_it_at_once() {
    let hub = hub().start().await;
    let (alice, mut bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let room = alice.creates(&[("bob", Role::Member)]).await;
    let told = bob.hears_unread(&room, 0).await;
    assert_eq!((told.count, told.last_seq), (0, 0));
}
