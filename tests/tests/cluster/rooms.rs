//! What happens in a room is the same on every node.

use carillon_client::{Event, text, v1};
use carillon_tests::story::{seq_of, text_of};
use carillon_tests::{Person, seq, words};
use v1::{LeaveReason, Role};

use crate::nodes::two;

#[tokio::test]
async fn two_people_on_different_nodes_talk() {
    let nodes = two().await;
    let (mut alice, mut bob) = (nodes.one.enters("alice").await, nodes.other.enters("bob").await);
    alice.joins("room:lobby").await;
    bob.joins("room:lobby").await;
    for n in 1..=40 {
        let (speaker, said) = if n % 2 == 0 { (&alice, "to bob") } else { (&bob, "to alice") };
        assert_eq!(speaker.says("room:lobby", said).await, n);
        for listener in [&mut alice, &mut bob] {
            let heard = listener.hears("room:lobby").await;
            assert_eq!((seq(&heard), words(&heard)), (n, said));
        }
    }
}

#[tokio::test]
async fn all_at_once_is_one_order_everywhere() {
    const EACH: u64 = 100;
    let nodes = two().await;
    let mut people = Vec::new();
    for (name, hub) in
        [("alice", &nodes.one), ("bob", &nodes.other), ("carol", &nodes.one), ("dan", &nodes.other)]
    {
        let person = hub.enters(name).await;
        person.joins("room:lobby").await;
        people.push(person);
    }
    let sends: Vec<_> = people
        .iter()
        .map(|person| {
            let (client, name) = (person.client.clone(), person.name.clone());
            tokio::spawn(async move {
                for n in 0..EACH {
                    client.send("room:lobby", format!("{name} {n}")).await.unwrap();
                }
            })
        })
        .collect();
    let listening = people.iter_mut().map(async |person| {
        let mut log = Vec::new();
        for n in 1..=4 * EACH {
            let message = person.hears("room:lobby").await;
            assert_eq!(seq(&message), n, "in order, each once");
            log.push(words(&message).to_owned());
        }
        log
    });
    let logs = futures::future::join_all(listening).await;
    for send in sends {
        send.await.unwrap();
    }
    assert!(logs.iter().all(|log| *log == logs[0]));
}

#[tokio::test]
async fn who_joins_on_another_node_goes_on_where_they_were() {
    let nodes = two().await;
    let alice = nodes.one.enters("alice").await;
    let bob = nodes.one.enters("bob").await;
    bob.joins("room:lobby").await;
    alice.says("room:lobby", "first").await;
    let since = bob.joins("room:lobby").await.position;
    drop(bob);
    for n in 0..20 {
        alice.says("room:lobby", &format!("{n}")).await;
    }
    let mut bob = nodes.other.enters("bob").await;
    let join = v1::Join { room: "room:lobby".into(), since, ..Default::default() };
    let joined = bob.client.join_with(join).await.unwrap();
    assert!(!joined.truncated && joined.recovered);
    for n in 2..=21 {
        assert_eq!(seq(&bob.hears("room:lobby").await), n);
    }
    alice.says("room:lobby", "now").await;
    assert_eq!(seq(&bob.hears("room:lobby").await), 22);
}

#[tokio::test]
async fn edits_deletions_and_reactions_are_seen_on_the_other_node() {
    let nodes = two().await;
    let (alice, mut bob) = (nodes.one.enters("alice").await, nodes.other.enters("bob").await);
    let room = alice.creates(&[("bob", Role::Member)]).await;
    bob.joins(&room).await;
    let first = alice.says(&room, "helo").await;
    alice.client.edit(&room, first, "hello").await.unwrap();
    bob.client.react(&room, first, "+1", true).await.unwrap();
    let deleted = seq_of(&alice.client.delete(&room, first).await.unwrap());
    let heard = bob.hears_through(&room, deleted).await;
    let edited = heard.iter().find_map(|event| match event {
        Event::MessageEdited(edited) => Some(text_of(edited.content.as_ref()).to_owned()),
        _ => None,
    });
    // Deleted in between, it says nothing any more.
    assert!(edited.is_some_and(|text| text == "hello" || text.is_empty()));
    assert!(heard.iter().any(|event| matches!(event, Event::Reaction(_))));
    assert!(matches!(heard.last(), Some(Event::MessageDeleted(_))));
}

#[tokio::test]
async fn a_removal_on_one_node_ends_what_is_heard_on_the_other() {
    let nodes = two().await;
    let (alice, mut bob) = (nodes.one.enters("alice").await, nodes.other.enters("bob").await);
    let room = alice.creates(&[("bob", Role::Member)]).await;
    let head = bob.joins(&room).await.position.unwrap().seq;
    alice.says(&room, "still here").await;
    let removed = seq_of(&alice.client.member_remove(&room, "bob").await.unwrap());
    alice.says(&room, "not for bob").await;
    let mut seqs = Vec::new();
    let reason = loop {
        match bob.next().await {
            Event::Left(left) => break left.reason(),
            event => seqs.extend(event.entry().map(|(_, header)| header.seq)),
        }
    };
    assert_eq!((seqs, reason), ((head + 1..=removed).collect(), LeaveReason::Removed));
}

async fn typing(person: &mut Person) -> (String, bool) {
    person
        .waits_for(|event| match event {
            Event::Typing(typing) => Some((typing.user, typing.active)),
            _ => None,
        })
        .await
}

#[tokio::test]
async fn typing_and_marks_are_seen_on_the_other_node() {
    let nodes = two().await;
    let (mut alice, mut bob) = (nodes.one.enters("alice").await, nodes.other.enters("bob").await);
    let mut phone = nodes.other.enters("alice").await;
    let room = alice.creates(&[("bob", Role::Member)]).await;
    for person in [&alice, &bob, &phone] {
        person.joins(&room).await;
    }
    alice.client.typing(&room, true).await.unwrap();
    assert_eq!(typing(&mut bob).await, ("alice".to_owned(), true));
    alice.client.typing(&room, false).await.unwrap();
    assert_eq!(typing(&mut bob).await, ("alice".to_owned(), false));
    // One's own devices elsewhere are not told.
    bob.client.typing(&room, true).await.unwrap();
    for device in [&mut alice, &mut phone] {
        assert_eq!(typing(device).await, ("bob".to_owned(), true));
    }
    let said = alice.says(&room, "read me").await;
    bob.hears(&room).await;
    bob.client.mark_read(&room, said).await.unwrap();
    assert_eq!(alice.sees_marks(&room, "bob").await, (said, said));
}

#[tokio::test]
async fn ephemeral_events_reach_the_other_node() {
    let nodes = two().await;
    let (mut alice, mut bob) = (nodes.one.enters("alice").await, nodes.other.enters("bob").await);
    alice.joins("live:1").await;
    bob.joins("live:1").await;
    let event = |name: &str, exclude_self| v1::EventPublish {
        room: "live:1".into(),
        name: name.into(),
        payload: Some(text("x")),
        exclude_self,
        ..Default::default()
    };
    for (name, exclude_self) in [("mine", true), ("ours", false)] {
        alice.client.publish(event(name, exclude_self)).await.unwrap();
    }
    let next = async |person: &mut Person| {
        person
            .waits_for(|event| match event {
                Event::Event(event) => Some(event.name),
                _ => None,
            })
            .await
    };
    assert_eq!(next(&mut alice).await, "ours");
    assert_eq!((next(&mut bob).await, next(&mut bob).await), ("mine".to_owned(), "ours".to_owned()));
    // Both ways, once each.
    bob.client.publish(event("back", false)).await.unwrap();
    assert_eq!((next(&mut alice).await, next(&mut bob).await), ("back".to_owned(), "back".to_owned()));
}
