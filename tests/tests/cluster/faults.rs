//! Connections break and Redis dies, in the middle of it: nothing that was acknowledged is lost, told twice or out of order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use carillon_client::{Client, Event};
use carillon_tests::{PATIENCE, Person, seq, words};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::nodes::two;

pub(crate) const ROOM: &str = "room:lobby";

/// The last message.
pub(crate) const END: &str = "the end";

/// People who send until they are told to stop, each message another one.
pub(crate) struct Senders {
    stop: Arc<AtomicBool>,
    sending: Vec<JoinHandle<BTreeSet<String>>>,
}

impl Senders {
    pub(crate) fn start(people: [&Person; 2], round: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let sending = people.map(|person| {
            tokio::spawn(sends(person.client.clone(), person.name.clone(), round, Arc::clone(&stop)))
        });
        Self { stop, sending: sending.into() }
    }

    /// Stops them, and gives what was acknowledged.
    pub(crate) async fn stop(self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::SeqCst);
        let mut acknowledged = BTreeSet::new();
        for sent in self.sending {
            acknowledged.extend(sent.await.expect("they send"));
        }
        acknowledged
    }
}

async fn sends(client: Client, name: String, round: u32, stop: Arc<AtomicBool>) -> BTreeSet<String> {
    let (mut acknowledged, mut n) = (BTreeSet::new(), 0);
    while !stop.load(Ordering::SeqCst) {
        n += 1;
        let text = format!("{name} {round} {n}");
        match client.send(ROOM, text.as_str()).await {
            Ok(_) => _ = acknowledged.insert(text),
            Err(_) => tokio::task::yield_now().await,
        }
    }
    acknowledged
}

/// What somebody hears up to [`END`], which must be without holes, repetitions and disorder; and how much that is by now.
pub(crate) fn listens(mut person: Person) -> (JoinHandle<Vec<String>>, watch::Receiver<usize>) {
    let (count, heard_so_far) = watch::channel(0);
    let listening = tokio::spawn(async move {
        let mut heard = Vec::new();
        loop {
            let message = person.hears(ROOM).await;
            heard.push(words(&message).to_owned());
            assert_eq!(seq(&message), heard.len() as u64, "in order, each once");
            count.send_replace(heard.len());
            if words(&message) == END {
                return heard;
            }
        }
    });
    (listening, heard_so_far)
}

/// Waits until so many more were heard.
pub(crate) async fn hears_more(heard: &mut watch::Receiver<usize>, more: usize) {
    let until = *heard.borrow() + more;
    let heard = timeout(PATIENCE, heard.wait_for(|heard| *heard >= until)).await.expect("it goes on");
    heard.expect("somebody listens");
}

/// What was acknowledged was heard, once. Says how much that was, and what was heard without: its outcome was not known.
pub(crate) fn all_came_once(acknowledged: &BTreeSet<String>, heard: &[String]) {
    let mut times = BTreeMap::new();
    for text in heard {
        *times.entry(text).or_insert(0) += 1;
    }
    let wrong: Vec<_> = acknowledged.iter().filter(|text| times.get(text) != Some(&1)).collect();
    assert!(wrong.is_empty(), "{wrong:?} lost or told twice");
    println!("{} acknowledged, {} heard", acknowledged.len(), heard.len());
}

pub(crate) async fn says_at_last(person: &Person, text: &str) {
    while person.client.send(ROOM, text).await.is_err() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_the_bus_that_are_killed_cost_nothing() {
    let nodes = two().await;
    let (alice, bob) = (nodes.one.enters("alice").await, nodes.other.enters("bob").await);
    let (carol, dan) = (nodes.one.enters("carol").await, nodes.other.enters("dan").await);
    carol.joins(ROOM).await;
    dan.joins(ROOM).await;
    let ((of_carol, mut heard), (of_dan, _)) = (listens(carol), listens(dan));
    let senders = Senders::start([&alice, &bob], 0);
    let mut killed = 0;
    for _ in 0..10 {
        hears_more(&mut heard, 100).await;
        killed += tokio::task::block_in_place(|| nodes.redis.command::<u64>("CLIENT KILL TYPE pubsub"));
    }
    hears_more(&mut heard, 100).await;
    let acknowledged = senders.stop().await;
    alice.says(ROOM, END).await;
    let (of_carol, of_dan) = (of_carol.await.unwrap(), of_dan.await.unwrap());
    assert_eq!(of_carol, of_dan);
    assert!(killed >= 10, "{killed}");
    all_came_once(&acknowledged, &of_dan);
    println!("{killed} connections killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_dies_and_comes_back_loses_nothing_that_was_acknowledged() {
    let mut nodes = two().await;
    let (alice, bob) = (nodes.one.enters("alice").await, nodes.other.enters("bob").await);
    let (carol, dan) = (nodes.one.enters("carol").await, nodes.other.enters("dan").await);
    carol.joins(ROOM).await;
    dan.joins(ROOM).await;
    let ((of_carol, mut heard), (of_dan, _)) = (listens(carol), listens(dan));
    let mut acknowledged = BTreeSet::new();
    for round in 0..3 {
        let senders = Senders::start([&alice, &bob], round);
        hears_more(&mut heard, 50).await;
        tokio::task::block_in_place(|| {
            nodes.redis.kill();
            nodes.redis.restart();
        });
        says_at_last(&bob, &format!("after round {round}")).await;
        hears_more(&mut heard, 50).await;
        acknowledged.extend(senders.stop().await);
    }
    says_at_last(&alice, END).await;
    let (of_carol, of_dan) = (of_carol.await.unwrap(), of_dan.await.unwrap());
    assert_eq!(of_carol, of_dan);
    all_came_once(&acknowledged, &of_dan);
}

/// The messages of the room until it is said that it is another one.
async fn begins_anew(person: &mut Person) -> Vec<u64> {
    let mut before = Vec::new();
    loop {
        match person.next().await {
            Event::Truncated { room } if room == ROOM => return before,
            Event::Message(message) => before.push(seq(&message)),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_told_what_redis_then_lost_is_told_so() {
    let mut nodes = two().await;
    let (mut alice, mut bob) = (nodes.one.enters("alice").await, nodes.other.enters("bob").await);
    // One who has the same and does not say anything.
    let mut carol = nodes.one.enters("carol").await;
    let mut kept = None;
    for person in [&alice, &bob, &carol] {
        person.joins(ROOM).await;
    }
    for n in 1..=8 {
        alice.says(ROOM, &format!("{n}")).await;
        for person in [&mut alice, &mut bob, &mut carol] {
            assert_eq!(seq(&person.hears(ROOM).await), n);
        }
        if n == 5 {
            kept = Some(nodes.redis.back_up());
        }
    }
    tokio::task::block_in_place(|| {
        nodes.redis.kill();
        nodes.redis.go_back(&kept.expect("it was copied"));
        nodes.redis.restart();
    });
    // It takes the place of one that they have.
    says_at_last(&alice, "another sixth").await;
    says_at_last(&bob, END).await;
    for person in [&mut alice, &mut bob, &mut carol] {
        let before = begins_anew(person).await;
        assert!(before.is_empty(), "{before:?} was told to {} as if it followed", person.name);
    }
    let said = bob.says(ROOM, "from now on").await;
    for person in [&mut alice, &mut bob, &mut carol] {
        // What came after they had begun anew came in order.
        let mut last = seq(&person.hears(ROOM).await);
        while last < said {
            let next = seq(&person.hears(ROOM).await);
            assert_eq!(next, last + 1);
            last = next;
        }
    }
    let message = |event: &Event| match event {
        Event::Message(message) => Some(words(message).to_owned()),
        _ => None,
    };
    let texts: Vec<_> = carol.reads(ROOM).await.iter().filter_map(message).collect();
    assert_eq!(texts[..6], ["1", "2", "3", "4", "5", "another sixth"]);
}
