//! Marks reach who follows the room, also those that their node did not hear of.

use carillon_tests::{Keeps, Redis, hub};

const ROOM: &str = "room:lobby";

#[tokio::test(flavor = "multi_thread")]
async fn marks_that_a_node_did_not_hear_of_are_told_once_it_hears_again() {
    let redis = Redis::start(Keeps::Always);
    let does = |words: &str| tokio::task::block_in_place(|| redis.command::<String>(words));
    does("ACL SETUSER deaf on nopass +@all ~* &*");
    let one = hub().without_grace().node_of(&redis).with(|config| {
        config.redis.user = Some("deaf".to_owned());
        config.redis.password = Some("any".to_owned().into());
    });
    let one = one.start().await;
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
