//! Pages of a log.

use carillon_hub::domain::entry::{Entry, EntryBody, Message};
use carillon_hub::domain::position::{Position, Seq};
use carillon_hub::store::{EntryPage, EntryRange, PageBound, Store};

use crate::harness::*;

fn seqs(page: &EntryPage) -> Vec<u64> {
    page.entries.iter().map(|entry| entry.seq.0).collect()
}

pub(crate) async fn after_and_before<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    for turn in 0..100 {
        scene.commit(send("conversation:a", "alice", &turn.to_string())).await;
    }
    for _ in 0..2 {
        for limit in [1, 7, 40, 200] {
            for place in [0, 1, 50, 84, 85, 99, 100, 101, 5_000] {
                let page = scene.page("conversation:a", EntryRange::After(Seq(place)), limit).await;
                let end = (place + u64::from(limit)).min(100);
                assert_eq!(seqs(&page), (place + 1..=end).collect::<Vec<_>>());
                assert_eq!(
                    (page.more, page.head.seq, page.head_number, page.first),
                    (end < 100, Seq(100), 100, Seq(1))
                );
                let page = scene.page("conversation:a", EntryRange::Before(Seq(place)), limit).await;
                let newest = place.saturating_sub(1).min(100);
                let oldest = (newest + 1).saturating_sub(u64::from(limit)).max(1);
                assert_eq!(seqs(&page), (oldest..=newest).rev().collect::<Vec<_>>());
                assert_eq!(page.more, newest > 0 && oldest > 1);
            }
        }
        scene.reopen();
    }
}

pub(crate) async fn bounded_by_items_and_bytes<F: Fixture>() {
    let scene = Scene::<F>::new();
    for _ in 0..30 {
        scene.commit(send("conversation:a", "alice", &"x".repeat(100))).await;
    }
    let read = |range, bytes| {
        scene.store().entries(&room_key("conversation:a"), range, PageBound { items: 10, bytes })
    };
    let size = scene.log("conversation:a").await[0].size();
    let page = read(EntryRange::After(Seq(0)), 4 * size + 100).await.unwrap();
    assert_eq!((page.entries.len(), page.more), (4, true));
    let page = read(EntryRange::Before(Seq(31)), 1).await.unwrap();
    assert_eq!((seqs(&page), page.more), (vec![30], true), "at least one");
    let page = read(EntryRange::Before(Seq(11)), 5_000).await.unwrap();
    assert_eq!((page.entries.len(), page.more), (10, false));
}

/// What an entry carries besides its content counts: metadata, attributes, reactions.
pub(crate) async fn bounded_by_whole_entries<F: Fixture>() {
    let scene = Scene::<F>::new();
    let room = "conversation:a";
    let pairs: Vec<_> = (0..16).map(|number| (number.to_string(), "x".repeat(250))).collect();
    let pairs: Vec<_> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let pairs = crate::harness::pairs(&pairs);
    for turn in 0..20 {
        let body = match turn % 2 {
            0 => EntryBody::Room { created: false, metadata: pairs.clone() },
            _ => EntryBody::Message(Message::new(text("x"), None, pairs.clone())),
        };
        scene.commit(append(room, "alice", body)).await;
    }
    let keys: Vec<String> = (0..150).map(|number| format!("{number:03}{}", "k".repeat(60))).collect();
    for key in &keys {
        scene.commit(append(room, "alice", reaction(4, key, true))).await;
    }
    scene.commit(append(room, "bob", reaction(4, &keys[149], true))).await;
    let EntryBody::Message(message) = scene.log(room).await.remove(3).body else { panic!("not a message") };
    assert_eq!((message.reactions.len(), message.reactions_total), (100, 151));
    let shown: Vec<_> = message.reactions.iter().map(|summary| summary.key.as_str()).collect();
    assert_eq!(shown, keys[..99].iter().chain([&keys[149]]).collect::<Vec<_>>(), "the most, in order");
    let bound = PageBound { items: 100, bytes: 20_000 };
    for up in [true, false] {
        let mut seen = Vec::new();
        let mut range = if up { EntryRange::After(Seq(0)) } else { EntryRange::Before(Seq(21)) };
        loop {
            let page = scene.store().entries(&room_key(room), range, bound).await.unwrap();
            let bytes: usize = page.entries.iter().map(Entry::size).sum();
            assert!(bytes <= bound.bytes, "{bytes}");
            seen.extend(seqs(&page).into_iter().filter(|seq| *seq <= 20));
            let last = page.entries.last().unwrap().seq;
            range = if up { EntryRange::After(last) } else { EntryRange::Before(last) };
            if !page.more || last > Seq(20) {
                break;
            }
        }
        let mut all: Vec<_> = (1..=20).collect();
        if !up {
            all.reverse();
        }
        assert_eq!(seen, all);
    }
}

pub(crate) async fn while_others_append<F: Fixture>() {
    let scene = Scene::<F>::new();
    let sends: Vec<_> = (0..2_000)
        .map(|turn| scene.store().commit(send("conversation:a", "alice", &turn.to_string())))
        .collect();
    let mut after = 0;
    for pending in sends {
        let acknowledged = pending.await.unwrap().position.seq.0;
        if acknowledged % 20 == 0 {
            let page = scene.page("conversation:a", EntryRange::Before(Seq(u64::MAX >> 1)), 30).await;
            assert!(page.head.seq.0 >= acknowledged, "a read sees what was acknowledged before");
            assert_eq!(page.entries[0].position(), page.head);
            assert!(page.entries.windows(2).all(|pair| pair[0].seq.0 == pair[1].seq.0 + 1), "no holes");
            let page = scene.page("conversation:a", EntryRange::After(Seq(after)), 500).await;
            assert_eq!(seqs(&page), (after + 1..=after + page.entries.len() as u64).collect::<Vec<_>>());
            assert!(page.more || page.entries.last().is_none_or(|last| last.position() == page.head));
            after += page.entries.len() as u64;
            let room = scene.store().room(&room_key("conversation:a")).await.unwrap().unwrap();
            assert!(room.head.seq.0 >= acknowledged);
            let marks = scene.store().marks(&room_key("conversation:a"), &user("alice")).await.unwrap();
            assert!(marks.read.0 >= acknowledged);
        }
    }
    assert_eq!(after, 2_000);
}

pub(crate) async fn of_rooms_that_do_not_exist<F: Fixture>() {
    let scene = Scene::<F>::new();
    let page = scene.page("conversation:none", EntryRange::After(Seq(0)), 10).await;
    assert_eq!(page, EntryPage::empty(scene.store().epoch()));
    assert_eq!(page.head, Position { epoch: scene.store().epoch(), ..Position::default() });
    assert_eq!(scene.store().entry(&room_key("conversation:none"), Seq(1)).await.unwrap(), None);
    assert_eq!(scene.store().room(&room_key("conversation:none")).await.unwrap(), None);
    scene.commit(send("conversation:a", "alice", "x")).await;
    for seq in [0, 2] {
        assert_eq!(scene.store().entry(&room_key("conversation:a"), Seq(seq)).await.unwrap(), None);
    }
}
