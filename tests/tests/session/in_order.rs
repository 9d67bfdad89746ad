//! What a session sends for one room is carried out in the order in which it sent it, also where something of it is refused at
//! first and decided on again.

use std::collections::HashMap;

use carillon_client::v1;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_tests::story::member;
use carillon_tests::wire::{request, say};
use carillon_tests::{TestHub, Wire, hub};
use v1::Role;

/// A conversation of alice with bob and carol, who own it as well.
async fn conversation(hub: &TestHub) -> String {
    let members = vec![member("bob", Role::Owner), member("carol", Role::Owner)];
    let create = v1::ConversationCreate { members, ..Default::default() };
    hub.enters("alice").await.client.conversation_create(create).await.unwrap().room
}

/// Sends all at once; the answers in order.
async fn asks_all(wire: &mut Wire, first: u32, commands: Vec<Command>) -> Vec<Kind> {
    let ids = first..first + commands.len() as u32;
    let requests: Vec<_> = ids.clone().zip(commands).map(|(id, command)| request(id, command)).collect();
    wire.send(&requests);
    let mut answers = Vec::new();
    for id in ids {
        answers.push(wire.answer(id).await);
    }
    answers
}

fn places(answers: &[Kind]) -> Vec<u64> {
    let place = |answer: &Kind| match answer {
        Kind::MessageSent(sent) => sent.position.unwrap().seq,
        Kind::EntryAccepted(accepted) => accepted.position.unwrap().seq,
        other => panic!("{other:?}"),
    };
    answers.iter().map(place).collect()
}

fn update(room: &str, key: &str, value: String) -> Command {
    let metadata = HashMap::from([(key.to_owned(), value)]).into_iter().collect();
    Command::ConversationUpdate(v1::ConversationUpdate {
        room: room.to_owned(),
        metadata,
        ..Default::default()
    })
}

fn role(room: &str, user: &str, role: Role) -> Command {
    Command::MemberRole(v1::MemberRole { room: room.to_owned(), user: user.to_owned(), role: role.into() })
}

#[tokio::test]
async fn messages_keep_their_order_while_their_senders_role_changes() {
    let hub = hub().start().await;
    let room = conversation(&hub).await;
    let (mut alice, mut bob) = (Wire::enters(&hub, "alice").await, Wire::enters(&hub, "bob").await);
    for round in 0..30 {
        let other = if round % 2 == 0 { Role::Moderator } else { Role::Member };
        let sends = (0..60).map(|number| say(&room, format!("{round}-{number}"))).collect();
        let changed = bob.asks(role(&room, "alice", other));
        let (answers, changed) = tokio::join!(asks_all(&mut alice, 100 + round * 60, sends), changed);
        assert!(matches!(changed, Kind::EntryAccepted(_)), "{changed:?}");
        let places = places(&answers);
        assert!(places.is_sorted(), "{round}: {places:?}");
    }
}

/// What is said once somebody is out is not for them, though their role changed at that moment and the removal was decided on anew.
#[tokio::test]
async fn what_is_said_after_a_removal_stands_after_it() {
    let hub = hub().start().await;
    let room = conversation(&hub).await;
    let (mut alice, mut carol) = (Wire::enters(&hub, "alice").await, Wire::enters(&hub, "carol").await);
    for round in 0..60 {
        let other = if round % 2 == 0 { Role::Moderator } else { Role::Member };
        let remove = v1::MemberRemove { room: room.clone(), user: "bob".to_owned() };
        let said = vec![Command::MemberRemove(remove), say(&room, "bob is gone, now we talk")];
        // At another moment each time.
        for _ in 0..round % 6 {
            tokio::task::yield_now().await;
        }
        let changed = carol.asks(role(&room, "bob", other));
        let (answers, changed) = tokio::join!(asks_all(&mut alice, 1_000 + round * 2, said), changed);
        let places = places(&answers);
        assert!(places[0] < places[1], "{round}: {places:?}, {changed:?}");
        let add = v1::MemberAdd { room: room.clone(), user: "bob".to_owned(), role: Role::Member.into() };
        assert!(matches!(alice.asks(Command::MemberAdd(add)).await, Kind::EntryAccepted(_)));
    }
}

#[tokio::test]
async fn the_last_of_many_updates_stands() {
    let hub = hub().start().await;
    let room = conversation(&hub).await;
    let mut alice = Wire::enters(&hub, "alice").await;
    for round in 0..10 {
        let updates = (0..5).map(|number| update(&room, "title", format!("{round}-{number}"))).collect();
        let places = places(&asks_all(&mut alice, 100 + round * 5, updates).await);
        assert!(places.is_sorted(), "{round}: {places:?}");
        let Kind::RoomsPage(rooms) = alice.asks(Command::Rooms(v1::RoomsGet::default())).await else {
            panic!()
        };
        assert_eq!(rooms.rooms[0].metadata["title"], format!("{round}-4"));
    }
}

#[tokio::test]
async fn updates_by_several_at_once_are_all_made() {
    const UPDATES: u32 = 20;
    let hub = hub().start().await;
    let room = conversation(&hub).await;
    let mut wires = Vec::new();
    for user in ["alice", "bob", "carol", "alice", "bob", "carol"] {
        wires.push(Wire::enters(&hub, user).await);
    }
    let changes = wires.iter_mut().enumerate().map(|(number, wire)| {
        let room = room.clone();
        async move {
            for value in 0..UPDATES {
                let answer = wire.asks(update(&room, &format!("key{number}"), value.to_string())).await;
                assert!(matches!(answer, Kind::EntryAccepted(_)), "{answer:?}");
            }
        }
    });
    futures::future::join_all(changes).await;
    let Kind::RoomsPage(rooms) = wires[0].asks(Command::Rooms(v1::RoomsGet::default())).await else {
        panic!()
    };
    let metadata = &rooms.rooms[0].metadata;
    assert_eq!(metadata.len(), 6);
    assert!(metadata.values().all(|value| *value == (UPDATES - 1).to_string()), "{metadata:?}");
}

#[tokio::test]
async fn whoever_is_added_and_removed_at_once_is_no_member() {
    let hub = hub().start().await;
    let room = conversation(&hub).await;
    let mut alice = Wire::enters(&hub, "alice").await;
    for round in 0..10 {
        let (room, user) = (room.clone(), "dave".to_owned());
        let add = v1::MemberAdd { room: room.clone(), user: user.clone(), role: Role::Member.into() };
        let commands = vec![
            Command::MemberAdd(add),
            Command::MemberRemove(v1::MemberRemove { room: room.clone(), user }),
        ];
        let places = places(&asks_all(&mut alice, 100 + round * 2, commands).await);
        assert_eq!(places[1], places[0] + 1);
    }
}
