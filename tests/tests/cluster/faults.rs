//! Connections break and Redis dies, in the middle of it: nothing that was acknowledged is lost, told twice or out of order.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use carillon_tests::{Person, seq, words};

use crate::nodes::two;

const ROOM: &str = "room:lobby";

/// Sends until told to stop; gives what was acknowledged.
fn sends(person: &Person, stop: &Arc<AtomicBool>) -> tokio::task::JoinHandle<BTreeSet<String>> {
    let (client, name, stop) = (person.client.clone(), person.name.clone(), Arc::clone(stop));
    tokio::spawn(async move {
        let (mut acknowledged, mut n) = (BTreeSet::new(), 0);
        while !stop.load(Ordering::SeqCst) {
            n += 1;
            let text = format!("{name} {n}");
            if client.send(ROOM, text.as_str()).await.is_ok() {
                acknowledged.insert(text);
            }
        }
        acknowledged
    })
}

/// What somebody hears up to the last message, which must be without holes, repetitions and disorder.
async fn hears_all(person: &mut Person, last: &str) -> Vec<String> {
    let mut heard = Vec::new();
    loop {
        let message = person.hears(ROOM).await;
        heard.push(words(&message).to_owned());
        assert_eq!(seq(&message), heard.len() as u64, "in order, each once");
        if words(&message) == last {
            return heard;
        }
    }
}

async fn says_at_last(person: &Person, text: &str) {
    while person.client.send(ROOM, text).await.is_err() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_the_bus_that_are_killed_cost_nothing() {
    let nodes = two().await;
    let (alice, bob) = (nodes.one.enters("alice").await, nodes.other.enters("bob").await);
    let (mut carol, mut dan) = (nodes.one.enters("carol").await, nodes.other.enters("dan").await);
    carol.joins(ROOM).await;
    dan.joins(ROOM).await;
    let stop = Arc::new(AtomicBool::new(false));
    let sending = [sends(&alice, &stop), sends(&bob, &stop)];
    let mut killed = 0;
    while killed < 40 {
        let answer = tokio::task::block_in_place(|| nodes.redis.command("CLIENT KILL TYPE pubsub"));
        killed += answer.trim_start_matches(':').parse::<u64>().unwrap();
        tokio::task::yield_now().await;
    }
    stop.store(true, Ordering::SeqCst);
    let mut acknowledged = BTreeSet::new();
    for sent in sending {
        acknowledged.extend(sent.await.unwrap());
    }
    alice.says(ROOM, "the end").await;
    let of_carol = hears_all(&mut carol, "the end").await;
    let of_dan = hears_all(&mut dan, "the end").await;
    assert_eq!(of_carol, of_dan);
    let lost: Vec<_> = acknowledged.iter().filter(|text| !of_dan.contains(text)).collect();
    assert!(lost.is_empty(), "{lost:?}");
    println!("{} acknowledged, {killed} connections killed", acknowledged.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_dies_and_comes_back_loses_nothing_that_was_acknowledged() {
    let mut nodes = two().await;
    let (alice, bob) = (nodes.one.enters("alice").await, nodes.other.enters("bob").await);
    let (mut carol, mut dan) = (nodes.one.enters("carol").await, nodes.other.enters("dan").await);
    carol.joins(ROOM).await;
    dan.joins(ROOM).await;
    let stop = Arc::new(AtomicBool::new(false));
    for round in 0..3 {
        stop.store(false, Ordering::SeqCst);
        let sending = [sends(&alice, &stop), sends(&bob, &stop)];
        says_at_last(&alice, &format!("round {round}")).await;
        tokio::task::block_in_place(|| {
            nodes.redis.kill();
            nodes.redis.restart();
        });
        says_at_last(&bob, &format!("after round {round}")).await;
        stop.store(true, Ordering::SeqCst);
        for sent in sending {
            sent.await.unwrap();
        }
    }
    says_at_last(&alice, "the end").await;
    let of_carol = hears_all(&mut carol, "the end").await;
    assert_eq!(hears_all(&mut dan, "the end").await, of_carol);
    for round in 0..3 {
        assert!(of_carol.contains(&format!("round {round}")) && of_carol.contains(&format!("after round {round}")));
    }
}
