//! What a tenant's rooms hold: at any time what their entries count as, as they read then.

use carillon_hub::access::storage::StorageLimit;
use carillon_hub::domain::entry::{EntryBody, Message};
use carillon_hub::domain::member::{MembershipChange, Role};
use carillon_hub::domain::names::TenantId;
use carillon_hub::domain::position::Seq;
use carillon_hub::store::{Change, Outcome, PageBound, Store};
use futures::future::join_all;

use crate::harness::*;

/// By going over all of it.
pub(crate) async fn summed<F: Fixture>(scene: &Scene<F>) -> u64 {
    let bound = PageBound { items: 1_000, bytes: usize::MAX };
    let rooms = scene.store().rooms(&tenant(), "", None, bound).await.unwrap().rooms;
    let mut bytes = 0;
    for room in rooms {
        bytes +=
            scene.log(room.room.as_str()).await.iter().map(|entry| entry.body.stored_bytes()).sum::<u64>();
    }
    bytes
}

async fn stored<F: Fixture>(scene: &Scene<F>) -> u64 {
    scene.store().stored_bytes(&tenant()).await.unwrap()
}

/// What is counted, which must be what there is.
async fn counted<F: Fixture>(scene: &Scene<F>) -> u64 {
    let stored = stored(scene).await;
    assert_eq!(stored, summed(scene).await);
    stored
}

pub(crate) async fn follows_every_change<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    assert_eq!(counted(&scene).await, 0);
    let said = Message::new(text("h\u{e9}llo"), None, pairs(&[("k", "v\"alue"), ("\u{e9}", "")]));
    scene.commit(append("conversation:a", "alice", EntryBody::Message(said))).await;
    assert_eq!(counted(&scene).await, 100 + 6 + 9);
    for body in [
        message("another"),
        edit(1, "longer than it was"),
        edit(1, "short"),
        added("bob", Role::Member),
        reaction(2, "+1", true),
        reaction(2, "+1", false),
        event("named", Some("key"), "payload"),
        EntryBody::Room { created: false, metadata: pairs(&[("title", "words")]) },
        deletion(2),
    ] {
        scene.commit(append("conversation:a", "alice", body)).await;
        counted(&scene).await;
    }
    // What is home by now counts as what is not.
    for turn in 1..41 {
        scene.commit(send("conversation:b", "bob", &"x".repeat(turn))).await;
    }
    let before = counted(&scene).await;
    scene.commit(append("conversation:b", "bob", edit(30, &"y".repeat(500)))).await;
    assert_eq!(counted(&scene).await, before + 100 + 500 + (500 - 30));
    scene.commit(append("conversation:b", "bob", deletion(30))).await;
    assert_eq!(counted(&scene).await, before + 2 * 100 - 30, "its edits are blank as well");
    for _ in 0..2 {
        let last = counted(&scene).await;
        scene.reopen();
        assert_eq!(counted(&scene).await, last);
        scene.close_and_open().await;
        assert_eq!(counted(&scene).await, last);
    }
}

pub(crate) async fn falls_with_retention_and_erasure<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    for turn in 0..100 {
        scene.commit(send("short:a", "alice", &turn.to_string().repeat(50))).await;
        scene.commit(append("state:a", "bob", event("e", Some(&format!("k{turn}")), "payload"))).await;
        scene.commit(send("conversation:a", "bob", "secret")).await;
    }
    scene.commit(append("conversation:a", "bob", reaction(1, "secret", true))).await;
    for (room, first) in [("short:a", 81), ("state:a", 91)] {
        let trimmed = Change::Trimmed { room: room_key(room), first: Seq(first) };
        scene.setup.sink.wait_for(|change| *change == trimmed);
    }
    let before = counted(&scene).await;
    scene.store().erase(&user_key("bob")).await.unwrap();
    let after = counted(&scene).await;
    assert!(after <= before - 100 * 6 - 10 * 7, "{before} {after}");
    scene.reopen();
    assert_eq!(counted(&scene).await, after);
}

pub(crate) async fn is_of_one_tenant<F: Fixture>() {
    let scene = Scene::<F>::new();
    let other = TenantId::parse("globex").unwrap();
    scene.commit(Outcome { tenant: other.clone(), ..send("conversation:a", "alice", "theirs") }).await;
    assert_eq!(counted(&scene).await, 0);
    scene.commit(send("conversation:a", "alice", "our own")).await;
    assert_eq!(counted(&scene).await, 107);
    assert_eq!(scene.store().stored_bytes(&other).await.unwrap(), 106);
    // What was refused or is a duplicate holds nothing more.
    let keyed = || send("conversation:a", "alice", "once").keyed("1", 1);
    scene.commit(keyed()).await;
    assert!(
        scene.commit(keyed()).await.duplicate
            && scene.fails(append("conversation:a", "alice", edit(9, "x"))).await
    );
    assert_eq!(counted(&scene).await, 107 + 104);
}

/// A limit that is asked before each commit sees to it that no more is stored: nothing adds more than it sets aside.
pub(crate) async fn grows_by_no_more_than_was_set_aside<F: Fixture>() {
    let scene = Scene::<F>::new();
    let created = |created, bytes: usize| EntryBody::Room {
        created,
        metadata: pairs(&[("title", &"t".repeat(bytes))]),
    };
    for (body, takes_away) in [
        (created(true, 300), false),
        (added("bob", Role::Member), false),
        (membership("bob", MembershipChange::RoleChanged, Role::Reader), false),
        (message("h\u{e9}llo"), false),
        (edit(4, "longer than it was"), false),
        (event("named", Some("key"), "payload"), false),
        (reaction(4, "+1", true), false),
        (created(false, 400), false),
        (reaction(4, "+1", false), true),
        (membership("bob", MembershipChange::Removed, Role::Reader), true),
        (deletion(4), true),
    ] {
        let outcome = append("conversation:a", "alice", body);
        let before = stored(&scene).await;
        scene.commit(outcome.clone()).await;
        let after = stored(&scene).await;
        let limit = StorageLimit::new(after + after.saturating_sub(before).saturating_sub(1));
        let reserved = limit.reserve(scene.store(), &outcome).await;
        assert_eq!(matches!(reserved, Ok(None)), takes_away, "{outcome:?}");
        assert_eq!(reserved.is_err(), !takes_away, "{outcome:?}");
    }
}

pub(crate) async fn is_kept_within_a_limit_by_all_who_write_at_once<F: Fixture>() {
    let scene = Scene::<F>::new();
    let limit = StorageLimit::new(5_000);
    let writes = (0..100).map(|number| {
        let (limit, scene) = (&limit, &scene);
        let room = format!("conversation:{}", number % 7);
        async move {
            let outcome = send(&room, "alice", &"x".repeat(400));
            let Ok(reserved) = limit.reserve(scene.store(), &outcome).await else { return 0 };
            let committed = scene.store().commit(outcome).await;
            reserved.unwrap().settle(&committed);
            1
        }
    });
    let written: u64 = join_all(writes).await.into_iter().sum();
    assert!((1..=10).contains(&written), "{written}");
    assert_eq!(counted(&scene).await, written * 500);
}
