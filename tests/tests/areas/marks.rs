//! Delivered and read marks: they only grow, and others see them.

use carillon_client::{Event, v1};
use carillon_tests::hub;
use carillon_tests::story::verdict;
use v1::Role;

#[tokio::test]
async fn marks_only_grow_and_read_implies_delivered() {
    let hub = hub().start().await;
    let (mut alice, bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let room = alice.creates(&[("bob", Role::Reader)]).await;
    alice.joins(&room).await;
    let mut seqs = Vec::new();
    for _ in 0..5 {
        seqs.push(alice.says(&room, "hello").await);
    }
    let marks = |marks: v1::Marks| (marks.delivered, marks.read);
    let bobs = &bob.client;
    assert_eq!(marks(bobs.mark_delivered(&room, seqs[2]).await.unwrap()), (seqs[2], 0));
    assert_eq!(alice.sees_marks(&room, "bob").await, (seqs[2], 0));
    assert_eq!(marks(bobs.mark_read(&room, seqs[1]).await.unwrap()), (seqs[2], seqs[1]));
    assert_eq!(alice.sees_marks(&room, "bob").await, (seqs[2], seqs[1]));
    assert_eq!(marks(bobs.mark_read(&room, seqs[3]).await.unwrap()), (seqs[3], seqs[3]));
    assert_eq!(alice.sees_marks(&room, "bob").await, (seqs[3], seqs[3]));
    for lower in [bobs.mark_read(&room, 1).await, bobs.mark_delivered(&room, seqs[2]).await] {
        assert_eq!(marks(lower.unwrap()), (seqs[3], seqs[3]), "what is lower changes nothing");
    }
    let accepted = bobs.mark_delivered(&room, seqs[4]).await.unwrap();
    assert_eq!((accepted.room, accepted.user, accepted.delivered), (room.clone(), "bob".into(), seqs[4]));
    assert_eq!(alice.sees_marks(&room, "bob").await, (seqs[4], seqs[3]), "what changes nothing is not told");
    assert_eq!(marks(bob.joins(&room).await.marks.unwrap()), (seqs[4], seqs[3]));
}

#[tokio::test]
async fn sending_marks_ones_own() {
    let hub = hub().start().await;
    let (alice, bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let room = alice.creates(&[("bob", Role::Member)]).await;
    alice.says(&room, "hello").await;
    let seq = bob.says(&room, "hello to you").await;
    let marks = bob.joins(&room).await.marks.unwrap();
    assert_eq!((marks.user.as_str(), marks.delivered, marks.read), ("bob", seq, seq));
    let rooms = bob.client.rooms(v1::RoomsGet::default()).await.unwrap().rooms;
    assert_eq!(rooms[0].unread, 0);
    let marks = rooms[0].marks.as_ref().unwrap();
    assert_eq!((marks.delivered, marks.read, marks.user.as_str()), (seq, seq, ""));
    let rooms = alice.client.rooms(v1::RoomsGet::default()).await.unwrap().rooms;
    assert_eq!(rooms[0].unread, 1);
}

#[tokio::test]
async fn another_device_learns_of_ones_marks() {
    let hub = hub().start().await;
    let alice = hub.enters("alice").await;
    let room = alice.creates(&[("bob", Role::Member)]).await;
    let seq = alice.says(&room, "hello").await;
    let (phone, mut laptop) = (hub.enters("bob").await, hub.enters("bob").await);
    laptop.joins(&room).await;
    phone.client.mark_read(&room, seq).await.unwrap();
    assert_eq!(laptop.sees_marks(&room, "bob").await, (seq, seq));
}

#[tokio::test]
async fn without_receipts_marks_are_kept_and_shown_to_nobody_else() {
    let discreet = |config: &mut carillon_hub::config::Config| {
        for namespace in config.namespaces.iter_mut().filter(|n| n.name == "room") {
            namespace.receipts = false;
        }
    };
    let hub = hub().with(discreet).start().await;
    let (mut alice, bob) = (hub.enters("alice").await, hub.enters("bob").await);
    assert!(!alice.joins("room:lobby").await.rules.unwrap().receipts);
    let seq = alice.says("room:lobby", "hello").await;
    assert_eq!(bob.client.mark_read("room:lobby", seq).await.unwrap().read, seq);
    bob.joins("room:lobby").await;
    // What a user has read their other devices are told, the one that is joined there too.
    let mut tablet = hub.enters("bob").await;
    tablet.joins("room:lobby").await;
    let next = alice.says("room:lobby", "once more").await;
    assert_eq!(bob.client.mark_read("room:lobby", next).await.unwrap().read, next);
    assert_eq!(tablet.sees_marks("room:lobby", "bob").await, (next, next));
    // What is told at all comes in this order: bob's typing is the next after his marks would have been.
    bob.client.typing("room:lobby", true).await.unwrap();
    loop {
        match alice.next().await {
            Event::Marks(marks) => panic!("{marks:?}"),
            Event::Typing(typing) if typing.user == "bob" => break,
            _ => {}
        }
    }
    assert_eq!(verdict(bob.client.mark_read("room:lobby", seq).await), "ok");
}
