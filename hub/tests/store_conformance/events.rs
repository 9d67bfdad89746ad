//! Durable events and the last of each key.

use carillon_hub::domain::entry::Entry;
use carillon_hub::domain::position::Seq;
use carillon_hub::store::{Change, PageBound, Store};

use crate::harness::*;

pub(crate) async fn last_of_each_key<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    let room = "state:board";
    scene.commit(append(room, "alice", event("moved", Some("early"), "0"))).await;
    for turn in 0..40 {
        let key = format!("k{}", turn % 4);
        scene.commit(append(room, "alice", event("moved", Some(&key), &turn.to_string()))).await;
        scene.commit(append(room, "alice", event("ping", None, "x"))).await;
    }
    // Retention passes the early one, which stays the last of its key.
    scene.setup.sink.wait_for(|change| matches!(change, Change::Trimmed { first, .. } if *first > Seq(60)));
    for way in 0..3 {
        let bound = PageBound { items: 100, bytes: usize::MAX };
        let latest = scene.store().latest_events(&room_key(room), bound).await.unwrap();
        let read: Vec<(u64, _)> =
            latest.iter().map(|entry: &Entry| (entry.seq.0, entry.body.clone())).collect();
        let mut expected = vec![(1, event("moved", Some("early"), "0"))];
        expected.extend((36..40).map(|turn: u64| {
            (2 + turn * 2, event("moved", Some(&format!("k{}", turn % 4)), &turn.to_string()))
        }));
        assert_eq!(read, expected);
        let two = PageBound { items: 2, bytes: usize::MAX };
        assert_eq!(scene.store().latest_events(&room_key(room), two).await.unwrap().len(), 2);
        if way == 0 { scene.reopen() } else { scene.close_and_open().await }
    }
    let bound = PageBound { items: 100, bytes: usize::MAX };
    assert!(scene.store().latest_events(&room_key("state:none"), bound).await.unwrap().is_empty());
}
