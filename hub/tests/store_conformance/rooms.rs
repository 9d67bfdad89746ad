//! Rooms: listed by name, and by member.

use carillon_hub::domain::entry::EntryBody;
use carillon_hub::domain::member::{MembershipChange, Role};
use carillon_hub::domain::names::{RoomKey, TenantId, UserKey};
use carillon_hub::domain::position::Seq;
use carillon_hub::store::{EntryRange, PageBound, RoomsQuery, Store, Write};

use crate::harness::*;

fn query(limit: u32) -> RoomsQuery {
    RoomsQuery { after: None, limit, unread_only: false }
}

pub(crate) async fn are_listed_by_prefix<F: Fixture>() {
    let scene = Scene::<F>::new();
    for room in ["conversation:b", "conversation:a", "conversation:ab", "private:a"] {
        scene.commit(send(room, "alice", "x")).await;
    }
    let list = |prefix: &'static str, after: Option<&str>, limit| {
        let after = after.map(|room| room_key(room).room);
        let rooms = scene.store().rooms(&tenant(), prefix, after.as_ref(), limit);
        async move { rooms.await.unwrap().into_iter().map(|room| room.room.to_string()).collect::<Vec<_>>() }
    };
    assert_eq!(
        list("conversation:", None, 10).await,
        ["conversation:a", "conversation:ab", "conversation:b"]
    );
    assert_eq!(list("conversation:a", None, 10).await, ["conversation:a", "conversation:ab"]);
    assert_eq!(list("", Some("conversation:ab"), 1).await, ["conversation:b"]);
    assert_eq!(list("", Some("conversation:b"), 10).await, ["private:a"]);
    assert!(list("none", None, 10).await.is_empty());
}

pub(crate) async fn of_a_user<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    for room in ["conversation:c", "conversation:a", "private:b"] {
        scene.commit(send(room, "alice", "before")).await;
        let create = in_room(room, "alice")
            .writing(Write::Create { direct: false })
            .append(EntryBody::Room { created: true, metadata: pairs(&[("title", room)]) })
            .append(added("bob", Role::Moderator));
        scene.commit(create).await;
    }
    scene.commit(send("conversation:a", "alice", "one")).await;
    scene.commit(append("conversation:a", "alice", edit(4, "two"))).await;
    scene.commit(append("conversation:a", "carol", reaction(4, "k", true))).await;
    scene
        .commit(in_room("conversation:c", "bob").writing(Write::Marks { delivered: Seq(1), read: Seq(1) }))
        .await;
    for _ in 0..2 {
        let list = scene.store().rooms_of(&user_key("bob"), query(10)).await.unwrap();
        let names: Vec<_> = list.iter().map(|summary| summary.room.room.as_str()).collect();
        assert_eq!(names, ["conversation:a", "conversation:c", "private:b"]);
        assert_eq!(list.iter().map(|summary| summary.unread()).collect::<Vec<_>>(), [2, 0, 1]);
        let first = &list[0];
        assert_eq!(
            (first.role, first.room.created, first.room.version, first.peer.as_ref()),
            (Role::Moderator, true, Seq(2), None)
        );
        assert_eq!(first.room.metadata, pairs(&[("title", "conversation:a")]));
        let EntryBody::Message(last) = &first.last_message.as_ref().unwrap().body else {
            panic!("not a message")
        };
        assert_eq!((last.content.as_ref(), last.version, last.reactions.len()), (Some(&text("two")), 2, 1));
        assert_eq!(list[1].last_message.as_ref().unwrap().seq, Seq(1));
        assert_eq!(list[2].last_message, None, "it was before they joined");
        scene.reopen();
    }
    let page = scene
        .store()
        .rooms_of(&user_key("bob"), RoomsQuery { unread_only: true, ..query(10) })
        .await
        .unwrap();
    assert_eq!(page.len(), 2);
    let after = Some(room_key("conversation:a").room);
    let page = scene.store().rooms_of(&user_key("bob"), RoomsQuery { after, ..query(1) }).await.unwrap();
    assert_eq!(page[0].room.room.as_str(), "conversation:c");
    let leave = membership("bob", MembershipChange::Left, Role::Moderator);
    scene.commit(append("conversation:a", "bob", leave)).await;
    assert_eq!(scene.store().rooms_of(&user_key("bob"), query(10)).await.unwrap().len(), 2);
    assert!(scene.store().rooms_of(&user_key("alice"), query(10)).await.unwrap().is_empty());
}

pub(crate) async fn direct_ones_name_the_peer<F: Fixture>() {
    let scene = Scene::<F>::new();
    let create = in_room("conversation:d", "alice")
        .writing(Write::Create { direct: true })
        .append(added("alice", Role::Member))
        .append(added("bob", Role::Member));
    scene.commit(create).await;
    for (who, peer) in [("alice", "bob"), ("bob", "alice")] {
        let list = scene.store().rooms_of(&user_key(who), query(10)).await.unwrap();
        assert_eq!((list[0].peer.clone(), list[0].room.direct), (Some(user(peer)), true));
    }
}

pub(crate) async fn tenants_are_isolated<F: Fixture>() {
    let scene = Scene::<F>::new();
    scene.commit(append("conversation:a", "alice", added("alice", Role::Owner))).await;
    let other = TenantId::parse("umbrella").unwrap();
    let theirs = RoomKey { tenant: other.clone(), room: room_key("conversation:a").room };
    let store = scene.store();
    assert_eq!(store.room(&theirs).await.unwrap(), None);
    assert_eq!(store.member(&theirs, &user("alice")).await.unwrap(), None);
    assert!(store.rooms(&other, "", None, 10).await.unwrap().is_empty());
    let mut sent = send("conversation:a", "alice", "theirs");
    sent.tenant = other.clone();
    assert_eq!(scene.commit(sent).await.position.seq, Seq(1));
    let bound = PageBound { items: 10, bytes: usize::MAX };
    assert_eq!(store.entries(&theirs, EntryRange::After(Seq(0)), bound).await.unwrap().entries.len(), 1);
    assert_eq!(scene.log("conversation:a").await.len(), 1);
    let alice = UserKey { tenant: other, user: user("alice") };
    assert!(store.rooms_of(&alice, query(10)).await.unwrap().is_empty());
    assert_eq!(store.marks(&room_key("conversation:a"), &user("alice")).await.unwrap().read, Seq(0));
}
