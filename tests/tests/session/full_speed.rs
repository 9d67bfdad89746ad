//! Joins and leaves while others send as fast as they can: no gap, no overlap, one order for all.

use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{self, Position};
use carillon_tests::wire::{join_since, request, say};
use carillon_tests::{Reader, TestHub, Wire, hub};

const ROOM: &str = "room:busy";
const SENDERS: u64 = 3;
const EACH: u64 = 600;

/// Sends everything, and gives the seqs in the order in which it was sent.
async fn sends(hub: &TestHub, name: &str) -> Vec<u64> {
    let mut wire = Wire::enters(hub, name).await;
    let ids = 100..100 + EACH as u32;
    let requests: Vec<_> = ids.clone().map(|id| request(id, say(ROOM, format!("{name} {id}")))).collect();
    wire.send(&requests);
    let mut seqs = Vec::new();
    for id in ids {
        match wire.answer(id).await {
            Kind::MessageSent(sent) => seqs.push(sent.position.unwrap().seq),
            other => panic!("{other:?}"),
        }
    }
    seqs
}

/// Joins where it left off, reads some, leaves, and again, until it has everything.
async fn comes_and_goes(hub: &TestHub, name: &str, epoch: u64, step: u64) -> Vec<String> {
    let mut wire = Wire::enters(hub, name).await;
    let mut reader = Reader::from(ROOM, Position { epoch, seq: 0, tag: 0 });
    while reader.position.seq < SENDERS * EACH {
        let joined = wire.joins(join_since(ROOM, reader.position)).await;
        assert!(!joined.truncated);
        let goal = (reader.position.seq + step).min(SENDERS * EACH);
        reader.reads_to(&mut wire, goal).await;
        let leave = wire.ask(Command::Leave(v1::Leave { room: ROOM.to_owned() }));
        // What was on its way still counts; after `left` there is nothing.
        loop {
            let frame = wire.next().await.unwrap();
            if frame.command_id == leave {
                break;
            }
            reader.take(&frame.kind.unwrap());
        }
    }
    reader.texts
}

/// Joins once and reads to the end.
async fn stays(hub: &TestHub, name: &str, epoch: u64) -> Vec<String> {
    let mut wire = Wire::enters(hub, name).await;
    let start = Position { epoch, seq: 0, tag: 0 };
    wire.joins(join_since(ROOM, start)).await;
    let mut reader = Reader::from(ROOM, start);
    reader.reads_to(&mut wire, SENDERS * EACH).await;
    reader.texts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_misses_or_repeats_anything_while_others_send_at_full_speed() {
    let hub = hub().start().await;
    let epoch = {
        let mut scout = Wire::enters(&hub, "scout").await;
        scout.joins(carillon_tests::wire::join(ROOM)).await.position.unwrap().epoch
    };
    let senders = futures::future::join_all(["s1", "s2", "s3"].map(|name| sends(&hub, name)));
    let joiners = [("j1", 7), ("j2", 50), ("j3", 333)];
    let joiners = joiners.map(|(name, step)| comes_and_goes(&hub, name, epoch, step));
    let joiners = futures::future::join_all(joiners);
    let (sent, come, stayed) = tokio::join!(senders, joiners, stays(&hub, "stayer", epoch));
    for texts in come {
        assert_eq!(texts, stayed, "one order for all");
    }
    // Each sender's messages are in the order in which it sent them, at the places that its replies named.
    for (name, seqs) in ["s1", "s2", "s3"].iter().zip(sent) {
        assert!(seqs.is_sorted());
        for (id, seq) in (100..).zip(seqs) {
            assert_eq!(stayed[seq as usize - 1], format!("{name} {id}"));
        }
    }
}
