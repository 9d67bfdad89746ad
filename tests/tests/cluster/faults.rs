//! Connections break and Redis dies, in the middle of it: nothing that was acknowledged is lost, told twice or out of order.

use std::time::Duration;

use carillon_client::Event;
use carillon_tests::{Person, seq, words};

use crate::load::Load;
use crate::nodes::two;

pub(crate) const ROOM: &str = "room:lobby";

/// The last message.
pub(crate) const END: &str = "the end";

async fn says_at_last(person: &Person, text: &str) {
    while person.client.send(ROOM, text).await.is_err() {}
}

/// Of both nodes, once their people hear and are heard: how long that took.
async fn both_recover(load: &Load) -> Duration {
    load.recovers(0).await.max(load.recovers(1).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_the_bus_that_are_killed_cost_nothing() {
    let nodes = two().await;
    let load = Load::begin(&[&nodes.one, &nodes.other]).await;
    let (mut killed, mut recovered) = (0, Duration::ZERO);
    for _ in 0..10 {
        load.is_acknowledged(0, 50).await;
        killed += tokio::task::block_in_place(|| nodes.redis.command::<u64>("CLIENT KILL TYPE pubsub"));
        recovered = recovered.max(both_recover(&load).await);
    }
    assert!(killed >= 20, "{killed}");
    let outcome = load.end("all connections of the bus killed, ten times", recovered).await;
    assert_eq!(outcome.ended, [0, 0], "sessions stay");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_dies_and_comes_back_loses_nothing_that_was_acknowledged() {
    let mut nodes = two().await;
    let load = Load::begin(&[&nodes.one, &nodes.other]).await;
    let mut recovered = Duration::ZERO;
    for _ in 0..3 {
        load.is_acknowledged(0, 50).await;
        tokio::task::block_in_place(|| {
            nodes.redis.kill();
            nodes.redis.restart();
        });
        recovered = recovered.max(both_recover(&load).await);
    }
    load.end("Redis killed below two nodes, three times", recovered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_stands_still_costs_nothing_that_was_acknowledged() {
    let nodes = two().await;
    let load = Load::begin(&[&nodes.one, &nodes.other]).await;
    for node in [0, 1] {
        load.is_acknowledged(node, 100).await;
    }
    nodes.redis.freeze();
    // Commands have waited for as long as they may: five seconds.
    for node in [0, 1] {
        load.is_unknown(node, 1).await;
    }
    nodes.redis.thaw();
    let recovered = both_recover(&load).await;
    let outcome = load.end("Redis stands still for 5 s below two nodes", recovered).await;
    assert_eq!(outcome.ended, [0, 0], "sessions stay");
}

/// Whichever of the two comes first, the other is told of the same entry.
#[tokio::test(flavor = "multi_thread")]
async fn one_key_on_two_nodes_at_once_is_one_message() {
    const KEYS: usize = 200;
    let nodes = two().await;
    let (one, other) = (nodes.one.enters("alice").await, nodes.other.enters("alice").await);
    let (mut carol, mut dan) = (nodes.one.enters("carol").await, nodes.other.enters("dan").await);
    for person in [&carol, &dan] {
        person.joins(ROOM).await;
    }
    let (mut acknowledged, mut duplicates) = (Vec::new(), 0);
    for n in 0..KEYS {
        let (key, text) = (format!("one-key-{n:04}"), format!("{n}"));
        let (here, there) = (one.client.with_key(key.clone()), other.client.with_key(key));
        let sent = tokio::try_join!(here.send(ROOM, text.as_str()), there.send(ROOM, text.as_str()));
        let (here, there) = sent.expect("both are answered");
        assert_eq!((here.position, here.number), (there.position, there.number), "one entry");
        duplicates += usize::from(here.duplicate) + usize::from(there.duplicate);
        acknowledged.push((here.position.expect("a position").seq, text));
    }
    assert_eq!(duplicates, KEYS, "of each two one is told that the other was first");
    for person in [&mut carol, &mut dan] {
        let mut heard = Vec::new();
        while heard.len() < KEYS {
            let message = person.hears(ROOM).await;
            heard.push((seq(&message), words(&message).to_owned()));
        }
        assert_eq!(heard, acknowledged, "each once, in order, where it was said to be");
    }
    // Nothing comes after the last.
    assert_eq!(one.says(ROOM, END).await, KEYS as u64 + 1);
}

/// The messages of the room until it is said that it is another one.
async fn begins_anew(person: &mut Person) -> Vec<u64> {
    let mut before = Vec::new();
    loop {
        match person.next().await {
            Event::Truncated { room } if room == ROOM => return before,
            Event::Message(message) => before.push(seq(&message)),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_told_what_redis_then_lost_is_told_so() {
    let mut nodes = two().await;
    let (mut alice, mut bob) = (nodes.one.enters("alice").await, nodes.other.enters("bob").await);
    // One who has the same and does not say anything.
    let mut carol = nodes.one.enters("carol").await;
    let mut kept = None;
    for person in [&alice, &bob, &carol] {
        person.joins(ROOM).await;
    }
    for n in 1..=8 {
        alice.says(ROOM, &format!("{n}")).await;
        for person in [&mut alice, &mut bob, &mut carol] {
            assert_eq!(seq(&person.hears(ROOM).await), n);
        }
        if n == 5 {
            kept = Some(nodes.redis.back_up());
        }
    }
    tokio::task::block_in_place(|| {
        nodes.redis.kill();
        nodes.redis.go_back(&kept.expect("it was copied"));
        nodes.redis.restart();
    });
    // It takes the place of one that they have.
    says_at_last(&alice, "another sixth").await;
    says_at_last(&bob, END).await;
    for person in [&mut alice, &mut bob, &mut carol] {
        let before = begins_anew(person).await;
        assert!(before.is_empty(), "{before:?} was told to {} as if it followed", person.name);
    }
    let said = bob.says(ROOM, "from now on").await;
    for person in [&mut alice, &mut bob, &mut carol] {
        // What came after they had begun anew came in order.
        let mut last = seq(&person.hears(ROOM).await);
        while last < said {
            let next = seq(&person.hears(ROOM).await);
            assert_eq!(next, last + 1);
            last = next;
        }
    }
    let message = |event: &Event| match event {
        Event::Message(message) => Some(words(message).to_owned()),
        _ => None,
    };
    let texts: Vec<_> = carol.reads(ROOM).await.iter().filter_map(message).collect();
    assert_eq!(texts[..6], ["1", "2", "3", "4", "5", "another sixth"]);
}
