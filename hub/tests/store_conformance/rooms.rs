//! Rooms: listed by name, and by member.

use carillon_hub::domain::entry::EntryBody;
use carillon_hub::domain::limits;
use carillon_hub::domain::member::{MembershipChange, Role};
use carillon_hub::domain::names::{RoomKey, TenantId, UserKey};
use carillon_hub::domain::position::Seq;
use carillon_hub::domain::room::{Room, RoomSummary};
use carillon_hub::store::{EntryRange, PageBound, RoomsQuery, Store, Write};

use crate::harness::*;

fn query(limit: u32) -> RoomsQuery {
    RoomsQuery { after: None, bound: items(limit), unread_only: false }
}

fn items(items: u32) -> PageBound {
    PageBound { items, bytes: usize::MAX }
}

/// The rooms of the first page of a user's.
async fn rooms_of<F: Fixture>(scene: &Scene<F>, who: &str) -> Vec<RoomSummary> {
    scene.store().rooms_of(&user_key(who), query(10)).await.unwrap().rooms
}

pub(crate) async fn are_listed_by_prefix<F: Fixture>() {
    let scene = Scene::<F>::new();
    for room in ["conversation:b", "conversation:a", "conversation:ab", "private:a"] {
        scene.commit(send(room, "alice", "x")).await;
    }
    let list = |prefix: &'static str, after: Option<&str>, limit| {
        let after = after.map(|room| room_key(room).room);
        let rooms = scene.store().rooms(&tenant(), prefix, after.as_ref(), items(limit));
        async move { rooms.await.unwrap().rooms.into_iter().map(|room| room.room.to_string()).collect::<Vec<_>>() }
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

/// By pages of one and of two, in the same order.
async fn names_are_those_of_the_rooms<F: Fixture>(scene: &Scene<F>, who: &str) {
    let rooms: Vec<_> = rooms_of(scene, who).await.into_iter().map(|summary| summary.room.room).collect();
    for most in [1, 2, 3, 100] {
        let (mut names, mut after) = (Vec::new(), None);
        loop {
            let page = scene.store().room_names_of(&user_key(who), after.as_ref(), most).await.unwrap();
            assert!(page.rooms.len() <= most as usize);
            names.extend(page.rooms);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(names, rooms);
    }
    let none = scene.store().room_names_of(&user_key("nobody"), None, 10).await.unwrap();
    assert_eq!((none.rooms, none.next), (vec![], None));
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
        let mut list = rooms_of(&scene, "bob").await;
        list.sort_by(|one, other| one.room.room.as_str().cmp(other.room.room.as_str()));
        let names: Vec<_> = list.iter().map(|summary| summary.room.room.as_str()).collect();
        assert_eq!(names, ["conversation:a", "conversation:c", "private:b"]);
        // What was said before bob became a member, with the rooms' creation, is not unread.
        assert_eq!(list.iter().map(|summary| summary.unread()).collect::<Vec<_>>(), [1, 0, 0]);
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
        names_are_those_of_the_rooms(&scene, "bob").await;
        scene.reopen();
    }
    let page = scene
        .store()
        .rooms_of(&user_key("bob"), RoomsQuery { unread_only: true, ..query(10) })
        .await
        .unwrap();
    assert_eq!((page.rooms.len(), page.next), (1, None));
    let leave = membership("bob", MembershipChange::Left, Role::Moderator);
    scene.commit(append("conversation:a", "bob", leave)).await;
    assert_eq!(rooms_of(&scene, "bob").await.len(), 2);
    assert!(rooms_of(&scene, "alice").await.is_empty());
}

/// All rooms of bob's, page by page, each within the bound.
async fn walk<F: Fixture>(scene: &Scene<F>, bound: PageBound, unread_only: bool) -> (Vec<String>, usize) {
    let (mut seen, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let query = RoomsQuery { after, bound, unread_only };
        let page = scene.store().rooms_of(&user_key("bob"), query).await.unwrap();
        pages += 1;
        let bytes: usize = page.rooms.iter().map(RoomSummary::size).sum();
        assert!(page.rooms.len() <= bound.items as usize && (bytes <= bound.bytes || page.rooms.len() == 1));
        seen.extend(page.rooms.iter().map(|summary| summary.room.room.to_string()));
        after = page.next;
        if after.is_none() {
            return (seen, pages);
        }
    }
}

pub(crate) async fn are_paged_by_items_and_bytes<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    let all: Vec<String> = (0..30).map(|number| format!("conversation:{}", (number * 7) % 30)).collect();
    let mut sorted = all.clone();
    sorted.sort_unstable();
    let metadata = pairs(&[("about", &"x".repeat(1_000))]);
    for (number, room) in all.iter().enumerate() {
        let create = in_room(room, "alice")
            .writing(Write::Create { direct: false })
            .append(EntryBody::Room { created: true, metadata: metadata.clone() })
            .append(added("bob", Role::Member));
        scene.commit(create).await;
        scene.commit(send(room, "alice", &"x".repeat(if number % 2 == 0 { 2_000 } else { 5_000 }))).await;
    }
    for _ in 0..2 {
        for bound in [
            items(1),
            items(7),
            items(30),
            PageBound { items: 30, bytes: 9_000 },
            PageBound { items: 30, bytes: 1 },
        ] {
            for unread_only in [false, true] {
                let mut walked = walk(&scene, bound, unread_only).await.0;
                walked.sort_unstable();
                assert_eq!(walked, sorted, "each once, in whatever order: {bound:?}");
            }
        }
        for summary in rooms_of(&scene, "bob").await {
            let number = all.iter().position(|room| *room == summary.room.room.as_str()).unwrap();
            assert_eq!(summary.last_message.is_some(), number % 2 == 0, "a long one is left out");
        }
        let bound = PageBound { items: 30, bytes: 9_000 };
        let (mut names, mut after) = (Vec::new(), None);
        loop {
            let page = scene.store().rooms(&tenant(), "", after.as_ref(), bound).await.unwrap();
            assert!(page.rooms.iter().map(Room::size).sum::<usize>() <= bound.bytes);
            names.extend(page.rooms.iter().map(|room| room.room.to_string()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(names, sorted);
        scene.reopen();
    }
}

/// A read of the unread ones looks at so many memberships, and says where it stopped.
pub(crate) async fn unread_ones_are_looked_for_in_bounds<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    let most = limits::MEMBERSHIPS_LOOKED_AT as usize;
    let creations: Vec<_> = (0..2 * most + 10)
        .map(|number| {
            let create = in_room(&format!("conversation:{number}"), "alice");
            let create = create.writing(Write::Create { direct: false });
            scene.store().commit(create.append(added("bob", Role::Member)))
        })
        .collect();
    for creation in creations {
        creation.await.unwrap();
    }
    let late = format!("conversation:{}", 2 * most + 5);
    scene.commit(send(&late, "alice", "hello")).await;
    for _ in 0..2 {
        let query = RoomsQuery { unread_only: true, ..query(10) };
        let page = scene.store().rooms_of(&user_key("bob"), query).await.unwrap();
        assert!(page.rooms.is_empty() && page.next.is_some());
        assert_eq!(walk(&scene, items(10), true).await, (vec![late.clone()], 3));
        scene.reopen();
    }
    scene.commit(in_room(&late, "bob").writing(Write::Marks { delivered: Seq(2), read: Seq(2) })).await;
    assert!(walk(&scene, items(10), true).await.0.is_empty(), "read, though it is nowhere settled");
}

pub(crate) async fn direct_ones_name_the_peer<F: Fixture>() {
    let scene = Scene::<F>::new();
    let create = in_room("conversation:d", "alice")
        .writing(Write::Create { direct: true })
        .append(added("alice", Role::Member))
        .append(added("bob", Role::Member));
    scene.commit(create).await;
    for (who, peer) in [("alice", "bob"), ("bob", "alice")] {
        let list = rooms_of(&scene, who).await;
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
    assert!(store.rooms(&other, "", None, items(10)).await.unwrap().rooms.is_empty());
    let mut sent = send("conversation:a", "alice", "theirs");
    sent.tenant = other.clone();
    assert_eq!(scene.commit(sent).await.position.seq, Seq(1));
    let bound = PageBound { items: 10, bytes: usize::MAX };
    assert_eq!(store.entries(&theirs, EntryRange::After(Seq(0)), bound).await.unwrap().entries.len(), 1);
    assert_eq!(scene.log("conversation:a").await.len(), 1);
    let alice = UserKey { tenant: other, user: user("alice") };
    assert!(store.rooms_of(&alice, query(10)).await.unwrap().rooms.is_empty());
    assert_eq!(store.marks(&room_key("conversation:a"), &user("alice")).await.unwrap().read, Seq(0));
}

/// A page that begins after a room of somebody else is the one that begins after a room that is not there: neither says which.
pub(crate) async fn a_page_tells_nothing_of_others_rooms<F: Fixture>() {
    let scene = Scene::<F>::new();
    scene.commit(append("conversation:b", "carol", added("carol", Role::Owner))).await;
    for room in ["conversation:a", "conversation:c"] {
        scene.commit(append(room, "bob", added("bob", Role::Owner))).await;
    }
    let after = |room: &'static str| {
        let after = Some(room_key(room).room);
        let page = scene.store().rooms_of(&user_key("bob"), RoomsQuery { after: after.clone(), ..query(10) });
        let names = scene.store().room_names_of(&user_key("bob"), after.as_ref(), 10);
        async move {
            let page = page.await.unwrap().rooms.into_iter().map(|room| room.room.room).collect::<Vec<_>>();
            (page, names.await.unwrap().rooms)
        }
    };
    assert_eq!(after("conversation:b").await, after("conversation:bb").await);
    let (page, names) = after("conversation:a").await;
    assert_eq!((page, names), (vec![room_key("conversation:c").room], vec![room_key("conversation:c").room]));
    // Who read something in a room knows of it: a page goes on where it was though they were removed meanwhile.
    scene.commit(send("conversation:a", "bob", "hello")).await;
    scene
        .commit(append("conversation:a", "bob", membership("bob", MembershipChange::Removed, Role::Member)))
        .await;
    for _ in 0..2 {
        assert_eq!(after("conversation:a").await.1, [room_key("conversation:c").room]);
    }
}
