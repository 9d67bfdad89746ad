//! Delivered and read marks, and unread counts.

use carillon_hub::domain::marks::Marks;
use carillon_hub::domain::position::Seq;
use carillon_hub::store::{Outcome, Store, Write};

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
