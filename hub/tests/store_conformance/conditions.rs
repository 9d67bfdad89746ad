//! Conditions: each holds and fails, and a failure stores nothing.

use carillon_hub::domain::entry::EntryBody;
use carillon_hub::domain::inbox::Priority;
use carillon_hub::domain::member::{MembershipChange, Role};
use carillon_hub::domain::position::Seq;
use carillon_hub::store::{CommitError, Condition, Effect, Home, Store, Write};

use crate::harness::*;

fn given(condition: Condition) -> carillon_hub::store::Outcome {
    in_room("conversation:a", "alice").given(condition)
}

pub(crate) async fn of_rooms<F: Fixture>() {
    let scene = Scene::<F>::new();
    assert!(scene.fails(given(Condition::RoomVersion(Seq(0)))).await);
    assert!(scene.fails(given(Condition::HeadAtLeast(Seq(1)))).await);
    scene.commit(given(Condition::RoomNotCreated).append(message("open"))).await;
    scene.commit(given(Condition::RoomNotCreated).append(message("still open"))).await;
    let create = given(Condition::RoomNotCreated)
        .writing(Write::Create { direct: false })
        .append(EntryBody::Room { created: true, metadata: pairs(&[("title", "a")]) });
    let version = scene.commit(create.clone()).await.position.seq;
    assert!(scene.fails(create).await);
    scene.commit(given(Condition::RoomVersion(version)).append(message("a"))).await;
    assert!(scene.fails(given(Condition::RoomVersion(Seq(1))).append(message("a"))).await);
    scene.commit(given(Condition::HeadAtLeast(Seq(4)))).await;
    assert!(scene.fails(given(Condition::HeadAtLeast(Seq(5)))).await);
}

pub(crate) async fn of_members<F: Fixture>() {
    let scene = Scene::<F>::new();
    let is_member = |version| Condition::Member { user: user("alice"), version: Seq(version) };
    assert!(scene.fails(given(is_member(1))).await);
    scene.commit(given(Condition::NotMember(user("alice"))).append(added("alice", Role::Owner))).await;
    assert!(scene.fails(given(Condition::NotMember(user("alice")))).await);
    scene.commit(given(is_member(1)).append(message("a"))).await;
    assert!(scene.fails(given(Condition::OtherOwner(user("alice")))).await);
    scene.commit(given(Condition::OtherOwner(user("bob")))).await;
    scene.commit(given(Condition::MembersBelow(2)).append(added("bob", Role::Member))).await;
    assert!(scene.fails(given(Condition::MembersBelow(2)).append(added("carol", Role::Member))).await);
    scene
        .commit(append(
            "conversation:a",
            "alice",
            membership("alice", MembershipChange::RoleChanged, Role::Member),
        ))
        .await;
    let refused = scene.refused(given(is_member(1)).append(message("no"))).await;
    let CommitError::Condition(current) = refused else { panic!("{refused:?}") };
    let member = current.member.clone().unwrap();
    assert_eq!(
        (member.version, member.role, current.actor.clone().unwrap()),
        (Seq(4), Role::Member, member.clone())
    );
    assert_eq!(current.room.unwrap().members, 2);
    scene.commit(given(is_member(4)).append(membership("alice", MembershipChange::Left, Role::Member))).await;
    assert!(scene.fails(given(is_member(4))).await);
    scene.commit(given(Condition::NotMember(user("alice")))).await;
}

pub(crate) async fn of_messages<F: Fixture>() {
    let scene = Scene::<F>::new();
    scene.commit(send("conversation:a", "alice", "one")).await;
    scene.commit(append("conversation:a", "alice", event("e", None, "x"))).await;
    let is = |seq, sender: Option<&str>, version| Condition::Message {
        seq: Seq(seq),
        sender: sender.map(user),
        version,
    };
    scene.commit(given(is(1, Some("alice"), Some(1)))).await;
    scene.commit(given(is(1, None, None))).await;
    assert!(scene.fails(given(is(1, Some("bob"), None))).await);
    assert!(scene.fails(given(is(2, None, None))).await, "an event is no message");
    assert!(scene.fails(given(is(3, None, None))).await);
    scene.commit(append("conversation:a", "alice", edit(1, "two"))).await;
    let refused = scene.refused(given(is(1, None, Some(1)))).await;
    let CommitError::Condition(current) = refused else { panic!("{refused:?}") };
    let EntryBody::Message(message) = current.entry.unwrap().body else { panic!("not a message") };
    assert_eq!((message.version, message.content), (2, Some(text("two"))));
    scene.commit(given(is(1, None, Some(2))).append(deletion(1))).await;
    assert!(scene.fails(given(is(1, None, None))).await, "it was deleted");
    for body in [edit(1, "x"), deletion(1), reaction(1, "x", true), edit(2, "x"), edit(99, "x")] {
        assert!(scene.fails(append("conversation:a", "alice", body)).await, "needs its message");
    }
}

pub(crate) async fn nothing_is_stored_in_part<F: Fixture>() {
    let scene = Scene::<F>::new();
    scene.commit(send("conversation:a", "alice", "one")).await;
    let told = scene.setup.sink.changes().len();
    let mut refused = in_room("conversation:a", "bob")
        .append(message("no"))
        .append(added("bob", Role::Owner))
        .writing(Write::Create { direct: true })
        .writing(Write::Marks { delivered: Seq(1), read: Seq(1) })
        .given(Condition::HeadAtLeast(Seq(1)))
        .given(Condition::HeadAtLeast(Seq(2)))
        .keyed("same", 1);
    refused.effects = vec![Effect::Notify { user: user("carol"), notice: notice("n", Priority::Low) }];
    assert!(scene.fails(refused.clone()).await);
    assert!(scene.fails(append("conversation:new", "bob", edit(1, "x"))).await);
    let key = room_key("conversation:a");
    let room = scene.store().room(&key).await.unwrap().unwrap();
    assert_eq!((room.head.seq, room.created, room.direct, room.members), (Seq(1), false, false, 0));
    assert_eq!(scene.store().member(&key, &user("bob")).await.unwrap(), None);
    assert_eq!(scene.store().marks(&key, &user("bob")).await.unwrap(), Default::default());
    assert_eq!(scene.store().inbox_summary(&user_key("carol")).await.unwrap().unread, 0);
    assert_eq!(scene.store().room(&room_key("conversation:new")).await.unwrap(), None);
    assert_eq!(scene.setup.sink.changes().len(), told);
    refused.conditions.clear();
    assert!(!scene.commit(refused).await.duplicate, "a refusal does not use the key up");
}

pub(crate) async fn are_atomic_within_a_group<F: Fixture>() {
    let scene = Scene::<F>::new();
    // All are in flight at once, and only one may win.
    let joins: Vec<_> = (0..50)
        .map(|turn| {
            let who = format!("u{turn}");
            let join = append("conversation:a", &who, added(&who, Role::Member));
            scene.store().commit(join.given(Condition::MembersBelow(1)))
        })
        .collect();
    let mut won = 0;
    for join in joins {
        won += usize::from(join.await.is_ok());
    }
    assert_eq!(won, 1);
    assert_eq!(scene.store().room(&room_key("conversation:a")).await.unwrap().unwrap().members, 1);
}

pub(crate) async fn refuse_what_is_not_of_the_home<F: Fixture>() {
    let scene = Scene::<F>::new();
    let wrong = [
        outcome(Home::Tenant, "alice").append(message("x")),
        outcome(Home::Inbox(user("alice")), "alice").writing(Write::Know),
        in_room("conversation:a", "alice").writing(Write::Know),
        outcome(Home::Tenant, "alice").given(Condition::RoomNotCreated),
    ];
    for outcome in wrong {
        assert!(matches!(scene.refused(outcome).await, CommitError::Store(_)));
    }
    assert!(scene.store().figures().healthy);
}
