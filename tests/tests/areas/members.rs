//! Lists of members and of one's rooms, page by page, and how many a room takes.

use carillon_client::{ClientOptions, v1};
use carillon_tests::story::{member, verdict, wrong_field};
use carillon_tests::{Person, hub};
use v1::Role;

#[tokio::test]
async fn members_are_listed_page_by_page() {
    let hub = hub().start().await;
    let (alice, bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let names: Vec<String> = (0..23).map(|n| format!("m{n:02}")).collect();
    let mut others: Vec<_> = names.iter().map(|name| (name.as_str(), Role::Member)).collect();
    others.push(("bob", Role::Reader));
    let room = alice.creates(&others).await;
    let page = |who: &Person, cursor: &str, limit| {
        let client = who.client.clone();
        let page = v1::MembersGet { room: room.clone(), cursor: cursor.to_owned(), limit };
        async move { client.members(page).await }
    };
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let listed = page(&alice, &cursor, 10).await.unwrap();
        assert!(listed.members.len() <= 10);
        seen.extend(listed.members.into_iter().map(|member| member.user));
        if listed.next_cursor.is_empty() {
            break;
        }
        cursor = listed.next_cursor;
        // Whoever leaves meanwhile makes no one else missing.
        if seen.len() == 10 {
            alice.client.member_remove(&room, seen[9].as_str()).await.unwrap();
        }
    }
    let mut all = names;
    all.extend(["alice".to_owned(), "bob".to_owned()]);
    all.sort();
    assert_eq!(seen, all);
    let first = page(&alice, "", 10).await.unwrap().next_cursor;
    assert_eq!(wrong_field(page(&bob, &first, 10).await), "cursor");
    assert_eq!(wrong_field(page(&alice, "nonsense", 10).await), "cursor");
    assert_eq!(wrong_field(page(&alice, &"x".repeat(513), 10).await), "cursor");
    assert_eq!(wrong_field(page(&alice, "", 201).await), "limit");
    let elsewhere = alice.creates(&[]).await;
    let page = v1::MembersGet { room: elsewhere, cursor: first.clone(), limit: 10 };
    assert_eq!(wrong_field(alice.client.members(page).await), "cursor");
    let rooms = v1::RoomsGet { cursor: first, ..Default::default() };
    assert_eq!(wrong_field(alice.client.rooms(rooms).await), "cursor");
}

#[tokio::test]
async fn ones_rooms_are_listed_page_by_page() {
    let hub = hub().start().await;
    let (alice, bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let mut mine = Vec::new();
    for n in 0..7 {
        let others = if n % 2 == 0 { vec![("bob", Role::Member)] } else { vec![] };
        mine.push(alice.creates(&others).await);
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = v1::RoomsGet { cursor, limit: 3, ..Default::default() };
        let page = alice.client.rooms(page).await.unwrap();
        seen.extend(page.rooms.into_iter().map(|room| room.room));
        cursor = page.next_cursor;
        if cursor.is_empty() {
            break;
        }
        let stolen = v1::RoomsGet { cursor: cursor.clone(), ..Default::default() };
        assert_eq!(wrong_field(bob.client.rooms(stolen).await), "cursor");
    }
    assert_eq!(seen, mine);
    assert_eq!(bob.client.rooms(v1::RoomsGet::default()).await.unwrap().rooms.len(), 4);
    let options = ClientOptions::new(hub.url());
    let token = hub.token_of("other", "alice", std::time::Duration::from_mins(10));
    let namesake = Person::connect("alice", options.token(token)).await;
    assert!(namesake.client.rooms(v1::RoomsGet::default()).await.unwrap().rooms.is_empty());
}

#[tokio::test]
async fn a_full_room_takes_nobody_even_at_once() {
    let limited = |config: &mut carillon_hub::config::Config| {
        for namespace in config.namespaces.iter_mut().filter(|n| n.name == "conversation") {
            namespace.member_limit = 4;
        }
    };
    let hub = hub().with(limited).start().await;
    let alice = hub.enters("alice").await;
    let crowd = ["b", "c", "d", "e"].map(|user| member(user, Role::Member)).to_vec();
    let create = v1::ConversationCreate { members: crowd, ..Default::default() };
    assert_eq!(wrong_field(alice.client.conversation_create(create).await), "members");
    let room = alice.creates(&[("bob", Role::Member)]).await;
    let adds = ["c", "d", "e", "f", "g"].map(|user| {
        let (client, room) = (alice.client.clone(), room.clone());
        tokio::spawn(async move { verdict(client.member_add(room, user, Role::Member).await) })
    });
    let mut verdicts = Vec::new();
    for add in adds {
        verdicts.push(add.await.unwrap());
    }
    verdicts.sort();
    assert_eq!(verdicts, ["CONFLICT", "CONFLICT", "CONFLICT", "ok", "ok"]);
    alice.client.member_remove(&room, "bob").await.unwrap();
    alice.client.member_add(&room, "h", Role::Member).await.unwrap();
}
