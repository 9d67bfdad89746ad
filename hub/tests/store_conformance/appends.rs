//! Appending: places, numbers, times, and what an entry reads as.

use std::time::Duration;

use bytes::Bytes;
use carillon_hub::domain::content::Content;
use carillon_hub::domain::entry::{EntryBody, Message};
use carillon_hub::domain::member::Role;
use carillon_hub::domain::position::Seq;
use carillon_hub::store::Store;

use crate::harness::*;

pub(crate) async fn gives_places_without_holes<F: Fixture>() {
    let scene = Scene::<F>::new();
    for turn in 1..=50_u64 {
        let committed = scene.commit(send("conversation:a", "alice", &format!("message {turn}"))).await;
        assert_eq!((committed.position.seq, committed.number, committed.duplicate), (Seq(turn), turn, false));
        assert_eq!(committed.position.epoch, scene.store().epoch());
        let entry = scene.store().entry(&room_key("conversation:a"), Seq(turn)).await.unwrap().unwrap();
        assert_eq!((entry.position(), entry.time, entry.number), (committed.position, committed.time, turn));
        assert_eq!((entry.sender, entry.body), (user("alice"), message(&format!("message {turn}"))));
    }
    let room = scene.store().room(&room_key("conversation:a")).await.unwrap().unwrap();
    assert_eq!((room.head.seq, room.head_number, room.first, room.created), (Seq(50), 50, Seq(1), false));
    let committed =
        scene.commit(in_room("conversation:a", "bob").append(message("a")).append(message("b"))).await;
    assert_eq!((committed.position.seq, committed.number), (Seq(52), 52));
}

pub(crate) async fn concurrent_appends_are_ordered<F: Fixture>() {
    let scene = Scene::<F>::new();
    let sends: Vec<_> = (0..300)
        .map(|turn| {
            scene.store().commit(send(&format!("conversation:{}", turn % 3), "alice", &turn.to_string()))
        })
        .collect();
    for pending in sends {
        pending.await.unwrap();
    }
    for room in 0..3 {
        let log = scene.log(&format!("conversation:{room}")).await;
        let turns: Vec<String> = (0..100).map(|turn| (turn * 3 + room).to_string()).collect();
        let read: Vec<String> = log
            .iter()
            .map(|entry| match &entry.body {
                EntryBody::Message(Message { content: Some(content), .. }) => {
                    String::from_utf8(content.as_bytes().to_vec()).unwrap()
                }
                _ => panic!("not a message"),
            })
            .collect();
        assert_eq!(read, turns, "commits are in the order of their calls");
        assert!(log.iter().zip(1..).all(|(entry, seq)| entry.seq == Seq(seq)));
    }
}

pub(crate) async fn time_never_goes_backwards<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    let first = scene.commit(send("conversation:a", "alice", "one")).await;
    scene.setup.clock.turn_back(Duration::from_secs(100));
    let second = scene.commit(send("conversation:a", "alice", "two")).await;
    assert!(second.time >= first.time);
    scene.reopen();
    assert!(scene.commit(send("conversation:a", "alice", "three")).await.time >= first.time);
    let log = scene.log("conversation:a").await;
    assert!(log.windows(2).all(|pair| pair[0].time <= pair[1].time));
}

pub(crate) async fn keeps_every_kind_of_entry<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    let data = Content::data(Bytes::from_static(&[0, 159, 146, 150]), "image/png").unwrap();
    let html = Content::text("<b>é</b>", "text/html").unwrap();
    let plain_data = Content::data(Bytes::from_static(b"abc"), "text/plain").unwrap();
    let told = Message::new(text("told"), Some(Seq(2)), pairs(&[("a", "1")]));
    let bodies = [
        EntryBody::Message(Message::new(data, None, pairs(&[("a", "1"), ("b", "\"quoted\" é")]))),
        EntryBody::Message(Message::new(html, Some(Seq(1)), pairs(&[]))),
        EntryBody::Message(Message::new(plain_data, None, pairs(&[]))),
        EntryBody::Message(Message { by_service: true, ..told }),
        added("bob", Role::Moderator),
        EntryBody::Room { created: true, metadata: pairs(&[("title", "plans")]) },
        event("moved", Some("pointer"), "1,2"),
        event("ping", None, "now"),
        of_service(event("moved", Some("pointer"), "3,4")),
        of_service(event("ping", None, "then")),
        reaction(1, "👍", true),
        deletion(2),
    ];
    for body in &bodies {
        scene.commit(append("conversation:a", "alice", body.clone())).await;
    }
    for _ in 0..2 {
        let log = scene.log("conversation:a").await;
        let read: Vec<_> = log.iter().map(|entry| entry.body.clone()).collect();
        assert_eq!(read[2..], bodies[2..]);
        let EntryBody::Message(first) = &read[0] else { panic!("not a message") };
        let EntryBody::Message(sent) = &bodies[0] else { panic!("not a message") };
        assert_eq!((&first.content, &first.attributes), (&sent.content, &sent.attributes));
        assert_eq!(
            log.iter().map(|entry| entry.number).collect::<Vec<_>>(),
            [1, 2, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4]
        );
        scene.close_and_open().await;
    }
}

pub(crate) async fn survives_reopening<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    let (epoch, secret) = (scene.store().epoch(), scene.store().secret());
    for turn in 0..100 {
        scene.commit(send(&format!("conversation:{}", turn % 7), "alice", &turn.to_string())).await;
        if turn == 60 {
            scene.close_and_open().await;
        } else if turn % 25 == 0 {
            scene.reopen();
        }
    }
    let mut before = Vec::new();
    for room in 0..7 {
        before.push(scene.log(&format!("conversation:{room}")).await);
    }
    scene.reopen();
    for (room, log) in before.iter().enumerate() {
        assert_eq!(&scene.log(&format!("conversation:{room}")).await, log);
        assert!(log.iter().zip(1..).all(|(entry, seq)| entry.seq == Seq(seq) && entry.number == seq));
    }
    assert_eq!(before.iter().map(Vec::len).sum::<usize>(), 100);
    assert_eq!((scene.store().epoch(), scene.store().secret()), (epoch, secret));
}
