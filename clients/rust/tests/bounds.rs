//! What is too large for one frame: a command is refused here, and the rooms of a large `resume` are joined one by one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step fails the test")]

mod harness;

use std::collections::{BTreeMap, BTreeSet};

use carillon_client::{Client, Code, Event, Events, Positions, RoomPlace, v1};
use harness::{Hub, Peer, at, joined, message};
use prost::Message;
use tokio::join;
use v1::session_request::Command;
use v1::session_response::Kind;

/// What every hub takes.
const FRAME_BYTES: usize = 16 * 1024;
const ROOMS: usize = 200;

fn name(n: usize) -> String {
    format!("conversation:{n:0240}")
}

/// A client that stored its place in many rooms, all at 5; its session, and the rooms that `hello` had no place for.
async fn open(hub: &mut Hub) -> (Client, Events, Peer, BTreeSet<String>) {
    let place = RoomPlace { position: Some(at(5)), presence: true };
    let rooms: BTreeMap<_, _> = (0..ROOMS).map(|n| (name(n), place)).collect();
    let all: BTreeSet<_> = rooms.keys().cloned().collect();
    let options = hub.options().resume(Positions { rooms, inbox: None });
    let (opened, (peer, hello)) = join!(Client::connect(options), hub.opens());
    let (client, events) = opened.unwrap();
    assert!(hello.encoded_len() + 16 <= FRAME_BYTES);
    let resumed: BTreeSet<_> = hello.resume.unwrap().rooms.into_iter().map(|room| room.room).collect();
    assert!(resumed.len() > 50, "as many as fit: {}", resumed.len());
    (client, events, peer, &all - &resumed)
}

async fn next_join(peer: &mut Peer) -> (u32, v1::Join) {
    let request = peer.next().await;
    match request.command {
        Some(Command::Join(join)) => (request.command_id, join),
        other => panic!("no join: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn oversized_command_is_refused_and_the_others_go_on() {
    let mut hub = Hub::start();
    let (opened, (mut peer, _)) = join!(Client::connect(hub.options()), hub.opens());
    let (client, _events) = opened.unwrap();
    let (pong, large, ()) = join!(client.ping(), client.send("room:1", "x".repeat(FRAME_BYTES)), async {
        let ping = peer.next().await;
        peer.send(ping.command_id, Kind::Pong(v1::Pong::default())).await;
    });
    assert_eq!(large.unwrap_err().code(), Some(&Code::MessageTooLarge));
    pong.unwrap();
    let (sent, ()) = join!(client.send("room:1", "x".repeat(FRAME_BYTES - 100)), async {
        let request = peer.next().await;
        assert!(
            request.encoded_len() <= FRAME_BYTES && matches!(request.command, Some(Command::MessageSend(_)))
        );
        peer.send(request.command_id, Kind::MessageSent(v1::MessageSent::default())).await;
    });
    sent.unwrap();
}

#[tokio::test(start_paused = true)]
async fn rooms_without_a_place_in_hello_are_joined_from_their_positions() {
    let mut hub = Hub::start();
    let (client, mut events, mut peer, mut late) = open(&mut hub).await;
    let outbound = peer.outbound();
    // One that the hub joins by itself: what comes of it before its place was heard of comes again after it.
    let automatic = late.iter().next_back().unwrap().clone();
    peer.push(Kind::Joined(v1::Joined {
        room: automatic.clone(),
        position: Some(at(6)),
        ..Default::default()
    }))
    .await;
    peer.push(message(&automatic, 7)).await;
    let count = late.len();
    let hub_side = tokio::spawn(async move {
        while !late.is_empty() {
            let (id, join) = next_join(&mut peer).await;
            assert_eq!((join.since, join.rewind, join.presence), (Some(at(5)), 0, true));
            assert!(late.remove(&join.room));
            for (id, kind) in
                [(id, joined(&join.room, 7)), (0, message(&join.room, 6)), (0, message(&join.room, 7))]
            {
                outbound.send(Ok(v1::SessionResponse { command_id: id, kind: Some(kind) })).await.unwrap();
            }
        }
    });
    let mut seqs: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut resumed = 0;
    while seqs.len() < count || seqs.values().any(|seqs| seqs.len() < 2) {
        let event = events.next().await.unwrap();
        if let Some((room, header)) = event.entry() {
            seqs.entry(room.to_owned()).or_default().push(header.seq);
        }
        match event {
            Event::Joined(joined) => {
                assert_eq!(joined.reason(), v1::JoinReason::Resumed);
                resumed += 1;
            }
            Event::Truncated { room } => panic!("{room} was truncated"),
            _ => {}
        }
    }
    hub_side.await.unwrap();
    assert!(seqs.values().all(|seqs| *seqs == [6, 7]) && resumed == count);
    let places = client.positions().rooms;
    assert!(seqs.keys().all(|room| places[room].position == Some(at(7))));
}

#[tokio::test(start_paused = true)]
async fn callers_own_commands_for_such_a_room_are_done_in_turn() {
    let mut hub = Hub::start();
    let (client, mut events, mut peer, late) = open(&mut hub).await;
    let (id, under_way) = next_join(&mut peer).await;
    let waiting = late.iter().next_back().unwrap().clone();
    // The hub would refuse a second join of a room while the first is under way.
    let again = tokio::spawn({
        let (client, room) = (client.clone(), under_way.room.clone());
        async move { client.join(room).await }
    });
    let leaving = tokio::spawn({
        let (client, room) = (client.clone(), waiting.clone());
        async move { client.leave(room).await }
    });
    let mut joins = BTreeSet::from([under_way.room.clone()]);
    let leave = loop {
        let request = peer.next().await;
        match request.command {
            Some(Command::Join(join)) => assert!(joins.insert(join.room), "joined twice at a time"),
            Some(Command::Leave(leave)) => break (request.command_id, leave.room),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(leave.1, waiting);
    peer.send(leave.0, Kind::Left(v1::Left { room: waiting.clone(), reason: 1 })).await;
    leaving.await.unwrap().unwrap();

    peer.send(id, joined(&under_way.room, 5)).await;
    let second = loop {
        let (id, join) = next_join(&mut peer).await;
        if join.room == under_way.room {
            break (id, join);
        }
    };
    assert_eq!(second.1.since, None, "the caller's own");
    peer.send(second.0, joined(&under_way.room, 5)).await;
    again.await.unwrap().unwrap();

    drop(peer);
    while !matches!(events.next().await, Some(Event::Disconnected(_))) {}
    let (mut peer, hello) = hub.opens().await;
    let mut all: BTreeSet<_> = hello.resume.unwrap().rooms.into_iter().map(|room| room.room).collect();
    while all.len() < ROOMS - 1 {
        let (id, join) = next_join(&mut peer).await;
        peer.send(id, joined(&join.room, 5)).await;
        assert!(all.insert(join.room));
    }
    assert!(!all.contains(&waiting), "it was left");
}

#[tokio::test(start_paused = true)]
async fn room_that_is_denied_is_left_and_one_that_cannot_be_read_now_is_tried_again() {
    let mut hub = Hub::start();
    let (_client, mut events, mut peer, late) = open(&mut hub).await;
    let error = |code: &str, retryable| {
        Kind::Error(v1::Error { code: code.to_owned(), retryable, ..Default::default() })
    };
    let (denied_id, denied) = next_join(&mut peer).await;
    let (busy_id, busy) = next_join(&mut peer).await;
    peer.send(denied_id, error("ACCESS_DENIED", false)).await;
    peer.send(busy_id, error("UNAVAILABLE", true)).await;
    let mut asked = BTreeSet::from([denied.room.clone(), busy.room.clone()]);
    let mut again = false;
    while asked.len() < late.len() || !again {
        let (id, join) = next_join(&mut peer).await;
        again |= join.room == busy.room;
        assert_ne!(join.room, denied.room);
        peer.send(id, joined(&join.room, 5)).await;
        asked.insert(join.room);
    }
    let left = loop {
        if let Event::Left(left) = events.next().await.unwrap() {
            break left;
        }
    };
    assert_eq!((&left.room, left.reason()), (&denied.room, v1::LeaveReason::Denied));
}
