//! Memberships.

use carillon_hub::domain::member::{Member, MembershipChange, Role};
use carillon_hub::domain::position::Seq;
use carillon_hub::store::{PageBound, RoomsQuery, Store};

use crate::harness::*;

async fn member<F: Fixture>(scene: &Scene<F>, room: &str, who: &str) -> Option<Member> {
    scene.store().member(&room_key(room), &user(who)).await.unwrap()
}

pub(crate) async fn come_change_and_go<F: Fixture>() {
    let scene = Scene::<F>::new();
    let room = "conversation:a";
    scene.commit(append(room, "alice", added("alice", Role::Owner))).await;
    scene.commit(append(room, "alice", added("bob", Role::Reader))).await;
    let expected = Member {
        user: user("bob"),
        role: Role::Reader,
        version: Seq(2),
        joined: Seq(2),
        history_from: Seq(1),
    };
    assert_eq!(member(&scene, room, "bob").await, Some(expected.clone()));
    scene
        .commit(append(room, "alice", membership("bob", MembershipChange::RoleChanged, Role::Moderator)))
        .await;
    let changed = Member { role: Role::Moderator, version: Seq(3), ..expected };
    assert_eq!(member(&scene, room, "bob").await, Some(changed));
    scene.commit(append(room, "alice", membership("bob", MembershipChange::Removed, Role::Moderator))).await;
    assert_eq!(member(&scene, room, "bob").await, None);
    scene.commit(append(room, "alice", membership("bob", MembershipChange::Left, Role::Member))).await;
    assert_eq!(scene.store().room(&room_key(room)).await.unwrap().unwrap().members, 1);
    scene.commit(append(room, "alice", added("bob", Role::Member))).await;
    assert_eq!(member(&scene, room, "bob").await.unwrap().joined, Seq(6));
    assert_eq!(scene.store().room(&room_key(room)).await.unwrap().unwrap().members, 2);
}

pub(crate) async fn history_before_joining<F: Fixture>() {
    let scene = Scene::<F>::new();
    for room in ["conversation:a", "private:a"] {
        scene.commit(send(room, "alice", "before")).await;
        scene.commit(append(room, "alice", added("bob", Role::Member))).await;
    }
    assert_eq!(member(&scene, "conversation:a", "bob").await.unwrap().history_from, Seq(1));
    assert_eq!(member(&scene, "private:a", "bob").await.unwrap().history_from, Seq(2));
}

pub(crate) async fn page_in_order<F: Fixture>() {
    let scene = Scene::<F>::new();
    for turn in (0..25).rev() {
        scene.commit(append("conversation:a", "alice", added(&format!("u{turn:02}"), Role::Member))).await;
    }
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let page = scene.store().members(&room_key("conversation:a"), after.as_ref(), 10).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.user.clone());
        names.extend(page.into_iter().map(|member| member.user.to_string()));
    }
    assert_eq!(names, (0..25).map(|turn| format!("u{turn:02}")).collect::<Vec<_>>());
    assert!(scene.store().members(&room_key("conversation:none"), None, 10).await.unwrap().is_empty());
}

/// Of many users those who are members, in the order asked for, as each alone.
pub(crate) async fn are_found_among_users<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    let room = "conversation:a";
    for turn in 0..5 {
        scene.commit(append(room, "alice", added(&format!("u{turn}"), Role::Reader))).await;
    }
    scene.commit(append(room, "alice", membership("u3", MembershipChange::Removed, Role::Reader))).await;
    let asked: Vec<_> = ["u4", "nobody", "u3", "u0", "alice", "u2"].into_iter().map(user).collect();
    for _ in 0..2 {
        let found = scene.store().members_among(&room_key(room), &asked).await.unwrap();
        let mut expected = Vec::new();
        for name in ["u4", "u0", "u2"] {
            expected.push(member(&scene, room, name).await.unwrap());
        }
        assert_eq!(found, expected);
        assert_eq!(scene.store().members_among(&room_key("conversation:none"), &asked).await.unwrap(), []);
        assert_eq!(scene.store().members_among(&room_key(room), &[]).await.unwrap(), []);
        scene.reopen();
    }
}

pub(crate) async fn survive_reopening<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    scene.commit(append("conversation:a", "alice", added("alice", Role::Owner))).await;
    scene.commit(append("conversation:a", "alice", added("bob", Role::Member))).await;
    let before = scene.store().members(&room_key("conversation:a"), None, 10).await.unwrap();
    scene.reopen();
    assert_eq!(scene.store().members(&room_key("conversation:a"), None, 10).await.unwrap(), before);
    let room = scene.store().room(&room_key("conversation:a")).await.unwrap().unwrap();
    assert_eq!((room.members, room.head.seq), (2, Seq(2)));
}

/// Whoever was added finds the room among theirs, however many are added at once.
pub(crate) async fn find_the_room_once_they_were_added<F: Fixture>() {
    let scene = Scene::<F>::new();
    let add = |number: u32| {
        let name = format!("user{number}");
        let (room, store) = (append("conversation:a", "office", added(&name, Role::Member)), scene.store());
        let added = store.commit(room);
        async move {
            added.await.unwrap();
            let query = RoomsQuery {
                after: None,
                bound: PageBound { items: 10, bytes: usize::MAX },
                unread_only: false,
            };
            let rooms = store.rooms_of(&user_key(&name), query).await.unwrap().rooms;
            assert_eq!(rooms.len(), 1, "{name}");
        }
    };
    futures::future::join_all((0..600).map(add)).await;
}
