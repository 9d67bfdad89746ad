//! Delivered and read marks, and unread counts.

use carillon_hub::domain::marks::Marks;
use carillon_hub::domain::member::{MembershipChange, Role};
use carillon_hub::domain::position::Seq;
use carillon_hub::store::{Change, Outcome, Store, Write};

use crate::harness::*;

fn mark(who: &str, delivered: u64, read: u64) -> Outcome {
    in_room("conversation:a", who).writing(Write::Marks { delivered: Seq(delivered), read: Seq(read) })
}

async fn marks_of<F: Fixture>(scene: &Scene<F>, who: &str) -> Marks {
    scene.store().marks(&room_key("conversation:a"), &user(who)).await.unwrap()
}

pub(crate) async fn only_grow<F: Fixture>() {
    let scene = Scene::<F>::new();
    assert_eq!(marks_of(&scene, "bob").await, Marks::default());
    for turn in 0..10 {
        scene.commit(send("conversation:a", "alice", &turn.to_string())).await;
    }
    let mut expected = Marks::default();
    for (delivered, read) in [(4, 2), (3, 1), (0, 0), (5, 7), (6, 6), (10, 9), (1, 10)] {
        expected = expected.raised(Seq(delivered), Seq(read), read);
        let committed = scene.commit(mark("bob", delivered, read)).await;
        assert_eq!(committed.marks, Some(expected));
        assert_eq!((committed.position.seq, committed.number), (Seq(0), 0), "nothing was appended");
        assert_eq!(marks_of(&scene, "bob").await, expected);
    }
    assert_eq!(marks_of(&scene, "alice").await, Marks { delivered: Seq(10), read: Seq(10), read_number: 10 });
}

pub(crate) async fn unread_counts_messages<F: Fixture>() {
    let scene = Scene::<F>::new();
    for body in [
        message("one"),
        event("e", None, "x"),
        edit(1, "two"),
        reaction(1, "k", true),
        message("three"),
        deletion(1),
    ] {
        scene.commit(append("conversation:a", "alice", body)).await;
    }
    assert_eq!(marks_of(&scene, "alice").await, Marks { delivered: Seq(5), read: Seq(5), read_number: 2 });
    for (read, number, unread) in [(1, 1, 1), (4, 1, 1), (5, 2, 0), (6, 2, 0)] {
        scene.commit(mark("bob", 0, read)).await;
        let marks = marks_of(&scene, "bob").await;
        let head = scene.store().room(&room_key("conversation:a")).await.unwrap().unwrap().head_number;
        assert_eq!((marks.read_number, marks.unread(head), marks.delivered), (number, unread, Seq(read)));
    }
    scene.commit(send("conversation:a", "bob", "four")).await;
    assert_eq!(marks_of(&scene, "bob").await.read, Seq(7), "sending moves one's own");
    assert_eq!(marks_of(&scene, "alice").await.read, Seq(5));
}

/// To whoever is added later what was written before is history, not unread. It was neither delivered nor read.
pub(crate) async fn begin_where_one_joins<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    let room = "conversation:a";
    let change = |change| append(room, "alice", membership("bob", change, Role::Member));
    scene.commit(append(room, "alice", added("early", Role::Member))).await;
    for turn in 0..3 {
        scene.commit(send(room, "alice", &turn.to_string())).await;
    }
    scene.commit(change(MembershipChange::Added)).await;
    let unread = async |scene: &Scene<F>, who: &str| {
        let number = scene.store().room(&room_key(room)).await.unwrap().unwrap().head_number;
        marks_of(scene, who).await.unread(number)
    };
    let joined = Marks { read_number: 3, ..Marks::default() };
    assert_eq!((marks_of(&scene, "bob").await, unread(&scene, "early").await), (joined, 3));
    let of_bob = |change: &Change| matches!(change, Change::Marks { user: who, .. } if *who == user("bob"));
    assert!(!scene.setup.sink.changes().iter().any(of_bob), "nobody is told that bob has read anything");
    scene.commit(send(room, "alice", "new")).await;
    scene.commit(change(MembershipChange::RoleChanged)).await;
    assert_eq!(unread(&scene, "bob").await, 1);
    let raised = scene.commit(mark("bob", 0, 2)).await.marks.unwrap();
    assert_eq!(
        (raised.read, unread(&scene, "bob").await),
        (Seq(2), 1),
        "reading history makes none of it unread"
    );
    scene.commit(change(MembershipChange::Removed)).await;
    scene.commit(send(room, "alice", "unseen")).await;
    scene.commit(change(MembershipChange::Added)).await;
    for turn in 0..2 {
        assert_eq!((unread(&scene, "bob").await, unread(&scene, "early").await), (0, 5));
        assert_eq!(marks_of(&scene, "bob").await.read, Seq(2));
        if turn == 0 {
            scene.reopen();
        }
    }
}

/// Of many users each in its place, as each alone; zero where there are none.
pub(crate) async fn are_read_of_many<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    let room = room_key("conversation:a");
    for turn in 0..20 {
        scene.commit(send("conversation:a", "alice", &turn.to_string())).await;
    }
    for (who, delivered, read) in [("bob", 9, 4), ("carol", 20, 20), ("dave", 3, 0)] {
        scene.commit(mark(who, delivered, read)).await;
    }
    let asked: Vec<_> = ["dave", "nobody", "alice", "bob", "carol"].into_iter().map(user).collect();
    for _ in 0..2 {
        let found = scene.store().marks_of(&room, &asked).await.unwrap();
        let reads: Vec<_> = found.iter().map(|marks| marks.read.0).collect();
        assert_eq!(reads, [0, 0, 20, 4, 20]);
        for (who, found) in asked.iter().zip(found) {
            assert_eq!(found, scene.store().marks(&room, who).await.unwrap());
        }
        let none = scene.store().marks_of(&room_key("conversation:none"), &asked).await.unwrap();
        assert_eq!(none, vec![Marks::default(); 5]);
        assert_eq!(scene.store().marks_of(&room, &[]).await.unwrap(), []);
        scene.reopen();
    }
}

pub(crate) async fn survive_reopening<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    for turn in 1..=30 {
        scene.commit(send("conversation:a", "alice", &turn.to_string())).await;
        scene.commit(mark("bob", turn, turn / 2)).await;
        if turn % 10 == 0 {
            scene.reopen();
            assert_eq!(
                marks_of(&scene, "bob").await,
                Marks { delivered: Seq(turn), read: Seq(turn / 2), read_number: turn / 2 }
            );
            assert_eq!(marks_of(&scene, "alice").await.read, Seq(turn));
        }
    }
    scene.close_and_open().await;
    assert_eq!(scene.commit(mark("bob", 0, 3)).await.marks.unwrap().read, Seq(15));
}
