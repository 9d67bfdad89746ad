//! Joining where one left off: every later entry once, then what is new, or a word that it cannot be.

use bytes::Bytes;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{self, JoinReason, LeaveReason, Position, RoomPosition, SessionRequest};
use carillon_tests::wire::{Opening, code, framed, greeting, join, join_since, request, say};
use carillon_tests::{PATIENCE, Reader, Wire, hub};
use prost::Message;

/// Writes messages 1 to `count` with their number as text, and gives the positions 0 to `count`.
async fn write(wire: &mut Wire, room: &str, count: u64) -> Vec<Position> {
    let requests: Vec<_> =
        (1..=count).map(|n| request(10_000 + n as u32, say(room, n.to_string()))).collect();
    wire.send(&requests);
    let mut positions = vec![Position::default()];
    for n in 1..=count {
        match wire.answer(10_000 + n as u32).await {
            Kind::MessageSent(sent) => positions.push(sent.position.unwrap()),
            other => panic!("{other:?}"),
        }
    }
    positions[0].epoch = positions[1].epoch;
    positions
}

async fn leave(wire: &mut Wire, room: &str) {
    let left = wire.asks(Command::Leave(v1::Leave { room: room.to_owned() })).await;
    assert!(matches!(left, Kind::Left(left) if left.reason() == LeaveReason::Command));
}

#[tokio::test]
async fn a_join_from_a_position_hands_over_what_came_after_and_goes_on() {
    let hub = hub().start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let positions = write(&mut alice, "room:a", 700).await;
    for from in [0, 1, 199, 450, 699, 700] {
        let mut bob = Wire::enters(&hub, "bob").await;
        let joined = bob.joins(join_since("room:a", positions[from])).await;
        assert_eq!((joined.truncated, joined.recovered), (false, from < 700), "{from}");
        assert_eq!(joined.position, Some(positions[700]));
        let mut reader = Reader::from("room:a", positions[from]);
        reader.reads_to(&mut bob, 700).await;
        let expected: Vec<_> = (from + 1..=700).map(|n| n.to_string()).collect();
        assert_eq!(reader.texts, expected);
    }
    let mut bob = Wire::enters(&hub, "bob").await;
    bob.joins(join_since("room:a", positions[650])).await;
    let mut reader = Reader::from("room:a", positions[650]);
    alice.ask(say("room:a", "live"));
    reader.reads_to(&mut bob, 701).await;
    assert_eq!((reader.texts.len(), &*reader.texts[50]), (51, "live"));
}

#[tokio::test]
async fn a_position_of_another_log_is_told_apart() {
    let hub = hub().start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let positions = write(&mut alice, "room:a", 20).await;
    let right = positions[10];
    let mut bob = Wire::enters(&hub, "bob").await;
    for (what, since) in [
        ("another epoch", Position { epoch: right.epoch + 1, ..right }),
        ("another tag", Position { tag: right.tag ^ 1, ..right }),
        ("from the future", Position { seq: 21, ..right }),
        ("from far in the future", Position { seq: i64::MAX as u64, ..right }),
        ("of a log that is empty here", Position { epoch: 7, seq: 0, tag: 0 }),
    ] {
        let joined = bob.joins(join_since("room:a", since)).await;
        assert_eq!((joined.truncated, joined.recovered), (true, false), "{what}");
        // From here on it goes on live: nothing old follows.
        let head = joined.position.unwrap();
        let mut reader = Reader::from("room:a", head);
        alice.ask(say("room:a", what));
        reader.reads_to(&mut bob, head.seq + 1).await;
        assert_eq!(reader.texts, [what]);
    }
}

#[tokio::test]
async fn a_rewind_hands_over_the_last_entries() {
    let hub = hub().start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let positions = write(&mut alice, "room:a", 300).await;
    for (rewind, first) in [(1, 300), (50, 251), (300, 1), (1_000, 1)] {
        let mut bob = Wire::enters(&hub, "bob").await;
        let joined = bob.joins(v1::Join { rewind, ..join("room:a") }).await;
        assert!(joined.recovered && !joined.truncated);
        let mut reader = Reader::from("room:a", positions[first - 1]);
        reader.reads_to(&mut bob, 300).await;
        assert_eq!(reader.texts.len(), 301 - first);
    }
    let mut bob = Wire::enters(&hub, "bob").await;
    let empty = bob.joins(v1::Join { rewind: 10, ..join("room:empty") }).await;
    assert!(!empty.recovered && !empty.truncated);
    for wrong in [
        v1::Join { rewind: 1_001, ..join("room:a") },
        v1::Join { rewind: 1, ..join_since("room:a", positions[3]) },
    ] {
        assert_eq!(code(&bob.asks(Command::Join(wrong)).await), "INVALID_ARGUMENT");
    }
}

#[tokio::test]
async fn a_resume_joins_what_is_allowed_and_says_what_is_not() {
    let hub = hub().start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let mut readers = Vec::new();
    let mut rooms = vec![RoomPosition { room: "conversation:none".to_owned(), ..Default::default() }];
    for n in 0..8 {
        let room = format!("room:{n}");
        let positions = write(&mut alice, &room, 30).await;
        readers.push(Reader::from(&room, positions[n]));
        rooms.push(RoomPosition { room, position: Some(positions[n]), presence: false });
    }
    rooms.push(RoomPosition { room: "live:x".to_owned(), ..Default::default() });
    rooms.push(RoomPosition { room: "nowhere:x".to_owned(), ..Default::default() });
    let resume = Some(v1::Resume { rooms, inbox: None });
    let mut bob = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
    bob.greets(v1::Hello { token: hub.token("bob"), resume, ..greeting() }).await;
    let (mut joined, mut denied) = (Vec::new(), Vec::new());
    while denied.len() < 2 || readers.iter().any(|reader| reader.position.seq < 30) || joined.len() < 11 {
        let frame = bob.next().await.unwrap();
        assert_eq!(frame.command_id, 0);
        match frame.kind.unwrap() {
            Kind::Joined(room) => {
                let resumed = room.reason() == JoinReason::Resumed;
                assert_eq!(resumed, !["org:acme", "user:bob"].contains(&&*room.room));
                assert!(!room.truncated);
                joined.push(room.room);
            }
            Kind::Left(left) => {
                assert_eq!(left.reason(), LeaveReason::Denied);
                denied.push(left.room);
            }
            Kind::Message(message) => {
                assert!(joined.contains(&message.room), "joined comes before anything of the room");
                let kind = Kind::Message(message);
                for reader in &mut readers {
                    reader.take(&kind);
                }
            }
            _ => {}
        }
    }
    denied.sort();
    assert_eq!(denied, ["conversation:none", "nowhere:x"]);
    for (n, reader) in readers.iter().enumerate() {
        assert_eq!(reader.texts.len(), 30 - n);
    }
}

#[tokio::test]
async fn what_retention_took_is_a_gap() {
    let plan = hub().with(|config| {
        let room = config.namespaces.iter_mut().find(|namespace| namespace.name == "room");
        room.unwrap().retention_count = Some(64);
    });
    let hub = plan.start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let positions = write(&mut alice, "room:a", 500).await;
    let first = oldest_kept(&mut alice).await;
    for from in [0, 1, 100, first as usize - 2] {
        let mut bob = Wire::enters(&hub, "bob").await;
        let joined = bob.joins(join_since("room:a", positions[from])).await;
        assert!(!joined.truncated);
        let mut reader = Reader::from("room:a", positions[from]);
        reader.reads_to(&mut bob, 500).await;
        // The tail may still have what the store has not: then there is less of a gap, or none.
        let missing: u64 = reader.gaps.iter().map(|(from, to)| to - from + 1).sum();
        assert_eq!(missing + reader.texts.len() as u64, 500 - from as u64);
        assert!(from > 100 || !reader.gaps.is_empty(), "{from}: {reader:?}");
    }
    // A rewind begins with what there is.
    let mut bob = Wire::enters(&hub, "bob").await;
    bob.joins(v1::Join { rewind: 1_000, ..join("room:a") }).await;
    let mut reader = Reader::from("room:a", positions[first as usize - 1]);
    reader.reads_to(&mut bob, 500).await;
    assert!(reader.gaps.is_empty());
}

/// Waits until the store has trimmed the room, and gives the first seq that it kept.
async fn oldest_kept(wire: &mut Wire) -> u64 {
    let bound = Some(v1::history_get::Bound::After(0));
    let history = v1::HistoryGet { room: "room:a".to_owned(), bound, limit: 1 };
    let trimmed = async {
        loop {
            let Kind::HistoryPage(page) = wire.asks(Command::History(history.clone())).await else {
                panic!()
            };
            let Some(v1::history_entry::Entry::Message(message)) = page.entries[0].entry.clone() else {
                panic!("a message");
            };
            let first = message.header.unwrap().seq;
            // A little more than the 64 that it keeps is let be.
            if first >= 436 {
                return first;
            }
        }
    };
    tokio::time::timeout(PATIENCE, trimmed).await.expect("the room is trimmed")
}

#[tokio::test]
async fn a_leave_in_the_middle_of_a_join_is_answered_after_it() {
    let hub = hub().start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let positions = write(&mut alice, "room:a", 300).await;
    let mut bob = Wire::enters(&hub, "bob").await;
    let leave = |id| request(id, Command::Leave(v1::Leave { room: "room:a".to_owned() }));
    bob.send(&[
        request(20, Command::Join(join_since("room:a", positions[0]))),
        request(21, Command::Join(join_since("room:a", positions[0]))),
        leave(22),
        leave(23),
        SessionRequest {
            idempotency_key: Bytes::from_static(b"12345678"),
            ..request(24, say("room:a", "x"))
        },
    ]);
    let mut answers = Vec::new();
    while answers.len() < 5 {
        let frame = bob.next().await.unwrap();
        if frame.command_id > 0 {
            answers.push((frame.command_id, frame.kind.unwrap()));
        }
    }
    let answer = |id| answers.iter().find(|(other, _)| *other == id).map(|(_, kind)| kind).unwrap();
    let place = |id| answers.iter().position(|(other, _)| *other == id).unwrap();
    assert!(matches!(answer(20), Kind::Joined(_)));
    assert_eq!((code(answer(21)), code(answer(23))), ("CONFLICT", "CONFLICT"));
    assert!(matches!(answer(22), Kind::Left(_)) && place(22) > place(20));
    assert!(matches!(answer(24), Kind::MessageSent(_)));
    // Nothing of the room comes any more; joined again, everything does.
    bob.write(framed(&request(30, Command::Ping(v1::Ping {})).encode_to_vec()));
    loop {
        let frame = bob.next().await.unwrap();
        match frame.kind.unwrap() {
            Kind::Message(message) => panic!("{message:?}"),
            Kind::Pong(_) => break,
            _ => {}
        }
    }
    bob.joins(join_since("room:a", positions[0])).await;
    Reader::from("room:a", positions[0]).reads_to(&mut bob, 301).await;
}

#[tokio::test]
async fn a_join_of_a_room_that_the_hub_is_joining_comes_after_that_one() {
    let hub = hub().start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let in_room = write(&mut alice, "room:a", 300).await;
    let in_org = write(&mut alice, "org:acme", 20).await;
    let rooms =
        vec![RoomPosition { room: "room:a".to_owned(), position: Some(in_room[290]), presence: false }];
    let hello =
        v1::Hello { token: hub.token("bob"), resume: Some(v1::Resume { rooms, inbox: None }), ..greeting() };
    let mut bob = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
    bob.send(&[
        request(1, Command::Hello(hello)),
        request(2, Command::Join(join_since("org:acme", in_org[5]))),
        request(3, Command::Join(join_since("room:a", in_room[100]))),
        request(4, Command::Leave(v1::Leave { room: "org:acme".to_owned() })),
    ]);
    let (mut answers, mut reader) = (Vec::new(), Reader::from("room:a", in_room[100]));
    while answers.len() < 4 || reader.position.seq < 300 {
        let frame = bob.next().await.unwrap();
        let kind = frame.kind.unwrap();
        // An entry of the join that gave way would be out of its place.
        reader.take(&kind);
        if frame.command_id > 0 {
            answers.push((frame.command_id, kind));
        }
    }
    let place = |id| answers.iter().position(|(other, _)| *other == id).unwrap();
    for (id, room) in [(2, "org:acme"), (3, "room:a")] {
        let Kind::Joined(joined) = &answers[place(id)].1 else { panic!("{answers:?}") };
        assert_eq!((&*joined.room, joined.reason(), joined.recovered), (room, JoinReason::Command, true));
    }
    assert!(matches!(answers[place(4)].1, Kind::Left(_)) && place(4) > place(2));
}

#[tokio::test]
async fn joining_again_begins_anew_from_where_the_client_says() {
    let hub = hub().start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let positions = write(&mut alice, "room:a", 600).await;
    let mut bob = Wire::enters(&hub, "bob").await;
    // Pages of an earlier join are being read while the next one begins: they are for nobody.
    for (first, then) in [(0, 500), (500, 0), (0, 0), (0, 250), (250, 0), (0, 599), (599, 0)] {
        bob.joins(join_since("room:a", positions[first])).await;
        let joined = bob.joins(join_since("room:a", positions[then])).await;
        assert!(!joined.truncated);
        Reader::from("room:a", positions[then]).reads_to(&mut bob, 600).await;
        leave(&mut bob, "room:a").await;
    }
}
