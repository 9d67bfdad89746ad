//! What edits, deletions and reactions do to messages, wherever those are stored.

use carillon_hub::domain::content::Pairs;
use carillon_hub::domain::entry::{EntryBody, Message};
use carillon_hub::domain::limits::REACTIONS_PER_MESSAGE;
use carillon_hub::domain::position::Seq;
use carillon_hub::store::{CommitError, Store};

use crate::harness::*;

const ROOM: &str = "conversation:a";

pub(crate) async fn edits<F: Fixture>() {
    let scene = Scene::<F>::new();
    let attributes = pairs(&[("a", "1")]);
    let sent = Message::new(text("one"), None, attributes.clone());
    scene.commit(append(ROOM, "alice", EntryBody::Message(sent))).await;
    let second = scene.commit(append(ROOM, "alice", edit(1, "two"))).await;
    let third = scene.commit(append(ROOM, "alice", edit(1, "three"))).await;
    assert_eq!((second.version, third.version), (2, 3));
    let read = scene.message(ROOM, 1).await;
    assert_eq!((read.content, read.version, read.edited), (Some(text("three")), 3, Some(third.time)));
    assert_eq!(read.attributes, attributes);
    let log = scene.log(ROOM).await;
    let kept = EntryBody::Edit { target: Seq(1), content: Some(text("two")), version: 2 };
    assert_eq!((&log[1].body, log[2].number), (&kept, 1));
    // An edit of what was sent in the same breath.
    let pending = [
        scene.store().commit(send(ROOM, "bob", "x")),
        scene.store().commit(append(ROOM, "bob", edit(4, "y"))),
    ];
    for committed in pending {
        committed.await.unwrap();
    }
    assert_eq!(scene.message(ROOM, 4).await.content, Some(text("y")));
}

pub(crate) async fn deletions_blank_edits<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    scene
        .commit(append(
            ROOM,
            "alice",
            EntryBody::Message(Message::new(text("secret"), Some(Seq(1)), pairs(&[("a", "1")]))),
        ))
        .await;
    scene.commit(append(ROOM, "alice", edit(1, "secret too"))).await;
    scene.commit(append(ROOM, "bob", reaction(1, "k", true))).await;
    scene.commit(append(ROOM, "alice", deletion(1))).await;
    for _ in 0..3 {
        let read = scene.message(ROOM, 1).await;
        assert_eq!((&read.content, &read.attributes, read.version), (&None, &Pairs::default(), 2));
        assert!(read.reactions.is_empty());
        let log = scene.log(ROOM).await;
        assert_eq!(log.len(), 4);
        assert_eq!(log[1].body, EntryBody::Edit { target: Seq(1), content: None, version: 2 });
        assert!(log.iter().all(|entry| entry.number == 1), "a deleted message still counts");
        scene.reopen();
    }
}

pub(crate) async fn reactions<F: Fixture>() {
    let scene = Scene::<F>::new();
    scene.commit(send(ROOM, "alice", "one")).await;
    for turn in (0..25).rev() {
        scene.commit(append(ROOM, &format!("u{turn:02}"), reaction(1, "👍", true))).await;
    }
    scene.commit(append(ROOM, "u03", reaction(1, "👍", true))).await;
    scene.commit(append(ROOM, "u00", reaction(1, "👍", false))).await;
    scene.commit(append(ROOM, "u00", reaction(1, "❤", true))).await;
    scene.commit(append(ROOM, "u09", reaction(1, "none", false))).await;
    let read = scene.message(ROOM, 1).await;
    let [heart, thumb] = &read.reactions[..] else { panic!("{:?}", read.reactions) };
    assert_eq!((heart.key.as_str(), heart.count, &heart.users[..]), ("❤", 1, &[user("u00")][..]));
    assert_eq!((thumb.key.as_str(), thumb.count, thumb.users.len()), ("👍", 24, 20));
    assert_eq!(thumb.users, (1..21).map(|turn| user(&format!("u{turn:02}"))).collect::<Vec<_>>());
    assert_eq!(scene.log(ROOM).await[0].body, EntryBody::Message(read));
}

/// However many react at once, a message has no more reactions than it may have.
pub(crate) async fn reactions_are_bounded<F: Fixture>() {
    let scene = Scene::<F>::new();
    scene.commit(send(ROOM, "alice", "one")).await;
    let reacts = |n: usize, add| append(ROOM, &format!("u{n}"), reaction(1, "k", add));
    let all = (0..REACTIONS_PER_MESSAGE + 50).map(|n| scene.store().commit(reacts(n, true)));
    let mut refused = 0;
    for result in futures::future::join_all(all).await {
        match result {
            Ok(_) => {}
            Err(CommitError::ReactionsFull) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    let total = async || scene.message(ROOM, 1).await.reactions_total as usize;
    assert_eq!((refused, total().await), (50, REACTIONS_PER_MESSAGE));
    let users = &scene.message(ROOM, 1).await.reactions[0].users;
    let first: usize = users[0].as_str()[1..].parse().unwrap();
    scene.commit(reacts(first, true)).await;
    assert_eq!(total().await, REACTIONS_PER_MESSAGE, "who has reacted already adds none");
    scene.commit(reacts(first, false)).await;
    scene.commit(append(ROOM, "late", reaction(1, "k", true))).await;
    assert!(matches!(scene.refused(reacts(first, true)).await, CommitError::ReactionsFull));
}

pub(crate) async fn settled_ones_too<F: Fixture>() {
    let scene = Scene::<F>::new();
    scene.commit(send(ROOM, "alice", "one")).await;
    scene.commit(append(ROOM, "alice", edit(1, "secret"))).await;
    // Enough that whatever an engine defers is done.
    for turn in 0..200 {
        scene.commit(send(&format!("conversation:{}", turn % 5), "alice", "x")).await;
    }
    scene.commit(append(ROOM, "alice", edit(1, "three"))).await;
    assert_eq!(scene.message(ROOM, 1).await.content, Some(text("three")));
    scene.commit(append(ROOM, "alice", deletion(1))).await;
    assert_eq!(scene.message(ROOM, 1).await.content, None);
    let log = scene.log(ROOM).await;
    for at in [1, 2] {
        assert!(matches!(&log[at].body, EntryBody::Edit { content: None, .. }), "{:?}", log[at]);
    }
}

pub(crate) async fn changes_of_messages_survive_reopening<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    for turn in 0..60 {
        scene.commit(send(ROOM, "alice", &turn.to_string())).await;
    }
    for target in (1..=60).step_by(3) {
        scene.commit(append(ROOM, "alice", edit(target, "edited"))).await;
        scene.commit(append(ROOM, "alice", deletion(target + 1))).await;
    }
    for way in 0..3 {
        for target in (1..=60).step_by(3) {
            assert_eq!(scene.message(ROOM, target).await.content, Some(text("edited")));
            assert_eq!(scene.message(ROOM, target + 1).await.content, None);
            assert_eq!(scene.message(ROOM, target + 2).await.content, Some(text(&(target + 1).to_string())));
        }
        if way == 0 { scene.reopen() } else { scene.close_and_open().await }
    }
}
