//! Marks and counts reach whom they concern, also those that their node did not hear of.

use std::collections::BTreeMap;

use carillon_client::Event;
use carillon_client::v1::Role;
use carillon_tests::{Keeps, Redis, TestHub, hub};

const ROOM: &str = "room:lobby";

/// A node whose connections that hear can be taken away: a user of its own to Redis.
async fn hard_of_hearing(redis: &Redis) -> TestHub {
    let node = hub().without_grace().node_of(redis).with(|config| {
        config.redis.user = Some("deaf".to_owned());
        config.redis.password = Some("any".to_owned().into());
    });
    node.start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_that_a_node_did_not_hear_of_are_told_once_it_hears_again() {
    let redis = Redis::start(Keeps::Always);
    let does = |words: &str| tokio::task::block_in_place(|| redis.command::<String>(words));
    does("ACL SETUSER deaf on nopass +@all ~* &*");
    let one = hard_of_hearing(&redis).await;
    let other = hub().without_grace().node_of(&redis).start().await;
    let (mut alice, mut bob) = (one.enters("alice").await, other.enters("bob").await);
    let carol = other.enters("carol").await;
    for person in [&alice, &bob, &carol] {
        person.joins(ROOM).await;
    }
    for n in 1..=3 {
        alice.says(ROOM, &format!("{n}")).await;
        bob.hears(ROOM).await;
    }
    bob.client.mark_read(ROOM, 1).await.unwrap();
    assert_eq!(alice.sees_marks(ROOM, "bob").await, (1, 1));
    // Its connections that subscribe are closed, and no other may.
    does("ACL SETUSER deaf resetchannels");
    bob.client.mark_read(ROOM, 2).await.unwrap();
    carol.client.mark_delivered(ROOM, 3).await.unwrap();
    does("ACL SETUSER deaf allchannels");
    assert_eq!(alice.sees_marks(ROOM, "bob").await, (2, 2));
    bob.client.mark_read(ROOM, 3).await.unwrap();
    assert_eq!(alice.sees_marks(ROOM, "bob").await, (3, 3), "each once, and from then on as before");
}

/// One of his devices is where nothing was heard of it for a while.
#[tokio::test(flavor = "multi_thread")]
async fn counts_of_members_who_have_not_joined_are_right_once_their_node_hears_again() {
    let redis = Redis::start(Keeps::Always);
    let does = |words: &str| tokio::task::block_in_place(|| redis.command::<String>(words));
    does("ACL SETUSER deaf on nopass +@all ~* &*");
    let (one, other) = (hard_of_hearing(&redis).await, hub().without_grace().node_of(&redis).start().await);
    let (mut phone, laptop) = (one.enters("bob").await, other.enters("bob").await);
    let alice = other.enters("alice").await;
    let read = alice.creates(&[("bob", Role::Member)]).await;
    let written = alice.creates(&[("bob", Role::Member)]).await;
    let seq = alice.says(&read, "to be read").await;
    alice.says(&written, "one").await;
    for room in [&read, &written] {
        phone.hears_unread(room, 1).await;
    }
    does("ACL SETUSER deaf resetchannels");
    laptop.client.mark_read(&read, seq).await.unwrap();
    alice.says(&written, "two").await;
    let new = alice.creates(&[("bob", Role::Member)]).await;
    alice.says(&new, "in a new one").await;
    does("ACL SETUSER deaf allchannels");
    let (mut counts, wanted) = (BTreeMap::new(), BTreeMap::from([(&read, 0), (&written, 2), (&new, 1)]));
    while counts != wanted {
        let told = phone.waits_for(|event| match event {
            Event::Unread(unread) => Some(*unread),
            _ => None,
        });
        let told = told.await;
        if let Some(room) = wanted.keys().find(|room| ***room == told.room) {
            counts.insert(*room, told.count);
        }
    }
    // And from then on as before.
    alice.says(&new, "another").await;
    assert_eq!(phone.hears_unread(&new, 2).await.count, 2);
}
