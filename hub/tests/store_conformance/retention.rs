//! Retention by count and by age.

use std::time::Duration;

use carillon_hub::domain::position::Seq;
use carillon_hub::store::{Change, EntryRange, Store, Write};

use crate::harness::*;

pub(crate) async fn by_count<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    for turn in 0..100 {
        scene.commit(send("short:a", "alice", &turn.to_string())).await;
    }
    scene
        .setup
        .sink
        .wait_for(|change| *change == Change::Trimmed { room: room_key("short:a"), first: Seq(81) });
    for _ in 0..2 {
        let page = scene.page("short:a", EntryRange::After(Seq(0)), 1_000).await;
        assert_eq!((page.first, page.head.seq, page.head_number), (Seq(81), Seq(100), 100));
        assert_eq!(
            page.entries.iter().map(|entry| entry.seq.0).collect::<Vec<_>>(),
            (81..=100).collect::<Vec<_>>()
        );
        let page = scene.page("short:a", EntryRange::Before(Seq(90)), 1_000).await;
        assert_eq!((page.entries.len(), page.more), (9, false));
        let page = scene.page("short:a", EntryRange::Before(Seq(50)), 1_000).await;
        assert_eq!((page.entries.len(), page.more), (0, false));
        assert_eq!(scene.store().entry(&room_key("short:a"), Seq(80)).await.unwrap(), None);
        scene.reopen();
    }
    assert!(scene.fails(append("short:a", "alice", edit(80, "x"))).await);
    let mark = in_room("short:a", "bob").writing(Write::Marks { delivered: Seq(0), read: Seq(40) });
    assert_eq!(
        scene.commit(mark).await.marks.unwrap().read_number,
        80,
        "what retention removed is read with the rest"
    );
}

pub(crate) async fn by_age<F: Fixture>() {
    let scene = Scene::<F>::new();
    for turn in 0..30 {
        scene.commit(send("brief:a", "alice", &turn.to_string())).await;
        scene.commit(send("conversation:a", "alice", &turn.to_string())).await;
    }
    scene.setup.clock.advance(Duration::from_secs(50));
    scene.commit(send("brief:a", "alice", "young")).await;
    scene.setup.clock.advance(Duration::from_secs(20));
    scene
        .setup
        .sink
        .wait_for(|change| *change == Change::Trimmed { room: room_key("brief:a"), first: Seq(31) });
    assert_eq!(scene.log("brief:a").await.len(), 1);
    scene.setup.clock.advance(Duration::from_secs(100));
    scene
        .setup
        .sink
        .wait_for(|change| *change == Change::Trimmed { room: room_key("brief:a"), first: Seq(32) });
    let room = scene.store().room(&room_key("brief:a")).await.unwrap().unwrap();
    assert_eq!((room.first, room.head.seq, room.head_number), (Seq(32), Seq(31), 31));
    assert_eq!(scene.commit(send("brief:a", "alice", "next")).await.position.seq, Seq(32));
    assert_eq!(scene.log("conversation:a").await.len(), 30);
}
