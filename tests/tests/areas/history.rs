//! Pages of a room's log, both ways, and how they meet what follows live.

use carillon_client::{Event, v1};
use carillon_tests::story::{verdict, wrong_field};
use carillon_tests::{Person, hub};
use v1::history_get::Bound;

const ROOM: &str = "room:lobby";

async fn page(person: &Person, bound: Option<Bound>, limit: u32) -> (Vec<u64>, u64, bool) {
    let page = v1::HistoryGet { room: ROOM.into(), bound, limit };
    let page = person.client.history(page).await.unwrap();
    let entries = page.entries.into_iter().filter_map(|entry| entry.entry).map(Event::from);
    let seqs = entries.filter_map(|event| event.entry().map(|(_, header)| header.seq)).collect();
    (seqs, page.as_of.unwrap().seq, page.more)
}

#[tokio::test]
async fn history_is_read_both_ways() {
    let hub = hub().start().await;
    let alice = hub.enters("alice").await;
    for n in 1..=230 {
        assert_eq!(alice.says(ROOM, "hello").await, n);
    }
    let seqs = |range: std::ops::RangeInclusive<u64>| range.collect::<Vec<_>>();
    assert_eq!(page(&alice, None, 0).await, (seqs(181..=230), 230, true));
    assert_eq!(page(&alice, None, 200).await, (seqs(31..=230), 230, true));
    assert_eq!(page(&alice, Some(Bound::Before(31)), 200).await, (seqs(1..=30), 230, false));
    assert_eq!(page(&alice, Some(Bound::Before(31)), 30).await, (seqs(1..=30), 230, false));
    assert_eq!(page(&alice, Some(Bound::After(0)), 2).await, (seqs(1..=2), 230, true));
    assert_eq!(page(&alice, Some(Bound::After(228)), 2).await, (seqs(229..=230), 230, false));
    assert_eq!(page(&alice, Some(Bound::After(230)), 2).await, (vec![], 230, false));
    assert_eq!(page(&alice, Some(Bound::Before(1)), 2).await, (vec![], 230, false));
    assert_eq!(page(&alice, Some(Bound::Before(9_999)), 1).await, (vec![230], 230, true));
    let wrong = |bound, limit| {
        let page = v1::HistoryGet { room: ROOM.into(), bound, limit };
        alice.client.history(page)
    };
    assert_eq!(wrong_field(wrong(None, 201).await), "limit");
    assert_eq!(wrong_field(wrong(Some(Bound::After(231)), 1).await), "after");
    assert_eq!(wrong_field(wrong(Some(Bound::After(u64::MAX)), 1).await), "after");
    assert_eq!(wrong_field(wrong(Some(Bound::Before(u64::MAX)), 1).await), "before");
    let elsewhere = |room: &str| v1::HistoryGet { room: room.into(), ..Default::default() };
    assert_eq!(wrong_field(alice.client.history(elsewhere("live:1")).await), "room");
    assert_eq!(verdict(alice.client.history(elsewhere("conversation:1")).await), "ACCESS_DENIED");
    let empty = alice.client.history(elsewhere("room:empty")).await.unwrap();
    assert!(empty.entries.is_empty() && !empty.more && empty.as_of.unwrap().seq == 0);
}

#[tokio::test]
async fn a_page_and_what_follows_it_have_neither_gap_nor_overlap() {
    let hub = hub().start().await;
    let (alice, mut bob) = (hub.enters("alice").await, hub.enters("bob").await);
    let sender = alice.client.clone();
    let sends = tokio::spawn(async move {
        for n in 0..150 {
            sender.send(ROOM, format!("message {n}")).await.unwrap();
        }
    });
    let mut seen: Vec<u64>;
    loop {
        let newest = v1::HistoryGet { room: ROOM.into(), limit: 200, ..Default::default() };
        let newest = bob.client.history(newest).await.unwrap();
        seen = (1..=newest.entries.len() as u64).collect();
        let as_of = newest.as_of.unwrap();
        assert_eq!(as_of.seq, seen.len() as u64);
        if as_of.seq > 0 {
            let join = v1::Join { room: ROOM.into(), since: Some(as_of), ..Default::default() };
            assert!(!bob.client.join_with(join).await.unwrap().truncated);
            break;
        }
    }
    while seen.len() < 150 {
        seen.push(carillon_tests::seq(&bob.hears(ROOM).await));
    }
    sends.await.unwrap();
    assert_eq!(seen, (1..=150).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_join_rewinds() {
    let hub = hub().start().await;
    let (alice, mut bob) = (hub.enters("alice").await, hub.enters("bob").await);
    for _ in 0..30 {
        alice.says(ROOM, "hello").await;
    }
    let rewind = |rewind| v1::Join { room: ROOM.into(), rewind, ..Default::default() };
    let joined = bob.client.join_with(rewind(10)).await.unwrap();
    assert!(joined.recovered && !joined.truncated);
    for seq in 21..=30 {
        assert_eq!(carillon_tests::seq(&bob.hears(ROOM).await), seq);
    }
    // A joined room is joined anew from where one says.
    let joined = bob.client.join_with(rewind(2)).await.unwrap();
    assert_eq!(joined.position.as_ref().unwrap().seq, 30);
    assert_eq!(carillon_tests::seq(&bob.hears(ROOM).await), 29);
    assert_eq!(wrong_field(bob.client.join_with(rewind(1_001)).await), "rewind");
    let both = v1::Join { since: joined.position, ..rewind(1) };
    assert_eq!(wrong_field(bob.client.join_with(both).await), "rewind");
    let tagged = v1::Join { since: Some(v1::Position { epoch: 1, seq: 0, tag: 1 }), ..rewind(0) };
    assert_eq!(wrong_field(bob.client.join_with(tagged).await), "since.tag");
}
