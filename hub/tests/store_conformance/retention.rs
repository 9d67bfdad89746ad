//! Retention by count and by age.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use carillon_hub::domain::namespace::{NamespaceRules, Namespaces};
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

/// Rules change, and a room that nobody writes to any more comes to keep what they say.
pub(crate) async fn of_other_rules_after_a_restart<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    for turn in 0..100 {
        scene.commit(send("conversation:a", "alice", &turn.to_string())).await;
    }
    let rules = NamespaceRules { retention_count: Some(30), ..NamespaceRules::closed("conversation") };
    scene.setup.namespaces = Arc::new(Namespaces::new(vec![rules]));
    scene.close_and_open().await;
    let room = room_key("conversation:a");
    scene.setup.sink.wait_for(|change| *change == Change::Trimmed { room: room.clone(), first: Seq(71) });
    assert_eq!(scene.log("conversation:a").await.len(), 30);
}

/// A room that is written to all the time is trimmed as well, though something of it always waits to be moved.
pub(crate) async fn of_rooms_under_constant_load<F: Fixture>() {
    let scene = Scene::<F>::with(Setup { deferred: 20_000, ..Setup::new() });
    let trimmed = || {
        let changes = scene.setup.sink.changes();
        let first = |change: &Change| match change {
            Change::Trimmed { room, first } if *room == room_key("short:a") => Some(first.0),
            _ => None,
        };
        changes.iter().filter_map(first).max().unwrap_or(0)
    };
    let send = |turn: u64| scene.store().commit(send("short:a", "alice", &turn.to_string()));
    let mut sent = 4_000;
    let mut pending: VecDeque<_> = (0..sent).map(send).collect();
    while sent < 40_000 {
        pending.pop_front().unwrap().await.unwrap();
        pending.push_back(send(sent));
        sent += 1;
    }
    let kept = sent - trimmed();
    assert!(kept < 15_000, "{kept} of {sent} are kept");
    for last in pending {
        last.await.unwrap();
    }
    let first = Seq(sent + 1 - 20);
    scene.setup.sink.wait_for(|change| *change == Change::Trimmed { room: room_key("short:a"), first });
    assert_eq!(scene.log("short:a").await.len(), 20);
}

/// While a room is trimmed a page from its beginning holds the oldest entry that is kept, and says that more come.
pub(crate) async fn of_a_room_that_is_read_from_its_beginning<F: Fixture>() {
    let scene = Scene::<F>::with(Setup { deferred: 20_000, ..Setup::new() });
    scene.commit(send("short:a", "alice", "first")).await;
    let mut pending = VecDeque::new();
    for turn in 0..6_000_u64 {
        pending.push_back(scene.store().commit(send("short:a", "alice", &turn.to_string())));
        if turn >= 500 {
            pending.pop_front().unwrap().await.unwrap();
            let page = scene.page("short:a", EntryRange::After(Seq(0)), 3).await;
            let seqs: Vec<u64> = page.entries.iter().map(|entry| entry.seq.0).collect();
            let wanted: Vec<u64> = (page.first.0..=page.head.seq.0).take(3).collect();
            assert_eq!(seqs, wanted, "of {:?} to {:?}", page.first, page.head.seq);
            assert_eq!(page.more, page.first.0 + 2 < page.head.seq.0);
        }
    }
    for last in pending {
        last.await.unwrap();
    }
}
