//! Durable events and the last of each key.

use carillon_hub::domain::entry::{Entry, EntryBody};
use carillon_hub::domain::limits::{STATE_BYTES, STATE_KEYS};
use carillon_hub::domain::position::Seq;
use carillon_hub::store::{Change, CommitError, PageBound, Store};

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

/// All of a room's state is handed over to who joins, so it is bounded in keys and bytes, also over reopening.
pub(crate) async fn state_is_bounded<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    let all = PageBound { items: STATE_KEYS as u32, bytes: usize::MAX };
    let keyed = |room: &'static str, key: usize, payload: &str| {
        append(room, "alice", event("set", Some(&format!("key{key}")), payload))
    };
    let sets: Vec<_> =
        (0..STATE_KEYS).map(|key| scene.store().commit(keyed("state:keys", key, "x"))).collect();
    for set in sets {
        set.await.unwrap();
    }
    for way in 0..3 {
        let refused = scene.refused(keyed("state:keys", STATE_KEYS, "x")).await;
        assert!(matches!(refused, CommitError::StateFull), "{refused:?}");
        scene.commit(keyed("state:keys", 7, "changed")).await;
        let latest = scene.store().latest_events(&room_key("state:keys"), all).await.unwrap();
        assert_eq!(latest.len(), STATE_KEYS);
        assert_eq!(latest.last().unwrap().body, event("set", Some("key7"), "changed"));
        if way == 0 { scene.reopen() } else { scene.close_and_open().await }
    }
    let large = "y".repeat(9_000);
    let mut held = 0;
    while (held + 1) * 9_010 < STATE_BYTES {
        scene.commit(keyed("state:bytes", held, &large)).await;
        held += 1;
    }
    assert!(matches!(scene.refused(keyed("state:bytes", held, &large)).await, CommitError::StateFull));
    let larger = "y".repeat(10_000);
    let mut grown = 0;
    while scene.store().commit(keyed("state:bytes", grown, &larger)).await.is_ok() {
        grown += 1;
    }
    assert_eq!(grown, (STATE_BYTES - held * 9_010) / 1_000, "what grows past the bound is refused too");
    scene.commit(keyed("state:bytes", 0, "y")).await;
    scene.commit(keyed("state:bytes", held, &large)).await;
    // Where no state is kept, keys are the application's own.
    scene.commit(append("conversation:a", "alice", event("set", Some("key"), "x"))).await;
    assert!(scene.store().latest_events(&room_key("conversation:a"), all).await.unwrap().is_empty());
}

/// An event without payload makes place: for its key's bytes at once, for the key when a new one needs its place. Until then it
/// is there for who comes back with a copy.
pub(crate) async fn emptied_keys_make_place<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    let room = "state:keys";
    let all = PageBound { items: 2 * STATE_KEYS as u32, bytes: usize::MAX };
    let set = |key: usize| append(room, "alice", event("set", Some(&format!("key{key}")), "x"));
    let emptied = |key: usize| append(room, "alice", empty_event("gone", &format!("key{key}")));
    let sets: Vec<_> = (0..STATE_KEYS).map(|key| scene.store().commit(set(key))).collect();
    for set in sets {
        set.await.unwrap();
    }
    assert!(matches!(scene.refused(set(STATE_KEYS)).await, CommitError::StateFull));
    scene.commit(emptied(STATE_KEYS)).await;
    for key in [7, 5, 9] {
        scene.commit(emptied(key)).await;
    }
    for way in 0..3 {
        let key = STATE_KEYS + way;
        scene.commit(set(key)).await;
        let latest = scene.store().latest_events(&room_key(room), all).await.unwrap();
        let says_nothing: Vec<_> = latest
            .iter()
            .filter_map(|entry| match &entry.body {
                EntryBody::Event(event) if event.payload.is_none() => {
                    Some(event.key.as_ref().unwrap().as_str().to_owned())
                }
                _ => None,
            })
            .collect();
        assert_eq!(says_nothing, ["key7", "key5", "key9"][way + 1..]);
        assert_eq!(latest.len(), STATE_KEYS);
        assert_eq!(latest.last().unwrap().body, event("set", Some(&format!("key{key}")), "x"));
        if way == 0 { scene.reopen() } else { scene.close_and_open().await }
    }
    assert!(matches!(scene.refused(set(2 * STATE_KEYS)).await, CommitError::StateFull));
    // One that is set again is there again.
    scene.commit(emptied(STATE_KEYS)).await;
    scene.commit(set(STATE_KEYS)).await;
    assert!(matches!(scene.refused(set(2 * STATE_KEYS)).await, CommitError::StateFull));
}
