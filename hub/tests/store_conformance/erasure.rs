//! Erasing a user.

use std::sync::Arc;

use carillon_hub::domain::entry::EntryBody;
use carillon_hub::domain::inbox::Priority;
use carillon_hub::domain::marks::Marks;
use carillon_hub::domain::member::Role;
use carillon_hub::domain::position::Seq;
use carillon_hub::store::{Change, Effect, Erased, Home, Outcome, Store, StoreError};

use crate::harness::*;

async fn story<F: Fixture>(scene: &Scene<F>) {
    scene.commit(append("conversation:a", "alice", added("bob", Role::Member))).await;
    scene.commit(send("conversation:a", "bob", "secret one")).await;
    scene.commit(append("conversation:a", "bob", edit(2, "secret two"))).await;
    scene.commit(send("conversation:a", "alice", "kept")).await;
    scene.commit(append("conversation:a", "bob", reaction(4, "secret", true))).await;
    scene.commit(append("conversation:a", "alice", reaction(4, "k", true))).await;
    scene.commit(append("state:b", "bob", event("e", Some("k"), "secret three"))).await;
    for _ in 0..700 {
        scene.store().commit(send("conversation:c", "bob", "secret four")).await.unwrap();
    }
    scene.commit(notify("bob", notice("n1", Priority::Normal))).await;
    scene.commit(notify("alice", notice("n1", Priority::Normal))).await;
}

pub(crate) async fn blanks_what_a_user_wrote<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    story(&scene).await;
    let erased = scene.store().erase(&user_key("bob")).await.unwrap();
    assert_eq!(erased, Erased { entries: 702, notifications: 1 });
    assert_eq!(scene.setup.sink.changes().last(), Some(&Change::Erased { user: user_key("bob") }));
    for _ in 0..2 {
        let log = scene.log("conversation:a").await;
        assert_eq!(log.len(), 6);
        assert_eq!(scene.message("conversation:a", 2).await.content, None);
        assert!(matches!(&log[2].body, EntryBody::Edit { content: None, .. }));
        assert!(matches!(&log[4].body, EntryBody::Reaction { key, .. } if key.as_str() != "secret"));
        let kept = scene.message("conversation:a", 4).await;
        assert_eq!((kept.content, kept.reactions.len()), (Some(text("kept")), 1));
        let state = scene.log("state:b").await;
        assert!(matches!(&state[0].body, EntryBody::Event(event) if event.payload.is_none()));
        let bound = carillon_hub::store::PageBound { items: 10, bytes: usize::MAX };
        let latest = scene.store().latest_events(&room_key("state:b"), bound).await.unwrap();
        assert!(matches!(&latest[0].body, EntryBody::Event(event) if event.payload.is_none()));
        let log = scene.log("conversation:c").await;
        assert!(
            log.iter()
                .all(|entry| matches!(&entry.body, EntryBody::Message(message) if message.content.is_none()))
        );
        assert_eq!(
            (log.len(), log[699].seq, log[699].number),
            (700, Seq(700), 700),
            "places and numbers remain"
        );
        let marks = scene.store().marks(&room_key("conversation:c"), &user("bob")).await.unwrap();
        assert_eq!(marks, Marks::default());
        assert_eq!(scene.store().inbox_summary(&user_key("bob")).await.unwrap().unread, 0);
        assert_eq!(scene.store().inbox_summary(&user_key("alice")).await.unwrap().unread, 1);
        scene.close_and_open().await;
    }
}

pub(crate) async fn is_harmless_when_repeated<F: Fixture>() {
    let scene = Scene::<F>::new();
    story(&scene).await;
    scene.store().erase(&user_key("bob")).await.unwrap();
    let before = scene.log("conversation:a").await;
    assert_eq!(scene.store().erase(&user_key("bob")).await.unwrap(), Erased::default());
    assert_eq!(scene.store().erase(&user_key("nobody")).await.unwrap(), Erased::default());
    assert_eq!(scene.log("conversation:a").await, before);
    scene.commit(send("conversation:a", "bob", "again")).await;
    assert_eq!(scene.store().erase(&user_key("bob")).await.unwrap().entries, 1);
}

/// Keeps the store busy until released, so that what is asked of it meanwhile is there at once.
async fn hold<F: Fixture>(scene: &Scene<F>) {
    scene.setup.sink.hold();
    let sent = scene.store().commit(send("conversation:held", "alice", "hold"));
    let held = room_key("conversation:held");
    scene.setup.sink.wait_for(|change| matches!(change, Change::Entry { room, .. } if *room == held));
    drop(sent);
}

pub(crate) async fn is_joined_when_repeated_meanwhile<F: Fixture>() {
    let scene = Scene::<F>::new();
    story(&scene).await;
    hold(&scene).await;
    let both = (scene.store().erase(&user_key("bob")), scene.store().erase(&user_key("bob")));
    scene.setup.sink.release();
    let erased = Erased { entries: 702, notifications: 1 };
    assert_eq!((both.0.await.unwrap(), both.1.await.unwrap()), (erased, erased));
}

pub(crate) async fn reaches_what_is_written_meanwhile<F: Fixture>() {
    let scene = Scene::<F>::new();
    story(&scene).await;
    hold(&scene).await;
    let erased = scene.store().erase(&user_key("bob"));
    let late =
        ["conversation:late", "conversation:c"].map(|room| scene.store().commit(send(room, "bob", "late")));
    scene.setup.sink.release();
    for sent in late {
        sent.await.unwrap();
    }
    assert_eq!(erased.await.unwrap().entries, 704);
    assert_eq!(scene.message("conversation:late", 1).await.content, None);
    assert_eq!(scene.message("conversation:c", 701).await.content, None);
}

pub(crate) async fn goes_through_long_rooms<F: Fixture>() {
    let scene = Scene::<F>::with(Setup { deferred: 1_000, ..Setup::new() });
    let of = |turn| if turn % 1_500 == 0 { "bob" } else { "alice" };
    let sends: Vec<_> =
        (0..4_501).map(|turn| scene.store().commit(send("conversation:a", of(turn), "x"))).collect();
    for sent in sends {
        sent.await.unwrap();
    }
    assert_eq!(scene.store().erase(&user_key("bob")).await.unwrap().entries, 4);
    for seq in [1, 1_501, 3_001, 4_501] {
        assert_eq!(scene.message("conversation:a", seq).await.content, None, "{seq}");
    }
    assert_eq!(scene.message("conversation:a", 4_500).await.content, Some(text("x")));
}

/// Closing waits for no erasure.
pub(crate) async fn ends_when_the_store_closes<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    story(&scene).await;
    hold(&scene).await;
    let erased = scene.store().erase(&user_key("bob"));
    let closed = scene.store().close();
    while scene.store().figures().healthy {
        tokio::task::yield_now().await;
    }
    scene.setup.sink.release();
    assert!(matches!(erased.await, Err(StoreError::Unavailable)));
    closed.await;
    scene.reopen();
    assert_eq!(scene.store().erase(&user_key("bob")).await.unwrap().entries, 702);
}

/// Messages go with all their edits, however many of them there are.
pub(crate) async fn reaches_the_edits_of_each_message<F: Fixture>() {
    let scene = Scene::<F>::new();
    let mut outcomes = Vec::new();
    for turn in 0..3 {
        let target = 1 + turn * 151;
        outcomes.push(send("conversation:a", "bob", "secret"));
        outcomes.extend((0..150).map(|_| append("conversation:a", "bob", edit(target, "secret"))));
    }
    let commits: Vec<_> = outcomes.into_iter().map(|outcome| scene.store().commit(outcome)).collect();
    for committed in commits {
        committed.await.unwrap();
    }
    assert_eq!(scene.store().erase(&user_key("bob")).await.unwrap().entries, 3);
    for entry in scene.log("conversation:a").await {
        match entry.body {
            EntryBody::Message(message) => assert_eq!(message.content, None),
            EntryBody::Edit { content, .. } => assert_eq!(content, None),
            other => panic!("{other:?}"),
        }
    }
}

/// A notification that was accepted but waits, as it is for thousands, is erased as well.
pub(crate) async fn reaches_notifications_that_wait<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    let to_all = notice("all", Priority::High);
    let names = (0..4_000).map(|number| format!("user{number}")).chain(["bob".to_owned()]);
    let effects =
        names.map(|name| Effect::Notify { user: user(&name), notice: Arc::clone(&to_all) }).collect();
    hold(&scene).await;
    let sent = scene.store().commit(Outcome { effects, ..outcome(Home::Tenant, "robot") });
    let erased = scene.store().erase(&user_key("bob"));
    scene.setup.sink.release();
    sent.await.unwrap();
    assert_eq!(erased.await.unwrap(), Erased { entries: 0, notifications: 1 });
    scene.reopen();
    // What waits goes out in the order in which it was accepted.
    scene.commit(notify("user1", notice("after", Priority::Normal))).await;
    scene.setup.sink.wait_for(
        |change| matches!(change, Change::Notified { notification, .. } if notification.notice.id.as_str() == "after"),
    );
    assert_eq!(scene.store().inbox_summary(&user_key("bob")).await.unwrap().unread, 0);
    assert_eq!(scene.store().inbox_summary(&user_key("user3999")).await.unwrap().unread, 1);
}
